# SPDX-License-Identifier: Apache-2.0
"""The worker: passes of look, decide, act, publish, until it is told to stop.

Level-triggered and crash-only: each pass begins from what is, not from what the last one meant to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Optional, Protocol

from muster.core.decide import Decision, Incident, dead_hosts, decide, first_calls, lying_hosts
from muster.core.errors import ClusterError
from muster.core.ports import ClockPort, ClusterPort, Policy
from muster.core.server_case import Finding, State, Verdict
from muster.core.sight import Sight
from muster.core.steps import Evacuate
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.log import Log
from muster.reporting import report

IDLE_LOOK_S = 5.0
"""A manual confirmation touches only the CIB's status section, which no file shows."""
BUSY_LOOK_S = 0.5
WAKE_POLL_S = 0.05
SILENCE_S = 30.0
PUBLISH_EVERY_S = 2.0
PUBLISH_APART_S = 0.2
"""On average: a hundred dead hosts are not a hundred files every two seconds."""
SHOW_AGAIN_S = 5.0
"""Pacemaker forgets what a node shows when it joins; a snapshot may be from before it was shown."""


class Outlet(Protocol):
    """Where the worker says what it sees: files and crm_mon."""

    def announce(self, silence_s: float) -> None:
        """The monitor may take us for hung when nothing is heard of us for this long."""

    def status(self, reason: str, incidents: list[Incident]) -> None: ...

    def share(self) -> None:
        """Let the other controllers know, if there is news."""

    def event(self, event: report.Event) -> None: ...

    def report(self, incident: Incident, data: dict[str, object]) -> None: ...


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
        self._log = log
        self._outlet = outlet
        self._wait = wait
        self._said: dict[str, tuple[str, str, int]] = {}
        self._said_servers: dict[tuple[str, str], tuple[Verdict, str, str, bool]] = {}
        self._hindrance = ""
        self._published: dict[str, tuple[str, float]] = {}
        self._lines: dict[str, tuple[str, float]] = {}
        self._last: dict[str, tuple[Incident, dict[str, Finding]]] = {}

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
            self._say_hindrance(f"Pacemaker does not answer: {exc}")
            self._outlet.status(self._hindrance, [])
            return IDLE_LOOK_S
        self._memory.note_cluster("")
        decision = decide(sight, self._policy)
        self._keep_proofs(decision)
        self._keep_deaths(sight)
        unread = self._memory.polling.arrivals_unread
        steps = first_calls(decision) if unread else decision.steps
        sending = any(isinstance(step, Evacuate) for step in steps)
        self._memory.polling.note_decided(sending, waiting=decision.waiting > 0)
        self._tell(decision, self._memory.troubles.message)
        done = self._act.carry_out(steps)
        begins = done and any(i.state is State.FORCING_DOWN for i in decision.incidents.values())
        if not begins and not unread:  # the first evacuation does not wait for Pacemaker to take notes
            self._publish_all(sight, decision)
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

    # ------------------------------------------------------------- what it says

    def _tell(self, decision: Decision, trouble: str) -> None:
        hindrance = decision.hindrance or report.paused(decision.paused)
        self._say_hindrance(hindrance)
        for node, incident in decision.incidents.items():
            self._say_incident(incident)
            host = self._memory.hosts.get(node)
            findings = report.with_proofs(incident, host.proofs if host else {})
            self._last[node] = (incident, findings)
            for finding in findings.values() if not self._memory.polling.arrivals_unread else ():
                self._say_server(node, finding.server.id, finding)

        for node in set(self._said) - set(decision.incidents):
            self._close(node)
        silent = f"Nova gives no usable answer: {trouble}" if trouble else ""
        self._outlet.status(hindrance or silent, list(decision.incidents.values()))

    def _publish_all(self, sight: Sight, decision: Decision) -> None:
        every_s = max(PUBLISH_EVERY_S, PUBLISH_APART_S * len(decision.incidents))
        for node in decision.incidents if not decision.hindrance else ():
            self._publish(*self._last[node], every_s)
        for seen in sight.cluster.nodes.values() if not decision.hindrance else ():
            self._show(seen.name, decision.incidents.get(seen.name), seen.shown, every_s)
        self._outlet.share()

    def _say_hindrance(self, hindrance: str) -> None:
        if hindrance != self._hindrance:
            if hindrance:
                self._log.warning("blocked", reason=hindrance)
            else:
                self._log.info("resumed")
        self._hindrance = hindrance

    def _say_incident(self, incident: Incident) -> None:
        now = (incident.state.value, incident.rule, incident.first)
        if self._said.get(incident.node) == now:
            return
        say = self._log.error if incident.state is State.BLOCKED else self._log.info
        say("incident", node=incident.node, host=incident.host, state=incident.state.value, reason=incident.reason)
        self._said[incident.node] = now
        self._event(incident.node, f"{incident.state.value}: {incident.reason}")

    def _say_server(self, node: str, server: str, finding: Finding) -> None:
        now = (finding.verdict, finding.rule, finding.dest, finding.alarm)
        if self._said_servers.get((node, server)) == now:
            return
        if finding.alarm:
            say = self._log.error
        else:
            say = self._log.warning if finding.verdict is Verdict.HELD else self._log.info
        say(
            "server",
            node=node,
            server=server,
            name=finding.server.name,
            verdict=finding.verdict.value,
            reason=finding.reason,
            source=finding.source,
            dest=finding.dest,
            request_id=finding.request_id,
        )
        self._said_servers[node, server] = now
        what = f"{finding.verdict.value}: {finding.reason}"
        self._event(node, what, server, finding.server.name[:64], finding.dest, finding.request_id)

    def _event(self, node: str, what: str, *server: str) -> None:
        """:param server: the fields of the event that concern one server."""
        self._outlet.event(report.Event(round(self._clock.now(), 2), node, what[:300], *server))

    def _publish(self, incident: Incident, findings: dict[str, Finding], every_s: float) -> None:
        text, at = self._published.get(incident.node, ("", 0.0))
        now = self._clock.monotonic()
        if now - at < every_s and incident.state is not State.SETTLED:
            return
        data = report.report(incident, findings)
        shown = str(data)
        if shown == text:
            return
        self._published[incident.node] = (shown, now)
        self._outlet.report(incident, data)

    def _show(self, node: str, incident: Optional[Incident], shown: str, every_s: float) -> None:
        """Beside the node in crm_mon; nothing without an incident, whatever an earlier worker has left there.

        A process each, and a hundred hosts may be dead: seldom.
        """
        line, now = report.line(incident) if incident else "", self._clock.monotonic()
        said, at = self._lines.get(node, ("", 0.0))
        if line == said:
            due = line != shown and now - at > SHOW_AGAIN_S
        else:
            due = now - at >= every_s or (incident is not None and incident.state is State.SETTLED)
        if due:
            self._lines[node] = (line, now)
            self._cluster.publish(node, line)

    def _close(self, node: str) -> None:
        """Its record is gone: the report says how it ended."""
        last, findings = self._last.pop(node)
        reason = (
            "back in service" if last.rule == "close" else f"the record was removed in the state {last.state.value}"
        )
        closed = replace(last, state=State.CLOSED, reason=reason)
        self._log.info("incident over", node=node, reason=reason)
        self._event(node, f"{closed.state.value}: {reason}")
        self._outlet.report(closed, report.report(closed, findings))
        self._cluster.publish(node, "")
        self._lines[node] = ("", self._clock.monotonic())
        self._said.pop(node, None)
        self._published.pop(node, None)
        for key in [key for key in self._said_servers if key[0] == node]:
            del self._said_servers[key]
