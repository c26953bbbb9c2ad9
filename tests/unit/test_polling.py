# SPDX-License-Identifier: Apache-2.0
"""How soon Nova is asked again, in each plight."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.core.cluster_facts import Phase, Record
from muster.core.sight import Outcome, Sent
from muster.engine.calls import SentCalls
from muster.engine.inventory import Change, duration_s
from muster.engine.memory import HostMemory, Memory
from muster.engine.polling import (
    EARLY_S,
    POLL_MAX_S,
    POLL_MIN_S,
    POLL_PER_OPEN_S,
    POLL_QUICK_S,
    SENDING_POLL_S,
    SERVERS_CLOSE_S,
    SERVERS_EVERY_S,
    SHOWS_S,
    Polling,
)

LAST = 1_000.0


def pause(ends_in: tuple[float, ...] = (), took_s: float = 10.0, after_s: float = 0.0, **facts: Any) -> float:
    """Seconds from the last poll to the next one.

    :param ends_in: of each evacuation under way, when it is expected to end, from the last poll on.
    :param after_s: how long after the last poll that is asked.
    """
    memory = Memory(polling=Polling(polled_at=LAST, last_change_at=LAST - facts.pop("calm_s", 0.0)))
    host = HostMemory(Record(Phase.EVACUATING, 900, 900), sent=SentCalls(facts.pop("sent", {})))
    host.inventory.evacuations.open_since = {str(n): LAST + end - took_s for n, end in enumerate(ends_in)}
    memory.hosts["cmp1"] = host
    memory.polling.durations.append(took_s)
    for name, value in facts.items():
        setattr(memory.polling, name, value)
    return round(memory.poll_due(LAST + after_s) - LAST, 6)


def test_where_a_server_waits_the_next_poll_is_when_the_next_place_is_expected_to_be_free() -> None:
    assert pause((3.0, 4.0, 9.0), waiting=True) == 3.0 - EARLY_S
    assert pause((3.0, 4.0, 9.0), waiting=True, after_s=2.7) == 3.0 - EARLY_S
    assert pause((EARLY_S + 0.05,), waiting=True) == POLL_QUICK_S
    assert pause((60.0,), waiting=True) == POLL_MAX_S


def test_what_is_late_is_looked_for_ever_more_seldom() -> None:
    pauses = [pause((EARLY_S - late_s,), waiting=True) for late_s in (0.1, 1.0, 4.0, 60.0)]
    assert pauses == [POLL_QUICK_S, 0.25, 1.0, POLL_MAX_S]


def test_a_call_that_was_sent_is_looked_for_when_it_has_to_show() -> None:
    """A destination is not known before, and per_destination may leave no place until then."""
    sent = {"s": Sent(LAST, Outcome.TAKEN, LAST + 30, 0)}
    assert pause((9.0,), waiting=True, sent=sent) == SHOWS_S


@pytest.mark.parametrize(("took_s", "quickest"), [(2.0, 0.1), (20.0, 0.2), (60.0, 0.5)])
def test_the_longer_it_takes_the_less_it_matters(took_s: float, quickest: float) -> None:
    assert pause((0.0,), took_s, waiting=True) == quickest


@pytest.mark.parametrize(
    ("call_s", "quickest"),
    [
        (0.05, 0.1),  # ten that take 10 s: half a second of calls
        (0.3, 0.3),
        (0.5, 0.5),
        (5.0, 0.5),
    ],
)
def test_while_calls_keep_nova_busy_it_is_asked_less(call_s: float, quickest: float) -> None:
    assert pause((0.0,) * 10, 10.0, waiting=True, call_durations=[call_s]) == quickest


def test_where_nothing_waits_there_is_no_hurry() -> None:
    assert pause((4.0,)) == 2.0
    assert pause((4.0,), after_s=3.0) == 0.5
    assert pause((4.0,), sending=True) == SENDING_POLL_S


@pytest.mark.parametrize(
    ("by_nova", "as_seen", "took"),
    [
        (10.0, 10.7, 10.7),
        (11.0, 10.7, 11.0),
        (10.0, 14.0, 11.0),  # nobody looked
        (10.0, 0.5, 10.0),  # another worker had sent it
    ],
)
def test_how_long_it_took_is_what_was_seen_as_far_as_nova_agrees(by_nova: float, as_seen: float, took: float) -> None:
    assert duration_s(by_nova, as_seen) == took


@given(
    ends_in=st.lists(st.floats(-900, 900), max_size=150).map(tuple),
    took_s=st.sampled_from([0.0, 1.0, 10.0, 300.0]),
    after_s=st.floats(0, 900),
    calm_s=st.floats(0, 900),
    waiting=st.booleans(),
    sending=st.booleans(),
)
def test_never_more_often_than_it_costs_nor_later_than_is_bearable(ends_in: tuple[float, ...], **facts: Any) -> None:
    found, many = pause(ends_in, **facts), POLL_PER_OPEN_S * len(ends_in)
    assert round(max(POLL_QUICK_S, many - 0.5), 6) <= found
    assert found <= max(SENDING_POLL_S if facts["sending"] else POLL_MAX_S, many)


def test_what_is_asked_again_follows_what_was_seen_and_done() -> None:
    it = Polling()
    it.note_evacuations(Change(False, frozenset(), ()), LAST)
    assert (it.last_change_at, it.servers_due) == (0.0, False)
    it.note_evacuations(Change(True, frozenset(), ()), LAST)
    assert (it.last_change_at, it.servers_due) == (LAST, False)
    it.note_evacuations(Change(True, frozenset({"a"}), (7.0,)), LAST)
    assert (list(it.durations), it.servers_due) == ([7.0], True)
    it.note_servers_read(LAST + 1.0)
    assert (it.servers_read_at, it.servers_due) == (LAST + 1.0, False)
    it.want_servers()
    assert it.servers_due
    it.note_evacuations(Change(False, frozenset(), ()), LAST)
    assert it.servers_due, "until they are read"


def test_only_the_last_ten_durations_count() -> None:
    it = Polling()
    for number in range(11):
        it.note_call(float(number))
    assert list(it.call_durations) == [float(number) for number in range(1, 11)]


def test_arrivals_that_were_left_unread_are_read_once() -> None:
    it = Polling()
    it.leave_arrivals_unread()
    assert [it.take_arrivals_unread(), it.take_arrivals_unread()] == [True, False]


def test_what_this_worker_changes_is_looked_for_soon() -> None:
    it = Polling()
    it.note_polled(LAST)
    it.note_caused(LAST + 9.0)
    assert it.due([], [], LAST + 10.0) == LAST + POLL_MIN_S
    it.note_decided(sending=True, waiting=False)
    assert it.due([], [], LAST + 10.0) == LAST + SENDING_POLL_S
    it.forget()
    assert it.polled_at == 0.0


@pytest.mark.parametrize(("waiting", "every_s"), [(False, SERVERS_EVERY_S), (True, SERVERS_CLOSE_S)])
def test_servers_are_read_more_often_where_one_waits_for_another(waiting: bool, every_s: float) -> None:
    it = Polling()
    it.note_decided(sending=False, waiting=waiting)
    it.note_servers_read(LAST)
    assert [it.are_servers_due(LAST + every_s - 0.1), it.are_servers_due(LAST + every_s)] == [False, True]
    it.want_servers()
    assert it.are_servers_due(LAST)
