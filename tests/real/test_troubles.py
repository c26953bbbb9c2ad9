# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the middle, on a real cloud."""

from __future__ import annotations

import time

import pytest

from tests.bed.openstack.oracle import Watch
from tests.bed.real import RealCloud
from tests.real.test_guests import expect_goes_on

AWAY_S = 30
SERVICES = ["keystone"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_away_for_a_while_costs_time_and_nothing_else(
    cloud: RealCloud, watch: Watch, name: str
) -> None:
    """B4, B5: killed as the power is cut, and back after half a minute."""
    servers = cloud.nova.boot("cmp1", 4)
    before = cloud.nova.disks(servers)
    cut = time.time()
    with cloud.nova.services.away(name):
        cloud.cluster.crash("cmp1")
        cloud.until(lambda: time.time() > cut + AWAY_S, 60, f"{name} was away for long enough")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 4, 400, "all are evacuated")
    cloud.note(f"4 servers are proved, {name} away", before, cut)
    expect_goes_on(cloud, watch, before, servers, boots=2)
    cloud.until(lambda: cloud.back_in_service("cmp1"), 300, "the host is back in service")
