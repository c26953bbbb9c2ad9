# SPDX-License-Identifier: Apache-2.0
"""Where the worker leaves what it sees: the status for monitor and people, a report for each incident.

Lost without harm.  Files are written beside and renamed, so a reader finds the old or the new, never half.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from muster import meta, report
from muster.decide import Incident
from muster.log import Log
from muster.ports import ClockPort
from muster.report import Event

REPORT_DIRECTORY = Path("/var/lib/muster")
REPORTS_KEPT = 200
ANNOUNCE_EVERY_S = 1.0
SHARE_EVERY_S = 3.0
EVENTS_SHOWN = 8
EVENTS_KEPT = 5000
"""Of one incident."""


class Files:
    """:param status_file: ``/run/muster/RESOURCE.json``.
    :param share: hands the status on to the other controllers.
    """

    def __init__(
        self,
        status_file: Path,
        clock: ClockPort,
        log: Log,
        reports: Path = REPORT_DIRECTORY,
        share: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._status_file = status_file
        self._share = share
        self._shared = ""
        self._shared_at = -SHARE_EVERY_S
        self._events: dict[str, deque[Event]] = {}
        self._latest: deque[Event] = deque(maxlen=EVENTS_SHOWN)
        self._clock = clock
        self._log = log
        self._reports = reports
        self._status: dict[str, Any] = {
            "pid": os.getpid(),
            "version": meta.version(),
            "first_look": False,
            "reason": "",
            "incidents": [],
        }
        self._deadline = 0.0
        self._wrote = False

    def announce(self, silence_s: float) -> None:
        deadline = self._clock.monotonic() + silence_s
        if abs(deadline - self._deadline) >= ANNOUNCE_EVERY_S:
            self._deadline = deadline
            self._write_status()

    def status(self, reason: str, incidents: list[Incident]) -> None:
        shown = {"first_look": True, "reason": reason, "incidents": [report.summary(i) for i in incidents]}
        if {**self._status, **shown} != self._status:
            self._status.update(shown)
            self._write_status()

    def event(self, event: Event) -> None:
        """Something changed: the next status and the next report of its incident have it."""
        self._latest.append(event)
        self._events.setdefault(event.node, deque(maxlen=EVENTS_KEPT)).append(event)

    def share(self) -> None:
        """Pacemaker logs each value on every controller, so not for every second that something waits."""
        status = {key: value for key, value in self._status.items() if key != "first_look"}
        told = {**status, "events": [asdict(event) for event in self._latest]}
        news = re.sub(r"\d+ s\b", "", json.dumps(told))
        now = self._clock.monotonic()
        if news != self._shared and now - self._shared_at >= SHARE_EVERY_S:
            self._shared, self._shared_at = news, now
            self._share(json.dumps({**told, "at": round(self._clock.now(), 1)}))

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', incident.node)}-{incident.first}.json"
        try:
            self._reports.mkdir(mode=0o750, parents=True, exist_ok=True)
            events = [e for e in self._events.get(incident.node, ()) if e.at >= incident.first]
            told = [{key: value for key, value in asdict(e).items() if key != "node"} for e in events]
            whole = {**data, "events": told, "written": round(self._clock.now(), 1)}
            _replace(self._reports / name, whole, 0o640)
            self._drop_old()
        except OSError as exc:
            self._complain(exc)

    def _write_status(self) -> None:
        try:
            _replace(self._status_file, {**self._status, "deadline": self._deadline, "at": self._clock.now()}, 0o644)
        except OSError as exc:
            self._complain(exc)
        else:
            self._wrote = True

    def _drop_old(self) -> None:
        files = sorted(self._reports.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in files[:-REPORTS_KEPT]:
            path.unlink()

    def _complain(self, exc: OSError) -> None:
        self._log.warning(
            "cannot write", file=exc.filename, reason=exc.strerror, remedy="free space, or its permissions"
        )


def _replace(path: Path, data: object, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file)
            os.fchmod(file.fileno(), mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
