# SPDX-License-Identifier: Apache-2.0
"""What became of an evacuate call, by Nova's own action log: rebuilds that failed with their guest running, and calls that
died in the conductor."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from muster.core import server_rules
from muster.core.findings import Verdict
from muster.core.operator_orders import Orders
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot, evacuations, expect, fail_spawns, nova_row, posts
from tests.rig import Rig


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nova is asked after two seconds what has become of a call, not after half a minute."""
    monkeypatch.setattr(server_rules, "CALL_LATE_S", 2.0)


def order(it: Rig, orders: Orders) -> None:
    it.cluster.change("cmp1", orders=orders)


def test_starts_no_second_guest_after_a_failure_that_came_after_the_spawn(bed: NovaBed, rig: MakeRig) -> None:
    """A17: the conductor does not answer when the destination saves that the guest runs.  The advice helps."""
    uuid, other = boot(bed, 2)
    bed.ctl("lose", what="save", times=1)
    it = rig(in_flight=1)
    it.fence("cmp1")
    it.run_until(lambda: {it.entry(u).get("verdict") for u in (uuid, other)} == {"held", "evacuated"})
    (held,) = (u for u in (uuid, other) if it.entry(u)["verdict"] == "held")
    assert evacuations(bed, held) == ["failed", "failed"]
    (dest,) = bed.running_on(held)
    reason = it.entry(held)["reason"]
    assert f"has left its guest on {dest}" in reason
    assert f"virsh destroy {held}; virsh undefine --nvram {held}" in reason
    bed.ctl("remove_guest", host=dest, uuid=held)
    record = it.cluster.nodes["cmp1"].record
    assert record
    order(it, Orders(record.first).retry(held, int(it.look.sight().now)))
    it.run_until(it.says(held, Verdict.EVACUATED))
    expect(bed, held, "active")


def test_a_refused_claim_is_known_to_have_left_no_guest(bed: NovaBed, rig: MakeRig) -> None:
    """A17, B9: by the line where Nova rolls it back."""
    (uuid,) = boot(bed)
    refuse_claims(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    calls = it.memory.hosts["cmp1"].logs.calls.get(uuid)
    traces = (calls.traces or ()) if calls else ()
    assert all(trace.harmless for trace in traces if trace.failed)


@pytest.mark.parametrize(
    ("fails", "faulty", "verdict", "lists", "events"),
    [
        (lambda bed: fail_spawns(bed, times=1), True, Verdict.EVACUATED, 1, 0),
        (lambda bed: refuse_claims(bed), False, Verdict.EVACUATED, 1, 0),
        (lambda bed: bed.ctl("lose", what="save", times=1), True, Verdict.HELD, 1, 2),
    ],
    ids=["its fault says it", "let in nowhere", "asked for, and again where its guest was met"],
)
def test_where_a_rebuild_failed_is_asked_for_only_where_its_fault_does_not_say_it(
    bed: NovaBed,
    rig: MakeRig,
    fails: Callable[[NovaBed], object],
    faulty: bool,
    verdict: Verdict,
    lists: int,
    events: int,
) -> None:
    """A17: each try by its own request; one listing says that and what its owner wants."""
    (uuid,) = boot(bed)
    fails(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: evacuations(bed, uuid))
    # Nova writes `failed` first, and the fault a moment later: who looks in between asks for the call.
    bed.wait_until(lambda: evacuations(bed, uuid)[0] == "failed" and shows_fault(bed, uuid) is faulty)
    it.run_until(it.settled("cmp1"))
    assert it.says(uuid, verdict)()
    asked = [r["path"].partition("/os-instance-actions") for r in bed.requests(service="compute") if uuid in r["path"]]
    of_one = [bool(request_id) for _, actions, request_id in asked if actions]
    assert (of_one.count(False), of_one.count(True)) == (lists, events)


def shows_fault(bed: NovaBed, uuid: str) -> bool:
    return "fault" in bed.api("GET", f"/servers/{uuid}").json["server"]


def refuse_claims(bed: NovaBed) -> None:
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, claim_fail_times=1)


@pytest.mark.parametrize("lost", ["neutron", "keystone", "scheduler"])
def test_sends_again_what_died_in_the_conductor(bed: NovaBed, rig: MakeRig, lost: str, hurried: None) -> None:
    """B19, D9: the rows of these calls stay `accepted` for ever, and the host returns all the same."""
    servers = boot(bed, 4)
    bed.ctl("lose", what=lost)
    it = rig(attempts=5)
    it.fence("cmp1")
    it.run_until(lambda: all(evacuations(bed, uuid) == ["accepted"] for uuid in servers))
    bed.ctl("lose", what=lost, times=0)
    it.run_until(lambda: all(it.says(uuid, Verdict.EVACUATED)() for uuid in servers))
    for uuid in servers:
        expect_by_the_first_row(bed, uuid)
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))


def test_tells_what_an_operator_began_by_hand_after_a_call_that_died(bed: NovaBed, rig: MakeRig, hurried: None) -> None:
    """B19: Nova takes the old row for it, and its own stays `accepted`."""
    (uuid,) = boot(bed)
    bed.ctl("lose", what="neutron", times=1)
    it = rig(retry_delay_s=300)
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.PARKED))
    assert bed.action(uuid, "evacuate", {}, microversion="2.94").status == 200
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    expect_by_the_first_row(bed, uuid)
    assert posts(bed, uuid) == 2


def test_keeps_a_host_away_for_whose_nova_compute_a_start_waits(bed: NovaBed, rig: MakeRig) -> None:
    """D10: Nova takes it for a host that is dead, and its nova-compute would run the guest a second time."""
    stopped, running = boot(bed, 2)
    assert bed.action(stopped, "os-stop").status == 202
    bed.wait_until(lambda: nova_row(bed, stopped)["vm_state"] == "stopped")
    it = rig()
    bed.power_off("cmp1")
    assert bed.action(stopped, "os-start").status == 202
    it.fence("cmp1")
    it.run_until(it.blocked("cmp1"))
    assert it.entry(running)["verdict"] == "evacuated"
    reason = it.outlet.reports["cmp1"]["reason"]
    assert f"still queues orders for cmp1: start of {stopped}." in reason
    assert "rabbitmqctl purge_queue compute.cmp1; then muster release cmp1 --queue-emptied" in reason
    record = it.cluster.nodes["cmp1"].record
    assert record
    order(it, Orders(record.first, released=True))
    it.power_on("cmp1")
    it.run_for(2)
    assert (it.settled("cmp1")(), it.blocked("cmp1")()) == (False, True)
    assert bed.action(stopped, "os-start").status == 202  # where it is now, as its owner wants it
    bed.wait_until(lambda: len(bed.running_on(stopped)) == 1)
    bed.ctl("purge_queue", host="cmp1")
    order(it, Orders(record.first, released=True, queue_emptied=int(time.time())))
    it.run_until(it.closed("cmp1"))
    assert bed.running_on(stopped) != ["cmp1"]
    assert len(bed.running_on(stopped)) == 1


def expect_by_the_first_row(bed: NovaBed, uuid: str) -> None:
    rows = bed.migrations(uuid)
    server = bed.server(uuid)
    assert server
    assert (server["vm_state"], server["task_state"], server["host"]) == ("active", None, rows[0]["dest_compute"])
    assert rows[0]["status"] == "done"
