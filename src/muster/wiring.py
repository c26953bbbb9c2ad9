# SPDX-License-Identifier: Apache-2.0
"""Puts the parts together: the only place that knows them all."""

from __future__ import annotations

import contextlib
import os
import shlex
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional, Union

from muster.core.cluster_facts import Cluster
from muster.core.decide import Decision, decide
from muster.core.errors import ClusterError, NovaError, NovaRefused
from muster.core.naming import service_of
from muster.core.nova_facts import Move, MoveStatus, Size
from muster.core.sight import Sight
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.engine.worker import Worker
from muster.gateways.clock import Clock
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.placement import Placement
from muster.gateways.nova.rights import NovaRights
from muster.gateways.pacemaker.cluster import Pacemaker, local_node
from muster.gateways.pacemaker.installation import installation
from muster.installation import checkup
from muster.installation.checks.finding import Facts
from muster.installation.installed import Controller, NovaAccess
from muster.log import Log
from muster.planning.capacity import left_by_host
from muster.planning.hosts import Host, find, hosts
from muster.planning.plan import Pace, Survey
from muster.reporting.nova_history import Records
from muster.reporting.nova_records import Wanted, gather, host_of
from muster.reporting.outlets import Outlets, Quiet
from muster.reporting.outlets.hook import Hook
from muster.reporting.outlets.metrics import Counted, Metrics
from muster.reporting.outlets.reports import Reports
from muster.reporting.outlets.status import Status
from muster.settings import Settings


def _nova(
    settings: Settings, announce: Callable[[float], None] = lambda silence_s: None, clock: Optional[Clock] = None
) -> Nova:
    version = settings.nova_api_version
    return Nova(settings.cloud, settings.clouds_file, settings.shared_storage, version, announce, clock)


@contextlib.contextmanager
def worker(
    settings: Settings,
    instance: str,
    status_file: Path,
    on_record: Callable[[], bool],
    log: Log,
    wait: Callable[[float], bool],
) -> Iterator[Worker]:
    """The worker of one resource on this controller.

    :param on_record: whether this process is the one that Pacemaker would stop.
    """
    clock = Clock()
    # Pacemaker says where it starts us; only by hand there is nobody who does.
    local = os.environ.get("OCF_RESKEY_CRM_meta_on_node") or local_node()
    cluster = Pacemaker(local, instance)
    memory = Memory()
    status = Status(status_file, clock, log, cluster.share)
    outlet = Outlets(status, list(_others(settings, clock, memory, log)), log)
    outlet.announce(60.0)
    nova = _nova(settings, outlet.announce, clock)
    look = Look(cluster, nova, clock, settings, memory)
    act = Act(cluster, nova, clock, memory, log, on_record, outlet.announce)
    try:
        yield Worker(look, act, cluster, clock, settings, memory, log, outlet, wait)
    finally:
        outlet.close()


def _others(settings: Settings, clock: Clock, memory: Memory, log: Log) -> Iterator[Quiet]:
    """Where else the worker says what it sees."""
    yield Reports(clock, log)
    if settings.hook:
        yield Hook(settings.hook, log)
    if settings.metrics_file:
        yield Metrics(Path(settings.metrics_file), clock, lambda: _counted(memory), log)


def _counted(memory: Memory) -> Counted:
    tally = memory.tally
    return Counted(tally.sent, tally.refused, tally.nova_errors, memory.nova_trouble, memory.cluster_trouble)


OBSERVED_LOGS = 200
UNREAD_RULES = ("arrived-unread", "owner-unread")


def observe(settings: Settings, cluster: Pacemaker) -> Decision:
    """What a worker would say now, seen by somebody who changes nothing and has no memory.

    :raises ClusterError: when Pacemaker does not answer; Nova's silence is part of the decision.
    """
    memory = Memory()
    clock = Clock()
    nova = _nova(settings, clock=clock)
    look = Look(cluster, nova, clock, settings, memory)
    look.sight()
    decision = _as_the_worker(look.sight(), settings)
    findings = [finding for incident in decision.incidents.values() for finding in incident.findings.values()]
    unread = [finding.server.id for finding in findings if finding.rule in UNREAD_RULES][:OBSERVED_LOGS]
    for server in unread:
        with contextlib.suppress(NovaError):
            log = nova.owner_log(server)
            for host in memory.hosts_of(server):
                host.logs[server] = log
    return _as_the_worker(look.sight(), settings) if unread else decision


def records(settings: Settings, nodes: Sequence[str], node: str, wanted: Wanted) -> Records:
    """What Nova has on record about the evacuations from a node's host.

    :raises NovaError: when Nova does not answer.
    """
    nova = _nova(settings)
    return gather(nova, Clock(), host_of(node, nodes, nova.services(), settings.host_map), wanted)


def evacuations(settings: Settings, nodes: Sequence[str], since: float) -> tuple[Mapping[str, str], Sequence[Move]]:
    """The node of each Nova host, and every evacuation since then.

    :raises NovaError: when Nova does not answer.
    """
    nova = _nova(settings)
    services = nova.services()
    return {host_of(node, nodes, services, settings.host_map): node for node in nodes}, nova.moves_of_all(since)


def node_of_server(settings: Settings, cluster: Cluster, server: str) -> Optional[str]:
    """The node whose Nova host has this server; None if Nova does not know the server, or no node has its host.

    :raises NovaError: when Nova does not answer.
    """
    nova = _nova(settings)
    services = tuple(nova.services())
    try:
        host = nova.server(server).host
    except NovaRefused:
        return None
    for name in cluster.nodes:
        service = service_of(name, cluster.nodes, services, settings.host_map)
        if not isinstance(service, str) and service.host == host:
            return name
    return None


def _as_the_worker(sight: Sight, settings: Settings) -> Decision:
    cluster = replace(sight.cluster, quorum=True, active_here=True, active_elsewhere=())
    # An earlier worker's calls concern who sends, not who looks.
    hosts = {node: replace(host, resumed_at=0.0) for node, host in sight.hosts.items()}
    return decide(replace(sight, cluster=cluster, hosts=hosts), settings)


ARRIVALS, TIMED = 200, 5
"""So many evacuations are read for the pace, and so many action logs where they do not tell."""


def survey(settings: Settings, cluster: Cluster, doubts: Mapping[str, str], name: str = "") -> Survey:
    """Everything that a plan depends on, asked of Nova and placement; read-only.

    The number of requests does not depend on how many servers there are, but for their pages.

    :param doubts: by node, why a fencing of it would prove nothing.
    :param name: of the one host whose servers are wanted; empty for all.
    :raises ClusterError: when there is no such host.
    :raises NovaError: when Nova does not answer; what placement does not say is part of the survey.
    """
    nova = _nova(settings)
    services = tuple(nova.services())
    servers = (
        nova.servers_on(_asked(name, hosts(cluster, services, settings.host_map, doubts))) if name else nova.servers()
    )
    try:
        left: Union[Mapping[str, Size], str] = left_by_host(Placement(nova.login).left(), services)
    except NovaError as exc:
        left = f"Placement: {exc}"
    pace = _pace(nova)
    return Survey(Clock().now(), cluster, services, tuple(servers), left, pace, doubts, nova.login.requests)


def _asked(name: str, known: Sequence[Host]) -> str:
    found = find(known, name)
    if found is None:
        raise ClusterError(f"no compute host {name!r}. Hosts: {', '.join(host.name for host in known)}")
    return found.name


def _pace(nova: Nova) -> Union[Pace, str]:
    """An evacuation that is done was last touched when it was.  One that is completed was touched again when its source
    came back, hours later perhaps: there the action log of the server tells."""
    try:
        arrived = nova.arrivals(ARRIVALS)
        took = [move.updated - move.created for move in arrived if move.status is MoveStatus.DONE]
        if not took:
            newest = list(dict.fromkeys(move.server for move in arrived))[:TIMED]
            took = [seconds for seconds in map(nova.evacuation_s, newest) if seconds is not None]
    except NovaError as exc:
        return f"unknown: {exc}"
    return Pace(statistics.median(took), len(took)) if took else "unknown: no evacuation on record"


def live_faults(settings: Settings) -> list[str]:
    """What is wrong with cluster and Nova as they are now."""
    faults = []
    try:
        here = installation(Pacemaker(local_node()).snapshot())
        for finding in checkup.option_faults(Facts(here, Controller(), NovaAccess())):
            faults.append(": ".join((finding.what, *map(shlex.join, finding.commands))))
    except ClusterError as exc:
        faults.append(f"Pacemaker: {exc}")
    return faults + nova_faults(settings)


def nova_access(settings: Settings) -> NovaAccess:
    """What muster's user finds in Nova, and what it may do there; nothing is changed."""
    given = (settings.cloud, settings.clouds_file, settings.shared_storage, settings.nova_api_version)
    return NovaRights(*given).access(Clock(), bool(settings.reset_states))


def nova_faults(settings: Settings) -> list[str]:
    """Whether Nova answers this user; one sentence if not."""
    try:
        if not _nova(settings).services():
            return ["Nova lists no nova-compute service: is the user of clouds.yaml an admin?"]
    except NovaError as exc:
        return [f"Nova: {exc}"]
    return []
