# SPDX-License-Identifier: Apache-2.0
"""From a sight to a decision: verdicts, states and the steps of one pass.  Pure."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from muster.core.admission import Wish, admit, first_calls
from muster.core.bounds import HEARTBEAT_SKEW_S, LOOKED_AFTER_S
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.findings import Finding, State, Verdict
from muster.core.host_case import NOT_NAMED, HostCase
from muster.core.host_rules import HostRule, assess
from muster.core.naming import Names
from muster.core.nova_facts import Evacuation, EvacuationStatus, Power, Server, Service
from muster.core.other_incidents import Judged, judge_all
from muster.core.policy import Policy
from muster.core.server_case import POWER_OF_STATE, ServerCase, same_host
from muster.core.server_rules import RESETTABLE_STATES, ServerStep
from muster.core.sight import HostSight, Sight
from muster.core.steps import (
    ListAgain,
    ReadCalls,
    ReadLog,
    ReadServer,
    Step,
    SwapRecord,
    WriteRecord,
)
from muster.core.unknown import Unknown

API_CLOCKS_S = 5.0
"""Nova writes when a row was created by the clock of the controller that took the call: so far they may be apart."""


@dataclass(frozen=True)
class Incident:
    """One dead host as it is shown: its state, why, and the verdict of every server.

    :param lost: when Pacemaker lost it (0: not known, or not any more).
    """

    node: str
    host: str
    state: State
    rule: str
    reason: str
    first: int
    last: int
    findings: Mapping[str, Finding] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True)
class Decision:
    """What is the case, and what to do about it, in this order.

    :param hindrance: why this worker is to do nothing at all, nor speak for the cluster.
    :param paused: who told muster to change nothing for now.
    :param waiting: for how many servers the limits leave no place now.
    :param arrivals_unread: by half a look: what it says of servers may be older than the end of their evacuations.
    """

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    hindrance: str = ""
    paused: str = ""
    waiting: int = 0
    arrivals_unread: bool = False


def has_incident(node: Node) -> bool:
    """A record says so; without one, Pacemaker's own word for a remote that has not come back."""
    if node.record or node.unreadable_record:
        return True
    return node.remote and node.compute and bool(node.fenced_at) and not node.member


def computes(cluster: Cluster, policy: Policy) -> int:
    """How many hosts a percentage is of."""
    return sum(node.compute and policy.host_map.get(node.name) != "" for node in cluster.nodes.values())


def wanted_now(server: Server) -> Power:
    """The power state that needs no asking: the server is at rest in it.  Everything else the action log knows.

    What is evacuated out of a paused, suspended or rescued state can only come up running.
    """
    if server.vm_state in RESETTABLE_STATES:
        return Power.RUNNING
    return Power.UNKNOWN if server.task_state else POWER_OF_STATE.get(server.vm_state, Power.UNKNOWN)


def dead_hosts(sight: Sight, policy: Policy) -> dict[str, float]:
    """Nova hosts proved off and down in Nova, with the time up to which that proves what began there dead.

    Not as long as heartbeats of theirs are waited for: what an earlier worker had seen of them is lost with it.
    """
    return _dead(sight, _services(sight, policy))


def _dead(sight: Sight, services: Mapping[str, Union[Service, Unknown]]) -> dict[str, float]:
    dead = {}
    for name, host in sight.hosts.items():
        node = sight.cluster.nodes.get(name)
        record = node.record if node else None
        service = services[name]
        if node is None or record is None or isinstance(service, Unknown):
            continue
        if record.phase is not Phase.EVACUATING and not _is_still_off(node, record, host):
            continue
        waits = sight.now < host.resumed_until
        if service.forced_down and not service.up and not host.lives and not waits:
            dead[service.host] = record.last + HEARTBEAT_SKEW_S
    return dead


def _is_still_off(node: Node, record: Record, host: HostSight) -> bool:
    """It was let return, and is not back: it has not joined since, and was silent for longer than a host that lives."""
    back = not node.known_off or host.has_rejoined or host.compute_restarted
    silent = host.unchanged_for_s >= host.beats_every_s + LOOKED_AFTER_S
    return record.phase is Phase.RETURNING and silent and not back


def lying_hosts(sight: Sight, policy: Policy) -> frozenset[str]:
    """Nova hosts that were said to be off, and have been seen to live since."""
    lives = [name for name, host in sight.hosts.items() if host.lives]
    services = _services(sight, policy) if lives else {}
    return frozenset(service.host for name in lives if not isinstance(service := services[name], Unknown))


def decide(sight: Sight, policy: Policy) -> Decision:
    """Everything a pass says and does.  Without quorum, or by a worker that is not the one, nothing is done."""
    ignored = {node for node, host in policy.host_map.items() if not host}
    nodes = [n for n in sight.cluster.nodes.values() if has_incident(n) and n.name not in ignored]
    services = _services(sight, policy)
    named = {node.name: services.get(node.name, NOT_NAMED) for node in nodes}
    dead = _dead(sight, services)
    evacuated = _evacuated(nodes, sight)
    cases = {node.name: _server_cases(node, named[node.name], sight, policy, dead, evacuated) for node in nodes}
    judged = judge_all(cases, nodes, {name for name, it in named.items() if not isinstance(it, Unknown)}, sight)
    ruled = [(case, assess(case)) for case in _host_cases(nodes, named, judged, sight, policy)]
    incidents = {case.node.name: _incident(case, rule) for case, rule in ruled}
    logs_rest = _logs_rest(sight)
    wishes = [
        Wish(case.node.name, finding, step)
        for case, rule in ruled
        for finding, step in judged[case.node.name]
        if step and _serves(rule, finding, step, sight) and not (logs_rest and step is ServerStep.READ_LOG)
    ]
    flying = [f for incident in incidents.values() for f in incident.findings.values() if f.under_way]
    of_servers, waiting = admit(wishes, flying, policy)
    of_hosts = (step for case, rule in ruled for step in rule.steps(case))
    steps = [*(step for step in of_hosts if not (logs_rest and isinstance(step, ReadLog))), *of_servers]
    hindrance, paused = _hindrance(sight.cluster), sight.cluster.paused
    may_do = _allowed(steps, sight, hindrance)
    return Decision(incidents, tuple(may_do), hindrance, paused, waiting, sight.arrivals_unread)


def _allowed(steps: Sequence[Step], sight: Sight, hindrance: str) -> Sequence[Step]:
    if hindrance:
        return ()
    if sight.cluster.paused:
        steps = [step for step in steps if _even_paused(step)]
    return first_calls(steps) if sight.arrivals_unread else steps


def _logs_rest(sight: Sight) -> bool:
    """An action log was asked for in vain, and that took long: for as long none is, so that all else has half of the
    time, however many there are.  By how long it took, and for all; a pause by how often one has failed is that of its
    server (server_rules.py, _is_due) or of a host (HostCase.queue_to_read): of a log that fails at once the others are
    not to wait."""
    return any(server.unread.at > sight.now for host in sight.hosts.values() for server in host.servers.values())


def _even_paused(step: Step) -> bool:
    """Looking goes on, and what Pacemaker knows of fencings is recorded, or it would be forgotten."""
    if isinstance(step, SwapRecord):
        return step.new.phase is step.old.phase
    return isinstance(step, (WriteRecord, ReadLog, ReadServer, ReadCalls, ListAgain))


def _serves(rule: HostRule, finding: Finding, step: ServerStep, sight: Sight) -> bool:
    """On the way back nothing is sent; but a worker that begins then has to prove anew what has arrived, and another
    incident may wait for what became of a call."""
    reads = step in (ServerStep.READ_LOG, ServerStep.READ_SERVER) and finding.verdict is Verdict.UNKNOWN
    return rule.sends or (rule.proves and reads) or (step is ServerStep.READ_CALLS and not sight.nova_trouble)


def _host_cases(
    nodes: Sequence[Node],
    named: Mapping[str, Union[Service, Unknown]],
    judged: Mapping[str, Sequence[Judged]],
    sight: Sight,
    policy: Policy,
) -> Iterator[HostCase]:
    inbound = _inbound(judged, sight)
    failed = sum(_failed(n) for n in nodes)
    limit = policy.max_failed_hosts.hosts(computes(sight.cluster, policy))
    for node in nodes:
        service = named[node.name]
        host = None if isinstance(service, Unknown) else service.host
        yield HostCase(
            node=node,
            now=sight.now,
            policy=policy,
            sight=sight.hosts.get(node.name, HostSight()),
            service=service,
            asked=node.name in sight.hosts,
            nova_trouble=sight.nova_trouble,
            clocks_apart=sight.clocks_apart,
            findings=tuple(finding for finding, _ in judged[node.name]),
            inbound=0 if host is None else inbound[host] - inbound[node.name, host],
            awaited=0 if host is None else _awaited(host, judged.values()),
            failed=failed,
            limit=limit,
            resource=sight.cluster.resource,
            nova_compute=sight.cluster.nova_compute,
        )


def _failed(node: Node) -> bool:
    returns = node.record is not None and node.record.phase in (Phase.RETURNING, Phase.CLOSED)
    return node.compute and not returns


def _hindrance(cluster: Cluster) -> str:
    if not cluster.quorum:
        return "this controller has no quorum"
    if cluster.active_elsewhere:
        return f"the resource is also active on {', '.join(cluster.active_elsewhere)}"
    if not cluster.active_here:
        return "the resource is not active on this controller"
    return ""


def _services(sight: Sight, policy: Policy) -> dict[str, Union[Service, Unknown]]:
    """By node that Nova was asked about, its service or the reason why none can be named."""
    names: dict[int, Names] = {}  # as a rule all have the same list
    found = {}
    for name, host in sight.hosts.items():
        if id(host.services) not in names:
            names[id(host.services)] = Names(sight.cluster.nodes, host.services, policy.host_map)
        found[name] = names[id(host.services)].service_of(name)
    return found


def _server_cases(
    node: Node,
    service: Union[Service, Unknown],
    sight: Sight,
    policy: Policy,
    dead: Mapping[str, float],
    evacuated: Mapping[str, Mapping[str, float]],
) -> list[ServerCase]:
    """:param evacuated: by server id and node, when the incidents began that have evacuations of it."""
    host = sight.hosts.get(node.name)
    if host is None or isinstance(service, Unknown):
        return []
    orders = node.standing_orders
    of_host = functools.partial(
        ServerCase,
        source=service.host,
        policy=policy,
        now=sight.now,
        host=host,
        orders=orders,
        dead=dead,
        progress=sight.progress,
        host_back=node.member,
        host_became_usable_at=sight.host_became_usable_at,
        claimed_at=_claimed_at(service, orders.first),
    )
    return [
        of_host(seen, evacuated_elsewhere=_elsewhere(evacuated[ident], node) if ident in evacuated else 0.0)
        for ident, seen in host.servers.items()
    ]


def _elsewhere(evacuated: Mapping[str, float], node: Node) -> float:
    return min((began for name, began in evacuated.items() if name != node.name), default=0.0)


def _evacuated(nodes: Iterable[Node], sight: Sight) -> Mapping[str, Mapping[str, float]]:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for node in nodes:
        for server in sight.hosts[node.name].evacuations if node.name in sight.hosts else ():
            found[server][node.name] = float(node.standing_orders.first)
    return found


def _inbound(judged: Mapping[str, Sequence[Judged]], sight: Sight) -> Counter[Union[str, tuple[str, str]]]:
    """Servers that were on their way to a host and are not safe yet (facts.md N28): by host, and by node that they come
    from and host."""
    found: Counter[Union[str, tuple[str, str]]] = Counter()
    for name, findings in judged.items():
        evacuations = sight.hosts[name].evacuations if name in sight.hosts else {}
        for finding, _ in findings:
            if finding.verdict.open:
                for dest in {m.dest for m in evacuations.get(finding.server.id, ()) if _begun(m)}:
                    found[dest] += 1
                    found[name, dest] += 1
    return found


def _awaited(host: str, judged: Iterable[Sequence[Judged]]) -> int:
    """How many evacuations of other hosts wait for this one."""
    return sum(bool(f.waits_for) and same_host(f.waits_for, host) for findings in judged for f, _ in findings)


def _begun(evacuation: Evacuation) -> bool:
    return evacuation.status is EvacuationStatus.PRE_MIGRATING


def _claimed_at(service: Service, first: int) -> float:
    """Of a host that is dead nothing but a change by an admin moves that time, and the first one is muster's.  After a
    later one, or a heartbeat of a host that lived until it was fenced once more, only the fencing is known."""
    claimed = service.forced_down and not service.enabled
    return min(service.updated_at - API_CLOCKS_S, float(first)) if claimed else 0.0


def _incident(case: HostCase, rule: HostRule) -> Incident:
    record = case.node.record or Record(Phase.CONFIRMED, max(case.node.fenced_at, 1), max(case.node.fenced_at, 1))
    return Incident(
        node=case.node.name,
        host="" if isinstance(case.service, Unknown) else case.service.host,
        state=rule.state,
        rule=rule.name,
        reason=rule.reason(case),
        first=record.first,
        last=record.last,
        lost=case.node.lost_at,
        findings={finding.server.id: finding for finding in case.findings},
    )
