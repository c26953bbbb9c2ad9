# SPDX-License-Identifier: Apache-2.0
"""What the worker says: to the log, to its outlets and beside the nodes in crm_mon.  Each thing once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Optional, Protocol

from muster.core.decide import Decision, Incident
from muster.core.findings import Finding, State, Verdict
from muster.core.ports import ClockPort, ClusterPort
from muster.core.sight import Sight
from muster.log import Log
from muster.reporting import report
from muster.reporting.documents import RECORD_REMOVED

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


@dataclass
class Said:
    """Of one incident, from when it was first seen until its record is gone.

    :param state: its state, rule and first fencing, as they were said last.
    :param servers: by id, verdict, rule, destination and alarm, as they were said last.
    :param report: the last one, and when it was published by the monotonic clock.
    """

    incident: Incident
    findings: dict[str, Finding]
    state: Optional[tuple[str, str, int]] = None
    servers: dict[str, tuple[Verdict, str, str, bool]] = field(default_factory=dict)
    report: str = ""
    published_at: float = 0.0


class Announcer:
    def __init__(self, cluster: ClusterPort, clock: ClockPort, log: Log, outlet: Outlet) -> None:
        self._cluster = cluster
        self._clock = clock
        self._log = log
        self._outlet = outlet
        self._hindrance = ""
        self._said: dict[str, Said] = {}
        """By node, of those with an incident."""
        self._lines: dict[str, tuple[str, float]] = {}
        """By node, what crm_mon shows, and since when by the monotonic clock; of those that ever had an incident."""

    def say_nothing_is_known(self, reason: str) -> None:
        self._say_hindrance(reason)
        self._outlet.status(reason, [])

    def say(self, decision: Decision, proofs: Mapping[str, Mapping[str, Finding]], trouble: str) -> None:
        """:param proofs: by node and server.
        :param trouble: of Nova.
        """
        hindrance = decision.hindrance or report.paused(decision.paused)
        self._say_hindrance(hindrance)
        for node, incident in decision.incidents.items():
            findings = report.with_proofs(incident, proofs.get(node, {}))
            said = self._said.setdefault(node, Said(incident, findings))
            said.incident, said.findings = incident, findings
            self._say_incident(said)
            for finding in findings.values() if not decision.arrivals_unread else ():
                self._say_server(node, said, finding)
        for node in set(self._said) - set(decision.incidents):
            self._close(node, self._said.pop(node))
        silent = f"Nova gives no usable answer: {trouble}" if trouble else ""
        self._outlet.status(hindrance or silent, list(decision.incidents.values()))

    def publish(self, sight: Sight, decision: Decision) -> None:
        """Reports and what crm_mon shows; seldom."""
        every_s = max(PUBLISH_EVERY_S, PUBLISH_APART_S * len(decision.incidents))
        for node in decision.incidents if not decision.hindrance else ():
            self._publish_report(self._said[node], every_s)
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

    def _say_incident(self, said: Said) -> None:
        incident = said.incident
        now = (incident.state.value, incident.rule, incident.first)
        if said.state == now:
            return
        say = self._log.error if incident.state is State.BLOCKED else self._log.info
        say("incident", node=incident.node, host=incident.host, state=incident.state.value, reason=incident.reason)
        said.state = now
        self._event(incident.node, f"{incident.state.value}: {incident.reason}")

    def _say_server(self, node: str, said: Said, finding: Finding) -> None:
        server, now = finding.server.id, (finding.verdict, finding.rule, finding.dest, finding.alarm)
        if said.servers.get(server) == now:
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
        said.servers[server] = now
        what = f"{finding.verdict.value}: {finding.reason}"
        self._event(node, what, server, finding.server.name[:64], finding.dest, finding.request_id)

    def _event(self, node: str, what: str, *server: str) -> None:
        """:param server: the fields of the event that concern one server."""
        self._outlet.event(report.Event(round(self._clock.now(), 2), node, what[:300], *server))

    def _publish_report(self, said: Said, every_s: float) -> None:
        now = self._clock.monotonic()
        if now - said.published_at < every_s and said.incident.state is not State.SETTLED:
            return
        data = report.report(said.incident, said.findings)
        text = str(data)
        if text == said.report:
            return
        said.report, said.published_at = text, now
        self._outlet.report(said.incident, data)

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

    def _close(self, node: str, said: Said) -> None:
        """Its record is gone: the report says how it ended."""
        last, findings = said.incident, said.findings
        reason = last.reason if last.rule == "close" else f"{RECORD_REMOVED} {last.state.value}"
        closed = replace(last, state=State.CLOSED, reason=reason)
        self._log.info("incident over", node=node, reason=reason)
        self._event(node, f"{closed.state.value}: {reason}")
        self._outlet.report(closed, report.report(closed, findings))
        self._cluster.publish(node, "")
        self._lines[node] = ("", self._clock.monotonic())
