# SPDX-License-Identifier: Apache-2.0
"""What the simulation has found, each as the shortest story in which it happens."""

from __future__ import annotations

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


def test_evacuates_a_host_whose_power_was_cut_by_hand_after_its_device_had_lied() -> None:
    """The way out that the on-hold message names: the confirmation was written by the worker itself, which then took
    the heartbeats from before it for a sign of life."""
    it = Stage(attempts=20)
    it.fence("cmp1", lies=True)
    it.cloud.odds.refuse = 1.0
    it.until(lambda: it.state() == "on-hold")
    it.cloud.odds.refuse = 0.0
    it.run_for(70.0)
    it.liars.clear()
    it.cloud.rebuild.power_cut("cmp1")
    it.fence("cmp1", with_record=False)
    it.until(it.says("s0", "evacuated"))
    it.fair()
