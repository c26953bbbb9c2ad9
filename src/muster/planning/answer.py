# SPDX-License-Identifier: Apache-2.0
"""How many hosts of this cloud may die together, who would stay down, and what mends it.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from muster.core.decide import wanted_now
from muster.core.findings import Verdict
from muster.core.nova_facts import Server, Service
from muster.core.policy import Policy
from muster.core.sequence import sequence
from muster.core.server_case import ServerCase
from muster.core.server_rules import judge
from muster.core.sight import ServerSight
from muster.planning.cloud import Cloud, likely
from muster.planning.hosts import Host
from muster.planning.packing import Fate, fates
from muster.planning.terms import Placing, Terms, like_which
from muster.planning.tolerance import Tolerance, more_hosts, tolerance, tolerance_holds

HELPLESS = "affinity"
"""The reason that no further host does anything about."""
SPARES = 5
"""So many disabled hosts are tried."""


@dataclass(frozen=True)
class Unsaveable:
    """:param reason: in a word, why no host takes it if its own dies alone."""

    server: Server
    reason: str


@dataclass(frozen=True)
class Capacity:
    """:param counted: about how many hosts and how many of their servers the number is.
    :param others: the number without those that no further host would help, if there are such.
    :param unjudged: by reason, how many servers nobody can say anything about.
    :param unguarded: how many hosts muster does not look after: of their servers none is evacuated.
    :param dead: hosts that are dead now.
    :param remedies: what makes one more host bearable, each alone.
    """

    number: Tolerance
    counted: tuple[int, int]
    others: Optional[Tolerance] = None
    unsaveable: Sequence[Unsaveable] = ()
    unjudged: Mapping[str, int] = field(default_factory=dict)
    unguarded: int = 0
    dead: Sequence[str] = ()
    remedies: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What becomes of a server.

    :param likely: the host that Nova would give it by its default weights; empty for none, or where nobody can say.
    :param why: why it is lost, or cannot be judged.
    """

    server: Server
    fate: Fate
    likely: str = ""
    why: str = ""


def in_use(services: Iterable[Service]) -> list[str]:
    """The hosts that may be destinations (nova/scheduler/filters/compute_filter.py)."""
    return [one.host for one in services if one.known and one.up and one.enabled]


class Fleet:
    """Who would leave which host."""

    def __init__(
        self, known: Sequence[Host], servers: Sequence[Server], doubts: Mapping[str, str], policy: Policy, now: float
    ) -> None:
        self.mortal, self.unguarded = [], 0
        for host in known:
            service = host.service
            if service is None or not service.known or not service.up:
                continue
            if host.ignored or host.fault or doubts.get(host.node):
                self.unguarded += 1
            else:
                self.mortal.append(service.host)
        self.servers = servers
        self.leaving: list[Server] = []
        self.doubtful: list[Server] = []
        mortal = set(self.mortal)
        for server in servers:
            if server.host in mortal:
                sight = ServerSight(server, at_rest=wanted_now(server))
                verdict = judge(ServerCase(sight, server.host, policy, now))[0].verdict
                if verdict is Verdict.QUEUED:
                    self.leaving.append(server)
                elif verdict is Verdict.UNKNOWN:
                    self.doubtful.append(server)


def capacity(fleet: Fleet, known: Sequence[Host], terms: Terms, policy: Policy, wanted: int = 0) -> Capacity:
    """:param wanted: so many ought to be able to die; 0: the remedies are for one more than can."""
    services = [host.service for host in known if host.service]
    usable = in_use(services)
    placing = Placing(terms, fleet.servers, usable, policy.target_map)
    cloud = placing.cloud(fleet.leaving, fleet.doubtful)
    number = tolerance(cloud, fleet.mortal)
    lost = list(_unsaveable(number, fleet, placing))
    helpless = {one.server.id for one in lost if one.reason == HELPLESS}
    others = tolerance(_without(cloud, helpless), fleet.mortal) if helpless else None
    least = (others or number).at_least
    remedies: list[str] = []
    if least < max(wanted, 1) and least < len(fleet.mortal):
        remedies = list(_remedies(fleet, services, terms, policy, helpless, least + 1))
    unjudged = Counter(guest.unjudged for guests in cloud.guests.values() for guest in guests if guest.unjudged)
    count = sum(map(len, cloud.guests.values()))
    return Capacity(
        number, (len(fleet.mortal), count), others, lost, unjudged, fleet.unguarded, remedies=tuple(remedies)
    )


def outcomes(fleet: Fleet, known: Sequence[Host], terms: Terms, policy: Policy, dead: Sequence[str]) -> list[Outcome]:
    """Of each server that would be evacuated if these hosts died together, in muster's sequence."""
    usable = in_use(host.service for host in known if host.service)
    placing = Placing(terms, fleet.servers, usable, policy.target_map)
    cloud = placing.cloud(fleet.leaving, fleet.doubtful)
    guests = {guest.id: guest for guest in cloud.of(dead)}
    turns = sequence([s for s in (*fleet.leaving, *fleet.doubtful) if s.id in guests], policy.priority_key)
    fate, dest = fates(cloud, dead), likely(cloud, dead, [guests[server.id] for server in turns])
    found = []
    for server in turns:
        if fate[server.id] is Fate.UNJUDGED:
            found.append(Outcome(server, Fate.UNJUDGED, why=guests[server.id].unjudged))
        else:
            why = placing.why_lost(server, dead) if fate[server.id] is Fate.LOST else ""
            found.append(Outcome(server, fate[server.id], dest[server.id], why))
    return found


def _unsaveable(number: Tolerance, fleet: Fleet, placing: Placing) -> Iterable[Unsaveable]:
    gone = {ident for found in number.singles.values() for ident, fate in found.items() if fate is Fate.LOST}
    for server in fleet.leaving:
        if server.id in gone:
            yield Unsaveable(server, placing.why_lost(server, [server.host]))


def _without(cloud: Cloud, servers: set[str]) -> Cloud:
    guests = {host: [one for one in found if one.id not in servers] for host, found in cloud.guests.items()}
    return replace(cloud, guests=guests)


def _remedies(
    fleet: Fleet, services: Sequence[Service], terms: Terms, policy: Policy, gone: set[str], wanted: int
) -> Iterable[str]:
    usable = in_use(services)
    spares = [one.host for one in services if one.known and one.up and not one.enabled]
    for spare in spares[:SPARES]:
        placing = Placing(terms, fleet.servers, [*usable, spare], policy.target_map)
        cloud = _without(placing.cloud(fleet.leaving, fleet.doubtful), gone)
        if tolerance_holds(cloud, fleet.mortal, wanted):
            yield f"enable {spare}"
    like = like_which(terms.providers, usable)
    if like is not None:
        placing = Placing(terms, fleet.servers, usable, policy.target_map)
        cloud = _without(placing.cloud(fleet.leaving, fleet.doubtful), gone)
        count = more_hosts(cloud, fleet.mortal, like, placing.vector(terms.providers[like].whole), wanted)
        if count is not None:
            yield f"{count} more {'host' if count == 1 else 'hosts'} like {like}"
