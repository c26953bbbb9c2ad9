# SPDX-License-Identifier: Apache-2.0
"""Guests whose disks are on their hosts: what ``shared_storage`` says decides whether what they have written is kept."""

from __future__ import annotations

import time

from tests.bed.openstack.oracle import Watch, written
from tests.bed.real import RealCloud
from tests.real.test_guests import expect_goes_on


def test_what_is_on_the_disk_of_a_dead_host_is_still_there_when_it_is_back(cloud: RealCloud, watch: Watch) -> None:
    """A8: held, and nothing is rebuilt; once the host is back its owner starts it from what it had written."""
    with cloud.local_disks():
        cloud.change("pcs resource update muster shared_storage=no")
        servers = cloud.nova.boot("cmp1", 2, port=False)
        before = cloud.nova.disks(servers)
        cut = time.time()
        cloud.cluster.crash("cmp1")
        cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["held"] * 2, 180, "both are held")
        cloud.until(lambda: cloud.back_in_service("cmp1"), 300, "the host is back in service")
        cloud.note("local disks: 2 servers held, the host is back", before, cut)
        assert cloud.nova.evacuated() == []
        kept = cloud.nova.disks(servers)
        assert all(kept[s].boots == 1 and kept[s].seconds >= before[s].seconds for s in servers)
        for server in servers:
            assert cloud.nova.action(server, "reboot", {"type": "HARD"}).status == 202
        expect_goes_on(cloud, watch, before, servers, boots=2)


def test_the_wrong_answer_costs_what_the_guests_have_written(cloud: RealCloud, watch: Watch) -> None:
    """A8: why ``shared_storage`` has no default.

    Nova rebuilds from the image, and at the return of the host it deletes what was written.
    """
    with cloud.local_disks():
        (server,) = cloud.nova.boot("cmp1", 1, port=False)
        assert cloud.nova.action(server, "reboot", {"type": "HARD"}).status == 202
        cloud.until(lambda: (disk := cloud.nova.disk(server)) and disk.boots == 2, 60, "it has booted twice")
        before = cloud.nova.disks([server])
        cut = time.time()
        cloud.cluster.crash("cmp1")
        cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 180, "it is evacuated")
        cloud.until(lambda: (disk := cloud.nova.disk(server)) and disk.boots == 1, 60, "it has begun anew, empty")
        cloud.until(lambda: cloud.back_in_service("cmp1"), 300, "the host is back in service")
        cloud.note("local disks, the wrong answer", before, cut)
        assert written(cloud.nova.local["cmp1"] / server / "disk") is None
