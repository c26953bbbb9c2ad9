# SPDX-License-Identifier: Apache-2.0
"""How many hosts may die together, found out at a low pace by a process beside the worker.

It is a process of its own, for a large cloud takes seconds of calculation and many megabytes, and the worker has to be
quick when a host dies.  The worker waits for none of it, and ends it as soon as there is something to evacuate.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional, Protocol

from muster.core.decide import Incident
from muster.core.ports import ClockPort
from muster.gateways.child_process import Ended
from muster.log import Log
from muster.reporting.documents import KnownCapacity, from_json
from muster.reporting.outlets import Quiet
from muster.reporting.report import BUSY

FIRST_S = 60.0
"""After the worker's beginning, and after an incident."""
SELDOM = 500.0
"""So many times what a look costs in time of the processor has to pass until the next one."""
TIMEOUT_S = 240.0
WORDS_LIMIT = 2000
WHY_LIMIT = 300


class Beside(Protocol):
    """A process beside us."""

    def ended(self) -> Optional[Ended]: ...
    def kill(self) -> None: ...


class CapacityLooks(Quiet):
    """:param start: begins a look; what it says last is a line of JSON, or why it could not.  Raises OSError.
    :param may_look: the worker knows what incidents there are.
    :ivar found: by the last look that has ended.
    """

    def __init__(
        self, start: Callable[[], Beside], every_s: float, may_look: Callable[[], bool], clock: ClockPort, log: Log
    ) -> None:
        self.found = KnownCapacity()
        self._start = start
        self._every_s = every_s
        self._may_look = may_look
        self._clock = clock
        self._log = log
        self._running: Optional[Beside] = None
        self._cut_off = False
        self._due = clock.monotonic() + FIRST_S
        self._said = ""

    def status(self, reason: str, incidents: list[Incident]) -> None:
        busy = any(it.state.value in BUSY for it in incidents)
        now = self._clock.monotonic()
        if self._running is not None:
            if busy and not self._cut_off:
                self._running.kill()
                self._cut_off = True
            self._reap(self._running)
        if busy:
            self._due = now + FIRST_S
        elif self._running is None and now >= self._due and self._may_look():
            self._due = now + self._every_s
            try:
                self._running, self._cut_off = self._start(), False
            except OSError as exc:
                self._failed(f"cannot be started: {exc.strerror}")

    def close(self) -> None:
        if self._running is not None:
            self._running.kill()

    def _reap(self, running: Beside) -> None:
        ended = running.ended()
        if ended is None:
            return
        self._running = None
        if self._cut_off:
            return
        last = (ended.words.splitlines() or [""])[-1]
        told = _told(last) if ended.code == 0 else None
        if told is None:
            self._failed(f"not found out within {TIMEOUT_S:g} s" if ended.killed else last or f"exit {ended.code}")
            return
        cost_s = told.pop("cpu_s", 0.0)
        found = from_json(KnownCapacity, told)
        assert isinstance(found, KnownCapacity)
        if isinstance(cost_s, float):
            self._due = max(self._due, self._clock.monotonic() + SELDOM * cost_s)
        if found.trouble:
            self._failed(found.trouble)
        else:
            self.found, self._said = replace(found, at=round(self._clock.now(), 1)), ""

    def _failed(self, why: str) -> None:
        self.found = replace(self.found, trouble=why[:WHY_LIMIT])
        if why != self._said:
            self._log.warning("capacity not known", reason=why, remedy="muster capacity says more")
        self._said = why


def _told(line: str) -> Optional[dict[str, Any]]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
