# SPDX-License-Identifier: Apache-2.0
"""Puts the parts together: the only place that knows them all, and does nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Optional

from muster import parameters
from muster.core.cluster_facts import Node
from muster.core.decide import Decision, has_incident
from muster.core.left_behind import noted
from muster.engine import observer
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.engine.worker import Worker
from muster.gateways import comforts, credentials, host_monitors
from muster.gateways.clock import Clock
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.rights import NovaRights
from muster.gateways.nova.scheduling import NovaScheduling
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.cluster import Pacemaker, local_node
from muster.gateways.pacemaker.installation import installation
from muster.installation import checkup
from muster.installation.checks.examination import Examination, Examined
from muster.installation.installed import Controller, NovaAccess
from muster.installation.live_faults import cluster_faults, nova_faults
from muster.log import Log
from muster.reporting.outlets import Outlets, Quiet
from muster.reporting.outlets.hook import Hook
from muster.reporting.outlets.left_behind import LeftBehindNotes
from muster.reporting.outlets.metrics import Counted, Metrics
from muster.reporting.outlets.readiness import ReadinessLooks
from muster.reporting.outlets.reports import Reports
from muster.reporting.outlets.status import Status
from muster.settings import Settings, comfort_faults

LEFT_SETTLES_S = 1200.0
"""So long after its host has returned Nova may call a server running that is not: it compares what it has on record
with the hypervisor every ten minutes only (nova.conf, sync_power_state_interval)."""
LEFT_READ = 20
"""So many servers at most are read in one look."""


def nova(
    settings: Settings, announce: Callable[[float], None] = lambda silence_s: None, clock: Optional[Clock] = None
) -> Nova:
    version = settings.nova_api_version
    return Nova(settings.cloud, settings.clouds_file, settings.shared_storage, version, announce, clock)


def scheduling(settings: Settings) -> NovaScheduling:
    version = settings.nova_api_version
    return NovaScheduling(settings.cloud, settings.clouds_file, settings.shared_storage, version)


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
    looks = ReadinessLooks(
        lambda: ready(settings, local, instance),
        cluster.cib_changed,
        lambda: not memory.cluster_trouble,
        clock,
        log,
    )
    status = Status(status_file, clock, log, cluster.share, lambda: looks.found)
    left = LeftBehindNotes(cluster.change_left, cluster.change_past, clock, log)
    outlet = Outlets(status, [left, *_others(settings, clock, memory, log, looks), looks], log)
    outlet.announce(60.0)
    compute = nova(settings, outlet.announce, clock)
    look = Look(cluster, compute, clock, settings, memory)
    act = Act(cluster, compute, clock, memory, log, on_record, outlet.announce)
    try:
        yield Worker(look, act, cluster, clock, settings, memory, log, outlet, wait)
    finally:
        outlet.close()


def _others(settings: Settings, clock: Clock, memory: Memory, log: Log, looks: ReadinessLooks) -> Iterator[Quiet]:
    """Where else the worker says what it sees."""
    yield Reports(clock, log)
    if settings.hook:
        yield Hook(settings.hook, log)
    if settings.metrics_file:
        yield Metrics(Path(settings.metrics_file), clock, lambda: _counted(memory, looks), log)


def _counted(memory: Memory, looks: ReadinessLooks) -> Counted:
    tally, troubles = memory.tally, memory.troubles
    counts = (tally.sent, tally.refused, troubles.faults_counted)
    return Counted(*counts, troubles.message, memory.cluster_trouble, looks.found, memory.unfenced)


def observe(settings: Settings, cluster: Pacemaker) -> Decision:
    """:raises ClusterError: when Pacemaker does not answer; Nova's silence is part of the decision."""
    clock = Clock()
    return observer.observe(cluster, nova(settings, clock=clock), clock, settings)


def live_faults(settings: Settings) -> list[str]:
    """What is wrong with cluster and Nova as they are now."""
    found = cluster_faults(lambda: installation(Pacemaker(local_node()).snapshot()))
    return found + nova_faults(nova(settings))


def nova_access(settings: Settings, thorough: bool = True) -> NovaAccess:
    """What muster's user finds in Nova, and what it may do there; nothing is changed.

    :param thorough: also what only a write shows, which Nova refuses.
    """
    return NovaRights(*_given(settings)).access(Clock(), bool(settings.reset_states), thorough)


def _given(settings: Settings) -> tuple[str, str, bool, str]:
    return settings.cloud, settings.clouds_file, settings.shared_storage, settings.nova_api_version


def ready(settings: Settings, local: str, instance: str) -> list[Examined]:
    """The checks of doctor by what is safe and cheap to see, for a worker at rest.

    :raises ClusterError: when Pacemaker does not answer.
    """
    left_alone = {node for node, host in settings.host_map.items() if not host}
    pacemaker = Pacemaker(local, instance)
    snapshot = pacemaker.snapshot()
    forget_what_runs(settings, pacemaker, cib.cluster(snapshot, local, instance).nodes.values())
    here = installation(snapshot, left_alone)
    version = parameters.version()
    controller = Controller(
        name=local,
        version=version,
        credentials=tuple(credentials.file_faults(settings.clouds_file)),
        worker_version=version,
        evacuators=host_monitors.seen(),
    )
    worker = next((one for one in here.workers if one.id == instance), None)
    facts = Examination(here, controller, nova_access(settings, thorough=False), worker)
    return checkup.examine(with_settings(facts, settings, os.environ))


def forget_what_runs(settings: Settings, pacemaker: Pacemaker, nodes: Iterable[Node]) -> None:
    """Take what runs or is gone off the notes of servers that were left when their host returned."""
    now = Clock().now()
    for node in nodes:
        if node.left and not has_incident(node) and now - node.left.at > LEFT_SETTLES_S:
            begin = int(now) % len(node.left.servers)
            some = (*node.left.servers[begin:], *node.left.servers[:begin])[:LEFT_READ]
            well = NovaRights(*_given(settings)).running_or_gone(some)
            if well:
                pacemaker.change_left(node.name, partial(noted, left=(), seen_to=well, now=now))


def with_settings(facts: Examination, settings: Settings, given: Mapping[str, str]) -> Examination:
    """:param given: the parameters as the agent has them in its environment."""
    return replace(
        facts,
        shared_storage=settings.shared_storage,
        nova_api_version=settings.nova_api_version,
        clouds_file=settings.clouds_file,
        host_map=settings.host_map,
        report_interval_s=settings.report_interval_s,
        comfort_faults=(
            *comfort_faults(given),
            *comforts.hook_faults(settings.hook),
            *comforts.metrics_faults(settings.metrics_file),
        ),
    )
