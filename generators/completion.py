# SPDX-License-Identifier: Apache-2.0
"""What shells complete after ``muster``, from the parser of its commands."""

from __future__ import annotations

from pathlib import Path

import shtab

from muster.cli import commands

FOLDER = Path(__file__).resolve().parents[1] / "packaging" / "completion"
BASH, ZSH = FOLDER / "muster.bash", FOLDER / "_muster"
MARK = "# SPDX-License-Identifier: Apache-2.0\n"


def pages() -> dict[Path, str]:
    parser = commands.parser()
    first, _, rest = shtab.complete(parser, "zsh").partition("\n")  # zsh reads its own mark in the first line
    return {BASH: MARK + shtab.complete(parser, "bash"), ZSH: f"{first}\n{MARK}{rest}"}
