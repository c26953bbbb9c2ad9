# SPDX-License-Identifier: Apache-2.0
"""Verdicts by what Nova shows of a server's evacuations: under way, arrived, failed, void; tries and pauses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.findings import Verdict
from muster.core.nova_facts import Evacuation, EvacuationStatus, Power, Service
from muster.core.sight import Outcome, Sent
from tests.unit.server_cases import ACTIVE, NOW, but, calls, case, evacuation, failure, judged, verdict


@pytest.mark.parametrize("status", ["accepted", "pre-migrating"])
@pytest.mark.parametrize("vm_state", ["active", "error", "stopped"])
def test_never_sends_while_an_evacuation_is_open(status: str, vm_state: str) -> None:
    """B6, B10."""
    server = replace(ACTIVE, vm_state=vm_state)
    assert verdict(case(server, evacuation(status, "other"))) == (Verdict.EVACUATING, "on-the-way", "")


@pytest.mark.parametrize("status", ["accepted", "pre-migrating"])
def test_a_host_is_released_with_nothing_under_way(status: str) -> None:
    """B6, D1: an operator leaves on it what waits, and what Nova is at goes on: its nova-compute must not start yet."""
    assert verdict(case(ACTIVE, released=True))[:2] == (Verdict.HELD, "released")
    assert verdict(case(ACTIVE, evacuation(status, "other"), released=True))[:2] == (Verdict.EVACUATING, "on-the-way")
    sent = Sent(NOW - 1, Outcome.UNCERTAIN, quiet_until=NOW + 29, evacuations_before=0)
    assert verdict(case(ACTIVE, sent=sent, released=True))[:2] == (Verdict.EVACUATING, "call-pending")


def test_an_unknown_migration_status_counts_as_open() -> None:
    assert verdict(case(ACTIVE, Evacuation("1", "s1", "dead", EvacuationStatus.OTHER, "x", NOW, NOW)))[2] == ""


def test_active_on_the_dead_host_after_a_refused_claim_is_not_evacuated() -> None:
    """B9."""
    refused = evacuation("failed", "other", age=5)
    found = verdict(case(ACTIVE, refused, calls=calls((refused,), failure("other", harmless=True))))
    assert found == (Verdict.PARKED, "waits-for-retry", "")


def test_done_is_evacuated_only_where_nova_says_the_server_is() -> None:
    there = replace(ACTIVE, host="other", updated=NOW)
    assert verdict(case(there, evacuation("done", "other")))[0] is Verdict.EVACUATED
    assert verdict(case(replace(there, host="third"), evacuation("done", "other")))[0] is not Verdict.EVACUATED
    assert verdict(case(replace(there, host="dead"), evacuation("done", "other")))[0] is Verdict.UNKNOWN


def test_completed_with_the_server_still_rebuilding_on_the_dead_host_is_held() -> None:
    stuck = replace(ACTIVE, task_state="rebuilding")
    assert verdict(case(stuck, evacuation("completed", "other", age=500)))[:2] == (
        Verdict.HELD,
        "completed-but-not-moved",
    )


def test_a_server_that_came_back_after_an_earlier_evacuation_is_evacuated_again() -> None:
    back = case(ACTIVE, evacuation("completed", "other", age=500))
    assert verdict(but(back, first=NOW - 400))[2] == "evacuate"


@pytest.mark.parametrize("updated", [NOW - 400, NOW - 1])
def test_completed_says_nothing_of_a_server_that_is_not_there_yet(updated: float) -> None:
    """A nova-compute started by hand on the dead host completes what is under way: the guest came up twice."""
    fresh = but(case(replace(ACTIVE, updated=updated), evacuation("completed", "other", age=5)), first=NOW - 10)
    assert verdict(fresh)[:2] == (Verdict.UNKNOWN, "finish-unseen")
    later = but(fresh, now=NOW + 90)
    assert verdict(later)[:2] == (Verdict.HELD, "completed-but-not-moved")


def test_tries_are_counted_from_nova_and_end() -> None:
    """B8."""
    failed = [evacuation("failed", age=100 - i, ident=str(i)) for i in range(3)]
    assert verdict(case(ACTIVE, *failed[:2], host_became_usable_at=0.0))[2] == "evacuate"
    assert verdict(case(ACTIVE, *failed))[:2] == (Verdict.HELD, "exhausted")


def test_what_another_hand_tried_before_muster_began_uses_no_attempt_up() -> None:
    """B8."""
    failed = [evacuation("failed", age=100 - i, ident=str(i)) for i in range(3)]
    assert verdict(case(ACTIVE, *failed, claimed_at=NOW - 90))[2] == "evacuate"
    ours = [evacuation("failed", age=80 - i, ident=str(i)) for i in range(3, 6)]
    assert verdict(case(ACTIVE, *failed, *ours, claimed_at=NOW - 90))[:2] == (Verdict.HELD, "exhausted")


def test_the_pause_between_tries_doubles_and_ends_when_room_appears() -> None:
    """B7."""
    error = replace(ACTIVE, vm_state="error", fault="No valid host was found.")
    first, second = evacuation("error", age=15, ident="1"), evacuation("error", age=15, ident="2")
    assert verdict(case(error, first))[2] == "evacuate"
    assert verdict(case(error, first, second))[0] is Verdict.PARKED
    assert verdict(case(error, first, second, host_became_usable_at=NOW - 1))[2] == "evacuate"
    assert "No valid host" in judged(case(error, first, second))[0].reason


def test_a_move_to_a_host_that_died_is_void_and_only_then() -> None:
    """B11."""
    stuck = evacuation("pre-migrating", "second", age=100)
    assert verdict(case(ACTIVE, stuck))[0] is Verdict.EVACUATING
    assert verdict(case(ACTIVE, stuck, dead={"second": NOW - 200}))[0] is Verdict.EVACUATING
    assert verdict(case(ACTIVE, stuck, dead={"second": NOW - 50}))[2] == "evacuate"
    assert verdict(case(ACTIVE, stuck, dead={"third": NOW - 50}))[0] is Verdict.EVACUATING
    began_since = replace(stuck, updated=NOW - 40)  # it had waited in that host's queue, and the host has returned
    assert verdict(case(ACTIVE, began_since, dead={"second": NOW - 50}))[0] is Verdict.EVACUATING


def test_what_was_proved_stays_proved_whatever_its_owner_does() -> None:
    there = replace(ACTIVE, host="other", vm_state="paused")
    assert verdict(case(there, evacuation("done", "other"), proved=True))[0] is Verdict.EVACUATED
    assert verdict(case(there, evacuation("done", "other")))[0] is Verdict.HELD


def test_a_rebuild_that_takes_too_long_raises_an_alarm_and_nothing_else() -> None:
    """B10."""
    finding, step = judged(case(ACTIVE, evacuation("pre-migrating", "other", age=1000)))
    assert (finding.verdict, finding.alarm, step) == (Verdict.EVACUATING, True, "")
    assert not finding.under_way, "it takes nobody's place"


def test_what_its_host_did_to_a_server_as_it_came_back_is_told() -> None:
    """A20: an order that had waited for the host is carried out there, and Nova believes it."""
    there = replace(ACTIVE, host="other", updated=NOW)
    arrived = evacuation("done", "other", age=500)
    proved = {"proved": True, "before": there, "log_read": True, "back_at": NOW - 9}
    assert verdict(case(there, arrived, **proved))[:2] == (Verdict.EVACUATED, "proved")
    error = replace(there, vm_state="error")
    assert verdict(case(error, arrived, **{**proved, "log_read": False})) == (
        Verdict.UNKNOWN,
        "changed-unread",
        "read-log",
    )
    finding, _ = judged(case(error, arrived, **proved))
    assert (finding.verdict, finding.rule) == (Verdict.HELD, "changed-at-return")
    assert finding.reason.startswith("error on other since dead is back, active before")
    stopped = replace(there, vm_state="stopped")
    assert verdict(case(stopped, arrived, **proved))[0] is Verdict.HELD
    assert verdict(case(stopped, arrived, wanted=Power.STOPPED, **proved))[:2] == (Verdict.EVACUATED, "proved")
    assert verdict(case(error, arrived, **{**proved, "before": None}))[:2] == (Verdict.EVACUATED, "proved")


def test_what_is_on_a_host_that_is_back_is_open_no_more() -> None:
    """D2, A18: nothing is sent from a host that runs its servers again, and no incident ends with a server in the line."""
    assert verdict(case(back_at=NOW - 9)) == (Verdict.SKIPPED, "left-on-host", "")
    error = replace(ACTIVE, vm_state="error", fault="No luck")
    finding, step = judged(case(error, back_at=NOW - 9, first=NOW - 900))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "failed-at-return", "")
    assert finding.reason == "ERROR on its host, which is back (No luck): openstack server reboot --hard s1"
    caught = replace(error, task_state="resize_migrating", fault="")
    told = judged(case(caught, back_at=NOW - 9, first=NOW - 900))[0].reason
    assert told.endswith(
        "back: openstack server set --state active --auto-approve s1, then openstack server reboot --hard s1"
    )
    young = replace(error, created=NOW - 900)
    assert verdict(case(young, back_at=NOW - 9, first=NOW - 900))[:2] == (Verdict.HELD, "failed-at-return")
    newer = replace(error, created=NOW - 5)
    assert verdict(case(newer, back_at=NOW - 9, first=NOW - 900))[:2] == (Verdict.SKIPPED, "left-on-host")


def test_what_is_not_known_long_after_the_return_is_left_to_a_person() -> None:
    silent = replace(ACTIVE, known=False)
    assert verdict(case(silent, back_at=NOW - 100))[0] is Verdict.UNKNOWN
    finding, _ = judged(case(silent, back_at=NOW - 121))
    assert (finding.verdict, finding.rule) == (Verdict.HELD, "cell-silent")
    assert finding.reason.startswith("its host is back, but its outcome is still open: ")


def test_an_evacuation_of_unknown_age_takes_nobodys_place() -> None:
    """B43: with in_flight=1 one such row would stop everything for good.  But nothing says that it hangs."""
    row = Evacuation("7", "s1", "dead", EvacuationStatus.OTHER, created=0.0, unreadable="no time")
    timed = replace(row, created=NOW - 10)
    assert [(f.under_way, f.alarm) for f, _ in (judged(case(ACTIVE, r)) for r in (row, timed))] == [
        (False, False),
        (True, False),
    ]


def test_only_what_is_seen_to_be_on_its_way_is_said_to_hang() -> None:
    """B43: what cannot be read, or is waited for no longer, sends nobody to fence a host."""
    unreadable = Evacuation("7", "s1", "dead", EvacuationStatus.OTHER, created=NOW - 1000, unreadable="no time")
    accepted = evacuation("accepted", age=1000)
    cases = (
        case(ACTIVE, unreadable),
        case(ACTIVE, accepted, skipped=True),
        case(replace(ACTIVE, known=False), accepted),
        case(ACTIVE, accepted, back_at=NOW - 500),
    )
    found = [judged(it)[0] for it in cases]
    assert [f.rule for f in found] == ["evacuation-unreadable", "never-begun", "cell-silent", "not-begun"]
    assert not any(f.alarm or f.under_way for f in found)


ROOMS = [Service("u0", "dead", up=False), *(Service(f"u{n}", f"cmp{n}", up=True) for n in range(2, 6))]


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ([replace(ROOMS[1], enabled=False, disabled_reason="disk swap, bob")], "The only other compute, cmp2, is disabled: disk swap, bob"),
        ([replace(ROOMS[1], forced_down=True)], "The only other compute, cmp2, is forced down"),
        (ROOMS[1:2], "Other computes: cmp2 has no room that fits"),
        (
            [replace(ROOMS[1], enabled=False), replace(ROOMS[2], up=False), *ROOMS[3:]],
            "Other computes: cmp2 is disabled; cmp3 is down; cmp4, cmp5 have no room that fits",
        ),
        ([replace(it, up=False) for it in ROOMS[1:]], "cmp4 is down; 1 more are not in service"),
        ([replace(ROOMS[1], known=False), replace(ROOMS[2], unreadable="x")], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_where_there_is_no_room_it_says_what_is_with_the_other_computes(services: list[Service], said: str) -> None:
    """Nova's own words do not tell a full cloud from one in which somebody has disabled the only other host."""
    error = replace(ACTIVE, vm_state="error", fault="No valid host was found.")
    first = evacuation(EvacuationStatus.ERROR, dest="")
    reason = judged(case(error, first, services=(ROOMS[0], *services)))[0].reason
    assert reason.endswith(said or "No valid host was found")
    assert ("ther compute" in reason) == bool(said)
