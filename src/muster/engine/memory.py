# SPDX-License-Identifier: Apache-2.0
"""What one worker remembers between its passes.  All of it may be lost at any moment without harm."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import NovaError
from muster.core.host_case import HEARTBEAT_SKEW_S
from muster.core.nova_facts import Move, MoveStatus, OwnerLog, Power, Server, Service
from muster.core.server_case import Finding
from muster.core.sight import Calls, HostSight, Sent
from muster.engine.liveness import Liveness, Return

NOVA_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
LONGEST_READ_S = 120.0
SERVICES, MOVES, SERVERS = "services", "moves", "servers"
OF_ALL = (SERVICES, MOVES, SERVERS)
"""The kinds of reads that are for all incidents; each incident has its own, and each server that is read by itself."""
MISDATED_S = 86_400.0
"""So old an incident may be whose record is by a clock that was wrong."""
SKEW_S = 60.0
"""Nova's clock may run behind ours by this much without an evacuation of the incident being overlooked."""


@dataclass
class Trouble:
    """Of one kind of read, from its first failure until it succeeds again.

    :param again_at: when it may be tried next, by the monotonic clock.
    """

    words: str
    faults: int
    again_at: float


@dataclass
class HostMemory:
    """Of one incident: forgotten when its first fencing changes."""

    record: Record
    name: str = ""
    """The host's, in Nova."""
    seen_at: float = 0.0
    """When its last fencing was first seen, and when it had been looked for in vain; 0.0: not known."""
    seen_from: float = 0.0
    misdated_at: float = 0.0
    """When this worker first saw a record that was of the future by our clock; 0.0: it was not."""
    ahead_s: float = 0.0
    """The most that Nova's clock was ahead of ours; 0.0 where it was behind."""
    servers: dict[str, Server] = field(default_factory=dict)
    moves: dict[str, tuple[Move, ...]] = field(default_factory=dict)
    """All that were ever seen: what a list leaves out may be under way all the same (facts.md N22)."""
    left_out: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    """Ids of those that the last whole list left out; of those that are not there, as its cell answered after it: Nova
    deletes the evacuations of a server with it (nova/db/main/api.py, instance_destroy)."""
    begun: dict[str, float] = field(default_factory=dict)
    """By id of its open evacuations, when each was asked for, or first seen where it was not by us."""
    first_listed_at: float = 0.0
    listed_at: float = 0.0
    listed_by: float = 0.0
    moves_at: float = 0.0
    moves_read_at: float = 0.0
    answered_at: float = 0.0
    """When its cell was last seen to answer: what was listed before that is all there is (see :meth:`trust`)."""
    silent: bool = False
    """Its cell did not answer when the services were last read, or its service is doubtful."""
    listed: frozenset[str] = frozenset()
    """What was on the last list of its servers."""
    list_again: bool = True
    newest: float = 0.0
    """The latest change of its servers that a list has shown (Nova's clock)."""
    changes_at: float = 0.0
    whole_at: float = 0.0
    """When all that had changed was last asked for; the same, its cell having answered since."""
    read_at: dict[str, float] = field(default_factory=dict)
    """By server, when what is known of it was asked for."""
    ended_at: dict[str, float] = field(default_factory=dict)
    """By id of its evacuations that have ended, when that was first seen."""
    reread: set[str] = field(default_factory=set)
    """Servers that are to be read one by one before anything is said of them."""
    liveness: Liveness = field(init=False)
    returning: Return = field(default_factory=Return)
    sent: dict[str, Sent] = field(default_factory=dict)
    logs: dict[str, OwnerLog] = field(default_factory=dict)
    calls: dict[str, Calls] = field(default_factory=dict)
    queued_start: dict[str, str] = field(default_factory=dict)
    unread: dict[str, tuple[float, int]] = field(default_factory=dict)
    wanted: dict[str, Power] = field(default_factory=dict)
    stops: dict[str, tuple[float, int]] = field(default_factory=dict)
    resets: dict[str, tuple[float, int]] = field(default_factory=dict)
    proofs: dict[str, Finding] = field(default_factory=dict)
    voids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.liveness = Liveness(self.record)

    @property
    def since(self) -> float:
        """Evacuations created from then on belong to the incident.

        Where Nova's clock is ahead of ours, ours may be the wrong one, and the record by a right one: what Nova wrote
        since then is of before by ours.  A record of the future says only that it was written before it was seen.
        """
        if self.misdated_at:
            return self.misdated_at - MISDATED_S
        return self.record.first - SKEW_S - self.ahead_s

    @property
    def unseen(self) -> list[Sent]:
        """The calls of this worker that may have been carried out, but are not to be seen among the evacuations."""
        return [sent for server, sent in self.sent.items() if sent.unseen(self.moves.get(server, ()))]

    @property
    def seen_to(self) -> float:
        """Changes of its servers are known up to then (Nova's clock): to the newest that a list has shown, or to the
        last time that all changes were asked for and its cell was seen to answer later, whichever is later.  A silent
        cell leaves its servers out, and the others' changes prove nothing (facts.md N22)."""
        return max(self.newest, self.whole_at - SKEW_S, self.since)

    @property
    def doubted(self) -> bool:
        """Nothing shows yet that the last list of its servers is all there is."""
        return self.listed_at >= self.answered_at

    def trust(self, answered_at: float) -> None:
        """Its cell answered then, so what the lists of before do not show is not there: a cell that falls silent
        between the services and a list leaves its rows out of it (facts.md N22)."""
        self.answered_at, self.silent = answered_at, False
        if self.moves_read_at < answered_at:
            self.moves_at, self.dropped = self.moves_read_at, self.left_out
        if self.changes_at < answered_at:
            self.whole_at = self.changes_at
        if not self.doubted:
            self.first_listed_at = self.first_listed_at or self.listed_at

    def distrust(self) -> None:
        """Its cell does not answer: nothing follows from what the lists since it last did have left out."""
        self.silent, self.list_again, self.moves_read_at = True, True, self.moves_at
        self.left_out, self.changes_at = self.dropped, self.whole_at
        if self.doubted:
            self.listed_at = 0.0

    @property
    def compute_finished_its_rows(self) -> bool:
        """Its nova-compute has started anew: only that turns done into completed."""
        since = self.record.last + HEARTBEAT_SKEW_S
        rows = [m.status for ms in self.moves.values() for m in ms if m.updated > since and m.id not in self.dropped]
        return MoveStatus.COMPLETED in rows and MoveStatus.DONE not in rows

    def observe_node(self, node: Node, record: Record, now: float) -> None:
        self.record = record
        self.liveness.observe_record(record, node.found_running, now)
        self.returning.observe_node(record, node)

    def observe_service(self, node: Node, service: Service, asked_at: float, now: float) -> None:
        """:param now: not earlier than the service was read."""
        self.liveness.observe_service(service, asked_at, now)
        if self.record.phase is Phase.RETURNING:
            self.returning.observe_service(node, service, self.compute_finished_its_rows, now)

    def sight(self, services: tuple[Service, ...]) -> HostSight:
        liveness, returning = self.liveness, self.returning
        return HostSight(
            services=services,
            servers=dict(self.servers),
            moves=dict(self.moves),
            first_listed_at=self.first_listed_at,
            listed_at=self.listed_at,
            listed_by=self.listed_by,
            doubted=self.doubted,
            listed=self.listed,
            dropped=self.dropped,
            moves_at=self.moves_at,
            resumed_at=liveness.wait_from,
            seen_at=self.seen_at,
            seen_from=self.seen_from,
            beats_every_s=liveness.beats_every_s,
            late_call_s=liveness.late_call_s,
            late_until=liveness.force_down_late_until,
            still_s=liveness.unchanged_for_s,
            heartbeat_moved=liveness.heartbeat_after_fencing,
            found_running=liveness.found_running,
            refuted=self.record.lives,
            alive_again=returning.compute_restarted,
            was_back=returning.joined,
            back_at=returning.first_beat_at,
            before=returning.servers_before or {},
            stopped_at=returning.compute_stopped_at,
            stops_made=returning.compute_stops,
            released=returning.released,
            sent=dict(self.sent),
            logs=dict(self.logs),
            calls=dict(self.calls),
            queued_start=dict(self.queued_start),
            unread=dict(self.unread),
            wanted=dict(self.wanted),
            read_at=dict(self.read_at),
            ended_at=dict(self.ended_at),
            reread=frozenset(self.reread),
            stops=dict(self.stops),
            resets=dict(self.resets),
            proved=frozenset(self.proofs),
            voids=frozenset(self.voids),
        )


@dataclass
class Tally:
    """What this worker has counted since it began."""

    sent: int = 0
    refused: int = 0
    nova_errors: int = 0


@dataclass
class Memory:
    hosts: dict[str, HostMemory] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    services_at: float = 0.0
    services_by: float = 0.0
    services_again: bool = False
    """An evacuation was not sent because they were read too long ago."""
    """When they were asked for, and when the answer was there."""
    room_at: float = 0.0
    changed_at: float = 0.0
    """When something of an evacuation last changed, or was caused by us: the pace of asking follows it."""
    took: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """How long the last evacuations that arrived took."""
    calls: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """How long Nova took for the last evacuates that it accepted."""
    polled_at: float = 0.0
    servers_at: float = 0.0
    servers_due: bool = False
    arrivals_unread: bool = False
    """Evacuations were seen to end; what became of their servers is read two seconds after the last time."""
    sending: bool = False
    """The last decision had servers that could be sent at once."""
    waiting: bool = False
    """It had servers for which the limits left no place: each waits for another to arrive."""
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """By kind of read, or the node whose calls failed: what one costs the others is bounded."""
    beats_every_s: float = 0.0
    """How old the heartbeats of hosts that are up have been seen to become; 0.0: no older than is expected."""
    looked_at: float = 0.0
    """When Pacemaker was last looked at with quorum."""
    nova_trouble: str = ""
    """Of all of them, what the last sight had to tell first."""
    nova_wait: str = ""
    nova_again_at: float = 0.0
    """Nova asked for this, and for nothing to be asked before then, by the monotonic clock."""
    cluster_trouble: str = ""
    """Why Pacemaker could not be asked in the last pass: nothing is known of any incident then."""
    tally: Tally = field(default_factory=Tally)

    def note_trouble(self, kind: str, exc: NovaError, now: float, took_s: float = 0.0) -> None:
        """A read of this kind failed: it is left alone for a growing while; all are for as long as Nova asks for.

        :param now: by the monotonic clock.
        :param took_s: how long others had to wait for it: from the second time on it is left alone for as long, too, so
            that they have half of the time.
        """
        faults = self.faults(kind)
        pause = max(
            NOVA_BACKOFF_S[min(faults, len(NOVA_BACKOFF_S) - 1)], min(took_s, LONGEST_READ_S) if faults else 0.0
        )
        self.troubles[kind] = Trouble(str(exc), faults + 1, now + pause)
        self.note_fault(exc, now)

    def note_failed_call(self, node: str, exc: NovaError, now: float) -> None:
        """A call of this incident failed: one fault of Nova's is seldom alone."""
        self.troubles[f"calls {node}"] = Trouble(str(exc), 1, now + NOVA_BACKOFF_S[0])
        self.note_fault(exc, now)

    def note_fault(self, exc: NovaError, now: float) -> None:
        self.tally.nova_errors += 1
        self.nova_trouble = str(exc)
        if exc.retry_after_s > 0.0:
            self.nova_wait = str(exc)
            self.nova_again_at = max(self.nova_again_at, now + min(exc.retry_after_s, NOVA_BACKOFF_S[-1]))

    def may_read(self, kind: str, now: float) -> bool:
        trouble = self.troubles.get(kind)
        return now >= max(self.nova_again_at, trouble.again_at if trouble else 0.0)

    def faults(self, kind: str) -> int:
        """How often in a row this kind of read has failed."""
        trouble = self.troubles.get(kind)
        return trouble.faults if trouble else 0

    @property
    def lists_fail(self) -> bool:
        """What is asked for all incidents together cannot be had."""
        return MOVES in self.troubles or SERVERS in self.troubles

    def trouble_of_all(self, now: float) -> str:
        """Why nothing can be decided about any incident; empty when something can."""
        if now < self.nova_again_at:
            return self.nova_wait
        return self.troubles[SERVICES].words if SERVICES in self.troubles else ""

    def call_failed(self, node: str, now: float) -> str:
        calls = self.troubles.get(f"calls {node}")
        return calls.words if calls and now < calls.again_at else ""

    def unlisted(self, node: str, fresh: bool) -> str:
        """Why what hangs on the lists of one host cannot be decided.

        :param fresh: its evacuations and servers were listed a moment ago, by its own lists if need be.
        """
        kinds = [f"list {node}", *([] if fresh else [MOVES, SERVERS])]
        return next((self.troubles[kind].words for kind in kinds if kind in self.troubles), "")

    def keep_troubles(self) -> None:
        """Only those of what is still asked for."""
        about = {*self.hosts, *(server for host in self.hosts.values() for server in host.reread)}
        kept = {kind for kind in self.troubles if kind in OF_ALL or kind.partition(" ")[2] in about}
        self.troubles = {kind: self.troubles[kind] for kind in self.troubles if self.hosts and kind in kept}

    def hosts_of(self, server: str) -> list[HostMemory]:
        """Every incident that knows the server: where it arrived another host may have died since."""
        return [host for host in self.hosts.values() if server in host.servers]
