# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completion say what the commands and parameters are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from generators import completion, man

PAGES = list(man.pages())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_page_is_good_roff(page: Path) -> None:
    if not shutil.which("man"):
        pytest.skip("no man here")
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_shell_reads_its_completion() -> None:
    script = f'source {completion.BASH}; COMP_WORDS=(muster st); COMP_CWORD=1; _shtab_muster; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["status"], "")
