# SPDX-License-Identifier: Apache-2.0
"""Scenarios B: what Nova does wrong, and that no guest pays for it."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from muster.core.findings import Verdict
from muster.core.steps import Evacuate, ForceDown
from muster.engine import act
from tests.bed.nova.client import NovaBed
from tests.nova.steps import EVACUATE, MakeRig, boot, disable, evacuations, expect, fail_spawns, nova_row, posts


@pytest.mark.parametrize("fault", [{"status": 504}, {"drop": True}, {"status": 500}], ids=["504", "dropped", "500"])
def test_finds_the_work_of_a_call_whose_reply_was_lost(bed: NovaBed, rig: MakeRig, fault: dict[str, object]) -> None:
    """B1: Nova did the work; nothing is sent again."""
    (uuid,) = boot(bed)
    bed.fault(**EVACUATE, **fault, after=True, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")
    assert len(evacuations(bed, uuid)) == 1
    assert posts(bed, uuid) == 1


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"status": 504}], ids=lambda f: str(f["status"]))
def test_sends_again_when_a_lost_call_did_nothing(bed: NovaBed, rig: MakeRig, fault: dict[str, object]) -> None:
    """B2: only after nothing is to be seen for as long as the call could still be carried out."""
    (uuid,) = boot(bed)
    bed.fault(**EVACUATE, **fault, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"), 90)
    expect(bed, uuid, "active")
    assert len(evacuations(bed, uuid)) == 1
    assert posts(bed, uuid) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_a_refusal_concerns_that_server_only(bed: NovaBed, rig: MakeRig, status: int) -> None:
    """B3."""
    refused, plain = boot(bed, 2)
    bed.fault(method="POST", path=f"{refused}/action$", body="evacuate", status=status, own=True)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, plain, "active")
    # One 404 makes nothing gone that Nova lists on its host.
    assert it.entry(refused)["verdict"] == "held"
    assert posts(bed, refused) == (1 if status == 403 else 3)


PAGE = {"text": "<html><body>Request blocked. Support ID 4711</body></html>", "headers": {"Content-Type": "text/html"}}
PROXIES = {
    "300": {"status": 300},
    "302": {"status": 302, "headers": {"Location": "http://127.0.0.1:9/login"}},
    "400 as HTML": {"status": 400, **PAGE},
    "401": {"status": 401, **PAGE},
    "403 as HTML": {"status": 403, **PAGE},
    "404": {"status": 404, "text": "default backend - 404"},
    "404 in Nova's words": {"status": 404, "text": '{"itemNotFound": {"code": 404, "message": "No."}}'},
    "406": {"status": 406},
    "407": {"status": 407},
    "413": {"status": 413, "headers": {"Retry-After": "2"}},
    "429 until a date": {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}},
    "502 as HTML": {"status": 502, **PAGE},
    "a page with 200": {"status": 200, **PAGE},
}


@pytest.mark.parametrize("fault", PROXIES.values(), ids=list(PROXIES))
def test_what_stands_before_nova_holds_nobody_and_uses_no_attempt_up(
    bed: NovaBed, rig: MakeRig, fault: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """B30: an ingress, a firewall, a balancer answers all evacuates for a while, and says nothing about any server."""
    remember = act.Act._remember
    monkeypatch.setattr(act.Act, "_remember", lambda self, *a: remember(self, *a[:3], min(a[3], 5.0), *a[4:]))
    servers = boot(bed, 2)
    it = rig(attempts=1)
    it.fence("cmp1")
    it.run_until(lambda: bed.service("cmp1")["forced_down"])
    bed.fault(**EVACUATE, **fault)
    it.run_until(lambda: any(posts(bed, uuid) for uuid in servers))
    it.run_for(8)
    assert {it.entry(uuid)["verdict"] for uuid in servers} <= {"queued", "evacuating"}
    assert it.cluster.nodes["cmp1"].hold
    bed.clear_faults()
    it.run_until(it.settled("cmp1"), 90)
    for uuid in servers:
        expect(bed, uuid, "active")
        assert len(evacuations(bed, uuid)) == 1


def test_reads_are_not_redirected(bed: NovaBed, rig: MakeRig) -> None:
    """B31: to a place that answers with empty lists; the token would go along, and the host be released."""
    (uuid,) = boot(bed)
    elsewhere = Elsewhere()
    bed.fault(method="GET", path="/servers", status=302, headers={"Location": f"{elsewhere.url}/servers/detail"})
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: "redirect" in str(it.outlet.reports.get("cmp1")), 30)
    it.run_for(8)
    said = it.outlet.reports["cmp1"]["reason"]
    assert f"Nova answers with a redirect to {elsewhere.url}" in said
    assert "correct the endpoint in Keystone's catalogue" in said
    assert elsewhere.asked == []
    assert it.cluster.nodes["cmp1"].hold
    bed.clear_faults()
    it.run_until(it.settled("cmp1"), 60)
    expect(bed, uuid, "active")


def test_a_login_is_not_redirected(bed: NovaBed, rig: MakeRig) -> None:
    """B31: the password would go along."""
    elsewhere = Elsewhere()
    it = rig()
    it.fence("cmp1")
    bed.fault(service="identity", status=307, headers={"Location": f"{elsewhere.url}/v3/auth/tokens"})
    it.run_until(lambda: "Keystone answers with a redirect" in it.outlet.reason, 30)
    assert "correct auth_url in clouds.yaml" in it.outlet.reason
    assert elsewhere.asked == []


class Elsewhere:
    """A place that answers whatever it is asked with empty lists, and keeps what it was sent."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(f"{self.command} {self.path} {self.headers.get('X-Auth-Token', '')}")
                body = b'{"servers": [], "migrations": []}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *words: object) -> None: ...

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{http.server_port}"


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 500}, {"status": 429, "headers": {"Retry-After": "1"}}, {"drop": True}],
    ids=["503", "500", "429", "dropped"],
)
def test_goes_on_when_nova_answers_again(bed: NovaBed, rig: MakeRig, fault: dict[str, object]) -> None:
    """B4: every call fails for a while."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(path="/(servers|os-)", **fault)
    it.run_until(lambda: bool(it.outlet.reason), 30)
    assert "ova" in it.outlet.reports["cmp1"]["reason"]
    bed.clear_faults()
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_goes_on_when_the_port_opens_again(bed: NovaBed, rig: MakeRig) -> None:
    """B4: connection refused."""
    (uuid,) = boot(bed)
    it = rig()
    bed.ctl("http", service="compute", up=False)
    it.fence("cmp1")
    it.run_until(lambda: bool(it.outlet.reason), 30)
    bed.ctl("http", service="compute", up=True)
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_parks_until_there_is_room_and_goes_on_at_once_then(bed: NovaBed, rig: MakeRig) -> None:
    """B7: NoValidHost; then a host is enabled."""
    (uuid,) = boot(bed)
    disable(bed, "cmp2")
    disable(bed, "cmp3")
    it = rig(retry_delay_s=300)
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.PARKED))
    assert "No valid host" in it.entry(uuid)["reason"]
    disable(bed, "cmp2", "enabled")
    it.run_until(it.settled("cmp1"), 60)
    expect(bed, uuid, "active")


def test_tries_again_when_a_rebuild_failed(bed: NovaBed, rig: MakeRig) -> None:
    """B8: once."""
    (uuid,) = boot(bed)
    fail_spawns(bed, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_holds_with_novas_words_what_fails_every_time(bed: NovaBed, rig: MakeRig) -> None:
    """B8: always; the neighbour's fate is its own."""
    (uuid,) = boot(bed)
    fail_spawns(bed)
    it = rig(attempts=2)
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert it.entry(uuid)["verdict"] == "held"
    assert "2 of 2 tries failed" in it.entry(uuid)["reason"]
    assert evacuations(bed, uuid) == ["failed", "failed"]


def test_never_calls_a_refused_claim_evacuated(bed: NovaBed, rig: MakeRig) -> None:
    """B9: ACTIVE, no task, migration failed, still on the dead host (facts.md N10)."""
    (uuid,) = boot(bed)
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, claim_fail_times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")
    assert evacuations(bed, uuid)[0] in ("failed", "error")


def test_a_rebuild_that_hangs_is_never_sent_again(bed: NovaBed, rig: MakeRig) -> None:
    """B10: its age is shown, an alarm is raised, nothing else."""
    (uuid,) = boot(bed)
    fail_spawns(bed, "hang")
    it = rig(stuck_after_s=60)
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.EVACUATING))
    it.run_for(5)
    assert posts(bed, uuid) == 1
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, spawn_mode="ok", release=True)
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_goes_on_from_a_destination_that_died_under_it(bed: NovaBed, rig: MakeRig) -> None:
    """B11: once, and only after that host was fenced and forced down."""
    (uuid,) = boot(bed)
    fail_spawns(bed, "hang")
    it = rig()
    it.fence("cmp1")
    query = f"select dest_compute from migrations where instance_uuid='{uuid}' and dest_compute is not null"
    it.run_until(lambda: bed.ctl("sql", query=query))
    dest = bed.ctl("sql", query=query)[0]["dest_compute"]
    other = "cmp2" if dest == "cmp3" else "cmp3"
    bed.ctl("hypervisor", host=other, spawn_mode="ok")
    it.run_for(2)
    assert posts(bed, uuid) == 1
    it.fence(dest)
    it.run_until(lambda: it.settled("cmp1")() and it.settled(dest)())
    assert nova_row(bed, uuid)["host"] == other
    assert posts(bed, uuid) == 2


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"status": 200, "text": '{"migrations": ['}])
def test_no_effect_follows_from_half_an_answer(bed: NovaBed, rig: MakeRig, fault: dict[str, object]) -> None:
    """B12: the migrations query fails while one evacuation is open (facts.md N30)."""
    (uuid,) = boot(bed)
    fail_spawns(bed, "hang")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.EVACUATING))
    bed.fault(path="os-migrations", **fault)
    it.run_for(6)
    assert posts(bed, uuid) == 1
    assert it.cluster.nodes["cmp1"].hold
    bed.clear_faults()
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, spawn_mode="ok", release=True)
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


@pytest.mark.parametrize("after", [True, False], ids=["done", "not-done"])
def test_repeats_a_force_down_that_was_lost(bed: NovaBed, rig: MakeRig, after: bool) -> None:
    """B15."""
    (uuid,) = boot(bed)
    bed.fault(method="PUT", path="os-services", status=500, after=after, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", [ForceDown, Evacuate])
def test_a_worker_killed_around_a_call_is_taken_over(bed: NovaBed, rig: MakeRig, moment: str, kind: type) -> None:
    """C6, in small: the next worker knows nothing and sends nothing twice."""
    servers = boot(bed, 3)
    it = rig(in_flight=2)
    it.fence("cmp1")
    it.kill_at(moment, kind, count=2 if kind is Evacuate else 1)
    it.run_until(it.settled("cmp1"), 120)
    for uuid in servers:
        expect(bed, uuid, "active")
        assert len(evacuations(bed, uuid)) == 1


def test_what_was_sent_before_a_host_was_found_to_live_is_named(
    monkeypatch: pytest.MonkeyPatch, bed: NovaBed, rig: MakeRig
) -> None:
    """C3: the power device lied, with default parameters: it said that nothing is evacuated, and guests ran twice."""
    servers = boot(bed, 3)
    it = rig(in_flight=1)
    it.cluster.fence("cmp1", time.time())
    it.run_until(it.blocked("cmp1"), 60)
    sent = [uuid for uuid in servers if posts(bed, uuid)]
    it.run_for(15)
    assert [uuid for uuid in servers if posts(bed, uuid)] == sent
    record = it.cluster.nodes["cmp1"].record
    assert record is not None
    assert record.lives
    reason = it.outlet.reports["cmp1"]["reason"]
    assert "HOST LIVES" in reason
    assert (" sent before may run on two hosts" in reason) == bool(sent)
    bed.power_off("cmp1")
    it.cluster.fence("cmp1", time.time() + 1)  # repaired, and fenced again
    it.run_until(it.settled("cmp1"), 120)
    for uuid in servers:
        expect(bed, uuid, "active")
    # What was sent before the lie could be known is all that the oracle saw.
    lied = [seen for seen in bed.violations() if not any(uuid in seen for uuid in sent)]
    monkeypatch.setattr(bed, "violations", lambda: lied)


def test_a_host_that_lives_is_not_evacuated(bed: NovaBed, rig: MakeRig) -> None:
    """C3: the power device lied, and nova-compute's heartbeat goes on."""
    (uuid,) = boot(bed)
    it = rig(delay_s=3)
    it.cluster.fence("cmp1", time.time() - 10)
    it.run_until(it.blocked("cmp1"), 30)
    it.run_for(3)
    assert posts(bed, uuid) == 0
    assert "HOST LIVES" in it.outlet.reports["cmp1"]["reason"]
