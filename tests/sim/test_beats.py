# SPDX-License-Identifier: Apache-2.0
"""How soon a host is found to live whose power device did nothing."""

from __future__ import annotations

import pytest

from tests.sim.stage import Stage


@pytest.mark.parametrize(("beats_s", "told"), [(10.0, 10), (30.0, 30), (60.0, 60), (60.0, 10)])
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_lying_device_is_found_out_however_seldom_heartbeats_come(beats_s: float, told: int, seed: int) -> None:
    """C3: with Nova's report_interval of 60 s 20 of 20 guests ran twice.  Told of it by the setting, or seeing it by the
    heartbeats of the others, muster waits for one."""
    it = Stage(hosts=5, servers=4, seed=seed, delay_s=30, report_interval_s=told)
    for host in it.cloud.computes.values():
        host.beats_s = beats_s
    it.run_for(3.0 * beats_s + seed * beats_s / 7)
    it.fence("cmp1", lies=True)
    it.run_for(200.0)
    assert it.state() == "blocked"
    assert [len(it.server(f"s{n}").guests) for n in range(4)] == [1, 1, 1, 1]
    it.fair()


def test_a_heartbeat_during_a_long_list_is_seen_before_anything_is_sent() -> None:
    """C3: the first evacuations of a host went out up to 70 s after its service had been read, as long as the list of its
    servers took: with default parameters guests ran twice that need not."""
    it = Stage(servers=3)
    it.run_for(25.0)
    it.on_call = lambda process, kind, moment: (kind, moment) == ("servers_on", "after") and it.timeline.pass_by(20.0)
    it.fence("cmp1", lies=True)
    it.until(lambda: it.state() == "blocked", 120.0)
    assert [it.rows(f"s{n}") for n in range(3)] == [[], [], []]
    assert "muster has evacuated nothing and sends nothing" in it.current.incidents["cmp1"].reason  # type: ignore[union-attr]
    it.fair()
