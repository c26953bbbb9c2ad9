# SPDX-License-Identifier: Apache-2.0
"""How many hosts may die together.  Pure.

*At least n*: whichever n of them die, every server that can be judged finds room, whatever Nova chooses.  *At most m*:
some m + 1, which are named, leave a server down whatever Nova chooses.  What lies between depends on which hosts die
and on Nova's choices.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from muster.planning.cloud import Apart, Cloud, Guest, Kind, Vector, fits, kind_of
from muster.planning.packing import Fate, brings, by_group, doomed, fates, gap, grain, needed, weighings

TRIED = 300
"""So many sets of hosts are looked at one by one."""
TYPICAL = 3
"""So many hosts give the servers by which weights are chosen."""
MENDED = 8
"""No more hosts than this are proposed."""


@dataclass(frozen=True)
class Tolerance:
    """:param at_least: so many may die, proved for all of them.
    :param at_most: no more than so many: ``breaks`` is one more.
    :param breaks: hosts that leave a server down if they die together; empty if all of them may die.
    :param doubtful: hosts of one set of ``at_least`` + 1 for which nothing is proved.
    :param singles: by host that would leave servers down if it died alone, what becomes of its servers.
    """

    at_least: int
    at_most: int
    breaks: tuple[str, ...]
    doubtful: tuple[str, ...]
    singles: Mapping[str, Mapping[str, Fate]]


def tolerance(cloud: Cloud, mortal: Sequence[str]) -> Tolerance:
    """:param mortal: the hosts that may die."""
    proof = _ForAll(cloud, mortal)
    at_least = 0
    doubtful: tuple[str, ...] = ()
    for count in range(1, len(mortal) + 1):
        found = None if proof.holds(count) else _unproved(cloud, mortal, count)
        if found is not None:
            doubtful = found
            break
        at_least = count
    breaks = _breaking(cloud, mortal, at_least + 1)
    at_most = len(breaks) - 1 if breaks else len(mortal)
    singles = {}
    if at_least == 0:
        alone = {host: fates(cloud, [host]) for host in mortal}
        singles = {host: found for host, found in alone.items() if set(found.values()) & {Fate.LOST, Fate.DEPENDS}}
    return Tolerance(at_least, at_most, breaks, doubtful, singles)


def _unproved(cloud: Cloud, mortal: Sequence[str], count: int) -> Optional[tuple[str, ...]]:
    """A set of so many hosts for which it is not proved; None if it is for all.  ``TRIED`` are looked at, no more."""
    if math.comb(len(mortal), count) > TRIED:
        return tuple(_costly(cloud, mortal)[:count])
    for dead in itertools.combinations(mortal, count):
        if set(fates(cloud, dead).values()) & {Fate.LOST, Fate.DEPENDS}:
            return dead
    return None


def _breaking(cloud: Cloud, mortal: Sequence[str], least: int) -> tuple[str, ...]:
    """The fewest hosts found that leave a server down; there may be fewer where not all could be tried."""
    order = _costly(cloud, mortal)
    for count in range(least, len(mortal) + 1):
        if math.comb(len(mortal), count) <= TRIED:
            tried: Iterable[Sequence[str]] = itertools.combinations(order, count)
        else:
            tried = _likely_sets(cloud, mortal, count)
        for dead in tried:
            if doomed(cloud, dead):
                return tuple(dead)
    return ()


def _costly(cloud: Cloud, mortal: Sequence[str]) -> list[str]:
    """Those first whose death takes most: what their servers need, and what they have left for others."""
    whole = [sum(column) or 1 for column in zip(*cloud.left.values())]

    def cost(host: str) -> float:
        wanted = [sum(column) for column in zip(*(g.size for g in cloud.guests.get(host, ()) if not g.unjudged))]
        left = cloud.left.get(host, ())
        return max((w / all_ for w, all_ in zip(wanted, whole)), default=0.0) + max(
            (have / all_ for have, all_ in zip(left, whole)), default=0.0
        )

    return sorted(mortal, key=cost, reverse=True)


def _likely_sets(cloud: Cloud, mortal: Sequence[str], count: int) -> Iterable[Sequence[str]]:
    """The costliest hosts of all, and of each part of the cloud that some servers are bound to."""
    parts = {guest.may for host in mortal for guest in cloud.guests.get(host, ()) if not guest.unjudged}
    order = _costly(cloud, mortal)
    yield order[:count]
    for part in sorted(parts, key=lambda part: (len(part), sorted(part)))[:TRIED]:
        inside = [host for host in order if host in part]
        bound = [host for host in order if host not in part and any(g.may <= part for g in cloud.guests.get(host, ()))]
        chosen = inside + bound
        yield (chosen + [host for host in order if host not in chosen])[:count]


class _ForAll:
    """A proof for every set of so many hosts at once.

    In ``packing`` a server is safe if the living hosts withstand more than the other servers of the dead bring.  A host
    that dies takes what it withstands away, and adds what its servers bring: so the worst set is made of the hosts with
    the greatest sum of both.
    """

    def __init__(self, cloud: Cloud, mortal: Sequence[str]) -> None:
        self._cloud, self._mortal = cloud, list(mortal)
        on = {host: [(kind_of(guest), guest.unjudged) for guest in cloud.guests.get(host, ())] for host in mortal}
        self._kinds = {host: Counter(kind for kind, _ in kinds) for host, kinds in on.items()}
        self._grain = grain({kind.size for kinds in self._kinds.values() for kind in kinds})
        self._judged: dict[Kind, dict[str, None]] = {}
        for host, kinds in on.items():
            for kind, unjudged in kinds:
                if not unjudged:
                    self._judged.setdefault(kind, {})[host] = None
        self._gaps: dict[Vector, dict[str, tuple[float, ...]]] = {}
        self._sizes: dict[frozenset[str], dict[str, dict[Vector, int]]] = {}
        self._known: dict[tuple[Vector, frozenset[str]], list[_Sum]] = {}
        self._more: dict[tuple[Vector, frozenset[str]], Iterator[_Sum]] = {}

    def holds(self, count: int) -> bool:
        return all(self.safe(kind, host, count) for kind, hosts in self._judged.items() for host in hosts)

    def safe(self, kind: Kind, on: str, count: int) -> bool:
        group = self._cloud.apart.get(kind.apart)
        if group is None:
            return any(one.withstands(on, count) for one in self._sums(kind.size, kind.takes))
        # Members of its group that die with it may each close another host.
        mates = sorted((group.on.get(host, 0) for host in self._mortal if host != on), reverse=True)
        closing = sum(mates[: count - 1]) + group.on.get(on, 1) - 1
        return any(one.withstands(on, count, group, closing) for one in self._sums(kind.size, kind.takes))

    def _sums(self, size: Vector, takes: frozenset[str]) -> Iterator[_Sum]:
        """Those that are known first; another one is made when they have not been enough."""
        key = (size, takes)
        if key not in self._known:
            self._known[key], self._more[key] = [], self._made(size, takes)
        yield from self._known[key]
        for one in self._more[key]:
            self._known[key].append(one)
            yield one

    def _made(self, size: Vector, takes: frozenset[str]) -> Iterator[_Sum]:
        all_gaps = self._gaps_of(size)
        gaps = {host: all_gaps[host] for host in takes if host in all_gaps}
        sizes = self._sizes_for(takes)
        heaviest = sorted(sizes, key=lambda host: sum(sizes[host].values()), reverse=True)[:TYPICAL]
        others = [(one, number) for host in heaviest for one, number in sizes[host].items()]
        for weights in weighings(size, list(gaps.values()), others):
            worth = {one: brings(weights, one) for found in sizes.values() for one in found}
            yield _Sum(
                brings(weights, size),
                {host: needed(weights, one) for host, one in gaps.items()},
                {host: sum(n * worth[one] for one, n in found.items()) for host, found in sizes.items()},
            )

    def _gaps_of(self, size: Vector) -> Mapping[str, tuple[float, ...]]:
        if size not in self._gaps:
            self._gaps[size] = {
                host: gap(left, size, self._grain) for host, left in self._cloud.left.items() if fits(size, left)
            }
        return self._gaps[size]

    def _sizes_for(self, hosts: frozenset[str]) -> Mapping[str, Mapping[Vector, int]]:
        """By host the sizes of its servers that may come to one of these."""
        if hosts not in self._sizes:
            near: dict[frozenset[str], bool] = {}
            self._sizes[hosts] = {}
            for host, kinds in self._kinds.items():
                found: dict[Vector, int] = {}
                for kind, number in kinds.items():
                    if near.setdefault(kind.may, not kind.may.isdisjoint(hosts)):
                        found[kind.size] = found.get(kind.size, 0) + number
                self._sizes[hosts][host] = found
        return self._sizes[hosts]


class _Sum:
    """By one weighing, what each host withstands and what its servers bring."""

    def __init__(self, own: float, withstand: Mapping[str, float], bring: Mapping[str, float]) -> None:
        self._own, self._withstand, self._bring = own, withstand, bring
        self._total = sum(withstand.values())
        self._worst = sorted(((withstand.get(h, 0.0) + b, h) for h, b in bring.items()), reverse=True)

    def withstands(self, on: str, count: int, group: Optional[Apart] = None, closing: int = 0) -> bool:
        """Whether one on this host is safe, whichever others die with it.

        :param group: the one that it is kept apart from; ``closing`` of it may come to the living hosts.
        """
        worst = [cost for cost, host in self._worst[:count] if host != on][: count - 1]
        there = self._total - self._withstand.get(on, 0.0)
        if group is not None:
            others = {host: weight for host, weight in self._withstand.items() if host != on}
            free = {host: group.most - group.on.get(host, 0) for host in others}
            open_ = [host for host, places in free.items() if places > 0]
            there = sum(others[host] for host in open_)
            there -= by_group([others[host] for host in open_], [free[host] for host in open_], closing)
        return there > (self._bring[on] - self._own + sum(worst)) * (1 + 1e-9)


# ------------------------------------------------------------------ what mends


def more_hosts(cloud: Cloud, mortal: Sequence[str], like: str, whole: Vector, wanted: int) -> Optional[int]:
    """How many more empty hosts like this one let so many die; None if no number tried does.

    :param whole: what such a host has as long as it is empty.
    """
    for count in range(1, MENDED + 1):
        new = {f"{like}+{number}": whole for number in range(1, count + 1)}
        grown = replace(
            cloud,
            left={**cloud.left, **new},
            guests={
                host: [_taken_too(guest, like, frozenset(new)) for guest in guests]
                for host, guests in cloud.guests.items()
            },
        )
        if tolerance_holds(grown, [*mortal, *new], wanted):
            return count
    return None


def tolerance_holds(cloud: Cloud, mortal: Sequence[str], count: int) -> bool:
    """Whether any so many may die."""
    return _ForAll(cloud, mortal).holds(count) or _unproved(cloud, mortal, count) is None


def safe_alone(cloud: Cloud) -> Callable[[Guest], bool]:
    """Whether it is proved that a server finds room if its host dies alone: quick, and a no proves nothing."""
    proof = _ForAll(cloud, list(cloud.guests))
    return lambda guest: not guest.unjudged and proof.safe(kind_of(guest), guest.host, 1)


def _taken_too(guest: Guest, like: str, new: frozenset[str]) -> Guest:
    if like not in guest.may and like != guest.host:
        return guest
    return replace(guest, takes=guest.takes | new if like in guest.takes else guest.takes, may=guest.may | new)
