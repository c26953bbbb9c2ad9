# SPDX-License-Identifier: Apache-2.0
"""Verdicts of one server from evidence: what may be said, and above all what may not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.facts import Calls, Move, MoveStatus, Outcome, Power, Sent, Server, Trace
from muster.rules import RESIZE_TASKS, RULES, judge
from muster.verdict import ServerCase, Verdict
from tests.fakes import settings

NOW = 1_800_000_000.0
ACTIVE = Server(id="s1", host="dead", vm_state="active", name="db", created=NOW - 9e6, updated=NOW - 9e4)


def case(server: Server = ACTIVE, *moves: Move, wanted: Power = Power.RUNNING, **facts: object) -> ServerCase:
    policy = facts.pop("policy", None) or settings()
    facts.setdefault("moves_at", NOW)
    facts.setdefault("read_at", NOW)
    return ServerCase(server, "dead", policy, NOW, moves, wanted=wanted, **facts)  # type: ignore[arg-type]


def move(status: str, dest: str = "", age: float = 10.0, ident: str = "1") -> Move:
    return Move(ident, "s1", "dead", MoveStatus(status), dest, NOW - age, NOW - age + 1)


def failure(dest: str = "", harmless: bool = False, met_guest: bool = False, words: str = "MessagingTimeout") -> Trace:
    """A call that failed on its destination; without one in the conductor."""
    landed = NOW - 9 if dest else 0.0
    return Trace("req-1", NOW - 10, dest, landed, NOW - 8, words, True, True, harmless, met_guest)


def calls(moves: tuple[Move, ...], *traces: Trace, age: float = 1.0, tries: int = 1, read: bool = True) -> Calls:
    return Calls(NOW - age, Calls.state_of(moves), tries, traces if read else None)


def verdict(it: ServerCase) -> tuple[Verdict, str, str]:
    finding, step = judge(it)
    return finding.verdict, finding.rule, step


def test_a_running_server_on_a_dead_host_is_ready_to_be_evacuated() -> None:
    """A1."""
    assert verdict(case()) == (Verdict.QUEUED, "ready", "evacuate")


@pytest.mark.parametrize("status", ["accepted", "pre-migrating"])
@pytest.mark.parametrize("vm_state", ["active", "error", "stopped"])
def test_never_sends_while_an_evacuation_is_open(status: str, vm_state: str) -> None:
    """B6, B10."""
    server = replace(ACTIVE, vm_state=vm_state)
    assert verdict(case(server, move(status, "other"))) == (Verdict.EVACUATING, "on-the-way", "")


@pytest.mark.parametrize("status", ["accepted", "pre-migrating"])
def test_a_host_is_released_with_nothing_under_way(status: str) -> None:
    """B6, D1: an operator leaves on it what waits, and what Nova is at goes on: its nova-compute must not start yet."""
    assert verdict(case(ACTIVE, released=True))[:2] == (Verdict.HELD, "released")
    assert verdict(case(ACTIVE, move(status, "other"), released=True))[:2] == (Verdict.EVACUATING, "on-the-way")
    sent = Sent(NOW - 1, Outcome.UNCERTAIN, quiet_until=NOW + 29, moves_before=0)
    assert verdict(case(ACTIVE, sent=sent, released=True))[:2] == (Verdict.EVACUATING, "call-pending")


def test_an_unknown_migration_status_counts_as_open() -> None:
    assert verdict(case(ACTIVE, Move("1", "s1", "dead", MoveStatus.OTHER, "x", NOW, NOW)))[2] == ""


def test_active_on_the_dead_host_after_a_refused_claim_is_not_evacuated() -> None:
    """B9."""
    refused = move("failed", "other", age=5)
    found = verdict(case(ACTIVE, refused, calls=calls((refused,), failure("other", harmless=True))))
    assert found == (Verdict.PARKED, "waits-for-retry", "")


def test_done_is_evacuated_only_where_nova_says_the_server_is() -> None:
    there = replace(ACTIVE, host="other", updated=NOW)
    assert verdict(case(there, move("done", "other")))[0] is Verdict.EVACUATED
    assert verdict(case(replace(there, host="third"), move("done", "other")))[0] is not Verdict.EVACUATED
    assert verdict(case(replace(there, host="dead"), move("done", "other")))[0] is Verdict.UNKNOWN


def test_completed_with_the_server_still_rebuilding_on_the_dead_host_is_held() -> None:
    stuck = replace(ACTIVE, task_state="rebuilding")
    assert verdict(case(stuck, move("completed", "other", age=500)))[:2] == (Verdict.HELD, "finish-false")


def test_a_server_that_came_back_after_an_earlier_evacuation_is_evacuated_again() -> None:
    back = case(ACTIVE, move("completed", "other", age=500))
    assert verdict(replace(back, first=NOW - 400))[2] == "evacuate"


@pytest.mark.parametrize("updated", [NOW - 400, NOW - 1])
def test_completed_says_nothing_of_a_server_that_is_not_there_yet(updated: float) -> None:
    """A nova-compute started by hand on the dead host completes what is under way: the guest came up twice."""
    fresh = replace(case(replace(ACTIVE, updated=updated), move("completed", "other", age=5)), first=NOW - 10)
    assert verdict(fresh)[:2] == (Verdict.UNKNOWN, "finish-unseen")
    later = replace(fresh, now=NOW + 90)
    assert verdict(later)[:2] == (Verdict.HELD, "finish-false")


def test_error_is_not_evacuated_before_its_owners_wish_is_known() -> None:
    """A3."""
    error = replace(ACTIVE, vm_state="error")
    assert verdict(case(error, wanted=Power.UNKNOWN)) == (Verdict.QUEUED, "owner-unread", "read-log")
    assert verdict(case(error, wanted=Power.UNKNOWN, log_read=True))[0] is Verdict.HELD
    assert verdict(case(error, wanted=Power.STOPPED))[2] == "evacuate"


def test_a_stopped_server_that_came_up_running_is_stopped_before_it_counts() -> None:
    """A2."""
    there = replace(ACTIVE, host="other", updated=NOW)
    assert verdict(case(there, move("done", "other"), wanted=Power.STOPPED))[2] == "read-log"
    assert verdict(case(there, move("done", "other"), wanted=Power.STOPPED, log_read=True)) == (
        Verdict.EVACUATING,
        "arrived-woken",
        "stop",
    )
    stopped = replace(there, vm_state="stopped")
    assert verdict(case(stopped, move("done", "other"), wanted=Power.STOPPED))[0] is Verdict.EVACUATED


def test_a_stop_is_not_repeated_at_once() -> None:
    there = replace(ACTIVE, host="other", updated=NOW)
    again = case(there, move("done", "other"), wanted=Power.STOPPED, stops=(NOW - 1, 1), log_read=True)
    assert verdict(again) == (Verdict.EVACUATING, "arrived-woken", "")


@pytest.mark.parametrize(
    ("vm_state", "expected"),
    [
        ("paused", Verdict.HELD),
        ("suspended", Verdict.HELD),
        ("rescued", Verdict.HELD),
        ("resized", Verdict.HELD),
        ("shelved", Verdict.HELD),
        ("building", Verdict.HELD),
        ("shelved_offloaded", Verdict.SKIPPED),
        ("soft-delete", Verdict.SKIPPED),
        ("something-new", Verdict.HELD),
        ("", Verdict.HELD),
    ],
)
def test_states_that_nova_refuses_are_never_touched(vm_state: str, expected: Verdict) -> None:
    """A4, A5."""
    found, _, step = verdict(case(replace(ACTIVE, vm_state=vm_state)))
    assert (found, step) == (expected, "")


def test_a_server_being_deleted_is_not_brought_back() -> None:
    """A6."""
    fresh = replace(ACTIVE, task_state="deleting", updated=NOW - 1)
    assert verdict(case(fresh)) == (Verdict.UNKNOWN, "being-deleted", "")
    assert verdict(case(replace(fresh, updated=NOW - 999)))[:2] == (Verdict.HELD, "delete-unfinished")
    assert verdict(case(replace(ACTIVE, deleted=True)))[0] is Verdict.GONE


def test_a_server_in_live_migration_is_held_because_it_may_run_on_the_target() -> None:
    """A7."""
    assert verdict(case(replace(ACTIVE, task_state="migrating")))[:2] == (Verdict.HELD, "migrating")


@pytest.mark.parametrize("task", ["powering-off", "rebooting", "image_snapshot"])
def test_other_tasks_do_not_keep_a_server_from_evacuation(task: str) -> None:
    """A7."""
    assert verdict(case(replace(ACTIVE, task_state=task)))[2] == "evacuate"


def test_image_backed_without_shared_storage_is_held_and_a_volume_goes() -> None:
    """A8."""
    local = settings(shared_storage="no")
    assert verdict(case(replace(ACTIVE, image="img"), policy=local))[:2] == (Verdict.HELD, "would-be-empty")
    assert verdict(case(replace(ACTIVE, image=None), policy=local))[0] is Verdict.HELD
    assert verdict(case(replace(ACTIVE, image=""), policy=local))[2] == "evacuate"


@pytest.mark.parametrize("place", ["metadata", "extra_specs", "image_properties"])
def test_the_tag_is_matched_by_its_exact_key_only(place: str) -> None:
    """A10."""
    out = replace(ACTIVE, **{place: {"evacuable": "false"}})
    assert verdict(case(out))[:2] == (Verdict.SKIPPED, "opted-out")
    alike = replace(ACTIVE, **{place: {"not_evacuable": "true"}})
    tagged = settings(evacuate="tagged")
    assert verdict(case(alike))[2] == "evacuate"
    assert verdict(case(alike, policy=tagged))[:2] == (Verdict.SKIPPED, "not-tagged")
    assert verdict(case(replace(ACTIVE, **{place: {"evacuable": "true"}}), policy=tagged))[2] == "evacuate"


def sent(outcome: Outcome, age: float, quiet: float, status: int = 0, refusals: int = 0, before: int = 0) -> Sent:
    return Sent(NOW - age, outcome, NOW - age + quiet, before, "req-1", status, "No.", (NOW - age,) * refusals)


def test_a_lost_reply_is_not_followed_by_a_second_call_until_the_first_must_have_shown() -> None:
    """B1, B2."""
    assert verdict(case(sent=sent(Outcome.UNCERTAIN, 10, 30)))[:2] == (Verdict.EVACUATING, "call-pending")
    assert verdict(case(sent=sent(Outcome.UNCERTAIN, 31, 30)))[2] == "evacuate"


def test_a_call_that_was_taken_is_never_sent_again_unseen() -> None:
    assert verdict(case(sent=sent(Outcome.TAKEN, 10, 60)))[:2] == (Verdict.EVACUATING, "call-pending")
    assert verdict(case(sent=sent(Outcome.TAKEN, 100, 60)))[:2] == (Verdict.HELD, "call-vanished")


def test_what_nova_refused_before_a_retry_does_not_count() -> None:
    """B3, D8: one refusal after it was the last of all attempts."""
    again = replace(sent(Outcome.REFUSED, 1, 0, 409), refused=(NOW - 90, NOW - 80, NOW - 70, NOW - 1))
    assert verdict(case(sent=again))[0] is Verdict.HELD
    assert verdict(case(sent=again, retried_at=NOW - 50))[0] is Verdict.PARKED


def test_a_refusal_is_that_servers_own_affair() -> None:
    """B3."""
    assert verdict(case(sent=sent(Outcome.REFUSED, 1, 0, 403, 1)))[:2] == (Verdict.HELD, "forbidden")
    assert verdict(case(sent=sent(Outcome.REFUSED, 1, 0, 409, 1)))[0] is Verdict.PARKED
    assert verdict(case(sent=sent(Outcome.REFUSED, 11, 0, 409, 1)))[2] == "evacuate"
    finding, _ = judge(case(sent=sent(Outcome.REFUSED, 1, 0, 409, 3)))
    assert finding.verdict is Verdict.HELD
    assert "No." in finding.reason


def test_a_destination_that_nova_does_not_know_makes_no_server_gone() -> None:
    """A9."""
    mapped = settings(target_map="dead:cmp9")
    assert verdict(case(policy=mapped, listed_at=NOW, sent=sent(Outcome.REFUSED, 1, 0, 404, 1)))[0] is Verdict.PARKED
    finding, _ = judge(case(policy=mapped, listed_at=NOW, sent=sent(Outcome.REFUSED, 1, 0, 404, 3)))
    assert (finding.verdict, "No." in finding.reason) == (Verdict.HELD, True)


def test_a_server_is_gone_when_a_list_after_the_404_agrees() -> None:
    """A12, B30: one reply alone proves nothing; what is still listed on its host is tried again like anything else."""
    refused = sent(Outcome.REFUSED, 20, 0, 404, 1)
    assert verdict(case(sent=refused)) == (Verdict.UNKNOWN, "not-found", "")
    assert verdict(case(sent=refused, listed_at=NOW - 20, listed=False)) == (Verdict.UNKNOWN, "not-found", "")
    assert verdict(case(sent=refused, listed_at=NOW - 19, listed=False)) == (Verdict.GONE, "vanished", "")
    assert verdict(case(sent=refused, listed_at=NOW - 19))[1:] == ("ready", "evacuate")
    again = {"retried_at": NOW - 10}  # an operator knows better
    assert verdict(case(sent=refused, listed_at=NOW - 19, listed=False, **again))[1:] == ("ready", "evacuate")


def test_tries_are_counted_from_nova_and_end() -> None:
    """B8."""
    failed = [move("failed", age=100 - i, ident=str(i)) for i in range(3)]
    assert verdict(case(ACTIVE, *failed[:2], room_at=0.0))[2] == "evacuate"
    assert verdict(case(ACTIVE, *failed))[:2] == (Verdict.HELD, "exhausted")


def test_what_another_hand_tried_before_muster_began_uses_no_attempt_up() -> None:
    """B8."""
    failed = [move("failed", age=100 - i, ident=str(i)) for i in range(3)]
    assert verdict(case(ACTIVE, *failed, claimed_at=NOW - 90))[2] == "evacuate"
    ours = [move("failed", age=80 - i, ident=str(i)) for i in range(3, 6)]
    assert verdict(case(ACTIVE, *failed, *ours, claimed_at=NOW - 90))[:2] == (Verdict.HELD, "exhausted")


def test_the_pause_between_tries_doubles_and_ends_when_room_appears() -> None:
    """B7."""
    error = replace(ACTIVE, vm_state="error", fault="No valid host was found.")
    first, second = move("error", age=15, ident="1"), move("error", age=15, ident="2")
    assert verdict(case(error, first))[2] == "evacuate"
    assert verdict(case(error, first, second))[0] is Verdict.PARKED
    assert verdict(case(error, first, second, room_at=NOW - 1))[2] == "evacuate"
    assert "No valid host" in judge(case(error, first, second))[0].reason


def test_a_move_to_a_host_that_died_is_void_and_only_then() -> None:
    """B11."""
    stuck = move("pre-migrating", "second", age=100)
    assert verdict(case(ACTIVE, stuck))[0] is Verdict.EVACUATING
    assert verdict(case(ACTIVE, stuck, dead={"second": NOW - 200}))[0] is Verdict.EVACUATING
    assert verdict(case(ACTIVE, stuck, dead={"second": NOW - 50}))[2] == "evacuate"
    assert verdict(case(ACTIVE, stuck, dead={"third": NOW - 50}))[0] is Verdict.EVACUATING
    began_since = replace(stuck, updated=NOW - 40)  # it had waited in that host's queue, and the host has returned
    assert verdict(case(ACTIVE, began_since, dead={"second": NOW - 50}))[0] is Verdict.EVACUATING


def test_another_workers_call_may_still_be_under_way() -> None:
    """C6."""
    waiting = case(resumed_until=NOW + 5)
    assert verdict(waiting) == (Verdict.QUEUED, "waits-for-earlier-call", "")
    assert verdict(case(resumed_until=NOW - 1))[2] == "evacuate"


def test_what_was_proved_stays_proved_whatever_its_owner_does() -> None:
    there = replace(ACTIVE, host="other", vm_state="paused")
    assert verdict(case(there, move("done", "other"), proved=True))[0] is Verdict.EVACUATED
    assert verdict(case(there, move("done", "other")))[0] is Verdict.HELD


def test_what_its_owner_deleted_is_gone_whatever_was_under_way() -> None:
    """A12."""
    deleted = replace(ACTIVE, deleted=True)
    for it in (case(deleted), case(deleted, move("failed", "other")), case(deleted, move("accepted"))):
        assert verdict(it) == (Verdict.GONE, "deleted", "")


def test_moved_by_another_hand_is_left_alone() -> None:
    """A13."""
    assert verdict(case(replace(ACTIVE, host="elsewhere")))[:2] == (Verdict.SKIPPED, "moved-by-hand")
    ours = Sent(NOW - 5, Outcome.TAKEN, quiet_until=NOW + 55, moves_before=0)
    assert verdict(case(replace(ACTIVE, host="elsewhere"), sent=ours))[:2] == (Verdict.EVACUATING, "call-pending")


def test_a_rebuild_that_takes_too_long_raises_an_alarm_and_nothing_else() -> None:
    """B10."""
    finding, step = judge(case(ACTIVE, move("pre-migrating", "other", age=1000)))
    assert (finding.verdict, finding.alarm, step) == (Verdict.EVACUATING, True, "")


def test_rule_names_are_unique_and_only_open_verdicts_have_steps() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(rule.verdict.open for rule in RULES if rule.step)


AMPHORA = "amphora-0f6a2c1e-7c0b-4a35-9a55-2d2e6f9f5a11"


@pytest.mark.parametrize(
    ("marks", "facts", "kept"),
    [
        (None, {"name": AMPHORA}, True),
        (None, {"name": "amphora-of-wine"}, False),
        ("none", {"name": AMPHORA}, False),
        ("tag=capi-*;keeper=magnum", {"tags": ("x", "capi-7")}, True),
        ("tag=capi-*;keeper=magnum", {"metadata": {"keeper": "magnum"}}, True),
        ("tag=capi-*;keeper=magnum", {"extra_specs": {"keeper": "magnum"}}, True),
        ("tag=capi-*;keeper=magnum", {"image_properties": {"keeper": "magnum"}}, True),
        ("tag=capi-*;keeper=magnum", {"metadata": {"not_keeper": "magnum", "tag": "kapi"}}, False),
        ("project=p1", {"project": "p1"}, True),
        ("project=p1", {"project": "p11"}, False),
    ],
)
def test_what_others_look_after_is_skipped_by_its_mark(marks: str | None, facts: dict[str, object], kept: bool) -> None:
    """A11."""
    policy = settings() if marks is None else settings(left_to_others=marks)
    found = verdict(case(replace(ACTIVE, **facts), policy=policy))  # type: ignore[arg-type]
    assert found[:2] == ((Verdict.SKIPPED, "other-keeper") if kept else (Verdict.QUEUED, "ready"))


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued"])
def test_a_state_that_nova_refuses_is_reset_only_where_the_operator_said_so(vm_state: str) -> None:
    """A4."""
    server = replace(ACTIVE, vm_state=vm_state)
    allowed = settings(reset_states=vm_state)
    others = settings(reset_states=",".join({"paused", "suspended", "rescued"} - {vm_state}))
    assert verdict(case(server, policy=allowed)) == (Verdict.QUEUED, "to-be-reset", "reset")
    assert verdict(case(server, policy=others)) == (Verdict.HELD, "state-refused", "")
    # Once is enough, until it should have shown; then again; and in the end a person has to look.
    assert verdict(case(server, policy=allowed, resets=(NOW - 1, 1)))[1:] == ("to-be-reset", "")
    assert verdict(case(server, policy=allowed, resets=(NOW - 31, 2)))[1:] == ("to-be-reset", "reset")
    assert verdict(case(server, policy=allowed, resets=(NOW - 31, 3)))[:2] == (Verdict.HELD, "state-refused")


def test_no_state_is_reset_of_what_is_not_to_be_evacuated() -> None:
    policy = settings(reset_states="paused", shared_storage="no")
    paused = replace(ACTIVE, vm_state="paused", image="i1")
    assert verdict(case(paused, policy=policy))[1] == "would-be-empty"
    assert verdict(case(replace(paused, image="", metadata={"evacuable": "no"}), policy=policy))[0] is Verdict.SKIPPED
    assert verdict(case(replace(paused, image="", vm_state="resized"), policy=policy))[0] is Verdict.HELD


def test_a_log_that_nova_does_not_give_is_asked_for_less_often_and_not_for_ever() -> None:
    unknown = case(replace(ACTIVE, vm_state="error"), wanted=Power.UNKNOWN)
    assert verdict(unknown)[1:] == ("owner-unread", "read-log")
    assert verdict(replace(unknown, unread=(NOW - 5, 3)))[1:] == ("owner-unread", "")
    assert verdict(replace(unknown, unread=(NOW - 40, 3)))[1:] == ("owner-unread", "read-log")
    assert verdict(replace(unknown, unread=(NOW - 40, 10)))[0] is Verdict.HELD


def test_nobody_is_sent_to_a_server_that_was_read_before_its_evacuation_had_ended() -> None:
    """B40: a minute after the row was first seen to be done it is read once more, by our own clock."""
    lost = case(ACTIVE, move("done", "other", age=500), ended_at=NOW - 59, read_at=NOW)
    assert verdict(lost) == (Verdict.UNKNOWN, "finish-unseen", "")
    late = replace(lost, ended_at=NOW - 70)
    assert verdict(replace(late, read_at=NOW - 70)) == (Verdict.UNKNOWN, "finish-older", "read-server")
    assert verdict(replace(late, read_at=NOW - 11)) == (Verdict.UNKNOWN, "finish-older", "read-server")
    assert verdict(replace(late, read_at=NOW - 10))[:2] == (Verdict.HELD, "finish-false")


def test_nobody_is_sent_to_a_server_that_was_read_before_its_owners_wish() -> None:
    """B40: it may have been carried out by the time the wish was read."""
    there = case(
        replace(ACTIVE, host="other", vm_state="stopped"), move("done", "other"), log_read=True, log_read_at=NOW
    )
    assert verdict(replace(there, read_at=NOW - 1)) == (Verdict.UNKNOWN, "arrived-older", "read-server")
    assert verdict(there)[:2] == (Verdict.HELD, "arrived-otherwise")


def test_nobody_is_sent_to_look_for_a_call_whose_server_was_not_read_since() -> None:
    """B40: it may have been deleted, and its evacuations with it."""
    taken = case(sent=Sent(NOW - 100, Outcome.TAKEN, NOW - 40, 0, "req-1"))
    assert verdict(replace(taken, read_at=NOW - 41)) == (Verdict.UNKNOWN, "call-older", "read-server")
    assert verdict(replace(taken, read_at=NOW - 40))[:2] == (Verdict.HELD, "call-vanished")


def test_nothing_is_given_up_by_what_was_read_before_the_last_failure() -> None:
    """B40."""
    failed = case(ACTIVE, move("failed"), policy=settings(attempts=1), ended_at=NOW - 1)
    assert verdict(replace(failed, read_at=NOW - 2)) == (Verdict.UNKNOWN, "exhausted-older", "read-server")
    assert verdict(failed)[:2] == (Verdict.HELD, "exhausted")
    refused = case(policy=settings(attempts=1), sent=Sent(NOW - 1, Outcome.REFUSED, 0.0, 0, "", 409, "no", (NOW - 1,)))
    assert verdict(replace(refused, read_at=NOW - 2)) == (Verdict.UNKNOWN, "exhausted-older", "read-server")


def test_a_server_that_is_being_read_again_is_neither_sent_nor_given_up() -> None:
    """B40."""
    assert verdict(case(reread=True)) == (Verdict.UNKNOWN, "being-read", "")


def test_an_action_log_that_fails_holds_nobody_up_until_it_is_asked_for_again() -> None:
    """B41: sooner at first."""
    unknown = case(replace(ACTIVE, vm_state="error"), wanted=Power.UNKNOWN)
    for tries, pause in ((1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (5, 30.0), (9, 30.0)):
        assert verdict(replace(unknown, unread=(NOW - pause + 0.1, tries)))[1:] == ("owner-unread", "")
        assert verdict(replace(unknown, unread=(NOW - pause, tries)))[1:] == ("owner-unread", "read-log")


# ------------------------------------------------------------------------------- what became of a call inside Nova


def test_a_failure_says_nothing_before_it_is_known_where_it_came() -> None:
    """A17: Nova writes `failed` for whatever goes wrong, also after the guest was started (facts.md N15)."""
    failed = move("failed", "other", age=60)
    assert verdict(case(ACTIVE, failed)) == (Verdict.QUEUED, "failure-unread", "read-calls")
    older = calls((), failure("other", harmless=True))
    assert verdict(case(ACTIVE, failed, calls=older)) == (Verdict.QUEUED, "failure-unread", "read-calls")


def test_what_failed_before_its_guest_was_started_may_go_anywhere() -> None:
    """A17, B9."""
    failed = move("failed", "other", age=60)
    finding, step = judge(case(ACTIVE, failed, calls=calls((failed,), failure("other", harmless=True))))
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "")
    assert judge(case(ACTIVE, move("failed", age=60)))[0].rule == "ready", "it was let in nowhere"


@pytest.mark.parametrize(
    "known",
    [
        (failure("other"),),
        (),
        (failure("third", harmless=True),),
        (failure("other", harmless=True), failure("other")),
    ],
    ids=["after the spawn", "no call", "another call", "one of two"],
)
def test_what_may_have_been_started_is_tried_there_and_nowhere_else(known: tuple[Trace, ...]) -> None:
    """A17: Nova refuses it there if its guest is there."""
    failed = move("failed", "other", age=60)
    finding, step = judge(case(ACTIVE, failed, calls=calls((failed,), *known)))
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "other")


def test_a_failure_that_nova_does_not_show_counts_as_one_after_the_start() -> None:
    """A17."""
    failed = move("failed", "other", age=60)
    unread = [verdict(case(ACTIVE, failed, calls=calls((failed,), age=60.0, tries=n, read=False))) for n in (1, 2, 3)]
    assert [it[1:] for it in unread] == [
        ("failure-unread", "read-calls"),
        ("failure-unread", "read-calls"),
        ("ready", "evacuate"),
    ]
    assert judge(case(ACTIVE, failed, calls=calls((failed,), tries=3, read=False)))[0].target == "other"
    assert verdict(case(ACTIVE, failed, calls=calls((failed,), age=10.0, read=False)))[1:] == ("failure-unread", "")


def test_a_guest_that_nova_has_met_is_held_until_an_operator_has_removed_it() -> None:
    """A17."""
    moves = (move("failed", "other", age=90), move("failed", "other", age=60, ident="2"))
    met = calls(moves, failure("other"), failure("other", harmless=True, met_guest=True))
    finding, step = judge(case(ACTIVE, *moves, calls=met))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "guest-left", "")
    assert "virsh destroy s1; virsh undefine s1" in finding.reason
    again, step = judge(case(ACTIVE, *moves, calls=met, retried_at=NOW - 1))
    assert (again.rule, step, again.target) == ("ready", "evacuate", "other")


def test_what_may_run_on_two_hosts_is_a_persons_to_decide() -> None:
    """A17."""
    moves = (move("failed", "other", age=90), move("failed", "third", age=60, ident="2"))
    finding, step = judge(case(ACTIVE, *moves, calls=calls(moves, failure("other"), failure("third"))))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "failed-on-several", "")


def test_a_host_that_was_fenced_since_has_no_guest_left_from_a_failure() -> None:
    """A17, B11."""
    failed = move("failed", "other", age=60)
    finding, step = judge(case(ACTIVE, failed, dead={"other": NOW - 10}))
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "")
    assert judge(case(ACTIVE, failed, dead={"other": NOW - 70}))[0].target == "other"
    assert judge(case(ACTIVE, failed, voids=frozenset({"1"})))[0].target == ""


def test_the_last_word_about_a_guest_that_may_run_names_its_host() -> None:
    """A17: the advice is never one that starts a second guest."""
    moves = tuple(move("failed", "other", age=90 - n, ident=str(n)) for n in range(3))
    finding, _ = judge(case(ACTIVE, *moves, calls=calls(moves, *[failure("other")] * 3)))
    assert finding.rule == "exhausted"
    assert "it may run on other, where its rebuild failed: muster tries it nowhere else" in finding.reason
    no_room = (move("failed", "other", age=90), move("error", "other", age=1, ident="2"))
    finding, _ = judge(case(ACTIVE, *no_room, calls=calls(no_room, failure("other"))))
    assert (finding.rule, finding.target) == ("waits-for-retry", "other")


def test_a_call_that_the_conductor_has_dropped_is_sent_again() -> None:
    """B19: its row stays `accepted` for ever (facts.md N32)."""
    dropped = move("accepted", age=60)
    assert verdict(case(ACTIVE, dropped)) == (Verdict.EVACUATING, "not-begun", "read-calls")
    over = case(ACTIVE, dropped, calls=calls((dropped,), failure()))
    assert verdict(over)[1:] == ("ready", "evacuate")
    assert over.failures == 1
    parked = case(ACTIVE, replace(dropped, updated=NOW), calls=calls((dropped,), failure()))
    assert "1 of 3 tries failed: MessagingTimeout" in judge(parked)[0].reason


@pytest.mark.parametrize(
    "known",
    [
        calls((), failure()),
        calls((move("accepted", age=60),), replace(failure(), over=False)),
        calls((move("accepted", age=60),)),
        calls((move("accepted", age=60),), read=False),
    ],
    ids=["read before the row", "not over", "no call", "not shown"],
)
def test_a_call_that_may_still_be_carried_out_is_waited_for(known: Calls) -> None:
    """B6, B19."""
    assert verdict(case(ACTIVE, move("accepted", age=60), calls=known))[:2] == (Verdict.EVACUATING, "not-begun")


def test_one_call_that_is_not_over_keeps_every_row_open() -> None:
    """B19: the conductor takes any row that is `accepted`."""
    rows = (move("accepted", age=90), move("accepted", age=60, ident="2"))
    assert verdict(case(ACTIVE, *rows, calls=calls(rows, failure())))[1] == "not-begun"
    assert verdict(case(ACTIVE, *rows, calls=calls(rows, failure(), replace(failure(), over=False))))[1] == "not-begun"
    assert verdict(case(ACTIVE, *rows, calls=calls(rows, failure(), failure())))[2] == "evacuate"


def test_a_call_of_an_earlier_incident_has_made_no_row_of_this_one() -> None:
    """B19: nor does it say anything of those that have."""
    dropped = move("accepted", age=60)
    earlier = replace(failure(), at=NOW - 3600)
    known = case(ACTIVE, dropped, calls=calls((dropped,), earlier), first=NOW - 100)
    assert verdict(known)[:2] == (Verdict.EVACUATING, "not-begun")
    assert verdict(replace(known, calls=calls((dropped,), replace(earlier, over=False), failure())))[2] == "evacuate"


def test_a_call_that_died_with_its_destination_has_a_row_of_its_own() -> None:
    """B19, B11: it keeps no other row open, and before its claim it has none."""
    begun, dropped = move("pre-migrating", "other", age=90), move("accepted", age=60, ident="2")
    landed = Trace("req-1", NOW - 90, "other", NOW - 89)
    known = calls((begun, dropped), landed, failure())
    assert verdict(case(ACTIVE, begun, dropped, calls=known, dead={"other": NOW}))[2] == "evacuate"
    assert verdict(case(ACTIVE, begun, dropped, calls=known))[1] == "on-the-way"
    before = (replace(begun, status=MoveStatus.ACCEPTED), dropped)
    assert verdict(case(ACTIVE, *before, calls=calls(before, landed, failure())))[1] == "not-begun"


def test_what_has_arrived_by_the_row_of_an_earlier_call_is_proved() -> None:
    """B19: the row of the later call stays `accepted`."""
    there = replace(ACTIVE, host="other", updated=NOW)
    rows = (move("done", "other", age=20), move("accepted", age=15, ident="2"))
    assert verdict(case(there, *rows)) == (Verdict.EVACUATING, "not-begun", "read-calls")
    landed = Trace("req-2", NOW - 15, "other", NOW - 14, NOW - 5, over=True)
    assert verdict(case(there, *rows, calls=calls(rows, failure(), landed)))[:2] == (
        Verdict.EVACUATED,
        "arrived-proved",
    )


def test_nova_is_asked_ever_more_seldom_about_a_call_that_does_not_begin() -> None:
    """B19."""
    row = move("accepted", age=500)
    asked = [
        verdict(case(ACTIVE, row, calls=calls((row,), age=age, tries=n)))[2]
        for n, age in ((1, 29), (1, 31), (2, 59), (2, 61), (9, 601))
    ]
    assert asked == ["", "read-calls", "", "read-calls", "read-calls"]


@pytest.mark.parametrize("order", ["skipped", "released"])
def test_an_operator_ends_the_wait_for_what_nova_does_not_begin(order: str) -> None:
    """B19: only once it has taken as long as it may."""
    policy = settings(stuck_after_s="60")
    young, old = move("accepted", age=50), move("accepted", age=70)
    assert verdict(case(ACTIVE, young, policy=policy, **{order: True}))[1] == "not-begun"
    assert verdict(case(ACTIVE, old, policy=policy, **{order: True}))[:2] == (Verdict.HELD, "never-begun")
    assert f"muster skip {ACTIVE.id}" in judge(case(ACTIVE, old, policy=policy))[0].reason
    assert (
        verdict(case(ACTIVE, move("pre-migrating", "other", age=70), policy=policy, **{order: True}))[1] == "on-the-way"
    )


def test_what_nova_is_just_taking_is_not_sent_a_second_time() -> None:
    """B24: the task is written before the migration."""
    taking = replace(ACTIVE, task_state="rebuilding", updated=NOW - 5)
    assert verdict(case(taking)) == (Verdict.UNKNOWN, "call-begun", "")
    assert judge(case(taking))[0].under_way, "it takes a place of in_flight"
    assert verdict(case(replace(taking, updated=NOW - 90)))[2] == "evacuate"


@pytest.mark.parametrize("task", RESIZE_TASKS)
def test_a_resize_under_way_is_left_to_a_person(task: str) -> None:
    """A18: its next message waits for the dead host, whatever becomes of the server."""
    resizing = replace(ACTIVE, task_state=task)
    finding, step = judge(case(resizing))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "resizing", "")
    assert "openstack server set --state active ID" in finding.reason
    assert verdict(case(resizing, retried_at=NOW - 1))[2] == ("evacuate" if task == "resize_prep" else "")


@pytest.mark.parametrize("task", ["spawning", "unshelving"])
def test_an_unshelve_that_was_interrupted_is_held(task: str) -> None:
    """A18."""
    shelved = replace(ACTIVE, vm_state="shelved_offloaded", task_state=task)
    assert verdict(case(shelved)) == (Verdict.HELD, "unshelving", "")
    assert "db-shelved" in judge(case(shelved))[0].reason


def test_what_its_host_did_to_a_server_as_it_came_back_is_told() -> None:
    """A20: an order that had waited for the host is carried out there, and Nova believes it."""
    there = replace(ACTIVE, host="other", updated=NOW)
    arrived = move("done", "other", age=500)
    proved = {"proved": True, "before": there, "log_read": True, "back_at": NOW - 9}
    assert verdict(case(there, arrived, **proved))[:2] == (Verdict.EVACUATED, "proved")
    error = replace(there, vm_state="error")
    assert verdict(case(error, arrived, **{**proved, "log_read": False})) == (
        Verdict.UNKNOWN,
        "changed-unread",
        "read-log",
    )
    finding, _ = judge(case(error, arrived, **proved))
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
    finding, step = judge(case(error, back_at=NOW - 9, first=NOW - 900))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "failed-at-return", "")
    assert finding.reason == "ERROR on its host, which is back (No luck): openstack server reboot --hard ID"
    caught = replace(error, task_state="resize_migrating", fault="")
    told = judge(case(caught, back_at=NOW - 9, first=NOW - 900))[0].reason
    assert told.endswith("back: openstack server set --state active ID, then openstack server reboot --hard ID")
    young = replace(error, created=NOW - 900)
    assert verdict(case(young, back_at=NOW - 9, first=NOW - 900))[:2] == (Verdict.HELD, "failed-at-return")
    newer = replace(error, created=NOW - 5)
    assert verdict(case(newer, back_at=NOW - 9, first=NOW - 900))[:2] == (Verdict.SKIPPED, "left-on-host")


def test_what_is_not_known_long_after_the_return_is_left_to_a_person() -> None:
    silent = replace(ACTIVE, known=False)
    assert verdict(case(silent, back_at=NOW - 100))[0] is Verdict.UNKNOWN
    finding, _ = judge(case(silent, back_at=NOW - 121))
    assert (finding.verdict, finding.rule) == (Verdict.HELD, "cell-silent")
    assert finding.reason.startswith("its host is back, and still: ")


def test_a_call_that_is_not_begun_names_the_host_that_it_waits_for() -> None:
    """B29: by placement, which has the hypervisor's name."""
    row = move("accepted", age=90)
    waiting = replace(calls((row,)), claimed=("dead.example.org", "other.example.org"))
    finding, _ = judge(case(ACTIVE, row, calls=waiting))
    assert (finding.rule, finding.waits_for) == ("not-begun", "other.example.org")
    assert "not begun for 90 s: it waits for other.example.org, and begins when nova-compute runs" in finding.reason
    unknown, _ = judge(case(ACTIVE, row, calls=calls((row,))))
    assert (unknown.waits_for, "waits for" in unknown.reason) == ("", False)
    named = move("accepted", "third", age=90)
    assert judge(case(ACTIVE, named, calls=calls((named,))))[0].waits_for == "third"
    assert judge(case(ACTIVE, replace(row, status=MoveStatus.DONE), calls=waiting))[0].waits_for == ""
    older = case(ACTIVE, replace(row, id="2"), calls=waiting)
    assert older.waits_for == ""
    assert replace(older, moves=()).waits_for == ""


def test_of_a_stopped_server_that_arrived_its_owners_orders_are_read() -> None:
    """D10: a start that was given right before it was sent waits for the dead host."""
    there = replace(ACTIVE, host="other", vm_state="stopped", updated=NOW)
    it = case(there, move("done", "other"), wanted=Power.STOPPED, ended_at=NOW - 5)
    assert verdict(it) == (Verdict.UNKNOWN, "arrived-unread", "read-log")
    assert verdict(replace(it, log_read=True, log_read_at=NOW - 6)) == (Verdict.UNKNOWN, "arrived-unread", "read-log")
    assert verdict(replace(it, log_read=True, log_read_at=NOW - 5))[:2] == (Verdict.EVACUATED, "arrived-proved")
    assert judge(replace(it, queued_start="start"))[0].queued_start == "start"


def test_what_an_earlier_incident_may_have_left_counts_in_the_next() -> None:
    """A17: its evacuations are listed no more."""
    earlier = case(replace(ACTIVE, vm_state="error"), failed_earlier=True)
    assert verdict(earlier) == (Verdict.QUEUED, "failure-unread", "read-calls")
    known = replace(earlier, calls=calls((), failure("other")))
    finding, step = judge(known)
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "other")
    assert judge(replace(known, dead={"other": NOW}))[0].target == ""
    arrived = Trace("req-2", NOW - 5, "third", NOW - 4, NOW - 3, over=True)
    assert judge(replace(known, calls=calls((), failure("other"), arrived)))[0].target == ""
    assert judge(replace(known, calls=calls((), failure("other", harmless=True))))[0].target == ""
    met = replace(known, calls=calls((), failure("other", harmless=True, met_guest=True)))
    assert verdict(met)[:2] == (Verdict.HELD, "guest-left")


def test_an_earlier_failure_that_nova_does_not_show_is_a_persons_to_decide() -> None:
    """A17."""
    earlier = case(replace(ACTIVE, vm_state="error"), failed_earlier=True)
    asked = [verdict(replace(earlier, calls=calls((), read=False, tries=n)))[:2] for n in (2, 3)]
    assert asked == [(Verdict.QUEUED, "failure-unread"), (Verdict.HELD, "failure-unknown")]


def test_a_server_whose_row_cannot_be_read_is_unknown_and_named() -> None:
    """B43."""
    unread = Server("s1", "dead", "", known=False, unreadable="the reply has 5 where the text 'status' belongs")
    finding, step = judge(case(unread))
    assert (finding.verdict, finding.rule, step) == (Verdict.UNKNOWN, "server-unreadable", "")
    assert "server s1 cannot be read: the reply has 5 where the text 'status' belongs" in finding.reason


@pytest.mark.parametrize("created", [0.0, NOW - 10])
@pytest.mark.parametrize("others", [(), (move("failed", "other", ident="2"),), (move("error", ident="2"),)])
def test_an_evacuation_that_cannot_be_read_keeps_its_server_from_being_sent(
    created: float, others: tuple[Move, ...]
) -> None:
    """B43: whether it is under way nobody can tell."""
    row = Move("7", "s1", "dead", MoveStatus.OTHER, created=created, unreadable="no time")
    for server in (ACTIVE, replace(ACTIVE, vm_state="error"), replace(ACTIVE, host="other")):
        finding, step = judge(case(server, row, *others))
        assert (finding.verdict, finding.rule, step) == (Verdict.UNKNOWN, "evacuation-unreadable", "")
        assert "server s1 cannot be read: migration 7: no time" in finding.reason
    assert judge(case(replace(ACTIVE, host="other"), row, proved=True))[0].rule == "proved"
    assert judge(case(ACTIVE, row, voids=frozenset({"7"})))[0].rule == "ready"


def test_an_evacuation_of_unknown_age_takes_nobodys_place() -> None:
    """B43: with in_flight=1 one such row would stop everything for good."""
    row = Move("7", "s1", "dead", MoveStatus.OTHER, created=0.0, unreadable="no time")
    timed = replace(row, created=NOW - 10)
    assert [(f.under_way, f.alarm) for f, _ in (judge(case(ACTIVE, r)) for r in (row, timed))] == [
        (True, True),
        (True, False),
    ]
