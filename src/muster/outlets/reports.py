# SPDX-License-Identifier: Apache-2.0
"""A report for each incident: a file of JSON at each change, and a page for people when it is settled or over."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from muster import page
from muster.decide import Incident
from muster.log import Log
from muster.outlets import Quiet
from muster.outlets.files import complain, replace
from muster.ports import ClockPort
from muster.report import Event
from muster.story import from_worker, incident_name
from muster.verdict import State

DIRECTORY = Path("/var/lib/muster")
KEPT = 200
EVENTS_KEPT = 5000
"""Of one incident, beside those of the host itself: a thousand servers must not crowd out how it began."""
READ_LIMIT = 50_000_000
"""In bytes; no report of ours is that long."""
WITH_PAGE = (State.SETTLED, State.CLOSED)


class Reports(Quiet):
    def __init__(self, clock: ClockPort, log: Log, directory: Path = DIRECTORY) -> None:
        self._clock = clock
        self._log = log
        self._directory = directory
        self._events: dict[tuple[str, bool], deque[dict[str, Any]]] = {}
        """By node, and whether they are of its servers: as the report shows them."""
        self._earlier: dict[str, list[dict[str, Any]]] = {}

    def event(self, event: Event) -> None:
        """The next report of its incident has it."""
        shown = {key: value for key, value in asdict(event).items() if key != "node" and value}
        self._events.setdefault((event.node, bool(event.server)), deque(maxlen=EVENTS_KEPT)).append(shown)

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        name = incident_name(incident.node, incident.first)
        new = name not in self._earlier
        whole = {**data, "events": self._told(name, incident), "written": round(self._clock.now(), 1)}
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            replace(self._directory / f"{name}.json", json.dumps(whole).encode(), 0o640)
            if incident.state in WITH_PAGE:
                replace(self._directory / f"{name}.html", page.page(from_worker(whole, "the worker's report")), 0o640)
            if new:
                self._drop_old()
        except OSError as exc:
            complain(self._log, exc)
        if incident.state is State.CLOSED:
            self._earlier.pop(name, None)
            for of_servers in (False, True):
                self._events.pop((incident.node, of_servers), None)

    def _told(self, name: str, incident: Incident) -> list[dict[str, Any]]:
        """The events of this incident; also those that an earlier worker here has left in its report."""
        if name not in self._earlier:
            self._earlier[name] = _events_in(self._directory / f"{name}.json")
        kept = [event for of in (False, True) for event in self._events.get((incident.node, of), ())]
        ours = sorted((e for e in kept if e.get("at", 0.0) >= incident.first), key=lambda e: float(e.get("at", 0.0)))
        return [*self._earlier[name], *ours]

    def _drop_old(self) -> None:
        files = sorted(self._directory.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in files[:-KEPT]:
            path.unlink()
            path.with_suffix(".html").unlink(missing_ok=True)


def _events_in(path: Path) -> list[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            kept = json.loads(file.read(READ_LIMIT))
    except (OSError, ValueError):
        return []
    events = kept.get("events") if isinstance(kept, dict) else None
    found = [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []
    return found[-EVENTS_KEPT:]
