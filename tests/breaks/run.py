# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a break in a broken copy of the tree, and tells which of them noticed it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests.bed.cloud import Cloud
from tests.breaks.table import Break
from tests.breaks.tree import copy

LIMIT_S = 1800
FAILED = 1
SAID = re.compile(r"^(?P<how>PASSED|FAILED|ERROR) (?P<test>tests/.+?)(?: - (?P<words>.*))?$", re.M)


@dataclass(frozen=True)
class Run:
    """What pytest said: its exit code; of each test how it ended, and its words; its last lines.

    A test that passed and could not be cleared away after ended twice.
    """

    code: int
    ends: tuple[tuple[str, str, str], ...]
    last: str

    def ends_of(self, test: str) -> dict[str, str]:
        """How a test, by its name below tests/, or its cases have ended, each way with the words of the first."""
        named = f"tests/{test}"
        cases = (end for end in self.ends if end[1] == named or end[1].startswith((f"{named}[", f"{named}::")))
        return {how: words for how, _, words in reversed(list(cases))}

    def passed(self, test: str) -> bool:
        return set(self.ends_of(test)) == {"PASSED"}


@contextmanager
def tree(it: Optional[Break] = None) -> Iterator[Path]:
    """A copy with the break in it, or as it is.

    :raises ValueError: when the break's text does not stand there once, or leaves no Python: the table is stale.
    """
    with tempfile.TemporaryDirectory(prefix="muster-break-") as scratch:
        os.chmod(scratch, 0o755)  # tests act as other users, too
        root = Path(scratch) / "muster"
        copy(root)
        if it is not None:
            (root / it.file).write_text(it.broken(root))
        yield root


def pytest(root: Path, tests: Iterable[str]) -> Run:
    """The tests, by their names below tests/, in a copy."""
    bed = os.environ.get("MUSTER_BED", "breaks")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "COV_"))}
    environment = {
        **kept,
        "PATH": f"{root / '.venv/bin'}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MUSTER_BED": bed,
        "CI": "1",  # pytest does not shorten what failed, hypothesis plays the same cases each time
    }
    argv = [str(root / ".venv/bin/python"), "-m", "pytest", "-q", "-rfEp", "--tb=short", *(f"tests/{t}" for t in tests)]
    try:
        done = subprocess.run(
            argv, cwd=root, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        Cloud.end(bed)
        return Run(-1, (), f"not over within {LIMIT_S} s")
    ends = tuple((found["how"], found["test"], found["words"] or "") for found in SAID.finditer(done.stdout))
    return Run(done.returncode, ends, (done.stdout + done.stderr).strip()[-1500:])


def unnoticed(it: Break) -> tuple[str, str]:
    """Why the break does not count as noticed, empty if each of its tests failed; and the words of the first one.

    Only tests that failed count: one that could not be collected or set up says nothing about the break.
    """
    with tree(it) as root:
        run = pytest(root, it.tests)
    words = [run.ends_of(test).get("FAILED") for test in it.tests]
    silent = [test for test, said in zip(it.tests, words) if said is None]
    if run.code == FAILED and not silent:
        return "", words[0] or ""
    print(run.last, file=sys.stderr)
    return f"pytest exit {run.code}, not failed: {', '.join(silent) or 'none'}", ""
