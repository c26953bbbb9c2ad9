# SPDX-License-Identifier: Apache-2.0
"""Asks Nova and placement for everything that a plan depends on.  Changes nothing.

The number of requests depends on how many kinds of servers there are, and on their number only by their pages.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Optional, Protocol, Union

from muster.core.cluster_facts import Cluster
from muster.core.errors import ClusterError, NovaError
from muster.core.findings import Verdict
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server
from muster.core.policy import Policy
from muster.core.ports import ClockPort
from muster.core.unknown import Unknown
from muster.planning.hosts import Host, find, hosts
from muster.planning.inquiry import OffersPort, SchedulingPort, ask_terms
from muster.planning.plan import Pace, Survey, judged
from muster.planning.terms import HARD, Terms

ARRIVALS, TIMED = 200, 5
"""So many evacuations are read for the pace, and so many action logs where they do not tell."""


class SurveyPort(SchedulingPort, Protocol):
    """Nova, as far as a plan needs it.  Raises NovaError."""

    def servers_on(self, host: str) -> Sequence[Server]: ...
    def arrivals(self, limit: int) -> Sequence[Evacuation]: ...
    def evacuation_s(self, server: str) -> Optional[float]: ...


def take_survey(
    nova: SurveyPort,
    placement: OffersPort,
    clock: ClockPort,
    cluster: Cluster,
    policy: Policy,
    doubts: Mapping[str, str],
    name: str = "",
) -> Survey:
    """:param doubts: by node, why a fencing of it would prove nothing.
    :param name: of the one host whose servers are wanted; empty for all.
    :raises ClusterError: when there is no such host.
    :raises NovaError: when Nova does not answer; what placement does not say is part of the survey.
    """
    services = tuple(nova.services())
    known = hosts(cluster, services, policy.host_map, doubts)
    servers = tuple(nova.servers_on(_asked(name, known)) if name else nova.servers())
    now = clock.now()
    leaving = [server for server in servers if judged(server, policy, now).verdict is Verdict.QUEUED]
    try:
        terms: Union[Terms, Unknown] = ask_terms(nova, placement, services, leaving)
    except NovaError as exc:
        terms = Unknown(f"Placement: {exc}")
    mates = nova.servers() if name and isinstance(terms, Terms) and _in_groups(terms, servers) else ()
    pace = _pace(nova)
    return Survey(now, cluster, services, servers, terms, pace, doubts, nova.requests_made(), mates)


def _in_groups(terms: Terms, servers: Sequence[Server]) -> bool:
    """Whether it has to be known where others are."""
    ids = {server.id for server in servers}
    groups = () if isinstance(terms.groups, Unknown) else terms.groups
    return any(one.policy in HARD and not ids.isdisjoint(one.members) for one in groups)


def _asked(name: str, known: Sequence[Host]) -> str:
    found = find(known, name)
    if found is None:
        raise ClusterError(f"no compute host {name!r}. Hosts: {', '.join(host.name for host in known)}")
    return found.name


def _pace(nova: SurveyPort) -> Union[Pace, Unknown]:
    """An evacuation that is done was last touched when it was.  One that is completed was touched again when its source
    came back, hours later perhaps: there the action log of the server tells."""
    try:
        arrived = nova.arrivals(ARRIVALS)
        took = [
            evacuation.updated - evacuation.created
            for evacuation in arrived
            if evacuation.status is EvacuationStatus.DONE
        ]
        if not took:
            newest = list(dict.fromkeys(evacuation.server for evacuation in arrived))[:TIMED]
            took = [seconds for seconds in map(nova.evacuation_s, newest) if seconds is not None]
    except NovaError as exc:
        return Unknown(f"unknown: {exc}")
    return Pace(statistics.median(took), len(took)) if took else Unknown("unknown: no evacuation on record")
