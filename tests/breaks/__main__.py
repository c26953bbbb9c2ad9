# SPDX-License-Identifier: Apache-2.0
"""Breaks the product on purpose, in one place at a time, and checks that the tests of the scenario fail.

The same tests run first in an unchanged copy of the tree, where they have to pass. Each break has a copy of its own. The
exit code is 0 if the tests noticed every break.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.breaks.run import pytest, tree, unnoticed
from tests.breaks.table import BREAKS, LEVELS, Break


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.breaks", description=__doc__)
    parser.add_argument(
        "--level", choices=LEVELS, action="append", help="only breaks for the tests of this level; may be repeated"
    )
    parser.add_argument("--row", default="", help="only breaks of this scenario, for instance A4")
    parser.add_argument("--list", action="store_true", help="print the breaks and run nothing")
    given = parser.parse_args()
    chosen = [b for b in BREAKS if b.level in (given.level or LEVELS) and given.row in ("", *b.rows.split(", "))]
    if not chosen:
        parser.error("there is no such break")
    chosen.sort(key=lambda b: LEVELS.index(b.level))
    if given.list:
        for it in chosen:
            print(f"{_head(it)} {it.file}: {', '.join(it.tests)}")
        return 0
    began = time.monotonic()
    caught = 0
    for level in dict.fromkeys(it.level for it in chosen):
        of_it = [it for it in chosen if it.level == level]
        sound = _sound(level, of_it)
        caught += sum(_caught(it, sound) for it in of_it)
    print(f"{caught} of {len(chosen)} caught in {(time.monotonic() - began) / 60:.1f} min")
    return 0 if caught == len(chosen) else 1


def _sound(level: str, chosen: Sequence[Break]) -> set[str]:
    """Those of the tests that pass in the tree as it is: one that fails anyway notices nothing."""
    tests = list(dict.fromkeys(test for it in chosen for test in it.tests))
    began = time.monotonic()
    with tree() as root:
        run = pytest(root, tests)
    sound = {test for test in tests if run.passed(test)}
    seconds = time.monotonic() - began
    print(f"{'':8} {level:8} {len(sound)} of {len(tests)} tests pass in the tree as it is {seconds:.1f} s", flush=True)
    if len(sound) < len(tests):
        print(run.last, file=sys.stderr)
    return sound


def _caught(it: Break, sound: set[str]) -> bool:
    began = time.monotonic()
    anyway = [test for test in it.tests if test not in sound]
    why, words = (f"does not pass anyway: {', '.join(anyway)}", "") if anyway else unnoticed(it)
    print(f"{_head(it)} {time.monotonic() - began:6.1f} s  {f'NOT NOTICED: {why}' if why else words[:110]}", flush=True)
    return not why


def _head(it: Break) -> str:
    return f"{it.rows:8} {it.level:8} {it.name:66}"


if __name__ == "__main__":
    sys.exit(main())
