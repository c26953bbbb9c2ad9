# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completion say what the commands and parameters are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import man

PAGES = [path for path in man.pages() if path.parent.name == "man"]


def test_the_files_are_up_to_date() -> None:
    """``python -m tests.man`` writes them."""
    stale = [path.name for path, text in man.pages().items() if not path.exists() or path.read_text() != text]
    assert stale == []


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
    path = man.ROOT / "packaging/completion/muster.bash"
    script = f'source {path}; COMP_WORDS=(muster st); COMP_CWORD=1; _shtab_muster; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["status"], "")
