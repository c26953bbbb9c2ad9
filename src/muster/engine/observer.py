# SPDX-License-Identifier: Apache-2.0
"""What a worker would say now, seen by somebody who changes nothing and has no memory."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from muster.core.decide import Decision, decide
from muster.core.errors import NovaError
from muster.core.ports import ClockPort, ClusterPort, NovaPort
from muster.core.server_rules import RULES, ServerStep
from muster.core.sight import Sight
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.settings import Settings

OBSERVED_LOGS = 200
UNREAD_RULES = frozenset(rule.name for rule in RULES if rule.step is ServerStep.READ_LOG)


def observe(cluster: ClusterPort, nova: NovaPort, clock: ClockPort, settings: Settings) -> Decision:
    """:raises ClusterError: when Pacemaker does not answer; Nova's silence is part of the decision."""
    memory = Memory()
    look = Look(cluster, nova, clock, settings, memory)
    look.sight()
    decision = _as_the_worker(look.sight(), settings)
    findings = [finding for incident in decision.incidents.values() for finding in incident.findings.values()]
    unread = [f.server.id for f in findings if f.rule in UNREAD_RULES or f.queue_unread][:OBSERVED_LOGS]
    for server in unread:
        with contextlib.suppress(NovaError):
            asked_at = clock.now()
            memory.note_action_log(server, nova.action_log(server), asked_at)
    return _as_the_worker(look.sight(), settings) if unread else decision


def _as_the_worker(sight: Sight, settings: Settings) -> Decision:
    cluster = replace(sight.cluster, quorum=True, active_here=True, active_elsewhere=())
    # An earlier worker's calls concern who sends, not who looks.
    hosts = {node: replace(host, wait_from=0.0) for node, host in sight.hosts.items()}
    return decide(replace(sight, cluster=cluster, hosts=hosts), settings)
