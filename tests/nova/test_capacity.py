# SPDX-License-Identifier: Apache-2.0
"""E24: how many hosts may die, on real Nova and placement: what is promised comes true.

``python -m tests.capacity.on_nova`` plays hundreds of clouds; here are a few.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muster.cli import commands
from tests.bed.nova.client import NovaBed
from tests.capacity.on_nova import play, summary
from tests.nova.test_plan import Typed, only_left, ours


class TypedCapacity(Typed):
    command = "capacity"


@pytest.fixture
def muster(
    bed: NovaBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> TypedCapacity:
    return TypedCapacity(bed, bed.clouds_yaml(tmp_path / "plan.yaml"), monkeypatch, capsys)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_it_promises_comes_true(bed: NovaBed, tmp_path: Path, seed: int) -> None:
    found = summary([play(bed, tmp_path, seed)])
    assert found["broken"] == []
    assert "lost, evacuated" not in found["counted"]


def test_the_number_follows_the_room(bed: NovaBed, muster: TypedCapacity, tmp_path: Path) -> None:
    bed.boot("cmp1", count=2)
    code, said = muster.json()
    assert (code, said["at_least"], said["at_most"], said["servers"]) == (commands.OK, 2, 2, 2)
    bed.requests(clear=True)
    code, said = muster.json("--failures", "3")
    assert (code, said["breaks"]) == (commands.TROUBLE, ["cmp1", "cmp2", "cmp3"])
    assert said["requests"] == len(ours(bed))
    assert [r["path"] for r in ours(bed) if r["method"] != "GET"] == ["/v3/auth/tokens"]
    with only_left(bed, tmp_path / "plan.yaml", cmp2=600, cmp3=600):
        bed.boot("cmp1", count=3, flavor="2")
        code, text = muster.text()
        assert code == commands.TROUBLE
        assert "the cloud cannot lose a host" in text
        assert "cmp1" in text
    assert muster.text("--failures", "many")[0] == commands.UNKNOWN


def group(bed: NovaBed, policy: str) -> dict[str, str]:
    made = bed.api("POST", "/os-server-groups", {"server_group": {"name": policy, "policy": policy}}, "2.64")
    return {"group": made.json["server_group"]["id"]}


def test_names_whom_no_host_takes(bed: NovaBed, muster: TypedCapacity) -> None:
    """Nova evacuates nobody whose group has to be together and is on the dead host alone."""
    (bound,) = bed.boot("cmp1", scheduler_hints=group(bed, "affinity"))
    bed.boot("cmp2")
    code, said = muster.json()
    assert code == commands.TROUBLE
    assert [(one["id"], one["reason"]) for one in said["unsaveable"]] == [(bound, "affinity")]
    assert (said["at_least"], said["breaks"], said["without_unsaveable"]["at_least"]) == (0, ["cmp1"], 2)
    assert "affinity" in muster.text()[1]


@pytest.mark.parametrize("path", ["os-server-groups", "os-aggregates", "allocation_candidates.*VCPU"])
def test_what_it_may_not_ask_promises_nothing(bed: NovaBed, muster: TypedCapacity, path: str) -> None:
    bed.boot("cmp1")
    trouble: dict[str, Any] = {"status": 403, "own": True}
    if path.startswith("alloc"):
        bed.fault(service="placement", path="allocation_candidates", query="VCPU", **trouble)
    else:
        bed.fault(service="compute", path=path, **trouble)
    code, said = muster.json()
    assert code == commands.ATTENTION
    assert sum(said["cannot_say"].values()) == 1
    assert "403" in str(said["cannot_say"])


def test_says_of_each_server_what_becomes_of_it(bed: NovaBed, muster: TypedCapacity) -> None:
    servers = {*bed.boot("cmp1", count=2), *bed.boot("cmp2")}
    code, said = muster.json("cmp1", "cmp2")
    assert (code, {one["id"]: one["fate"] for one in said["servers"]}) == (commands.OK, dict.fromkeys(servers, "saved"))
    assert {one["likely"] for one in said["servers"]} == {"cmp3"}
    assert muster.json("cmp1", "cmp2", "cmp3")[0] == commands.TROUBLE
    assert muster.text("nowhere")[0] == commands.UNKNOWN
