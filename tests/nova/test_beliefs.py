# SPDX-License-Identifier: Apache-2.0
"""What Nova itself does, as far as muster or the simulated world rests on it and no port shows it (docs/robustness.md)."""

from __future__ import annotations

import subprocess
from typing import Any, Callable

import pytest

from muster.gateways.nova.login import CELLS_TIMEOUT_S
from tests.bed.nova.client import NovaBed, interpreter
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


def test_nothing_shows_the_guest_that_failed_left_and_nothing_ends_it(bed: NovaBed) -> None:
    """Neither a list, nor what its host does from time to time, nor a start of its nova-compute."""
    (uuid,) = boot(bed)
    lose(bed)
    dest = fail_after_the_spawn(bed, uuid)
    for task in ("_sync_power_states", "_cleanup_running_deleted_instances", "update_available_resource"):
        bed.ctl("periodic", host=dest, task=task)
    bed.ctl("kill_compute", host=dest)
    bed.ctl("start_compute", host=dest)
    listed = bed.api("GET", f"/servers/detail?all_tenants=1&host={dest}", microversion="2.90").json["servers"]
    assert listed == []
    assert bed.api("GET", f"/servers/{uuid}/diagnostics").status >= 400
    assert shown(bed, uuid)["OS-EXT-SRV-ATTR:host"] == "cmp1"
    assert bed.running_on(uuid) == [dest]


def test_a_last_step_that_fails_leaves_the_row_open_and_the_guest_running(bed: NovaBed) -> None:
    """Nobody takes back what was done before: it runs there, and Nova shows it as ERROR on the dead host."""
    (uuid,) = boot(bed)
    lose(bed)
    bed.ctl("lose", what="finish", times=1)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: events(bed, uuid, "evacuate").get("compute_rebuild_instance", {}).get("finish_time"))
    ((status, dest),) = rows(bed, uuid)
    assert (status, bed.running_on(uuid)) == ("pre-migrating", [dest])
    bed.wait_until(lambda: nova_row(bed, uuid) == {"host": "cmp1", "vm_state": "error", "task_state": None})
    assert events(bed, uuid, "evacuate")["compute_rebuild_instance"]["result"] == "Error"
    bed.ctl("kill_compute", host=str(dest))
    bed.ctl("start_compute", host=str(dest))
    assert rows(bed, uuid) == [("pre-migrating", dest)]


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


def test_without_an_accepted_row_the_destination_writes_one_of_its_own_that_is_never_done(bed: NovaBed) -> None:
    (uuid,) = boot(bed)
    lose(bed)
    bed.ctl("conductor", up=False)
    assert bed.evacuate(uuid).status == 200
    bed.ctl("set_evacuations", uuid=uuid, status="error")
    bed.ctl("conductor", up=True)
    bed.wait_until(lambda: nova_row(bed, uuid)["host"] in SPARES, 60)
    dest = nova_row(bed, uuid)["host"]
    bed.wait_until(lambda: nova_row(bed, uuid)["task_state"] is None)
    assert rows(bed, uuid) == [("error", None), ("pre-migrating", dest)]


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


def test_what_a_purge_loses_of_a_hosts_own_servers_its_nova_compute_repeats(bed: NovaBed) -> None:
    """Starts, stops, reboots and deletes, by their tasks; not a suspend, whose task stays (facts.md N43)."""
    started, stopped, rebooted, deleted, suspended = boot(bed, 5)
    assert bed.action(started, "os-stop").status == 202
    bed.wait_until(lambda: nova_row(bed, started)["vm_state"] == "stopped")
    bed.power_off("cmp1")
    asked = {"os-start": started, "os-stop": stopped, "suspend": suspended}
    for action, uuid in asked.items():
        assert bed.action(uuid, action).status == 202
    assert bed.action(rebooted, "reboot", {"type": "HARD"}).status == 202
    assert bed.api("DELETE", f"/servers/{deleted}").status == 204
    bed.ctl("purge_queue", host="cmp1")
    bed.power_on("cmp1")
    bed.wait_until(lambda: sorted(bed.running_on(started) + bed.running_on(rebooted)) == ["cmp1", "cmp1"])
    bed.wait_until(lambda: nova_row(bed, stopped) == {"host": "cmp1", "vm_state": "stopped", "task_state": None})
    bed.wait_until(lambda: bed.server(deleted) is None)
    bed.wait_until(lambda: bed.service("cmp1")["state"] == "up")
    assert nova_row(bed, suspended) == {"host": "cmp1", "vm_state": "active", "task_state": "suspending"}


@pytest.mark.parametrize("resumes", [False, True])
def test_guests_are_started_with_their_host_only_where_nova_is_told_so(bed: NovaBed, resumes: bool) -> None:
    (uuid,) = boot(bed)
    bed.ctl("config", name="resume_guests_state_on_host_boot", value=resumes)
    bed.power_off("cmp1")
    bed.power_on("cmp1")
    bed.wait_until(lambda: bed.service("cmp1")["state"] == "up")
    bed.wait_until(lambda: nova_row(bed, uuid)["task_state"] is None)
    assert bed.running_on(uuid) == ["cmp1"] * resumes


def test_a_nova_compute_that_is_told_to_stop_beats_on_and_takes_no_message(bed: NovaBed) -> None:
    """As long as it has a task (facts.md N37); what was sent to it waits for the next one."""
    (uuid,) = boot(bed)
    lose(bed)
    assert bed.update_service("cmp3", status="disabled").status == 200
    if not bed.ctl("terminate_compute", host="cmp2"):
        pytest.skip("before 33 nova-compute ends at once")
    assert bed.evacuate(uuid).status == 200
    for _ in range(2):
        heard = bed.service("cmp2")["updated_at"]
        bed.wait_until(lambda heard=heard: bed.service("cmp2")["updated_at"] > heard)
    assert (bed.service("cmp2")["state"], rows(bed, uuid)) == ("up", [("accepted", None)])
    bed.ctl("end_task", host="cmp2")
    bed.wait_until(lambda: bed.service("cmp2")["state"] == "down", 30)
    assert rows(bed, uuid) == [("accepted", None)]
    bed.ctl("start_compute", host="cmp2")
    bed.wait_until(has(bed, uuid, ["done"]))


# ------------------------------------------------------------------------------------------------ lists and Nova's code


def test_a_list_with_details_is_none_while_neutron_is_away(bed: NovaBed) -> None:
    (uuid,) = boot(bed)
    bed.ctl("lose", what="ports")
    assert bed.api("GET", "/servers/detail?all_tenants=1", microversion="2.90").status == 500
    plain = bed.api("GET", "/servers?all_tenants=1", microversion="2.90")
    assert (plain.status, [server["id"] for server in plain.json["servers"]]) == (200, [uuid])


def novas_own(program: str) -> str:
    """What Nova's Python says: the process of the bed has only one cell, and no libvirt."""
    done = subprocess.run([interpreter(), "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def test_nova_redirects_to_nothing_but_a_slash_behind_its_own_address() -> None:
    """A route whose methods are a text is a redirection."""
    says = novas_own(
        "from nova.api.openstack.compute.routes import ROUTE_LIST\n"
        "print([route for route in ROUTE_LIST if isinstance(route[1], str)])"
    )
    assert says == "[('', '/')]"


def test_a_cell_that_hangs_is_waited_for_a_minute() -> None:
    assert novas_own("from nova import context; print(context.CELL_TIMEOUT)") == "60"
    assert CELLS_TIMEOUT_S > 60.0


def test_libvirt_lifts_no_disable_but_its_own() -> None:
    """Whoever gives a reason that begins with "muster: " is not overruled by a nova-compute that starts."""
    says = novas_own(
        "from unittest import mock\n"
        "from nova import objects\n"
        "from nova.virt.libvirt import driver\n"
        "objects.register_all()\n"
        "for reason in ('muster: fenced', 'AUTO: no connection'):\n"
        "    service = mock.Mock(disabled=True, disabled_reason=reason)\n"
        "    found = mock.patch.object(objects.Service, 'get_by_compute_host', return_value=service)\n"
        "    with found, mock.patch.object(driver, 'mount'):\n"
        "        driver.LibvirtDriver._set_host_enabled(mock.Mock(), True)\n"
        "    print(service.disabled, service.save.called)\n"
    )
    assert says == "True False\nFalse True"


def test_the_conductor_keeps_an_evacuation_in_the_cell_of_its_server() -> None:
    """The bed has one cell."""
    says = novas_own(
        "import inspect\n"
        "from unittest import mock\n"
        "from nova import objects\n"
        "from nova.conductor import manager\n"
        "objects.register_all()\n"
        "tasks = manager.ComputeTaskManager\n"
        "mapping = mock.Mock(cell_mapping=objects.CellMapping(name='its own', uuid='c'))\n"
        "with mock.patch.object(objects.InstanceMapping, 'get_by_instance_uuid', return_value=mapping):\n"
        "    for asked in (None, objects.Destination(host='cmp2')):\n"
        "        spec = objects.RequestSpec(requested_destination=asked)\n"
        "        tasks._restrict_request_spec_to_cell(mock.Mock(), mock.Mock(), spec)\n"
        "        print(spec.requested_destination.cell.name)\n"
        "print('_restrict_request_spec_to_cell(' in inspect.getsource(tasks.rebuild_instance))\n"
    )
    assert says == "its own\nits own\nTrue"


def test_libvirt_makes_a_disk_that_is_not_there_from_the_image_and_keeps_one_that_is() -> None:
    """What becomes of a server without shared storage; the bed's hypervisors have no disks."""
    says = novas_own(
        "import os, tempfile\n"
        "from unittest import mock\n"
        "from nova import conf, objects\n"
        "objects.register_all()\n"
        "from nova.virt.libvirt import driver, imagebackend\n"
        "conf.CONF([], project='nova', default_config_files=[])\n"
        "def fetch(target, **_):\n"
        "    open(target, 'w').write('the image')\n"
        "touch = mock.patch.object(imagebackend, '_update_utime_ignore_eacces')\n"
        "qemu = mock.patch.object(imagebackend.Flat, 'correct_format')\n"
        "with touch, qemu, tempfile.TemporaryDirectory() as folder:\n"
        "    conf.CONF.set_override('instances_path', folder)\n"
        "    for name, content in (('a', 'the data'), ('b', '')):\n"
        "        disk = imagebackend.Flat(path=os.path.join(folder, name))\n"
        "        if content:\n"
        "            open(disk.path, 'w').write(content)\n"
        "        disk.cache(fetch, 'base', image_id='x')\n"
        "        print(open(disk.path).read())\n"
    )
    assert says == "the data\nthe image"
