# SPDX-License-Identifier: Apache-2.0
"""What would happen if a host died now: who is evacuated and in which wave, who is held, who finds no room.  Pure.

The verdicts are those of the real rules, for a server as it would be right after the fencing.  Room is an estimate from
CPUs, memory and disk alone; where it is not known it is never said to be there.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional, Union

from muster.core.cluster_facts import Cluster, Phase
from muster.core.decide import computes, has_incident, wanted_now
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import Server, Service, Size
from muster.core.policy import Policy
from muster.core.printable import counted
from muster.core.sequence import sequence
from muster.core.server_case import ServerCase
from muster.core.server_rules import judge
from muster.core.sight import ServerSight
from muster.core.unknown import Unknown
from muster.planning.capacity import Room, asks_for_more
from muster.planning.hosts import Host

READY, ATTENTION, NOT_READY, LEFT_ALONE = "ready", "attention", "not ready", "left alone"


class Outlook(enum.Enum):
    """What would become of a server."""

    EVACUATED = "evacuated"
    NO_ROOM = "no room"
    ROOM_UNKNOWN = "room unknown"
    HELD = "held"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


_OF_ROOM = {True: Outlook.EVACUATED, False: Outlook.NO_ROOM, None: Outlook.ROOM_UNKNOWN}
_REASONS = {"ready": "", "owner-unread": "only if its action log shows what its owner last asked for"}
"""In place of what the rules say while a host is dead."""
_OF_VERDICT = {Verdict.HELD: Outlook.HELD, Verdict.SKIPPED: Outlook.SKIPPED, Verdict.GONE: Outlook.SKIPPED}


@dataclass(frozen=True)
class Pace:
    """How long one evacuation takes, by those on record.

    :param seconds: the median.
    :param count: of how many.
    """

    seconds: float
    count: int


@dataclass(frozen=True)
class Survey:
    """All that a plan depends on.

    :param doubts: by node, why a fencing of it would prove nothing.
    :param servers: those of the hosts in question; one that Nova knows nothing of, as its cell is silent, has no host.
    :param left: what is left on each host, by Nova's name.
    :param requests: how many were made for all of it.
    """

    now: float
    cluster: Cluster
    services: Sequence[Service]
    servers: Sequence[Server]
    left: Union[Mapping[str, Size], Unknown]
    pace: Union[Pace, Unknown]
    doubts: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0


@dataclass(frozen=True)
class Turn:
    """One server in the plan.

    :param wave: counted from 1; 0 for what is not sent.
    :param dest: only where ``target_map`` names it: otherwise Nova's scheduler decides.
    """

    server: Server
    finding: Finding
    outlook: Outlook
    reason: str
    wave: int = 0
    dest: str = ""


@dataclass(frozen=True)
class Plan:
    """What would happen if this host died now.

    :param turns: in sequence; each server of the host once.
    :param width: how many servers are under way at once.
    :param seconds: from the fencing to the last evacuation; None if nobody knows.
    :param blocked: why nothing would happen at all, so that the turns only show what would if that were mended.
    :param trouble: why servers would stay down.
    :param attention: what somebody should look at.
    """

    host: Host
    turns: tuple[Turn, ...]
    width: int
    seconds: Optional[float]
    blocked: str = ""
    trouble: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        if self.host.ignored:
            return LEFT_ALONE
        return NOT_READY if self.blocked or self.trouble else ATTENTION if self.attention else READY

    @property
    def waves(self) -> int:
        return max((turn.wave for turn in self.turns), default=0)

    @property
    def counts(self) -> Counter[Outlook]:
        return Counter(turn.outlook for turn in self.turns)

    @property
    def sent(self) -> int:
        return sum(turn.wave > 0 for turn in self.turns)


def plans(known: Sequence[Host], survey: Survey, policy: Policy) -> list[Plan]:
    """One plan for each of these hosts, each as if only that one died."""
    by_host: dict[str, list[Server]] = {}
    for server in survey.servers:
        by_host.setdefault(server.host, []).append(server)
    return [plan(host, by_host.get(host.service.host, ()) if host.service else (), survey, policy) for host in known]


def plan(host: Host, servers: Iterable[Server], survey: Survey, policy: Policy) -> Plan:
    """:param servers: all that Nova places on this host."""
    others = [s.host for s in survey.services if s.host != host.name and s.up and s.enabled and s.known]
    width = _width(host.name, policy, len(others))
    room = Room(survey.left, others, policy.target_map.get(host.name))
    turns = tuple(_turns(servers, host.name, width, room, survey.now, policy))
    made = Plan(host, turns, width, None, _blocked(host, survey))
    if isinstance(survey.pace, Pace):
        made = replace(made, seconds=policy.delay_s + made.waves * survey.pace.seconds if made.waves else 0.0)
    return replace(made, trouble=tuple(_trouble(made)), attention=tuple(_attention(made, survey, policy)))


def _width(host: str, policy: Policy, others: int) -> int:
    """How many are under way at once: ``per_destination`` binds where there are few destinations."""
    destinations = 1 if host in policy.target_map else others
    if not policy.per_destination:
        return policy.in_flight
    return min(policy.in_flight, policy.per_destination * max(1, destinations))


def _turns(servers: Iterable[Server], host: str, width: int, room: Room, now: float, policy: Policy) -> Iterable[Turn]:
    sent = 0
    for server in sequence(servers, policy.priority_key):
        finding, _ = judge(ServerCase(ServerSight(server, at_rest=wanted_now(server)), host, policy, now))
        if finding.verdict is Verdict.QUEUED:
            there_is, why_not = room.take(server)
            more = asks_for_more(server)
            unless = f"only if a host has what its flavor asks for: {', '.join(more)}" if there_is and more else ""
            reasons = filter(None, (_REASONS.get(finding.rule, finding.reason), unless or why_not))
            yield Turn(server, finding, _OF_ROOM[there_is], "; ".join(reasons), sent // width + 1, room.target)
            sent += 1
        else:
            yield Turn(server, finding, _OF_VERDICT.get(finding.verdict, Outlook.UNKNOWN), finding.reason)


# ---------------------------------------------------------------- what is wrong


def _blocked(host: Host, survey: Survey) -> str:
    if host.ignored:
        return "host_map excludes it"
    return host.fault or survey.doubts.get(host.node, "")


def _trouble(made: Plan) -> Iterable[str]:
    homeless = made.counts[Outlook.NO_ROOM]
    if homeless:
        yield f"{counted(homeless, 'server')} would find no room"


def _attention(made: Plan, survey: Survey, policy: Policy) -> Iterable[str]:
    counts = made.counts
    if counts[Outlook.HELD]:
        yield f"{counted(counts[Outlook.HELD], 'server')} would be held for you to decide"
    if counts[Outlook.UNKNOWN]:
        yield f"{counted(counts[Outlook.UNKNOWN], 'server')} may or may not be evacuated"
    if counts[Outlook.ROOM_UNKNOWN]:
        yield "room is unknown" + (
            "" if isinstance(survey.left, Unknown) else f" for {counted(counts[Outlook.ROOM_UNKNOWN], 'server')}"
        )
    service = made.host.service
    if service and service.known and not service.up:
        yield "its nova-compute is down now"
    if service and service.known and not service.enabled:
        yield f"its nova-compute is disabled: {service.disabled_reason or 'no reason given'}"
    yield from _incidents(made.host, survey.cluster, policy)


def _incidents(host: Host, cluster: Cluster, policy: Policy) -> Iterable[str]:
    node = cluster.nodes.get(host.node)
    if node and has_incident(node):
        yield f"the host is dead now: muster status {node.name}"
        return
    gone = (Phase.RETURNING, Phase.CLOSED)
    dead = [n for n in cluster.nodes.values() if has_incident(n) and not (n.record and n.record.phase in gone)]
    dead = [n for n in dead if n.compute and policy.host_map.get(n.name) != ""]
    limit = policy.max_failed_hosts.hosts(computes(cluster, policy))
    if node and len(dead) >= limit:
        yield f"dead hosts now: {len(dead)}, max_failed_hosts is {limit}. muster would wait: muster approve {node.name}"


def worst(made: Iterable[Plan]) -> Optional[Plan]:
    """The host whose death would cost most: by servers without room, then by those under way, then by those held."""

    def cost(one: Plan) -> tuple[int, int, int]:
        counts = one.counts
        return counts[Outlook.NO_ROOM], one.sent, counts[Outlook.HELD] + counts[Outlook.UNKNOWN]

    concerned = [one for one in made if one.turns and not one.blocked]
    return max(concerned, key=cost) if concerned else None
