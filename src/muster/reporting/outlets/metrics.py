# SPDX-License-Identifier: Apache-2.0
"""Metrics for Prometheus, as a file that node_exporter's textfile collector reads; see docs/metrics.md.

Each writing begins from nothing, so what is no longer the case is no longer there.  No label names a server: only the
number of dead hosts, of states and of verdicts bounds the series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from muster import parameters
from muster.core.decide import Incident
from muster.core.findings import State, Verdict
from muster.core.ports import ClockPort
from muster.installation.checks.examination import Result
from muster.log import Log
from muster.reporting import capacity_file
from muster.reporting.documents import KnownCapacity, Readiness
from muster.reporting.outlets import Quiet
from muster.reporting.outlets.files import complain, replace

EVERY_S = 60.0
"""Written so often at least: rules take a worker that was not heard of for some minutes for gone."""
STATES = tuple(state for state in State if state is not State.CLOSED)


@dataclass(frozen=True)
class Counted:
    """What the worker has counted since it began, and why it is blocked; empty: it is not.

    :param sent: evacuations that Nova took.
    :param refused: evacuations that Nova refused.
    :param nova_errors: calls to Nova without a usable answer.
    :param unfenced: by node, when Pacemaker lost it, of those that are not fenced.
    :param capacity: None where the worker does not look at it.
    """

    sent: int = 0
    refused: int = 0
    nova_errors: int = 0
    nova_trouble: str = ""
    cluster_trouble: str = ""
    readiness: Readiness = field(default_factory=Readiness)
    unfenced: Mapping[str, int] = field(default_factory=dict)
    capacity: Optional[KnownCapacity] = None


class Metrics(Quiet):
    """:param counted: gives what the worker has counted by now."""

    def __init__(self, path: Path, clock: ClockPort, counted: Callable[[], Counted], log: Log) -> None:
        # Costs memory, so only those pay for it who want it.
        from prometheus_client import core, exposition

        self._core = core
        self._text = exposition.generate_latest
        self._path = path
        self._clock = clock
        self._counted = counted
        self._log = log
        self._collected: list[Any] = []
        self._written: object = None
        self._written_at = 0.0
        self._failed = False

    def status(self, reason: str, incidents: list[Incident]) -> None:
        now = self._clock.now()
        told = [(i.node, i.state, i.first, _counts(i), _stuck(i)) for i in incidents]
        counted = self._counted()
        troubles = (bool(counted.nova_trouble), bool(counted.cluster_trouble))
        clocks = (round(self._clock.nova.ahead_s), round(self._clock.nova.apart_s))
        doubts = [(doubt.check, doubt.result) for doubt in counted.readiness.doubts]
        sums = (counted.sent, counted.refused, counted.nova_errors)
        looks = (bool(counted.readiness.at), counted.capacity)
        seen = (bool(reason), told, sums, troubles, clocks, doubts, looks, counted.unfenced)
        if seen != self._written or not 0 <= now - self._written_at < EVERY_S:
            self._write(self._families(reason, incidents, counted))
            self._written, self._written_at = seen, now

    def close(self) -> None:
        """No worker here any more, and nothing else to say."""
        self._write(self._worker(up=False))

    def collect(self) -> Iterator[Any]:
        """What prometheus_client asks a collector."""
        return iter(self._collected)

    def _write(self, families: Iterator[Any]) -> None:
        self._collected = list(families)
        try:
            replace(self._path, self._text(self), 0o644)
            self._failed = False
        except OSError as exc:
            if not self._failed:  # a folder that is missing is missing every minute
                complain(self._log, exc)
            self._failed = True

    def _families(self, reason: str, incidents: list[Incident], counted: Counted) -> Iterator[Any]:
        yield from self._worker(up=True)
        gauge, counter = self._core.GaugeMetricFamily, self._core.CounterMetricFamily
        hindered = bool(reason) and not (counted.nova_trouble and reason.endswith(counted.nova_trouble))
        yield gauge("muster_last_pass_timestamp_seconds", "When the worker last looked.", value=self._clock.now())
        yield gauge(
            "muster_hindered", "1 while muster may change nothing: no quorum, paused, Pacemaker silent.", hindered
        )
        yield gauge("muster_nova_trouble", "1 while Nova gives no usable answer.", bool(counted.nova_trouble))
        nova = self._clock.nova
        yield gauge("muster_nova_clock_ahead_seconds", "Nova's clock, ahead of this one.", value=round(nova.ahead_s, 1))
        apart = "How far single answers differ from that; above 30 muster evacuates nothing."
        yield gauge("muster_nova_clocks_apart_seconds", apart, value=round(nova.apart_s, 1))
        yield counter("muster_evacuations_sent", "Evacuations that Nova accepted from this worker.", counted.sent)
        yield counter("muster_evacuations_refused", "Evacuations that Nova refused.", counted.refused)
        yield counter("muster_nova_errors", "Calls to Nova without a usable answer.", counted.nova_errors)
        yield from self._readiness(counted.readiness)
        for gauge_ in capacity_file.gauges(counted.capacity) if counted.capacity else ():
            yield self._by(*gauge_)
        if not counted.cluster_trouble:  # else nothing is known of any incident, which is not "none"
            yield from self._incidents(incidents)
            about = "When Pacemaker lost a host that is not fenced yet."
            yield self._by("muster_host_unfenced_timestamp_seconds", about, "node", counted.unfenced)

    def _readiness(self, found: Readiness) -> Iterator[Any]:
        about = "When the worker last looked whether muster is ready; 0 before it has."
        yield self._core.GaugeMetricFamily("muster_readiness_timestamp_seconds", about, value=found.at)
        about = "Checks that are not content: 1 unknown, 2 attention, 3 trouble."
        graver = {doubt.check: Result(doubt.result).gravity for doubt in found.doubts}
        yield self._by("muster_readiness_check", about, "check", graver)

    def _incidents(self, incidents: list[Incident]) -> Iterator[Any]:
        states = Counter(incident.state for incident in incidents)
        yield self._by("muster_incidents", "Dead hosts by state.", "state", {s.value: states[s] for s in STATES})
        since = {incident.node: incident.first for incident in incidents}
        yield self._by("muster_incident_fenced_timestamp_seconds", "When the host was first fenced.", "node", since)
        counts = sum((_counts(incident) for incident in incidents), Counter())
        verdicts = {verdict.value: counts[verdict.value] for verdict in Verdict}
        yield self._by("muster_servers", "Servers of dead hosts by verdict.", "verdict", verdicts)
        stuck = sum(map(_stuck, incidents))
        about = "Evacuations under way for longer than stuck_after_s."
        yield self._core.GaugeMetricFamily("muster_servers_stuck", about, value=stuck)

    def _worker(self, up: bool) -> Iterator[Any]:
        gauge = self._core.GaugeMetricFamily
        yield self._by("muster_build_info", "1; the version is in the label.", "version", {parameters.version(): 1})
        yield gauge("muster_worker_up", "1 while the worker runs on this controller.", value=int(up))

    def _by(self, name: str, about: str, label: str, values: Mapping[str, float]) -> Any:
        """:param label: empty for a metric without any."""
        family = self._core.GaugeMetricFamily(name, about, labels=[label] if label else [])
        for what, value in values.items():
            family.add_metric([what] if label else [], value)
        return family


def _counts(incident: Incident) -> Counter[str]:
    return Counter(finding.verdict.value for finding in incident.findings.values())


def _stuck(incident: Incident) -> int:
    return sum(finding.alarm for finding in incident.findings.values())
