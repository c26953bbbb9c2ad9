# SPDX-License-Identifier: Apache-2.0
"""A generated incident that is interrupted at a given step; what is decided after that has to keep the order all the same."""

from __future__ import annotations

import random

from muster.core.cluster_facts import Phase
from muster.core.errors import ClusterError
from tests.sim.history import server_facts
from tests.sim.inventory import OPEN
from tests.sim.parts import Process
from tests.sim.stage import Stage

DIES, DIES_MEANWHILE, IS_STOPPED, HEARS_NOTHING = WAYS = ("dies", "dies-meanwhile", "is-stopped", "hears-nothing")
"""Its worker dies right after the step; or during it, and what was asked of Nova may be carried out, late.  Or it lives on, and
may not do what was to follow; or the reply is lost, and Nova carries it out late."""

READS = ("action_log", "trace")
WRITES = (
    *("write_record", "swap_record", "drop_hold", "drop_record"),
    *("force_down", "force_up", "evacuate", "reset_state", "stop"),
)


class Interrupted(Stage):
    """One host that dies and comes back.

    :param seed: of its servers, of the settings, and of what fails in Nova.
    :param at: the numbers of the steps that are interrupted, of all that are taken.
    :param way: in which.
    :ivar steps: how many were begun.
    """

    def __init__(self, seed: int, *at: int, way: str = DIES, verbose: bool = False) -> None:
        plan = random.Random(f"interrupted {seed}")
        super().__init__(
            hosts=4,
            servers=0,
            seed=seed,
            in_flight=plan.choice((1, 2, 10)),
            per_destination=plan.choice((0, 1)),
            attempts=plan.choice((2, 3)),
            reset_states=plan.choice(("", "paused suspended rescued")),
        )
        self.verbose = verbose
        self.steps = 0
        self._at, self._way = set(at), way
        self._forbidden = False
        self.faults.kinds_of_writes = ("late",)
        self.on_call = self._count
        self._recorded = plan.random() < 0.7
        for n in range(plan.choice((1, 2, 3))):
            self.cloud.add_server(f"s{n}", "cmp1", **server_facts(plan))
        self.cloud.odds.refuse = plan.choice((0.0, 0.0, 0.4))
        self.cloud.odds.fail = plan.choice((0.0, 0.0, 0.4))

    def play(self) -> Interrupted:
        self.fence("cmp1", with_record=self._recorded)
        self.until(lambda: self.site.nodes["cmp1"].record is not None)
        self.until(self.settled(), 1800.0)
        self.power_on("cmp1")
        self.until(self.over(), 600.0)
        if self.cloud.computes["cmp1"].forced_down:
            self.judge.blame("end", "its incident is over, and it is still forced down")
        return self

    def _count(self, process: Process, kind: str, moment: str) -> None:
        self.faults.writes = self.faults.cluster_writes = 0.0
        if kind == "quorate" and moment == "before" and self._forbidden:
            self._forbidden = False
            raise ClusterError("the next step is forbidden")
        if kind not in READS + WRITES:
            return
        self.steps += moment == "before"
        if self.steps not in self._at or moment != ("after" if self._way in (DIES, IS_STOPPED) else "before"):
            return
        self._at.discard(self.steps)
        if self._way == DIES:
            process.kill(f"after step {self.steps}, {kind}")
        elif self._way == DIES_MEANWHILE:
            self.timeline.after(0.001, lambda: process.kill(f"during step {self.steps}, {kind}"))
        elif self._way == IS_STOPPED:
            self._forbidden = True
        else:
            self.faults.writes = self.faults.cluster_writes = 1.0

    def note_call(self, process: Process, kind: str, *what: str) -> None:
        """The order, by what is true when something is sent, whoever sends it and whatever he knows."""
        super().note_call(process, kind, *what)
        record, host = self.site.nodes["cmp1"].record, self.cloud.computes["cmp1"]
        claimed = record is not None and record.phase is Phase.EVACUATING
        under_way = [row.server for row in self.cloud.rows if row.status in OPEN]
        if kind in ("force_down", "evacuate") and not claimed:
            self.judge.blame("order", f"{kind} before the record says that it is begun")
        if kind == "evacuate" and not host.forced_down:
            self.judge.blame("order", "evacuate before the host is forced down")
        if kind == "evacuate" and what[0] in under_way:
            self.judge.blame("order", f"evacuate of {what[0]}, which is under way")
        released = kind == "swap_record" and what[2].startswith("returning")
        waiting = [i for i, f in process.incidents["cmp1"].findings.items() if f.verdict.open] if released else []
        if (released or kind == "drop_hold") and (under_way or waiting):
            self.judge.blame("order", f"released while {', '.join([*under_way, *waiting])} is open")
        if kind == "drop_hold" and claimed:
            self.judge.blame("order", "released before the record says so")
