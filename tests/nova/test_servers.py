# SPDX-License-Identifier: Apache-2.0
"""Scenarios A: what becomes of each kind of server, on real Nova."""

from __future__ import annotations

import time

import pytest

from muster.core.findings import Verdict
from muster.core.steps import Evacuate, Stop
from muster.gateways.nova.parsing import timestamp
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, act_on, boot, evacuations, expect, fail_spawns


def test_evacuates_running_servers_and_the_host_returns(bed: NovaBed, rig: MakeRig) -> None:
    """A1, D1: from the fencing to the closed incident, without a hand being lifted."""
    servers = boot(bed, 3)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    for uuid in servers:
        expect(bed, uuid, "active")
        assert it.entry(uuid)["verdict"] == "evacuated"
        assert it.entry(uuid)["request_id"].startswith("req-")
    assert "cmp1" not in bed.ctl("info")["computes"]
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    service = bed.service("cmp1")
    assert (service["state"], service["status"], service["forced_down"]) == ("up", "enabled", False)


def test_keeps_a_stopped_server_stopped_when_the_first_try_failed(bed: NovaBed, rig: MakeRig) -> None:
    """A2: Nova brings an ERROR server back running; its owner had stopped it."""
    (uuid,) = boot(bed)
    act_on(bed, uuid, "os-stop", "stopped")
    fail_spawns(bed, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "stopped")
    assert len(evacuations(bed, uuid)) == 2


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", [Evacuate, Stop])
def test_keeps_a_stopped_server_stopped_when_the_worker_dies_between_the_tries(
    bed: NovaBed, rig: MakeRig, moment: str, kind: type
) -> None:
    """A2, C6: the wanted state is not in anybody's memory, it is in Nova's action log."""
    (uuid,) = boot(bed)
    act_on(bed, uuid, "os-stop", "stopped")
    fail_spawns(bed, times=1)
    it = rig()
    it.fence("cmp1")
    it.kill_at(moment, kind, count=2 if kind is Evacuate else 1)
    it.run_until(it.settled("cmp1"), 120)
    expect(bed, uuid, "stopped")
    assert len(evacuations(bed, uuid)) == 2


@pytest.mark.parametrize("asked", ["running", "stopped"])
def test_evacuates_an_error_server_into_the_state_its_owner_asked_for(bed: NovaBed, rig: MakeRig, asked: str) -> None:
    """A3."""
    (uuid,) = boot(bed)
    if asked == "stopped":
        act_on(bed, uuid, "os-stop", "stopped")
    bed.ctl("set_state", uuid=uuid, vm_state="error")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active" if asked == "running" else "stopped")


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued"])
def test_holds_a_server_that_nova_refuses_and_evacuates_its_neighbour(
    bed: NovaBed, rig: MakeRig, vm_state: str
) -> None:
    """A4."""
    refused, plain = boot(bed, 2)
    bed.ctl("set_state", uuid=refused, vm_state=vm_state)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, plain, "active")
    assert it.entry(refused)["verdict"] == "held"
    assert vm_state in it.entry(refused)["reason"]
    assert evacuations(bed, refused) == []


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued"])
def test_resets_and_evacuates_what_nova_refuses_where_the_operator_said_so(
    bed: NovaBed, rig: MakeRig, vm_state: str
) -> None:
    """A4: reset_states; the neighbour in another such state stays held."""
    refused, other = boot(bed, 2)
    bed.ctl("set_state", uuid=refused, vm_state=vm_state)
    bed.ctl("set_state", uuid=other, vm_state="paused" if vm_state != "paused" else "suspended")
    it = rig(reset_states=vm_state)
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, refused, "active")
    assert "reset" in it.entry(refused)["reason"]
    assert it.entry(other)["verdict"] == "held"
    assert len(evacuations(bed, refused)) == 1


def test_leaves_to_others_what_bears_their_mark(bed: NovaBed, rig: MakeRig) -> None:
    """A11: an amphora by its name, a node of a container cluster by a key; what only looks like it is evacuated."""
    (amphora,) = boot(bed, name="amphora-0f6a2c1e-7c0b-4a35-9a55-2d2e6f9f5a11")
    (kept,) = boot(bed, metadata={"keeper": "magnum"})
    (alike,) = boot(bed, name="amphora-of-wine", metadata={"not_keeper": "magnum"})
    it = rig(left_to_others="name=amphora-????????-*;keeper=magnum")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, alike, "active")
    for uuid in (amphora, kept):
        assert it.entry(uuid)["verdict"] == "skipped"
        assert evacuations(bed, uuid) == []


def test_does_not_bring_back_a_server_that_is_being_deleted(bed: NovaBed, rig: MakeRig) -> None:
    """A6: evacuating it would undo its owner's delete (facts.md N5)."""
    deleting, plain = boot(bed, 2)
    bed.ctl("set_state", uuid=deleting, vm_state="active", task_state="deleting")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.says(plain, Verdict.EVACUATED))
    assert it.entry(deleting)["verdict"] == "unknown"
    bed.api("DELETE", f"/servers/{deleting}")
    it.run_until(it.settled("cmp1"))
    assert it.entry(deleting)["verdict"] == "gone"
    assert evacuations(bed, deleting) == []


def test_skips_what_opted_out_and_only_that(bed: NovaBed, rig: MakeRig) -> None:
    """A10: the key has to be exactly the tag."""
    (out,) = boot(bed, metadata={"evacuable": "false"})
    (alike,) = boot(bed, metadata={"not_evacuable": "true"})
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert it.entry(out)["verdict"] == "skipped"
    assert evacuations(bed, out) == []
    expect(bed, alike, "active")


def test_evacuates_only_the_tagged_when_told_so(bed: NovaBed, rig: MakeRig) -> None:
    """A10."""
    (tagged,) = boot(bed, metadata={"evacuable": "true"})
    (alike,) = boot(bed, metadata={"not_evacuable": "true"})
    it = rig(evacuate="tagged")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, tagged, "active")
    assert it.entry(alike)["verdict"] == "skipped"


def test_names_a_server_gone_that_its_owner_deleted_while_it_waited(bed: NovaBed, rig: MakeRig) -> None:
    """A12."""
    (first,) = boot(bed, metadata={"evacuate_priority": "9"})
    (waiting,) = boot(bed)
    it = rig(in_flight=1)
    deleted = []

    def delete(step: object) -> None:
        if isinstance(step, Evacuate) and step.server == first and not deleted:
            deleted.append(bed.api("DELETE", f"/servers/{waiting}"))

    it.before = delete
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, first, "active")
    assert it.entry(waiting)["verdict"] == "gone"


def test_leaves_alone_what_an_operator_evacuated_by_hand(bed: NovaBed, rig: MakeRig) -> None:
    """A13."""
    servers = boot(bed, 2)
    it = rig(in_flight=1)
    sent: list[str] = []

    def by_hand(step: object) -> None:
        if isinstance(step, Evacuate):
            if not sent:
                (other,) = set(servers) - {step.server}
                bed.evacuate(other)
            sent.append(step.server)

    it.before = by_hand
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert len(sent) == 1
    for uuid in servers:
        expect(bed, uuid, "active")


def test_strictly_by_priority_across_hosts_that_died_together(bed: NovaBed, rig: MakeRig) -> None:
    """A15, C5: one queue over all dead hosts."""
    wanted = []
    for number, (host, priority) in enumerate(
        [("cmp2", "900"), ("cmp1", "800"), ("cmp2", "500"), ("cmp1", ""), ("cmp2", "")]
    ):
        metadata = {"metadata": {"evacuate_priority": priority}} if priority else {}
        wanted += bed.boot(host, count=1, name=f"s{number}", **metadata)
        # Nova tells ages in whole seconds: within one of them the id would decide.
        born = timestamp(bed.api("GET", f"/servers/{wanted[-1]}").json["server"]["created"])
        bed.wait_until(lambda born=born: time.time() >= born + 1, 5)
    it = rig(in_flight=1)
    sent: list[str] = []
    it.after = lambda step: sent.append(step.server) if isinstance(step, Evacuate) else None
    it.fence("cmp1")
    it.fence("cmp2")
    it.run_until(lambda: it.settled("cmp1")() and it.settled("cmp2")())
    assert sent == wanted


def test_no_more_than_one_under_way_when_told_one_by_one(bed: NovaBed, rig: MakeRig) -> None:
    """in_flight=1: Nova never has two open evacuations of ours."""
    servers = boot(bed, 4)
    most = [0]
    query = "select count(*) n from migrations where status in ('accepted', 'pre-migrating')"

    def count(step: object) -> None:
        if isinstance(step, Evacuate):
            most[0] = max(most[0], bed.ctl("sql", query=query)[0]["n"])

    it = rig(in_flight=1)
    it.before = count
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert most[0] == 0
    for uuid in servers:
        expect(bed, uuid, "active")


def test_image_backed_servers_without_shared_storage_are_held(bed: NovaBed, rig: MakeRig) -> None:
    """A8."""
    (uuid,) = boot(bed)
    it = rig(shared_storage="no")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert it.entry(uuid)["verdict"] == "held"
    assert "empty" in it.entry(uuid)["reason"]
    assert evacuations(bed, uuid) == []
