# SPDX-License-Identifier: Apache-2.0
"""Muster's agents on this controller, where Pacemaker looks for them: whether they run, and of which version."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from muster.core.errors import ClusterError
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.command import Result, run_as_pacemaker
from muster.installation.installed import AgentSeen

TIMEOUT_S = 10.0
CALLS = (
    ("/usr/lib/ocf/resource.d/muster/ComputeRecovery", "meta-data"),
    ("/usr/sbin/fence_muster", "-o", "metadata"),
)
"""The document of a fence agent has no place for a version."""


def seen(runner: Callable[[Sequence[str], float], Result] = run_as_pacemaker) -> dict[str, AgentSeen]:
    """Each agent by its path."""
    return {call[0]: _seen(call, runner) for call in CALLS}


def _seen(call: Sequence[str], runner: Callable[[Sequence[str], float], Result]) -> AgentSeen:
    try:
        done = runner(call, TIMEOUT_S)
        if done.code:
            return AgentSeen(fault=f"exit {done.code}: {done.errors or 'no message'}")
        return AgentSeen(version=cib.parse_reply(done.output).get("version", ""))
    except ClusterError as exc:
        return AgentSeen(fault=str(exc))
