# SPDX-License-Identifier: Apache-2.0
"""How long Nova is waited for when it lists, and how much it is asked for at once: learned from its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from muster.core.errors import NovaUnavailable
from muster.gateways.nova.faults import broke, timed_out
from muster.gateways.nova.login import CELLS_TIMEOUT_S

PAGE = 1000
PAGE_MIN = 50
EASY = 4
"""Pages grow again when a full one took no more than the fourth part of the time that it has."""
SLOW = 2
"""A list is given longer as long as it takes more than half of the time that it has otherwise."""

T = TypeVar("T")
Ask = Callable[[int, float], T]
"""Asks once, for so many rows (0: all) and so long (seconds)."""


class Patience:
    """A page that takes too long is asked for at half its size, and if that came in time, so are those after it.

    If it did not, the size was not to blame: Nova may be waiting for a cell whose database hangs, and answers without
    it later than a read waits.  The next one is given that long, at the size of before; only once, for a Nova that
    does not answer at all is not to be waited for so long each time.
    """

    def __init__(self) -> None:
        self.page = PAGE
        self._slow: set[str] = set()

    def read(self, what: str, most: int, timeout_s: float, ask: Ask[T]) -> T:
        """An answer, asked for once more when it broke off or did not come in time.

        :param what: the list; what is learned of it holds for its next one.
        :param most: rows at once; 0 for a list that has no pages.
        """
        size = min(most, self.page)
        if what in self._slow:
            self._slow.discard(what)
            return self._read_long(size, max(CELLS_TIMEOUT_S, timeout_s), ask)
        try:
            return ask(size, timeout_s)
        except NovaUnavailable as exc:
            if not broke(exc):
                raise
            smaller = _half(size) if timed_out(exc) else size
        try:
            answer = ask(smaller, timeout_s)
        except NovaUnavailable as exc:
            if timed_out(exc):
                self._slow.add(what)
            raise
        if smaller < size:
            self.page = smaller
        return answer

    def _read_long(self, size: int, timeout_s: float, ask: Ask[T]) -> T:
        try:
            return ask(size, timeout_s)
        except NovaUnavailable as exc:
            if timed_out(exc) and _half(size) < size:
                self.page = _half(size)
            raise

    def note(self, what: str, rows: int, took_s: float, timeout_s: float) -> None:
        """How long an answer with so many rows took."""
        if took_s * SLOW > timeout_s:
            self._slow.add(what)
        elif rows >= self.page and took_s * EASY <= timeout_s:
            self.page = min(PAGE, 2 * self.page)


def _half(size: int) -> int:
    return min(size, max(PAGE_MIN, size // 2))
