# SPDX-License-Identifier: Apache-2.0
"""What is known of Nova's services, and when they are read again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.nova_facts import Service
from muster.engine.services import BEATS_LATE_S, BEATS_SELDOM_S, Services

NOW = 1_000.0
EVERY_S = 10.0
UP = Service("u1", "cmp1", up=True, updated_at=NOW - 3.0)


def note(it: Services, *rows: Service, at: float = NOW, dead: tuple[str, ...] = ()) -> Services:
    it.note(rows, at, at + 2.0, dead, EVERY_S)
    return it


def beating(*ages_s: float) -> list[Service]:
    return [replace(UP, host=f"cmp{n}", updated_at=NOW - age_s) for n, age_s in enumerate(ages_s)]


def test_they_are_read_again_after_a_while_or_once_one_was_changed() -> None:
    """B15: what was read before a force-down says nothing of what is."""
    it = note(Services(), UP)
    assert not it.due(EVERY_S, NOW + 9.9)
    assert it.due(EVERY_S, NOW + 10.0)
    it.outdate()
    assert it.due(EVERY_S, NOW)
    note(it, UP)
    assert not it.due(EVERY_S, NOW)


def test_what_was_never_read_is_not_outdated() -> None:
    it = Services()
    it.outdate()
    assert (it.known, it.outdated) == (False, False)
    assert it.due(EVERY_S, NOW)


def test_once_nobody_is_dead_they_are_not_known_any_more() -> None:
    it = note(Services(), *beating(30.0, 1.0))
    it.outdate()
    it.forget()
    assert (it.known, it.outdated, it.beats_every_s) == (False, False, 0.0)
    assert note(it, UP, *beating(1.0)).host_became_usable_at == 0.0, "nobody has seen it become so"


def test_they_are_wanted_once() -> None:
    """C3: an evacuation was not sent because they were too old."""
    it = Services()
    it.want()
    assert [it.take_wanted(), it.take_wanted()] == [True, False]


@pytest.mark.parametrize("before", [replace(UP, up=False), replace(UP, enabled=False), replace(UP, known=False), None])
def test_a_host_that_becomes_usable_ends_every_pause(before: Service) -> None:
    """B7."""
    other = replace(UP, host="cmp2")
    it = note(Services(), other, *([before] if before else []))
    assert it.host_became_usable_at == 0.0
    assert note(it, other, UP, at=NOW + 10.0).host_became_usable_at == NOW + 10.0
    assert note(it, other, UP, at=NOW + 20.0).host_became_usable_at == NOW + 10.0


@pytest.mark.parametrize(
    ("ages_s", "seen_s"),
    [
        ((), 0.0),
        ((EVERY_S + BEATS_LATE_S,), 0.0),
        ((20.0,), 20.0),
        ((20.0, 30.0), 30.0),
        ((20.0, 30.0, 25.0), 25.0),
        ((BEATS_SELDOM_S,), 0.0),
        ((20.0, NOW), 20.0),
    ],
    ids=["none", "in time", "one", "two", "the oldest of many may have died", "no clock", "never beat"],
)
def test_how_seldom_heartbeats_come_is_seen_at_hosts_that_are_well(ages_s: tuple[float, ...], seen_s: float) -> None:
    """C3."""
    assert note(Services(), *beating(*ages_s)).beats_every_s == seen_s


def test_a_dead_host_is_not_well_and_what_was_once_seen_is_kept() -> None:
    it = note(Services(), *beating(20.0, 30.0), dead=("cmp1",))
    assert it.beats_every_s == 20.0
    assert note(it, *beating(1.0)).beats_every_s == 20.0
