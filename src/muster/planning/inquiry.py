# SPDX-License-Identifier: Apache-2.0
"""Asks for the terms on which Nova's scheduler places.  Changes nothing.

Lists are asked for once, Placement once for each distinct request and for each zone: not for each server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Protocol, TypeVar, Union

from muster.core.cluster_facts import Cluster
from muster.core.errors import NovaError
from muster.core.naming import Names
from muster.core.nova_facts import Server, Service
from muster.core.policy import Policy
from muster.core.unknown import Unknown
from muster.planning.answer import Fleet
from muster.planning.hosts import Host, hosts
from muster.planning.request import Ask
from muster.planning.terms import Aggregate, Offer, Provider, ServerGroup, Terms, asks, zones_asked

ASSUMED = "assumed: Nova's default filters, one cell, no ports with SR-IOV or guaranteed bandwidth; as of now"
ASKS, ZONES = 36, 8
"""No more distinct requests than this are asked for, those of most servers first, and no more zones."""

T = TypeVar("T")


class SchedulingPort(Protocol):
    """Nova, as far as it shows what its scheduler goes by.  Raises NovaError."""

    def services(self) -> Sequence[Service]: ...
    def servers(self) -> Sequence[Server]: ...
    def images_shown(self) -> bool: ...
    def aggregates(self) -> Sequence[Aggregate]: ...
    def groups(self) -> Sequence[ServerGroup]: ...
    def requests_made(self) -> int: ...


class OffersPort(Protocol):
    """Placement, by names of hypervisors.  Raises NovaError."""

    def providers(self) -> Mapping[str, Provider]: ...
    def offer(self, ask: Ask) -> Offer: ...
    def members(self, aggregates: Collection[str]) -> frozenset[str]: ...


@dataclass(frozen=True)
class Inquiry:
    """All that the capacity depends on.

    :param requests: how many were made for it.
    """

    known: Sequence[Host]
    fleet: Fleet
    terms: Terms
    requests: int


def inquire(
    nova: SchedulingPort, placement: OffersPort, cluster: Cluster, doubts: Mapping[str, str], policy: Policy, now: float
) -> Inquiry:
    """:param doubts: by node, why a fencing of it would prove nothing.
    :raises NovaError: when Nova does not answer, or Placement does not show what hosts have.
    """
    services = nova.services()
    known = hosts(cluster, services, policy.host_map, doubts)
    fleet = Fleet(known, nova.servers(), doubts, policy, now)
    terms = ask_terms(nova, placement, services, fleet.leaving)
    return Inquiry(known, fleet, terms, nova.requests_made())


def ask_terms(
    nova: SchedulingPort, placement: OffersPort, services: Sequence[Service], leaving: Sequence[Server]
) -> Terms:
    """:param leaving: the servers that hosts are to be found for.
    :raises NovaError: where Placement does not show what hosts have; what else is not shown is part of the terms.
    """
    images_shown = nova.images_shown()
    named = _Named(placement.providers(), services)
    aggregates, groups = _or_why(nova.aggregates), _or_why(nova.groups)
    offers: dict[Ask, Union[Offer, Unknown]] = {}
    for ask in asks(leaving, images_shown)[:ASKS]:
        found = _or_why(lambda ask=ask: placement.offer(ask))  # type: ignore[misc]
        offers[ask] = found if isinstance(found, Unknown) else Offer(named.of(found.alone), named.of(found.jointly))
    zones: dict[str, Union[frozenset[str], Unknown]] = {}
    wanted = {} if isinstance(aggregates, Unknown) else zones_asked(aggregates, leaving)
    for zone, uuids in list(wanted.items())[:ZONES]:
        members = _or_why(lambda uuids=uuids: placement.members(uuids))  # type: ignore[misc]
        zones[zone] = members if isinstance(members, Unknown) else named.of(members)
    zones.update(dict.fromkeys(list(wanted)[ZONES:], Unknown("there are more of them than are asked for")))
    return Terms(named.providers, offers, aggregates, groups, zones, images_shown)


class _Named:
    """From Placement's names (of hypervisors) to Nova's (of services); what is in doubt is left out."""

    def __init__(self, found: Mapping[str, Provider], services: Sequence[Service]) -> None:
        names = Names(found, services, {})
        known = {name: names.service_of(name) for name in found}
        self._hosts = {name: service.host for name, service in known.items() if isinstance(service, Service)}
        self.providers = {host: found[name] for name, host in self._hosts.items()}

    def of(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(self._hosts[name] for name in names if name in self._hosts)


def _or_why(ask: Callable[[], T]) -> Union[T, Unknown]:
    try:
        return ask()
    except NovaError as exc:
        return Unknown(str(exc))
