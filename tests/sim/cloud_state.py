# SPDX-License-Identifier: Apache-2.0
"""What is true in the simulated cloud, and how it is changed: hosts, servers, rows of evacuations, Nova's clock."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, Optional, Protocol

from muster.core.cluster_facts import Record
from muster.core.nova_facts import Power
from tests.sim.inventory import OPEN, Compute, Instance, Row
from tests.sim.timeline import Timeline


class Witness(Protocol):
    """Who is told what happens, when it happens: the judge."""

    def note_arrival(self, inst: Instance) -> None: ...
    def evacuation_taken(self, inst: Instance, by: str) -> None: ...
    def stop_taken(self, inst: Instance, by: str) -> None: ...
    def guest_started(self, inst: Instance, row: Optional[Row]) -> None: ...

    def order_carried_out(self, inst: Instance, host: Compute, state: str) -> None: ...
    def compute_starts(self, host: Compute) -> None: ...
    def record_written(self, name: str, old: Optional[Record], new: Record) -> None: ...


@dataclass
class Odds:
    """How often what goes wrong inside Nova; 0.0 is never.

    :ivar fail_late: a rebuild fails after its guest was started.
    :ivar conductor: it fails before it has asked a destination, and the row stays `accepted`.
    """

    fail: float = 0.0
    fail_late: float = 0.0
    conductor: float = 0.0
    refuse: float = 0.0
    hang: float = 0.0
    lose: float = 0.0
    slow: float = 0.0


class CloudState:
    """:param skew: how far Nova's clock is ahead of the controllers'.
    :ivar shows_tracebacks: of a server's newest fault.
    :ivar withheld: servers whose action log it does not give.
    :ivar garbled: "server s0", "evacuations s0" or "service cmp1": rows of it that cannot be read.
    """

    def __init__(self, timeline: Timeline, rng: random.Random, judge: Witness, skew: float = 0.0) -> None:
        self.timeline = timeline
        self.rng = rng
        self.judge = judge
        self.skew = skew
        self.api_apart: tuple[float, ...] = ()
        self.odds = Odds()
        self.computes: dict[str, Compute] = {}
        self.instances: dict[str, Instance] = {}
        self.rows: list[Row] = []
        self.rows_of: dict[str, list[Row]] = {}
        self.conductor_up = True
        self.conductor_back_at = 0.0
        self.silent_cells: set[str] = set()
        self.hung_cells: set[str] = set()
        self.omits_silent = False
        self.shows_tracebacks = True
        self.withheld: set[str] = set()
        self.garbled: set[str] = set()
        self.requests = 0
        self.say: Callable[[str], None] = lambda text: None
        self.note: Callable[[str], None] = lambda what: None

    # ------------------------------------------------------------------ basics

    @property
    def now(self) -> float:
        return self.timeline.now

    def stamp(self) -> float:
        """Nova's clock, as its API shows it: whole seconds."""
        return float(int(self.timeline.now + self.skew))

    def add_host(self, name: str, cell: str = "cell1") -> Compute:
        beat_from = self.now - self.rng.uniform(0.0, 10.0)
        self.computes[name] = host = Compute(name, cell, beat_from=beat_from, last_beat=beat_from)
        return host

    def add_server(self, ident: str, host: str, vm_state: str = "active", **facts: object) -> Instance:
        wanted = facts.pop("wanted", Power.STOPPED if vm_state == "stopped" else Power.RUNNING)
        created = self.stamp() - 10_000.0 - self.rng.randrange(1000)
        inst = Instance(ident, host, vm_state, wanted, created, updated=created + 5.0, **facts)  # type: ignore[arg-type]
        inst.actions.append(("create", f"req-create-{ident}"))
        if wanted is Power.STOPPED:
            inst.actions.append(("stop", f"req-stop-{ident}"))
        if vm_state in ("active", "paused", "rescued"):
            inst.guests.add(host)
        self.instances[ident] = inst
        self.rows_of[ident] = []
        return inst

    def touch(self, inst: Instance) -> None:
        inst.updated, inst.fact = self.stamp(), None
        self.judge.note_arrival(inst)

    def set_row(self, row: Row, status: str) -> None:
        row.status, row.updated, row.ended_at, row.fact = status, self.stamp(), self.now, None

    def act(self, inst: Instance, action: str) -> str:
        self.requests += 1
        request_id = f"req-{self.requests}"
        inst.actions.append((action, request_id))
        return request_id

    def silent(self, host: str) -> bool:
        return bool(self.silent_cells) and host in self.computes and self.computes[host].cell in self.silent_cells

    def kept(self, row: Row) -> bool:
        """Nova deletes the evacuations of a server with it (facts.md N31)."""
        return not self.instances[row.server].deleted

    def hang_cell(self, cell: str, hangs: bool = True) -> None:
        """Its database does not refuse, it does not answer: lists wait for it, and then leave it out (facts.md N36)."""
        for cells in (self.silent_cells, self.hung_cells):
            (cells.add if hangs else cells.discard)(cell)

    def row_alive(self, row: Row) -> bool:
        """It may still bring up a guest, or Nova still calls it under way and nobody can know better."""
        if row.status not in OPEN:
            return False
        if row.status == "accepted":
            # Its call has failed in the conductor, or has the row of an earlier one (facts.md N32).
            taken = [r.call for r in self.rows_of[row.server]]
            return any(not call.over and call not in taken for call in self.instances[row.server].calls)
        dest = self.computes.get(row.dest)
        return not (dest and row.life >= 0 and row.life != dest.life)
