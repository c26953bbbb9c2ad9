# SPDX-License-Identifier: Apache-2.0
"""Scenarios B4 to B6: Nova or Keystone is silent, slow or let nobody in; the worker says so, waits, and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from muster.core import server_rules
from muster.core.errors import NovaUnavailable
from muster.core.findings import Verdict
from muster.core.steps import Evacuate
from muster.engine import worker
from muster.gateways.nova import compute as gateway
from muster.gateways.nova import login
from tests.bed.nova.client import NovaBed
from tests.nova.steps import EVACUATE, MakeRig, boot, evacuations, expect, posts

NOVA = "/(servers|os-)"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every time-out a tenth of what it is, in the same proportions."""
    monkeypatch.setattr(login, "READ_TIMEOUT_S", login.READ_TIMEOUT_S / 10)
    monkeypatch.setattr(login, "WRITE_TIMEOUT_S", login.WRITE_TIMEOUT_S / 10)
    monkeypatch.setattr(worker, "SILENCE_S", worker.SILENCE_S / 10)


def test_goes_on_when_connections_end_without_a_byte(bed: NovaBed, rig: MakeRig) -> None:
    """B4: black hole."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(path=NOVA, drop="silent")
    it.run_until(lambda: bool(it.outlet.reason), 30)
    assert "Remote end closed" in it.outlet.reports["cmp1"]["reason"]
    bed.clear_faults()
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_slow_answers_are_answers(bed: NovaBed, rig: MakeRig) -> None:
    """B4: two seconds for each; no trouble is told, nothing is sent twice."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(path="/(servers|os-services)", delay=2, times=5)
    said: list[str] = []

    def evacuated() -> bool:
        said.append(it.outlet.reason)
        return it.says(uuid, Verdict.EVACUATED)()

    it.run_until(evacuated)
    assert not any(said)
    assert posts(bed, uuid) == 1
    expect(bed, uuid, "active")


def test_a_reply_that_came_too_late_is_found(bed: NovaBed, rig: MakeRig, hasty: None) -> None:
    """B4, B1: Nova did the work after the worker had given up waiting."""
    (uuid,) = boot(bed)
    bed.fault(**EVACUATE, delay=login.WRITE_TIMEOUT_S + 2, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    assert posts(bed, uuid) == 1
    expect(bed, uuid, "active")


@pytest.mark.parametrize("status", [429, 503])
def test_asks_no_sooner_than_nova_said(bed: NovaBed, rig: MakeRig, status: int) -> None:
    """B4: Retry-After."""
    (uuid,) = boot(bed)
    bed.fault(path="os-services", status=status, headers={"Retry-After": "4"}, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    asked = [r["time"] for r in bed.requests(service="compute", path="os-services")]
    assert asked[1] - asked[0] >= 4
    expect(bed, uuid, "active")


def test_waits_for_keystone_at_the_start(bed: NovaBed, rig: MakeRig) -> None:
    """B5."""
    (uuid,) = boot(bed)
    bed.ctl("http", service="identity", up=False)
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: "refused" in it.outlet.reason, 20)
    bed.ctl("http", service="identity", up=True)
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    expect(bed, uuid, "active")


def test_a_revoked_token_is_replaced(bed: NovaBed, rig: MakeRig) -> None:
    """B5: midway, before a call that changes something."""
    first, second = boot(bed, 2)
    it = rig(in_flight=1)
    revoked: list[int] = []

    def revoke(step: object) -> None:
        revoked.append(bed.ctl("revoke_tokens"))

    it.before = revoke
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert any(revoked)
    for uuid in (first, second):
        expect(bed, uuid, "active")
        assert posts(bed, uuid) <= 2  # one of them was answered 401


def test_a_rotated_password_is_read_from_the_file(bed: NovaBed, rig: MakeRig) -> None:
    """B5: first in Keystone, a moment later in clouds.yaml; the worker is not restarted."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: bed.service("cmp1")["forced_down"])
    bed.ctl("change_password", password="new")
    it.run_until(
        lambda: "401" in it.outlet.reason or "Unauthorized" in it.outlet.reason or "requires" in it.outlet.reason, 20
    )
    assert posts(bed, uuid) <= 1
    bed.clouds_yaml(it.clouds_file, password="new")
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    expect(bed, uuid, "active")


def test_waits_for_the_conductor_without_asking_again(bed: NovaBed, rig: MakeRig) -> None:
    """B6: Nova takes the call and nothing happens; all hosts look down, too."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.ctl("conductor", up=False)
    it.run_until(it.says(uuid, Verdict.EVACUATING))
    it.run_until(lambda: "not begun" in it.entry(uuid)["reason"])
    it.run_for(3)
    assert it.entry(uuid)["verdict"] == "evacuating"
    assert evacuations(bed, uuid) == ["accepted"]
    assert posts(bed, uuid) == 1
    bed.ctl("conductor", up=True)
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_does_not_sleep_for_as_long_as_nova_says(bed: NovaBed, rig: MakeRig, hasty: None) -> None:
    """B4: an hour of Retry-After is no hour of silence."""
    (uuid,) = boot(bed)
    bed.fault(path="os-services", status=503, headers={"Retry-After": "20"}, times=1)
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: "503" in it.outlet.reason, 10)
    it.memory.troubles.nova_again_at = 0.0
    it.run_until(it.says(uuid, Verdict.EVACUATED), 15)
    expect(bed, uuid, "active")


@pytest.mark.parametrize(
    ("fault", "words"),
    [({"status": 503}, "503"), ({"delay": 30}, "timed out"), ({"drop": "silent"}, "closed")],
    ids=["503", "slow", "dropped"],
)
def test_says_why_the_versions_of_nova_are_not_to_be_had(
    bed: NovaBed, rig: MakeRig, hasty: None, fault: dict[str, object], words: str
) -> None:
    """B4: the first question of a new worker."""
    boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(service="compute", **fault)
    it.run_until(lambda: bool(it.outlet.reason), 20)
    assert words in it.outlet.reason
    assert words in it.outlet.reports["cmp1"]["reason"]


def test_a_write_that_is_not_let_in_reads_the_file_again_at_once(bed: NovaBed, rig: MakeRig) -> None:
    """B5: the call after it has the new password."""
    it = rig()
    nova = gateway.Nova("bed", str(it.clouds_file), True, "2.98")
    (service, *_) = nova.services()
    bed.ctl("change_password", password="new")
    bed.clouds_yaml(it.clouds_file, password="new")
    with pytest.raises(NovaUnavailable):
        nova.force_down(service.id, None)
    nova.force_down(service.id, None)


@pytest.mark.parametrize("service", ["compute", "identity"])
def test_a_call_into_nothing_ends_and_is_announced(bed: NovaBed, rig: MakeRig, hasty: None, service: str) -> None:
    """B4: nothing answers and nothing refuses; the monitor is told how long that may take (checked by the rig)."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(service=service, delay=30)
    it.run_until(lambda: "timed out" in it.outlet.reason, 30)
    bed.clear_faults()
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_lists_in_smaller_pages_what_takes_too_long(bed: NovaBed, rig: MakeRig, hasty: None) -> None:
    """B34: a page of 1,000 takes longer than a read may, and one of half of it does not."""
    (uuid,) = boot(bed)
    bed.fault(method="GET", path="/servers/detail$", query="limit=1000", delay=login.READ_TIMEOUT_S + 1)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"), 60)
    expect(bed, uuid, "active")
    assert "limit=500" in {part for r in bed.requests(path="/servers/detail") for part in r["query"].split("&")}


def test_waits_for_a_nova_that_waits_for_a_hung_cell(
    bed: NovaBed, rig: MakeRig, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B35: every list takes three times as long as a read may; it is waited for, once it is known."""
    monkeypatch.setattr(login, "CELLS_TIMEOUT_S", login.CELLS_TIMEOUT_S / 10)
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(method="GET", path="/(servers/detail|os-services|os-migrations)$", delay=login.READ_TIMEOUT_S * 3)
    it.run_until(it.says(uuid, Verdict.EVACUATED), 240)
    bed.clear_faults()
    assert posts(bed, uuid) == 1
    expect(bed, uuid, "active")


@pytest.mark.parametrize(
    ("regions", "named", "words"),
    [
        (["RegionOne", "RegionTwo"], None, "in the regions RegionOne, RegionTwo: name one in clouds.yaml"),
        (["RegionOne", "RegionTwo"], "RegionTwo", ""),
        (["RegionOne"], None, ""),
        (["RegionOne"], "regionOne", "region_name is 'regionOne', and Keystone's catalogue has Nova in RegionOne only"),
    ],
)
def test_the_region_is_one_of_the_catalogue(
    bed: NovaBed, tmp_path: Path, regions: list[str], named: Optional[str], words: str
) -> None:
    """B36: of several it took the first that came, and found no server there."""
    bed.ctl("catalogue", others={}, regions=regions)
    clouds = bed.clouds_yaml(tmp_path / "clouds.yaml", region_name=named or "")
    nova = gateway.Nova("bed", str(clouds), True, "2.98")
    if words:
        with pytest.raises(NovaUnavailable, match=words):
            nova.services()
    else:
        assert len(nova.services()) == 3


NEUTRON_IS_DOWN = (
    '{"computeFault": {"code": 500, "message": "Unexpected API Error.'
    " <class 'neutronclient.common.exceptions.ConnectionFailed'>\"}}"
)


def test_sends_nothing_while_the_lists_fail_for_neutron(bed: NovaBed, rig: MakeRig) -> None:
    """B37: Nova asks it for the security groups of each list, and loses what it is asked to evacuate meanwhile."""
    (uuid,) = boot(bed)
    it = rig()
    it.fence("cmp1")
    bed.fault(path="/servers/detail", status=500, own=True, text=NEUTRON_IS_DOWN)
    it.run_until(lambda: "neutronclient" in str(it.outlet.reports.get("cmp1")), 30)
    it.run_for(6)
    assert posts(bed, uuid) == 0
    bed.clear_faults()
    it.run_until(it.settled("cmp1"), 60)
    expect(bed, uuid, "active")
    assert posts(bed, uuid) == 1


def test_nobody_is_sent_to_a_server_by_a_list_older_than_its_evacuation(
    bed: NovaBed, rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B40: its servers cannot be read from the call on; its evacuation is done, and that is seen."""
    monkeypatch.setattr(server_rules, "SKEW_S", 3.0)
    (uuid,) = boot(bed)
    it = rig()
    it.after = lambda step: (
        bed.fault(method="GET", path=f"/servers/(detail|{uuid})$", status=500) if isinstance(step, Evacuate) else None
    )
    it.fence("cmp1")
    it.run_until(lambda: evacuations(bed, uuid) == ["done"])
    said: list[str] = []
    it.run_until(lambda: said.append(it.entry(uuid)["verdict"]) or len(said) > 20, 60)  # type: ignore[func-returns-value]
    it.run_for(5)
    said.append(it.entry(uuid)["verdict"])
    assert said[-1] == "unknown"
    assert "held" not in said
    bed.clear_faults()
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")


def test_an_incident_goes_on_while_what_has_changed_in_the_cloud_cannot_be_read(bed: NovaBed, rig: MakeRig) -> None:
    """B41: its own host's lists can."""
    uuids = boot(bed, 3)
    bed.fault(path="servers/detail", query="changes-since", status=500)
    it = rig(in_flight=1)
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"), 120)
    for uuid in uuids:
        expect(bed, uuid, "active")
        assert posts(bed, uuid) == 1
