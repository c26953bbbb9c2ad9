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
