# SPDX-License-Identifier: Apache-2.0
"""The worker: passes of look, decide, act, publish, until it is told to stop.

Level-triggered and crash-only: each pass begins from what is, not from what the last one meant to do.
"""

from __future__ import annotations

from collections.abc import Callable

from muster.core.decide import Decision, dead_hosts, decide, lying_hosts
from muster.core.errors import ClusterError
from muster.core.findings import State, Verdict
from muster.core.policy import Policy
from muster.core.ports import ClockPort, ClusterPort
from muster.core.sight import Sight
from muster.core.steps import Evacuate
from muster.engine.act import Act
from muster.engine.announce import Announcer, Outlet
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.log import Log

IDLE_LOOK_S = 5.0
"""A manual confirmation touches only the CIB's status section, which no file shows."""
BUSY_LOOK_S = 0.5
WAKE_POLL_S = 0.05
SILENCE_S = 30.0


class Worker:
    """:param wait: waits for so many seconds at most and says whether to go on."""

    def __init__(
        self,
        look: Look,
        act: Act,
        cluster: ClusterPort,
        clock: ClockPort,
        policy: Policy,
        memory: Memory,
        log: Log,
        outlet: Outlet,
        wait: Callable[[float], bool],
    ) -> None:
        self._look = look
        self._act = act
        self._cluster = cluster
        self._clock = clock
        self._policy = policy
        self._memory = memory
        self._announcer = Announcer(cluster, clock, log, outlet)
        self._outlet = outlet
        self._wait = wait

    def run(self) -> None:
        """Passes until ``wait`` says stop."""
        self.one_pass()
        self._look.warm_up()
        going = True
        while going:
            seen = self._cluster.cib_changed()
            going = self._rest(self.one_pass(), seen)

    def one_pass(self) -> float:
        """One pass; how long to rest at most before the next one, in seconds."""
        self._outlet.announce(SILENCE_S)
        try:
            sight = self._look.sight()
        except ClusterError as exc:
            self._memory.note_cluster(str(exc))
            self._announcer.say_nothing_is_known(f"Pacemaker does not answer: {exc}")
            return IDLE_LOOK_S
        self._memory.note_cluster("")
        self._memory.note_unfenced(sight.cluster.nodes.values())
        decision = decide(sight, self._policy)
        self._keep_proofs(decision)
        self._keep_deaths(sight)
        sending = any(isinstance(step, Evacuate) for step in decision.steps)
        self._memory.polling.note_decided(sending, waiting=decision.waiting > 0)
        proofs = {node: host.proofs for node, host in self._memory.hosts.items()}
        self._announcer.say(decision, proofs, self._memory.troubles.message)
        done = self._act.carry_out(decision.steps)
        # The first evacuation does not wait for Pacemaker to take notes.
        begins = done and any(i.state is State.FORCING_DOWN for i in decision.incidents.values())
        if not begins and not decision.arrivals_unread:
            self._announcer.publish(sight, decision)
        if done:
            return 0.0
        if decision.waiting:
            return min(BUSY_LOOK_S, self._look.rest_s())
        return BUSY_LOOK_S if decision.incidents else IDLE_LOOK_S

    def _rest(self, at_most_s: float, seen: object) -> bool:
        """Wait, but not once Pacemaker has rewritten its configuration."""
        end = self._clock.monotonic() + at_most_s
        while True:
            left = end - self._clock.monotonic()
            if left <= 0:
                return self._wait(0.0)
            if not self._wait(min(WAKE_POLL_S, left)):
                return False
            if self._cluster.cib_changed() != seen:
                return True

    def _keep_proofs(self, decision: Decision) -> None:
        for node, incident in decision.incidents.items():
            host = self._memory.hosts.get(node)
            if host is None:
                continue
            for server, finding in incident.findings.items():
                if finding.verdict is Verdict.EVACUATED:
                    host.note_proof(server, finding)

    def _keep_deaths(self, sight: Sight) -> None:
        dead, alive = dead_hosts(sight, self._policy), lying_hosts(sight, self._policy)
        for host in self._memory.hosts.values() if dead or alive else ():
            host.note_deaths(dead, alive)
