# SPDX-License-Identifier: Apache-2.0
"""How far clocks may be apart and how late things may show, where several modules rely on the same."""

from __future__ import annotations

SKEW_S = 60.0
"""How far Nova's clock and ours may be apart, and how long a fact may take to show."""
HEARTBEAT_SKEW_S = 5.0
"""The same where a time of Nova's, turned into one of our clock, is compared with a fencing or an order."""
LOOKED_AFTER_S = 12.0
"""Services are read every 10 s, so who has read them so much after a heartbeat's time has seen it."""


def resumed_s(late_call_s: float, beats_every_s: float) -> float:
    """For how long one who takes over waits: for the calls of the one before, and for a heartbeat that it has seen."""
    return max(late_call_s, beats_every_s + LOOKED_AFTER_S)
