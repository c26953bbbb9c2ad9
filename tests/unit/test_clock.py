# SPDX-License-Identifier: Apache-2.0
"""What time it is here and at Nova: nothing sets it while somebody waits by it."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from muster.core.nova_facts import Evacuation, EvacuationStatus, Server, Service
from muster.gateways.clock import ANSWERS, Clock, NovaClock

NOW = 1_800_000_000.0


def test_a_step_of_the_wall_clock_is_followed_only_when_nothing_waits() -> None:
    wall, steady = [NOW], [100.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = NOW - 3600.0, 130.0
    assert clock.now() == NOW + 30.0
    clock.anchor()
    assert clock.now() == NOW - 3600.0


def test_time_goes_on() -> None:
    clock = Clock()
    assert 0.0 <= Clock().now() - clock.now() < 5.0
    assert clock.monotonic() > 0.0


@pytest.mark.parametrize(
    ("theirs", "ahead_s"), [(NOW, 0.0), (NOW - 1.0, 0.0), (NOW + 20.0, 18.0), (NOW - 62.0, -61.0), (NOW + 2.0, 0.0)]
)
def test_the_date_of_an_answer_says_how_far_nova_is_ahead(theirs: float, ahead_s: float) -> None:
    """It has whole seconds, and was written at some moment of the request; where both may be right they are equal."""
    nova = NovaClock()
    nova.note(NOW, NOW + 2.0, formatdate(theirs, usegmt=True))
    assert nova.ahead_s == ahead_s
    assert nova.apart_s == 0.0


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_an_answer_without_a_date_says_nothing(date: object) -> None:
    nova = NovaClock()
    nova.note(NOW, NOW, date)  # type: ignore[arg-type]
    assert (nova.ahead_s, nova.apart_s) == (0.0, 0.0)


def test_what_is_reckoned_with_stays_until_nothing_waits_for_it() -> None:
    nova = NovaClock()
    nova.note_time(NOW, NOW, NOW + 100.0)
    nova.note_time(NOW, NOW, NOW)
    assert (nova.ahead_s, nova.apart_s) == (100.0, 99.0)
    for _ in range(ANSWERS):
        nova.note_time(NOW, NOW, NOW)
    assert (nova.ahead_s, nova.apart_s) == (100.0, 99.0)
    nova.forget()
    nova.note_time(NOW, NOW, NOW)
    assert (nova.ahead_s, nova.apart_s) == (0.0, 0.0)


def test_novas_times_are_told_by_our_clock() -> None:
    nova = NovaClock()
    server = Server("a", "cmp1", "active", created=NOW, updated=NOW + 5.0)
    assert nova.translated(server) is server
    nova.note_time(NOW, NOW, NOW + 20.0)
    assert nova.translated(server) == Server("a", "cmp1", "active", created=NOW - 20.0, updated=NOW - 15.0)
    assert nova.translated(Service("u", "cmp1")).updated_at == 0.0
    evacuation = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW, NOW + 9.0)
    assert (nova.translated(evacuation).created, nova.translated(evacuation).updated) == (NOW - 20.0, NOW - 11.0)
    assert nova.theirs(NOW) == NOW + 20.0
