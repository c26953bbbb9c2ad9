# SPDX-License-Identifier: Apache-2.0
"""Where the worker leaves what it sees: the status file for monitor and people, a report for each incident.

Lost without harm.  Files are written beside and renamed, so a reader finds the old or the new, never half.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from muster import report
from muster.decide import Incident
from muster.log import Log
from muster.ports import ClockPort

REPORT_DIRECTORY = Path("/var/lib/muster")
REPORTS_KEPT = 200
ANNOUNCE_EVERY_S = 1.0


class Files:
    """:param status_file: ``/run/muster/RESOURCE.json``."""

    def __init__(self, status_file: Path, clock: ClockPort, log: Log, reports: Path = REPORT_DIRECTORY) -> None:
        self._status_file = status_file
        self._clock = clock
        self._log = log
        self._reports = reports
        self._status: dict[str, Any] = {"pid": os.getpid(), "first_look": False, "reason": "", "incidents": []}
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

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', incident.node)}-{incident.first}.json"
        try:
            self._reports.mkdir(mode=0o750, parents=True, exist_ok=True)
            _replace(self._reports / name, {**data, "written": round(self._clock.now(), 1)}, 0o640)
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
