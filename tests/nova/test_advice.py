# SPDX-License-Identifier: Apache-2.0
"""What muster advises is typed as it is printed, with the client that operators have, and looked at for its effect."""

from __future__ import annotations

import re
import time

import pytest

from muster.core.findings import Verdict
from muster.core.operator_orders import Orders
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, Type, act_on, advised, boot, disable, expect, nova_row
from tests.rig import Rig


def retry(it: Rig) -> None:
    """``muster retry HOST``."""
    record = it.cluster.nodes["cmp1"].record
    assert record
    it.cluster.change("cmp1", orders=Orders(record.first).retry("", int(time.time())))


def test_what_nova_refuses_is_reset_and_evacuated_as_advised(bed: NovaBed, rig: MakeRig, types: Type) -> None:
    """A4: with a terminal and without one; without ``--auto-approve`` the client would ask, and fail for want of one."""
    servers = dict(zip(boot(bed, 3), ("pause", "suspend", "rescue")))
    for uuid, action in servers.items():
        act_on(bed, uuid, action, {"pause": "paused"}.get(action, f"{action.rstrip('e')}ed"))
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    first, *others = servers
    (command,) = advised(it, first)
    with pytest.raises(AssertionError, match="EOFError|y/n"):
        types(command.replace(" --auto-approve", ""))
    types(command, terminal=True)
    for uuid in others:
        types(*advised(it, uuid))
    retry(it)
    it.run_until(lambda: all(it.says(uuid, Verdict.EVACUATED)() for uuid in servers))
    for uuid in servers:
        expect(bed, uuid, "active")


def test_what_only_a_person_knows_is_evacuated_by_hand_as_advised(bed: NovaBed, rig: MakeRig, types: Type) -> None:
    """A7, A13: an interrupted live migration, once it is known to run nowhere.  nova-compute is kept away again until the
    evacuation is proved."""
    (uuid,) = boot(bed)
    bed.hypervisor("cmp1", live_migration_mode="hang")
    assert bed.action(uuid, "os-migrateLive", {"host": "cmp2", "block_migration": "auto"}).status == 202
    bed.wait_until(lambda: "running" in [row["status"] for row in bed.migrations(uuid)])
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert it.entry(uuid)["rule"] == "migrating"
    bed.hypervisor("cmp2", spawn_mode="hang")
    bed.hypervisor("cmp3", spawn_mode="hang")
    types(*advised(it, uuid))
    it.run_until(lambda: it.cluster.nodes["cmp1"].hold)
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, spawn_mode="ok", release=True)
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    expect(bed, uuid, "active")
    it.run_until(it.settled("cmp1"))


def test_what_is_left_on_a_host_is_seen_to_as_advised(bed: NovaBed, rig: MakeRig, types: Type) -> None:
    """A5: what never ran at once; resized and shelved servers once their host is back."""
    confirmed, reverted = bed.boot("cmp2", count=2)
    disable(bed, "cmp3")
    for uuid in (confirmed, reverted):
        assert bed.action(uuid, "resize", {"flavorRef": "2"}).status == 202
        bed.wait_until(lambda uuid=uuid: nova_row(bed, uuid)["vm_state"] == "resized", 40)
        assert nova_row(bed, uuid)["host"] == "cmp1"
    shelved, building, failed = boot(bed, 3)
    bed.ctl("config", name="shelved_offload_time", value=-1)
    act_on(bed, shelved, "shelve", "shelved")
    bed.ctl("set_state", uuid=building, vm_state="building", launched=False)
    bed.ctl("set_state", uuid=failed, vm_state="error", launched=False)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    for uuid in (building, failed):
        types(*advised(it, uuid))
        bed.wait_until(lambda uuid=uuid: bed.server(uuid) is None)
    advice = {uuid: advised(it, uuid) for uuid in (confirmed, reverted, shelved)}
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    types(advice[confirmed][0])
    types(advice[reverted][1])
    types(*advice[shelved])
    for uuid, host in ((confirmed, "cmp1"), (reverted, "cmp2"), (shelved, "cmp1")):
        active = {"host": host, "vm_state": "active", "task_state": None}
        bed.wait_until(lambda uuid=uuid, active=active: nova_row(bed, uuid) == active, 30)


def test_whether_a_start_waits_is_seen_by_its_events(bed: NovaBed, types: Type) -> None:
    """D10, docs/runbook.md: the one that waits for a dead host has none."""
    (uuid,) = boot(bed)
    act_on(bed, uuid, "os-stop", "stopped")
    bed.power_off("cmp1")
    assert bed.action(uuid, "os-start").status == 202
    listed = types(f"openstack server event list {uuid}")
    requests = {action: ident for ident, action in re.findall(r"(req-[-0-9a-f]+) .*\| (\w+) +\| 2", listed)}
    assert {"create", "stop", "start"} <= set(requests)
    events = {name: types(f"openstack server event show {uuid} {ident}") for name, ident in requests.items()}
    assert "compute_stop_instance" in events["stop"]
    assert re.search(r"^\| events +\| +\|$", events["start"], re.M), events["start"]


def test_what_the_documents_name_beside_it_is_taken(bed: NovaBed, types: Type) -> None:
    """docs/migrate.md and docs/runbook.md."""
    (uuid,) = boot(bed)
    types(f"openstack server set --property evacuable=true {uuid}")
    assert "evacuable" in types(f"openstack server show {uuid}")
    types("openstack server migration list")
    bed.update_service("cmp1", status="disabled", forced_down=True)
    types("openstack compute service set --up cmp1 nova-compute")
    types("openstack compute service set --enable cmp1 nova-compute")
    service = bed.service("cmp1")
    assert (service["status"], service["forced_down"]) == ("enabled", False)
    assert "cmp1" in types("openstack compute service list --long")
