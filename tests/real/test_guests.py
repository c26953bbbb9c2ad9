# SPDX-License-Identifier: Apache-2.0
"""What becomes of guests and of what they have written, on a real cloud."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tests.bed.openstack.oracle import Disk, Watch
from tests.bed.real import RealCloud


def expect_goes_on(
    cloud: RealCloud, watch: Watch, before: Mapping[str, Disk], servers: Sequence[str], boots: int
) -> None:
    """Each runs once, where Nova says, has booted so often, and counts on from what it had written before."""

    def goes_on(server: str) -> bool:
        disk = cloud.nova.disk(server)
        return disk is not None and disk.boots == boots and disk.seconds > before[server].seconds

    cloud.until(lambda: all(map(goes_on, servers)), 180, "every guest goes on from what it had written")
    for server in servers:
        assert watch.running_on(server) == [cloud.nova.server(server)["host"]]


def test_every_guest_goes_on_from_what_it_had_written(cloud: RealCloud, watch: Watch) -> None:
    """C1, A4, A15: running, stopped and paused servers with ports, on storage that the hosts share."""
    cloud.change("pcs resource update muster reset_states=paused")
    nova = cloud.nova
    stopped, paused, *others = nova.boot("cmp1", 11)
    (urgent,) = nova.boot("cmp1", 1, {"evacuate_priority": "900"})
    nova.act(stopped, "os-stop", "SHUTOFF")
    nova.act(paused, "pause", "PAUSED")
    running = [paused, *others, urgent]
    servers = [stopped, *running]
    before = nova.disks(servers)
    cut = time.time()
    cloud.cluster.crash("cmp1")
    assert watch.on_host("cmp1") == []
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 12, 300, "all are evacuated")
    cloud.note("12 servers are proved", before, cut)
    expect_goes_on(cloud, watch, before, running, boots=2)
    cloud.note("12 servers run", before, cut)
    assert (nova.status(stopped), watch.running_on(stopped)) == ("SHUTOFF", [])
    assert nova.evacuated()[0] == urgent
    for server in servers:
        assert nova.bound(server) == [(nova.server(server)["host"], "ACTIVE")]
    cloud.until(lambda: cloud.back_in_service("cmp1"), 300, "the host is back in service")
    assert cloud.nova.barred() == []
    cloud.note("the host is back", before, cut)
    assert cloud.defined_on("cmp1") == []
    expect_goes_on(cloud, watch, nova.disks(servers), running, boots=2)
    kept = nova.disk(stopped)
    assert kept and kept.seconds >= before[stopped].seconds
