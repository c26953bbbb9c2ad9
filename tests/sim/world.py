# SPDX-License-Identifier: Apache-2.0
"""One simulated world: cloud, cluster, the workers in it, the judge; and what befalls controllers and workers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any, Callable, Optional

from muster.core.decide import Incident
from muster.settings import Settings
from tests.fakes import settings
from tests.sim.advised import Advised
from tests.sim.cloud import Cloud
from tests.sim.faults import Faults
from tests.sim.judge import Judge
from tests.sim.process import Killed, Process
from tests.sim.site import CONTROLLERS, Site
from tests.sim.timeline import Timeline

BEGIN = 1_800_000_000.0


class World:
    """:param seed: of everything that is left to chance.
    :ivar asked: requests to Nova by kind, a page of a list counting as one.
    :ivar sent: every call that changes something, in plain words, with its time and whose it was.
    :ivar broken: kinds of reads, or a kind and what is asked for, that Nova answers with 500.
    :ivar kill_at: numbers of the port calls at which the calling worker dies.
    :ivar released: hosts whose nova-compute muster has let start, and when.
    :ivar clocks: how far the wall clock of each controller is off.
    :ivar liars: hosts whose power device said off and did nothing.
    """

    def __init__(self, seed: int, hosts: Iterable[str], cells: dict[str, str], skew: float, **parameters: Any) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.verbose = False
        self.story: list[str] = []
        self.timeline = Timeline(BEGIN)
        self.judge = Judge()
        self.judge.world = self
        self.policy: Settings = settings(**parameters)
        self.cloud = Cloud(self.timeline, self.rng, self.judge, skew)
        self.cloud.say = self.say
        for name in hosts:
            self.cloud.add_host(name, cells.get(name, "cell1"))
        self.site = Site(self.cloud)
        self.site.changed = self._wake
        self.clocks = self.site.clocks
        self.faults = Faults(self.rng)
        self.cloud.note = self.faults.note
        self.advised = Advised(self)
        self.nova_down = self.policy_hides_hosts = False
        self.broken: set[str] = set()
        self.shown: dict[tuple[object, ...], tuple[float, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.sent: list[str] = []
        self.reports: dict[str, dict[str, Any]] = {}
        self.released: dict[str, float] = {}
        self.liars: set[str] = set()
        self.lived_by_hand: set[str] = set()
        self.by_hand = ""
        self.calm = False
        self.calls = self.passes = 0
        self.kill_at: set[int] = set()
        self.patience_s = 2.5
        self.window_s = self.disturbed_until = 0.0
        self.states: set[int] = set()
        self.current: Optional[Process] = None
        self.processes: list[Process] = []
        self.on_call: Callable[[Process, str, str], None] = lambda process, kind, moment: None

    @property
    def now(self) -> float:
        return self.timeline.now

    def say(self, text: str) -> None:
        if self.verbose:
            self.story.append(f"{self.now - BEGIN:9.2f}  {text}")

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        """What has been planned keeps the world from coming to rest."""
        self.disturbed_until = max(self.disturbed_until, self.now + delay_s)
        self.timeline.after(delay_s, what)

    def run_for(self, seconds: float) -> None:
        self.timeline.pass_by(seconds)

    # ----------------------------------------------------------------- workers

    def start_worker(self) -> None:
        """Pacemaker runs one where there is quorum; until there is, it tries again."""
        if self.current is not None and self.current.alive:
            return
        if not self.site.active or not self.site.quorum(self.site.active) or self.site.active in self.site.cut_off:
            fitting = [c for c in CONTROLLERS if self.site.quorum(c) and c not in self.site.cut_off]
            if not fitting:
                self.after(2.0, self.start_worker)
                return
            self.site.active = self.rng.choice(fitting)
        self.current = Process(self, self.site.active)
        self.processes.append(self.current)

    def bury(self, process: Process) -> None:
        self.processes = [p for p in self.processes if p.alive]
        if self.current is process:
            self.after(self.rng.uniform(0.5, 8.0), self.start_worker)

    def call(self, process: Process, kind: str, moment: str, write: bool = False) -> None:
        """:raises Killed: when the worker dies at this moment."""
        self.calls += 1
        process.check()
        self.on_call(process, kind, moment)
        if self.calls in self.kill_at or (write and self.faults.draw_death()):
            self.faults.note(f"worker killed {moment} {'an effect' if write else 'a look'}")
            process.kill(f"killed {moment} {kind}")
        if not process.alive:
            raise Killed

    def note_call(self, process: Process, kind: str, *what: str) -> None:
        self.sent.append(" ".join((f"{self.now - BEGIN:.3f}", process.controller, kind, *what)))

    def _wake(self) -> None:
        for process in self.processes:
            process.wake()

    def note_state(self, incidents: Iterable[Incident]) -> int:
        """Which state muster and cluster are in, as one number; equal ones are the same state."""
        key = hash(
            (
                tuple((i.node, i.rule, tuple((s, f.rule, f.dest) for s, f in i.findings.items())) for i in incidents),
                tuple((n.name, n.record and n.record.phase, n.hold, n.member) for n in self.site.nodes.values()),
            )
        )
        self.states.add(key)
        return key

    # ------------------------------------------------------------- what happens

    def kill_worker(self) -> None:
        self.faults.note("worker killed at any time")
        if self.current:
            self.current.kill("kill -9")

    def pause_worker(self, seconds: float) -> None:
        self.faults.note("worker paused")
        if self.current:
            self.current.pause(seconds)

    def twin(self, seconds: float) -> None:
        """A second worker on the same controller; the first one has lost its pid file and does not know."""
        old = self.current
        if old is None or not old.alive:
            return
        self.faults.note("second worker on the controller")
        self.current = Process(self, old.controller)
        self.processes.append(self.current)
        self.after(seconds, lambda: old.kill("found at last"))

    def kill_controller(self, controller: str, back_s: float) -> None:
        if not self.site.alive[controller]:
            return
        self.faults.note("controller dies")
        self.say(f"{controller} dies")
        self.site.alive[controller] = False
        self._end_workers(controller, "its controller died")
        self.after(back_s, lambda: self._controller_back(controller))

    def cut_controller(self, controller: str, fenced_after_s: float) -> None:
        """A partition: it goes on alone, without quorum, until the others have fenced it."""
        if not self.site.alive[controller] or self.site.cut_off:
            return
        self.faults.note("controller cut off")
        self.say(f"{controller} is cut off")
        self.site.cut(controller)
        if self.site.active == controller:
            self.site.active = ""

        def fenced() -> None:
            self.site.heal()
            self.kill_controller(controller, 30.0)

        self.after(fenced_after_s, fenced)

    def lose_quorum(self, controllers: Iterable[str], seconds: float) -> None:
        """Pacemaker stops its resources then, after a moment."""
        self.faults.note("quorum lost")
        for controller in controllers:
            self.kill_controller(controller, seconds)
        self.after(self.rng.uniform(0.0, 5.0), self._stop_without_quorum)

    def _stop_without_quorum(self) -> None:
        if self.current and not self.site.quorum(self.current.controller):
            self.current.kill("stopped: no quorum")

    def move_worker(self) -> None:
        self.faults.note("resource moved")
        if self.current:
            self.current.kill("stopped by Pacemaker")
        fitting = [c for c in CONTROLLERS if self.site.quorum(c) and c != self.site.active]
        if fitting:
            self.site.active = self.rng.choice(fitting)

    def silence_cluster(self, seconds: float) -> None:
        self.faults.note("Pacemaker silent")
        self.site.silent_until = self.now + seconds

    def _end_workers(self, controller: str, why: str) -> None:
        for process in list(self.processes):
            if process.controller == controller:
                process.kill(why)

    def _controller_back(self, controller: str) -> None:
        self.site.alive[controller] = True
        self.say(f"{controller} is back")
