# SPDX-License-Identifier: Apache-2.0
"""Random small clouds, and the truth about them: every choice that Nova may make, one after another."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

from muster.planning.cloud import Apart, Cloud, Guest, Vector, fits, less

SIZES: tuple[Vector, ...] = ((1, 512, 1), (1, 1024, 5), (2, 1024, 10), (2, 2048, 10), (4, 4096, 20), (8, 2048, 5))


def random_cloud(seed: int, hosts: int = 8, busy: int = 1) -> Cloud:
    """Up to so many hosts, in one or two zones, some full, with few servers each, and with groups.

    :param busy: so many times as many servers, and as much room.
    """
    dice = random.Random(seed)
    names = [f"cmp{n}" for n in range(1, dice.randint(3, hosts) + 1)]
    sizes = dice.sample(SIZES, dice.randint(1, 3))
    zones = [frozenset(names)] if dice.random() < 0.6 else _halves(names)
    at = {name: zone for zone in zones for name in zone}
    most = dice.choice((1, 2, 2)) * busy
    guests: dict[str, list[Guest]] = {name: [] for name in names}
    numbers = itertools.count()
    for name in names:
        for _ in range(dice.randint(0, most)):
            takes = at[name] if dice.random() < 0.8 else frozenset(names)
            may = frozenset(names) if dice.random() < 0.1 else takes
            size = dice.choice(sizes)
            guests[name].append(Guest(f"s{next(numbers)}", name, size, takes, may | takes))
    apart = _apart(dice, guests)
    _together(dice, guests)
    left = {name: _left(dice, sizes, busy) for name in names}
    return Cloud(left, guests, apart)


def _halves(names: Sequence[str]) -> list[frozenset[str]]:
    half = (len(names) + 1) // 2
    return [frozenset(names[:half]), frozenset(names[half:])]


def _left(dice: random.Random, sizes: Sequence[Vector], busy: int) -> Vector:
    """Nothing, or room for a few of them, with a rest that fits nobody."""
    left = (0, 0, 0)
    for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4)) * busy):
        size = dice.choice(sizes)
        left = (left[0] + size[0], left[1] + size[1], left[2] + size[2])
    return left[0] + dice.randint(0, 1), left[1] + dice.choice((0, 256, 512)), left[2] + 100


def _apart(dice: random.Random, guests: dict[str, list[Guest]]) -> dict[str, Apart]:
    if dice.random() < 0.6:
        return {}
    on: dict[str, int] = {}
    for name, found in guests.items():
        if found and dice.random() < 0.6:
            one = found[0]
            found[0] = Guest(one.id, one.host, one.size, one.takes, one.may, "apart")
            on[name] = 1
    return {"apart": Apart(1, on)}


def _together(dice: random.Random, guests: dict[str, list[Guest]]) -> None:
    """Servers that have to be beside each other: some sit on two hosts all the same, and one of those may die."""
    if dice.random() < 0.85:
        return
    free = [(name, index) for name, found in guests.items() for index, one in enumerate(found) if not one.apart]
    chosen = dice.sample(free, min(2, len(free)))
    hosts = frozenset(name for name, _ in chosen)
    for name, index in chosen:
        one = guests[name][index]
        guests[name][index] = Guest(one.id, one.host, one.size, one.takes & hosts, one.may & hosts)


# ------------------------------------------------------------------- the truth


def may_stay_down(cloud: Cloud, dead: Sequence[str], guest: Guest) -> bool:
    """Whether some choice for some of the others, in some sequence, leaves this one without a host."""
    left = {host: have for host, have in cloud.left.items() if host not in dead}
    others = [other for other in cloud.of(dead) if other.id != guest.id]
    group = {host: dict(one.on) for host, one in cloud.apart.items()}
    return _stays(cloud, guest, others, left, group, set())


def _stays(
    cloud: Cloud,
    guest: Guest,
    others: Sequence[Guest],
    left: dict[str, Vector],
    on: dict[str, dict[str, int]],
    seen: set[object],
) -> bool:
    if not any(_takes(cloud, guest, host, left, on) for host in guest.takes):
        return True
    key = (tuple(o.id for o in others), tuple(left.items()), repr(on))
    if key in seen:
        return False
    seen.add(key)
    for index, other in enumerate(others):
        rest = [*others[:index], *others[index + 1 :]]
        for host in other.may:
            if _takes(cloud, other, host, left, on):
                now = {**left, host: less(left[host], other.size)}
                if _stays(cloud, guest, rest, now, _joined(on, other, host), seen):
                    return True
    return False


def _takes(cloud: Cloud, guest: Guest, host: str, left: dict[str, Vector], on: dict[str, dict[str, int]]) -> bool:
    if host not in left or not fits(guest.size, left[host]):
        return False
    return not guest.apart or on[guest.apart].get(host, 0) < cloud.apart[guest.apart].most


def _joined(on: dict[str, dict[str, int]], guest: Guest, host: str) -> dict[str, dict[str, int]]:
    if not guest.apart:
        return on
    return {**on, guest.apart: {**on[guest.apart], host: on[guest.apart].get(host, 0) + 1}}


def by_chance(cloud: Cloud, dead: Sequence[str], dice: random.Random) -> set[str]:
    """Who is without a host when everybody has been tried in some sequence, on any host that takes it."""
    left = {host: have for host, have in cloud.left.items() if host not in dead}
    on = {name: dict(group.on) for name, group in cloud.apart.items()}
    down, everybody = set(), cloud.of(dead)
    dice.shuffle(everybody)
    for guest in everybody:
        hosts = [host for host in sorted(guest.may) if _takes(cloud, guest, host, left, on)]
        if not hosts:
            down.add(guest.id)
            continue
        # The fullest that still takes it, or any: what fills hosts one after another leaves least for the large ones.
        host = min(hosts, key=lambda name: left[name]) if dice.random() < 0.5 else dice.choice(hosts)
        left[host] = less(left[host], guest.size)
        on = _joined(on, guest, host)
    return down


def all_fit(cloud: Cloud, dead: Sequence[str]) -> bool:
    """Whether there is some way to give everybody a host, those included that perhaps do not take it."""
    left = {host: have for host, have in cloud.left.items() if host not in dead}
    guests = sorted(cloud.of(dead), key=lambda guest: guest.size, reverse=True)

    def placed(at: int, left: dict[str, Vector], on: dict[str, dict[str, int]]) -> bool:
        if at == len(guests):
            return True
        one = guests[at]
        return any(
            placed(at + 1, {**left, host: less(left[host], one.size)}, _joined(on, one, host))
            for host in sorted(one.may)
            if _takes(cloud, one, host, left, on)
        )

    return placed(0, left, {name: dict(group.on) for name, group in cloud.apart.items()})


def truth(cloud: Cloud) -> tuple[int, int]:
    """So many hosts may die whichever they are and whatever Nova chooses; and so many at most if it chooses well."""
    hosts = list(cloud.left)
    at_least = next(n for n in itertools.count() if not _every(cloud, hosts, n + 1))
    at_most = next(
        (n - 1 for n in range(1, len(hosts) + 1) if not all(all_fit(cloud, d) for d in _sets(hosts, n))), len(hosts)
    )
    return at_least, at_most


def _every(cloud: Cloud, hosts: Sequence[str], count: int) -> bool:
    if count > len(hosts):
        return False
    return not any(may_stay_down(cloud, dead, g) for dead in _sets(hosts, count) for g in cloud.of(dead))


def _sets(hosts: Sequence[str], count: int) -> Iterable[tuple[str, ...]]:
    return itertools.combinations(hosts, count)
