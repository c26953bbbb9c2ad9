# SPDX-License-Identifier: Apache-2.0
"""What cannot be asked of Nova, why, and when it may be tried again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from muster.core.errors import NovaError

NOVA_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
LONGEST_READ_S = 120.0
SERVICES, EVACUATIONS, SERVERS = "services", "evacuations", "servers"
OF_ALL = (SERVICES, EVACUATIONS, SERVERS)
"""The kinds of reads that are for all incidents; each incident has its own, and each server that is read by itself."""


@dataclass(frozen=True)
class Trouble:
    """Of one kind of read, from its first failure until it succeeds again.

    :param again_at: when it may be tried next, by the monotonic clock.
    """

    words: str
    faults: int
    again_at: float


@dataclass
class Troubles:
    by_kind: dict[str, Trouble] = field(default_factory=dict)
    """By kind of read, or the node whose calls failed: what one costs the others is bounded."""
    message: str = ""
    """What people are told of all of them."""
    nova_wait: str = ""
    nova_again_at: float = 0.0
    """Nova asked for this, and for nothing to be asked before then, by the monotonic clock."""
    faults_counted: int = 0
    """Since this worker began."""

    def note_failed_read(self, kind: str, exc: NovaError, now: float, took_s: float = 0.0) -> None:
        """A read of this kind failed: it is left alone for a growing while; all are for as long as Nova asks for.

        :param now: by the monotonic clock.
        :param took_s: how long others had to wait for it: from the second time on it is left alone for as long, too, so
            that they have half of the time.
        """
        faults = self.faults(kind)
        pause = max(
            NOVA_BACKOFF_S[min(faults, len(NOVA_BACKOFF_S) - 1)], min(took_s, LONGEST_READ_S) if faults else 0.0
        )
        self.by_kind[kind] = Trouble(str(exc), faults + 1, now + pause)
        self.note_fault(exc, now)

    def note_read(self, kind: str) -> None:
        """It succeeded."""
        self.by_kind.pop(kind, None)

    def note_failed_call(self, node: str, exc: NovaError, now: float) -> None:
        """A call of this incident failed: one fault of Nova's is seldom alone."""
        self.by_kind[f"calls {node}"] = Trouble(str(exc), 1, now + NOVA_BACKOFF_S[0])
        self.note_fault(exc, now)

    def note_fault(self, exc: NovaError, now: float) -> None:
        self.faults_counted += 1
        self.message = str(exc)
        if exc.retry_after_s > 0.0:
            self.nova_wait = str(exc)
            self.nova_again_at = max(self.nova_again_at, now + min(exc.retry_after_s, NOVA_BACKOFF_S[-1]))

    def say(self, message: str) -> None:
        self.message = message

    def keep(self, about: Collection[str]) -> None:
        """Only those of what is still asked for: of all, and of these nodes and servers; none without any."""
        kept = {kind for kind in self.by_kind if kind in OF_ALL or kind.partition(" ")[2] in about}
        self.by_kind = {kind: self.by_kind[kind] for kind in self.by_kind if about and kind in kept}

    def may_ask(self, now: float) -> bool:
        return now >= self.nova_again_at

    def may_read(self, kind: str, now: float) -> bool:
        trouble = self.by_kind.get(kind)
        return now >= max(self.nova_again_at, trouble.again_at if trouble else 0.0)

    def faults(self, kind: str) -> int:
        """How often in a row this kind of read has failed."""
        trouble = self.by_kind.get(kind)
        return trouble.faults if trouble else 0

    @property
    def lists_fail(self) -> bool:
        """What is asked for all incidents together cannot be had."""
        return EVACUATIONS in self.by_kind or SERVERS in self.by_kind

    def of_all(self, now: float) -> str:
        """Why nothing can be decided about any incident; empty when something can."""
        if now < self.nova_again_at:
            return self.nova_wait
        return self.by_kind[SERVICES].words if SERVICES in self.by_kind else ""

    def call_failed(self, node: str, now: float) -> str:
        calls = self.by_kind.get(f"calls {node}")
        return calls.words if calls and now < calls.again_at else ""

    def list_failed(self, node: str) -> str:
        """Why what hangs on the lists of this host alone cannot be decided."""
        return self._first_of(f"list {node}")

    def any_list_failed(self, node: str) -> str:
        """Why what hangs on any list cannot be decided."""
        return self._first_of(f"list {node}", EVACUATIONS, SERVERS)

    def _first_of(self, *kinds: str) -> str:
        return next((self.by_kind[kind].words for kind in kinds if kind in self.by_kind), "")
