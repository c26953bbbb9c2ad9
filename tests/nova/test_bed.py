# SPDX-License-Identifier: Apache-2.0
"""The test bed is what it claims: real Nova, and an oracle that misses nothing."""

from __future__ import annotations

import http.client
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import urllib.error

import pytest

from tests.bed.nova.client import ROOT, BedError, NovaBed, interpreter

HOSTS = ["cmp1", "cmp2", "cmp3"]

if not interpreter().exists():
    pytest.skip(f"no {interpreter()}", allow_module_level=True)


@pytest.fixture(scope="module")
def running():
    with NovaBed.start(HOSTS, service_down_time=1.5, report_interval=0.4) as bed:
        yield bed


@pytest.fixture
def bed(running):
    running.reset()
    yield running
    running.ctl("http", service="compute", up=True)


def lose(bed, host):
    bed.power_off(host)
    assert bed.update_service(host, forced_down=True).status == 200


def evacuated(bed, uuid, source):
    def settled():
        row = bed.server(uuid)
        return row if row["host"] != source and row["task_state"] is None and bed.running_on(uuid) else None

    return bed.wait_until(settled, what=f"evacuated: {bed.server(uuid)} {bed.migrations(uuid)}")


def up(bed, host):
    return bed.service(host)["state"] == "up"


def test_what_nova_writes_waits_for_its_turn(bed):
    """It was lost to `database is locked`, and with it an evacuation that Nova had taken."""
    (uuid,) = bed.boot("cmp1")
    db = sqlite3.connect(f"{bed.info['dir']}/cell1.sqlite", isolation_level=None, check_same_thread=False)
    db.execute("begin immediate")
    threading.Timer(1.0, db.rollback).start()
    assert bed.action(uuid, "os-stop").status == 202
    assert not db.in_transaction
    bed.wait_until(lambda: bed.server(uuid)["vm_state"] == "stopped")
    db.close()


STOPPED_WHILE_IT_LOOKS = """
import sys, threading
from tests.bed.nova import speed
speed.wake_rpc_servers()
from oslo_messaging._drivers import impl_fake

listener = impl_fake.FakeListener(impl_fake.FakeExchangeManager("nova"), [])
stop = threading.Thread(target=listener.stop, daemon=True)

class Stopped(threading.Event):
    def is_set(self):
        before = super().is_set()
        if stop.ident is None:
            stop.start()
            stop.join(0.5)
        return before

listener._stopped = Stopped()
poll = threading.Thread(target=listener.poll, daemon=True)
poll.start()
poll.join(10)
sys.exit(poll.is_alive())
"""


def test_a_service_that_dies_while_it_looks_for_messages_is_dead():
    """It waited for the next message for ever, and whoever cut the power waited for it."""
    subprocess.run([interpreter(), "-c", STOPPED_WHILE_IT_LOOKS], cwd=ROOT, timeout=60, check=True)


def test_refuses_to_evacuate_a_host_that_is_up(bed):
    (uuid,) = bed.boot("cmp1")
    reply = bed.evacuate(uuid)
    assert reply.status == 400
    assert "still in use" in reply.text
    (first, second) = bed.violations()
    assert first.startswith("evacuate while service not down")
    assert second.startswith("evacuate while source powered on")
    assert bed.violations(refused=False) == []


def test_evacuates_a_dead_host_and_lets_it_return(bed):
    uuid, stopped = bed.boot("cmp1", 2)
    assert bed.action(stopped, "os-stop").status == 202
    bed.wait_until(lambda: bed.server(stopped)["vm_state"] == "stopped")
    lose(bed, "cmp1")
    assert bed.evacuate(uuid).status == 200
    row = evacuated(bed, uuid, "cmp1")
    assert (row["vm_state"], bed.running_on(uuid)) == ("active", [row["host"]])
    assert bed.evacuate(stopped).status == 200
    bed.wait_until(lambda: bed.migrations(stopped)[0]["status"] == "done" and not bed.server(stopped)["task_state"])
    assert bed.server(stopped)["vm_state"] == "stopped"
    assert bed.update_service("cmp1", forced_down=False).status == 400
    bed.power_on("cmp1")
    truth = bed.truth()
    assert truth["hypervisors"]["cmp1"]["defined"] == []
    assert {m["status"] for m in truth["migrations"]} == {"completed"}
    assert bed.update_service("cmp1", forced_down=False).status == 200
    bed.wait_until(lambda: up(bed, "cmp1"))
    assert bed.violations() == []


def test_sees_a_guest_that_runs_twice(bed):
    (uuid,) = bed.boot("cmp1")
    bed.update_service("cmp1", forced_down=True)
    bed.evacuate(uuid)
    evacuated(bed, uuid, "cmp1")
    powered, twice = bed.violations()
    assert powered.startswith("evacuate while source powered on")
    assert twice.startswith(f"guest on two hosts: server {uuid}")


def test_sees_a_guest_that_comes_back_with_the_power(bed):
    (uuid,) = bed.boot("cmp1")
    lose(bed, "cmp1")
    bed.evacuate(uuid)
    evacuated(bed, uuid, "cmp1")
    assert bed.violations() == []
    bed.power_on("cmp1", start=False, guests=True)
    (twice,) = bed.violations()
    assert "power-on of cmp1" in twice


def test_a_host_that_came_back_without_nova_compute_may_be_evacuated(bed):
    (uuid,) = bed.boot("cmp1")
    lose(bed, "cmp1")
    bed.power_on("cmp1", start=False)
    assert bed.evacuate(uuid).status == 200
    evacuated(bed, uuid, "cmp1")
    assert bed.violations() == []


def test_sees_a_second_evacuation_and_an_unforce_while_one_is_open(bed):
    (uuid,) = bed.boot("cmp1")
    for host in ("cmp2", "cmp3"):
        bed.hypervisor(host, spawn_mode="hang")
    lose(bed, "cmp1")
    bed.evacuate(uuid)
    bed.wait_until(lambda: bed.migrations(uuid)[0]["status"] == "pre-migrating")
    assert bed.evacuate(uuid).status == 200
    assert bed.update_service("cmp1", forced_down=False).status == 200
    again, unforced = bed.violations()
    assert again.startswith("evacuate while another evacuation is open")
    assert unforced.startswith("un-forced while an evacuation is open")


def test_an_evacuation_whose_destination_lost_its_power_is_not_open(bed):
    (uuid,) = bed.boot("cmp1")
    for host in ("cmp2", "cmp3"):
        bed.hypervisor(host, spawn_mode="hang")
    lose(bed, "cmp1")
    bed.evacuate(uuid)
    first = bed.wait_until(lambda: [m for m in bed.migrations(uuid) if m["status"] == "pre-migrating"])[0][
        "dest_compute"
    ]
    other = {"cmp2": "cmp3", "cmp3": "cmp2"}[first]
    lose(bed, first)
    bed.hypervisor(other, spawn_mode="ok", release=True)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: bed.running_on(uuid) == [other])
    bed.power_on(first)
    bed.hypervisor(first, release=True)
    assert bed.running_on(uuid) == [other]
    assert bed.violations() == []


@pytest.mark.parametrize("version", ["2.13", "2.53", "2.60", "2.79", "2.94", "2.100"])
def test_offers_no_newer_microversion_than_the_cap(bed, version):
    bed.max_microversion(version)
    minor = int(version.split(".")[1])
    document = bed.api("GET", "/").json["version"]
    assert document["version"] == version
    assert bed.api("GET", "/servers", microversion=f"2.{minor + 1}").status == 406
    latest = bed.api("GET", "/servers", microversion="latest")
    assert (latest.status, latest.headers["X-OpenStack-Nova-API-Version"]) == (200, version)


def test_evacuates_at_2_13_with_shared_storage(bed):
    bed.max_microversion("2.13")
    (uuid,) = bed.boot("cmp1")
    for host in ("cmp2", "cmp3"):
        bed.hypervisor(host, shared_storage=True)
    bed.power_off("cmp1")
    body = {"host": "cmp1", "binary": "nova-compute", "forced_down": True}
    assert bed.api("PUT", "/os-services/force-down", body, "2.11").status == 200
    assert bed.evacuate(uuid, "2.13").status == 400
    assert bed.evacuate(uuid, "2.13", onSharedStorage=True).status == 200
    evacuated(bed, uuid, "cmp1")


def test_boots_what_the_scenarios_need(bed):
    (plain,) = bed.boot("cmp1", metadata={"evacuable": "false"}, extra_specs={"ha:evacuable": "true"})
    (image,) = bed.boot("cmp1", image_properties={"os_distro": "debian"})
    (volume,) = bed.boot("cmp1", volume=True)
    server = bed.api("GET", f"/servers/{plain}", microversion="2.94").json["server"]
    assert server["metadata"] == {"evacuable": "false"}
    assert server["flavor"]["extra_specs"] == {"ha:evacuable": "true"}
    server = bed.api("GET", f"/servers/{image}", microversion="2.98").json["server"]
    assert server["image"]["properties"]["os_distro"] == "debian"  # Nova shows those it knows, no others
    server = bed.api("GET", f"/servers/{volume}", microversion="2.94").json["server"]
    assert server["image"] == ""
    lose(bed, "cmp1")
    for uuid in (plain, image, volume):
        assert bed.evacuate(uuid).status == 200
    for uuid in (plain, image, volume):
        assert evacuated(bed, uuid, "cmp1")["vm_state"] == "active"
    assert bed.violations() == []


def test_clones_are_servers_like_any_other(bed):
    (uuid,) = bed.boot("cmp1")
    copies = bed.ctl("clone", uuid=uuid, count=30, projects=3)
    listed = bed.api("GET", "/servers/detail?all_tenants=1&host=cmp1").json["servers"]
    assert {s["id"] for s in listed} == {uuid, *copies}
    assert len({s["tenant_id"] for s in listed}) == 4
    lose(bed, "cmp1")
    for copy in copies[:3]:
        assert bed.evacuate(copy).status == 200
    for copy in copies[:3]:
        evacuated(bed, copy, "cmp1")
    assert bed.violations() == []


def test_deletes_and_tells_the_action_log(bed):
    (uuid,) = bed.boot("cmp1")
    assert bed.ctl("delete_server", uuid=uuid)
    log = bed.ctl("server_action_log", uuid=uuid)
    assert [a["action"] for a in log] == ["create", "delete"]
    assert "compute__do_build_and_run_instance" in [e["event"] for e in log[0]["events"]]


# ------------------------------------------------------------------- faults


def test_loses_a_reply_after_the_work_is_done(bed):
    (uuid,) = bed.boot("cmp1")
    lose(bed, "cmp1")
    bed.fault(method="POST", path="/action$", body="evacuate", status=504, after=True, times=1)
    assert bed.evacuate(uuid).status == 504
    evacuated(bed, uuid, "cmp1")
    entry = bed.requests(method="POST", path="/action")[-1]
    assert (entry["status"], entry["real_status"]) == (504, 200)
    assert entry["request_id"].startswith("req-")


@pytest.mark.parametrize("how", ["half", "silent"])
def test_drops_a_reply(bed, how):
    bed.api("GET", "/os-services")
    bed.fault(path="os-services", drop=how, times=1)
    with pytest.raises((http.client.HTTPException, OSError)):
        bed.api("GET", "/os-services")
    assert bed.api("GET", "/os-services").status == 200


def test_spares_the_first_and_looks_at_the_query(bed):
    bed.fault(path="/servers", query="host=cmp2", status=503, skip=1, times=1, headers={"Retry-After": "7"})
    assert bed.api("GET", "/servers?host=cmp1").status == 200
    assert bed.api("GET", "/servers?host=cmp2").status == 200
    spoilt = bed.api("GET", "/servers?host=cmp2")
    assert (spoilt.status, spoilt.headers["Retry-After"]) == (503, "7")
    assert bed.api("GET", "/servers?host=cmp2").status == 200
    assert bed.ctl("fault_hits") == [1]


def test_refuses_a_claim(bed):
    (uuid,) = bed.boot("cmp1")
    for host in ("cmp2", "cmp3"):
        bed.hypervisor(host, claim_fail_times=1)
    lose(bed, "cmp1")
    bed.evacuate(uuid)
    bed.wait_until(lambda: bed.migrations(uuid)[0]["status"] == "failed" and not bed.server(uuid)["task_state"])
    assert (bed.server(uuid)["vm_state"], bed.server(uuid)["host"]) == ("active", "cmp1")


def test_refuses_connections(bed):
    bed.api("GET", "/os-services")
    bed.ctl("http", service="compute", up=False)
    with pytest.raises(urllib.error.URLError):
        bed.api("GET", "/os-services")
    bed.ctl("http", service="compute", up=True)
    assert bed.api("GET", "/os-services").status == 200


# ------------------------------------------------------------------- tokens


def test_rotates_a_password_and_revokes_tokens(bed):
    token = bed._own_token()
    assert bed.api("GET", "/servers", token=token).status == 200
    bed.ctl("change_password", password="new")
    assert bed.api("GET", "/servers", token=token).status == 401
    with pytest.raises(BedError, match="no token: <401"):
        bed.api("GET", "/servers")
    bed.reset()
    assert bed.api("GET", "/servers").status == 200


def test_tokens_expire(bed):
    bed.ctl("token_ttl", ttl=1)
    bed._token = None
    token = bed._own_token()
    assert bed.api("GET", "/servers", token=token).status == 200
    bed.wait_until(lambda: bed.api("GET", "/servers", token=token).status == 401, 5)
    bed._token = None


# ---------------------------------------------------------------- services


def test_one_host_falls_silent(bed):
    bed.wait_until(lambda: all(up(bed, host) for host in HOSTS))
    bed.ctl("freeze_heartbeats", host="cmp2")
    bed.wait_until(lambda: not up(bed, "cmp2"), 5)
    assert up(bed, "cmp1")
    (uuid,) = bed.boot("cmp1")
    assert bed.running_on(uuid) == ["cmp1"]
    bed.ctl("freeze_heartbeats", host="cmp2", on=False)
    bed.wait_until(lambda: up(bed, "cmp2"), 5)


def test_waits_for_the_scheduler(bed):
    (uuid,) = bed.boot("cmp1")
    lose(bed, "cmp1")
    bed.ctl("scheduler", up=False)
    assert bed.evacuate(uuid).status == 200
    bed.wait_until(lambda: bed.server(uuid)["task_state"] == "rebuilding")
    assert bed.migrations(uuid)[0]["status"] == "accepted"
    bed.ctl("scheduler", up=True)
    evacuated(bed, uuid, "cmp1")


def test_without_a_conductor_all_hosts_look_down(bed):
    (uuid,) = bed.boot("cmp1")
    bed.ctl("conductor", up=False)
    bed.wait_until(lambda: not any(up(bed, host) for host in HOSTS), 5)
    bed.power_off("cmp1")
    assert bed.evacuate(uuid).status == 200
    assert bed.migrations(uuid)[0]["status"] == "accepted"
    bed.ctl("conductor", up=True)
    bed.wait_until(lambda: bed.migrations(uuid)[0]["status"] in ("done", "error"))
    assert bed.violations() == []


# ------------------------------------------------------------------- client


def test_writes_clouds_yaml_for_its_owner_only(bed, tmp_path):
    path = bed.clouds_yaml(tmp_path / "clouds.yaml", password="other", region_name="R2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert '"other"' in text and '"R2"' in text and bed.url["identity"] in text


def test_ends_when_its_parent_is_killed():
    script = (
        "import sys; from tests.bed.nova.client import NovaBed; bed = NovaBed.start(['only']); "
        "print(bed.pid, bed.info['dir'], flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        pid, directory = parent.stdout.readline().split()
        os.kill(parent.pid, signal.SIGKILL)
    NovaBed.wait_until(None, lambda: not os.path.exists(f"/proc/{pid}/exe"), 10)
    assert not os.path.exists(directory)
