# SPDX-License-Identifier: Apache-2.0
"""What a pass has before it: cluster and Nova as they were seen, and what this worker remembers of them.

Frozen values; nothing here asks, waits or decides.  Times are Unix seconds.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from muster.core.bounds import resumed_s
from muster.core.cluster_facts import Cluster
from muster.core.errors import Answer
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server, Service


@dataclass(frozen=True)
class Calls:
    """What the action log of a server says of its evacuate calls in this incident.

    :param read_at: when it was asked for.
    :param evacuations: id and status of the server's evacuations as they were known then.
    :param tries: how often it was asked for since these have changed, in vain ones included.
    :param traces: oldest first; None: it could not be read.
    :param claimed: the hypervisors on which placement holds room for it, while a destination has not begun; none where
        that is not known.
    :param since: from when on; 0.0: all.
    """

    read_at: float
    evacuations: frozenset[tuple[str, EvacuationStatus]]
    tries: int = 1
    traces: Optional[tuple[CallTrace, ...]] = None
    claimed: tuple[str, ...] = ()
    since: float = 0.0

    def are_all_for(self, evacuations: Sequence[Evacuation], elsewhere: float) -> bool:
        """:param elsewhere: when another incident began that has some of the server's; 0.0 without one."""
        return self.evacuations == Calls.state_of(evacuations) and not self.since > elsewhere > 0.0

    @staticmethod
    def state_of(evacuations: Sequence[Evacuation]) -> frozenset[tuple[str, EvacuationStatus]]:
        """What they are read again for when it changes."""
        return frozenset((evacuation.id, evacuation.status) for evacuation in evacuations)


class Outcome(enum.Enum):
    """What is known of a call of ours after it returned."""

    TAKEN = "taken"  # Nova said yes, which only means that it began
    UNCERTAIN = "uncertain"  # no reply, or none that says whether it was carried out
    REFUSED = "refused"  # Nova said no


@dataclass(frozen=True)
class Sent:
    """This worker's last evacuate call for a server; known to no other worker.

    :param quiet_until: until then no repeat, whatever is or is not to be seen: the call may still be carried out.
    :param evacuations_before: how many of the server's evacuations were known when it was sent; one more is ours.
    :param refused: when Nova refused it in this worker's life.
    """

    at: float
    outcome: Outcome
    quiet_until: float
    evacuations_before: int
    request_id: str = ""
    answer: Answer = Answer.OTHER
    words: str = ""
    refused: tuple[float, ...] = ()

    def unseen(self, evacuations: Sequence[Evacuation]) -> bool:
        """Nova has not refused it, and none of the server's evacuations is its."""
        return self.outcome is not Outcome.REFUSED and len(evacuations) <= self.evacuations_before


@dataclass(frozen=True)
class Tries:
    """How often something was tried, and when last: a call that may be repeated, or a read that failed."""

    at: float = 0.0
    times: int = 0

    def once_more(self, at: float) -> Tries:
        return Tries(at, self.times + 1)

    def due(self, now: float, longest_s: float) -> bool:
        """Again after a pause that doubles each time."""
        return not self.times or now - self.at >= min(2.0**self.times, longest_s)


NEVER_TRIED = Tries()


@dataclass(frozen=True)
class Progress:
    """How far Nova has come with the evacuations that it accepted; 0.0: it has begun none.

    The conductor takes them one after the other, so one that was accepted earlier has as a rule begun earlier.

    :param begun_to: when the youngest that has begun was accepted.
    :param changed_at: when one that has begun last changed.
    """

    begun_to: float = 0.0
    changed_at: float = 0.0


NOT_BEGUN = Progress()


@dataclass(frozen=True)
class ServerSight:
    """What Nova said of one server of a dead host, and what this worker knows of it.

    :param evacuations: from this host, of this incident, oldest first.
    :param read_at: when what is known of the server was asked for, by our clock.
    :param ended_at: when the newest end of its evacuations was first seen, by our clock; 0.0 = none has ended.
    :param listed: it was on the last list of the host's servers.
    :param reread: it is to be read before anything is said of it.
    :param at_rest: the power state in which it was seen at rest on the host, before anything moved it.
    :param log: what its action log says; None: not read, or something has happened since.
    :param unread: when and how often in a row that could not be read.
    :param queued_start: what waits for the host's nova-compute and would start it: "start" or "rescue".
    :param queue_read_at: when its action log was last asked for that could be read.
    :param calls: what Nova says of its evacuate calls, where that was asked for.
    :param sent: this worker's last evacuate call for it.
    :param stops: when and how often this worker asked Nova to stop it after it had arrived.
    :param resets: the same for a reset of its state.
    :param proved: this worker has proved it evacuated.
    :param before: as it was when its host joined again; None as long as no nova-compute runs there.
    """

    server: Server
    evacuations: tuple[Evacuation, ...] = ()
    read_at: float = 0.0
    ended_at: float = 0.0
    listed: bool = False
    reread: bool = False
    at_rest: Power = Power.UNKNOWN
    log: Optional[ActionLog] = None
    unread: Tries = NEVER_TRIED
    queued_start: str = ""
    queue_read_at: float = 0.0
    calls: Optional[Calls] = None
    sent: Optional[Sent] = None
    stops: Tries = NEVER_TRIED
    resets: Tries = NEVER_TRIED
    proved: bool = False
    before: Optional[Server] = None


@dataclass(frozen=True)
class HostSight:
    """What Nova said of one dead host, and what this worker knows of it.

    :param servers: by id: those on the host and those that left it since the record.
    :param unshown: by server id, oldest first: evacuations of servers that no list has shown.
    :param first_listed_at: when its servers were first listed by this worker, its cell answering; 0.0 = never.
    :param listed_at: when they were last listed; 0.0 = never.
    :param listed_by: when that list was complete.
    :param doubted: its cell may have been silent then: it has not been seen to answer since.
    :param dropped: ids of those that Nova shows no more, its cell answering: their servers were deleted (facts.md N31).
    :param evacuations_at: when its evacuations were last asked for, its cell answering; what Nova did since may not
        show yet.
    :param wait_from: since when this worker waits for heartbeats and calls of an earlier one, or for heartbeats that it
        may have missed itself; 0.0 = it has missed none.
    :param force_down_late_until: before this a force-down may still be carried out that nobody waits for any more, or
        what may have been one prove a heartbeat.
    :param seen_at: when this worker first saw the record's last fencing; 0.0 = not known.
    :param seen_from: when it had last looked, with quorum, and had not seen it; 0.0 = it did not look then.
    :param late_call_s: how long a lost call may still be carried out, by the setting.
    :param beats_every_s: how often a nova-compute writes to Nova, by the setting and by what was seen.
    :param unchanged_for_s: before the claim, and on the way back: for how long its service has been seen without any
        change.
    :param heartbeat_after_fencing: nova-compute wrote to Nova after it was forced down, so the host lives.
    :param found_running: Pacemaker found nova-compute running after the fencing, so the host lives.
    :param refuted: the record says so, by whatever an earlier pass or worker has seen.
    :param released: this worker has let nova-compute start again, so what is under way now began since.
    :param has_rejoined: this worker has seen it in the cluster since it was let return.
    :param compute_restarted: nova-compute wrote to Nova after it was let start again.
    :param compute_stopped_at: when this worker last had nova-compute stopped, to start it anew, or last saw a heartbeat
        of it while it stopped; 0.0 = never.
    :param compute_stops: how often it did.
    :param lift_refused_at: when Nova last refused to lift the force-down, since then; 0.0 = it did not.
    :param back_at: when a heartbeat of it was first seen there; 0.0 = not yet.
    :param dead_evacuations: ids of evacuations whose destination this worker has known dead while they were under way.
    :param unlisted: why Nova does not list its servers or evacuations; empty when it does.
    :param call_failed: how a call about it failed a moment ago.
    """

    services: tuple[Service, ...] = ()
    servers: Mapping[str, ServerSight] = field(default_factory=dict)
    unshown: Mapping[str, tuple[Evacuation, ...]] = field(default_factory=dict)
    first_listed_at: float = 0.0
    listed_at: float = 0.0
    listed_by: float = 0.0
    doubted: bool = False
    dropped: frozenset[str] = frozenset()
    evacuations_at: float = 0.0
    wait_from: float = 0.0
    force_down_late_until: float = 0.0
    seen_at: float = 0.0
    seen_from: float = 0.0
    beats_every_s: float = 10.0
    late_call_s: float = 60.0
    unchanged_for_s: float = 0.0
    heartbeat_after_fencing: bool = False
    found_running: bool = False
    refuted: bool = False
    compute_restarted: bool = False
    has_rejoined: bool = False
    back_at: float = 0.0
    compute_stopped_at: float = 0.0
    compute_stops: int = 0
    lift_refused_at: float = 0.0
    released: bool = False
    dead_evacuations: frozenset[str] = frozenset()
    unlisted: str = ""
    call_failed: str = ""

    @functools.cached_property
    def evacuations(self) -> Mapping[str, tuple[Evacuation, ...]]:
        """By server id, oldest first: all from this host that belong to the incident."""
        known = {ident: seen.evacuations for ident, seen in self.servers.items() if seen.evacuations}
        return {**known, **self.unshown}

    @property
    def resumed_until(self) -> float:
        """Before this a call of an earlier worker may be carried out unseen, or a heartbeat be missed; 0.0 = never."""
        return self.wait_from + resumed_s(self.late_call_s, self.beats_every_s) if self.wait_from else 0.0

    @property
    def lives(self) -> bool:
        """It was seen after its fencing, which therefore proves nothing."""
        return self.heartbeat_after_fencing or self.found_running or self.refuted


@dataclass(frozen=True)
class Sight:
    """All that a decision may depend on.

    :param hosts: by node name, for every node with an incident that Nova was asked about; no entry = unknown.
    :param nova_trouble: why Nova cannot be asked now; empty when it answers.
    :param clocks_apart: why Nova's times cannot be compared with anything; empty when they can.
    :param host_became_usable_at: when a host was last seen to become usable, which ends every pause between tries.
    :param arrivals_unread: half a look: evacuations were seen to end whose servers were not read since.
    """

    now: float
    cluster: Cluster
    hosts: Mapping[str, HostSight] = field(default_factory=dict)
    nova_trouble: str = ""
    clocks_apart: str = ""
    host_became_usable_at: float = 0.0
    arrivals_unread: bool = False

    @functools.cached_property
    def progress(self) -> Progress:
        rows = (row for host in self.hosts.values() for rows in host.evacuations.values() for row in rows)
        begun = [row for row in rows if row.status is not EvacuationStatus.ACCEPTED and not row.unreadable]
        created, changed = (row.created for row in begun), (row.updated for row in begun)
        return Progress(max(created, default=0.0), max(changed, default=0.0))
