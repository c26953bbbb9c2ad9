# SPDX-License-Identifier: Apache-2.0
"""Clocks that differ, are set in the middle, or are wrong."""

from __future__ import annotations

import pytest

from muster.core.errors import NovaUncertain
from tests.sim.stage import Stage


@pytest.mark.parametrize("ahead_s", [-3600.0, -62.0, -20.0, 20.0, 62.0, 3600.0])
@pytest.mark.parametrize("taken_over", [False, True])
def test_how_far_novas_clock_is_from_ours_changes_nothing(ahead_s: float, taken_over: bool) -> None:
    """B25, C3, C6: behind by a minute every evacuation was sent again by the next worker; ahead by 20 s a dead host
    lived for ever."""
    it = Stage(hosts=4, servers=2)
    it.cloud.skew = ahead_s
    it.run_for(45.0)
    if taken_over:
        it.cloud.odds.slow = 1.0
    it.fence("cmp1")
    if taken_over:
        it.until(lambda: it.rows("s0") and it.rows("s1"))
        it.takeover()
    it.until(it.settled("cmp1"), 120.0)
    assert [it.rows("s0"), it.rows("s1")] == [["done"], ["done"]]
    it.power_on("cmp1")
    it.until(it.over(), 60.0)
    it.fair()


def _rounds(step_s: float) -> tuple[float, int]:
    """How long six servers take, and how often Nova is asked, with a step of the controller's clock in the middle."""
    it = Stage(servers=6, in_flight=2)
    it.fence("cmp1")
    it.until(lambda: any(it.rows(f"s{n}") == ["done"] for n in range(6)))
    it.clocks["ctl1"] = step_s
    it.until(it.settled("cmp1"), 300.0)
    it.fair()
    return it.now, sum(it.asked.values())


@pytest.mark.parametrize("step_s", [-3600.0, -40.0, 40.0, 3600.0])
def test_a_step_of_our_clock_changes_nothing(step_s: float) -> None:
    """B25, C6: an hour back, and Nova was not looked at for an hour."""
    assert _rounds(step_s) == _rounds(0.0)


def test_a_step_of_our_clock_does_not_end_the_wait_for_a_lost_call() -> None:
    """B2, B25: a step of 40 s ended it: a second call, and two guests."""
    it = Stage(hosts=4)
    it.cloud.odds.hang = 1.0
    real, lost = it.cloud.evacuate, []

    def evacuate(ident: str, target: object, **more: object) -> str:
        if lost:
            return real(ident, target, **more)  # type: ignore[arg-type]
        lost.append(it.now)
        it.timeline.after(8.0, lambda: real(ident, target, **more) and None)  # type: ignore[arg-type]
        it.timeline.after(1.0, lambda: it.clocks.update(ctl1=40.0))
        raise NovaUncertain("HTTP 504", status=504)

    it.cloud.evacuate = evacuate  # type: ignore[assignment,method-assign]
    it.fence("cmp1")
    it.until(lambda: lost)
    it.run_for(60.0)
    assert len(it.rows("s0")) == 1
    it.fair()


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
@pytest.mark.parametrize("taken_over", [False, True])
def test_a_controller_that_records_with_a_wrong_clock_changes_nothing(off_s: float, taken_over: bool) -> None:
    """B25, C3, C6: an hour ahead, and the evacuation waited for an hour; an hour behind, and the heartbeats of before
    were signs of life."""
    it = Stage(hosts=4, servers=2, delay_s=15)
    it.run_for(45.0)
    it.site.stamp = lambda: int(it.now + off_s)  # type: ignore[method-assign]
    fenced_at = it.now
    it.fence("cmp1")
    if taken_over:
        it.cloud.odds.slow = 1.0
        it.until(lambda: it.rows("s0") and it.rows("s1"))
        it.takeover()
    it.until(it.settled("cmp1"), 150.0)
    first = min(row.accepted_at for row in it.cloud.rows)
    assert fenced_at + 14.0 < first < fenced_at + 25.0
    assert [it.rows("s0"), it.rows("s1")] == [["done"], ["done"]]
    it.power_on("cmp1")
    it.until(it.over(), 60.0)
    it.fair()


def test_api_hosts_whose_clocks_are_apart_stop_the_incident_until_they_agree() -> None:
    """B25, C3: nothing says then what came first."""
    it = Stage(servers=3)
    it.run_for(20.0)
    it.cloud.api_apart = (0.0, 100.0)
    it.no_room(True)
    it.fence("cmp1")
    it.until(lambda: it.state() == "blocked", 60.0)
    assert "chronyc tracking" in it.current.incidents["cmp1"].reason  # type: ignore[union-attr]
    it.no_room(False)
    it.run_for(60.0)
    it.cloud.api_apart = ()
    it.takeover()
    it.until(it.settled("cmp1"), 300.0)
    it.fair()


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_step_of_novas_clock_in_the_middle_stops_the_incident(step_s: float) -> None:
    """B25, C3, C6: rows of before and after it do not compare: those of before seemed to be of an earlier incident."""
    it = Stage(hosts=4, servers=6, in_flight=2)
    it.run_for(20.0)
    it.fence("cmp1")
    it.until(lambda: any(it.rows(f"s{n}") == ["done"] for n in range(6)))
    it.cloud.set_clock(step_s)
    it.run_for(10.0)
    sent = len(it.cloud.rows)
    it.run_for(120.0)
    assert it.state() == "blocked"
    assert len(it.cloud.rows) == sent
    it.fair()
