# SPDX-License-Identifier: Apache-2.0
"""CPU time of this process by part, without that of the world that stands around it in memory."""

from __future__ import annotations

import time
from typing import Any, Callable


class Meter:
    """CPU seconds by part; what is spent inside of the simulated world counts nowhere."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._outside = 0.0

    def of(self, part: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            began, outside = time.process_time(), self._outside
            try:
                return do(*args, **named)
            finally:
                own = time.process_time() - began - (self._outside - outside)
                self.spent[part] = self.spent.get(part, 0.0) + own

        return timed

    def outside(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def left_out(*args: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return do(*args, **named)
            finally:
                self._outside += time.process_time() - began

        return left_out


class Ports:
    """A port of which every method counts as outside."""

    def __init__(self, port: object, meter: Meter) -> None:
        self._port, self._meter = port, meter

    def __getattr__(self, name: str) -> Any:
        return self._meter.outside(getattr(self._port, name))
