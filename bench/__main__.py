# SPDX-License-Identifier: Apache-2.0
"""Measures what docs/performance.md shows: ``.venv/bin/python -m bench [SECTION...] [--quick]``.

In each section muster and the programs that it is compared with take turns on one Nova, round by round: only figures of
one run are compared.  The results replace those sections in bench/figures.json.  ``./generate`` then writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Optional

from bench import figures
from bench.figures import Run
from bench.stage import Stage

ROUNDS = 3
WIDE = {"in_flight": 200, "per_destination": 0}
TEN = {"in_flight": 10, "per_destination": 0}
PHASES = (2.0, 5.0, 8.0)
"""When NovaEvacuate's monitor runs after the fencing: over the rounds its mean is the mean."""

Subject = tuple[str, str, dict[str, Any]]
MUSTER: Subject = ("muster", "muster", WIDE)
INSTALLED: Subject = ("muster-installed", "muster", {})
BARE: Subject = ("bare", "bare", {"connections": 1})
BARE_4: Subject = ("bare-4", "bare", {"connections": 4})
FLOW: Subject = ("flow", "flow", {})
SMART: Subject = ("smart", "smart", {})


def rounds(which: range, subjects: list[Subject], servers: int, dead: int = 1, spawn_s: float = 0.0) -> Iterator[Run]:
    """These rounds; in each every subject has its turn, in every other one in the opposite order."""
    with Stage.of(dead) as stage:
        for turn in which:
            for name, program, options in subjects if turn % 2 == 0 else subjects[::-1]:
                given = {"phase_s": PHASES[turn % len(PHASES)]} if program == "flow" else {}
                found = stage.run(program, servers, spawn_s, **options, **given)
                if turn:
                    del found["arrivals"]
                yield {"subject": name, "round": turn, **found}


def small(which: range, quick: bool) -> Iterator[Run]:
    yield from rounds(which, [MUSTER, INSTALLED, BARE, BARE_4, FLOW, SMART], 20)


def hundred(which: range, quick: bool) -> Iterator[Run]:
    yield from rounds(which, [MUSTER, INSTALLED, BARE, BARE_4, FLOW, SMART], 20 if quick else 100)


def large(which: range, quick: bool) -> Iterator[Run]:
    yield from rounds(which, [MUSTER, BARE, BARE_4, FLOW], 40 if quick else 500)


def patient(which: range, quick: bool) -> Iterator[Run]:
    """The only one that takes so long that there is one round of it."""
    yield from rounds(range(which.start, 1), [SMART], 40 if quick else 500)


def hosts(which: range, quick: bool) -> Iterator[Run]:
    # Five of seven are more than muster takes for a failure of hosts by itself.
    subject: Subject = ("muster", "muster", {**WIDE, "max_failed_hosts": "100%"})
    for dead in (1, 2, 5):
        yield from rounds(which, [subject], 20 if quick else 100, dead)


def spawns(which: range, quick: bool) -> Iterator[Run]:
    ten, told = ("muster-ten", "muster", TEN), ("window", "window", {"in_flight": 10})
    yield from rounds(which, [ten, INSTALLED, told], 20 if quick else 50, spawn_s=10.0)
    if not quick:
        yield from rounds(which, [ten, told], 200, spawn_s=10.0)


def cluster(which: range, quick: bool) -> Iterator[Run]:
    from bench.cluster import measure

    if which.start == 0:
        yield measure(os.environ.get("MUSTER_BED", "bench"), (20,) if quick else (100, 500), quick)


SECTIONS: dict[str, Callable[[range, bool], Iterator[Run]]] = {
    "small": small,
    "hundred": hundred,
    "large": large,
    "hosts": hosts,
    "spawns": spawns,
    "cluster": cluster,
    "patient": patient,
}


def whole_rounds(runs: list[Run]) -> list[Run]:
    """Without the one in whose middle the measuring ended."""
    of_round = Counter(run.get("round", 0) for run in runs)
    return [run for run in runs if of_round[run.get("round", 0)] == of_round[0]]


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"what to measure: {', '.join(SECTIONS)} [all]")
    parser.add_argument(
        "--resume", action="store_true", help="keep the complete rounds in figures.json, and measure the missing ones"
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure one small round of each section, print it, and write nothing"
    )
    args = parser.parse_args(argv)
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}")
    for name in args.sections or SECTIONS:
        found = whole_rounds(figures.read().get(name, [])) if args.resume else []
        begun = 1 + max((run.get("round", 0) for run in found), default=-1)
        for run in SECTIONS[name](range(1) if args.quick else range(begun, ROUNDS), args.quick):
            found.append(run)
            print(name, json.dumps({key: value for key, value in run.items() if key != "arrivals"}), flush=True)
            if not args.quick:
                figures.keep(name, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
