# SPDX-License-Identifier: Apache-2.0
"""What follows from a list that leaves something out, and when."""

from __future__ import annotations

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.errors import NovaUnavailable
from muster.core.nova_facts import Move, MoveStatus
from muster.engine.look import Look
from muster.engine.memory import MOVES, SERVERS, SERVICES, SKEW_S, HostMemory, Memory
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
    assert it.host.compute_finished_its_rows is back


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


def test_each_kind_of_read_waits_for_its_own_failures_only() -> None:
    """B41: longer each time, and never longer than half a minute, or than it takes."""
    memory, now = Memory(), 1000.0
    for pause in (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0):
        memory.note_trouble(MOVES, NovaUnavailable("no"), now)
        assert not memory.may_read(MOVES, now + pause - 0.1)
        assert memory.may_read(MOVES, now + pause)
        assert memory.may_read(SERVICES, now)
    memory.note_trouble(SERVICES, NovaUnavailable("no"), now)
    assert memory.may_read(SERVICES, now + 1.0)
    memory.note_trouble(SERVICES, NovaUnavailable("no"), now, took_s=75.0)
    assert memory.may_read(SERVICES, now + 75.0)
    assert not memory.may_read(SERVICES, now + 74.0)


def test_when_nova_asks_for_time_nothing_is_asked_of_it() -> None:
    """B4, B41: for half a minute at most."""
    memory = Memory()
    memory.note_trouble("list cmp1", NovaUnavailable("wait", retry_after_s=3600.0), 1000.0)
    assert not memory.may_read(SERVICES, 1029.0)
    assert memory.trouble_of_all(1029.0) == "wait"
    assert memory.may_read(SERVICES, 1030.0)
    assert memory.trouble_of_all(1030.0) == ""


def test_what_fails_for_one_host_is_told_of_that_host() -> None:
    """B41: and what fails for all is not in the way of a host whose own lists are fresh."""
    memory = Memory()
    memory.note_trouble("list cmp1", NovaUnavailable("no list"), 1000.0)
    memory.note_trouble(SERVERS, NovaUnavailable("no changes"), 1000.0)
    assert memory.unlisted("cmp1", fresh=True) == "no list"
    assert memory.unlisted("cmp2", fresh=True) == ""
    assert memory.unlisted("cmp2", fresh=False) == "no changes"
    assert memory.trouble_of_all(1000.0) == ""
    memory.note_trouble(SERVICES, NovaUnavailable("no services"), 1000.0)
    assert memory.trouble_of_all(1000.0) == "no services"


def test_troubles_are_forgotten_with_what_they_were_about() -> None:
    """B41."""
    memory = Memory()
    memory.hosts["cmp1"] = HostMemory(Record(Phase.EVACUATING, FENCED, FENCED), reread={"a"})
    for kind in ("list cmp1", "list cmp2", "server a", "server b", MOVES):
        memory.note_trouble(kind, NovaUnavailable("no"), 1000.0)
    memory.keep_troubles()
    assert set(memory.troubles) == {"list cmp1", "server a", MOVES}
    memory.hosts.clear()
    memory.keep_troubles()
    assert memory.troubles == {}


def test_what_nova_wrote_since_the_fencing_belongs_to_it_though_our_clock_is_behind() -> None:
    """B25: the record may be by a clock that is right, and ours be the wrong one."""
    host = HostMemory(Record(Phase.EVACUATING, 10_000, 10_000))
    assert host.since == 10_000 - SKEW_S
    host.ahead_s = 3600.0
    assert host.since == 10_000 - SKEW_S - 3600.0
