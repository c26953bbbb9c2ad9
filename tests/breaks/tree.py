# SPDX-License-Identifier: Apache-2.0
"""A copy of the tree with an environment of its own, in which nothing but the copy is called ``muster``.

PYTHONPATH would not do: the agents and the worker are started with ``-I``, by Pacemaker, with a clean environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
BEDS = (".venv-nova", ".cache/pacemaker-remote")
"""What the test beds need and no break touches."""
COMMANDS = {"muster": "import sys\n\nfrom muster.cli.main import main\n\nsys.exit(main())\n"}
WHERE = "import muster.agents.ocf, muster.agents.fence, muster.parameters as m; print(muster.agents.ocf.__file__, m._FOLDER, sep='\\n')"


def copy(to: Path) -> Path:
    """The tree as it is, committed or not, at ``to``; its interpreter.

    :raises RuntimeError: when another ``muster`` than the copy would run there.
    """
    shutil.copytree(ROOT, to, ignore=LEFT_OUT)
    (to / "src/muster/ocf_meta").symlink_to(to / "ocf_meta")  # setup.cfg maps it there
    (to / ".cache").mkdir()
    for name in BEDS:
        if (ROOT / name).exists():
            (to / name).symlink_to(ROOT / name)
    venv.create(to / ".venv", symlinks=True)
    home = to / ".venv/bin"
    python = home / "python"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    # Of the environment of the tests its packages, but not its .pth: that leads to the tree that was copied.
    paths = f"{to / 'src'}\n{sysconfig.get_path('purelib')}\n"
    (to / ".venv/lib" / version / "site-packages/copy.pth").write_text(paths)
    agents = {path.name: path.read_text().partition("\n")[2] for path in (*to.glob("agents/*"), *to.glob("fence/*"))}
    for name, text in {**COMMANDS, **agents}.items():
        (home / name).write_text(f"#!{python}\n{text}")
        (home / name).chmod(0o755)
    done = subprocess.run([python, "-I", "-B", "-c", WHERE], capture_output=True, text=True, timeout=60, check=True)
    strangers = [path for path in done.stdout.split() if to.resolve() not in Path(path).resolve().parents]
    if strangers:
        raise RuntimeError(f"in {to} another tree would run: {strangers}")
    return python
