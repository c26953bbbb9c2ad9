# SPDX-License-Identifier: Apache-2.0
"""One server in two incidents, or one host: destinations that die, and hosts that die again."""

from __future__ import annotations

import pytest

from tests.sim import scenarios
from tests.sim.stage import Stage


def test_evacuates_a_server_again_when_its_new_host_dies_too() -> None:
    """One server in two incidents: what its owner wants was noted in one of them only, and asked for ever in the
    other, whose whole queue stood still behind it."""
    it = Stage(servers=2)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    second = it.server("s0").host
    it.no_room(True)
    it.fence(second)
    it.until(it.says("s0", "parked", second))
    it.takeover()
    it.no_room(False)
    it.until(it.settled(second))
    assert it.server("s0").host not in ("cmp1", second)
    it.fair()


def _dies_under_way(it: Stage) -> str:
    """The server is being rebuilt on a host that dies; its name."""
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.cloud.odds.hang = 0.0
    dest = it.cloud.rows_of["s0"][0].dest
    it.fence(dest)
    return dest


def test_keeps_a_server_held_when_the_destination_that_died_is_back() -> None:
    """facts.md N14, N28: its first evacuation stays open in Nova for good; once that host had returned, it counted as
    under way, and its incident never ended."""
    it = Stage(servers=2, attempts=1, seed=1)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: sorted(it.rows("s0") + it.rows("s1")) == ["pre-migrating"] * 2)
    lost, hung = it.cloud.rows
    assert lost.dest != hung.dest
    it.cloud.odds.hang, it.cloud.odds.refuse = 0.0, 1.0
    it.fence(lost.dest)
    it.until(it.says(lost.server, "held"))
    it.power_on(lost.dest)
    it.until(it.over(lost.dest))
    it.cloud.odds.refuse = 0.0
    it.cloud.rebuild.release_hung(hung)
    it.until(it.settled("cmp1"))
    it.fair()


@pytest.mark.parametrize("skew", [-4.0, 4.0])
def test_evacuates_again_from_a_destination_that_died_under_a_clock_that_differs(skew: float) -> None:
    """facts.md N28: by Nova's clock the evacuation had begun after its destination was fenced."""
    it = Stage()
    it.cloud.skew = skew
    dest = _dies_under_way(it)
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host not in ("cmp1", dest)
    it.fair()


def test_calls_a_server_evacuated_whose_first_destination_had_died() -> None:
    """facts.md N14: to a new worker the row that stays open for good looked like one under way."""
    it = Stage(hosts=4, servers=2)
    dest = _dies_under_way(it)
    it.until(lambda: "done" in it.rows("s0"))
    it.takeover()
    it.power_on(dest)
    it.until(it.over(dest))
    it.takeover()
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_takes_no_return_for_that_of_a_host_that_died_again_by_another_clock() -> None:
    """D6: by Nova's clock it had finished its rows after its second fencing, and was put back into service while off."""
    it = Stage()
    it.cloud.skew = 4.0
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.until(lambda: it.rows("s0") == ["completed"])
    it.fence("cmp1")
    it.until(lambda: it.state() == "returning" and not it.site.nodes["cmp1"].hold)
    it.run_for(60.0)
    assert it.cloud.computes["cmp1"].forced_down
    assert it.state() == "returning"
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    it.fair()


@pytest.mark.parametrize("at_s", [0.0, 10.0], ids=["before", "after"])
def test_lifts_its_force_down_after_two_incidents_whatever_an_operator_disabled(at_s: float) -> None:
    """D4: fenced again before it was back, under an operator's disable, muster's own force-down passed for his."""
    it = Stage(servers=0)
    it.after(at_s, lambda: it.cloud.disable("cmp1", "disk swap", "operator"))
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.run_for(10.0)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    host = it.cloud.computes["cmp1"]
    assert (host.forced_down, host.enabled, host.disabled_by) == (False, False, "operator")
    it.fair()


def test_claims_nothing_by_a_record_that_a_further_fencing_has_replaced() -> None:
    """C14: what the write does not find as it was read is left alone, and looked at again."""
    it = scenarios.fenced_while_it_looks_at_nova()
    record = it.site.nodes["cmp1"].record
    assert record is not None
    assert record.last > record.first
    assert it.rows("s0") == ["done"]
    it.fair()
