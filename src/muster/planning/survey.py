# SPDX-License-Identifier: Apache-2.0
"""Asks Nova and placement for everything that a plan depends on.  Changes nothing.

The number of requests does not depend on how many servers there are, but for their pages.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Optional, Protocol, Union

from muster.core.cluster_facts import Cluster
from muster.core.errors import ClusterError, NovaError
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server, Service, Size
from muster.core.ports import ClockPort
from muster.core.unknown import Unknown
from muster.planning.capacity import left_by_host
from muster.planning.hosts import Host, find, hosts
from muster.planning.plan import Pace, Survey

ARRIVALS, TIMED = 200, 5
"""So many evacuations are read for the pace, and so many action logs where they do not tell."""


class SurveyPort(Protocol):
    """Nova, as far as a plan needs it.  Raises NovaError."""

    def services(self) -> Sequence[Service]: ...
    def servers(self) -> Sequence[Server]: ...
    def servers_on(self, host: str) -> Sequence[Server]: ...
    def arrivals(self, limit: int) -> Sequence[Evacuation]: ...
    def evacuation_s(self, server: str) -> Optional[float]: ...
    def requests_made(self) -> int: ...


class RoomPort(Protocol):
    """Placement.  Raises NovaError."""

    def left(self) -> Mapping[str, Size]: ...


def take_survey(
    nova: SurveyPort,
    placement: RoomPort,
    clock: ClockPort,
    cluster: Cluster,
    host_map: Mapping[str, str],
    doubts: Mapping[str, str],
    name: str = "",
) -> Survey:
    """:param doubts: by node, why a fencing of it would prove nothing.
    :param name: of the one host whose servers are wanted; empty for all.
    :raises ClusterError: when there is no such host.
    :raises NovaError: when Nova does not answer; what placement does not say is part of the survey.
    """
    services = tuple(nova.services())
    servers = nova.servers_on(_asked(name, hosts(cluster, services, host_map, doubts))) if name else nova.servers()
    try:
        left: Union[Mapping[str, Size], Unknown] = left_by_host(placement.left(), services)
    except NovaError as exc:
        left = Unknown(f"Placement: {exc}")
    pace = _pace(nova)
    return Survey(clock.now(), cluster, services, tuple(servers), left, pace, doubts, nova.requests_made())


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
