# SPDX-License-Identifier: Apache-2.0
"""What Nova would have to find hosts for, and what the hosts have left.  Pure values, and what is likely of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Vector = tuple[int, ...]
"""An amount of each resource, in the sequence that the whole cloud has them in."""
Names = frozenset[str]


@dataclass(frozen=True)
class Guest:
    """A server that would be evacuated.

    :param takes: the hosts that surely take it as long as they have room.
    :param may: those that perhaps do; has ``takes`` in it.
    :param apart: the group whose servers Nova keeps apart, empty for none.
    :param unjudged: why nobody can say what becomes of it.
    """

    id: str
    host: str
    size: Vector
    takes: Names
    may: Names
    apart: str = ""
    unjudged: str = ""


@dataclass(frozen=True)
class Apart:
    """A group whose servers Nova keeps apart.

    :param most: so many of them may share a host.
    :param on: how many of them are on each host, those that would not be evacuated included.
    """

    most: int
    on: Mapping[str, int]


@dataclass(frozen=True)
class Kind:
    """What servers have in common that are alike to Nova."""

    size: Vector
    takes: Names
    may: Names
    apart: str

    @property
    def order(self) -> tuple[Vector, str]:
        return self.size, self.apart


@dataclass(frozen=True)
class Cloud:
    """:param left: by host that is in use, what it has left.
    :param guests: by host, what would be evacuated from it; also from one that is not in use.
    """

    left: Mapping[str, Vector]
    guests: Mapping[str, Sequence[Guest]]
    apart: Mapping[str, Apart] = field(default_factory=dict)

    def of(self, dead: Iterable[str]) -> list[Guest]:
        return [guest for host in dead for guest in self.guests.get(host, ())]


def kind_of(guest: Guest) -> Kind:
    return Kind(guest.size, guest.takes, guest.may, guest.apart)


def fits(size: Vector, left: Vector) -> bool:
    return all(a <= b for a, b in zip(size, left))


def less(left: Vector, size: Vector) -> Vector:
    return tuple(a - b for a, b in zip(left, size))


# -------------------------------------------------------------- what is likely


def likely(cloud: Cloud, dead: Collection[str], turns: Iterable[Guest]) -> dict[str, str]:
    """By server the host that Nova would give it by its default weights, empty for none; in this sequence.

    Each weigher gives 0 to 1 for what is left of CPUs, memory and disk, and the sum decides (nova/scheduler/weights,
    ram.py, cpu.py, disk.py, all with 1.0; nova/weights.py, normalize).  The other weighers tell hosts apart by what is
    not seen here.
    """
    left = {host: have for host, have in cloud.left.items() if host not in dead}
    on = {name: Counter(group.on) for name, group in cloud.apart.items()}
    found = {}
    for guest in turns:
        group = cloud.apart.get(guest.apart)
        hosts = [
            host
            for host in sorted(guest.may)
            if host in left and fits(guest.size, left[host]) and (group is None or on[guest.apart][host] < group.most)
        ]
        chosen = _heaviest({host: left[host] for host in hosts})
        found[guest.id] = chosen
        if chosen:
            left[chosen] = less(left[chosen], guest.size)
            if group is not None:
                on[guest.apart][chosen] += 1
    return found


def _heaviest(left: Mapping[str, Vector]) -> str:
    spans = [(min(column), max(column)) for column in zip(*left.values())]
    weight = {
        host: sum((have - low) / (high - low) for have, (low, high) in zip(vector, spans) if high > low)
        for host, vector in left.items()
    }
    return max(weight, key=lambda host: weight[host], default="")
