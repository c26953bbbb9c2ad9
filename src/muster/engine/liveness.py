# SPDX-License-Identifier: Apache-2.0
"""Whether the nova-compute of a fenced host has written to Nova, and whether that of a returning one has.

It only compares what the look has read; what follows from a sign of life stands in :mod:`muster.core.host_rules`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from muster.core.facts import UNTOUCHED, MoveStatus, Node, Phase, Service
from muster.core.host_rules import HEARTBEAT_SKEW_S, LATE_BEAT_S
from muster.engine.memory import HostMemory


def feel(host: HostMemory, node: Node, service: Service, now: float) -> None:
    """Nova's updated_at of a service advances with every heartbeat, and with every change by an admin: it counts
    only while the rest of the service stays as it is.

    :param now: not earlier than the service was read.
    """
    phase = host.record.phase
    if phase is Phase.EVACUATING and service.forced_down and not service.enabled:
        _feel_none(host, service, now)
    if phase in UNTOUCHED:
        late = service.updated_at > host.record.last + HEARTBEAT_SKEW_S
        host.heartbeat_moved = host.heartbeat_moved or (late and _moved(host.pulse, service))
        if not _same(host.pulse, service):
            host.pulse, host.pulse_at = service, now
    if phase is Phase.RETURNING:
        beats = node.member and _moved(host.back, service)
        back = has_finished_its_rows(host) or beats
        host.alive_again = host.alive_again or back
        host.back_at = host.back_at or now * beats
        if not _same(host.back, service):
            host.back = service


def has_finished_its_rows(host: HostMemory) -> bool:
    """Its nova-compute has started anew: only that turns done into completed."""
    since = host.record.last + HEARTBEAT_SKEW_S
    rows = [m.status for ms in host.moves.values() for m in ms if m.updated > since and m.id not in host.dropped]
    return MoveStatus.COMPLETED in rows and MoveStatus.DONE not in rows


def _feel_none(host: HostMemory, service: Service, now: float) -> None:
    """The host is to be dead.  What nobody here has seen comes again while earlier calls are waited for."""
    again = host.record.last != host.record.first
    # Who looks first later than an interval after the force-down has missed a heartbeat.
    fresh = max(now - host.forced_at, host.forced_at - host.felt_at) < host.beats_every_s
    watched = host.ours and not again and fresh
    if host.pulse is None and not host.ours:
        host.late_until = now + host.late_call_s
    ours = min(now, service.updated_at - HEARTBEAT_SKEW_S) < host.late_until
    doubtful = ours and _moved(host.pulse, service)
    if doubtful:
        # That may have been a late call; the next one is not.
        host.doubtful_until = now + HEARTBEAT_SKEW_S + host.beats_every_s + LATE_BEAT_S
    if doubtful or not _same(host.pulse, service):
        host.pulse = service
        host.resumed_at = 0.0 if watched and now >= host.late_until else now
    # Of one that was fenced again, a heartbeat of before may be read late: what it is sent waits for longer than that.
    after = not again or service.updated_at > host.record.last + HEARTBEAT_SKEW_S
    host.heartbeat_moved = host.heartbeat_moved or (after and _moved(host.pulse, service))


def _same(before: Optional[Service], service: Service) -> bool:
    """Nobody has changed it; it may have beaten."""
    return before is not None and replace(before, updated_at=service.updated_at, up=service.up) == service


def _moved(before: Optional[Service], service: Service) -> bool:
    return before is not None and _same(before, service) and service.updated_at > before.updated_at
