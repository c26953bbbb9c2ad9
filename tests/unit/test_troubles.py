# SPDX-License-Identifier: Apache-2.0
"""Which reads wait for which failures, and what is told of them."""

from __future__ import annotations

from muster.core.errors import NovaUnavailable
from muster.engine.troubles import EVACUATIONS, SERVERS, SERVICES, Troubles


def test_each_kind_of_read_waits_for_its_own_failures_only() -> None:
    """B41: longer each time, and never longer than half a minute, or than it takes."""
    it, now = Troubles(), 1000.0
    for pause in (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0):
        it.note_failed_read(EVACUATIONS, NovaUnavailable("no"), now)
        assert not it.may_read(EVACUATIONS, now + pause - 0.1)
        assert it.may_read(EVACUATIONS, now + pause)
        assert it.may_read(SERVICES, now)
    it.note_failed_read(SERVICES, NovaUnavailable("no"), now)
    assert it.may_read(SERVICES, now + 1.0)
    it.note_failed_read(SERVICES, NovaUnavailable("no"), now, took_s=75.0)
    assert it.may_read(SERVICES, now + 75.0)
    assert not it.may_read(SERVICES, now + 74.0)


def test_when_nova_asks_for_time_nothing_is_asked_of_it() -> None:
    """B4, B41: for half a minute at most."""
    it = Troubles()
    it.note_failed_read("list cmp1", NovaUnavailable("wait", retry_after_s=3600.0), 1000.0)
    assert not it.may_read(SERVICES, 1029.0)
    assert it.of_all(1029.0) == "wait"
    assert it.may_read(SERVICES, 1030.0)
    assert it.of_all(1030.0) == ""


def test_what_fails_for_one_host_is_told_of_that_host() -> None:
    """B41: and what fails for all is not in the way of a host whose own lists are fresh."""
    it = Troubles()
    it.note_failed_read("list cmp1", NovaUnavailable("no list"), 1000.0)
    it.note_failed_read(SERVERS, NovaUnavailable("no changes"), 1000.0)
    assert it.list_failed("cmp1") == "no list"
    assert it.list_failed("cmp2") == ""
    assert it.any_list_failed("cmp2") == "no changes"
    assert it.of_all(1000.0) == ""
    it.note_failed_read(SERVICES, NovaUnavailable("no services"), 1000.0)
    assert it.of_all(1000.0) == "no services"


def test_a_read_that_succeeds_ends_its_row_of_failures() -> None:
    it = Troubles()
    it.note_failed_read(EVACUATIONS, NovaUnavailable("no"), 1000.0)
    assert (it.lists_fail, it.faults(EVACUATIONS)) == (True, 1)
    it.note_read(EVACUATIONS)
    it.note_read(EVACUATIONS)
    assert (it.lists_fail, it.faults(EVACUATIONS), it.may_read(EVACUATIONS, 1000.0)) == (False, 0, True)


def test_a_call_that_failed_is_told_of_its_node_for_a_second() -> None:
    """B4."""
    it = Troubles()
    it.note_failed_call("cmp1", NovaUnavailable("no"), 1000.0)
    assert [it.call_failed(node, 1000.9) for node in ("cmp1", "cmp2")] == ["no", ""]
    assert it.call_failed("cmp1", 1001.0) == ""


def test_what_is_told_is_the_last_fault_until_a_look_says_otherwise() -> None:
    it = Troubles()
    for words in ("one", "two"):
        it.note_fault(NovaUnavailable(words), 1000.0)
    assert (it.message, it.faults_counted) == ("two", 2)
    it.say("")
    assert it.message == ""


def test_nova_may_be_asked_unless_it_has_asked_for_time() -> None:
    it = Troubles()
    assert it.may_ask(1000.0)
    it.note_fault(NovaUnavailable("wait", retry_after_s=5.0), 1000.0)
    it.note_fault(NovaUnavailable("wait", retry_after_s=1.0), 1000.0)
    assert [it.may_ask(1004.9), it.may_ask(1005.0)] == [False, True]


def test_only_troubles_of_what_is_asked_for_are_kept() -> None:
    """B41."""
    it = Troubles()
    for kind in ("list cmp1", "list cmp2", "server a", SERVERS):
        it.note_failed_read(kind, NovaUnavailable("no"), 1000.0)
    it.keep({"cmp1", "a"})
    assert set(it.by_kind) == {"list cmp1", "server a", SERVERS}
    it.keep(())
    assert it.by_kind == {}
