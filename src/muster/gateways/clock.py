# SPDX-License-Identifier: Apache-2.0
"""The only place that knows what time it is."""

from __future__ import annotations

import time


class Clock:
    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, the same in every process of this machine."""
        return time.monotonic()
