# SPDX-License-Identifier: Apache-2.0
"""``muster plan`` on real Nova and its placement; only the CIB is written by hand."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import pytest

from muster.cli import commands, main, site
from muster.gateways.clock import Clock
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.login import Login
from muster.gateways.nova.scheduling import PlacementOffers
from muster.gateways.pacemaker import cib
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, act_on

TWENTY = [f"cmp{number}" for number in range(1, 21)]
RESOURCE = '<primitive id="muster" class="ocf" provider="muster" type="ComputeRecovery"><instance_attributes id="mi">{}'
RUNNING = (
    '<node_state uname="ctl1" in_ccm="true"><lrm><lrm_resources><lrm_resource id="muster"><lrm_rsc_op operation="start"'
    ' call-id="1" rc-code="0" op-status="0" interval="0"/></lrm_resource></lrm_resources></lrm></node_state>'
)

Told = tuple[int, dict[str, Any]]


def document(nodes: Sequence[str], **parameters: str) -> cib.Element:
    """A cluster as README sets it up, with these computes."""
    remotes = "".join(f'<primitive id="{n}" class="ocf" provider="pacemaker" type="remote"/>' for n in nodes)
    power = "".join(f'<primitive id="power-{n}" class="stonith" type="fence_ipmilan"/>' for n in nodes)
    levels = "".join(f'<fencing-level index="1" target="{n}" devices="power-{n},record"/>' for n in nodes)
    pairs = "".join(f'<nvpair id="mi-{k}" name="{k}" value="{v}"/>' for k, v in parameters.items())
    return cib.parse(
        (
            '<cib have-quorum="1"><configuration><nodes><node id="1" uname="ctl1"/></nodes><resources>'
            f'{remotes}{power}<primitive id="record" class="stonith" type="fence_muster"/>'
            f"{RESOURCE.format(pairs)}</instance_attributes></primitive></resources>"
            f"<fencing-topology>{levels}</fencing-topology></configuration><status>{RUNNING}</status></cib>"
        ).encode()
    )


class Typed:
    """The command as an operator types it; ``parameters`` are those of the resource, ``nodes`` those of the cluster."""

    command = "plan"

    def __init__(self, bed: NovaBed, clouds: Path, patch: pytest.MonkeyPatch, out: pytest.CaptureFixture[str]) -> None:
        self._clouds, self._patch, self._out = clouds, patch, out
        self._nodes = bed.hosts
        patch.setattr(site, "local_node", lambda: "ctl1")

    def text(self, *argv: str, nodes: Optional[Sequence[str]] = None, **parameters: str) -> tuple[int, str]:
        given = {"cloud": "bed", "clouds_file": str(self._clouds), "shared_storage": "yes", **parameters}
        snapshot = document(self._nodes if nodes is None else nodes, **given)
        self._patch.setattr(site.Pacemaker, "snapshot", lambda pacemaker: snapshot)
        self._patch.setattr("sys.argv", ["muster", self.command, *argv])
        code = main.main()
        said = self._out.readouterr()
        return code, said.out or said.err

    def json(self, *argv: str, **more: Any) -> Told:
        code, text = self.text(*argv, "-o", "json", **more)
        return code, json.loads(text)


@pytest.fixture
def muster(bed: NovaBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(bed, bed.clouds_yaml(tmp_path / "plan.yaml"), monkeypatch, capsys)


def outlooks(said: dict[str, Any]) -> dict[str, str]:
    (host,) = said["hosts"]
    return {server["id"]: server["outlook"] for server in host["sequence"]}


def flavor(bed: NovaBed, name: str, **size: int) -> str:
    body = {"name": name, "id": name, "ram": 64, "vcpus": 1, "disk": 1, **size}
    assert bed.api("POST", "/flavors", {"flavor": body}).status in (200, 409)
    return name


def ours(bed: NovaBed) -> list[dict[str, Any]]:
    """The requests of the command: Nova itself and its agents call themselves otherwise."""
    return [request for request in bed.requests() if "openstacksdk" in request["user_agent"]]


@contextlib.contextmanager
def only_left(bed: NovaBed, clouds: Path, **memory_mb: int) -> Iterator[None]:
    """So much memory is left on these hosts, by placement."""
    placement = Login("bed", str(clouds), lambda silence_s: None, Clock()).connection().placement
    found = placement.get("/resource_providers", microversion="1.14").json()["resource_providers"]
    before = {}
    for row in found:
        if row["name"] in memory_mb:
            path = f"/resource_providers/{row['uuid']}/inventories/MEMORY_MB"
            before[path] = placement.get(path, microversion="1.14").json()
            _set(placement, path, {**before[path], "total": memory_mb[row["name"]], "reserved": 0})
    try:
        yield
    finally:
        for path, inventory in before.items():
            _set(placement, path, inventory)


def _set(placement: Any, path: str, inventory: dict[str, Any]) -> None:
    now = placement.get(path, microversion="1.14").json()
    body = {**inventory, "resource_provider_generation": now["resource_provider_generation"]}
    reply = placement.put(path, json=body, microversion="1.26")
    assert reply.status_code == 200, reply.text


# -------------------------------------------------------------- it comes true


def test_what_it_says_comes_true(bed: NovaBed, rig: MakeRig, muster: Typed) -> None:
    """Every kind of server: the verdicts of the plan are those of the evacuation after it."""
    active, stopped, failed, paused = bed.boot("cmp1", count=4)
    act_on(bed, stopped, "os-stop", "stopped")
    bed.ctl("set_state", uuid=failed, vm_state="error")
    bed.ctl("set_state", uuid=paused, vm_state="paused")
    (opted_out,) = bed.boot("cmp1", metadata={"evacuable": "false"})
    (amphora,) = bed.boot("cmp1", name="amphora-5d1b04b5-71d9-4cfc-bd33-ecc11922a68e")
    (first,) = bed.boot("cmp1", metadata={"evacuate_priority": "9"})
    (volume,) = bed.boot("cmp1", volume=True)
    bed.boot("cmp2")
    code, said = muster.json("cmp1", in_flight="2")
    expected = outlooks(said)
    assert expected == {
        first: "evacuated",
        active: "evacuated",
        stopped: "evacuated",
        failed: "evacuated",
        volume: "evacuated",
        paused: "held",
        opted_out: "skipped",
        amphora: "skipped",
    }
    assert code == commands.ATTENTION
    it = rig(in_flight="2")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert {uuid: it.entry(uuid)["verdict"] for uuid in expected} == expected
    sent = [evacuation["server"] for evacuation in bed.evacuations()]
    assert sent == [server["id"] for server in said["hosts"][0]["sequence"] if server["wave"]]
    assert [server["wave"] for server in said["hosts"][0]["sequence"] if server["wave"]] == [1, 1, 2, 2, 3]


def test_what_it_says_of_local_disks_comes_true(bed: NovaBed, rig: MakeRig, muster: Typed) -> None:
    image, volume = *bed.boot("cmp1"), *bed.boot("cmp1", volume=True)
    expected = outlooks(muster.json("cmp1", shared_storage="no")[1])
    assert expected == {image: "held", volume: "evacuated"}
    it = rig(shared_storage="no")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    assert {uuid: it.entry(uuid)["verdict"] for uuid in expected} == expected


def test_who_finds_no_room_is_who_nova_has_none_for(bed: NovaBed, rig: MakeRig, muster: Typed, tmp_path: Path) -> None:
    """One host has room for two more, the other is full and not even in placement's answer."""
    fat = flavor(bed, "fat", ram=1000)
    (neighbour,) = bed.boot("cmp2", flavor=fat)
    servers = bed.boot("cmp1", flavor=fat, count=3)
    with only_left(bed, tmp_path / "plan.yaml", cmp2=3500, cmp3=1):
        bed.boot("cmp3", flavor=flavor(bed, "slim", ram=1))
        code, said = muster.json("cmp1", in_flight="1")
        assert code == commands.TROUBLE
        expected = outlooks(said)
        assert sorted(expected.values()) == ["evacuated", "evacuated", "no room"]
        assert list(expected.values())[-1] == "no room"
        assert set(expected) == set(servers)
        it = rig(in_flight="1")
        it.fence("cmp1")
        it.run_until(lambda: all(it.entry(u).get("verdict") in ("evacuated", "parked") for u in servers), 60)
        parked = [uuid for uuid in servers if it.entry(uuid)["verdict"] == "parked"]
        assert parked == [uuid for uuid in expected if expected[uuid] == "no room"]
        assert "No valid host" in it.entry(parked[0])["reason"]
    assert neighbour not in expected


def test_a_server_takes_what_nova_claims_for_it(bed: NovaBed, tmp_path: Path) -> None:
    """Disk, too, whatever storage it is on; the root disk of a volume is none."""
    clouds = bed.clouds_yaml(tmp_path / "clouds.yaml")
    odd = flavor(bed, "odd", ram=200, vcpus=3, disk=7, swap=1500)
    bed.api(
        "POST",
        "/flavors",
        {"flavor": {"name": "e", "id": "e", "ram": 70, "vcpus": 2, "disk": 2, "OS-FLV-EXT-DATA:ephemeral": 4}},
    )
    for options in ({}, {"volume": True}, {"flavor": odd}, {"flavor": odd, "volume": True}, {"flavor": "e"}):
        bed.boot("cmp1", **options)
    nova = Nova("bed", str(clouds), True, "2.98")
    servers = nova.servers()
    assert len(servers) == 5
    for server in servers:
        reply = nova.login.get("placement", f"/allocations/{server.id}", {}, "1.12")
        (claimed,) = (row["resources"] for row in reply["allocations"].values())
        assert server.size is not None
        assert (server.size.vcpus, server.size.memory_mb) == (claimed["VCPU"], claimed["MEMORY_MB"])
        assert server.size.disk_gb == claimed.get("DISK_GB", 0)


def test_what_is_left_is_what_placement_would_still_give(bed: NovaBed, tmp_path: Path) -> None:
    clouds = bed.clouds_yaml(tmp_path / "clouds.yaml")
    login = Login("bed", str(clouds), lambda silence_s: None, Clock())
    bed.boot("cmp1", count=2, flavor="2")
    with only_left(bed, clouds, cmp3=1):
        bed.boot("cmp3", flavor=flavor(bed, "slim", ram=1))
        left = {name: one.left for name, one in PlacementOffers(login).providers().items()}
    assert {name: left["cmp2"][name] - amount for name, amount in left["cmp1"].items()} == {
        "VCPU": 4,
        "MEMORY_MB": 1024,
        "DISK_GB": 10,
    }
    assert left["cmp3"]["MEMORY_MB"] == 0


# -------------------------------------------------------------- what is unknown


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (
            {"status": 403, "own": True, "text": '{"errors": [{"detail": "Policy does\\n not allow"}]}'},
            "HTTP 403: GET /allocation_candidates: Policy does not allow",
        ),
        ({"status": 500}, "HTTP 500"),
        ({"status": 200, "text": "{}"}, "provider_summaries"),
    ],
)
def test_room_that_cannot_be_asked_for_is_never_said_to_be_there(
    bed: NovaBed, muster: Typed, trouble: dict[str, Any], words: str
) -> None:
    servers = bed.boot("cmp1", count=2)
    bed.fault(service="placement", path="allocation_candidates", **trouble)
    code, said = muster.json("cmp1")
    assert outlooks(said) == dict.fromkeys(servers, "room unknown")
    assert code == commands.ATTENTION
    assert words in said["basis"][0]
    code, text = muster.text("--all")
    assert code == commands.ATTENTION
    assert "2?" in text
    assert "room unknown" in text


def test_a_cloud_without_placement_is_no_reason_to_fail(bed: NovaBed, muster: Typed, tmp_path: Path) -> None:
    (server,) = bed.boot("cmp1")
    bed.clouds_yaml(tmp_path / "plan.yaml", placement_service_type="none-such")
    code, said = muster.json("cmp1")
    assert (code, outlooks(said)) == (commands.ATTENTION, {server: "room unknown"})
    bed.clouds_yaml(tmp_path / "plan.yaml")
    bed.ctl("http", service="placement", up=False)
    code, said = muster.json("cmp1")
    assert (code, outlooks(said)) == (commands.ATTENTION, {server: "room unknown"})


def test_a_nova_that_does_not_answer_is_unknown(bed: NovaBed, muster: Typed) -> None:
    bed.fault(service="compute", path="servers/detail", status=403, own=True)
    code, text = muster.text("--all")
    assert code == commands.UNKNOWN
    assert "HTTP 403" in text


def test_a_silent_cell_makes_nothing_ready(bed: NovaBed, muster: Typed) -> None:
    bed.boot("cmp1")
    bed.ctl("silent_cell")
    code, said = muster.json("--all")
    assert code == commands.TROUBLE
    assert [host["verdict"] for host in said["hosts"]] == ["not ready"] * 3
    assert [host["servers"] for host in said["hosts"]] == [None] * 3


# ------------------------------------------------------------------------- time


def test_the_time_is_that_of_the_evacuations_and_not_of_the_return(bed: NovaBed, rig: MakeRig, muster: Typed) -> None:
    """Nova touches the row of an evacuation once more when its source is back."""
    assert muster.json("cmp1")[1]["seconds_a_wave"] is None
    servers = bed.boot("cmp1", count=2)
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    took = muster.json("cmp1")[1]["seconds_a_wave"]
    settled = time.monotonic()
    assert 0 < took < 30
    bed.wait_until(lambda: time.monotonic() > settled + took + 3, what="later")
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    assert {row["status"] for uuid in servers for row in bed.migrations(uuid)} == {"completed"}
    (again,) = bed.boot("cmp1")
    code, said = muster.json("cmp1")
    assert (code, outlooks(said)) == (commands.OK, {again: "evacuated"})
    assert said["seconds_a_wave"] == pytest.approx(took, abs=1.5)
    assert said["hosts"][0]["seconds"] == said["seconds_a_wave"]


# ----------------------------------------------------------------- all, and text


def test_one_exit_code_for_the_cloud_and_names_that_steer_no_terminal(bed: NovaBed, muster: Typed) -> None:
    (server,) = bed.boot("cmp1")
    bed.ctl("set_state", uuid=server, vm_state="active", name="evil\x1b[31m\nname")
    assert muster.json("--all")[0] == commands.OK
    assert muster.json("--all", nodes=["cmp1", "cmp2"])[0] == commands.TROUBLE
    assert muster.json("--all", nodes=["cmp1", "cmp2"], host_map="cmp2:cmp3;cmp3:")[0] == commands.TROUBLE
    code, said = muster.json("--all", host_map="cmp3:")
    assert (code, [host["verdict"] for host in said["hosts"]]) == (commands.OK, ["ready", "ready", "left alone"])
    bed.update_service("cmp3", status="disabled", disabled_reason="rack")
    assert muster.json("--all")[0] == commands.ATTENTION
    code, text = muster.text("cmp1")
    assert "\x1b" not in text
    assert "evil\\x1b[31m\\nname" in text
    assert "assumed: Nova's default filters" in text
    assert muster.text("nowhere")[0] == commands.UNKNOWN
    assert muster.text()[0] == muster.text("cmp1", "--all")[0] == commands.USAGE


@pytest.mark.parametrize("columns", ["80", "200", ""])
@pytest.mark.parametrize("which", ["cmp1", "--all"])
def test_fits_the_terminal(
    bed: NovaBed, muster: Typed, monkeypatch: pytest.MonkeyPatch, columns: str, which: str
) -> None:
    bed.boot("cmp1", name="a-name-as-long-as-people-give-them-" * 3)
    monkeypatch.setenv("COLUMNS", columns)
    _, text = muster.text(which)
    assert max(map(len, text.splitlines())) <= int(columns or 400)
    assert "cmp1" in text


# ------------------------------------------------------------- what it costs Nova


@pytest.fixture(scope="module")
def twenty() -> Iterator[NovaBed]:
    with NovaBed.start(hosts=TWENTY) as running:
        yield running


@pytest.mark.slow
def test_asks_no_more_of_a_larger_cloud(
    twenty: NovaBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 servers on 20 hosts, then 500, then more than a page: only the pages grow, and nothing is written."""
    muster = Typed(twenty, twenty.clouds_yaml(tmp_path / "plan.yaml"), monkeypatch, capsys)
    seeds = [twenty.boot(host)[0] for host in TWENTY]
    counted, total = {}, len(TWENTY)
    for target in (100, 500, 1500):
        for seed in seeds:
            twenty.ctl("clone", uuid=seed, count=(target - total) // len(TWENTY))
        total = target
        twenty.requests(clear=True)
        code, said = muster.json("--all")
        asked = ours(twenty)
        assert code == commands.OK
        assert said["totals"]["servers"] == said["totals"]["outlook"]["evacuated"] == target
        assert said["requests"] == len(asked)
        assert [r["path"] for r in asked if r["method"] != "GET"] == ["/v3/auth/tokens"]
        counted[target] = said["requests"]
    assert counted[100] == counted[500] == 12  # three lists of the scheduler's, and one for each kind of server
    assert counted[1500] == counted[500] + 1
    twenty.requests(clear=True)
    _, said = muster.json("cmp7")
    assert said["requests"] == len(ours(twenty)) == 12
    assert len(said["hosts"][0]["sequence"]) == 75
