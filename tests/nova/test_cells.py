# SPDX-License-Identifier: Apache-2.0
"""Scenarios B13 and A14: Nova's lists are incomplete, for want of a cell or for want of room on a page.

A cell whose database does not answer is silently left out of the lists of servers and migrations (facts.md N22).
"""

from __future__ import annotations

import pytest

from muster.core.findings import Verdict
from muster.core.steps import ForceDown
from muster.engine.look import LIST_ANYWAY_S
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot, evacuations, expect, fail_spawns, posts


@pytest.mark.parametrize("version", ["2.98", "2.60"], ids=["unknown", "left-out"])
def test_waits_for_the_cell_of_the_dead_host(bed: NovaBed, rig: MakeRig, version: str) -> None:
    """B13: its services are UNKNOWN, or below 2.69 not there at all; its servers are not there."""
    (uuid,) = boot(bed)
    bed.ctl("silent_cell")
    it = rig(nova_api_version=version)
    it.fence("cmp1")
    it.run_until(it.blocked("cmp1"), 20)
    it.run_for(2)
    assert it.cluster.nodes["cmp1"].hold
    assert posts(bed, uuid) == 0
    bed.ctl("silent_cell", on=False)
    it.memory.services.outdate()  # time to list them again
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_reads_every_page(bed: NovaBed, rig: MakeRig) -> None:
    """A14: in small: eight servers of four projects, and their evacuations, three on a page."""
    (uuid,) = boot(bed)
    servers = [uuid, *bed.ctl("clone", uuid=uuid, count=7, projects=4)]
    bed.ctl("config", group="api", name="max_limit", value=3)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    for uuid in servers:
        expect(bed, uuid, "active")
        assert it.entry(uuid)["verdict"] == "evacuated"
        assert posts(bed, uuid) == 1
    # Servers as young as these are found among what has changed, too, so they do not show how the host was asked about.
    listed = [r["query"] for r in bed.requests(service="compute") if r["path"].endswith("/servers/detail")]
    assert [query for query in listed if "host=cmp1" in query and "all_tenants=1" not in query] == []
    further = [r["path"] for r in bed.requests(service="compute") if "marker=" in r["query"]]
    assert {path.rpartition("/")[2] for path in further} == {"detail", "os-migrations"}
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    assert {status for uuid in servers for status in evacuations(bed, uuid)} == {"completed"}


def test_what_is_listed_while_the_cell_is_silent_counts_for_nothing(bed: NovaBed, rig: MakeRig) -> None:
    """B13: forced down already, then silent for longer than it takes to list anyway."""
    (uuid,) = boot(bed)
    it = rig()
    it.after = lambda step: bed.ctl("silent_cell") if isinstance(step, ForceDown) else None
    it.fence("cmp1")
    it.run_until(it.blocked("cmp1"))
    it.run_for(LIST_ANYWAY_S + 1)
    assert it.cluster.nodes["cmp1"].hold
    bed.ctl("silent_cell", on=False)
    it.memory.services.outdate()
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


@pytest.mark.parametrize("version", ["2.98", "2.60"])
def test_an_empty_list_from_a_cell_that_has_just_fallen_silent_settles_nothing(
    bed: NovaBed, rig: MakeRig, version: str
) -> None:
    """B13: its services were listed a moment before."""
    (uuid,) = boot(bed)
    it = rig(nova_api_version=version)
    nova = it.look._nova
    list_servers = nova.servers_on

    def fall_silent(host: str) -> object:
        bed.ctl("silent_cell")
        return list_servers(host)

    nova.servers_on = fall_silent  # type: ignore[method-assign,assignment]
    it.fence("cmp1")
    it.run_for(8)
    assert it.cluster.nodes["cmp1"].hold
    nova.servers_on = list_servers  # type: ignore[method-assign]
    bed.ctl("silent_cell", on=False)
    it.memory.services.outdate()
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_an_evacuation_that_the_list_has_lost_is_still_under_way(bed: NovaBed, rig: MakeRig) -> None:
    """B13, B12: it was seen before its cell fell silent; another worker had asked for it."""
    (uuid,) = boot(bed)
    fail_spawns(bed, "hang")
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: evacuations(bed, uuid) == ["pre-migrating"])
    it.crash()
    it.run_until(it.says(uuid, Verdict.EVACUATING))
    for host in it.memory.hosts.values():
        host.liveness.wait_from = 1.0  # long ago: no call of the other worker can be on its way any more
    bed.fault(path="os-migrations", status=200, text='{"migrations": []}', times=2)
    it.run_until(lambda: bed.ctl("fault_hits") == [2])
    it.run_for(1)
    assert posts(bed, uuid) == 1
    assert it.entry(uuid)["verdict"] == "evacuating"
    for name in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=name, spawn_mode="ok", release=True)
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")
