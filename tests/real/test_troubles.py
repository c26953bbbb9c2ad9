# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the middle, on a real cloud: services that are away, and a power device that lies."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from tests.bed.openstack.oracle import Disk, Watch
from tests.bed.real import RealCloud
from tests.real.test_guests import expect_goes_on

AWAY_S = {"mariadb": 20}
SERVICES = [
    "keystone",
    "neutron",
    "nova-scheduler",
    "nova-conductor",
    "nova-api",
    "placement",
    "glance",
    "mariadb",
]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_away_for_a_while_costs_time_and_nothing_else(
    cloud: RealCloud, watch: Watch, name: str
) -> None:
    """B4, B5, B6, B37: killed as the power is cut, and back after half a minute."""
    servers = cloud.nova.boot("cmp1", 4)
    before = cloud.nova.disks(servers)
    cut = time.time()
    with cloud.nova.away(name):
        cloud.cluster.crash("cmp1")
        cloud.until(lambda: time.time() > cut + AWAY_S.get(name, 30), 60, f"{name} was away for long enough")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 4, 400, "all are evacuated")
    cloud.note(f"4 servers are proved, {name} away", before, cut)
    expect_goes_on(cloud, watch, before, servers, boots=2)
    cloud.until(lambda: cloud.back_in_service("cmp1"), 300, "the host is back in service")


def test_a_host_that_comes_into_reach_again_keeps_its_guests(cloud: RealCloud, watch: Watch) -> None:
    """C3: cut off from everything, its device lies, and it is back before anything was evacuated."""
    servers = cloud.nova.boot("cmp1", 2)
    cloud.change("pcs resource update muster delay_s=60")
    before = cloud.nova.disks(servers)
    cloud.cluster.bmc_fault("cmp1", "off", "lie")
    cloud.cluster.cut("cmp1")
    cloud.until(lambda: cloud.record("cmp1"), 90, "its fencing is on record")
    cloud.cluster.heal("cmp1")
    cloud.until(lambda: cloud.report("cmp1").get("state") == "blocked", 120, "the incident is blocked")
    assert "HOST LIVES" in cloud.report("cmp1")["reason"]
    expect_lives_on(cloud, watch, before)


def expect_lives_on(cloud: RealCloud, watch: Watch, before: Mapping[str, Disk]) -> None:
    expect_goes_on(cloud, watch, before, list(before), boots=1)
    assert cloud.nova.evacuated() == []
    assert sorted(watch.on_host("cmp1")) == sorted(before)
