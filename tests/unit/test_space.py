# SPDX-License-Identifier: Apache-2.0
"""The whole space of facts that decide about one server and about one host: no row is dead, none is missing, and in no
point of it is anything asked for that must never happen.

The facts are multiplied out, as far as they can meet; what is checked is written anew from the invariants of
docs/robustness.md, not from the rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

import pytest

from muster.core import host_rules, server_rules
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import Answer
from muster.core.findings import Finding, State, Verdict
from muster.core.host_case import MARK, HostCase
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server, Service
from muster.core.operator_orders import Orders
from muster.core.past_incidents import Past, PastIncident
from muster.core.server_case import ServerCase
from muster.core.server_rules import ServerStep, judge
from muster.core.sight import Calls, HostSight, Outcome, Sent, ServerSight, Tries
from muster.core.steps import DropHold, DropRecord, ForceDown, ForceUp, ReadLog, StopCompute, SwapRecord, WriteRecord
from muster.core.unknown import Unknown
from tests.fakes import settings
from tests.unit.server_cases import FIRST, but

pytestmark = pytest.mark.no_cover  # what decides is to be covered by tests that say what it decides

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = NOW - 500, NOW - 1
POLICY = settings(
    shared_storage="no", stuck_after_s="300", attempts="2", reset_states="paused", left_to_others="keeper=*"
)

# ------------------------------------------------------------------------------------------------------------- a server

STATES = ["active", "stopped", "error", "paused", "suspended", "rescued", "resized", "shelved", "shelved_offloaded"]
STATES += ["soft-delete", "building", "deleted", "of another age"]
TASKS = ["", "deleting", "migrating", "rebuild_spawning", "powering-off"]
HOSTS = ["source", "dest", "dead-dest", "third", ""]


def evacuation(status: EvacuationStatus, dest: str = "dest", at: float = LONG_AGO, ident: str = "1") -> Evacuation:
    return Evacuation(ident, "s", "source", status, dest, at, at)


EVACUATIONS: list[tuple[Evacuation, ...]] = [()]
EVACUATIONS += [
    (evacuation(status, dest, at),)
    for status in EvacuationStatus
    for dest in ("dest", "dead-dest", "")
    for at in (LONG_AGO, JUST_NOW)
]
EVACUATIONS += [
    (evacuation(first, at=LONG_AGO), evacuation(second, at=JUST_NOW, ident="2"))
    for first in (EvacuationStatus.FAILED, EvacuationStatus.PRE_MIGRATING, EvacuationStatus.COMPLETED)
    for second in (EvacuationStatus.FAILED, EvacuationStatus.ACCEPTED, EvacuationStatus.DONE)
]
EVACUATIONS += [
    (replace(evacuation(EvacuationStatus.OTHER, at=at), unreadable="no status"), *others)
    for at in (0.0, JUST_NOW)
    for others in (
        (),
        (evacuation(EvacuationStatus.DONE, "dest", LONG_AGO, "2"),),
        (evacuation(EvacuationStatus.FAILED, "dest", ident="2"),),
    )
]
SENT: list[Optional[Sent]] = [
    None,
    Sent(JUST_NOW, Outcome.TAKEN, NOW + 50, 0, "req-1"),
    Sent(LONG_AGO, Outcome.TAKEN, NOW - 400, 1, "req-1"),
    Sent(JUST_NOW, Outcome.UNCERTAIN, NOW + 20, 0, "req-1"),
    Sent(LONG_AGO, Outcome.UNCERTAIN, NOW - 400, 0, "req-1"),
    Sent(LONG_AGO, Outcome.REFUSED, 0.0, 0, "req-1", Answer.FORBIDDEN, "no", (LONG_AGO,)),
    Sent(
        LONG_AGO, Outcome.REFUSED, 0.0, 0, "req-1", Answer.NOT_FOUND, "no", (LONG_AGO,)
    ),  # never listed since: neither gone nor sent
    Sent(JUST_NOW, Outcome.REFUSED, 0.0, 0, "req-1", Answer.OTHER, "no", (LONG_AGO, JUST_NOW)),
]
NOT_FOUND = SENT[6]
WISHES = [ActionLog(Power.RUNNING), ActionLog(Power.STOPPED), None]
SERVER = Server("s", "source", "active", updated=LONG_AGO)
CASE = ServerCase(
    ServerSight(SERVER, read_at=NOW, listed=True),
    "source",
    POLICY,
    NOW,
    HostSight(evacuations_at=NOW),
    Orders(FIRST),
    dead={"dead-dest": NOW - 100},
)


def cases() -> Iterator[ServerCase]:
    some = [state for state in STATES if state not in ("rescued", "resized", "shelved", "soft-delete", "deleted")]
    for vm_state, task, host, evacuations, sent in itertools.product(some, TASKS, HOSTS[:-1], EVACUATIONS, SENT):
        server = replace(SERVER, vm_state=vm_state, task_state=task, host=host)
        for log in WISHES:
            yield replace(CASE, seen=replace(CASE.seen, server=server, evacuations=evacuations, sent=sent, log=log))
    # What decides alone, over fewer of the others.
    alone = [
        {"server": {"updated": JUST_NOW}},
        {"server": {"updated": JUST_NOW, "task_state": "rebuilding"}},
        {"server": {"deleted": True}},
        {"server": {"known": False}},
        {"server": {"known": False, "unreadable": "no status"}},
        {"server": {"launched": False}},
        {"server": {"image": "i"}},
        {"server": {"image": None}},
        {"server": {"metadata": {"evacuable": "no"}}},
        {"server": {"metadata": {"keeper": "x"}}},
        {"server": {"task_state": "resize_prep"}},
        {"server": {"task_state": "resize_prep"}, "retried_at": NOW - 200},
        {"server": {"task_state": "resize_migrating"}, "retried_at": NOW - 200},
        {"server": {"task_state": "spawning"}},
        {"back_at": NOW - 9, "first": NOW - 600},
        {"back_at": NOW - 500},
        {"proved": True, "back_at": NOW - 9, "before": replace(SERVER, host="dest")},
        {"proved": True, "back_at": NOW - 9, "before": replace(SERVER, host="dest"), "log_read": False},
        {"proved": True},
        {"reread": True},
        {"ended_at": NOW - 20},
        {"ended_at": NOW - 500, "read_at": NOW - 500},
        {"ended_at": NOW - 500, "read_at": NOW - 501},
        {"log_read_at": NOW, "read_at": NOW - 1},
        {"sent": Sent(LONG_AGO, Outcome.TAKEN, NOW - 400, 0, "req-1"), "read_at": NOW - 401},
        {"resumed_until": NOW + 9},
        {"resumed_until": NOW - 5, "evacuations_at": NOW - 8},
        {"sent": Sent(NOW - 35, Outcome.UNCERTAIN, NOW - 5, 0, "req-1"), "evacuations_at": NOW - 8},
        {"host_became_usable_at": NOW},
        {"wanted": Power.UNKNOWN},
        {"host_back": True},
        {"dead_evacuations": frozenset({"1"})},
        {"stops": Tries(JUST_NOW, 1)},
        {"stops": Tries(LONG_AGO, 3)},
        {"resets": Tries(JUST_NOW, 1)},
        {"resets": Tries(LONG_AGO, 3)},
        {"policy": settings(shared_storage="no", evacuate="tagged")},
        {"sent": NOT_FOUND, "listed_at": NOW},
        {"sent": NOT_FOUND, "listed_at": NOW, "listed": False},
        {"skipped": True},
        {"released": True},
        {"open_from": "cmp9"},
        *({"retried_at": NOW - 200, "sent": sent} for sent in SENT),
    ]
    for extra, wanted in itertools.product(alone, (Power.RUNNING, Power.STOPPED)):
        facts = {"updated": LONG_AGO, **extra.get("server", {})}  # type: ignore[dict-item]
        rest = {key: value for key, value in extra.items() if key != "server"}
        it = but(CASE, **{"wanted": wanted, "log_read": True, **rest})
        for vm_state, host, evacuations in itertools.product(STATES, HOSTS, EVACUATIONS):
            server = replace(SERVER, vm_state=vm_state, host=host, **facts)  # type: ignore[arg-type]
            yield replace(it, seen=replace(it.seen, server=server, evacuations=evacuations))

    yield from calls_read()


def calls_read() -> Iterator[ServerCase]:
    """What Nova says of the calls, read for these evacuations or for others."""
    traces = [
        CallTrace("r", LONG_AGO, dest, LONG_AGO if dest else 0.0, LONG_AGO, "why", True, over, harmless, met)
        for dest in ("", "dest", "dead-dest", "third")
        for over, harmless, met in (
            (True, True, False),
            (True, False, False),
            (True, True, True),
            (False, False, False),
        )
    ]
    known = [None, (), *((t,) for t in traces), *itertools.product(traces[::5], traces[::7])]
    two = [
        (evacuation(first, dest), evacuation(second, "dest", JUST_NOW, "2"))
        for first in (EvacuationStatus.FAILED, EvacuationStatus.ACCEPTED, EvacuationStatus.DONE)
        for second in (EvacuationStatus.FAILED, EvacuationStatus.ACCEPTED)
        for dest in ("third", "dest")
    ]
    old = [evacuations for evacuations in EVACUATIONS if len(evacuations) == 1 and evacuations[0].created == LONG_AGO]
    for facts in (
        {},
        {"skipped": True},
        {"retried_at": NOW - 200},
        {"read_at": LONG_AGO, "ended_at": JUST_NOW},
        {"failed_earlier": True},
    ):
        it = but(CASE, wanted=Power.RUNNING, log_read=True, **facts)
        for evacuations, read, fresh, host in itertools.product(
            [(), *old, *two], known, (True, False), ("source", "dest")
        ):
            calls = Calls(LONG_AGO, Calls.state_of(evacuations if fresh else ()), 3, read)
            server = replace(SERVER, host=host)
            yield replace(it, seen=replace(it.seen, server=server, evacuations=evacuations, calls=calls))


def all_over(c: ServerCase) -> bool:
    """Nova has said so since the last of its evacuations changed."""
    known = c.seen.calls
    if known is None or not known.traces or known.evacuations != {(m.id, m.status) for m in c.evacuations}:
        return False
    begun = [t.dest for t in known.traces if not t.over]
    rows = [m.dest for m in c.evacuations if m.status is EvacuationStatus.PRE_MIGRATING]
    return len(known.traces) >= len(c.evacuations) and all(d and begun.count(d) <= rows.count(d) for d in begun)


def may_have_left_a_guest(c: ServerCase) -> set[str]:
    """Hosts where a rebuild of it failed, unless each failure there is known to be of before the guest was started."""
    known = c.seen.calls
    current = known is not None and known.evacuations == {(m.id, m.status) for m in c.evacuations}
    traces = [t for t in (known.traces or ()) if t.failed] if known and current else []
    found = set()
    for m in c.evacuations:
        fenced = m.dest == "dead-dest" and m.created <= NOW - 100
        if (
            m.status is EvacuationStatus.FAILED
            and m.dest not in ("", "source")
            and not fenced
            and m.id not in c.host.dead_evacuations
        ):
            rows = [x for x in c.evacuations if x.status is EvacuationStatus.FAILED and x.dest == m.dest]
            there = [t for t in traces if t.dest == m.dest]
            if len(there) < len(rows) or not all(t.harmless for t in there) or there[-1].met_guest:
                found.add(m.dest)
    rows_on = {m.dest for m in c.evacuations if m.status is EvacuationStatus.FAILED} | {"", "source"}
    for t in traces:  # none has succeeded since, in this space
        if (
            t.dest not in rows_on
            and (t.met_guest or not t.harmless)
            and not (t.dest == "dead-dest" and t.ended <= NOW - 100)
        ):
            found.add(t.dest)
    return found


def is_open(m: Evacuation, c: ServerCase) -> bool:
    """Not ended, and not begun on a host that was fenced since: what is only accepted may wait there for its return."""
    died = (
        m.status is EvacuationStatus.PRE_MIGRATING
        and m.dest == "dead-dest"
        and m.created <= NOW - 100
        or m.id in c.host.dead_evacuations
    )
    if m.status is EvacuationStatus.ACCEPTED and all_over(c):
        return False
    return m.status in (EvacuationStatus.ACCEPTED, EvacuationStatus.PRE_MIGRATING, EvacuationStatus.OTHER) and not died


def after_arrival(c: ServerCase) -> tuple[Evacuation, ...]:
    """The evacuations since the one that brought it to where it is: those before have ended, whatever their rows say."""
    ends = [i for i, m in enumerate(c.evacuations) if m.status.arrived and m.dest == c.server.host != c.source]
    return c.evacuations[ends[-1] :] if ends else c.evacuations


def may_come_up(c: ServerCase) -> bool:
    """A guest may still come up from an evacuation that Nova knows, or from a call that it may still carry out."""
    rows = any(is_open(m, c) for m in after_arrival(c))
    sent = c.sent
    if sent is None or sent.outcome is Outcome.REFUSED or len(c.evacuations) > sent.evacuations_before:
        return rows
    # What Nova took and nobody sees, an operator may have looked into.
    return (
        rows or c.host.evacuations_at < sent.quiet_until or (sent.outcome is Outcome.TAKEN and sent.at >= c.retried_at)
    )


def may_be_touched(c: ServerCase) -> bool:
    s, policy = c.server, c.policy
    return (
        s.host in ("source", "")
        and s.known
        and not s.deleted
        and s.launched
        and s.task_state not in ("deleting", "migrating")
        and (not s.task_state.startswith("resize") or (s.task_state == "resize_prep" and c.retried_at > 0))
        and not c.host.back_at
        and s.image == ""
        and s.metadata.get("evacuable") != "no"
        and "keeper" not in s.metadata
        and policy.evacuate == "all"
        and not (c.sent and c.sent.at >= c.retried_at and c.sent.answer is Answer.FORBIDDEN)
        and not (c.not_found and (not c.seen.listed or c.listed_at <= c.sent_at))
        and not c.skipped
        and not c.released
        and not c.open_from
        and c.failures < policy.attempts
        and not c.seen.proved
    )


def test_no_server_is_ever_touched_that_must_not_be() -> None:
    seen: dict[str, int] = {}
    for c in cases():
        finding, step = judge(c)
        seen[finding.rule] = seen.get(finding.rule, 0) + 1
        assert not step or finding.verdict.open, c
        if step in (ServerStep.EVACUATE, ServerStep.RESET):
            assert not may_come_up(c), c
            assert may_be_touched(c), c
            assert c.now >= c.due, c
            assert c.evacuations or c.host.evacuations_at >= c.host.resumed_until, c
        if step is ServerStep.EVACUATE:
            assert c.server.vm_state in ("active", "stopped", "error"), c
            assert c.wanted is not Power.UNKNOWN, c
            left = may_have_left_a_guest(c)
            assert left in (set(), {finding.target}), c
        if step is ServerStep.RESET:
            assert c.server.vm_state in c.policy.reset_states, c
        if step is ServerStep.STOP:
            assert c.wanted is Power.STOPPED, c
        if step is ServerStep.STOP or (finding.verdict is Verdict.EVACUATED and not c.seen.proved):
            arrived = [m for m in c.evacuations if m.status in (EvacuationStatus.DONE, EvacuationStatus.COMPLETED)]
            assert c.server.host in {m.dest for m in arrived} - {"source", ""}, c
            assert not c.server.task_state, c
            assert not any(is_open(m, c) for m in after_arrival(c)), c
        if finding.verdict is Verdict.EVACUATED and not c.seen.proved:
            assert (c.server.vm_state, c.wanted) in (("active", Power.RUNNING), ("stopped", Power.STOPPED)), c
        if may_come_up(c) and not (c.seen.proved or c.server.deleted or not c.server.known):
            # It is still under way, or somebody has to look: never simply over.
            assert finding.verdict not in (Verdict.QUEUED, Verdict.PARKED), c
    assert sorted(seen) == sorted(rule.name for rule in server_rules.RULES)


# --------------------------------------------------------------------------------------------------------------- a host

FENCED = int(NOW) - 100
DOWN = Service("u", "h", up=False, enabled=False, disabled_reason=f"{MARK}x", forced_down=True, updated_at=FENCED - 3.0)
SERVICES = [
    Unknown("Nova has no such service"),
    replace(DOWN, known=False),
    replace(DOWN, known=False, unreadable="no state"),
    *(
        replace(DOWN, up=up, forced_down=forced, enabled=enabled, disabled_reason=reason, updated_at=at)
        for up, forced in ((True, False), (False, False), (False, True), (True, True))
        for enabled, reason in ((True, ""), (False, f"{MARK}x"), (False, "disk swap"))
        for at in (FENCED - 3.0, FENCED + 50.0)
    ),
]
FINDINGS = [
    (),
    *((Finding(SERVER, verdict, "a rule", "why"),) for verdict in Verdict),
    (Finding(SERVER, Verdict.HELD, "completed-but-not-moved", "why"),),
    (Finding(replace(SERVER, host="h"), Verdict.EVACUATING, "on-the-way", "why"),),
    (Finding(replace(SERVER, host="d"), Verdict.EVACUATED, "a rule", "why", queued_start="start"),),
    (Finding(replace(SERVER, host="d"), Verdict.EVACUATED, "a rule", "why", queue_unread=True),),
]
ROWS = [
    {},
    *(
        {"s": (evacuation(status),)}
        for status in (EvacuationStatus.ACCEPTED, EvacuationStatus.DONE, EvacuationStatus.COMPLETED)
    ),
]
RECORDS = [
    None,
    *(
        Record(phase, FENCED, FENCED, kept, forced)
        for phase in Phase
        for kept, forced in ((False, False), (True, False), (False, True))
        if (not kept or phase is not Phase.FENCED) and (not forced or phase is Phase.FENCED)
    ),
    Record(Phase.EVACUATING, FENCED, FENCED, lives=True),
]


UNREADABLE = {"s": ServerSight(SERVER, unread=Tries(NOW - 60, 9))}


FLAPPY = settings(flap_window_s=500)
FENCED_TWICE = Past((PastIncident(FENCED - 100, FENCED - 50), PastIncident(FENCED - 499, FENCED - 400)))


def host_cases() -> Iterator[HostCase]:
    base = HostCase(Node("n", True), NOW, settings(), asked=True)
    sights = [
        HostSight(
            unshown=rows,
            first_listed_at=LONG_AGO,
            listed_at=listed,
            heartbeat_after_fencing=beat,
            compute_restarted=again,
            back_at=LONG_AGO * again,
            evacuations_at=JUST_NOW,
        )
        for rows in ROWS
        for listed, beat, again in ((JUST_NOW, False, False), (JUST_NOW, False, True), (JUST_NOW, True, False))
    ]
    for record, hold, service, sight, findings in itertools.product(RECORDS, (True, False), SERVICES, sights, FINDINGS):
        node = Node("n", True, record=record, hold=hold, fenced_at=FENCED)
        yield replace(base, node=node, service=service, sight=sight, findings=findings)
    alone = [
        {"nova_trouble": "silent"},
        {"asked": False},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW, unlisted="silent")},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW, call_failed="HTTP 500")},
        {"failed": 4, "limit": 3},
        {"inbound": 1},
        {"policy": FLAPPY, "node": {"past": FENCED_TWICE}},
        {"policy": FLAPPY, "node": {"past": FENCED_TWICE, "orders": Orders(FENCED, released=True)}},
        {"policy": settings(delay_s="3600")},
        {"sight": HostSight(listed_at=0.0)},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=LONG_AGO)},
        {"sight": HostSight(first_listed_at=JUST_NOW, listed_at=JUST_NOW)},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW, doubted=True)},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW, force_down_late_until=NOW + 5)},
        {"sight": HostSight(listed_at=LONG_AGO, compute_restarted=True, back_at=JUST_NOW - 5)},
        {"sight": HostSight(listed_at=JUST_NOW, compute_restarted=True, back_at=LONG_AGO)},
        {"node": {"unreadable_record": "x"}},
        {"node": {"unreadable_orders": "x"}},
        {"failed": 4, "limit": 3, "node": {"orders": Orders(FENCED, approved=True)}},
        {"node": {"orders": Orders(FENCED, all_retried=int(NOW))}},
        {"node": {"orders": Orders(FENCED, retried={"s": int(NOW)}, released=True)}},
        {"node": {"orders": Orders(FENCED, all_retried=int(NOW)), "member": True, "fenced_at": 0}},
        {"failed": 4, "limit": 3, "node": {"orders": Orders(FENCED - 900, approved=True)}},
        {"node": {"fenced_at": FENCED + 90}},
        {"node": {"member": True, "fenced_at": 0}},
        {"node": {"compute": False}},
        {"node": {"unproved": "by a fabric device"}},
        {"node": {"unproved": "by a fabric device", "fenced_at": FENCED + 90}},
        {"node": {"unproved": "by a fabric device", "confirmed_at": FENCED + 100}},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW, found_running=True)},
        {"node": {"found_running": FENCED + 1}},
        {"sight": HostSight(listed_at=JUST_NOW, seen_at=FENCED - 9.0, seen_from=FENCED - 10.0)},
        {"clocks_apart": "100 s"},
        {"now": FENCED - 10.0},
        {"node": {"probed_running": FENCED + 1}, "sight": HostSight(unshown=ROWS[2], listed_at=JUST_NOW)},
        *(
            {
                "sight": HostSight(
                    unshown=ROWS[2], compute_restarted=True, back_at=LONG_AGO, evacuations_at=NOW, compute_stops=n
                ),
                "node": {"member": True},
            }
            for n in (0, 2)
        ),
        {"sight": HostSight(compute_stopped_at=NOW - 10)},
        {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW, servers=UNREADABLE)},
        {"sight": HostSight(unshown=ROWS[1], first_listed_at=LONG_AGO, listed_at=JUST_NOW)},
    ]
    for extra, record, hold, service, findings in itertools.product(alone, RECORDS, (True, False), SERVICES, FINDINGS):
        facts = {"fenced_at": FENCED, **extra.get("node", {})}  # type: ignore[dict-item]
        node = Node("n", True, record=None if "unreadable_record" in facts else record, hold=hold, **facts)  # type: ignore[arg-type]
        if node.record or node.unreadable_record or node.fenced_at:
            rest = {key: value for key, value in extra.items() if key != "node"}
            sight = {"sight": HostSight(first_listed_at=LONG_AGO, listed_at=JUST_NOW), **rest}
            yield replace(base, node=node, service=service, findings=findings, **sight)  # type: ignore[arg-type]


def is_proved_off_and_down(c: HostCase) -> bool:
    s = c.service
    return (
        isinstance(s, Service)
        and s.known
        and (s.forced_down, s.up, s.enabled) == (True, False, False)
        and not c.sight.heartbeat_after_fencing
        and c.asked
        and not (c.nova_trouble or c.sight.unlisted or c.sight.call_failed)
        and c.node.record is not None
        and c.node.record.phase is Phase.EVACUATING
        and c.node.hold
        and not c.sight.found_running
        and not c.node.found_running
        and not c.node.record.lives
    )


def test_no_host_is_ever_begun_or_released_that_must_not_be() -> None:
    seen: dict[str, int] = {}
    for c in host_cases():
        row = host_rules.assess(c)
        seen[row.name] = seen.get(row.name, 0) + 1
        steps = row.steps(c)
        notes = [step for step in steps if isinstance(step, SwapRecord) and step.new == replace(step.old, lives=True)]
        reads = [step for step in steps if isinstance(step, ReadLog)]
        assert not (row.state is State.BLOCKED and (len(steps) > len(notes) + len(reads) or row.sends)), (row.name, c)
        if row.sends:
            assert is_proved_off_and_down(c), (row.name, c)
            assert c.now >= c.record.last + c.policy.delay_s, c
        for step in steps:
            check_host_step(c, step)
    assert sorted(seen) == sorted(rule.name for rule in host_rules.RULES)


def check_host_step(c: HostCase, step: object) -> None:
    record, service = c.node.record, c.service
    rows = [m.status for evacuations in c.sight.evacuations.values() for m in evacuations]
    if isinstance(step, WriteRecord):
        fenced = record is None or step.record.first > record.first
        assert not (fenced and c.node.unproved and not c.node.confirmed_at), c
        assert step.record.last >= c.node.confirmed_at or not fenced, c
        assert step.record.phase not in (Phase.RETURNING, Phase.CLOSED), c
        assert record is None or step.record.first == record.first or record.phase is Phase.RETURNING, c
        if record and record.phase is Phase.RETURNING and step.record.phase is Phase.EVACUATING:
            # Only for an operator who asked for it or began by hand, while the fencing on record still says that it is
            # off.
            assert c.node.standing_orders.retried_at("s") or EvacuationStatus.ACCEPTED in rows, c
            assert (c.node.member, c.sight.compute_restarted) == (False, False), c
            assert isinstance(service, Service), c
            assert (service.forced_down, service.up) == (True, False), c
    if isinstance(step, SwapRecord) and step.new.phase is Phase.EVACUATING and step.old.phase is not Phase.EVACUATING:
        assert c.failed <= c.limit or c.node.standing_orders.approved, c
        assert c.node.compute, c
        assert isinstance(service, Service), c
        assert c.now >= step.old.last + c.policy.delay_s, c
    if isinstance(step, SwapRecord) and step.new.phase is Phase.CLOSED:
        assert not any(f.verdict.open for f in c.findings), c
        assert c.sight.listed_at >= c.sight.back_at > 0, c
    if isinstance(step, SwapRecord) and step.new.phase is Phase.RETURNING:
        assert is_proved_off_and_down(c), c
        assert not any(f.verdict.open for f in c.findings), c
        assert not c.inbound, c
        for finding in (f for f in c.findings if f.queued_start or f.queue_unread):
            sent_away = [m.created for m in c.sight.evacuations.get(finding.server.id, ())]
            assert c.node.standing_orders.queue_emptied > max(sent_away, default=0.0), c
        assert c.sight.listed_at >= JUST_NOW - 5, c
        assert c.sight.first_listed_at <= c.sight.listed_at - 1, c
        assert not c.sight.doubted, c
        assert c.now >= c.sight.force_down_late_until, c
        assert EvacuationStatus.ACCEPTED not in rows or c.findings, c
    if isinstance(step, StopCompute):
        assert record is not None, c
        assert (record.phase, c.node.member) == (Phase.RETURNING, True), c
        assert EvacuationStatus.DONE in rows, c
    if isinstance(step, DropHold):
        assert record is not None, c
        assert record.phase in (Phase.RETURNING, Phase.CLOSED) or not any(f.verdict.open for f in c.findings), c
    if isinstance(step, ForceDown):
        assert record is not None, c
        first = host_rules.assess(c).steps(c)[0]
        claims = isinstance(first, SwapRecord) and first.new.phase is Phase.EVACUATING
        assert record.phase is Phase.EVACUATING or claims, c
        assert isinstance(service, Service), c
        # An operator's own disable keeps its reason.
        assert (step.disable_reason is not None) == service.enabled, c
    if isinstance(step, ForceUp):
        assert record is not None, c
        assert record.phase is Phase.RETURNING, c
        assert EvacuationStatus.DONE not in rows, c
        assert not (step.unforce and record.kept), c
        assert isinstance(service, Service), c
        assert not step.enable or service.disabled_reason.startswith(MARK), c
        assert not (step.enable and step.disable_reason), c
    if isinstance(step, DropRecord):
        assert step.record.phase is Phase.CLOSED, c
