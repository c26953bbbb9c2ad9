# SPDX-License-Identifier: Apache-2.0
"""Nova's clock is not the controllers': everything that is compared is compared by one clock."""

from __future__ import annotations

import pytest

from muster.core.steps import Evacuate
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot, evacuations, expect, posts


@pytest.mark.parametrize("ahead_s", [45.0, -62.0], ids=["ahead", "behind"])
def test_a_difference_of_the_clocks_changes_nothing(bed: NovaBed, rig: MakeRig, ahead_s: float) -> None:
    """B25, C3, C6: ahead by 8 s and more the dead host was said to live; behind by a minute the next worker sent
    everything again."""
    servers = boot(bed, 3)
    it = rig(in_flight=2)
    it.clock_off_s = -ahead_s
    it.crash()
    it.step()
    it.fence("cmp1")
    it.kill_at("after", Evacuate, count=2)
    it.run_until(it.settled("cmp1"), 120)
    for uuid in servers:
        expect(bed, uuid, "active")
        assert len(evacuations(bed, uuid)) == posts(bed, uuid) == 1
    assert abs(it.look._clock.nova.ahead_s - ahead_s) < 3.0
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"), 60)
