# SPDX-License-Identifier: Apache-2.0
"""E24: how many hosts may die, never more than every choice of Nova's allows, by all choices one after another."""

from __future__ import annotations

import random

import pytest

from muster.planning import packing
from muster.planning.cloud import Apart, Cloud, Guest, Vector, likely
from muster.planning.packing import Fate, doomed, fates
from muster.planning.tolerance import TRIED, more_hosts, tolerance
from tests.capacity.clouds import all_fit, by_chance, may_stay_down, random_cloud, truth

ALL = frozenset(f"cmp{n}" for n in range(1, 9))


def guest(
    ident: str, host: str = "cmp1", size: Vector = (1, 512, 1), takes: frozenset[str] = ALL, **more: str
) -> Guest:
    return Guest(ident, host, size, takes, takes, **more)


def cloud(left: dict[str, Vector], *guests: Guest, **apart: Apart) -> Cloud:
    hosts = {one.host for one in guests}
    return Cloud(left, {host: [one for one in guests if one.host == host] for host in hosts}, apart)


FULL, ONE, TWO = (0, 0, 0), (1, 512, 1), (2, 1024, 2)


# ------------------------------------------------------------------- the truth


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_the_number_is_the_truth_of_small_clouds(first: int) -> None:
    """``python -m tests.capacity`` does the same with thousands."""
    for seed in range(first, first + 25):
        one = random_cloud(seed)
        found = tolerance(one, list(one.left))
        assert (found.at_least, found.at_most) == truth(one), seed
        assert not found.breaks or not all_fit(one, found.breaks)


@pytest.mark.parametrize("first", range(100, 175, 25))
def test_weighing_alone_promises_nothing_too_much(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a cloud of many hosts, where nothing is searched and no set of hosts is tried by itself."""
    monkeypatch.setattr(packing, "SEARCHED_HOSTS", 0)
    monkeypatch.setattr("muster.planning.tolerance.TRIED", 0)
    same = 0
    for seed in range(first, first + 25):
        one = random_cloud(seed)
        found, (at_least, at_most) = tolerance(one, list(one.left)), truth(one)
        assert found.at_least <= at_least, seed
        assert found.at_most >= at_most, seed
        same += found.at_least == at_least
    assert same >= 15


def test_what_is_said_of_each_server_is_the_truth() -> None:
    for seed in range(200, 230):
        one = random_cloud(seed)
        dead = sorted(one.left)[:2]
        for ident, fate in fates(one, dead).items():
            (about,) = (g for g in one.of(dead) if g.id == ident)
            stays = may_stay_down(one, dead, about)
            assert stays is (fate is not Fate.SAVED), (seed, ident, fate)


@pytest.mark.parametrize("first", [0, 20])
def test_who_is_promised_a_host_has_one_whatever_chance_does(first: int) -> None:
    """In clouds with too many choices to try all of them."""
    promised = 0
    for seed in range(first, first + 20):
        one, dice = random_cloud(seed, 20, busy=8), random.Random(seed)
        dead = dice.sample(sorted(one.left), 2)
        saved = {ident for ident, fate in fates(one, dead).items() if fate is Fate.SAVED}
        promised += len(saved)
        for _ in range(10):
            assert not saved & by_chance(one, dead, dice), seed
    assert promised > 50


# ------------------------------------------------------------- what is promised


def test_one_that_fits_nowhere_is_lost_and_one_alone_is_saved() -> None:
    one = cloud({"cmp1": FULL, "cmp2": ONE}, guest("a"), guest("b", size=(2, 512, 1)))
    assert fates(one, ["cmp1"]) == {"a": Fate.SAVED, "b": Fate.LOST}


def test_two_for_one_place_depend_on_who_is_first() -> None:
    one = cloud({"cmp1": FULL, "cmp2": ONE, "cmp3": FULL}, guest("a"), guest("b"))
    assert set(fates(one, ["cmp1"]).values()) == {Fate.DEPENDS}
    assert doomed(one, ["cmp1"])


def test_a_large_one_may_find_small_ones_in_its_place() -> None:
    """There is room for all of them, and Nova may still put the small ones where the large one would fit."""
    one = cloud({"cmp1": FULL, "cmp2": TWO, "cmp3": ONE}, guest("small"), guest("large", size=TWO))
    assert fates(one, ["cmp1"]) == {"small": Fate.SAVED, "large": Fate.DEPENDS}
    assert doomed(one, ["cmp1"]) is False
    found = tolerance(one, ["cmp1", "cmp2", "cmp3"])
    assert (found.at_least, found.at_most) == (0, 1)
    assert found.singles == {"cmp1": {"small": Fate.SAVED, "large": Fate.DEPENDS}}


def test_a_host_that_perhaps_takes_it_is_no_promise() -> None:
    here = frozenset(["cmp2"])
    unsure = Guest("a", "cmp1", ONE, frozenset(), here)
    assert fates(cloud({"cmp1": FULL, "cmp2": TWO}, unsure), ["cmp1"]) == {"a": Fate.DEPENDS}


def test_nothing_is_said_of_one_that_nobody_can_judge_but_its_room_is_taken() -> None:
    left = {"cmp1": FULL, "cmp2": ONE}
    odd = guest("odd", unjudged="hw:numa_nodes")
    assert fates(cloud(left, odd, guest("a")), ["cmp1"]) == {"odd": Fate.UNJUDGED, "a": Fate.DEPENDS}
    assert fates(cloud({**left, "cmp2": TWO}, odd, guest("a")), ["cmp1"])["a"] is Fate.SAVED
    assert tolerance(cloud(left, odd), ["cmp1"]).at_least == 1


def test_those_that_are_kept_apart_need_a_host_each() -> None:
    group = Apart(1, {"cmp1": 1, "cmp2": 1})
    one = guest("a", apart="g")
    assert fates(cloud({"cmp1": FULL, "cmp2": TWO}, one, g=group), ["cmp1"]) == {"a": Fate.LOST}
    assert fates(cloud({"cmp1": FULL, "cmp2": TWO, "cmp3": ONE}, one, g=group), ["cmp1"]) == {"a": Fate.SAVED}
    both = cloud({"cmp1": FULL, "cmp2": FULL, "cmp3": TWO}, one, guest("b", "cmp2", apart="g"), g=group)
    assert set(fates(both, ["cmp1", "cmp2"]).values()) == {Fate.DEPENDS}
    assert doomed(both, ["cmp1", "cmp2"])


def test_a_resource_that_it_does_not_need_does_not_keep_it_away() -> None:
    no_disk = (1, 512, 0)
    one = cloud({"cmp1": FULL, "cmp2": (9, 9000, 0)}, *(guest(f"s{n}", size=no_disk) for n in range(8)))
    assert set(fates(one, ["cmp1"]).values()) == {Fate.SAVED}


# ------------------------------------------------------------------ many hosts


def many(servers: int, room: int, hosts: int = 30) -> Cloud:
    names = [f"h{n:02}" for n in range(hosts)]
    takes = frozenset(names)
    guests = {name: [Guest(f"{name}-{n}", name, ONE, takes, takes) for n in range(servers)] for name in names}
    return Cloud(dict.fromkeys(names, (room, 512 * room, room)), guests)


@pytest.mark.parametrize(("servers", "room", "dies"), [(10, 1, 2), (10, 2, 5), (29, 1, 1), (30, 1, 0), (10, 10, 15)])
def test_many_hosts_alike(servers: int, room: int, dies: int) -> None:
    """``dies`` * ``servers`` have to go where ``room`` is left on each of the others."""
    one = many(servers, room)
    found = tolerance(one, list(one.left))
    assert (found.at_least, found.at_most) == (dies, dies)
    assert len(found.breaks) == dies + 1


def test_too_many_sets_to_be_tried_are_not_promised_but_one_is_named() -> None:
    one = many(20, 2)
    shut = frozenset(list(one.left)[:3])
    odd = {"h00": [*one.guests["h00"], Guest("x", "h00", ONE, shut, shut)]}
    found = tolerance(Cloud(one.left, {**one.guests, **odd}), list(one.left))
    assert TRIED < 30 * 29 / 2
    assert found.at_least <= 1
    assert found.doubtful


def test_says_how_many_more_hosts_would_do() -> None:
    one = many(30, 1)
    assert more_hosts(one, list(one.left), "h00", (31, 512 * 31, 31), 1) == 1
    assert more_hosts(one, list(one.left), "h00", (0, 0, 0), 1) is None


def test_the_likely_host_is_the_emptiest_by_all_weighers() -> None:
    left = {"cmp1": FULL, "cmp2": (5, 512, 9), "cmp3": (4, 4096, 9), "cmp4": (1, 520, 8)}
    turns = [guest("a"), guest("b"), guest("c", size=(9, 1, 1))]
    assert likely(cloud(left, *turns), ["cmp1"], turns) == {"a": "cmp3", "b": "cmp2", "c": ""}
    group = Apart(1, {"cmp3": 1})
    away = guest("a", apart="g")
    assert likely(cloud(left, away, g=group), ["cmp1"], [away]) == {"a": "cmp2"}
