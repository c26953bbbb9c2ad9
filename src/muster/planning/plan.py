# SPDX-License-Identifier: Apache-2.0
"""What would happen if a host died now: who is evacuated and in which wave, who is held, who finds no room.  Pure.

The verdicts are those of the real rules, for a server as it would be right after the fencing.  Whether it finds room
goes by Nova's own rules (docs/adr/0005-what-is-promised-of-room.md): it is said to be there where no choice of Nova's
for the others takes it away, and never where it is not known.
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
from muster.core.nova_facts import Server, Service
from muster.core.policy import Policy
from muster.core.printable import counted
from muster.core.sequence import sequence
from muster.core.server_case import ServerCase
from muster.core.server_rules import judge
from muster.core.sight import ServerSight
from muster.core.unknown import Unknown
from muster.planning.answer import in_use
from muster.planning.cloud import Guest, likely
from muster.planning.hosts import Host
from muster.planning.packing import Fate, fates
from muster.planning.terms import Placing, Terms
from muster.planning.tolerance import safe_alone

CLOSELY = 100
"""So many hosts are looked at closely whose servers do not all find room at a glance: each takes some tenths of a
second."""
READY, ATTENTION, NOT_READY, LEFT_ALONE = "ready", "attention", "not ready", "left alone"


class Outlook(enum.Enum):
    """What would become of a server."""

    EVACUATED = "evacuated"
    NO_ROOM = "no room"
    ROOM_UNKNOWN = "room unknown"
    HELD = "held"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


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
    :param terms: on which Nova places; why they are not known, where they are not.
    :param mates: further servers that are in the same groups as these.
    :param requests: how many were made for all of it.
    """

    now: float
    cluster: Cluster
    services: Sequence[Service]
    servers: Sequence[Server]
    terms: Union[Terms, Unknown]
    pace: Union[Pace, Unknown]
    doubts: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
    mates: Sequence[Server] = ()


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
    rooms = Rooms(survey, policy)
    return [_plan(host, by_host.get(host.service.host, ()) if host.service else (), rooms) for host in known]


def _plan(host: Host, servers: Iterable[Server], rooms: Rooms) -> Plan:
    """:param servers: all that Nova places on this host."""
    survey, policy = rooms.survey, rooms.policy
    width = _width(host.name, policy, sum(other != host.name for other in rooms.usable))
    turns = tuple(_turns(sequence(servers, policy.priority_key), host.name, width, rooms))
    made = Plan(host, turns, width, None, _blocked(host, survey))
    if isinstance(survey.pace, Pace):
        made = replace(made, seconds=policy.delay_s + made.waves * survey.pace.seconds if made.waves else 0.0)
    return replace(made, trouble=tuple(_trouble(made)), attention=tuple(_attention(made, survey, policy)))


def judged(server: Server, policy: Policy, now: float) -> Finding:
    """What the rules would say of it right after the fencing of its host."""
    return judge(ServerCase(ServerSight(server, at_rest=wanted_now(server)), server.host, policy, now))[0]


class Rooms:
    """Which servers would find room, each host as if only that one died."""

    def __init__(self, survey: Survey, policy: Policy) -> None:
        self.survey, self.policy = survey, policy
        self.usable = in_use(survey.services)
        self.findings = {server.id: judged(server, policy, survey.now) for server in survey.servers}
        leaving = [s for s in survey.servers if self.findings[s.id].verdict is Verdict.QUEUED]
        doubtful = [s for s in survey.servers if self.findings[s.id].verdict is Verdict.UNKNOWN]
        self._closely = CLOSELY
        self._placing: Optional[Placing] = None
        if isinstance(survey.terms, Terms):
            everybody = [*survey.servers, *survey.mates]
            self._placing = Placing(survey.terms, everybody, self.usable, policy.target_map)
            self._cloud = self._placing.cloud(leaving, doubtful)
            self._safe = safe_alone(self._cloud)

    def of(self, host: str, turns: Sequence[Server], width: int) -> dict[str, tuple[Outlook, str]]:
        """By server, and why not.

        :param turns: those that would be sent, in sequence; so many of them at once.
        """
        if self._placing is None:
            return {server.id: (Outlook.ROOM_UNKNOWN, "") for server in turns}
        guests = {guest.id: guest for guest in self._cloud.of([host])}
        if all(self._safe(guests[server.id]) for server in turns):
            return {server.id: (Outlook.EVACUATED, "") for server in turns}
        self._closely -= 1
        if self._closely < 0:
            return {server.id: self._at_a_glance(guests[server.id]) for server in turns}
        fate = fates(self._cloud, [host])
        dest = likely(self._cloud, [host], [guests[server.id] for server in turns])
        if width == 1:
            fate.update(self._one_by_one(host, turns, fate))
        return {server.id: self._outlook(server, fate[server.id], dest[server.id]) for server in turns}

    def _at_a_glance(self, guest: Guest) -> tuple[Outlook, str]:
        if self._safe(guest):
            return Outlook.EVACUATED, ""
        why = guest.unjudged or f"too many hosts are nearly full to look at each. See: muster plan {guest.host}"
        return Outlook.ROOM_UNKNOWN, f"room unknown: {why}"

    def _one_by_one(self, host: str, turns: Sequence[Server], fate: Mapping[str, Fate]) -> Iterable[tuple[str, Fate]]:
        """Where no other is under way at the same time, none that comes later takes anything from it."""
        later = {server.id for server in turns}
        for server in turns:
            later.discard(server.id)
            if fate[server.id] is Fate.DEPENDS:
                before = [guest for guest in self._cloud.of([host]) if guest.id not in later]
                yield server.id, fates(replace(self._cloud, guests={host: before}), [host])[server.id]

    def _outlook(self, server: Server, fate: Fate, dest: str) -> tuple[Outlook, str]:
        if fate is Fate.SAVED:
            return Outlook.EVACUATED, ""
        assert self._placing is not None
        if fate is Fate.UNJUDGED:
            return Outlook.ROOM_UNKNOWN, f"room unknown: {self._placing.guest(server).unjudged}"
        if fate is Fate.DEPENDS and dest:
            return Outlook.ROOM_UNKNOWN, f"room depends on which hosts Nova gives the others; likely {dest}"
        unseen = self._unseen(server.host)
        if unseen:
            return Outlook.ROOM_UNKNOWN, f"room unknown: Placement does not show what {unseen} has left"
        return Outlook.NO_ROOM, self._refusal(server, fate)

    def _unseen(self, host: str) -> str:
        """A host that may be a destination, and of which Placement tells nothing."""
        assert isinstance(self.survey.terms, Terms)
        target = self.policy.target_map.get(host)
        shown = self.survey.terms.providers
        return next((h for h in self.usable if h not in shown and h != host and target in (None, h)), "")

    def _refusal(self, server: Server, fate: Fate) -> str:
        assert self._placing is not None
        needs, target = _needs(server), self.policy.target_map.get(server.host, "")
        if target:
            return f"{needs}; {target} (target_map) does not have that left, or is not in use"
        if not any(host != server.host for host in self.usable):
            return f"{needs}; no other host is in use"
        if fate is Fate.DEPENDS:
            return f"{needs}; by Nova's default weights no other host has that left at its turn"
        return f"{needs}; {_REFUSED[self._placing.why_lost(server, [server.host])].format(server.zone)}"


_REFUSED = {
    "room": "no other host has all that it asks for",
    "zone": "no other host of its zone {} has all that it asks for",
    "affinity": "its server group binds it to hosts that would be dead, or are full",
    "anti-affinity": "its server group keeps it apart from those on every other host that has that left",
    "target_map": "no other host takes it",
}
"""By the word for why no host takes it."""


def _needs(server: Server) -> str:
    size = server.size
    assert size is not None
    return f"needs {counted(size.vcpus, 'CPU')}, {size.memory_mb} MB and {size.disk_gb} GB of disk"


def _width(host: str, policy: Policy, others: int) -> int:
    """How many are under way at once: ``per_destination`` binds where there are few destinations."""
    destinations = 1 if host in policy.target_map else others
    if not policy.per_destination:
        return policy.in_flight
    return min(policy.in_flight, policy.per_destination * max(1, destinations))


def _turns(servers: Sequence[Server], host: str, width: int, rooms: Rooms) -> Iterable[Turn]:
    leaving = [server for server in servers if rooms.findings[server.id].verdict is Verdict.QUEUED]
    rooms_ = rooms.of(host, leaving, width)
    dest, sent = rooms.policy.target_map.get(host, ""), 0
    for server in servers:
        finding = rooms.findings[server.id]
        if finding.verdict is Verdict.QUEUED:
            outlook, why_not = rooms_[server.id]
            reasons = filter(None, (_REASONS.get(finding.rule, finding.reason), why_not))
            yield Turn(server, finding, outlook, "; ".join(reasons), sent // width + 1, dest)
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
            "" if isinstance(survey.terms, Unknown) else f" for {counted(counts[Outlook.ROOM_UNKNOWN], 'server')}"
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
