# SPDX-License-Identifier: Apache-2.0
"""B16: whatever microversions the cloud offers or the operator allows, servers end in the same states."""

from __future__ import annotations

import pytest

from muster.core.findings import Verdict
from muster.core.steps import Evacuate
from muster.gateways.nova.compute import Nova
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, act_on, boot, evacuations, expect

VERSIONS = ["2.13", "2.53", "2.60", "2.79", "2.94", "2.100"]


@pytest.mark.parametrize("whose", ["offered", "allowed"])
@pytest.mark.parametrize("version", VERSIONS)
def test_ends_in_the_same_states_at_every_microversion(bed: NovaBed, rig: MakeRig, version: str, whose: str) -> None:
    """An older cloud, or an operator's nova_api_version; there and back."""
    running, stopped, broken = boot(bed, 3)
    act_on(bed, stopped, "os-stop", "stopped")
    bed.ctl("set_state", uuid=broken, vm_state="error")
    for host in ("cmp2", "cmp3"):  # Nova compares what it is told of shared storage with what it finds
        bed.hypervisor(host, shared_storage=version == "2.13")
    bed.requests(clear=True)
    bed.max_microversion(version if whose == "offered" else None)
    it = rig(nova_api_version=version if whose == "allowed" else "2.104")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    bed.max_microversion(None)
    for uuid, vm_state in ((running, "active"), (stopped, "stopped"), (broken, "active")):
        expect(bed, uuid, vm_state)
        assert it.entry(uuid)["verdict"] == "evacuated"
    told = [e["body"].get("onSharedStorage") for e in bed.evacuations()]
    assert told == [True if version == "2.13" else None] * 3
    service = bed.service("cmp1")
    assert (service["state"], service["status"], service["forced_down"]) == ("up", "enabled", False)
    ours = [r for r in bed.requests(service="compute") if "urllib" not in r["user_agent"] and r["microversion"]]
    spoken = {int(r["microversion"].rpartition(".")[2]) for r in ours}
    assert max(spoken) <= int(version[2:])
    assert {r["status"] for r in ours} <= {200, 202}


def test_forces_down_by_name_what_another_one_has_listed(bed: NovaBed, rig: MakeRig) -> None:
    """Below 2.53 a service is addressed by its host: known, or looked up."""
    it = rig()
    bed.power_off("cmp1")
    lister, writer = (Nova("bed", str(it.clouds_file), True, "2.13") for _ in range(2))
    service = next(s for s in lister.services() if s.host == "cmp1")
    writer.force_down(service.id, "muster: test")
    row = bed.service("cmp1")
    assert (row["forced_down"], row["status"], row["disabled_reason"]) == (True, "disabled", "muster: test")


def test_tells_an_old_nova_that_storage_is_not_shared(bed: NovaBed, rig: MakeRig) -> None:
    """Up to 2.13 Nova wants to be told, and refuses a wrong answer; novaclient would say yes."""
    (volume,) = boot(bed, volume=True)
    bed.max_microversion("2.13")
    it = rig(shared_storage="no")
    it.fence("cmp1")
    it.run_until(it.says(volume, Verdict.EVACUATED))
    assert [e["body"]["onSharedStorage"] for e in bed.evacuations()] == [False]
    expect(bed, volume, "active")


def test_goes_on_when_the_api_offers_less_than_it_did(bed: NovaBed, rig: MakeRig) -> None:
    """B33: a worker that has discovered what it offers, and then a rollback; every read was refused, for ever."""
    servers = boot(bed, 2)
    it = rig()
    it.look.warm_up()
    bed.max_microversion("2.80")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"), 60)
    bed.max_microversion(None)
    for uuid in servers:
        expect(bed, uuid, "active")
        assert it.entry(uuid)["verdict"] == "evacuated"


def test_goes_on_when_it_offers_less_in_the_middle(bed: NovaBed, rig: MakeRig) -> None:
    """B33: before a write, which is not repeated at once, and for which no attempt is used up."""
    (uuid,) = boot(bed)
    it = rig(attempts=1)
    it.before = lambda step: bed.max_microversion("2.80") if isinstance(step, Evacuate) else None
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"), 60)
    bed.max_microversion(None)
    expect(bed, uuid, "active")
    assert len(evacuations(bed, uuid)) == 1
