# SPDX-License-Identifier: Apache-2.0
"""What Nova itself does, as far as muster or the simulated world rests on it and no port shows it (docs/robustness.md)."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from tests.bed.nova.client import NovaBed
from tests.nova.steps import boot, evacuations, fail_spawns, nova_row

SPARES = ("cmp2", "cmp3")
SPAWNING = "rebuild_spawning"


def lose(bed: NovaBed, host: str = "cmp1") -> None:
    bed.power_off(host)
    assert bed.update_service(host, forced_down=True, status="disabled", disabled_reason="lost").status == 200


def shown(bed: NovaBed, uuid: str) -> dict[str, Any]:
    return dict(bed.api("GET", f"/servers/{uuid}", microversion="2.90").json["server"])


def launched(bed: NovaBed, uuid: str) -> str:
    return str(shown(bed, uuid)["OS-SRV-USG:launched_at"])


def rows(bed: NovaBed, uuid: str) -> list[tuple[str, Any]]:
    """Status and destination of its evacuations, oldest first."""
    query = f"select status, dest_compute from migrations where instance_uuid='{uuid}' order by id"
    return [(row["status"], row["dest_compute"]) for row in bed.ctl("sql", query=query)]


def events(bed: NovaBed, uuid: str, action: str) -> dict[str, dict[str, Any]]:
    """Of the newest action of that name, by the name of the event."""
    path = f"/servers/{uuid}/os-instance-actions"
    listed = bed.api("GET", path, microversion="2.84").json["instanceActions"]
    ident = next(row["request_id"] for row in listed if row["action"] == action)
    found = bed.api("GET", f"{path}/{ident}", microversion="2.84").json["instanceAction"]["events"]
    return {event["event"]: event for event in found}


def frames(event: dict[str, Any]) -> list[str]:
    """The functions in an event's traceback, outermost first."""
    return [line.rsplit(" in ", 1)[1] for line in event["traceback"].splitlines() if line.startswith("  File ")]


def has(bed: NovaBed, uuid: str, statuses: list[str]) -> Callable[[], bool]:
    """And its task has ended: the row is written before the server is."""
    return lambda: evacuations(bed, uuid) == statuses and nova_row(bed, uuid)["task_state"] is None


def fail_after_the_spawn(bed: NovaBed, uuid: str) -> str:
    """The save that follows meets another task state; where the guest was started then."""
    fail_spawns(bed, "hang")
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: nova_row(bed, uuid)["task_state"] == SPAWNING)
    ((_, dest),) = rows(bed, uuid)
    assert bed.action(uuid, "os-resetState", {"state": "active"}).status == 202
    for host in SPARES:
        bed.hypervisor(host, spawn_mode="ok", release=True)
    bed.wait_until(has(bed, uuid, ["failed"]))
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == "error")
    return str(dest)


# ------------------------------------------------------------------------------------------ failed, and the guest


def test_failed_does_not_say_that_no_guest_runs_but_the_time_of_the_launch_does(bed: NovaBed) -> None:
    """What the save that failed had changed is written when the server is set to error."""
    (uuid,) = boot(bed)
    before = launched(bed, uuid)
    lose(bed)
    dest = fail_after_the_spawn(bed, uuid)
    assert bed.running_on(uuid) == [dest]
    it = shown(bed, uuid)
    assert (it["OS-EXT-STS:vm_state"], it["OS-EXT-SRV-ATTR:host"], it["OS-EXT-STS:power_state"]) == ("error", "cmp1", 1)
    assert launched(bed, uuid) > before
    rebuild = events(bed, uuid, "evacuate")["compute_rebuild_instance"]
    assert rebuild["result"] == "Error"
    assert "_do_rebuild_instance" in frames(rebuild)
    assert not {"_rebuild_default_impl", "spawn"} & set(frames(rebuild))


@pytest.mark.parametrize("where", ["claim", "spawn"])
def test_a_rebuild_that_failed_before_the_guest_ran_leaves_the_time_of_the_launch(bed: NovaBed, where: str) -> None:
    (uuid,) = boot(bed)
    before = launched(bed, uuid)
    lose(bed)
    for host in SPARES:
        bed.hypervisor(host, **({"claim_fail_times": 9} if where == "claim" else {"spawn_mode": "fail"}))
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(has(bed, uuid, ["failed"]))
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == ("active" if where == "claim" else "error"))
    assert (bed.running_on(uuid), launched(bed, uuid)) == ([], before)
    rebuild = events(bed, uuid, "evacuate")["compute_rebuild_instance"]
    if where == "claim":
        assert frames(rebuild)[-1] == "_error_out_instance_on_exception"
        assert "Insufficient compute resources" in rebuild["details"]
    else:
        assert frames(rebuild)[-2:] == ["_rebuild_default_impl", "spawn"]


def test_a_destination_refuses_the_guest_that_it_has(bed: NovaBed) -> None:
    """Before it touches anything; that refusal is a failure like any other, but for its words."""
    (uuid,) = boot(bed)
    lose(bed)
    dest = fail_after_the_spawn(bed, uuid)
    since = launched(bed, uuid)
    assert bed.evacuate(uuid, host=dest).status == 200
    bed.wait_until(has(bed, uuid, ["failed", "failed"]))
    bed.wait_until(lambda: "already exists" in shown(bed, uuid)["fault"]["message"])
    assert rows(bed, uuid) == [("failed", dest), ("failed", dest)]
    assert (bed.running_on(uuid), launched(bed, uuid)) == ([dest], since)
    assert frames(events(bed, uuid, "evacuate")["compute_rebuild_instance"])[-1] == "_check_instance_exists"


# ---------------------------------------------------------------------------------------- calls, rows and actions


def test_a_late_call_for_what_has_arrived_is_refused(bed: NovaBed) -> None:
    (uuid,) = boot(bed)
    lose(bed)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(has(bed, uuid, ["done"]))
    late = bed.evacuate(uuid)
    assert (late.status, "still in use" in late.text, evacuations(bed, uuid)) == (400, True, ["done"])


def test_action_and_row_are_written_before_the_call_is_answered_and_events_by_who_works(bed: NovaBed) -> None:
    (uuid,) = boot(bed)
    lose(bed)
    bed.ctl("conductor", up=False)
    assert bed.evacuate(uuid).status == 200
    assert (events(bed, uuid, "evacuate"), evacuations(bed, uuid)) == ({}, ["accepted"])
    bed.ctl("conductor", up=True)
    bed.wait_until(has(bed, uuid, ["done"]), 60)
    found = events(bed, uuid, "evacuate")
    assert set(found) == {"rebuild_server", "compute_rebuild_instance"}
    assert found["compute_rebuild_instance"]["host"] == nova_row(bed, uuid)["host"]
    assert {event["result"] for event in found.values()} == {"Success"}


def test_the_conductor_takes_the_oldest_accepted_row_and_leaves_its_own(bed: NovaBed) -> None:
    """The scheduler is away for the first call: the row that this leaves stands for the second one's guest."""
    (uuid,) = boot(bed)
    lose(bed)
    bed.ctl("scheduler", up=False)
    bed.ctl("config", name="long_rpc_timeout", value=2)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: events(bed, uuid, "evacuate").get("rebuild_server", {}).get("finish_time"), 60)
    failed = events(bed, uuid, "evacuate")
    assert {name: (event["result"], event["details"]) for name, event in failed.items()} == {
        "rebuild_server": ("Error", "MessagingTimeout")
    }
    assert (evacuations(bed, uuid), nova_row(bed, uuid)["task_state"]) == (["accepted"], "rebuilding")
    bed.ctl("scheduler", up=True)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(has(bed, uuid, ["done", "accepted"]), 60)
    assert nova_row(bed, uuid)["host"] in SPARES


def test_a_message_waits_for_a_destination_that_has_died_and_is_carried_out_when_that_is_back(bed: NovaBed) -> None:
    """Nova still takes it for alive; until it has begun the row names nobody."""
    (uuid,) = boot(bed)
    lose(bed)
    bed.ctl("config", name="service_down_time", value=60)
    assert bed.update_service("cmp3", status="disabled").status == 200
    bed.ctl("kill_compute", host="cmp2")
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: events(bed, uuid, "evacuate").get("rebuild_server", {}).get("result") == "Success")
    assert (list(events(bed, uuid, "evacuate")), rows(bed, uuid)) == (["rebuild_server"], [("accepted", None)])
    bed.ctl("start_compute", host="cmp2")
    bed.wait_until(has(bed, uuid, ["done"]))
    assert rows(bed, uuid) == [("done", "cmp2")]


def test_a_message_that_waits_starts_nothing_once_the_state_was_reset(bed: NovaBed) -> None:
    """The task that it expects is gone; a new evacuate would set it again."""
    (uuid,) = boot(bed)
    lose(bed)
    bed.ctl("config", name="service_down_time", value=60)
    assert bed.update_service("cmp3", status="disabled").status == 200
    bed.ctl("kill_compute", host="cmp2")
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: events(bed, uuid, "evacuate").get("rebuild_server", {}).get("result") == "Success")
    assert bed.action(uuid, "os-resetState", {"state": "active"}).status == 202
    bed.ctl("start_compute", host="cmp2")
    bed.wait_until(lambda: rows(bed, uuid) == [("failed", "cmp2")])
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == "error")
    assert "spawn-start" not in [event["what"] for event in bed.ctl("events", host="cmp2")]


def test_a_server_that_is_deleted_in_the_middle_leaves_its_guest_and_a_success(bed: NovaBed) -> None:
    """Until the destination looks for what is deleted and runs, half an hour later."""
    (uuid,) = boot(bed)
    lose(bed)
    fail_spawns(bed, "hang")
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: nova_row(bed, uuid)["task_state"] == SPAWNING)
    ((_, dest),) = rows(bed, uuid)
    assert bed.api("DELETE", f"/servers/{uuid}").status == 204
    for host in SPARES:
        bed.hypervisor(host, spawn_mode="ok", release=True)
    bed.wait_until(lambda: rows(bed, uuid) == [("failed", dest)])
    bed.wait_until(lambda: events(bed, uuid, "evacuate")["compute_rebuild_instance"]["result"])
    assert events(bed, uuid, "evacuate")["compute_rebuild_instance"]["result"] == "Success"
    assert bed.running_on(uuid) == [dest]


# --------------------------------------------------------------------------------------------------- the return


def test_one_row_of_each_server_is_completed_at_the_start_of_its_source(bed: NovaBed) -> None:
    (uuid,) = boot(bed)
    lose(bed)
    fail_spawns(bed, "hang")
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: nova_row(bed, uuid)["task_state"] == SPAWNING)
    ((_, dead),) = rows(bed, uuid)
    lose(bed, str(dead))
    for host in SPARES:
        bed.hypervisor(host, spawn_mode="ok", release=True)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(has(bed, uuid, ["pre-migrating", "done"]))
    bed.power_on("cmp1")
    bed.wait_until(lambda: "completed" in evacuations(bed, uuid))
    assert evacuations(bed, uuid) == ["pre-migrating", "completed"]


def test_a_start_that_waited_for_a_dead_host_runs_the_guest_there_too(bed: NovaBed) -> None:
    """Nova takes it although the host is down, and carries it out at its return without a look at where the server is."""
    (uuid,) = boot(bed)
    assert bed.action(uuid, "os-stop").status == 202
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == "stopped")
    lose(bed)
    assert bed.action(uuid, "os-start").status == 202
    assert (nova_row(bed, uuid)["task_state"], events(bed, uuid, "start")) == ("powering-on", {})
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(has(bed, uuid, ["done"]))
    assert events(bed, uuid, "start") == {}
    bed.power_on("cmp1")
    bed.wait_until(lambda: "cmp1" in bed.running_on(uuid))
    assert nova_row(bed, uuid)["host"] in SPARES


def test_a_stop_that_waited_for_a_dead_host_makes_what_runs_elsewhere_read_as_stopped(bed: NovaBed) -> None:
    (uuid,) = boot(bed)
    lose(bed)
    assert bed.action(uuid, "os-stop").status == 202
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(has(bed, uuid, ["done"]))
    bed.power_on("cmp1")
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == "stopped")
    assert bed.running_on(uuid) == [nova_row(bed, uuid)["host"]]
