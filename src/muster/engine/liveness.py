# SPDX-License-Identifier: Apache-2.0
"""Whether the nova-compute of a fenced host has written to Nova, and whether that of a returning one has.

Nova's updated_at of a service advances with every heartbeat, and with every change by an admin: it counts only while
the rest of the service stays the same.  What follows from a sign of life stands in :mod:`muster.core.host_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Optional

from muster.core.bounds import HEARTBEAT_SKEW_S
from muster.core.cluster_facts import UNTOUCHED, Node, Phase, Record
from muster.core.host_case import LATE_BEAT_S
from muster.core.nova_facts import Server, Service

STOPS_WITHIN_S = 200.0
"""Longer than any nova-compute takes to stop (facts.md N37): what beats then is one that somebody has started."""


@dataclass
class Liveness:
    """Whether a host lives that was fenced, until it is let return."""

    record: Record
    beats_every_s: float = 10.0
    late_call_s: float = 60.0
    began_here: bool = False
    """This worker has seen the incident before anybody claimed it: no other worker's calls can be under way."""
    wait_from: float = 0.0
    """Heartbeats that an earlier worker may have seen, and its calls, are waited for from then on; 0.0: none are."""
    baseline: Optional[Service] = None
    """The service as it was first read since it last changed in anything but its heartbeat.  None: not read yet, or
    this worker was about to change it, so the next reading is compared with nothing."""
    baseline_since: float = 0.0
    service_read_at: float = 0.0
    """When the baseline was known, and when the service was last asked for; both only before the claim."""
    forced_down_at: float = 0.0
    """When this worker first sent a force-down.  It never advances."""
    last_forced_down_at: float = 0.0
    """When it last sent one."""
    late_call_until: float = 0.0
    """Until then a force-down, of this worker or an earlier one, may still be carried out and look like a heartbeat."""
    doubtful_until: float = 0.0
    """What may have been such a force-down was seen: until then the next heartbeat shows what it was."""
    heartbeat_after_fencing: bool = False
    found_running: bool = False
    """Only another fencing takes either back (:meth:`fenced_again`)."""

    @property
    def unchanged_for_s(self) -> float:
        return max(0.0, self.service_read_at - self.baseline_since)

    @property
    def force_down_late_until(self) -> float:
        return max(self.late_call_until, self.doubtful_until)

    def observe_record(self, record: Record, found_running_at: int, now: float) -> None:
        """:param found_running_at: when Pacemaker last found nova-compute running where it is kept away."""
        self.record = record
        if record.phase is Phase.EVACUATING and not self.began_here:
            self.wait_from = self.wait_from or now
        if record.phase in UNTOUCHED:
            self.began_here = True
        if record.phase is not Phase.RETURNING:
            # Pacemaker forgets it as soon as the node joins again.
            self.found_running = self.found_running or found_running_at >= record.last

    def expect(self, beats_every_s: float, late_call_s: float) -> None:
        """What is known by now of how often a nova-compute beats, and how late a call may be carried out."""
        self.beats_every_s, self.late_call_s = beats_every_s, late_call_s

    def fenced_again(self) -> None:
        """What was seen of the host before its newest fencing says nothing any more."""
        self.baseline, self.heartbeat_after_fencing, self.found_running = None, False, False

    def claimed(self) -> None:
        self.began_here = True

    def force_down_sent(self, now: float) -> None:
        self.baseline, self.forced_down_at, self.last_forced_down_at = None, self.forced_down_at or now, now

    def force_down_lost(self, now: float) -> None:
        """Nova did not say whether it carries it out: it may do so later."""
        self.late_call_until = now + self.late_call_s

    def observe_service(self, service: Service, asked_at: float, now: float) -> None:
        """:param asked_at: when Nova was asked for it.
        :param now: not earlier than the service was read.
        """
        if self.record.phase in UNTOUCHED:
            self.service_read_at = asked_at
            self._observe_untouched(service, now)
        elif self.record.phase is Phase.EVACUATING and service.forced_down and not service.enabled:
            self._observe_forced_down(service, now)

    def _observe_untouched(self, service: Service, now: float) -> None:
        after = self._is_after_fencing(service)
        self._note_heartbeat(service, after)
        if not _unchanged(self.baseline, service):
            self.baseline, self.baseline_since = service, now
        elif not after and _beat(self.baseline, service):
            self.baseline = service  # its last one, where the first reading was older than that

    def _observe_forced_down(self, service: Service, now: float) -> None:
        """The host is to be dead.  What nobody here has seen comes again while earlier calls are waited for."""
        if self.baseline is None and not self.began_here:
            self.late_call_until = now + self.late_call_s
        may_be_ours = min(now, service.updated_at - HEARTBEAT_SKEW_S) < self.late_call_until
        doubtful = may_be_ours and _beat(self.baseline, service)
        if doubtful:
            # That may have been a late call; the next one is not.
            self.doubtful_until = now + HEARTBEAT_SKEW_S + self.beats_every_s + LATE_BEAT_S
        if doubtful or not _unchanged(self.baseline, service):
            self.baseline = service
            certain = self._watched_throughout(service, now) and now >= self.late_call_until and not doubtful
            self.wait_from = 0.0 if certain else now
        # Of one that was fenced again, a heartbeat of before may be read late: what it is sent waits for longer.
        self._note_heartbeat(service, not self._fenced_again or self._is_after_fencing(service))

    def _note_heartbeat(self, service: Service, counts: bool) -> None:
        self.heartbeat_after_fencing = self.heartbeat_after_fencing or (counts and _beat(self.baseline, service))

    def _is_after_fencing(self, service: Service) -> bool:
        return service.updated_at > self.record.last + HEARTBEAT_SKEW_S

    def _watched_throughout(self, service: Service, now: float) -> bool:
        """Who looks first later than an interval after the force-down has missed a heartbeat; so may have who sees that
        something was written since."""
        gap_s = max(now - self.forced_down_at, self.forced_down_at - self.service_read_at)
        ours = service.updated_at <= self.last_forced_down_at + HEARTBEAT_SKEW_S
        return self.began_here and not self._fenced_again and gap_s < self.beats_every_s and ours

    @property
    def _fenced_again(self) -> bool:
        return self.record.last != self.record.first


@dataclass
class Return:
    """How far a host that was let return has come, and what this worker did about it."""

    released: bool = False
    """This worker has let nova-compute start."""
    joined: bool = False
    """The host has been a member of the cluster since it was let return; it may have left again."""
    baseline: Optional[Service] = None
    """Its service as it was first read, since then or since nova-compute was last stopped."""
    last: Optional[Service] = None
    same_from: float = 0.0
    same_until: float = 0.0
    """As it was read last, and from when until when it has been read as that, without even a heartbeat."""
    compute_restarted: bool = False
    first_beat_at: float = 0.0
    """When a heartbeat of it was first seen; 0.0: none was.  Where there is one, ``compute_restarted`` is true."""
    servers_before: Optional[Mapping[str, Server]] = None
    """Its servers as they were last read before its nova-compute could start; None as long as it cannot."""
    compute_stopped_at: float = 0.0
    """When it was told to stop, or last beat while it did: from Nova 33 on it does so for minutes (facts.md N37)."""
    stopped_by: float = 0.0
    """When it has ended at the latest, whatever beats then."""
    compute_stops: int = 0
    lift_refused_at: float = 0.0
    """When Nova last refused to lift the force-down, since nova-compute was last stopped; 0.0: it did not."""

    def record_swapped(self, record: Record) -> None:
        self.released = record.phase is Phase.RETURNING

    def compute_stopped(self, now: float) -> None:
        """It is to start anew: what was seen of it before that says nothing any more."""
        self.compute_stopped_at, self.compute_stops = now, self.compute_stops + 1
        self.stopped_by = now + STOPS_WITHIN_S
        self.compute_restarted, self.baseline, self.first_beat_at = False, None, 0.0
        self.lift_refused_at = 0.0

    def lift_refused(self, now: float) -> None:
        """Nova still has evacuations from there that no start has completed (facts.md N17)."""
        self.lift_refused_at = now

    def observe_node(self, record: Record, node: Node) -> None:
        self.joined = self.joined or (record.phase is Phase.RETURNING and node.member)

    def observe_servers(self, record: Record, node: Node, servers: Mapping[str, Server]) -> None:
        """As soon as the host has joined and nothing keeps nova-compute away, that carries out what waited for it."""
        if record.phase is not Phase.RETURNING or node.away:
            self.servers_before = None
        elif self.servers_before is None and node.member:
            self.servers_before = dict(servers)

    @property
    def unchanged_for_s(self) -> float:
        return max(0.0, self.same_until - self.same_from)

    def observe_service(self, node: Node, service: Service, rows_finished: bool, asked_at: float, now: float) -> None:
        """:param rows_finished: nova-compute has completed its evacuations, which it does when it starts.
        :param asked_at: when Nova was asked for it.
        :param now: not earlier than the service was read.
        """
        stopping = self.compute_stops > 0 and node.hold
        if stopping and now < self.stopped_by and _beat(self.last, service):
            self.compute_stopped_at = now
        if service != self.last:
            self.last, self.same_from = service, now
        self.same_until = asked_at
        if stopping:
            return  # what is seen of it is from before its stop
        beat = node.member and _beat(self.baseline, service)
        self.compute_restarted = self.compute_restarted or rows_finished or beat
        if beat:
            self.first_beat_at = self.first_beat_at or now
        if not _unchanged(self.baseline, service):
            self.baseline = service


def _unchanged(before: Optional[Service], service: Service) -> bool:
    """Nobody has changed it; it may have beaten."""
    return before is not None and replace(before, updated_at=service.updated_at, up=service.up) == service


def _beat(before: Optional[Service], service: Service) -> bool:
    return before is not None and _unchanged(before, service) and service.updated_at > before.updated_at
