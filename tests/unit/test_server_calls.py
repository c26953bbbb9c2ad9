# SPDX-License-Identifier: Apache-2.0
"""Verdicts by the calls for a server: lost, refused, another worker's, and what became of them inside Nova."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.cluster_facts import Cluster
from muster.core.findings import Verdict
from muster.core.nova_facts import CallTrace, Evacuation, EvacuationStatus, Power
from muster.core.sight import Calls, HostSight, Outcome, Progress, Sight, Tries
from tests.fakes import settings
from tests.unit.server_cases import ACTIVE, NOW, but, calls, case, evacuation, failure, judged, sent, verdict


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
    finding, _ = judged(case(sent=sent(Outcome.REFUSED, 1, 0, 409, 3)))
    assert finding.verdict is Verdict.HELD
    assert "No." in finding.reason


def test_a_destination_that_nova_does_not_know_makes_no_server_gone() -> None:
    """A9."""
    mapped = settings(target_map="dead:cmp9")
    assert verdict(case(policy=mapped, listed_at=NOW, sent=sent(Outcome.REFUSED, 1, 0, 404, 1)))[0] is Verdict.PARKED
    finding, _ = judged(case(policy=mapped, listed_at=NOW, sent=sent(Outcome.REFUSED, 1, 0, 404, 3)))
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


def test_another_workers_call_may_still_be_under_way() -> None:
    """C6."""
    waiting = case(resumed_until=NOW + 5)
    assert verdict(waiting) == (Verdict.QUEUED, "waits-for-earlier-call", "")
    assert verdict(case(resumed_until=NOW - 1))[2] == "evacuate"


def test_a_failure_says_nothing_before_it_is_known_where_it_came() -> None:
    """A17: Nova writes `failed` for whatever goes wrong, also after the guest was started (facts.md N15)."""
    failed = evacuation("failed", "other", age=60)
    assert verdict(case(ACTIVE, failed)) == (Verdict.QUEUED, "failure-unread", "read-calls")
    older = calls((), failure("other", harmless=True))
    assert verdict(case(ACTIVE, failed, calls=older)) == (Verdict.QUEUED, "failure-unread", "read-calls")


def test_what_failed_before_its_guest_was_started_may_go_anywhere() -> None:
    """A17, B9."""
    failed = evacuation("failed", "other", age=60)
    finding, step = judged(case(ACTIVE, failed, calls=calls((failed,), failure("other", harmless=True))))
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "")
    assert judged(case(ACTIVE, evacuation("failed", age=60)))[0].rule == "ready", "it was let in nowhere"


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
def test_what_may_have_been_started_is_tried_there_and_nowhere_else(known: tuple[CallTrace, ...]) -> None:
    """A17: Nova refuses it there if its guest is there."""
    failed = evacuation("failed", "other", age=60)
    finding, step = judged(case(ACTIVE, failed, calls=calls((failed,), *known)))
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "other")


@pytest.mark.parametrize(
    ("age", "earlier", "more", "asks"),
    [
        (55, False, (), False),
        (60.9, False, (), False),
        (61, False, (), True),
        (55, True, (), True),
        (40, False, (evacuation("failed", "third", age=50, ident="2"),), True),
        (40, False, (evacuation("failed", "other", age=50, ident="2"),), False),
    ],
    ids=[
        "it says so",
        "in the same second",
        "of an earlier try",
        "of an earlier incident, too",
        "on another host, too",
        "there once more",
    ],
)
def test_where_a_try_failed_is_not_asked_for_where_the_servers_fault_says_it(
    age: float, earlier: bool, more: tuple[Evacuation, ...], asks: bool
) -> None:
    """A17: its call would say no more than that it may run there."""
    error = replace(ACTIVE, vm_state="error", spawn_failed_at=NOW - age)
    facts = {"failed_earlier": True} if earlier else {}
    finding, step = judged(case(error, evacuation("failed", "other", age=60), *more, **facts))
    assert (step == "read-calls", finding.rule == "failure-unread") == (asks, asks)
    if not asks:
        assert (finding.target, finding.may_run, finding.rule) == ("other", True, "ready")


def test_a_failure_that_nova_does_not_show_counts_as_one_after_the_start() -> None:
    """A17."""
    failed = evacuation("failed", "other", age=60)
    unread = [verdict(case(ACTIVE, failed, calls=calls((failed,), age=60.0, tries=n, read=False))) for n in (1, 2, 3)]
    assert [it[1:] for it in unread] == [
        ("failure-unread", "read-calls"),
        ("failure-unread", "read-calls"),
        ("ready", "evacuate"),
    ]
    assert judged(case(ACTIVE, failed, calls=calls((failed,), tries=3, read=False)))[0].target == "other"
    assert verdict(case(ACTIVE, failed, calls=calls((failed,), age=10.0, read=False)))[1:] == ("failure-unread", "")


def test_a_guest_that_nova_has_met_is_held_until_an_operator_has_removed_it() -> None:
    """A17."""
    evacuations = (evacuation("failed", "other", age=90), evacuation("failed", "other", age=60, ident="2"))
    met = calls(evacuations, failure("other"), failure("other", harmless=True, met_guest=True))
    finding, step = judged(case(ACTIVE, *evacuations, calls=met))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "guest-left", "")
    assert "virsh destroy s1; virsh undefine --nvram s1" in finding.reason
    again, step = judged(case(ACTIVE, *evacuations, calls=met, retried_at=NOW - 1))
    assert (again.rule, step, again.target) == ("ready", "evacuate", "other")


def test_whether_calls_are_over_does_not_hang_on_the_clock_of_the_record() -> None:
    """B8, B25: one of a controller whose clock was an hour ahead waited for ever for what had died in the conductor."""
    row = evacuation("accepted", age=60)
    it = case(ACTIVE, row, calls=calls((row,), failure()), first=NOW + 3600)
    assert verdict(it)[1:] == ("ready", "evacuate")
    earlier = replace(failure(), at=NOW - 1000)
    assert verdict(but(it, calls=calls((row,), earlier)))[1] != "ready"


@pytest.mark.parametrize("facts", [{}, {"skipped": True}, {"retried_at": 0.0, "released": True}])
def test_of_a_server_that_may_run_elsewhere_it_is_known_whether_its_log_was_read(facts: dict[str, object]) -> None:
    """D10: a start that waits for the dead host would be the second guest, and who took over has not seen it."""
    evacuations = (evacuation("failed", "other", age=90), evacuation("failed", "other", age=60, ident="2"))
    met = calls(evacuations, failure("other"), failure("other", harmless=True, met_guest=True))
    it = case(ACTIVE, *evacuations, calls=met, ended_at=NOW - 50, **facts)
    assert judged(it)[0].queue_unread
    assert judged(but(it, queue_read_at=NOW - 51))[0].queue_unread
    assert not judged(but(it, queue_read_at=NOW - 50))[0].queue_unread
    assert judged(but(it, unread=Tries(NOW, 99)))[0].queue_unread, "not that it cannot be read"
    harmless = but(it, calls=calls(evacuations, failure("other", harmless=True), failure("other", harmless=True)))
    assert not judged(harmless)[0].queue_unread


@pytest.mark.parametrize(
    ("vm_state", "wanted", "unread"),
    [
        ("active", Power.RUNNING, False),
        ("stopped", Power.STOPPED, True),
        ("stopped", Power.RUNNING, True),
        ("active", Power.STOPPED, True),
        ("active", Power.UNKNOWN, True),
        ("shelved_offloaded", Power.STOPPED, True),
    ],
)
@pytest.mark.parametrize("host", ["other", "third", ""])
def test_what_was_running_before_it_left_its_host_was_not_to_be_started(
    vm_state: str, wanted: Power, unread: bool, host: str
) -> None:
    """D10: of what was not a start waits on, whoever has started it, moved it or shelved it since."""
    there = replace(ACTIVE, host=host, vm_state=vm_state)
    it = case(there, evacuation("done", "other"), wanted=wanted, ended_at=NOW - 5)
    assert judged(it)[0].queue_unread is unread
    assert not judged(but(it, queue_read_at=NOW - 5))[0].queue_unread
    assert not judged(but(it, server=replace(there, host=it.source)))[0].queue_unread


def test_what_may_run_on_two_hosts_is_a_persons_to_decide() -> None:
    """A17."""
    evacuations = (evacuation("failed", "other", age=90), evacuation("failed", "third", age=60, ident="2"))
    finding, step = judged(case(ACTIVE, *evacuations, calls=calls(evacuations, failure("other"), failure("third"))))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "failed-on-several", "")


def test_a_host_that_was_fenced_since_has_no_guest_left_from_a_failure() -> None:
    """A17, B11."""
    failed = evacuation("failed", "other", age=60)
    finding, step = judged(case(ACTIVE, failed, dead={"other": NOW - 10}))
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "")
    assert judged(case(ACTIVE, failed, dead={"other": NOW - 70}))[0].target == "other"
    assert judged(case(ACTIVE, failed, dead_evacuations=frozenset({"1"})))[0].target == ""


def test_the_last_word_about_a_guest_that_may_run_names_its_host() -> None:
    """A17: the advice is never one that starts a second guest."""
    evacuations = tuple(evacuation("failed", "other", age=90 - n, ident=str(n)) for n in range(3))
    finding, _ = judged(case(ACTIVE, *evacuations, calls=calls(evacuations, *[failure("other")] * 3)))
    assert finding.rule == "exhausted"
    assert "it may run on other, where its rebuild failed: muster tries it nowhere else. If that" in finding.reason
    no_room = (evacuation("failed", "other", age=90), evacuation("error", "other", age=1, ident="2"))
    finding, _ = judged(case(ACTIVE, *no_room, calls=calls(no_room, failure("other"))))
    assert (finding.rule, finding.target) == ("waits-for-retry", "other")


def test_a_call_that_the_conductor_has_dropped_is_sent_again() -> None:
    """B19: its row stays `accepted` for ever (facts.md N32)."""
    dropped = evacuation("accepted", age=60)
    assert verdict(case(ACTIVE, dropped)) == (Verdict.EVACUATING, "not-begun", "read-calls")
    over = case(ACTIVE, dropped, calls=calls((dropped,), failure()))
    assert verdict(over)[1:] == ("ready", "evacuate")
    assert over.failures == 1
    parked = case(ACTIVE, replace(dropped, updated=NOW), calls=calls((dropped,), failure()))
    assert "1 of 3 tries failed: MessagingTimeout" in judged(parked)[0].reason


@pytest.mark.parametrize(
    "known",
    [
        calls((), failure()),
        calls((evacuation("accepted", age=60),), replace(failure(), over=False)),
        calls((evacuation("accepted", age=60),)),
        calls((evacuation("accepted", age=60),), read=False),
    ],
    ids=["read before the row", "not over", "no call", "not shown"],
)
def test_a_call_that_may_still_be_carried_out_is_waited_for(known: Calls) -> None:
    """B6, B19."""
    assert verdict(case(ACTIVE, evacuation("accepted", age=60), calls=known))[:2] == (Verdict.EVACUATING, "not-begun")


def test_one_call_that_is_not_over_keeps_every_row_open() -> None:
    """B19: the conductor takes any row that is `accepted`."""
    rows = (evacuation("accepted", age=90), evacuation("accepted", age=60, ident="2"))
    assert verdict(case(ACTIVE, *rows, calls=calls(rows, failure())))[1] == "not-begun"
    assert verdict(case(ACTIVE, *rows, calls=calls(rows, failure(), replace(failure(), over=False))))[1] == "not-begun"
    assert verdict(case(ACTIVE, *rows, calls=calls(rows, failure(), failure())))[2] == "evacuate"


def test_a_call_of_an_earlier_incident_has_made_no_row_of_this_one() -> None:
    """B19: nor does it say anything of those that have."""
    dropped = evacuation("accepted", age=60)
    earlier = replace(failure(), at=NOW - 3600)
    known = case(ACTIVE, dropped, calls=calls((dropped,), earlier), first=NOW - 100)
    assert verdict(known)[:2] == (Verdict.EVACUATING, "not-begun")
    assert verdict(but(known, calls=calls((dropped,), replace(earlier, over=False), failure())))[2] == "evacuate"


def test_a_call_from_another_dead_host_may_take_the_row_of_this_one() -> None:
    """B44: it was sent since this incident began, and is not over; its own row is another incident's."""
    dropped = evacuation("accepted", age=60)
    other = replace(failure(), at=NOW - 90, over=False)
    known = case(ACTIVE, dropped, calls=calls((dropped,), other, failure()), first=NOW - 100)
    assert verdict(known)[:2] == (Verdict.EVACUATING, "not-begun")
    assert verdict(but(known, calls=calls((dropped,), replace(other, over=True), failure())))[2] == "evacuate"


def test_a_call_from_the_host_before_the_last_may_take_the_row_of_this_one() -> None:
    """B44: however long before this incident it was sent; that host's incident may have no row of it any more."""
    dropped = evacuation("accepted", age=60)
    other = replace(failure(), at=NOW - 900, over=False)
    read = calls((dropped,), other, failure())
    known = case(ACTIVE, dropped, calls=read, log_read=True, first=NOW - 100, evacuated_elsewhere=NOW - 950)
    assert verdict(known)[:2] == (Verdict.EVACUATING, "not-begun")
    assert verdict(but(known, calls=calls((dropped,), replace(other, over=True), failure())))[2] == "evacuate"
    assert verdict(but(known, evacuated_elsewhere=0.0))[2] == "evacuate", "of an incident that is over"


def test_calls_that_were_read_before_an_earlier_incident_was_known_are_read_again() -> None:
    """B44: they lack those from that host."""
    dropped = evacuation("accepted", age=60)
    read = replace(calls((dropped,), failure()), since=NOW - 160)
    known = case(ACTIVE, dropped, calls=read, first=NOW - 100)
    assert verdict(known)[2] == "evacuate"
    assert verdict(but(known, evacuated_elsewhere=NOW - 950))[1:] == ("not-begun", "read-calls")


def test_a_call_that_died_with_its_destination_has_a_row_of_its_own() -> None:
    """B19, B11: it keeps no other row open, and before its claim it has none."""
    begun, dropped = evacuation("pre-migrating", "other", age=90), evacuation("accepted", age=60, ident="2")
    landed = CallTrace("req-1", NOW - 90, "other", NOW - 89)
    known = calls((begun, dropped), landed, failure())
    assert verdict(case(ACTIVE, begun, dropped, calls=known, dead={"other": NOW}))[2] == "evacuate"
    assert verdict(case(ACTIVE, begun, dropped, calls=known))[1] == "on-the-way"
    before = (replace(begun, status=EvacuationStatus.ACCEPTED), dropped)
    assert verdict(case(ACTIVE, *before, calls=calls(before, landed, failure())))[1] == "not-begun"


def test_what_has_arrived_by_the_row_of_an_earlier_call_is_proved() -> None:
    """B19: the row of the later call stays `accepted`."""
    there = replace(ACTIVE, host="other", updated=NOW)
    rows = (evacuation("done", "other", age=20), evacuation("accepted", age=15, ident="2"))
    assert verdict(case(there, *rows)) == (Verdict.EVACUATING, "not-begun", "read-calls")
    landed = CallTrace("req-2", NOW - 15, "other", NOW - 14, NOW - 5, over=True)
    assert verdict(case(there, *rows, calls=calls(rows, failure(), landed)))[:2] == (
        Verdict.EVACUATED,
        "arrived-proved",
    )


def test_nova_is_asked_ever_more_seldom_about_a_call_that_does_not_begin() -> None:
    """B19."""
    row = evacuation("accepted", age=500)
    asked = [
        verdict(case(ACTIVE, row, calls=calls((row,), age=age, tries=n)))[2]
        for n, age in ((1, 29), (1, 31), (2, 59), (2, 61), (9, 601))
    ]
    assert asked == ["", "read-calls", "", "read-calls", "read-calls"]


@pytest.mark.parametrize("order", ["skipped", "released"])
def test_an_operator_ends_the_wait_for_what_nova_does_not_begin(order: str) -> None:
    """B19: only once it has taken as long as it may."""
    policy = settings(stuck_after_s="60")
    young, old = evacuation("accepted", age=50), evacuation("accepted", age=70)
    assert verdict(case(ACTIVE, young, policy=policy, **{order: True}))[1] == "not-begun"
    assert verdict(case(ACTIVE, old, policy=policy, **{order: True}))[:2] == (Verdict.HELD, "never-begun")
    assert f"muster skip {ACTIVE.id}" in judged(case(ACTIVE, old, policy=policy))[0].reason
    elsewhere = case(replace(ACTIVE, host="other"), old, policy=policy, **{order: True})
    assert verdict(elsewhere)[:2] == (Verdict.HELD, "never-begun")
    assert "Before you start the server anywhere:" in judged(elsewhere)[0].reason
    assert (
        verdict(case(ACTIVE, evacuation("pre-migrating", "other", age=70), policy=policy, **{order: True}))[1]
        == "on-the-way"
    )


def test_what_nova_is_just_taking_is_not_sent_a_second_time() -> None:
    """B24: the task is written before the migration."""
    taking = replace(ACTIVE, task_state="rebuilding", updated=NOW - 5)
    assert verdict(case(taking)) == (Verdict.UNKNOWN, "call-begun", "")
    assert judged(case(taking))[0].under_way, "it takes a place of in_flight"
    assert verdict(case(replace(taking, updated=NOW - 90)))[2] == "evacuate"


def test_a_call_that_is_not_begun_names_the_host_that_it_waits_for() -> None:
    """B29: by placement, which has the hypervisor's name."""
    row = evacuation("accepted", age=90)
    waiting = replace(calls((row,)), claimed=("dead.example.org", "other.example.org"))
    finding, _ = judged(case(ACTIVE, row, calls=waiting))
    assert (finding.rule, finding.waits_for) == ("not-begun", "other.example.org")
    assert "not begun for 90 s: it waits for other.example.org and begins when nova-compute runs" in finding.reason
    unknown, _ = judged(case(ACTIVE, row, calls=calls((row,))))
    assert (unknown.waits_for, "waits for" in unknown.reason) == ("", False)
    named = evacuation("accepted", "third", age=90)
    assert judged(case(ACTIVE, named, calls=calls((named,))))[0].waits_for == "third"
    assert judged(case(ACTIVE, replace(row, status=EvacuationStatus.DONE), calls=waiting))[0].waits_for == ""
    older = case(ACTIVE, replace(row, id="2"), calls=waiting)
    assert older.waits_for == ""
    assert but(older, evacuations=()).waits_for == ""


def test_what_an_earlier_incident_may_have_left_counts_in_the_next() -> None:
    """A17: its evacuations are listed no more."""
    earlier = case(replace(ACTIVE, vm_state="error"), failed_earlier=True)
    assert verdict(earlier) == (Verdict.QUEUED, "failure-unread", "read-calls")
    known = but(earlier, calls=calls((), failure("other")))
    finding, step = judged(known)
    assert (finding.rule, step, finding.target) == ("ready", "evacuate", "other")
    assert judged(but(known, dead={"other": NOW}))[0].target == ""
    arrived = CallTrace("req-2", NOW - 5, "third", NOW - 4, NOW - 3, over=True)
    assert judged(but(known, calls=calls((), failure("other"), arrived)))[0].target == ""
    assert judged(but(known, calls=calls((), failure("other", harmless=True))))[0].target == ""
    met = but(known, calls=calls((), failure("other", harmless=True, met_guest=True)))
    assert verdict(met)[:2] == (Verdict.HELD, "guest-left")


def test_an_earlier_failure_that_nova_does_not_show_is_a_persons_to_decide() -> None:
    """A17."""
    earlier = case(replace(ACTIVE, vm_state="error"), failed_earlier=True)
    asked = [verdict(but(earlier, calls=calls((), read=False, tries=n)))[:2] for n in (2, 3)]
    assert asked == [(Verdict.QUEUED, "failure-unread"), (Verdict.HELD, "failure-unknown")]


def test_a_call_that_was_read_later_than_the_evacuations_makes_none_of_them_void() -> None:
    """B8: listed as accepted, it began and ended well before its call was read; a second call found it on a host that
    is up, and only Nova's refusal kept it from being carried out."""
    row = evacuation("accepted", age=36)
    done = CallTrace("req-1", NOW - 36, "other", NOW - 10, NOW - 6, over=True)
    facts = {"calls": calls((row,), done), "sent": sent(Outcome.TAKEN, 36, 30)}
    for listed_at in (NOW - 22, NOW - 1):
        it = case(ACTIVE, row, evacuations_at=listed_at, read_at=listed_at, **facts)
        assert (verdict(it)[0], it.failures) == (Verdict.EVACUATING, 0)
    assert case(ACTIVE, row, evacuations_at=NOW, **facts).failures == 1


@pytest.mark.parametrize(
    ("listed_s_ago", "begun_to", "changed_s_ago", "late"),
    [
        (0, 0, 0, False),
        (0, 30, 0, True),
        (0, 29, 0, False),
        (0, -50, 30, True),
        (0, -50, 29, False),
        (1, 30, 40, False),
    ],
)
def test_an_evacuation_is_late_where_nova_has_begun_younger_ones_or_none_for_long(
    listed_s_ago: float, begun_to: float, changed_s_ago: float, late: bool
) -> None:
    """B8: of hundreds of calls the last one waits for a minute in the conductor, and its log says nothing new."""
    row = evacuation("accepted", age=30)
    progress = Progress(row.created + begun_to, NOW - changed_s_ago)
    it = case(ACTIVE, row, evacuations_at=NOW - listed_s_ago, progress=progress)
    assert (verdict(it)[2] == "read-calls") is late


CLUSTER = Cluster(True, "ctl1", {})


def test_the_progress_of_nova_is_that_of_what_has_begun_for_any_host() -> None:
    begun = evacuation("done", "other", age=50)
    odd = replace(evacuation("done", "other", age=10), unreadable="no status")
    hosts = {"n1": HostSight(unshown={"s1": (begun, evacuation("accepted", age=5))}), "n2": HostSight()}
    assert Sight(NOW, CLUSTER, hosts).progress == Progress(begun.created, begun.updated)
    assert Sight(NOW, CLUSTER, {"n1": HostSight(unshown={"s1": (odd,)})}).progress == Progress()
