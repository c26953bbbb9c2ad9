# SPDX-License-Identifier: Apache-2.0
"""What the simulated cloud consists of: computes, servers, evacuations; mutable, and true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Optional

from muster.core.nova_facts import CallTrace, Evacuation, EvacuationStatus, Power, Server

BEAT_S = 10.0
FIRST_BEAT_S = 5.0
"""So long after its start (nova/servicegroup/api.py, INITIAL_REPORTING_DELAY)."""
DOWN_TIME_S = 60.0
AUDIT_S = 60.0
"""How often nova-compute tells Placement whether it is disabled (update_resources_interval)."""

OPEN = ("accepted", "pre-migrating")


@dataclass(eq=False)
class Compute:
    """A compute host and the row of its nova-compute service.

    :param beats_s: Nova's report_interval; service_down_time is three of it, a minute at least.
    :param life: counts its power cuts: what began in an earlier life is dead.
    :param lives_since: when nova-compute began to run although the host was counted as fenced; 0.0: it does not.
    :param stamped: its latest heartbeat, and what Nova's clock showed then.
    :param let_back_at: when an operator last enabled its service.
    :param queue: messages that wait for its nova-compute.
    :param stopping: it was told to stop, and so takes no message any more; its heartbeats go on (facts.md N37).
    """

    name: str
    cell: str = "cell1"
    beats_s: float = BEAT_S
    powered: bool = True
    running: bool = True
    life: int = 0
    lives_since: float = 0.0
    broken: bool = False
    full: bool = False
    started_at: float = 0.0
    beat_from: float = 0.0
    last_beat: float = 0.0
    stamped: tuple[float, float] = (-1.0, 0.0)
    beating: bool = True
    changed: float = 0.0
    forced_down: bool = False
    forced_by: str = ""
    enabled: bool = True
    disabled_reason: str = ""
    disabled_by: str = ""
    touched_at: float = 0.0
    let_back_at: float = 0.0
    barred_until: float = 0.0
    queue: list[Callable[[], None]] = field(default_factory=list)
    stopping: bool = False

    @property
    def id(self) -> str:
        return f"service-{self.name}"

    def enable(self, now: float) -> None:
        """Placement hears of it at once if Nova takes it for up, else at its next audit (facts.md N46)."""
        self.enabled, self.disabled_reason, self.disabled_by = True, "", ""
        missed = 0.0 if self.up(now) else AUDIT_S - (now - self.started_at) % AUDIT_S
        self.barred_until = now + missed

    def beat(self, now: float) -> float:
        """Time of its latest heartbeat in Nova's database."""
        if self.running and self.beating and now >= self.beat_from:
            self.last_beat = max(self.last_beat, self.beat_from + (now - self.beat_from) // self.beats_s * self.beats_s)
        return self.last_beat

    def begin_beating(self, now: float) -> None:
        self.beat(now)
        self.beat_from, self.beating = now, True

    def end_beating(self, now: float) -> None:
        self.beat(now)
        self.beating = False

    def up(self, now: float) -> bool:
        return not self.forced_down and now - self.beat(now) <= max(DOWN_TIME_S, 3.0 * self.beats_s)


@dataclass(eq=False)
class Call:
    """One evacuate that Nova took: its action, with the events of conductor and destination.

    :param over: nothing can come of it any more.
    :param row: the one that nova-api wrote for it, which the conductor may use for another one.
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
    row: Optional[Row] = None

    def end(self, now: float, words: str = "", harmless: bool = False) -> None:
        self.ended, self.over, self.failed, self.words, self.harmless = now, True, bool(words), words, harmless

    def trace(self) -> CallTrace:
        return CallTrace(**{name: value for name, value in vars(self).items() if name != "row"})


@dataclass(eq=False)
class Row:
    """One evacuation: a migration as Nova's database has it, and the truth behind it.

    :param claimed: the destination that the scheduler has chosen, for placement.
    :param life: the destination's life in which its rebuild began.
    :param was: the server's state when it was at rest before; empty if it was not.
    :param stuck: why it will never end by itself; empty if it will.
    :param excused: a power device has lied, and this one could not be avoided.
    :param call: the one that its destination carries it out for.
    :param crossed: it was begun by hand, unseen by the worker that then released its source, or let go.
    :param let_go: an operator had its source return without it: nobody knows of it any more (B44).
    :param endless: its destination has written it itself, and will not say what has become of it (facts.md N51).
    """

    id: str
    server: str
    source: str
    by: str
    created: float
    dest: str = ""
    claimed: str = ""
    status: str = "accepted"
    updated: float = 0.0
    life: int = -1
    began_at: float = 0.0
    accepted_at: float = 0.0
    ended_at: float = 0.0
    arrived_at: float = 0.0
    was: str = ""
    stuck: str = ""
    excused: bool = False
    crossed: bool = False
    let_go: bool = False
    endless: bool = False
    call: Optional[Call] = None
    fact: Optional[Evacuation] = None

    def evacuation(self) -> Evacuation:
        if self.fact is None:
            status = EvacuationStatus(self.status)
            self.fact = Evacuation(
                self.id, self.server, self.source, status, self.dest, self.created, self.updated or self.created
            )
        return self.fact


@dataclass(eq=False)
class Instance:
    """A server.

    :param wanted: what its owner last asked for.
    :param mark: the value of ``evacuable``: its image's property if it has one, else metadata.
    :param unbegun: by request id, orders that no nova-compute has begun, and when they were given.
    :param guests: the hosts on which its guest runs: never more than one.
    :param sent_at: when a worker last asked for its evacuation.
    :param state_since: when its state was last reset by somebody; how often workers have asked for that.
    :param arrivals: where it has been with a finished evacuation and the wanted power state.
    """

    id: str
    host: str
    vm_state: str
    wanted: Power
    created: float
    task: str = ""
    updated: float = 0.0
    launched: bool = True
    launched_at: float = 0.0
    image: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    mark: str = ""
    fault: str = ""
    spawn_failed_at: float = 0.0
    deleted: bool = False
    project: str = "p1"
    actions: list[tuple[str, str]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    unbegun: dict[str, tuple[str, float]] = field(default_factory=dict)
    guests: set[str] = field(default_factory=set)
    arrivals: set[tuple[str, str]] = field(default_factory=set)
    asked_at: float = 0.0
    sent_at: float = 0.0
    task_since: float = 0.0
    state_since: float = 0.0
    resets: int = 0
    injected: int = 0
    fact: Optional[Server] = None

    def server(self) -> Server:
        if self.fact is None:
            marks = {"evacuable": self.mark} if self.mark else {}
            self.fact = Server(
                id=self.id,
                host=self.host,
                vm_state=self.vm_state,
                name=self.id,
                task_state=self.task,
                status="DELETED" if self.deleted else self.vm_state.upper(),
                project=self.project,
                created=self.created,
                updated=self.updated,
                launched=self.launched,
                launched_at=self.launched_at,
                image=self.image,
                metadata=self.metadata if self.image else {**self.metadata, **marks},
                image_properties=marks if self.image else {},
                fault=self.fault,
                spawn_failed_at=self.spawn_failed_at if (self.vm_state, self.task) == ("error", "") else 0.0,
                deleted=self.deleted,
            )
        return self.fact
