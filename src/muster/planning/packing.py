# SPDX-License-Identifier: Apache-2.0
"""Whether the guests of dead hosts find room on those that live, whichever of them Nova chooses.  Pure.

Nova places one server at a time, on any host that takes it: which one is up to its weights, and to chance among equals.
So a server is only promised to be saved where no choice for the others can leave it without a host.  What others can
take is bounded by weighing (``brings``), or searched for where there is little of it.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Optional

from muster.planning.cloud import Cloud, Guest, Kind, Names, Vector, fits, kind_of
from muster.planning.search import Search

SEARCHED_HOSTS = 10
"""Only among so few hosts is anything searched for."""
WEIGHINGS = 6


class Fate(enum.Enum):
    """What becomes of a server if these hosts die together."""

    SAVED = "saved"
    DEPENDS = "depends"
    LOST = "lost"
    UNJUDGED = "cannot say"


def fates(cloud: Cloud, dead: Collection[str]) -> dict[str, Fate]:
    """By server, of those on the dead hosts."""
    guests = cloud.of(dead)
    case = _Case(cloud, frozenset(dead), guests)
    known: dict[Kind, Fate] = {}
    found = {}
    for guest in guests:
        if guest.unjudged:
            found[guest.id] = Fate.UNJUDGED
            continue
        kind = kind_of(guest)
        if kind not in known:
            known[kind] = case.fate(kind)
        found[guest.id] = known[kind]
    return found


def doomed(cloud: Cloud, dead: Collection[str]) -> Optional[bool]:
    """Whether somebody stays down whatever Nova chooses; None where that is not found out."""
    return _Case(cloud, frozenset(dead), [g for g in cloud.of(dead) if not g.unjudged]).doomed()


class _Case:
    """Some hosts dead, and what is left of the cloud."""

    def __init__(self, cloud: Cloud, dead: Names, guests: Sequence[Guest]) -> None:
        self._apart = cloud.apart
        self._left = {host: left for host, left in cloud.left.items() if host not in dead}
        self._kinds = Counter(map(kind_of, guests))
        self._grain = grain(kind.size for kind in self._kinds)

    def fate(self, kind: Kind) -> Fate:
        if not any(self._room(kind, host) for host in kind.may):
            return Fate.LOST
        hosts = [host for host in kind.takes if self._room(kind, host)]
        others = self._kinds - Counter([kind])
        others = Counter({other: count for other, count in others.items() if not other.may.isdisjoint(hosts)})
        if hosts and (self._weighed(kind, hosts, others) or self._blocked(kind, hosts, others) is False):
            return Fate.SAVED
        return Fate.DEPENDS

    def _room(self, kind: Kind, host: str) -> bool:
        left = self._left.get(host)
        return left is not None and fits(kind.size, left) and self._free_of_group(kind, host) > 0

    def _free_of_group(self, kind: Kind, host: str) -> int:
        """How many more of its group the host takes; 1 without a group."""
        if not kind.apart:
            return 1
        group = self._apart[kind.apart]
        return group.most - group.on.get(host, 0)

    def _weighed(self, kind: Kind, hosts: Sequence[str], others: Counter[Kind]) -> bool:
        """No choice for the others leaves none of the hosts with room for one of this kind: a proof by weight."""
        mates = sum(count for other, count in others.items() if kind.apart and other.apart == kind.apart)
        gaps = [gap(self._left[host], kind.size, self._grain) for host in hosts]
        free = [self._free_of_group(kind, host) for host in hosts]
        sizes = [(other.size, count) for other, count in others.items()]
        for weights in weighings(kind.size, gaps, sizes):
            heavy = sum(count * brings(weights, size) for size, count in sizes)
            withstood = [needed(weights, one) for one in gaps]
            if sum(withstood) - by_group(withstood, free, mates) > heavy * (1 + 1e-9):
                return True
        return False

    def _blocked(self, kind: Kind, hosts: Sequence[str], others: Counter[Kind]) -> Optional[bool]:
        """Whether some choice for the others leaves no host with room for one of this kind; None: not found out."""
        if len(hosts) > SEARCHED_HOSTS:
            return None
        return Search(self._left, self._apart).blocks(kind, hosts, others)

    def doomed(self) -> Optional[bool]:
        if any(not any(self._room(kind, host) for host in kind.may) for kind in self._kinds):
            return True
        if self._overfull():
            return True
        if len(self._left) > SEARCHED_HOSTS:
            return None
        return Search(self._left, self._apart).places(self._kinds)

    def _overfull(self) -> bool:
        """All that may go to some hosts only is more than they have."""
        for hosts in {kind.may for kind in self._kinds}:
            bound = [(kind.size, count) for kind, count in self._kinds.items() if kind.may <= hosts]
            step = grain(size for size, _ in bound)
            lefts = [self._left[host] for host in hosts if host in self._left]
            for d, unit in enumerate(step):
                asked = sum(size[d] * count for size, count in bound)
                if unit and asked > sum(left[d] // unit * unit for left in lefts):
                    return True
        return False


# ------------------------------------------------------------------- by weight


def grain(sizes: Iterable[Vector]) -> Vector:
    """What every size is a multiple of, by resource."""
    return tuple(math.gcd(*column) for column in zip(*sizes))


def gap(left: Vector, size: Vector, step: Vector) -> tuple[float, ...]:
    """How much others must take of each resource before it does not fit any more.  What they take comes in steps."""
    return tuple(
        math.inf if not s or not unit else ((have - s) // unit + 1) * unit for have, s, unit in zip(left, size, step)
    )


def needed(weights: Sequence[float], one: Sequence[float]) -> float:
    """The least weight of others that leaves a host without room: by whichever resource."""
    return min((w * g for w, g in zip(weights, one) if g != math.inf), default=math.inf)


def brings(weights: Sequence[float], size: Vector) -> float:
    """The most weight that one of the others brings to whichever host, whichever resource counts there.

    On every host that is left without room one resource has run out, and there only that one is counted.  So the others
    bring no more than this each, and all hosts together need no less than the sum of ``needed``.
    """
    return max((w * s for w, s in zip(weights, size)), default=0.0)


def weighings(
    size: Vector, gaps: Sequence[Sequence[float]], others: Sequence[tuple[Vector, int]]
) -> Iterable[tuple[float, ...]]:
    """Weights worth trying: each is a proof of its own, if it is one.

    Those first by which each resource counts by how much of it the others ask for; then what is better, step by step.
    """
    counts = [any(one[d] != math.inf for one in gaps) for d in range(len(size))]
    asked = [sum(count * other[d] for other, count in others) or 1 for d in range(len(size))]

    def holds(weights: Sequence[float]) -> float:
        heavy = sum(count * brings(weights, other) for other, count in others)
        return sum(needed(weights, one) for one in gaps) / (heavy or 1e-9)

    best = tuple(1.0 / one if counted else 0.0 for one, counted in zip(asked, counts))
    yield best
    reached, factor = holds(best), 2.0
    for _ in range(WEIGHINGS):
        steps = [
            tuple(w * by if d == at else w for at, w in enumerate(best))
            for d, counted in enumerate(counts)
            if counted
            for by in (factor, 1 / factor)
        ]
        better = max(steps, key=holds, default=best)
        if holds(better) > reached * 1.001:
            best, reached = better, holds(better)
            yield best
        else:
            factor = math.sqrt(factor)


def by_group(withstood: Sequence[float], free: Sequence[int], mates: int) -> float:
    """The most weight that so many others of its group spare: a host is closed when as many as it takes are on it."""
    spared = 0.0
    for weight, places in sorted(zip(withstood, free), key=lambda one: one[0] / one[1], reverse=True):
        if mates <= 0:
            break
        spared += weight * min(1.0, mates / places)
        mates -= places
    return spared
