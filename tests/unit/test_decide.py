# SPDX-License-Identifier: Apache-2.0
"""From a sight to steps: who may act at all, the sequence, its limits, and what two incidents want of one server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.core.admission import first_calls
from muster.core.bounds import HEARTBEAT_SKEW_S, SKEW_S
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import Decision, dead_hosts, decide, lying_hosts, wanted_now
from muster.core.findings import Verdict
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server
from muster.core.operator_orders import Orders
from muster.core.sight import Calls, HostSight, Outcome, Sent, ServerSight, Sight, Tries
from muster.core.steps import (
    DropHold,
    Evacuate,
    ReadCalls,
    ReadLog,
    Reset,
    Stop,
)
from tests.fakes import settings
from tests.unit.sights import DOWN, FENCED, NOW, node, sent, server, server_sights, sight


def test_a_quiet_cluster_asks_for_nothing() -> None:
    cluster = Cluster(True, "ctl1", {"cmp2": Node("cmp2", True, member=True)})
    assert decide(Sight(NOW, cluster), settings()) == Decision()


@pytest.mark.parametrize(
    "change", [{"quorum": False}, {"active_here": False}, {"active_elsewhere": ("ctl2",)}], ids=lambda c: next(iter(c))
)
def test_nothing_is_done_without_quorum_or_by_a_worker_that_is_not_the_one(change: dict[str, Any]) -> None:
    """C9, C10."""
    base = sight(node(), server("a"))
    decision = decide(replace(base, cluster=replace(base.cluster, **change)), settings())
    assert decision.steps == ()
    assert decision.hindrance


def test_the_sequence_is_priority_then_age_then_id() -> None:
    """A15."""
    line = [server("d", "500", 9), server("b", "900", 5), server("a", "900", 5), server("c", "900", 1), server("e")]
    assert sent(decide(sight(node(), *line), settings(per_destination=0))) == ["c", "a", "b", "d", "e"]


def test_an_action_log_that_hangs_leaves_all_else_half_of_the_time() -> None:
    """B4: of several one was always due, and what stood behind them was not sent."""
    line = [server("a", "900", vm_state="error"), server("b", "500", vm_state="error"), server("c")]
    known: dict[str, Any] = {"at_rest": {"c": Power.RUNNING}}
    decision = decide(sight(node(), *line, **known, unread={"a": Tries(NOW + 0.5, 1)}), settings())
    assert (sent(decision), [it for it in decision.steps if isinstance(it, ReadLog)]) == (["c"], [])
    decision = decide(sight(node(), *line, **known, unread={"a": Tries(NOW, 1)}), settings())
    assert decision.steps == (ReadLog("b"),)
    failed = Evacuation("1", "q", "cmp1", EvacuationStatus.FAILED, "cmp2", NOW - 60, NOW - 50)
    left: dict[str, Any] = {"evacuations": (failed,), "first_listed_at": NOW - 9, "ended_at": {"q": NOW - 40}}
    for tried, steps in (({"z": Tries(NOW + 0.5, 1)}, ()), ({"z": Tries(NOW, 1)}, (ReadLog("q"),))):
        assert (
            decide(
                sight(
                    node(),
                    server("q", vm_state="paused"),
                    server("z", vm_state="shelved_offloaded"),
                    **left,
                    unread=tried,
                ),
                settings(),
            ).steps
            == steps
        )


def test_no_more_in_flight_than_allowed() -> None:
    """C5."""
    moving = Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, "", NOW - 1, NOW - 1)
    line = [server(x) for x in "abcd"]
    assert sent(decide(sight(node(), *line, evacuations=(moving,)), settings(in_flight=3, per_destination=0))) == [
        "b",
        "c",
    ]
    assert sent(decide(sight(node(), *line, evacuations=(moving,)), settings(in_flight=1))) == []


def test_what_is_under_way_stays_in_flight_while_its_cell_is_silent() -> None:
    """The next one was sent although `in_flight` was reached."""
    silent = Server("a", host="", vm_state="", known=False)
    moving = Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, "", NOW - 1, NOW - 1)
    base = sight(node(), silent, server("b"), evacuations=(moving,))
    decision = decide(base, settings(in_flight=1))
    assert decision.incidents["cmp1"].findings["a"].verdict is Verdict.UNKNOWN
    assert sent(decision) == []
    call = Sent(NOW - 1, Outcome.UNCERTAIN, quiet_until=NOW + 29, evacuations_before=0)
    unseen = sight(node(), silent, server("b"), sent={"a": call})
    assert sent(decide(unseen, settings(in_flight=1))) == []


def test_a_reset_takes_its_turn_and_a_place_like_an_evacuation() -> None:
    line = [server("a", "900", vm_state="paused"), server("b")]
    policy = settings(reset_states="paused", in_flight=1)
    assert decide(sight(node(), *line), policy).steps == (Reset("a", "a", "paused"),)
    policy = settings(reset_states="paused", in_flight=2)
    assert [type(s) for s in decide(sight(node(), *line), policy).steps] == [Reset, Evacuate]


def test_what_waits_for_its_log_lets_nobody_pass() -> None:
    line = [server("a", "900", vm_state="error"), server("b")]
    assert decide(sight(node(), *line, at_rest={"b": Power.RUNNING}), settings()).steps == (ReadLog("a"),)


def test_what_has_arrived_and_is_stopped_lets_others_pass() -> None:
    moved = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    line = [replace(server("a", "900"), host="cmp2", updated=NOW - 5), server("b")]
    seen = sight(node(), *line, evacuations=(moved,), log={"a": ActionLog(Power.STOPPED)})
    assert [type(step) for step in decide(seen, settings()).steps] == [Stop, Evacuate]


@pytest.mark.parametrize("said", Power)
def test_the_owners_log_wins_over_what_was_seen_at_rest(said: Power) -> None:
    moved = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    there = replace(server("a"), host="cmp2")
    seen = sight(node(), there, evacuations=(moved,), log={"a": ActionLog(said)})
    finding = decide(seen, settings()).incidents["cmp1"].findings["a"]
    assert finding.verdict is (Verdict.EVACUATING if said is Power.STOPPED else Verdict.EVACUATED)


@pytest.mark.parametrize(
    ("vm_state", "task", "wanted"),
    [
        ("active", "", Power.RUNNING),
        ("stopped", "", Power.STOPPED),
        ("active", "powering-off", Power.UNKNOWN),
        ("error", "", Power.UNKNOWN),
        ("paused", "unpausing", Power.RUNNING),
    ],
)
def test_a_server_at_rest_shows_what_its_owner_wants(vm_state: str, task: str, wanted: Power) -> None:
    assert wanted_now(server("a", vm_state=vm_state, task_state=task)) is wanted


def test_knows_by_novas_name_which_host_lives() -> None:
    assert lying_hosts(sight(node(), heartbeat_after_fencing=True), settings()) == {"cmp1"}
    assert lying_hosts(sight(node()), settings()) == frozenset()
    nameless = sight(node(), service=replace(DOWN, host="foreign"), heartbeat_after_fencing=True)
    assert lying_hosts(nameless, settings()) == frozenset()


def test_a_host_that_is_still_off_proves_dead_what_began_there() -> None:
    """A17: it was let return, and a later worker tried for ever there what may run only there."""
    away = node(Phase.RETURNING)
    silent: dict[str, Any] = {"unchanged_for_s": 22.0}
    assert dead_hosts(sight(away, **silent), settings()) == {"cmp1": FENCED + HEARTBEAT_SKEW_S}
    assert dead_hosts(sight(node(Phase.CLOSED), **silent), settings()) == {}
    for unlike in ({"member": True}, {"fenced_at": 0}, {"remote": False}):
        assert dead_hosts(sight(replace(away, **unlike), **silent), settings()) == {}  # type: ignore[arg-type]
    for facts in ({"has_rejoined": True}, {"compute_restarted": True}, {"unchanged_for_s": 21.9}, {"refuted": True}):
        assert dead_hosts(sight(away, **{**silent, **facts}), settings()) == {}


def test_an_unnamed_destination_counts_for_every_destination() -> None:
    named = Evacuation("1", "a", "cmp1", EvacuationStatus.PRE_MIGRATING, "cmp2", NOW - 1, NOW - 1)
    line = [server(x) for x in "abcd"]
    assert sent(decide(sight(node(), *line, evacuations=(named,)), settings(per_destination=2))) == ["b"]
    assert sent(decide(sight(node(), *line, evacuations=(named,)), settings(per_destination=1))) == []
    to_cmp3 = settings(per_destination=1, target_map="cmp1=cmp3")
    assert sent(decide(sight(node(), *line, evacuations=(named,)), to_cmp3)) == ["b"]


def test_what_failed_before_the_host_was_forced_down_was_not_ours() -> None:
    """B8."""
    rows = tuple(
        Evacuation(str(n), "a", "cmp1", EvacuationStatus.FAILED, "", NOW - 30 + n, NOW - 30 + n) for n in range(3)
    )
    claimed = replace(DOWN, updated_at=NOW - 15)
    found = {
        service: decide(sight(node(), server("a"), service=service, evacuations=rows), settings()).incidents["cmp1"]
        for service in (claimed, replace(DOWN, updated_at=NOW - 60), replace(claimed, enabled=True))
    }
    assert [it.findings["a"].rule for it in found.values()] == ["owner-unread", "exhausted", "exhausted"]


def test_a_later_change_of_the_service_makes_no_failure_undone() -> None:
    """B8: an operator's, or a heartbeat of a host that lived; it was tried again, and again."""
    rows = tuple(
        Evacuation(str(n), "a", "cmp1", EvacuationStatus.ERROR, "", NOW - 15 + n, NOW - 15 + n) for n in range(3)
    )
    for updated_at in (FENCED + 2.0, NOW - 1):
        given = sight(node(member=True), server("a"), service=replace(DOWN, updated_at=updated_at), evacuations=rows)
        assert decide(given, settings()).incidents["cmp1"].findings["a"].rule == "exhausted"


def test_every_server_has_exactly_one_verdict() -> None:
    line = [server(x, vm_state=s) for x, s in zip("abcdef", ["active", "paused", "error", "shelved", "", "stopped"])]
    findings = decide(sight(node(), *line), settings()).incidents["cmp1"].findings
    assert sorted(findings) == sorted(s.id for s in line)
    assert all(isinstance(f.verdict, Verdict) for f in findings.values())


def test_what_another_incident_wants_of_a_server_does_not_take_its_place_in_the_line() -> None:
    """A15: it had arrived on a host that died since, and a new worker reads for the first incident what its owner wants."""
    first, second = server("a", "900"), server("b", "500")
    here = replace(first, host="cmp2"), replace(second, host="cmp2")
    moved = Evacuation("m", "a", "cmp1", EvacuationStatus.DONE, "cmp2", FENCED + 1.0, FENCED + 2.0)
    dead = replace(DOWN, id="u2", host="cmp2")
    base = {"services": (DOWN, dead), "first_listed_at": NOW - 9, "listed_at": NOW - 1}
    nodes = {
        "cmp2": Node("cmp2", True, record=Record(Phase.EVACUATING, FENCED, FENCED), hold=True, fenced_at=FENCED),
        "cmp1": Node("cmp1", True, record=Record(Phase.RETURNING, FENCED, FENCED), fenced_at=FENCED),
    }
    hosts = {
        "cmp2": HostSight(
            servers=server_sights(here, at_rest={"a": Power.RUNNING, "b": Power.RUNNING}),
            **base,  # type: ignore[arg-type]
        ),
        "cmp1": HostSight(servers=server_sights(here[:1], (moved,)), **base),  # type: ignore[arg-type]
    }
    decision = decide(Sight(NOW, Cluster(True, "ctl1", nodes), hosts), settings())
    assert sent(decision) == ["a", "b"]
    assert [step.server for step in decision.steps if isinstance(step, ReadLog)] == ["a"]


MOVED = replace(server("a"), host="cmp2", created=FENCED - 9000.0, launched_at=FENCED - 50.0)
BOTH = {"services": (DOWN, replace(DOWN, id="u2", host="cmp2")), "listed_at": NOW - 1, "evacuations_at": NOW}
EVACUATION = Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, created=FENCED - 90.0)


def two_incidents(
    row: Evacuation | None = EVACUATION,
    here: Server = MOVED,
    first: Node | None = None,
    later: Evacuation | None = None,
    dead_evacuations: frozenset[str] = frozenset(),
    **facts: Any,
) -> Decision:
    """A server that has left one dead host for another one, which has died, too.

    :param row: its evacuation from the first host; None: nobody can read what is under way from there.
    :param first: the first host's node.
    :param later: another evacuation from the first host.
    :param facts: of the server in the first incident; orders are those of the second one, left its evacuations from
        there, left_facts those of the server there.
    """
    orders = facts.pop("orders", None)
    left, left_facts = facts.pop("left", ()), facts.pop("left_facts", {})
    nodes = {
        "cmp2": Node(
            "cmp2", True, Record(Phase.EVACUATING, FENCED, FENCED), hold=True, fenced_at=FENCED, orders=orders
        ),
        "cmp1": first or Node("cmp1", True, Record(Phase.EVACUATING, FENCED - 100, FENCED - 100), hold=True),
    }
    servers = {
        "cmp2": server_sights([here], left, at_rest={"a": Power.RUNNING}, **left_facts),
        "cmp1": server_sights(
            [here] if row else [], [m for m in (row, later) if m], **{key: {"a": it} for key, it in facts.items()}
        ),
    }
    hosts = {
        name: HostSight(
            servers=known,
            first_listed_at=NOW - 9 if name == "cmp2" or row else 0.0,
            dead_evacuations=dead_evacuations if name == "cmp1" else frozenset(),
            **BOTH,  # type: ignore[arg-type]
        )
        for name, known in servers.items()
    }
    return decide(Sight(NOW, Cluster(True, "ctl1", nodes), hosts), settings(stuck_after_s="60"))


@pytest.mark.parametrize(("status", "dest"), [("accepted", ""), ("pre-migrating", "cmp3"), ("other", "")])
def test_a_server_that_another_incident_may_still_move_is_not_sent(status: str, dest: str) -> None:
    """B44: nor is it sent again by its own incident; and the words tell what ends the wait."""
    waits = two_incidents(replace(EVACUATION, status=EvacuationStatus(status), dest=dest))
    assert sent(waits) == []
    finding = waits.incidents["cmp2"].findings["a"]
    assert (finding.verdict, finding.rule) == (Verdict.QUEUED, "open-elsewhere")
    how = f"to {dest} is not over" if dest else "may still begin"
    assert finding.reason.startswith(f"waiting: its evacuation from cmp1 {how}. See: muster status cmp1.")
    assert finding.reason.endswith("muster retry a --host cmp2")
    looked_into = two_incidents(
        replace(EVACUATION, status=EvacuationStatus(status), dest=dest), orders=Orders(FENCED, retried={"a": int(NOW)})
    )
    assert sent(looked_into) == ["a"]
    whole_host = two_incidents(orders=Orders(FENCED, all_retried=int(NOW)))
    assert sent(whole_host) == [], "nobody has looked into this one"


def test_an_evacuation_that_hangs_on_a_living_host_goes_on_one_day() -> None:
    """B44: another hand's has arrived meanwhile."""
    hangs = replace(EVACUATION, status=EvacuationStatus.PRE_MIGRATING, dest="cmp3")
    arrived = replace(EVACUATION, id="2", status=EvacuationStatus.DONE, dest="cmp2")
    assert sent(two_incidents(hangs, later=arrived)) == []
    assert sent(two_incidents(hangs, later=arrived, dead_evacuations=frozenset({"1"}))) == ["a"], "it died there"


@pytest.mark.parametrize(("status", "dest"), [("error", ""), ("done", "cmp2"), ("completed", "cmp2")])
def test_a_server_that_no_other_incident_moves_any_more_is_sent(status: str, dest: str) -> None:
    """B44: as in every ordinary chain of hosts that die, without a request more."""
    it = two_incidents(replace(EVACUATION, status=EvacuationStatus(status), dest=dest))
    assert sent(it) == ["a"]
    assert not any(isinstance(step, ReadCalls) for step in it.steps)


def test_a_call_without_an_answer_for_another_incident_is_waited_for() -> None:
    """B44: what another hand has begun may have been taken for it."""
    done = replace(EVACUATION, status=EvacuationStatus.DONE, dest="cmp2")
    for quiet_until, expected in ((NOW + 10, []), (NOW - 1, ["a"])):
        call = Sent(NOW - 20, Outcome.UNCERTAIN, quiet_until, 0)
        assert sent(two_incidents(done, sent=call)) == expected


def test_a_server_that_something_has_moved_waits_until_the_other_incident_can_be_read() -> None:
    """B44: only that one."""
    waits = two_incidents(None)
    assert sent(waits) == []
    assert "cmp1 died before the server came here" in waits.incidents["cmp2"].findings["a"].reason
    before = replace(MOVED, launched_at=FENCED - 100.0 - SKEW_S - 1.0)
    assert sent(two_incidents(None, before)) == ["a"], "it was here before that host died"
    assert sent(two_incidents(None, replace(MOVED, created=FENCED - 60.0))) == ["a"], "it never was there"


def test_an_incident_whose_record_cannot_be_read_may_be_of_the_last_day() -> None:
    """B44."""
    unreadable = Node("cmp1", True, unreadable_record="garbage")
    for launched_at, expected in ((NOW - 86_000.0, []), (NOW - 87_000.0, ["a"])):
        here = replace(MOVED, created=NOW - 90_000.0, launched_at=launched_at)
        assert sent(two_incidents(None, here, unreadable)) == expected


def test_an_incident_knows_since_when_its_servers_have_been_evacuated_from_others() -> None:
    """B44: a call from the first host may take the row that another hand's call from the second one has left."""
    left = Evacuation("2", "a", "cmp2", EvacuationStatus.ACCEPTED, created=FENCED + 1.0)
    hangs, dropped = CallTrace("req-1", FENCED - 90.0), CallTrace("req-2", FENCED + 1.0, over=True, failed=True)
    arrived = replace(EVACUATION, status=EvacuationStatus.DONE, dest="cmp2")
    log = {"a": ActionLog(Power.RUNNING)}
    for first, expected in ((hangs, []), (replace(hangs, over=True), ["a"])):
        read = Calls(NOW - 1, Calls.state_of((left,)), 1, (first, dropped))
        assert sent(two_incidents(arrived, left=(left,), left_facts={"calls": {"a": read}, "log": log})) == expected


def test_the_calls_that_another_incident_waits_for_are_read_whatever_is_said_of_the_server() -> None:
    """B44: it is proved, and the row of a call that was dropped is open again once another call has used one of them."""
    arrived = replace(EVACUATION, status=EvacuationStatus.DONE, dest="cmp2")
    it = two_incidents(EVACUATION, proved=True)
    assert it.incidents["cmp1"].findings["a"].rule == "proved"
    assert ReadCalls("cmp1", "a") in it.steps
    assert ReadCalls("cmp1", "a") not in two_incidents(arrived, proved=True).steps


def test_an_incident_that_another_one_waits_for_is_not_given_up() -> None:
    """B44: else its host returned, and with its record went what the other one goes by."""
    released = Node(
        "cmp1",
        True,
        Record(Phase.EVACUATING, FENCED - 100, FENCED - 100),
        hold=True,
        orders=Orders(FENCED - 100, released=True, skipped=frozenset({"a"})),
    )
    finding = two_incidents(first=released).incidents["cmp1"].findings["a"]
    assert (finding.verdict, finding.rule) == (Verdict.EVACUATING, "not-begun")
    assert finding.reason.endswith(". cmp2, where the server is now, waits for this one. See: muster status cmp2")


def test_a_server_without_a_host_is_sent_for_one_incident_only() -> None:
    lost = replace(server("a", vm_state="error"), host="")
    nodes = {
        name: Node(name, True, record=Record(Phase.EVACUATING, FENCED, FENCED), hold=True, fenced_at=FENCED)
        for name in ("cmp1", "cmp2")
    }
    services = (DOWN, replace(DOWN, id="u2", host="cmp2"))
    host = HostSight(
        services, {"a": ServerSight(lost, at_rest=Power.RUNNING)}, first_listed_at=NOW - 9, listed_at=NOW - 1
    )
    decision = decide(Sight(NOW, Cluster(True, "ctl1", nodes), {"cmp1": host, "cmp2": host}), settings())
    assert sent(decision) == ["a"]


def test_half_a_look_does_nothing_but_that() -> None:
    """Nor is anything read that the next look shows anyway; without quorum, or while it is paused, it does nothing."""
    it = replace(sight(node(), server("a"), server("b", vm_state="error"), at_rest={"a": Power.RUNNING}))
    half = decide(replace(it, arrivals_unread=True), settings())
    assert (decide(it, settings()).steps[:1], half.steps) == (
        (ReadLog("b"),),
        (Evacuate("cmp1", "a", "a", "cmp1", None, 0),),
    )
    assert half.arrivals_unread
    for cluster in (replace(it.cluster, paused="you"), replace(it.cluster, quorum=False)):
        assert decide(replace(it, cluster=cluster, arrivals_unread=True), settings()).steps == ()


def test_half_a_look_sends_what_nothing_has_moved_and_passes_nobody_in_the_line() -> None:
    """What has been moved before may have changed since it was read; what needs a reset is another matter still."""
    first, second = (Evacuate("cmp1", server, server, "cmp1", None, 0) for server in ("a", "b"))
    again, reset = replace(second, evacuations_before=1), Reset("r", "r", "paused")
    assert first_calls((DropHold("cmp2"), ReadLog("l"), first, second)) == (first, second)
    assert first_calls((first, again, second)) == (first,)
    assert first_calls((first, reset, second)) == (first,)
    assert first_calls((again, first)) == ()


def test_what_may_run_on_a_host_is_sent_there_and_nowhere_else() -> None:
    """A17: whatever target_map says."""
    failed = Evacuation("1", "a", "cmp1", EvacuationStatus.FAILED, "cmp2", NOW - 90, NOW - 80)
    read = Calls(NOW - 1, Calls.state_of((failed,)), 1, ())
    log = ActionLog(Power.RUNNING, read_at=NOW)
    seen = sight(node(), server("a"), evacuations=(failed,), calls={"a": read}, log={"a": log})
    (step,) = decide(seen, settings(target_map="cmp1:spare1")).steps
    assert isinstance(step, Evacuate)
    assert (step.target, step.evacuations_before) == ("cmp2", 1)


def test_nova_is_asked_about_a_few_calls_at_a_time() -> None:
    """B19: the others are sent meanwhile."""
    stuck = tuple(Evacuation(x, x, "cmp1", EvacuationStatus.ACCEPTED, "", NOW - 60, NOW - 60) for x in "abcdefgh")
    decision = decide(
        sight(node(), *map(server, "abcdefghi"), evacuations=stuck), settings(in_flight=20, per_destination=0)
    )
    assert [step.server for step in decision.steps if isinstance(step, ReadCalls)] == list("abcde")
    assert sent(decision) == ["i"]


def test_a_server_whose_evacuation_failed_before_the_incident_is_not_sent_before_it_is_known_where() -> None:
    """A17."""
    log = ActionLog(Power.RUNNING, "req-1", failed_at=FENCED - 1000.0)
    seen = sight(node(), server("a", vm_state="error"), log={"a": log})
    assert decide(seen, settings()).steps == (ReadCalls("cmp1", "a"),)
