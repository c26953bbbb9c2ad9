# SPDX-License-Identifier: Apache-2.0
"""What the worker looks at while no host needs it: doctor's checks, as far as they are safe and cheap to see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Optional, Protocol

from muster import parameters
from muster.core.cluster_facts import Node
from muster.core.decide import has_incident
from muster.core.left_behind import LeftBehind, noted
from muster.gateways import comforts, credentials, host_monitors
from muster.installation import checkup
from muster.installation.checks.examination import Examination, Examined
from muster.installation.installed import Controller, Installation, NovaAccess
from muster.settings import Settings, comfort_faults

LEFT_SETTLES_S = 1200.0
"""So long after its host has returned Nova may call a server running that is not: it compares what it has on record
with the hypervisor every ten minutes only (nova.conf, sync_power_state_interval)."""
LEFT_READ = 20
"""So many servers at most are read in one look."""


class LeftPort(Protocol):
    """Pacemaker, as far as it keeps which servers were left when a host returned.  Raises ClusterError."""

    def change_left(self, node: str, change: Callable[[Optional[LeftBehind]], Optional[LeftBehind]]) -> None: ...


def examine(
    settings: Settings, here: Installation, local: str, instance: str, nova: NovaAccess, given: Mapping[str, str]
) -> Optional[list[Examined]]:
    """Every check, for a worker at rest on this controller; None while Pacemaker is finding out where that runs: what
    is in motion is no finding, and the next look is minutes away.

    :param given: the parameters as the agent has them in its environment.
    """
    worker = next((one for one in here.workers if one.id == instance), None)
    if worker and worker.sought:
        return None
    version = parameters.version()
    controller = Controller(
        name=local,
        version=version,
        credentials=tuple(credentials.file_faults(settings.clouds_file)),
        worker_version=version,
        evacuators=host_monitors.seen(),
    )
    return checkup.examine(with_settings(Examination(here, controller, nova, worker), settings, given))


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


def left_alone(settings: Settings) -> set[str]:
    """The nodes that ``host_map`` excludes."""
    return {node for node, host in settings.host_map.items() if not host}


def forget_what_runs(
    nodes: Iterable[Node],
    running_or_gone: Callable[[Collection[str]], frozenset[str]],
    cluster: LeftPort,
    now: float,
) -> None:
    """Take what runs or is gone off the notes of servers that were left when their host returned."""
    for node in nodes:
        if node.left and not has_incident(node) and now - node.left.at > LEFT_SETTLES_S:
            begin = int(now) % len(node.left.servers)
            some = (*node.left.servers[begin:], *node.left.servers[:begin])[:LEFT_READ]
            well = running_or_gone(some)
            if well:
                cluster.change_left(node.name, partial(noted, left=(), seen_to=well, now=now))
