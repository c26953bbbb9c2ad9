# SPDX-License-Identifier: Apache-2.0
"""The only place that knows what time it is, here and at Nova."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import fields, replace
from email.utils import parsedate_to_datetime
from typing import Any, Optional, TypeVar

from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, Server, Service

Fact = TypeVar("Fact", Service, Server, Evacuation, CallTrace, ActionLog)
TIMES = frozenset(
    {"updated_at", "created", "updated", "at", "landed", "ended", "waits_at", "failed_at", "spawn_failed_at"}
)
ANSWERS = 16


def _since_boot() -> float:
    """Goes on while the machine is suspended, as the world does; no step of the wall clock moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Wall time that nothing sets while somebody waits by it: it follows the wall clock at :meth:`anchor` alone.

    :ivar nova: how far Nova's clock is ahead of this one.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = _since_boot) -> None:
        self._wall = wall
        self._steady = steady
        self.nova = NovaClock()
        self.anchor()

    def now(self) -> float:
        """Unix seconds."""
        return self._base + self._steady()

    def monotonic(self) -> float:
        """Seconds that never go back, the same in every process of this machine."""
        return time.monotonic()

    def anchor(self) -> None:
        """Nobody waits for anything, so take the wall clock's word, and Nova's with its next answer."""
        self._base = self._wall() - self._steady()
        self.nova.forget()


class NovaClock:
    """How far Nova's clock is ahead of ours, by the header Date of its answers.

    That is the clock of the API's host, or of a proxy that writes its own Date.  Rows are stamped by who saves them:
    nova-api, and nova-conductor for the computes (oslo.db, models.TimestampMixin).  How far a conductor is behind
    cannot be measured; one that is ahead shows by heartbeats of the future.

    :ivar ahead_s: fixed by the first answer after :meth:`forget`, so that what was read and what will be compare.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._fixed = False
        self._answers: deque[tuple[float, float]] = deque(maxlen=ANSWERS)

    def forget(self) -> None:
        self._fixed = False
        self._answers.clear()

    def note(self, asked_at: float, answered_at: float, date: Optional[str]) -> None:
        """:param date: whole seconds, written at some moment between the two."""
        try:
            theirs = parsedate_to_datetime(date or "").timestamp()
        except (TypeError, ValueError, IndexError, OverflowError):
            return
        self.note_time(asked_at, answered_at, theirs)

    def note_time(self, asked_at: float, answered_at: float, theirs: float) -> None:
        least, most = theirs - answered_at, theirs + 1.0 - asked_at
        self._answers.append((least, most))
        if not self._fixed:
            self._fixed, self.ahead_s = True, max(least, min(0.0, most))

    @property
    def apart_s(self) -> float:
        """How far the last answers are from each other, or from what is reckoned with, for certain.  A clock of Nova's
        that was set stays apart: rows of before and after its step do not compare, whatever is reckoned with."""
        if not self._answers:
            return 0.0
        least, most = (max(a[0] for a in self._answers), min(a[1] for a in self._answers))
        return max(0.0, max(least, self.ahead_s) - min(most, self.ahead_s))

    def ours(self, theirs: float) -> float:
        """One of Nova's times by our clock; 0.0 stays no time."""
        return theirs - self.ahead_s if theirs else 0.0

    def translated(self, fact: Fact) -> Fact:
        """With its times by our clock."""
        if not self.ahead_s:
            return fact
        times: dict[str, Any] = {f.name: self.ours(getattr(fact, f.name)) for f in fields(fact) if f.name in TIMES}
        return replace(fact, **times)

    def theirs(self, ours: float) -> float:
        return ours + self.ahead_s
