# SPDX-License-Identifier: Apache-2.0
"""What was seen.  Frozen values in our own words; impossible ones cannot be constructed.

Nothing here asks, waits or decides.  Times are Unix seconds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from muster.core.operator_orders import Orders

# --------------------------------------------------------------------------- the cluster's side


class Phase(enum.Enum):
    """How far the incident of a host has come, as far as it must outlive every process."""

    FENCED = "fenced"  # powered off behind a power device; no worker has asked Nova for anything yet
    CONFIRMED = "confirmed"  # the same, but known from Pacemaker's own fencing state (an operator's word, maybe)
    EVACUATING = "evacuating"  # a worker has begun: whoever comes next must expect calls under way
    RETURNING = "returning"  # settled, no evacuation open: nova-compute may start again
    CLOSED = "closed"  # to be deleted


LATEST = 253_402_300_799
"""The end of the year 9999: what is later cannot be asked of Nova, nor shown to anybody."""

UNTOUCHED = (Phase.FENCED, Phase.CONFIRMED)
"""Until a worker has claimed the incident nobody can have asked Nova for anything."""

_TOKEN = re.compile(
    r"(?P<phase>[a-z]+):(?P<first>\d{1,12}):(?P<last>\d{1,12})(?P<mark>:kept|:forced)?(?P<lives>:lives)?"
)


@dataclass(frozen=True)
class Record:
    """The durable record of one dead host: the node attribute ``muster``.

    :param first: when the incident's first fencing was recorded; evacuations since then belong to it.
    :param last: its latest fencing; a heartbeat after it refutes the fencing.
    :param kept: the service was already forced down by an operator before muster touched it, and stays so.
    :param forced: it may still be forced down by muster, from an incident whose return was cut short by this one.
    :param lives: it was seen to live after its last fencing.  Only one that began later takes that back: the next
        ``off`` of fence_muster, or an operator's ``muster confirm``.  Pacemaker's time of a fencing is that of its end,
        which may come minutes after the off (fenced_remote.c, finalize_op), and proves nothing new.
    """

    phase: Phase
    first: int
    last: int
    kept: bool = False
    forced: bool = False
    lives: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.last:
            raise ValueError(f"record: first fencing {self.first} must be positive and not after the last {self.last}")
        if self.last > LATEST:
            raise ValueError(f"record: {self.last} is after the year 9999, and no time")
        if self.kept and self.forced:
            raise ValueError("record: a force-down is an operator's or muster's, not both")

    @property
    def token(self) -> str:
        """The attribute's value: ``phase:first:last``, ``:kept`` or ``:forced``, and ``:lives``."""
        mark = ":kept" if self.kept else ":forced" if self.forced else ""
        return f"{self.phase.value}:{self.first}:{self.last}{mark}{':lives' * self.lives}"

    @classmethod
    def parse(cls, token: str) -> Record:
        """:raises ValueError: naming the token, if it is none of ours."""
        found = _TOKEN.fullmatch(token)
        if not found:
            raise ValueError(f"record {token!r}: expected phase:first:last, with times in Unix seconds")
        kept, forced = found["mark"] == ":kept", found["mark"] == ":forced"
        return cls(Phase(found["phase"]), int(found["first"]), int(found["last"]), kept, forced, bool(found["lives"]))

    def fenced_again(self, at: int) -> Record:
        """The record after one more fencing of the same host.

        An incident that is under way goes on (its evacuations since ``first`` stay known); one that had let the
        host return begins anew.
        """
        at = max(at, self.last + self.lives)  # not the same again, by whatever clock: it is another fencing
        if self.phase is Phase.CLOSED:
            return Record(Phase.FENCED, at, at)
        if self.phase is Phase.RETURNING:
            return Record(Phase.FENCED, at, at, self.kept, not self.kept)
        return Record(self.phase, self.first, at, self.kept, self.forced)


@dataclass(frozen=True)
class Node:
    """A node as Pacemaker knows it.

    :param record: None without one; a string is a value that cannot be read, which is never taken for "none".
    :param hold: nova-compute is kept away from it (``muster-hold``).
    :param member: the node is in the cluster now (``in_ccm``).
    :param fenced_at: Pacemaker's own word that it was fenced and has not come back (0: no).
    :param lost_at: when Pacemaker's connection to a remote broke, as long as it is away (0: not known).
    :param found_running: when an operation last found there what muster-hold keeps away, or stopped it (0: never).
    :param probed_running: the same by a probe alone: what muster has let start again may be stopped, too.
    :param orders: what operators have said, about whichever incident; see :attr:`standing_orders`.
    :param unreadable_orders: a value that cannot be read, which is never taken for "none".
    :param shown: what muster has it show to crm_mon; Pacemaker forgets it whenever the node joins.
    :param compute: one of this cloud's computes; bundles and other guests are remotes, too.
    :param unproved: why Pacemaker's own word that it was fenced does not prove that it is off; empty where it does.
    :param confirmed_at: when an operator has given his word for it instead, to Pacemaker (0: not).
    """

    name: str
    remote: bool
    record: Optional[Record] = None
    unreadable_record: str = ""
    hold: bool = False
    member: bool = False
    fenced_at: int = 0
    lost_at: int = 0
    found_running: int = 0
    probed_running: int = 0
    orders: Optional[Orders] = None
    unreadable_orders: str = ""
    shown: str = ""
    compute: bool = True
    unproved: str = ""
    confirmed_at: int = 0

    @property
    def standing_orders(self) -> Orders:
        """Those given for the incident on record: an order of an earlier incident means nothing."""
        first = self.record.first if self.record else 0
        return self.orders if self.orders and self.orders.first == first else Orders(first)


@dataclass(frozen=True)
class Cluster:
    """One snapshot of the CIB, seen from this controller.

    :param active_here: the worker's resource is started here, in the last known operation.
    :param resource: its id.
    :param nova_compute: the id of the one that muster-hold keeps away; empty where it is not exactly one.
    :param active_elsewhere: controllers on which the same resource is started, too.
    :param paused: who told muster to change nothing for now; empty if nobody did.
    """

    quorum: bool
    local: str
    nodes: Mapping[str, Node]
    active_here: bool = True
    active_elsewhere: tuple[str, ...] = ()
    paused: str = ""
    resource: str = "muster"
    nova_compute: str = ""


# --------------------------------------------------------------------------- Nova's side


@dataclass(frozen=True)
class Service:
    """A nova-compute service.  ``known`` is False when its cell does not answer (status UNKNOWN)."""

    id: str
    host: str
    up: bool = False
    enabled: bool = True
    disabled_reason: str = ""
    forced_down: bool = False
    updated_at: float = 0.0
    known: bool = True


class Power(enum.Enum):
    """The power state the owner last asked for."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Size:
    """What a server takes of a host, or what a host has left.

    :param disk_gb: None for a host whose disk is not its own (a shared provider has it): it is not counted.
    """

    vcpus: int
    memory_mb: int
    disk_gb: Optional[int]

    def __post_init__(self) -> None:
        if min(self.vcpus, self.memory_mb, self.disk_gb or 0) < 0:
            raise ValueError(f"{self} is less than nothing")

    def takes(self, other: Size) -> bool:
        """There is room in this one for the other."""
        enough_disk = self.disk_gb is None or (other.disk_gb or 0) <= self.disk_gb
        return other.vcpus <= self.vcpus and other.memory_mb <= self.memory_mb and enough_disk

    def without(self, other: Size) -> Size:
        disk_gb = None if self.disk_gb is None else self.disk_gb - (other.disk_gb or 0)
        return Size(self.vcpus - other.vcpus, self.memory_mb - other.memory_mb, disk_gb)


@dataclass(frozen=True)
class Server:
    """A server as Nova shows it to an admin.

    :param image: image id, empty when it boots from a volume; None when unknown.
    :param size: what Nova claims for it on a host; None when unknown.
    :param metadata: like extra specs and image properties, may opt it out or in, by exact key.
    :param tags: what Nova calls so; not the setting ``tag``.
    :param unreadable: what Nova showed of it that cannot be read; nothing else is known of it then.
    """

    id: str
    host: str
    vm_state: str
    name: str = ""
    task_state: str = ""
    status: str = ""
    project: str = ""
    created: float = 0.0
    updated: float = 0.0
    launched: bool = True
    image: Optional[str] = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    fault: str = ""
    deleted: bool = False
    known: bool = True
    size: Optional[Size] = None
    unreadable: str = ""


class MoveStatus(enum.Enum):
    """The statuses of an evacuation in Nova, as far as they mean different things to us."""

    ACCEPTED = "accepted"
    PRE_MIGRATING = "pre-migrating"
    DONE = "done"
    COMPLETED = "completed"
    FAILED = "failed"
    ERROR = "error"
    OTHER = "other"

    @property
    def open(self) -> bool:
        """Not terminal: a guest may still come up from it.  What we do not know counts as open."""
        return self in (MoveStatus.ACCEPTED, MoveStatus.PRE_MIGRATING, MoveStatus.OTHER)

    @property
    def arrived(self) -> bool:
        return self in (MoveStatus.DONE, MoveStatus.COMPLETED)


@dataclass(frozen=True)
class Move:
    """One evacuation of one server: a migration of type evacuation.

    :param dest: empty as long as the scheduler has not decided.
    :param created: 0.0 where that cannot be read: it may belong to any incident.
    :param unreadable: what Nova showed of it that cannot be read; it counts as under way then.
    """

    id: str
    server: str
    source: str
    status: MoveStatus
    dest: str = ""
    created: float = 0.0
    updated: float = 0.0
    unreadable: str = ""


@dataclass(frozen=True)
class Trace:
    """What one evacuate call left in a server's action log.  0.0: it does not say.

    :param at: when Nova took the call.
    :param landed: when the rebuild began on the destination; before that the scheduler had it.
    :param ended: when it was over, well or not.
    :param words: Nova's own about a failure; empty if none is on record.
    :param failed: it ended with a failure.
    :param over: Nova is done with it: whatever was to come of it has come.
    :param harmless: it failed before its destination began to start the guest.
    :param met_guest: its destination refused it because the guest is there already.
    """

    request_id: str
    at: float
    dest: str = ""
    landed: float = 0.0
    ended: float = 0.0
    words: str = ""
    failed: bool = False
    over: bool = False
    harmless: bool = False
    met_guest: bool = False


@dataclass(frozen=True)
class Calls:
    """What the action log of a server says of its evacuate calls in this incident.

    :param read_at: when it was asked for.
    :param moves: id and status of the server's evacuations as they were known then.
    :param tries: how often it was asked for since these have changed, in vain ones included.
    :param traces: oldest first; None: it could not be read.
    :param claimed: the hypervisors on which placement holds room for it, while a destination has not begun; none where
        that is not known.
    """

    read_at: float
    moves: frozenset[tuple[str, MoveStatus]]
    tries: int = 1
    traces: Optional[tuple[Trace, ...]] = None
    claimed: tuple[str, ...] = ()

    @staticmethod
    def state_of(moves: Sequence[Move]) -> frozenset[tuple[str, MoveStatus]]:
        """What they are read again for when it changes."""
        return frozenset((move.id, move.status) for move in moves)


# --------------------------------------------------------------------------- what a pass has before it


class Outcome(enum.Enum):
    """What is known of a call of ours after it returned."""

    TAKEN = "taken"  # Nova said yes, which only means that it began
    UNCERTAIN = "uncertain"  # no reply, or none that says whether it was carried out
    REFUSED = "refused"  # Nova said no


@dataclass(frozen=True)
class Sent:
    """This worker's last evacuate call for a server; known to no other worker.

    :param quiet_until: until then no repeat, whatever is or is not to be seen: the call may still be carried out.
    :param moves_before: how many of the server's evacuations were known when it was sent; one more is ours.
    :param refused: when Nova refused it in this worker's life.
    """

    at: float
    outcome: Outcome
    quiet_until: float
    moves_before: int
    request_id: str = ""
    status: int = 0
    words: str = ""
    refused: tuple[float, ...] = ()

    def unseen(self, moves: Sequence[Move]) -> bool:
        """Nova has not refused it, and none of the server's evacuations is its."""
        return self.outcome is not Outcome.REFUSED and len(moves) <= self.moves_before


@dataclass(frozen=True)
class OwnerLog:
    """What a server's action log says.

    :param wanted: the power state its owner last asked for.
    :param request_id: of the newest evacuate in it, empty without one.
    :param read_at: when it was asked for.
    :param failed_at: when the first evacuate in it was asked for that failed; 0.0: none did.
    :param waits: what starts its guest and no nova-compute has begun: "start" or "rescue"; empty without one.
    :param waits_at: when that was asked for.
    """

    wanted: Power
    request_id: str = ""
    read_at: float = 0.0
    waits: str = ""
    waits_at: float = 0.0
    failed_at: float = 0.0


@dataclass(frozen=True)
class HostSight:
    """What Nova said of one dead host, and what this worker knows of it.

    :param servers: by id: those on the host and those that left it since the record.
    :param moves: by server id, oldest first: evacuations from this host that belong to the incident.
    :param first_listed_at: when its servers were first listed by this worker, its cell answering; 0.0 = never.
    :param listed_at: when they were last listed; 0.0 = never.
    :param listed_by: when that list was complete.
    :param doubted: its cell may have been silent then: it has not been seen to answer since.
    :param listed: ids of the servers that were on it then.
    :param dropped: ids of those that Nova shows no more, its cell answering: their servers were deleted (facts.md N31).
    :param moves_at: when its evacuations were last asked for, its cell answering; what Nova did since may not show yet.
    :param resumed_at: when this worker found the incident begun by another one; 0.0 = it began it itself.
    :param late_until: before this a force-down may still be carried out that nobody waits for any more, or what may
        have been one prove a heartbeat.
    :param seen_at: when this worker first saw the record's last fencing; 0.0 = not known.
    :param seen_from: when it had last looked, with quorum, and had not seen it; 0.0 = it did not look then.
    :param late_call_s: how long a lost call may still be carried out, by the setting.
    :param beats_every_s: how often a nova-compute writes to Nova, by the setting and by what was seen.
    :param still_s: before the claim: for how long its service has been seen without any change.
    :param heartbeat_moved: nova-compute wrote to Nova after it was forced down, so the host lives.
    :param found_running: Pacemaker found nova-compute running after the fencing, so the host lives.
    :param refuted: the record says so, by whatever an earlier pass or worker has seen.
    :param released: this worker has let nova-compute start again, so what is under way now began since.
    :param was_back: this worker has seen it in the cluster since it was let return.
    :param alive_again: nova-compute wrote to Nova after it was let start again.
    :param stopped_at: when this worker last had nova-compute stopped, to start it anew; 0.0 = never.
    :param stops_made: how often it did.
    :param calls: by server id, what Nova says of its evacuate calls, where that was asked for.
    :param back_at: when a heartbeat of it was first seen there; 0.0 = not yet.
    :param before: by id, its servers as they were last read before its nova-compute could start again.
    :param queued_start: by server id, what waits for its nova-compute and would start it: "start" or "rescue".
    :param unread: by server id, when and how often in a row its action log could not be read.
    :param wanted: power states seen while the servers were at rest on the host.
    :param read_at: by server id, when what is known of it was asked for, by our clock.
    :param ended_at: by id of evacuations, when this worker had first seen that it had ended, by our clock.
    :param reread: ids of the servers that are to be read before anything is said of them.
    :param stops: by server id, when and how often this worker asked Nova to stop a server that had arrived.
    :param resets: the same for servers whose state it asked Nova to reset.
    :param proved: ids of the servers that this worker has proved evacuated.
    :param voids: ids of evacuations whose destination this worker has known dead while they were under way.
    :param unlisted: why Nova does not list its servers or evacuations; empty when it does.
    :param call_failed: how a call about it failed a moment ago.
    """

    services: tuple[Service, ...] = ()
    servers: Mapping[str, Server] = field(default_factory=dict)
    moves: Mapping[str, tuple[Move, ...]] = field(default_factory=dict)
    first_listed_at: float = 0.0
    listed_at: float = 0.0
    listed_by: float = 0.0
    doubted: bool = False
    listed: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    moves_at: float = 0.0
    resumed_at: float = 0.0
    late_until: float = 0.0
    seen_at: float = 0.0
    seen_from: float = 0.0
    beats_every_s: float = 10.0
    late_call_s: float = 60.0
    still_s: float = 0.0
    heartbeat_moved: bool = False
    found_running: bool = False
    refuted: bool = False
    alive_again: bool = False
    was_back: bool = False
    back_at: float = 0.0
    before: Mapping[str, Server] = field(default_factory=dict)
    stopped_at: float = 0.0
    stops_made: int = 0
    released: bool = False
    sent: Mapping[str, Sent] = field(default_factory=dict)
    logs: Mapping[str, OwnerLog] = field(default_factory=dict)
    calls: Mapping[str, Calls] = field(default_factory=dict)
    queued_start: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    wanted: Mapping[str, Power] = field(default_factory=dict)
    read_at: Mapping[str, float] = field(default_factory=dict)
    ended_at: Mapping[str, float] = field(default_factory=dict)
    reread: frozenset[str] = frozenset()
    stops: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    resets: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    proved: frozenset[str] = frozenset()
    voids: frozenset[str] = frozenset()
    unlisted: str = ""
    call_failed: str = ""

    @property
    def lives(self) -> bool:
        """It was seen after its fencing, which therefore proves nothing."""
        return self.heartbeat_moved or self.found_running or self.refuted


@dataclass(frozen=True)
class Sight:
    """All that a decision may depend on.

    :param hosts: by node name, for every node with an incident that Nova was asked about; no entry = unknown.
    :param nova_trouble: why Nova cannot be asked now; empty when it answers.
    :param clocks_apart: why Nova's times cannot be compared with anything; empty when they can.
    :param room_at: when a host was last seen to become usable, which ends every pause between tries.
    """

    now: float
    cluster: Cluster
    hosts: Mapping[str, HostSight] = field(default_factory=dict)
    nova_trouble: str = ""
    clocks_apart: str = ""
    room_at: float = 0.0
