# SPDX-License-Identifier: Apache-2.0
"""All choices that Nova may make, one after another, while there are few.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from muster.planning.cloud import Apart, Kind, Vector, fits, less

SEARCHED = 4000
"""So many steps; after that nothing is found out."""


class Search:
    """All choices, one after another, while there are few."""

    def __init__(self, left: Mapping[str, Vector], apart: Mapping[str, Apart]) -> None:
        self._left, self._apart = left, apart
        self._steps = SEARCHED

    def blocks(self, kind: Kind, hosts: Sequence[str], others: Counter[Kind]) -> Optional[bool]:
        kinds = sorted(others, key=lambda one: one.order)
        counts = tuple(others[one] for one in kinds)
        # The fullest first: they have the fewest ways.
        order = sorted(hosts, key=lambda host: self._left[host])
        dead_ends: set[tuple[int, tuple[int, ...]]] = set()

        def closes(at: int, counts: tuple[int, ...]) -> bool:
            if at == len(order):
                return True
            if (at, counts) in dead_ends:
                return False
            for rest in self._ways(kind, order[at], kinds, counts):
                if closes(at + 1, rest):
                    return True
            dead_ends.add((at, counts))
            return False

        try:
            return closes(0, counts)
        except _TooMany:
            return None

    def _ways(self, kind: Kind, host: str, kinds: Sequence[Kind], counts: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
        """What remains of the others after some of them have left the host without room; no more than it takes."""

        def fill(first: int, counts: tuple[int, ...], left: Vector, on: Counter[str]) -> Iterable[tuple[int, ...]]:
            self._step()
            if not fits(kind.size, left) or not self._takes(kind, host, on):
                yield counts
                return
            for index in range(first, len(kinds)):
                one = kinds[index]
                if counts[index] and host in one.may and fits(one.size, left) and self._takes(one, host, on):
                    fewer = (*counts[:index], counts[index] - 1, *counts[index + 1 :])
                    yield from fill(index, fewer, less(left, one.size), _with(on, one))

        yield from fill(0, counts, self._left[host], Counter())

    def places(self, guests: Counter[Kind]) -> Optional[bool]:
        """Whether there is no way to give everybody a host."""
        kinds = sorted(guests, key=lambda one: one.order, reverse=True)
        everybody = [kind for kind in kinds for _ in range(guests[kind])]
        left = dict(self._left)
        on: dict[str, Counter[str]] = {host: Counter() for host in left}
        seen: set[tuple[int, tuple[Vector, ...]]] = set()
        interchangeable = not self._apart and all(kind.may >= left.keys() for kind in kinds)

        def placed(at: int) -> bool:
            self._step()
            if at == len(everybody):
                return True
            one = everybody[at]
            key = (at, tuple(left.values()))
            if not self._apart and key in seen:
                return False
            tried = set()
            for host in sorted(one.may & left.keys(), key=lambda name: (left[name], name)):
                alike = (left[host], "" if interchangeable else host)
                if alike in tried or not fits(one.size, left[host]) or not self._takes(one, host, on[host]):
                    continue
                tried.add(alike)
                before = left[host]
                left[host] = less(before, one.size)
                on[host][one.apart] += 1
                if placed(at + 1):
                    return True
                left[host] = before
                on[host][one.apart] -= 1
            seen.add(key)
            return False

        try:
            return not placed(0)
        except (_TooMany, RecursionError):
            return None

    def _takes(self, kind: Kind, host: str, on: Counter[str]) -> bool:
        if not kind.apart:
            return True
        group = self._apart[kind.apart]
        return group.on.get(host, 0) + on[kind.apart] < group.most

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise _TooMany


class _TooMany(Exception):
    """The search has taken all its steps."""


def _with(on: Counter[str], kind: Kind) -> Counter[str]:
    return on + Counter([kind.apart]) if kind.apart else on
