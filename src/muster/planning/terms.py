# SPDX-License-Identifier: Apache-2.0
"""On which terms Nova's scheduler places: what was asked for, and what follows for each server.  Pure.

Which of a server's hosts surely take it and which perhaps do comes from here; whether they have room is ``packing``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

from muster.core.nova_facts import Server
from muster.core.unknown import Unknown
from muster.planning.cloud import Apart, Cloud, Guest, Names, Vector
from muster.planning.request import Ask, Request, request

TENANT, TRAIT = "filter_tenant_id", "trait:"
DISABLED = "COMPUTE_STATUS_DISABLED"


@dataclass(frozen=True)
class Provider:
    """A host as Placement knows it.

    :param left: by resource class.
    :param whole: what it has when it is empty.
    :param traits: None where nobody knows them: of a host that is as full as can be.
    :param over: it has given more than it has; None where nobody knows.
    """

    left: Mapping[str, int] = field(default_factory=dict)
    whole: Mapping[str, int] = field(default_factory=dict)
    traits: Optional[Names] = None
    over: Optional[bool] = False


@dataclass(frozen=True)
class Offer:
    """Who takes a request now.

    :param alone: hosts that have all of it.
    :param jointly: those that have it together with other providers.
    """

    alone: Names
    jointly: Names = frozenset()


@dataclass(frozen=True)
class Aggregate:
    """:param zone: the availability zone that it makes; empty for none."""

    uuid: str
    zone: str
    hosts: Names
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class ServerGroup:
    """:param most: so many of its servers may share a host, if it keeps them apart."""

    id: str
    policy: str
    members: Names
    most: int = 1


@dataclass(frozen=True)
class Terms:
    """:param providers: by Nova's name of the host.
    :param zones: by zone that has aggregates, its hosts as Placement has them.
    """

    providers: Mapping[str, Provider]
    offers: Mapping[Ask, Union[Offer, Unknown]]
    aggregates: Union[Sequence[Aggregate], Unknown]
    groups: Union[Sequence[ServerGroup], Unknown]
    zones: Mapping[str, Union[Names, Unknown]] = field(default_factory=dict)
    images_shown: bool = True


def asks(servers: Iterable[Server], images_shown: bool) -> list[Ask]:
    """The distinct requests, those of most servers first."""
    known = Requests(images_shown)
    count = Counter(known.of(server) for server in servers)
    distinct: Counter[Ask] = Counter()
    for one, number in count.items():
        if not one.unjudged:
            distinct[one.ask] += number
    return [ask for ask, _ in distinct.most_common()]


class Requests:
    """Each distinct one is put together once."""

    def __init__(self, images_shown: bool) -> None:
        self._images_shown = images_shown
        self._known: dict[object, Request] = {}

    def of(self, server: Server) -> Request:
        specs, properties = tuple(server.extra_specs.items()), tuple(server.image_properties.items())
        key = (server.size, specs, properties, bool(server.image))
        if key not in self._known:
            self._known[key] = request(server, self._images_shown)
        return self._known[key]


class Placing:
    """From servers to guests.

    :param servers: of the whole cloud: where the members of groups are.
    :param in_use: hosts that may be destinations.
    :param targets: by host, the one destination that the operator names for it.
    """

    def __init__(
        self, terms: Terms, servers: Iterable[Server], in_use: Iterable[str], targets: Mapping[str, str]
    ) -> None:
        self._terms, self._targets = terms, targets
        self._in_use = frozenset(in_use)
        self._requests = Requests(terms.images_shown)
        self._hosts: dict[object, tuple[Names, Names, str]] = {}
        self._at = {server.id: server.host for server in servers}
        groups = () if isinstance(terms.groups, Unknown) else terms.groups
        self._group = {member: one for one in groups if one.policy in HARD for member in one.members}
        self.classes = sorted({name for ask in terms.offers for name, _ in ask.resources} | {"MEMORY_MB"})

    def cloud(self, leaving: Iterable[Server], doubtful: Iterable[Server]) -> Cloud:
        """:param leaving: what would be evacuated if its host died; ``doubtful``: what perhaps would."""
        guests: dict[str, list[Guest]] = {}
        for server in leaving:
            guests.setdefault(server.host, []).append(self.guest(server))
        for server in doubtful:
            guests.setdefault(server.host, []).append(self.guest(server, "whether it would be evacuated is not known"))
        left = {host: self.vector(one.left) for host, one in self._terms.providers.items() if host in self._in_use}
        return Cloud(left, guests, self._apart())

    def vector(self, amounts: Mapping[str, int]) -> Vector:
        return tuple(amounts.get(name, 0) for name in self.classes)

    def guest(self, server: Server, unjudged: str = "") -> Guest:
        """:param unjudged: why nobody can say what becomes of it, whatever it asks for."""
        known, group = self._requests.of(server), self._group.get(server.id)
        tenants = server.project if self._tenants_matter else ""
        like = server.host if known.like_its_host else ""
        key = (known, server.zone, server.pinned_zone, tenants, like, self._targets.get(server.host))
        if key not in self._hosts:
            self._hosts[key] = self._of(server, known)
        takes, may, why = self._hosts[key]
        if group is not None and group.policy == "affinity":
            beside = frozenset(filter(None, map(self._at.get, group.members)))
            takes, may = takes & beside, may & beside
        apart = group.id if group is not None and group.policy != "affinity" else ""
        return Guest(server.id, server.host, self.vector(dict(known.ask.resources)), takes, may, apart, unjudged or why)

    @property
    def _tenants_matter(self) -> bool:
        aggregates = self._terms.aggregates
        return not isinstance(aggregates, Unknown) and any(_tenants(one) for one in aggregates)

    def _of(self, server: Server, known: Request) -> tuple[Names, Names, str]:
        terms, why = self._terms, known.unjudged
        offer = terms.offers.get(known.ask)
        if not why and (offer is None or isinstance(offer, Unknown)):
            why = f"Placement: {offer}" if offer else "more kinds of servers than are asked for"
        zone = self._zone(server)
        why = why or self._unclaimable(server.host)
        for about, answer in (("aggregates", terms.aggregates), ("server groups", terms.groups), ("zone", zone)):
            if isinstance(answer, Unknown):
                why = why or f"{about}: {answer}"
        if why or not isinstance(offer, Offer) or isinstance(zone, Unknown):
            return frozenset(), self._in_use, why
        takes, may = offer.alone & self._in_use, (offer.alone | offer.jointly) & self._in_use
        if zone is not None:
            takes, may = takes & zone, may if server.pinned_zone is None else may & zone
        if server.host in self._targets:
            only = frozenset([self._targets[server.host]])
            takes, may = takes & only, may & only
        if known.like_its_host:
            takes &= self._like(server.host)
        return takes - self._perhaps_closed(server, known.ask), may, ""

    def _unclaimable(self, host: str) -> str:
        """Why Placement may refuse what is claimed for its servers: a claim is written for the source and the
        destination in one, and older releases check both (nova/scheduler/client/report.py, claim_resources;
        placement/objects/allocation.py, _check_capacity_exceeded)."""
        own = self._terms.providers.get(host, Provider(over=None))
        if own.over is None:
            return f"Placement does not show what {host} has"
        return f"{host} has given more than it has: Placement may refuse the claim" if own.over else ""

    def _zone(self, server: Server) -> Union[Names, Unknown, None]:
        """The hosts of the zone that binds it, or may bind it; None: a zone without aggregates binds nobody
        (nova/scheduler/request_filter.py, map_az_to_placement_aggregate)."""
        return self._terms.zones.get(server.zone if server.pinned_zone is None else server.pinned_zone)

    def _like(self, host: str) -> Names:
        """The hosts that have all traits of this one; of all, if nobody knows those of this one."""
        own = self._terms.providers.get(host)
        known = {name: one.traits for name, one in self._terms.providers.items() if one.traits is not None}
        wanted = own.traits if own is not None else None
        if wanted is None:
            wanted = frozenset().union(*known.values())
        return frozenset(name for name, traits in known.items() if traits >= wanted - {DISABLED})

    def _perhaps_closed(self, server: Server, ask: Ask) -> Names:
        """Hosts that an aggregate may keep for others: whether Nova looks at that is in nova.conf."""
        aggregates = self._terms.aggregates
        assert not isinstance(aggregates, Unknown)
        closed: set[str] = set()
        own = [one for one in aggregates if server.project in _tenants(one)]
        for one in aggregates:
            isolated = {k[len(TRAIT) :] for k, v in one.metadata.items() if k.startswith(TRAIT) and v == "required"}
            if not isolated <= ask.required or (_tenants(one) and server.project not in _tenants(one)):
                closed |= one.hosts
        if own:
            closed |= self._in_use - frozenset().union(*(one.hosts for one in own))
        return frozenset(closed)

    def why_lost(self, server: Server, dead: Iterable[str]) -> str:
        """What keeps every living host from taking it, in a word, even if it is the first."""
        alive = self._in_use - frozenset(dead)
        guest, known = self.guest(server), self._requests.of(server)
        offer = self._terms.offers.get(known.ask)
        offered = offer.alone | offer.jointly if isinstance(offer, Offer) else frozenset()
        if not offered & alive:
            return "room"
        zone = self._zone(server)
        if server.pinned_zone and isinstance(zone, frozenset) and not offered & alive & zone:
            return "zone"
        if not guest.may & alive:
            group = self._group.get(server.id)
            return "affinity" if group is not None and group.policy == "affinity" else "target_map"
        return "anti-affinity" if guest.apart else "room"

    def _apart(self) -> dict[str, Apart]:
        groups = () if isinstance(self._terms.groups, Unknown) else self._terms.groups
        return {
            one.id: Apart(one.most, Counter(filter(None, map(self._at.get, one.members))))
            for one in groups
            if one.policy == "anti-affinity"
        }


HARD = ("affinity", "anti-affinity")


def _tenants(aggregate: Aggregate) -> set[str]:
    values = (value for key, value in aggregate.metadata.items() if key.startswith(TENANT))
    return {tenant.strip() for value in values for tenant in value.split(",")}


def zones_asked(aggregates: Iterable[Aggregate], servers: Iterable[Server]) -> dict[str, list[str]]:
    """By zone that binds, or may bind, some server: its aggregates."""
    wanted = {server.zone if server.pinned_zone is None else server.pinned_zone for server in servers}
    found: dict[str, list[str]] = {}
    for one in aggregates:
        if one.zone and one.zone in wanted and one.uuid:
            found.setdefault(one.zone, []).append(one.uuid)
    return found


def like_which(providers: Mapping[str, Provider], in_use: Iterable[str]) -> Optional[str]:
    """The host that has most when it is empty."""
    known = [host for host in in_use if host in providers]
    return max(known, key=lambda host: (sorted(providers[host].whole.items()), host), default=None)
