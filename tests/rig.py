# SPDX-License-Identifier: Apache-2.0
"""The real engine against real Nova, with the cluster in memory: every pass under the test's control."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Optional

from muster.core.decide import Incident, decide
from muster.core.findings import Finding, State, Verdict
from muster.core.steps import Step
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.engine.worker import Worker
from muster.gateways.clock import Clock
from muster.gateways.nova.compute import Nova
from tests.bed.nova.client import NovaBed
from tests.fakes import FakeCluster, LogLines, NoOutlet, settings


class Killed(BaseException):
    """The worker died here; nothing of it is left but what it had done."""


class Rig:
    """One worker at a time over one cluster and one Nova; ``crash()`` replaces it by a new one that knows nothing.

    :param nodes: Pacemaker's name of each host of the bed where it is not Nova's own.
    """

    def __init__(
        self, bed: NovaBed, clouds_file: Path, nodes: Optional[Mapping[str, str]] = None, **parameters: object
    ) -> None:
        self.bed = bed
        self._hosts = {(nodes or {}).get(host, host): host for host in bed.hosts}
        values = {"cloud": "bed", "clouds_file": str(clouds_file), "retry_delay_s": 1, "per_destination": 0}
        self.policy = settings(**{**values, **parameters})
        self.clouds_file = clouds_file
        self.cluster = FakeCluster.of(*self._hosts)
        self._powered_on: set[str] = set()
        self._started: set[str] = set()
        self.log = LogLines(echo=lambda line: print(line, file=sys.stderr))
        self.before: Callable[[Step], None] = lambda step: None
        self.after: Callable[[Step], None] = lambda step: None
        self._promised = 0.0
        self.overdue: list[str] = []
        self.clock_off_s = 0.0
        self.crash()

    def crash(self) -> None:
        """The worker is gone, another one begins: nothing in memory survives."""
        self.memory = Memory()
        self.outlet = NoOutlet()
        clock = Clock(self._wall)
        policy = self.policy
        nova = Nova(
            policy.cloud, str(self.clouds_file), policy.shared_storage, policy.nova_api_version, self._announce, clock
        )
        self.look = Look(self.cluster, nova, clock, self.policy, self.memory)
        act = Act(self.cluster, nova, clock, self.memory, self.log, lambda: True, self._announce)
        inner = act._do

        def do(step: Step) -> None:
            self.before(step)
            inner(step)
            self.after(step)

        act._do = do  # type: ignore[method-assign,assignment]
        self.outlet.announce = self._announce  # type: ignore[method-assign]
        self.worker = Worker(
            self.look, act, self.cluster, clock, self.policy, self.memory, self.log, self.outlet, self._wait
        )

    def _wall(self) -> float:
        """The clock of all controllers; Nova's is the machine's."""
        return time.time() + self.clock_off_s

    def _announce(self, silence_s: float) -> None:
        """What the monitor would see: a worker that says nothing for longer than it announced counts as hung."""
        now = time.monotonic()
        if self._promised and now > self._promised:
            self.overdue.append(f"silent for {now - self._promised:.1f} s longer than announced")
        self._promised = now + silence_s

    @staticmethod
    def _wait(seconds: float) -> bool:
        time.sleep(seconds)
        return True

    def kill_at(self, moment: str, kind: type, count: int = 1) -> None:
        """The worker dies ``before`` or ``after`` its next ``count``-th step of this kind; ``run_until`` starts anew."""
        left = [count]

        def die(step: Step) -> None:
            if isinstance(step, kind):
                left[0] -= 1
                if left[0] == 0:
                    raise Killed

        setattr(self, moment, die)

    def fence(self, node: str, record: bool = True) -> None:
        """The power of a host is cut, really, and Pacemaker knows."""
        self.bed.power_off(self._hosts[node])
        self._powered_on.discard(node)
        self._started.discard(node)
        self.cluster.fence(node, self._wall(), record)

    def power_on(self, node: str) -> None:
        """The machine runs again; its nova-compute only if nothing keeps it away, as Pacemaker would."""
        self.cluster.rejoin(node)
        self.bed.power_on(self._hosts[node], start=False)
        self._powered_on.add(node)
        self._start_allowed(node)

    def _start_allowed(self, name: str) -> None:
        node = self.cluster.nodes[name]
        if name in self._powered_on and node.member and not node.hold:
            self._powered_on.remove(name)
            self._started.add(name)
            self.bed.ctl("start_compute", host=self._hosts[name])

    def _stop_held(self, name: str) -> None:
        """The location rule: what runs there is stopped where the hold is."""
        if self.cluster.nodes[name].hold:
            self._started.remove(name)
            self._powered_on.add(name)
            self.bed.ctl("kill_compute", host=self._hosts[name])

    def step(self) -> None:
        """One pass, and what Pacemaker does with its result."""
        seen = self.cluster.cib_changed()
        self._promised = 0.0  # the time between two steps is the test's own, and so are its looks
        try:
            rest = self.worker.one_pass()
            self._announce(0.0)
        except Killed:
            self.before = self.after = lambda step: None
            self.crash()
            return
        finally:
            self._promised = 0.0
        for name in list(self._started):
            self._stop_held(name)
        for name in list(self._powered_on):
            self._start_allowed(name)
        self.worker._rest(rest, seen)

    def run_until(self, condition: Callable[[], object], timeout_s: float = 60.0, what: str = "") -> None:
        """Pass after pass until the condition holds.

        :raises AssertionError: with everything that is known, when it does not within the time.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout_s} s: {what or condition}\n{self.describe()}")
            self.step()

    def run_for(self, seconds: float) -> None:
        """Passes for so long: to show that something does not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()

    # ----------------------------------------------------------------- what it says

    def incident(self, node: str) -> Optional[Incident]:
        return decide(self.look.sight(), self.policy).incidents.get(node)

    def finding(self, server: str) -> Optional[Finding]:
        for node, host in self.memory.hosts.items():
            if server in host.proofs:
                return host.proofs[server]
            report = decide(self.look.sight(), self.policy).incidents.get(node)
            if report and server in report.findings:
                return report.findings[server]
        return None

    def entry(self, server: str) -> dict[str, Any]:
        """What the last reports say of a server."""
        for report in self.outlet.reports.values():
            for entry in report["proofs"]:
                if entry["id"] == server:
                    return dict(entry)
        return {}

    def says(self, server: str, verdict: Verdict) -> Callable[[], bool]:
        return lambda: self.entry(server).get("verdict") == verdict.value

    def settled(self, node: str) -> Callable[[], bool]:
        """Released or over."""
        return lambda: not self.cluster.nodes[node].hold

    def closed(self, node: str) -> Callable[[], bool]:
        return lambda: self.cluster.nodes[node].record is None

    def blocked(self, node: str) -> Callable[[], bool]:
        return lambda: self.outlet.reports.get(node, {}).get("state") == State.BLOCKED.value

    def describe(self) -> str:
        lines = [f"{node}: {host.record.token}" for node, host in self.memory.hosts.items()]
        lines += [f"{r['node']}: {r['state']}: {r['reason']}" for r in self.outlet.reports.values()]
        return "\n".join([*lines, *map(str, self.log.lines[-15:])])
