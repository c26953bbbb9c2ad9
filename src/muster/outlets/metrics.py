# SPDX-License-Identifier: Apache-2.0
"""Metrics for Prometheus, as a file that node_exporter's textfile collector reads; see docs/metrics.md.

Each writing begins from nothing, so what is no longer the case is no longer there.  No label names a server: only the
number of dead hosts, of states and of verdicts bounds the series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from muster import meta
from muster.decide import Incident
from muster.log import Log
from muster.memory import Memory
from muster.outlets import Quiet
from muster.outlets.files import complain, replace
from muster.ports import ClockPort
from muster.verdict import State, Verdict

EVERY_S = 60.0
"""Written so often at least: rules take a worker that was not heard of for some minutes for gone."""
STATES = tuple(state for state in State if state is not State.CLOSED)


class Metrics(Quiet):
    """:param memory: of the worker, for what it counts."""

    def __init__(self, path: Path, clock: ClockPort, memory: Memory, log: Log) -> None:
        # Costs memory, so only those pay for it who want it.
        from prometheus_client import core, exposition

        self._core = core
        self._text = exposition.generate_latest
        self._path = path
        self._clock = clock
        self._memory = memory
        self._log = log
        self._collected: list[Any] = []
        self._written: object = None
        self._written_at = 0.0

    def status(self, reason: str, incidents: list[Incident]) -> None:
        now = self._clock.now()
        told = [(i.node, i.state, i.first, _counts(i), _stuck(i)) for i in incidents]
        troubles = (bool(self._memory.nova_trouble), bool(self._memory.cluster_trouble))
        clocks = (round(self._clock.nova.ahead_s), round(self._clock.nova.apart_s))
        seen = (bool(reason), told, vars(self._memory.tally).copy(), troubles, clocks)
        if seen != self._written or not 0 <= now - self._written_at < EVERY_S:
            self._write(self._families(reason, incidents))
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
        except OSError as exc:
            complain(self._log, exc)

    def _families(self, reason: str, incidents: list[Incident]) -> Iterator[Any]:
        yield from self._worker(up=True)
        gauge, counter = self._core.GaugeMetricFamily, self._core.CounterMetricFamily
        memory, tally = self._memory, self._memory.tally
        hindered = bool(reason) and not (memory.nova_trouble and reason.endswith(memory.nova_trouble))
        yield gauge("muster_last_pass_timestamp_seconds", "When the worker last looked.", value=self._clock.now())
        yield gauge("muster_hindered", "1 while nothing may be changed: no quorum, paused, Pacemaker silent.", hindered)
        yield gauge("muster_nova_trouble", "1 while Nova does not answer as it should.", bool(memory.nova_trouble))
        nova = self._clock.nova
        yield gauge("muster_nova_clock_ahead_seconds", "Nova's clock, ahead of this one.", value=round(nova.ahead_s, 1))
        apart = "How far Nova's answers are from that: beyond 30 nothing is evacuated."
        yield gauge("muster_nova_clocks_apart_seconds", apart, value=round(nova.apart_s, 1))
        yield counter("muster_evacuations_sent", "Evacuations that Nova took from this worker.", tally.sent)
        yield counter("muster_evacuations_refused", "Evacuations that Nova refused.", tally.refused)
        yield counter("muster_nova_errors", "Calls to Nova without a usable answer.", tally.nova_errors)
        if not memory.cluster_trouble:  # else nothing is known of any incident, which is not "none"
            yield from self._incidents(incidents)

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
        yield self._by("muster_build_info", "1; the version is in the label.", "version", {meta.version(): 1})
        yield gauge("muster_worker_up", "1 while the worker runs on this controller.", value=int(up))

    def _by(self, name: str, about: str, label: str, values: Mapping[str, float]) -> Any:
        family = self._core.GaugeMetricFamily(name, about, labels=[label])
        for what, value in values.items():
            family.add_metric([what], value)
        return family


def _counts(incident: Incident) -> Counter[str]:
    return Counter(finding.verdict.value for finding in incident.findings.values())


def _stuck(incident: Incident) -> int:
    return sum(finding.alarm for finding in incident.findings.values())
