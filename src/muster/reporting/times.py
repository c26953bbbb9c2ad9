# SPDX-License-Identifier: Apache-2.0
"""Times and durations as people read them.  Does not know what time it is."""

from __future__ import annotations

import datetime
from typing import Optional

_STEPS = (
    (60, 1, 1, "s", ""),
    (3600, 60, 1, "min", "s"),
    (86400, 3600, 60, "h", "min"),
    (10**15, 86400, 3600, "d", "h"),
)
"""Up to so many seconds: the unit and its part, in seconds and in words."""


def clock(at: Optional[float]) -> str:
    """``2026-11-25 12:00:01 UTC``, in this machine's zone; empty for none."""
    if at is None:
        return ""
    try:
        when = datetime.datetime.fromtimestamp(at).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"{at:.0f}"
    return f"{when:%Y-%m-%d %H:%M:%S} {when.tzname() or ''}".rstrip()


def duration(seconds: Optional[float]) -> str:
    """``0.4 s``, ``12 s``, ``4 min 5 s``, ``3 h 20 min``, ``2 d 4 h``; empty for none; ``-1.0 s`` before."""
    if seconds is None:
        return ""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    _, unit, part, big, small = next(step for step in _STEPS if whole < step[0])
    rest = whole % unit // part
    return f"{whole // unit} {big}" + (f" {rest} {small}" if rest else "")


def after(seconds: float) -> str:
    """``+30 s``, for the marks of a line of time."""
    whole = round(seconds)
    return f"+{whole} s" if whole < 60 else f"+{duration(whole)}"
