# SPDX-License-Identifier: Apache-2.0
"""The one list of what muster asks of Nova, and whoever repeats it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from muster.core.errors import NovaUnavailable
from muster.gateways.nova import parsing
from muster.gateways.nova.needs import NEEDS, RICHER, access_rules
from muster.gateways.nova.rights import NovaRights

ROOT = Path(__file__).resolve().parents[2]


def test_the_policy_that_is_shipped_grants_what_is_asked_and_no_more() -> None:
    """B32."""
    shipped = yaml.safe_load((ROOT / "packaging/nova-policy.yaml").read_text())
    granted = {name.removeprefix("os_compute_api:") for name, rule in shipped.items() if "role:muster" in rule}
    assert granted - set(RICHER) == {policy for need in NEEDS for policy in need.policies}
    assert len(shipped) == len(granted)


def test_the_policy_that_is_shipped_takes_no_right_from_anybody() -> None:
    """B32: who may by Nova's own default still may."""
    shipped = yaml.safe_load((ROOT / "packaging/nova-policy.yaml").read_text())
    before = {
        "servers:detail": "rule:project_reader_or_admin or role:muster",
        "servers:stop": "rule:project_member_or_admin or role:muster",
        "os-evacuate": "rule:context_is_admin or role:muster",
    }
    assert {name: shipped[f"os_compute_api:{name}"] for name in before} == before


def test_the_page_names_every_policy() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    assert [policy for need in NEEDS for policy in need.policies if f"`{policy}`" not in page] == []


def allowed(method: str, path: str) -> bool:
    """As keystonemiddleware matches a path: a star is one part of it."""
    patterns = [
        r["path"].replace("*", "[^/]+") for r in access_rules() if (r["service"], r["method"]) == ("compute", method)
    ]
    return any(re.fullmatch(pattern, path) for pattern in patterns)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/os-services"),
        ("PUT", "/os-services/4711"),
        ("PUT", "/os-services/force-down"),
        ("GET", "/servers/detail"),
        ("GET", "/servers/a"),
        ("GET", "/servers/a/os-instance-actions"),
        ("GET", "/servers/a/os-instance-actions/req-1"),
        ("POST", "/servers/a/action"),
        ("GET", "/os-migrations"),
    ],
)
def test_the_access_rules_cover_what_is_asked(method: str, path: str) -> None:
    """The tests on real Nova compare what they have recorded with NEEDS, which these rules are made of."""
    assert any(need.covers(method, path, "all_tenants=1&host=x", '{"evacuate": 1}') for need in NEEDS)
    assert allowed(method, f"/v2.1{path}")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/servers/a"),
        ("POST", "/servers"),
        ("GET", "/servers/a/b"),
        ("PUT", "/servers/a"),
        ("GET", "/flavors"),
    ],
)
def test_the_access_rules_allow_nothing_else(method: str, path: str) -> None:
    assert not allowed(method, f"/v2.1{path}")


def test_each_access_rule_is_one_that_keystone_takes() -> None:
    for rule in access_rules():
        assert sorted(rule) == ["method", "path", "service"]
        assert re.fullmatch(r"(/[A-Za-z0-9_.*-]+)+", rule["path"]), rule
    page = (ROOT / "docs/deploy.md").read_text()
    assert json.loads(page.split("<!-- access rules -->\n```json\n")[1].split("```")[0]) == access_rules()


@pytest.mark.parametrize("hidden", [{}, {"source_compute": None}, {"source_compute": ""}])
def test_an_evacuation_without_its_source_is_half_an_answer(hidden: dict[str, object]) -> None:
    """B32: from Nova 32 on a policy hides both hosts, and it would read as one that has no destination yet."""
    row = {"id": 1, "instance_uuid": "s1", "status": "accepted", "created_at": "2026-11-30T00:00:00Z"}
    with pytest.raises(NovaUnavailable, match="os-migrations:index:host"):
        parsing.evacuation({**row, **hidden})
    assert parsing.evacuation({**row, "source_compute": "cmp1", "dest_compute": None}).dest == ""


def test_a_login_that_fails_in_the_middle_ends_no_question(tmp_path: Path) -> None:
    """Whatever fails is part of doctor's answer."""
    rights = NovaRights("bed", str(tmp_path / "none.yaml"), True, "2.98")
    assert rights._own_project() == ""
