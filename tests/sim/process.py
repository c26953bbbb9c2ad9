# SPDX-License-Identifier: Apache-2.0
"""One worker's process on one controller: the real engine, killed, paused and restarted as Pacemaker and fate want."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from muster.core.cluster_facts import Node
from muster.core.decide import Incident
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.engine.worker import Worker
from tests.sim.gateways import ClusterGateway, NovaGateway
from tests.sim.inventory import Instance
from tests.sim.parts import World
from tests.sim.timeline import Clock

STALE_LIMIT_S = 90.0
"""Whatever was read or not: nobody may act on older facts."""


class Killed(BaseException):
    """The process ended here; nothing is left of it but what it had sent."""


class Process:
    """:ivar read_at: when it last read each kind of fact successfully: what it can know.
    :ivar knew_quorum: it has just been told of quorum; what was lost since nobody could know.  One write uses it up.
    :ivar looked: the nodes as its last look at Pacemaker showed them, and whether muster was paused then.
    :ivar fenced_at: when their fencings were in truth that it has seen.
    """

    def __init__(self, world: World, controller: str) -> None:
        self.world = world
        self.controller = controller
        self.alive = True
        self.began_at = world.now
        self.paused_until = 0.0
        self.knew_quorum = self.knew_current = False
        self.read_at: dict[str, float] = {}
        self.first_read_at: dict[str, float] = {}
        self.seen_host: dict[str, tuple[str, float]] = {}
        self.incidents: dict[str, Incident] = {}
        self.beats: dict[str, float] = {}
        self.hidden: dict[str, tuple[float, float]] = {}
        self.looked: Mapping[str, Node] = {}
        self.fenced_at: Mapping[str, float] = {}
        self.saw_paused = False
        self.sent_this_pass: dict[str, str] = {}
        self.sent_since_told: set[str] = set()
        self.believed: set[tuple[str, str]] = set()
        self._turn = 0
        self._patience_s = 0.0
        self._key: object = None
        self._running = False
        self.memory = Memory()
        clock = self.clock = Clock(world.timeline, lambda: world.clocks.get(controller, 0.0))
        cluster = ClusterGateway(self)
        nova = NovaGateway(self)
        look = Look(cluster, nova, clock, world.policy, self.memory)
        act = Act(cluster, nova, clock, self.memory, self, self.ask_current, lambda seconds: None)  # type: ignore[arg-type]
        self.worker = Worker(
            look,
            act,
            cluster,
            clock,
            world.policy,
            self.memory,
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            lambda seconds: True,
        )
        world.say(f"a worker starts on {controller}")
        self._rest(0.05)

    # ------------------------------------------------------------ life and death

    def current(self) -> bool:
        return self.alive and self.world.current is self

    def ask_current(self) -> bool:
        self.knew_current = self.current()
        return self.knew_current

    def kill(self, why: str) -> None:
        if self.alive:
            self.alive = False
            self.world.say(f"the worker on {self.controller} dies: {why}")
            self.world.bury(self)

    def pause(self, seconds: float) -> None:
        self.paused_until = self.world.now + seconds

    def check(self) -> None:
        """Between any two moments of a call: it may be dead by now, or stopped.

        :raises Killed:
        """
        if self.alive and self.paused_until > self.world.now:
            self.world.timeline.pass_to(self.paused_until)
        if not self.alive:
            raise Killed

    # ------------------------------------------------------------------ passes

    def wake(self) -> None:
        """Pacemaker has rewritten its configuration."""
        if self.alive and not self._running:
            self._rest(self.world.rng.uniform(0.0, 0.2))

    def _rest(self, seconds: float) -> None:
        turn = self._turn

        def begin() -> None:
            if self.alive and turn == self._turn and not self._running:
                self._pass()

        self.world.timeline.after(seconds, begin)

    def _pass(self) -> None:
        self._turn += 1
        self._running = True
        self.sent_this_pass = {}
        self.world.passes += 1
        try:
            self.check()
            rest_s = self.worker.one_pass()
        except Killed:
            return
        finally:
            self._running = False
        key = self.world.note_state(self.incidents.values())
        calm = key == self._key and rest_s >= 0.5
        self._key = key
        self._patience_s = min(self._patience_s * 2.0 + 0.5, self.world.patience_s) if calm else 0.0
        self._rest(max(rest_s, self._patience_s))

    # ---------------------------------------------- what the engine tells: outlet

    def announce(self, silence_s: float) -> None:
        pass

    def status(self, reason: str, incidents: list[Incident]) -> None:
        self.sent_since_told = set()
        self.incidents = {incident.node: incident for incident in incidents}
        self.world.judge.heard(self, incidents)
        if self.current():
            self.world.advised.hear(incidents)

    def event(self, event: Any) -> None: ...

    def share(self) -> None: ...

    def report(self, incident: Incident, data: dict[str, Any]) -> None:
        self.world.reports[incident.node] = data

    # -------------------------------------------------------------------- log

    def _log(self, event: str, **fields: object) -> None:
        if self.world.verbose:
            self.world.say(
                f"  {self.controller} {event}: "
                + " ".join(f"{k}={v}" for k, v in fields.items() if v not in ("", None))
            )

    info = warning = error = _log

    def sent(self, ident: str, target: Optional[str]) -> None:
        self.sent_this_pass[ident] = target or ""
        self.sent_since_told.add(ident)

    # ------------------------------------------------------- what it could know

    def knew(self, kind: str, since: float) -> bool:
        """It has read this kind of fact after that moment, or should have long ago."""
        return self.read_at.get(kind, 0.0) > since or self.world.now - since > STALE_LIMIT_S

    def knows_of_elsewhere(self, inst: Instance) -> bool:
        """It was sent for a server that has moved since: Nova judges by where it is now."""
        return inst.host not in self.world.site.nodes or (
            self.world.site.nodes[inst.host].record is None and bool(inst.arrivals)
        )
