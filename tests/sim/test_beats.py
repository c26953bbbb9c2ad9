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
    assert it.state() == "on-hold"
    assert [len(it.server(f"s{n}").guests) for n in range(4)] == [1, 1, 1, 1]
    it.fair()
