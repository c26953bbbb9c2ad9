# SPDX-License-Identifier: Apache-2.0
"""What follows from a list that leaves something out, and when."""

from __future__ import annotations

import pytest

from muster.facts import Move, MoveStatus, Phase, Record
from muster.look import Look
from muster.memory import HostMemory, Memory
from muster.pulse import has_finished_its_rows
from tests.fakes import FakeClock, FakeCluster, settings

FENCED = 1_000
DONE = Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", FENCED + 10.0, FENCED + 20.0)
COMPLETED = Move("2", "b", "cmp1", MoveStatus.COMPLETED, "cmp2", FENCED + 10.0, FENCED + 90.0)


class Known:
    """One host, and the lists of its evacuations as they are read one after the other."""

    def __init__(self) -> None:
        self.host = HostMemory(Record(Phase.RETURNING, FENCED, FENCED))
        self._look = Look(FakeCluster(), None, FakeClock(), settings(), Memory())  # type: ignore[arg-type]

    def listed(self, at: float, *moves: Move, whole: bool = True) -> None:
        self._look._note_moves(self.host, moves, at, whole)


def test_an_evacuation_is_dropped_once_its_cell_answered_after_a_whole_list_without_it() -> None:
    """D7: Nova deletes it with its server."""
    it = Known()
    it.listed(10.0, DONE, COMPLETED)
    it.listed(20.0, COMPLETED)
    assert it.host.dropped == frozenset()
    it.host.trust(20.0)
    assert it.host.dropped == frozenset(), "its cell may have fallen silent in between"
    it.host.trust(21.0)
    assert it.host.dropped == {"1"}
    assert set(it.host.moves) == {"a", "b"}, "and it is known all the same: nothing is sent a second time"


def test_a_list_of_what_is_new_says_nothing_of_what_is_old() -> None:
    it = Known()
    it.listed(10.0, DONE, COMPLETED)
    it.listed(20.0, COMPLETED, whole=False)
    it.host.trust(30.0)
    assert it.host.dropped == frozenset()


def test_a_silent_cell_drops_nothing() -> None:
    it = Known()
    it.listed(10.0, DONE)
    it.listed(20.0)
    it.host.distrust()
    it.host.trust(30.0)
    assert it.host.dropped == frozenset()


def test_what_is_seen_again_was_not_dropped() -> None:
    it = Known()
    it.listed(10.0, DONE)
    it.listed(20.0)
    it.host.trust(21.0)
    assert it.host.dropped == {"1"}
    it.listed(30.0, DONE, whole=False)
    assert it.host.dropped == frozenset()


@pytest.mark.parametrize(("dropped", "back"), [(frozenset(), False), (frozenset({"1"}), True)])
def test_a_compute_has_finished_when_nothing_that_nova_still_has_waits_for_it(
    dropped: frozenset[str], back: bool
) -> None:
    it = Known()
    it.listed(10.0, DONE, COMPLETED)
    it.host.dropped = dropped
    assert has_finished_its_rows(it.host) is back


def test_only_a_list_of_before_its_cell_answered_proves_that_nothing_else_is_there() -> None:
    """B13: a cell that falls silent between the services and the list leaves its rows out of it."""
    it = Known()
    it.listed(10.0)
    for answered_at in (5.0, 10.0):
        it.host.trust(answered_at)
        assert it.host.moves_at == 0.0, "it answered before: it may have been silent for that list"
    it.host.trust(11.0)
    assert it.host.moves_at == 10.0
    it.listed(20.0)
    it.host.trust(15.0)
    assert it.host.moves_at == 10.0
    it.host.distrust()
    it.host.trust(30.0)
    assert it.host.moves_at == 10.0, "what was listed before the silence, after the last answer, proves nothing"
