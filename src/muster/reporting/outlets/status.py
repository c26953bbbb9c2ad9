# SPDX-License-Identifier: Apache-2.0
"""The status: a file for the monitor of this controller, and the same for commands on the others."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Callable
from dataclasses import replace as replace_fields
from pathlib import Path

from muster import parameters
from muster.core.decide import Incident
from muster.core.errors import ClusterError
from muster.core.findings import State
from muster.core.ports import ClockPort
from muster.log import Log
from muster.reporting import report
from muster.reporting.documents import KnownCapacity, Readiness, Shared, SharedEvent, StatusFile, as_json
from muster.reporting.outlets import Quiet
from muster.reporting.outlets.files import complain, replace
from muster.reporting.report import BUSY, Event

ANNOUNCE_EVERY_S = 1.0
SHARE_EVERY_S = 3.0
SHARE_AGAIN_S = 60.0
SHARE_SELDOM_S = 900.0
"""Pacemaker logs each value on every controller: the longer nothing is new, the more seldom it is shared again."""
READINESS_AGAIN_S = 600.0
"""So often the time of a look at the readiness is shared that has found nothing new."""
EVENTS_SHOWN = 8
SHARE_LIMIT = 120_000
"""In bytes: it is handed on as one argument, and Linux takes 131,071 in one (execve(2), MAX_ARG_STRLEN)."""


class Status(Quiet):
    """:param path: ``/run/muster/RESOURCE.json``.
    :param share: hands the status on to the other controllers.
    :param readiness: gives what was found by now; ``capacity`` as well.
    """

    def __init__(
        self,
        path: Path,
        clock: ClockPort,
        log: Log,
        share: Callable[[str], None] = lambda text: None,
        readiness: Callable[[], Readiness] = Readiness,
        capacity: Callable[[], KnownCapacity] = KnownCapacity,
    ) -> None:
        self._path = path
        self._hand_on = share
        self._readiness = readiness
        self._capacity = capacity
        self._looked_at = 0.0
        self._shared = ""
        self._shared_at = -SHARE_EVERY_S
        self._news_at = 0.0
        self._again_s = 0.0
        self._latest: deque[Event] = deque(maxlen=EVENTS_SHOWN)
        self._clock = clock
        self._log = log
        self._status = StatusFile(pid=os.getpid(), version=parameters.version())

    def announce(self, silence_s: float) -> None:
        deadline = self._clock.monotonic() + silence_s
        if abs(deadline - self._status.deadline) >= ANNOUNCE_EVERY_S:
            self._status = replace_fields(self._status, deadline=deadline)
            self._write()

    def status(self, reason: str, incidents: list[Incident]) -> None:
        told = tuple(report.summary(incident) for incident in incidents)
        found = {"readiness": self._readiness(), "capacity": self._capacity()}
        shown = replace_fields(self._status, first_look=True, reason=reason, incidents=told, **found)  # type: ignore[arg-type]
        if shown != self._status:
            self._status = shown
            self._write()

    def event(self, event: Event) -> None:
        """The next status has it."""
        self._latest.append(event)

    def share(self) -> None:
        """Pacemaker logs each value on every controller, so not for every second that something waits.

        What is shared says within how many seconds it is shared again, news or not; 0 for only with news.
        """
        known = self._status
        told = Shared(
            pid=known.pid,
            version=known.version,
            reason=known.reason,
            incidents=known.incidents,
            readiness=known.readiness,
            capacity=known.capacity,
            events=tuple(SharedEvent(e.at, e.node, e.what, e.server, e.name) for e in self._latest),
        )
        looked_at = told.readiness.at
        timeless = replace_fields(
            told,
            readiness=replace_fields(told.readiness, at=float(looked_at > 0)),
            capacity=replace_fields(told.capacity, at=float(told.capacity.at > 0), requests=0),
        )
        news = re.sub(r"\d+ s\b", "", json.dumps(as_json(timeless)))
        now = self._clock.monotonic()
        since_s, is_new = now - self._shared_at, news != self._shared
        again = (self._again_s and since_s >= self._again_s) or (
            looked_at != self._looked_at and since_s >= READINESS_AGAIN_S
        )
        if (is_new and since_s >= SHARE_EVERY_S) or again:
            self._shared, self._shared_at, self._looked_at = news, now, looked_at
            self._news_at = now if is_new else self._news_at
            busy = any(incident.state in BUSY for incident in told.incidents)
            pause_s = min(SHARE_SELDOM_S, max(SHARE_AGAIN_S, now - self._news_at))
            self._again_s = pause_s if busy else 0.0
            try:
                self._hand_on(_short(replace_fields(told, at=round(self._clock.now(), 1), again_s=self._again_s)))
            except ClusterError as exc:
                self._again_s = pause_s
                self._log.warning("status not shared", reason=str(exc), remedy="other controllers show the one before")

    def _write(self) -> None:
        whole = as_json(replace_fields(self._status, at=self._clock.now()))
        try:
            replace(self._path, json.dumps(whole).encode(), 0o644)
        except OSError as exc:
            complain(self._log, exc)


def _short(told: Shared) -> str:
    """As JSON, without ever more of what is longest until it fits: the servers that wait, then reasons, then hosts.
    What waits for a person stays for longest."""
    text = json.dumps(as_json(told))
    if len(text) <= SHARE_LIMIT:
        return text
    full = sorted(told.incidents, key=lambda it: (it.state != State.BLOCKED.value, -it.servers.get("held", 0)))
    plain = [replace_fields(incident, waiting=()) for incident in full]
    brief = [replace_fields(incident, reason=incident.reason[:80]) for incident in plain]
    ways = [[*full[:n], *plain[n:]] for n in (100, 50, 20, 10, 5, 0)] + [brief]
    ways += [brief[:n] for n in range(len(brief) // 50 * 50, -1, -50)]
    made = [replace_fields(told, incidents=tuple(shown), shortened=True) for shown in ways]
    made.append(replace_fields(made[-1], reason=told.reason[:300], events=()))
    shorter = (json.dumps(as_json(one)) for one in made)
    return next(text for text in shorter if len(text) <= SHARE_LIMIT)
