# SPDX-License-Identifier: Apache-2.0
"""What follows from a list that leaves something out, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.bounds import SKEW_S
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server
from muster.engine.inventory import Change, Inventory, Reading

FENCED = 1_000
DONE = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", FENCED + 10.0, FENCED + 20.0)
COMPLETED = Evacuation("2", "b", "cmp1", EvacuationStatus.COMPLETED, "cmp2", FENCED + 10.0, FENCED + 90.0)
OPEN = replace(DONE, status=EvacuationStatus.PRE_MIGRATING)
SERVER = Server("a", "cmp1", "active", updated=FENCED + 500.0)


class Known:
    """One host, and the lists of its evacuations as they are read one after the other."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self.evacuations = self.inventory.evacuations

    def listed(self, at: float, *evacuations: Evacuation) -> Change:
        return self.evacuations.note_all(evacuations, at, at, {})

    def answered(self, at: float) -> frozenset[str]:
        self.inventory.cell_answered(at)
        return self.evacuations.dropped


def test_nothing_is_proved_before_it_was_read() -> None:
    with pytest.raises(ValueError, match="proven before"):
        Reading(read_at=1.0, proven_at=2.0)


def test_a_reading_is_proved_by_an_answer_of_after_it() -> None:
    reading = Reading().read_again(10.0)
    assert reading.cell_answered(10.0) == reading
    assert reading.cell_answered(11.0) == Reading(10.0, 10.0)
    assert Reading(20.0, 10.0).cell_silent() == Reading(10.0, 10.0)


def test_an_evacuation_is_dropped_once_its_cell_answered_after_a_whole_list_without_it() -> None:
    """D7: Nova deletes it with its server."""
    it = Known()
    it.listed(10.0, DONE, COMPLETED)
    it.listed(20.0, COMPLETED)
    assert it.evacuations.dropped == frozenset()
    assert it.answered(20.0) == frozenset(), "its cell may have fallen silent in between"
    assert it.answered(21.0) == {"1"}
    assert set(it.evacuations.known) == {"a", "b"}, "and it is known all the same: nothing is sent a second time"


def test_a_list_of_what_is_new_says_nothing_of_what_is_old() -> None:
    it = Known()
    it.listed(10.0, DONE, COMPLETED)
    it.evacuations.note([COMPLETED], 20.0, 20.0, {})
    assert it.answered(30.0) == frozenset()


def test_a_silent_cell_drops_nothing() -> None:
    it = Known()
    it.listed(10.0, DONE)
    it.listed(20.0)
    it.inventory.cell_silent()
    assert it.answered(30.0) == frozenset()


def test_what_is_seen_again_was_not_dropped() -> None:
    it = Known()
    it.listed(10.0, DONE)
    it.listed(20.0)
    assert it.answered(21.0) == {"1"}
    it.evacuations.note([DONE], 30.0, 30.0, {})
    assert it.evacuations.dropped == frozenset()


@pytest.mark.parametrize(("dropped", "back"), [(False, False), (True, True)])
def test_a_compute_has_finished_when_nothing_that_nova_still_has_waits_for_it(dropped: bool, back: bool) -> None:
    it = Known()
    it.listed(10.0, DONE, COMPLETED)
    if dropped:
        it.listed(20.0, COMPLETED)
        it.answered(21.0)
    assert it.evacuations.all_finished(FENCED) is back
    assert not it.evacuations.all_finished(FENCED + 90.0), "all was so before"


def test_only_a_list_of_before_its_cell_answered_proves_that_nothing_else_is_there() -> None:
    """B13: a cell that falls silent between the services and the list leaves its rows out of it."""
    it = Known()
    it.listed(10.0)
    for answered_at in (5.0, 10.0):
        it.answered(answered_at)
        assert it.evacuations.reading.proven_at == 0.0, "it answered before: it may have been silent for that list"
    it.answered(11.0)
    assert it.evacuations.reading.proven_at == 10.0
    it.listed(20.0)
    it.answered(15.0)
    assert it.evacuations.reading.proven_at == 10.0
    it.inventory.cell_silent()
    it.answered(30.0)
    assert it.evacuations.reading.proven_at == 10.0, "what was listed since the last answer proves nothing"


def test_what_a_list_of_evacuations_has_changed() -> None:
    it = Known()
    assert it.listed(FENCED + 12.0, OPEN) == Change(True, frozenset(), ())
    assert it.listed(FENCED + 14.0, OPEN) == Change(False, frozenset(), ())
    change = it.listed(FENCED + 22.0, replace(OPEN, updated=FENCED + 15.0))
    assert change == Change(True, frozenset(), ()), "it goes on"
    change = it.listed(FENCED + 22.5, DONE)
    assert change == Change(True, frozenset({"a"}), (10.5,)), "as long as this worker has seen it"
    assert it.listed(FENCED + 24.0) == Change(False, frozenset(), ())


def test_an_evacuation_began_when_it_was_asked_for_where_that_is_known() -> None:
    it = Known().evacuations
    it.note([OPEN, replace(OPEN, id="3", server="c")], FENCED + 12.0, FENCED + 13.0, {"a": FENCED + 9.5})
    assert it.open_since == {"1": FENCED + 9.5, "3": FENCED + 12.0}
    assert it.end_seen_at == {}


def test_its_end_was_when_it_was_first_seen() -> None:
    it = Known().evacuations
    for at in (FENCED + 20.0, FENCED + 30.0):
        it.note([DONE], at, at + 1.0, {})
    assert (it.open_since, it.end_seen_at) == ({}, {"1": FENCED + 21.0})


def test_the_evacuations_of_a_server_are_in_the_order_in_which_they_were_created() -> None:
    it = Known().evacuations
    later = replace(OPEN, id="0", created=FENCED + 11.0)
    it.note([later, OPEN], FENCED + 12.0, FENCED + 12.0, {})
    assert it.of("a") == (OPEN, later)
    assert it.of("b") == ()


def test_a_list_of_servers_counts_once_its_cell_answered_after_it() -> None:
    """B13."""
    it = Inventory()
    assert it.list_wanted
    it.note_listed(10.0, 12.0)
    assert (it.listed_at, it.listed_by, it.list_wanted, it.doubted) == (10.0, 12.0, False, True)
    it.cell_answered(10.0)
    assert (it.doubted, it.first_proven_at) == (True, 0.0)
    it.cell_answered(20.0)
    assert (it.doubted, it.first_proven_at) == (False, 10.0)
    it.note_listed(30.0, 31.0)
    it.cell_answered(40.0)
    assert it.first_proven_at == 10.0


@pytest.mark.parametrize(("listed_at", "kept"), [(10.0, True), (20.0, False)])
def test_when_its_cell_falls_silent_the_last_list_counts_only_if_it_was_proved(listed_at: float, kept: bool) -> None:
    it = Inventory()
    it.note_listed(listed_at, listed_at)
    it.cell_answered(15.0)
    it.cell_silent()
    assert (bool(it.listed_at), it.silent, it.list_wanted) == (kept, True, True)
    it.cell_answered(30.0)
    assert not it.silent


def test_changes_are_known_to_the_last_time_that_was_proved_or_the_newest_that_was_shown() -> None:
    """B42: and not from before the incident."""
    it = Inventory()
    assert it.changes_known_to(FENCED) == FENCED
    it.note_changes_read(FENCED + 100.0)
    assert it.changes_known_to(FENCED) == FENCED
    it.cell_answered(FENCED + 101.0)
    assert it.changes_known_to(FENCED) == FENCED + 100.0 - SKEW_S
    it.note_changes_read(FENCED + 200.0)
    it.cell_silent()
    assert it.changes_known_to(FENCED) == FENCED + 100.0 - SKEW_S
    it.note_change(SERVER)
    it.note_change(replace(SERVER, updated=FENCED + 1.0))
    assert it.changes_known_to(FENCED) == SERVER.updated


def test_a_server_that_no_list_shows_is_read_by_itself() -> None:
    """B42."""
    it = Inventory()
    it.want_server("a")
    assert (it.servers["a"].known, it.to_read, it.read_at) == (False, {"a"}, {})
    it.note_server(SERVER, 10.0)
    it.note_single("a")
    assert (it.servers["a"], it.to_read, it.read_at) == (SERVER, set(), {"a": 10.0})
    it.want_server("a")
    assert it.servers["a"] == SERVER, "what is known of it stays so until then"


def test_what_is_on_the_host_is_what_the_last_list_has_shown() -> None:
    it = Inventory()
    it.note_on_host(["a", "b"])
    it.note_on_host(["b"])
    assert it.on_host == {"b"}
    it.note_listed(1.0, 1.0)
    it.want_list()
    assert it.list_wanted
