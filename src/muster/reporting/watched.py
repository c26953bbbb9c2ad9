# SPDX-License-Identifier: Apache-2.0
"""What of the status file the monitor lives on: the same in every format, for an upgrade leaves the old worker running.

It is read every few seconds by a process of its own, so nothing is imported but JSON: the whole document would cost the
monitor two thirds of its time once more (:mod:`muster.reporting.documents`, ``StatusFile``).
"""

from __future__ import annotations

import json

TIME_END = 1e11
"""The year 5138: no time is later."""


class Watched:
    """:ivar first_look: the worker has seen cluster and Nova once.
    :ivar deadline: when it will have been heard of again, by the clock that no one sets; 0.0: it has not said so.
    """

    __slots__ = ("deadline", "first_look")

    def __init__(self, first_look: bool = False, deadline: float = 0.0) -> None:
        self.first_look = first_look
        self.deadline = deadline

    @classmethod
    def read(cls, text: str) -> Watched:
        """Whatever is not what it should be reads as if it were not there."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(value, dict):
            return cls()
        return cls(value.get("first_look") is True, _time(value.get("deadline")))

    def overdue_s(self, now: float) -> float:
        """How long the worker is silent beyond the time that it announced; 0.0 within it."""
        return max(0.0, now - self.deadline) if self.deadline else 0.0


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 <= value < TIME_END else 0.0
