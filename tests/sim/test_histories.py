# SPDX-License-Identifier: Apache-2.0
"""Histories by number: the judge must have seen nothing.  A failure is replayed by ``python -m tests.sim --seed N -v``."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.sim import parts
from tests.sim.fingerprint import fingerprint
from tests.sim.history import play
from tests.sim.mutants import MUTANTS, planted
from tests.sim.stage import Stage

BATCH = 50


def _guilty(seeds: Iterable[int]) -> list[str]:
    worlds = ((seed, play(seed)) for seed in seeds)
    return [f"seed {seed}: {'; '.join(w.judge.violations)}" for seed, w in worlds if w.judge.violations]


@pytest.mark.parametrize("first", range(0, 300, BATCH))
def test_nothing_forbidden_happens_in_a_few_hundred_histories(first: int) -> None:
    assert _guilty(range(first, first + BATCH)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 10_000, 1000))
def test_nothing_forbidden_happens_in_ten_thousand_histories(first: int) -> None:
    assert _guilty(range(first, first + 1000)) == []


def test_a_history_is_the_same_each_time() -> None:
    for seed in (3, 5, 11):
        one, other = play(seed, verbose=True), play(seed, verbose=True)
        assert one.story == other.story


def test_the_fingerprint_of_a_history_changes_with_what_is_sent_and_with_nothing_else() -> None:
    backwards = next(mutant for mutant in MUTANTS if mutant.name == "turns the sequence round")
    before = fingerprint(100)
    assert fingerprint(100) == before
    with planted(backwards):
        assert fingerprint(100) != before


def test_a_world_and_its_processes_are_what_their_parts_take_them_for() -> None:
    it = Stage(servers=1)
    assert isinstance(it, parts.World)
    assert isinstance(it.current, parts.Process)


def _whole_incident(kill_at: int) -> Stage:
    """A host dies and comes back; the worker dies at the given call."""
    it = Stage(servers=2)
    it.cloud.add_server("stopped", "cmp1", "stopped")
    it.kill_at.add(kill_at)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    it.run_for(40.0)
    return it


def test_a_worker_may_die_at_any_call() -> None:
    """C6: before and after each look and each effect, from the fencing to the close."""
    calls = _whole_incident(0).calls
    assert calls > 100
    for number in range(1, calls + 1):
        it = _whole_incident(number)
        it.fair()
        assert [len(it.rows(ident)) for ident in ("s0", "s1", "stopped")] == [1, 1, 1], f"killed at call {number}"
        assert not it.cloud.computes["cmp1"].forced_down
        assert it.cloud.computes["cmp1"].enabled
