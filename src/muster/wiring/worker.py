# SPDX-License-Identifier: Apache-2.0
"""Puts the worker together: the only place that knows all its parts, and does nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

from muster.engine import examiner
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.engine.worker import Worker
from muster.gateways.child_process import Detached
from muster.gateways.clock import Clock
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.cluster import Pacemaker, local_node
from muster.gateways.pacemaker.installation import installation
from muster.installation.checks.examination import Examined
from muster.log import Log
from muster.reporting.documents import KnownCapacity
from muster.reporting.outlets import Outlets, Quiet
from muster.reporting.outlets import capacity as capacity_looks
from muster.reporting.outlets.hook import Hook
from muster.reporting.outlets.left_behind import LeftBehindNotes
from muster.reporting.outlets.metrics import Counted, Metrics
from muster.reporting.outlets.readiness import ReadinessLooks
from muster.reporting.outlets.reports import Reports
from muster.reporting.outlets.status import Status
from muster.settings import Settings
from muster.wiring import connections


@contextlib.contextmanager
def wired(
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

    def may_look() -> bool:
        return not memory.cluster_trouble

    looks = ReadinessLooks(lambda: ready(settings, local, instance), cluster.cib_changed, may_look, clock, log)
    every_s = settings.capacity_every_s
    counts = capacity_looks.CapacityLooks(lambda: _begin_capacity(local, instance), every_s, may_look, clock, log)
    status = Status(status_file, clock, log, cluster.share, lambda: looks.found, lambda: counts.found)
    left = LeftBehindNotes(cluster.change_left, cluster.change_past, clock, log)
    outlet = Outlets(status, [left, *_others(settings, clock, memory, log, looks, counts), looks], log)
    outlet.announce(60.0)
    compute = connections.nova(settings, outlet.announce, clock)
    look = Look(cluster, compute, clock, settings, memory)
    act = Act(cluster, compute, clock, memory, log, on_record, outlet.announce)
    try:
        yield Worker(look, act, cluster, clock, settings, memory, log, outlet, wait)
    finally:
        outlet.close()


def _others(
    settings: Settings,
    clock: Clock,
    memory: Memory,
    log: Log,
    looks: ReadinessLooks,
    counts: capacity_looks.CapacityLooks,
) -> Iterator[Quiet]:
    """Where else the worker says what it sees."""
    yield Reports(clock, log)
    if settings.hook:
        yield Hook(settings.hook, log)
    watched = settings.capacity_every_s > 0
    if watched:
        yield counts
    if settings.metrics_file:
        file = Path(settings.metrics_file)
        yield Metrics(file, clock, lambda: _counted(memory, looks, counts.found if watched else None), log)


def _counted(memory: Memory, looks: ReadinessLooks, known: Optional[KnownCapacity]) -> Counted:
    tally, troubles = memory.tally, memory.troubles
    counts = (tally.sent, tally.refused, troubles.faults_counted)
    return Counted(*counts, troubles.message, memory.cluster_trouble, looks.found, memory.unfenced, known)


def _begin_capacity(local: str, instance: str) -> Detached:
    """See :mod:`muster.agents.capacity_process`."""
    given = {name: value for name, value in os.environ.items() if name.startswith("OCF_RESKEY_")}
    python = (sys.executable, "-I", "-m", "muster.agents.capacity_process", local, instance)
    told = json.dumps(given).encode()
    return Detached(["nice", "-n", "19", *python], told, capacity_looks.TIMEOUT_S, capacity_looks.WORDS_LIMIT)


def ready(settings: Settings, local: str, instance: str) -> Optional[list[Examined]]:
    """The checks of doctor by what is safe and cheap to see, for a worker at rest; None: this is no time for them.

    :raises ClusterError: when Pacemaker does not answer.
    """
    cluster = Pacemaker(local, instance)
    snapshot = cluster.snapshot()
    nodes = cib.cluster(snapshot, local, instance).nodes.values()
    running_or_gone = connections.rights(settings).running_or_gone
    examiner.forget_what_runs(nodes, running_or_gone, cluster, Clock().now())
    here = installation(snapshot, examiner.left_alone(settings))
    return examiner.examine(
        settings, here, local, instance, connections.nova_access(settings, thorough=False), os.environ
    )
