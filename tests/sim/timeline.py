# SPDX-License-Identifier: Apache-2.0
"""Virtual time: what is to happen, in order.  Nobody here ever waits for real."""

from __future__ import annotations

import heapq
from typing import Callable

from muster.gateways.clock import Clock as RealClock


class Timeline:
    """:param now: Unix seconds at which the world begins."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay_s, self._count, what))

    def pass_to(self, when: float) -> None:
        """Everything due until then happens; an event may let time pass itself, as a call inside a call."""
        heap = self._heap
        while heap and heap[0][0] <= when:
            at, _, what = heapq.heappop(heap)
            self.now = max(self.now, at)
            what()
        self.now = max(self.now, when)

    def pass_by(self, seconds: float) -> None:
        self.pass_to(self.now + seconds)


class Clock(RealClock):
    """The engine's own clock over a timeline.

    :param off_s: how far the wall clock of its controller is off now.
    """

    def __init__(self, timeline: Timeline, off_s: Callable[[], float] = lambda: 0.0) -> None:
        self._timeline = timeline
        super().__init__(lambda: timeline.now + off_s(), lambda: timeline.now)

    def monotonic(self) -> float:
        return self._timeline.now
