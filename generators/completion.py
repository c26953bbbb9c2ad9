# SPDX-License-Identifier: Apache-2.0
"""What shells complete after ``muster``, from the parser of its commands."""

from __future__ import annotations

from pathlib import Path

import shtab

from muster.cli import commands, complete

FOLDER = Path(__file__).resolve().parents[1] / "packaging" / "completion"
BASH, ZSH = FOLDER / "muster.bash", FOLDER / "_muster"


def _functions(line: str) -> str:
    return "".join(f"_muster_{kind.replace('-', '_')}() {{ {line % kind} }}\n" for kind in complete.KINDS)


ASKING = {
    "bash": _functions('compgen -W "$(muster __complete %s 2>/dev/null)" -- "$1";'),
    "zsh": _functions('compadd -- ${(f)"$(muster __complete %s 2>/dev/null)"}'),
}
"""What only the cluster knows is asked when a key is pressed."""
MARK = "# SPDX-License-Identifier: Apache-2.0\n"


def pages() -> dict[Path, str]:
    parser = commands.parser()
    first, _, rest = shtab.complete(parser, "zsh", preamble=ASKING).partition(
        "\n"
    )  # zsh reads its own mark in the first line
    return {BASH: MARK + shtab.complete(parser, "bash", preamble=ASKING), ZSH: f"{first}\n{MARK}{rest}"}
