# SPDX-License-Identifier: Apache-2.0
"""What may go wrong with a single call, and how often; drawn from the history's one source of chance."""

from __future__ import annotations

import random
from collections import Counter

READS = ("unavailable", "timeout", "slow", "stale", "by a proxy", "limited")
WRITES = ("unavailable", "refused", "lost-before", "lost-after", "late", "failed", "by a proxy", "limited")
PROXY_SAYS = (300, 302, 403, 404, 413, 502)
"""An ingress, a firewall or a load balancer, in its own words: they say nothing about what was asked (facts.md N39)."""
HALF_PAUSE_S = 600.0
CLUSTER_WRITES = ("lost-before", "lost-after")


class Faults:
    """:ivar injected: how many of each kind there were."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.reads = self.writes = self.cluster_writes = self.deaths = 0.0
        self.halves = self.half_at = 0.0
        self.kinds_of_writes: tuple[str, ...] = WRITES
        self.injected: Counter[str] = Counter()

    def calm(self) -> None:
        self.reads = self.writes = self.cluster_writes = self.deaths = self.halves = 0.0

    def note(self, what: str) -> None:
        self.injected[what] += 1

    def draw_death(self) -> bool:
        """Whether a worker dies at this effect."""
        return bool(self.deaths) and self._rng.random() < self.deaths

    def draw_half(self, now: float) -> bool:
        """Whether a cell is left out of this one list; once in a history, for no two lists can be trusted then."""
        if not self.halves or now - self.half_at < HALF_PAUSE_S or self._rng.random() >= self.halves:
            return False
        self.half_at = now
        self.injected["read half"] += 1
        return True

    def draw_read(self) -> str:
        return self._draw(self.reads, READS, "read")

    def draw_write(self) -> str:
        return self._draw(self.writes, self.kinds_of_writes, "write")

    def draw_cluster_write(self) -> str:
        return self._draw(self.cluster_writes, CLUSTER_WRITES, "cluster write")

    def _draw(self, share: float, kinds: tuple[str, ...], where: str) -> str:
        if not share or self._rng.random() >= share:
            return ""
        kind = self._rng.choice(kinds)
        self.injected[f"{where} {kind}"] += 1
        return kind
