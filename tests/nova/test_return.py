# SPDX-License-Identifier: Apache-2.0
"""Scenarios D: the host comes back, and what operators did to it stays."""

from __future__ import annotations

import time

import pytest

from muster.core.findings import Verdict
from muster.core.operator_orders import Orders
from muster.core.steps import DropHold, DropRecord, ForceUp, SwapRecord
from tests.bed.nova.client import NovaBed
from tests.nova.steps import (
    MakeRig,
    Type,
    act_on,
    advised,
    boot,
    disable,
    evacuations,
    expect,
    fail_spawns,
    nova_row,
)


def test_keeps_nova_compute_away_while_an_evacuation_is_open(bed: NovaBed, rig: MakeRig) -> None:
    """D1: the host is back long before its guests are safe."""
    (uuid,) = boot(bed)
    fail_spawns(bed, "hang")
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: evacuations(bed, uuid) == ["pre-migrating"])
    it.power_on("cmp1")
    it.run_for(3)
    assert "cmp1" not in bed.ctl("info")["computes"]
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, spawn_mode="ok", release=True)
    it.run_until(it.closed("cmp1"))
    expect(bed, uuid, "active")
    assert evacuations(bed, uuid) == ["completed"]


def test_shows_again_beside_its_node_what_pacemaker_forgot(bed: NovaBed, rig: MakeRig) -> None:
    """A host that is off for seconds only, while its incident does not move: Pacemaker drops the attribute as it joins."""
    boot(bed)
    fail_spawns(bed, "hang")
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: it.cluster.published.get("cmp1") == "evacuating 0/1")
    it.power_on("cmp1")
    assert "cmp1" not in it.cluster.published
    it.run_until(lambda: it.cluster.published.get("cmp1") == "evacuating 0/1")


def test_what_an_earlier_worker_left_beside_a_node_is_cleared(bed: NovaBed, rig: MakeRig) -> None:
    it = rig()
    it.cluster.published["cmp2"] = "evacuating 4/8"
    it.step()
    assert it.cluster.published["cmp2"] == ""


def test_lets_the_host_return_with_what_is_held(bed: NovaBed, rig: MakeRig) -> None:
    """D2."""
    paused, plain = boot(bed, 2)
    act_on(bed, paused, "pause", "paused")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    expect(bed, plain, "active")
    assert it.entry(paused)["verdict"] == "held"


def test_returns_although_an_evacuated_server_was_deleted_meanwhile(bed: NovaBed, rig: MakeRig) -> None:
    """D7: Nova deletes the evacuations of a server with it; what they once said was waited for."""
    kept, deleted = boot(bed, 2)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert bed.ctl("delete_server", uuid=deleted)
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"), 60)
    assert not bed.service("cmp1")["forced_down"]
    expect(bed, kept, "active")
    assert it.entry(deleted)["verdict"] == "evacuated"


def test_stays_forced_down_when_nova_compute_never_starts(bed: NovaBed, rig: MakeRig) -> None:
    """D3."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.cluster.rejoin("cmp1")
    it.run_for(4)
    assert bed.service("cmp1")["forced_down"]
    assert not it.closed("cmp1")()
    assert "waiting for nova-compute" in it.outlet.reports["cmp1"]["reason"]
    expect(bed, uuid, "active")


@pytest.mark.parametrize("when", ["before", "during"])
def test_an_operators_disable_stays(bed: NovaBed, rig: MakeRig, when: str) -> None:
    """D4."""
    (uuid,) = boot(bed)

    def by_operator() -> None:
        assert bed.update_service("cmp1", status="disabled", disabled_reason="disk swap").status == 200

    if when == "before":
        by_operator()
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    if when == "during":
        by_operator()
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    service = bed.service("cmp1")
    assert (service["status"], service["disabled_reason"]) == ("disabled", "disk swap")
    assert (service["state"], service["forced_down"]) == ("up", False)
    expect(bed, uuid, "active")


def test_an_operators_force_down_stays(bed: NovaBed, rig: MakeRig) -> None:
    """Invariant 5."""
    (uuid,) = boot(bed)
    bed.ctl("kill_compute", host="cmp1")
    assert bed.update_service("cmp1", forced_down=True).status == 200
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    service = bed.service("cmp1")
    assert (service["status"], service["forced_down"]) == ("enabled", True)
    expect(bed, uuid, "active")


def test_waits_for_a_refused_lifting_and_repeats_it(bed: NovaBed, rig: MakeRig) -> None:
    """D5: 400, then the truth; never reported as done in between."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    bed.fault(method="PUT", path="os-services", status=400, own=True, times=2)
    held: list[bool] = []
    it.before = lambda step: held.extend([it.cluster.nodes["cmp1"].hold] * isinstance(step, ForceUp))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"), 120)
    assert not bed.service("cmp1")["forced_down"]
    assert held == [False] * 3, (
        "Nova asks nova-compute as it enables a host, and waits a minute for one that is stopped"
    )
    said = [event for _, event, _ in it.log.lines if event in ("nova fault", "lifted")]
    assert said == ["nova fault", "nova fault", "lifted"]
    expect(bed, uuid, "active")


def test_a_second_failure_right_after_the_return_is_a_new_incident(bed: NovaBed, rig: MakeRig) -> None:
    """D6."""
    (first,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    (second,) = boot(bed)
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, first, "active")
    expect(bed, second, "active")
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))


def test_a_second_failure_during_the_return_is_a_new_incident(bed: NovaBed, rig: MakeRig) -> None:
    """C14, D6: it had been released and was not yet back."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    assert not bed.service("cmp1")["forced_down"]
    assert bed.service("cmp1")["status"] == "enabled"
    expect(bed, uuid, "active")


def test_fenced_again_during_the_incident_goes_on(bed: NovaBed, rig: MakeRig) -> None:
    """C14: what is under way since the first fencing stays known."""
    (uuid,) = boot(bed)
    fail_spawns(bed, "hang")
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: evacuations(bed, uuid) == ["pre-migrating"])
    it.fence("cmp1")
    it.run_for(3)
    assert evacuations(bed, uuid) == ["pre-migrating"]
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, spawn_mode="ok", release=True)
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", [SwapRecord, DropHold, ForceUp, DropRecord])
def test_a_worker_killed_during_the_return_is_taken_over(bed: NovaBed, rig: MakeRig, moment: str, kind: type) -> None:
    """C6: before and after each write of the way back."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    it.kill_at(moment, kind, count=2 if kind is SwapRecord else 1)
    it.run_until(it.settled("cmp1"), 90)
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"), 90)
    service = bed.service("cmp1")
    assert (service["state"], service["status"], service["forced_down"]) == ("up", "enabled", False)
    expect(bed, uuid, "active")


def _resizing(bed: NovaBed) -> str:
    """A server whose resize waits for its host, which is dead: the destination has prepared it."""
    (uuid,) = boot(bed)
    bed.ctl("kill_compute", host="cmp1")
    assert bed.action(uuid, "resize", {"flavorRef": "2"}).status == 202
    bed.wait_until(lambda: bed.migrations(uuid) and bed.migrations(uuid)[0]["status"] == "pre-migrating", 20)
    assert nova_row(bed, uuid)["task_state"] == "resize_prep"
    return uuid


def test_leaves_a_resize_that_had_begun_to_its_host(bed: NovaBed, rig: MakeRig, types: Type) -> None:
    """A18: what is said of it, before the return and after it, works as it is typed."""
    uuid = _resizing(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert (it.entry(uuid)["verdict"], it.entry(uuid)["rule"]) == ("held", "resizing")
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    told = it.entry(uuid)
    assert (nova_row(bed, uuid)["vm_state"], told["verdict"], told["rule"]) == ("error", "held", "failed-at-return")
    assert evacuations(bed, uuid) == []
    for command in advised(it, uuid):
        types(command)
    bed.wait_until(lambda: nova_row(bed, uuid) == {"host": "cmp1", "vm_state": "active", "task_state": None}, 30)
    assert bed.running_on(uuid) == ["cmp1"]


def test_evacuates_a_resize_that_had_begun_where_an_operator_says_so(bed: NovaBed, rig: MakeRig, types: Type) -> None:
    """A18, A20: as he was told, Nova calls it ERROR when the host is back."""
    uuid = _resizing(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.HELD))
    record = it.cluster.nodes["cmp1"].record
    assert record is not None
    it.cluster.change("cmp1", orders=Orders(record.first, retried={uuid: int(time.time())}))
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    assert (nova_row(bed, uuid)["vm_state"], it.entry(uuid)["rule"]) == ("error", "changed-at-return")
    types(advised(it, uuid)[-1])
    expect(bed, uuid, "active")


def test_holds_an_unshelve_that_was_interrupted(bed: NovaBed, rig: MakeRig) -> None:
    """A18: nothing is skipped of which Nova says ERROR later, and no incident ends with a server in the line."""
    (uuid,) = boot(bed)
    bed.ctl("config", name="shelved_offload_time", value=0)
    assert bed.action(uuid, "shelve").status == 202
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == "shelved_offloaded", 30)
    for host in ("cmp2", "cmp3"):
        disable(bed, host)
    bed.hypervisor("cmp1", spawn_mode="hang")
    assert bed.action(uuid, "unshelve", None, "2.1").status == 202
    bed.wait_until(lambda: nova_row(bed, uuid)["host"] == "cmp1", 30)
    for host in ("cmp2", "cmp3"):
        disable(bed, host, "enabled")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert (it.entry(uuid)["verdict"], it.entry(uuid)["rule"]) == ("held", "unshelving")
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    assert nova_row(bed, uuid)["vm_state"] == "error"
    assert (it.entry(uuid)["verdict"], it.entry(uuid)["rule"]) == ("held", "failed-at-return")
