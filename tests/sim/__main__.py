# SPDX-License-Identifier: Apache-2.0
"""Plays histories of a simulated cloud and cluster with the real engine, and prints what the judge found.

A history is its number: the same number plays the same history. To replay one: ``python -m tests.sim --seed 7 -v``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.sim.fingerprint import fingerprint
from tests.sim.history import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="play only this history, and print what the judge found")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: print every event")
    parser.add_argument("--histories", type=int, default=1000, help="how many to play [%(default)s]")
    parser.add_argument(
        "--from", dest="first", type=int, default=0, help="the number of the first history [%(default)s]"
    )
    parser.add_argument(
        "--fingerprint", action="store_true", help="print one line for each history, to compare two trees with diff"
    )
    given = parser.parse_args()
    if given.fingerprint:
        return _fingerprints(given.first, given.histories)
    if given.seed is not None:
        return _one(given.seed, given.verbose)
    return _many(given.first, given.histories)


def _one(seed: int, verbose: bool) -> int:
    world = play(seed, verbose=True)
    lines = world.story if verbose else [line for line in world.story if "VIOLATION" in line]
    print("\n".join(lines))
    print(f"seed {seed}: {len(world.judge.violations)} violations, {world.passes} passes, {world.calls} calls")
    return 1 if world.judge.violations else 0


def _fingerprints(first: int, histories: int) -> int:
    for seed in range(first, first + histories):
        print(fingerprint(seed), flush=True)
    return 0


def _many(first: int, histories: int) -> int:
    began = time.monotonic()
    states: set[int] = set()
    faults: Counter[str] = Counter()
    guilty: dict[int, list[str]] = {}
    passes = calls = evacuations = 0
    for seed in range(first, first + histories):
        world = play(seed)
        states |= world.states
        faults += world.faults.injected
        passes, calls, evacuations = passes + world.passes, calls + world.calls, evacuations + len(world.cloud.rows)
        if world.judge.violations:
            guilty[seed] = world.judge.violations
    seconds = time.monotonic() - began
    print(f"{histories} histories in {seconds:.1f} s ({1000 * seconds / histories:.1f} ms each)")
    print(f"{passes} passes, {calls} calls, {evacuations} evacuations, {len(states)} distinct states")
    for kind, count in sorted(faults.items()):
        print(f"  {count:7} {kind}")
    for seed, lines in guilty.items():
        print(f"seed {seed}: " + "; ".join(lines))
    print(f"{len(guilty)} histories with violations")
    return 1 if guilty else 0


if __name__ == "__main__":
    sys.exit(main())
