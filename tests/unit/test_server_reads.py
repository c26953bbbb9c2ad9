# SPDX-License-Identifier: Apache-2.0
"""Verdicts where what is known of a server is too old, cannot be read, or is being read again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.errors import Answer
from muster.core.findings import Verdict
from muster.core.nova_facts import Evacuation, EvacuationStatus, Power, Server
from muster.core.sight import Outcome, Sent, Tries
from tests.fakes import settings
from tests.unit.server_cases import ACTIVE, NOW, but, case, evacuation, judged, verdict


def test_a_log_that_nova_does_not_give_is_asked_for_less_often_and_not_for_ever() -> None:
    unknown = case(replace(ACTIVE, vm_state="error"), wanted=Power.UNKNOWN)
    assert verdict(unknown)[1:] == ("owner-unread", "read-log")
    assert verdict(but(unknown, unread=Tries(NOW - 5, 3)))[1:] == ("owner-unread", "")
    assert verdict(but(unknown, unread=Tries(NOW - 40, 3)))[1:] == ("owner-unread", "read-log")
    assert verdict(but(unknown, unread=Tries(NOW - 40, 10)))[0] is Verdict.HELD


def test_nobody_is_sent_to_a_server_that_was_read_before_its_evacuation_had_ended() -> None:
    """B40: a minute after the row was first seen to be done it is read once more, by our own clock."""
    lost = case(ACTIVE, evacuation("done", "other", age=500), ended_at=NOW - 59, read_at=NOW)
    assert verdict(lost) == (Verdict.UNKNOWN, "finish-unseen", "")
    late = but(lost, ended_at=NOW - 70)
    assert verdict(but(late, read_at=NOW - 70)) == (Verdict.UNKNOWN, "finish-older", "read-server")
    assert verdict(but(late, read_at=NOW - 11)) == (Verdict.UNKNOWN, "finish-older", "read-server")
    assert verdict(but(late, read_at=NOW - 10))[:2] == (Verdict.HELD, "completed-but-not-moved")


def test_nobody_is_sent_to_a_server_that_was_read_before_its_owners_wish() -> None:
    """B40: it may have been carried out by the time the wish was read."""
    there = case(
        replace(ACTIVE, host="other", vm_state="stopped"), evacuation("done", "other"), log_read=True, log_read_at=NOW
    )
    assert verdict(but(there, read_at=NOW - 1)) == (Verdict.UNKNOWN, "arrived-older", "read-server")
    assert verdict(there)[:2] == (Verdict.HELD, "arrived-otherwise")


def test_nobody_is_sent_to_look_for_a_call_whose_server_was_not_read_since() -> None:
    """B40: it may have been deleted, and its evacuations with it."""
    taken = case(sent=Sent(NOW - 100, Outcome.TAKEN, NOW - 40, 0, "req-1"))
    assert verdict(but(taken, read_at=NOW - 41)) == (Verdict.UNKNOWN, "call-older", "read-server")
    assert verdict(but(taken, read_at=NOW - 40))[:2] == (Verdict.HELD, "call-vanished")


def test_nothing_is_given_up_by_what_was_read_before_the_last_failure() -> None:
    """B40."""
    failed = case(ACTIVE, evacuation("failed"), policy=settings(attempts=1), ended_at=NOW - 1)
    assert verdict(but(failed, read_at=NOW - 2)) == (Verdict.UNKNOWN, "exhausted-older", "read-server")
    assert verdict(failed)[:2] == (Verdict.HELD, "exhausted")
    refused = case(
        policy=settings(attempts=1), sent=Sent(NOW - 1, Outcome.REFUSED, 0.0, 0, "", Answer.OTHER, "no", (NOW - 1,))
    )
    assert verdict(but(refused, read_at=NOW - 2)) == (Verdict.UNKNOWN, "exhausted-older", "read-server")


def test_a_server_that_is_being_read_again_is_neither_sent_nor_given_up() -> None:
    """B40."""
    assert verdict(case(reread=True)) == (Verdict.UNKNOWN, "being-read", "")


def test_an_action_log_that_fails_holds_nobody_up_until_it_is_asked_for_again() -> None:
    """B41: sooner at first."""
    unknown = case(replace(ACTIVE, vm_state="error"), wanted=Power.UNKNOWN)
    for tries, pause in ((1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (5, 30.0), (9, 30.0)):
        assert verdict(but(unknown, unread=Tries(NOW - pause + 0.1, tries)))[1:] == ("owner-unread", "")
        assert verdict(but(unknown, unread=Tries(NOW - pause, tries)))[1:] == ("owner-unread", "read-log")


def test_of_a_stopped_server_that_arrived_its_owners_orders_are_read() -> None:
    """D10: a start that was given right before it was sent waits for the dead host."""
    there = replace(ACTIVE, host="other", vm_state="stopped", updated=NOW)
    it = case(there, evacuation("done", "other"), wanted=Power.STOPPED, ended_at=NOW - 5)
    assert verdict(it) == (Verdict.UNKNOWN, "arrived-unread", "read-log")
    assert verdict(but(it, log_read=True, log_read_at=NOW - 6)) == (Verdict.UNKNOWN, "arrived-unread", "read-log")
    assert verdict(but(it, log_read=True, log_read_at=NOW - 5))[:2] == (Verdict.EVACUATED, "arrived-proved")
    assert judged(but(it, queued_start="start"))[0].queued_start == "start"


def test_a_server_whose_row_cannot_be_read_is_unknown_and_named() -> None:
    """B43."""
    unread = Server("s1", "dead", "", known=False, unreadable="the reply has 5 where the text 'status' belongs")
    finding, step = judged(case(unread))
    assert (finding.verdict, finding.rule, step) == (Verdict.UNKNOWN, "server-unreadable", "")
    assert "cannot read Nova's entry of server s1: the reply has 5 where the text 'status' belongs" in finding.reason


@pytest.mark.parametrize("created", [0.0, NOW - 10])
@pytest.mark.parametrize("others", [(), (evacuation("failed", "other", ident="2"),), (evacuation("error", ident="2"),)])
def test_an_evacuation_that_cannot_be_read_keeps_its_server_from_being_sent(
    created: float, others: tuple[Evacuation, ...]
) -> None:
    """B43: whether it is under way nobody can tell."""
    row = Evacuation("7", "s1", "dead", EvacuationStatus.OTHER, created=created, unreadable="no time")
    for server in (ACTIVE, replace(ACTIVE, vm_state="error"), replace(ACTIVE, host="other")):
        finding, step = judged(case(server, row, *others))
        assert (finding.verdict, finding.rule, step) == (Verdict.UNKNOWN, "evacuation-unreadable", "")
        assert "an evacuation of server s1: migration 7: no time" in finding.reason
    assert judged(case(replace(ACTIVE, host="other"), row, proved=True))[0].rule == "proved"
    # Not even if it had died with its destination: that may be another one by now.
    assert judged(case(ACTIVE, row, dead_evacuations=frozenset({"7"})))[0].rule == "evacuation-unreadable"
