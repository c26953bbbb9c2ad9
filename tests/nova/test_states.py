# SPDX-License-Identifier: Apache-2.0
"""Scenarios A5, A7, A8, A9, A13 and A16: servers in every state, and what Nova's scheduler and operators do to them."""

from __future__ import annotations

import pytest

from muster.core.findings import Verdict
from muster.core.steps import Evacuate
from muster.engine.polling import SERVERS_CLOSE_S
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, act_on, boot, evacuations, expect, nova_row, posts

UNTOUCHABLE = {
    # vm_state: (verdict, a word of the reason)
    "resized": ("held", "openstack server resize confirm"),
    "shelved": ("held", "unshelve"),
    "building": ("held", "never ran"),
    "shelved_offloaded": ("skipped", "nothing of it is on the host"),
}


def test_leaves_alone_what_nova_would_refuse(bed: NovaBed, rig: MakeRig) -> None:
    """A5: each with its reason; the one beside them is evacuated."""
    plain, unlaunched, deleted, *others = boot(bed, 3 + len(UNTOUCHABLE))
    wanted = dict(zip(others, UNTOUCHABLE))
    for uuid, vm_state in wanted.items():
        bed.ctl("set_state", uuid=uuid, vm_state=vm_state)
    bed.ctl("set_state", uuid=unlaunched, vm_state="error", launched=False)
    bed.ctl("set_state", uuid=deleted, vm_state="soft-delete")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, plain, "active")
    for uuid, vm_state in wanted.items():
        verdict, words = UNTOUCHABLE[vm_state]
        assert it.entry(uuid)["verdict"] == verdict, vm_state
        assert words in it.entry(uuid)["reason"]
        assert nova_row(bed, uuid) == {"host": "cmp1", "vm_state": vm_state, "task_state": None}
        assert posts(bed, uuid) == 0
    # Nova shows it only among what has changed, so it need not be seen.
    assert (it.entry(deleted).get("verdict", "skipped"), posts(bed, deleted)) == ("skipped", 0)
    assert (it.entry(unlaunched)["verdict"], posts(bed, unlaunched)) == ("held", 0)
    assert "never ran" in it.entry(unlaunched)["reason"]


def test_evacuates_once_what_was_in_the_middle_of_something(bed: NovaBed, rig: MakeRig) -> None:
    """A7: the owner had asked for a reboot, a snapshot and a stop that the dead host never carried out."""
    rebooting, snapshot, stopping = boot(bed, 3)
    bed.ctl("kill_compute", host="cmp1")
    assert bed.action(rebooting, "reboot", {"type": "HARD"}).status == 202
    assert bed.action(snapshot, "createImage", {"name": "s"}).status < 300
    assert bed.action(stopping, "os-stop").status == 202
    tasks = {uuid: nova_row(bed, uuid)["task_state"] for uuid in (rebooting, snapshot, stopping)}
    assert tasks == {rebooting: "rebooting_hard", snapshot: "image_snapshot_pending", stopping: "powering-off"}
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, rebooting, "active")
    expect(bed, snapshot, "active")
    expect(bed, stopping, "stopped")
    for uuid in tasks:
        assert it.entry(uuid)["verdict"] == "evacuated"
        assert evacuations(bed, uuid) == ["done"]


@pytest.mark.parametrize("live", ["out", "in"])
def test_asks_a_person_where_a_live_migration_was_interrupted(bed: NovaBed, rig: MakeRig, live: str) -> None:
    """A7: only the hypervisors know on which side the guest runs; one that was coming here belongs to its source."""
    moving, plain = boot(bed, 2) if live == "out" else (*bed.boot("cmp2"), *boot(bed))
    source, dest = ("cmp1", "cmp2") if live == "out" else ("cmp2", "cmp1")
    bed.hypervisor(source, live_migration_mode="hang")
    assert bed.action(moving, "os-migrateLive", {"host": dest, "block_migration": "auto"}).status == 202
    bed.wait_until(lambda: nova_row(bed, moving)["task_state"] == "migrating")
    if live == "out":  # it has begun there; before, the conductor might still call the migration off
        bed.wait_until(lambda: "running" in [row["status"] for row in bed.migrations(moving)])
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, plain, "active")
    assert posts(bed, moving) == 0
    if live == "out":
        assert it.entry(moving)["verdict"] == "held"
        assert "Make sure that it does not run" in it.entry(moving)["reason"]
    else:
        assert bed.running_on(moving) == ["cmp2"]


def test_evacuates_a_volume_beside_an_image_that_would_be_rebuilt_empty(bed: NovaBed, rig: MakeRig) -> None:
    """A8: without shared storage only what boots from a volume keeps its data."""
    (image,) = boot(bed)
    (volume,) = boot(bed, volume=True)
    it = rig(shared_storage="no")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, volume, "active")
    assert it.entry(image)["verdict"] == "held"
    assert "empty" in it.entry(image)["reason"]
    assert posts(bed, image) == 0


def test_shows_novas_words_where_the_zone_has_no_other_host(bed: NovaBed, rig: MakeRig) -> None:
    """A9: pinned to the zone of the dead host; the others go on."""
    zone = bed.api("POST", "/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "az1"}}).json
    path = f"/os-aggregates/{zone['aggregate']['id']}/action"
    assert bed.api("POST", path, {"add_host": {"host": "cmp1"}}).status == 200
    (free,) = boot(bed)
    (pinned,) = boot(bed, availability_zone="az1")
    it = rig(attempts=2)
    it.fence("cmp1")
    it.run_until(lambda: len(evacuations(bed, pinned)) > 2, what="it is tried for as long as there may be room")
    expect(bed, free, "active")
    parked = [f for _, event, f in it.log.lines if event == "server" and f["verdict"] == Verdict.PARKED.value]
    assert {f["server"] for f in parked} == {pinned}
    assert "No valid host" in str(parked[0]["reason"])
    assert not it.settled("cmp1")()
    it.power_on("cmp1")  # the very host that has room for it
    it.run_until(it.closed("cmp1"))
    assert it.entry(pinned)["verdict"] == "held"
    assert "No valid host" in it.entry(pinned)["reason"]


def test_shows_novas_words_where_a_group_must_stay_together(bed: NovaBed, rig: MakeRig) -> None:
    """A9: hard affinity to a server that stays on the dead host (facts.md N25)."""
    group = bed.api("POST", "/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}}, "2.64").json
    hints = {"group": group["server_group"]["id"]}
    held, bound = boot(bed, 2, scheduler_hints=hints)
    (free,) = boot(bed)
    act_on(bed, held, "pause", "paused")
    it = rig(attempts=2)
    it.fence("cmp1")
    it.run_until(lambda: len(evacuations(bed, bound)) == 2, what="it was tried")
    it.power_on("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, free, "active")
    assert it.entry(bound)["verdict"] == "held"
    assert "No valid host" in it.entry(bound)["reason"]


def test_sees_what_was_moved_or_deleted_by_hand_while_it_waited(bed: NovaBed, rig: MakeRig) -> None:
    """A13: neither is sent, each is told for what it is."""
    (first,) = boot(bed, metadata={"evacuate_priority": "9"})
    moved, deleted = boot(bed, 2)
    for host in ("cmp2", "cmp3"):  # long enough that nothing is sent before all are read again
        bed.ctl("hypervisor", host=host, spawn_delay=SERVERS_CLOSE_S)
    it = rig(in_flight=1)
    done: list[int] = []

    def by_hand(step: object) -> None:
        if isinstance(step, Evacuate) and not done:
            bed.ctl("set_state", uuid=moved, host="cmp3")
            done.append(bed.action(deleted, "forceDelete").status)

    it.before = by_hand
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert done == [204] or done == [202]
    expect(bed, first, "active")
    assert (it.entry(moved)["verdict"], posts(bed, moved)) == ("skipped", 0)
    assert "somebody else moved it there" in it.entry(moved)["reason"]
    assert (it.entry(deleted)["verdict"], posts(bed, deleted)) == ("gone", 0)


def test_evacuates_locked_servers(bed: NovaBed, rig: MakeRig) -> None:
    """A16: by their owner, and with a reason by an admin."""
    plain, told = boot(bed, 2)
    assert bed.action(plain, "lock").status == 202
    assert bed.action(told, "lock", {"locked_reason": "do not touch"}).status == 202
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    for uuid in (plain, told):
        expect(bed, uuid, "active")
        assert bed.api("GET", f"/servers/{uuid}", microversion="2.73").json["server"]["locked"]
