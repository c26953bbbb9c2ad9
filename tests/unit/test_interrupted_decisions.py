# SPDX-License-Identifier: Apache-2.0
"""C6: whatever part of a decision is carried out, and whoever decides next, keeps the order and sends nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.core.cluster_facts import Phase
from muster.core.decide import Decision, decide
from muster.core.nova_facts import Evacuation, EvacuationStatus, Power, Server
from muster.core.policy import Policy
from muster.core.sight import NEVER_TRIED, HostSight, Outcome, Sent, Sight
from muster.core.steps import (
    DropHold,
    DropRecord,
    Evacuate,
    ForceDown,
    ForceUp,
    Reset,
    Step,
    StopCompute,
    SwapRecord,
    WriteRecord,
)
from tests.fakes import settings
from tests.sim.mutants import MUTANTS, planted
from tests.unit.sights import DOWN, NOW, node, server, sight


@dataclass(frozen=True)
class Truth:
    """What is the case, and what the worker that lives knows of its own calls.

    :param lost: servers for which an evacuate is on the wire: Nova may carry it out, and does not show it.
    """

    seen: Sight
    lost: frozenset[str] = frozenset()

    @property
    def phase(self) -> Phase | None:
        record = self.seen.cluster.nodes["cmp1"].record
        return record.phase if record else None

    @property
    def under_way(self) -> set[str]:
        evacuations = self.seen.hosts["cmp1"].evacuations
        return self.lost | {ident for ident, ms in evacuations.items() if any(m.status.open for m in ms)}


def with_server(host: HostSight, ident: str, **facts: Any) -> HostSight:
    return replace(host, servers={**host.servers, ident: replace(host.servers[ident], **facts)})


def carried_out(truth: Truth, step: Step, shows: bool = True) -> Truth:
    """:param shows: what Nova was asked for can be seen; else it is done later."""
    seen = truth.seen
    it, host = seen.cluster.nodes["cmp1"], seen.hosts["cmp1"]
    service, *others = host.services
    lost = truth.lost
    if isinstance(step, WriteRecord):
        it = replace(it, record=step.record, hold=True)
    elif isinstance(step, SwapRecord):
        it = replace(it, record=step.new)
    elif isinstance(step, StopCompute):
        it = replace(it, hold=True)
    elif isinstance(step, DropHold):
        it = replace(it, hold=False)
    elif isinstance(step, DropRecord):
        it = replace(it, record=None, hold=False)
    elif isinstance(step, ForceDown) and shows:
        disable = {"enabled": False, "disabled_reason": step.disable_reason} if step.disable_reason else {}
        service = replace(service, forced_down=True, up=False, **disable)
    elif isinstance(step, ForceUp) and shows:
        service = replace(service, forced_down=service.forced_down and not step.unforce)
    elif isinstance(step, Reset) and shows:
        reset = replace(host.servers[step.server].server, vm_state="active")
        host = with_server(host, step.server, server=reset)
    elif isinstance(step, Evacuate) and shows:
        new = Evacuation(f"new-{step.server}", step.server, "cmp1", EvacuationStatus.ACCEPTED, "", NOW, NOW)
        host = with_server(host, step.server, evacuations=(*host.servers[step.server].evacuations, new))
    elif isinstance(step, Evacuate):
        lost |= {step.server}
    if isinstance(step, Evacuate):
        call = Sent(NOW, Outcome.TAKEN if shows else Outcome.UNCERTAIN, NOW + 30, step.evacuations_before)
        host = with_server(host, step.server, sent=call)
    cluster = replace(seen.cluster, nodes={**seen.cluster.nodes, "cmp1": it})
    host = replace(host, services=(service, *others))
    return Truth(replace(seen, cluster=cluster, hosts={**seen.hosts, "cmp1": host}), lost)


def taken_over(truth: Truth) -> Truth:
    """Another worker sees the same, and knows nothing of calls, wishes and proofs."""
    host = truth.seen.hosts["cmp1"]
    host = replace(
        host,
        wait_from=NOW if truth.phase is Phase.EVACUATING else 0.0,
        first_listed_at=host.listed_at,
        servers={
            ident: replace(
                it,
                sent=None,
                log=None,
                calls=None,
                stops=NEVER_TRIED,
                resets=NEVER_TRIED,
                at_rest=Power.UNKNOWN if it.evacuations else it.at_rest,
                proved=False,
            )
            for ident, it in host.servers.items()
        },
    )
    return replace(truth, seen=replace(truth.seen, hosts={**truth.seen.hosts, "cmp1": host}))


def out_of_order(truth: Truth, decision: Decision) -> Iterator[str]:
    """What is wrong with a decision, by what is true when each of its steps is taken."""
    incident = decision.incidents.get("cmp1")
    waiting = {ident for ident, f in incident.findings.items() if f.verdict.open} if incident else set()
    for step in decision.steps:
        service = truth.seen.hosts["cmp1"].services[0]
        told = f"{type(step).__name__} while the record is {truth.phase}"
        if isinstance(step, (ForceDown, Evacuate, Reset)) and truth.phase is not Phase.EVACUATING:
            yield told
        if isinstance(step, Evacuate) and (service.up or not service.forced_down):
            yield f"{step.server} is sent before its host is down"
        if isinstance(step, Evacuate) and step.server in truth.under_way:
            yield f"{step.server} is sent twice"
        releases = isinstance(step, SwapRecord) and step.new.phase is Phase.RETURNING is not step.old.phase
        if releases and (truth.under_way or waiting):
            yield f"released with {truth.under_way | waiting} open"
        if isinstance(step, (DropHold, ForceUp)) and truth.phase not in (Phase.RETURNING, Phase.CLOSED):
            yield told
        if isinstance(step, DropRecord) and truth.phase is not Phase.CLOSED:
            yield told
        truth = carried_out(truth, step)


def interrupted(truth: Truth, steps: Sequence[Step]) -> Iterator[tuple[str, Truth]]:
    """What is the case after each part of the steps: all of it shows, or the last of it is still on the wire."""
    for count in range(len(steps) + 1):
        done = truth
        for step in steps[:count]:
            done = carried_out(done, step)
        yield f"after {count}", done
        if count < len(steps):
            yield f"in the middle of {count + 1}", carried_out(done, steps[count], shows=False)


def faults(truth: Truth, policy: Policy, times: int = 2) -> Iterator[str]:
    """Of the decision, and of every decision that follows a part of it, so many times one after the other."""
    decision = decide(truth.seen, policy)
    yield from out_of_order(truth, decision)
    if times == 0 or not decision.steps:
        return
    for told, then in interrupted(truth, decision.steps):
        for who, its in (("the same", then), ("another", taken_over(then))):
            yield from (f"{told}, {who}: {fault}" for fault in faults(its, policy, times - 1))


PHASES = (*[Phase.EVACUATING] * 8, *[Phase.FENCED] * 3, *[Phase.RETURNING] * 3, Phase.CLOSED, None)
STATES = ("active", "active", "active", "stopped", "error", "paused", "shelved")
STATUSES = (*[None] * 8, "accepted", "pre-migrating", "done", "completed", "failed", "error")


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    phase = draw(st.sampled_from(PHASES))
    begun = phase in (Phase.EVACUATING, Phase.RETURNING)
    back = phase is Phase.RETURNING and draw(st.booleans())
    it = node(phase, hold=phase is not None and draw(st.integers(0, 4)) > 0, member=back)
    up = replace(DOWN, forced_down=False, enabled=True, disabled_reason="", up=draw(st.booleans()))
    servers: list[Server] = []
    evacuations: list[Evacuation] = []
    wanted: dict[str, Power] = {}
    for ident in "abcd"[: draw(st.integers(0, 4))]:
        task = draw(st.sampled_from([*[""] * 6, "deleting"]))
        it_is = server(
            ident, draw(st.sampled_from(["", "900"])), vm_state=draw(st.sampled_from(STATES)), task_state=task
        )
        status = draw(st.sampled_from(STATUSES)) if begun else None
        if status:
            evacuations.append(
                Evacuation(f"m-{ident}", ident, "cmp1", EvacuationStatus(status), "cmp2", NOW - 10, NOW - 8)
            )
        arrived = status in ("done", "completed") and draw(st.booleans())
        servers.append(replace(it_is, host="cmp2") if arrived else it_is)
        wanted[ident] = draw(st.sampled_from([*[Power.RUNNING] * 4, Power.STOPPED, Power.UNKNOWN]))
    facts: dict[str, object] = {
        "at_rest": wanted,
        "first_listed_at": NOW - 10,
        "compute_restarted": back and draw(st.booleans()),
        "wait_from": draw(st.sampled_from([0.0, 0.0, NOW - 200, NOW - 1])) if begun else 0.0,
    }
    service = DOWN if begun and draw(st.integers(0, 9)) else up
    return Truth(sight(it, *servers, service=service, evacuations=tuple(evacuations), **facts))


POLICIES = st.builds(
    lambda in_flight, reset: settings(in_flight=in_flight, reset_states=reset, per_destination=0),
    st.sampled_from([1, 2, 10]),
    st.sampled_from(["", "paused"]),
)


@given(truths(), POLICIES)
def test_whoever_decides_after_any_part_of_a_decision_keeps_the_order(truth: Truth, policy: Policy) -> None:
    assert list(faults(truth, policy)) == []


FENCED_WITH_TWO = Truth(
    sight(node(Phase.FENCED), server("a"), server("b"), service=replace(DOWN, forced_down=False, enabled=True))
)
BEGUN_WITH_TWO = Truth(sight(node(), server("a"), server("b")))


@pytest.mark.parametrize(
    ("bug", "truth"),
    [
        ("claims nothing before it begins", FENCED_WITH_TWO),
        ("sends again while a call is pending", BEGUN_WITH_TWO),
        ("does not wait for an earlier worker's calls", BEGUN_WITH_TWO),
        ("releases a host while it works on it", BEGUN_WITH_TWO),
    ],
)
def test_a_planted_bug_is_seen(bug: str, truth: Truth) -> None:
    assert not list(faults(truth, settings()))
    with planted(next(mutant for mutant in MUTANTS if mutant.name == bug)):
        assert next(faults(truth, settings()), "")
