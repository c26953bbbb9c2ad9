# SPDX-License-Identifier: Apache-2.0
"""A report for each incident: a file of JSON at each change, and a page for people when it is settled or over."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

from muster.core.decide import Incident
from muster.core.findings import State, Verdict
from muster.core.ports import ClockPort
from muster.log import Log
from muster.reporting import html_page
from muster.reporting.documents import Report, ReportEvent, ServerEntry, as_json, from_json, read
from muster.reporting.history import from_worker, incident_name
from muster.reporting.outlets import Quiet
from muster.reporting.outlets.files import complain, replace
from muster.reporting.report import Event

DIRECTORY = Path("/var/lib/muster")
KEPT = 200
EVENTS_KEPT = 5000
"""Of one incident, beside those of the host itself: a thousand servers must not crowd out how it began."""
READ_LIMIT = 50_000_000
"""In bytes; no report of ours is that long."""
WITH_PAGE = (State.SETTLED, State.CLOSED)


@dataclass(frozen=True)
class Earlier:
    """What an earlier worker here has left in its report of an incident.

    :param lost: when Pacemaker lost the host, by whoever knew it first; 0 if nobody did.
    :param proved: by id, the servers that it has proved evacuated.
    """

    events: tuple[ReportEvent, ...] = ()
    lost: float = 0.0
    proved: Mapping[str, ServerEntry] = field(default_factory=dict)


class Reports(Quiet):
    def __init__(self, clock: ClockPort, log: Log, directory: Path = DIRECTORY) -> None:
        self._clock = clock
        self._log = log
        self._directory = directory
        self._events: dict[tuple[str, bool], deque[ReportEvent]] = {}
        """By node, and whether they are of its servers: as the report shows them."""
        self._earlier: dict[str, tuple[str, Earlier]] = {}
        """By node, of its incident, the name of which comes first."""

    def event(self, event: Event) -> None:
        """The next report of its incident has it."""
        shown = ReportEvent(event.at, event.what, event.server, event.name, event.dest, event.request_id)
        self._events.setdefault((event.node, bool(event.server)), deque(maxlen=EVENTS_KEPT)).append(shown)

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        name = incident_name(incident.node, incident.first)
        known, earlier = self._earlier.get(incident.node, ("", Earlier()))
        new = known != name
        if new:
            earlier = _earlier(self._directory / f"{name}.json")
        # Pacemaker forgets when it lost a host as soon as that is back.
        earlier = replace_fields(earlier, lost=earlier.lost or incident.lost)
        self._earlier[incident.node] = name, earlier
        events = [as_json(event) for event in (*earlier.events, *self._news(incident))]
        told = {"lost": earlier.lost or None, "events": events}
        whole = {**_with_proved(data, earlier.proved), **told, "written": round(self._clock.now(), 1)}
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            replace(self._directory / f"{name}.json", json.dumps(whole).encode(), 0o640)
            if incident.state in WITH_PAGE:
                replace(self._directory / f"{name}.html", _page(whole), 0o640)
            if new:
                self._drop_old()
        except OSError as exc:
            complain(self._log, exc)
        if incident.state is State.CLOSED:
            self._earlier.pop(incident.node, None)
            for of_servers in (False, True):
                self._events.pop((incident.node, of_servers), None)

    def _news(self, incident: Incident) -> list[ReportEvent]:
        """The events of this incident that this worker has seen."""
        kept = [event for of in (False, True) for event in self._events.get((incident.node, of), ())]
        return sorted((event for event in kept if event.at >= incident.first), key=lambda event: event.at)

    def _drop_old(self) -> None:
        files = sorted(self._directory.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in files[:-KEPT]:
            path.unlink()
            path.with_suffix(".html").unlink(missing_ok=True)


def _with_proved(data: dict[str, object], proved: Mapping[str, ServerEntry]) -> dict[str, object]:
    """The report with what an earlier worker has proved, where this one cannot tell: it begins anew, and Nova may be
    silent.  What it does see, a server that is gone or was moved since, counts."""
    entries = data.get("proofs")
    if not proved or not isinstance(entries, list):
        return data
    told = {entry["id"]: entry for entry in entries if entry["verdict"] != Verdict.UNKNOWN.value}
    kept = {ident: entry for ident, entry in _as_json_by_id(proved).items() if ident not in told}
    whole = {**{entry["id"]: entry for entry in entries}, **kept}
    counts = Counter(str(entry["verdict"]) for entry in whole.values())
    return {**data, "proofs": [whole[ident] for ident in sorted(whole)], "servers": dict(counts)}


def _as_json_by_id(entries: Mapping[str, ServerEntry]) -> dict[str, dict[str, Any]]:
    made = as_json(Report(proofs=tuple(entries.values())))["proofs"]
    return {str(entry["id"]): entry for entry in made}


def _page(whole: dict[str, Any]) -> bytes:
    made = from_json(Report, whole)
    assert isinstance(made, Report)
    return html_page.page(from_worker(made, "the worker's report"))


def _earlier(path: Path) -> Earlier:
    """Of a worker that writes another format nothing is known here."""
    try:
        with open(path, "rb") as file:
            kept = read(Report, file.read(READ_LIMIT))
    except OSError:
        return Earlier()
    if not isinstance(kept, Report):
        return Earlier()
    proved = {entry.id: entry for entry in kept.proofs if entry.verdict == Verdict.EVACUATED.value}
    return Earlier(kept.events[-EVENTS_KEPT:], kept.lost or 0.0, proved)
