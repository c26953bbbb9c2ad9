# SPDX-License-Identifier: Apache-2.0
"""What operators decide about evacuations.  Each field is a parameter; ``ocf_meta/parameters.xml`` has its meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FailedHosts:
    """So many hosts, or so many of a hundred."""

    number: int
    percent: bool = False

    def hosts(self, total: int) -> int:
        """As a number of hosts, of ``total``; at least one, or a small cloud could never evacuate."""
        return max(1, math.floor(total * self.number / 100)) if self.percent else self.number


@dataclass(frozen=True)
class Policy:
    """The parameters that rules and engine read; :class:`muster.settings.Settings` adds those of the world outside."""

    shared_storage: bool
    in_flight: int
    per_destination: int
    attempts: int
    max_failed_hosts: FailedHosts
    evacuate: str
    tag: str
    left_to_others: tuple[tuple[str, str], ...]
    reset_states: frozenset[str]
    priority_key: str
    host_map: Mapping[str, str]
    target_map: Mapping[str, str]
    delay_s: int
    report_interval_s: int
    late_call_s: int
    retry_delay_s: int
    stuck_after_s: int
    return_: str
    flap_window_s: int
