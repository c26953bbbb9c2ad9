# SPDX-License-Identifier: Apache-2.0
"""What doctor asks of Nova: an admin may everything, another user is told what not, and nothing is changed by asking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muster.gateways.clock import Clock
from muster.gateways.nova_rights import NO_SERVER, NovaRights
from muster.installed import NovaAccess
from tests.bed.nova.client import NovaBed

EVERYTHING = [
    "list services",
    "see every project's servers and their hosts",
    "list migrations",
    "force hosts down and disable them",
    "evacuate",
]
STRANGER = {"username": "demo", "password": "demopw"}

Ask = Callable[..., NovaAccess]


class OtherClock(Clock):
    def __init__(self, off_s: float) -> None:
        self._off_s = off_s

    def now(self) -> float:
        return super().now() + self._off_s


@pytest.fixture
def ask(bed: NovaBed, tmp_path: Path) -> Ask:
    def ask(ceiling: str = "2.98", clock_off_s: float = 0.0, **overrides: Any) -> NovaAccess:
        clouds = bed.clouds_yaml(tmp_path / "clouds.yaml", **overrides)
        return NovaRights("bed", str(clouds), True, ceiling).access(OtherClock(clock_off_s))

    return ask


def answers(access: NovaAccess) -> dict[str, Any]:
    return {right.name: right.may for right in access.rights}


def test_an_admin_may_everything(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    access = ask()
    assert answers(access) == dict.fromkeys(EVERYTHING, True)
    assert sorted(service.host for service in access.services or ()) == ["cmp1", "cmp2", "cmp3"]
    assert (access.trouble, access.placement, access.offered) == ("", "", "2.104")


def test_another_user_may_nothing_of_it(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    access = ask(**STRANGER)
    assert answers(access) == dict.fromkeys(EVERYTHING, False)
    assert all("403" in right.words for right in access.rights)
    assert access.services is None


@pytest.mark.parametrize("user", [{}, STRANGER], ids=["admin", "stranger"])
def test_asking_changes_nothing(bed: NovaBed, ask: Ask, user: dict[str, str]) -> None:
    """Neither servers nor services nor migrations, nor what Nova writes down of a server's actions."""
    (server,) = bed.boot("cmp1")

    def truth() -> list[object]:
        actions = bed.ctl("sql", query="select action, request_id from instance_actions order by id")
        updated = bed.ctl("sql", query="select uuid, updated_at, task_state from instances where deleted=0")
        seen = bed.truth()
        return [seen["instances"], seen["migrations"], seen["services"], seen["hypervisors"], actions, updated]

    before = truth()
    ask(**user)
    assert truth() == before
    assert bed.migrations(server) == []
    asked = [
        r for r in bed.requests(service="compute") if r["method"] in ("PUT", "POST") and "urllib" not in r["user_agent"]
    ]
    assert [r["status"] for r in asked] == ([404, 400] if not user else [403, 403])
    assert bed.violations() == []


def test_without_a_server_the_right_to_evacuate_is_unknown(bed: NovaBed, ask: Ask) -> None:
    """A server that does not exist is 404 for everybody: no call can tell."""
    right = ask().rights[-1]
    assert (right.name, right.may, right.words) == ("evacuate", None, NO_SERVER)


@pytest.mark.parametrize("path", ["/os-services", "/action$", "/servers/detail", "/os-migrations"])
def test_a_single_right_that_is_missing_is_named(bed: NovaBed, ask: Ask, path: str) -> None:
    """As by a policy of the cloud's own: Nova answers 403 to one call."""
    bed.boot("cmp1")
    bed.fault(path=path, status=403, own=True)
    access = ask()
    denied = [right.name for right in access.rights if right.may is False]
    assert (
        denied
        == {
            "/os-services": [EVERYTHING[0], EVERYTHING[3]],
            "/action$": ["evacuate"],
            "/servers/detail": [EVERYTHING[1]],
            "/os-migrations": [EVERYTHING[2]],
        }[path]
    )
    unknown = [right.name for right in access.rights if right.may is None]
    assert unknown == (["evacuate"] if path == "/servers/detail" else [])


def test_a_nova_that_takes_what_it_has_to_refuse_proves_nothing(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    bed.fault(path="/action$", status=202, text="")
    assert answers(ask())["evacuate"] is None


def test_an_error_is_neither_yes_nor_no_and_a_silent_nova_is_not_asked_on(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    bed.fault(path="/os-migrations", status=503, text="busy")
    access = ask()
    assert answers(access) == {**dict.fromkeys(EVERYTHING, True), "list migrations": None}
    bed.clear_faults()
    bed.fault(path="/servers/detail", drop="silent")
    bed.requests(clear=True)
    access = ask()
    assert list(answers(access).values()) == [True, None, None, None, None]
    assert access.placement is None
    assert [r for r in bed.requests(service="compute") if r["method"] in ("PUT", "POST")] == []


def test_nobody_is_asked_when_the_login_fails(bed: NovaBed, ask: Ask) -> None:
    access = ask(password="wrong")
    assert "401" in access.trouble or "Unauthorized" in access.trouble
    assert access.rights == ()
    bed.ctl("http", service="compute", up=False)
    access = ask()
    bed.ctl("http", service="compute", up=True)
    assert "Unable to establish connection" in access.trouble


@pytest.mark.parametrize("version", ["2.53", "2.79"])
def test_an_older_nova_tells_the_same(bed: NovaBed, ask: Ask, version: str) -> None:
    bed.boot("cmp1")
    bed.max_microversion(version)
    access = ask()
    bed.max_microversion(None)
    assert (answers(access), access.offered) == (dict.fromkeys(EVERYTHING, True), version)


def test_what_an_old_microversion_cannot_tell_is_unknown(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    assert [right.may for right in ask(ceiling="2.28").rights] == [True, True, True, None, None]


@pytest.mark.parametrize("off_s", [0.0, 45.0, -90.0])
def test_compares_the_clocks(ask: Ask, off_s: float) -> None:
    ahead_s = ask(clock_off_s=off_s).clock_ahead_s
    assert ahead_s is not None
    assert abs(ahead_s + off_s) < 2.0


def test_says_that_placement_is_silent(bed: NovaBed, ask: Ask) -> None:
    bed.fault(service="placement", status=503, text="")
    assert "answers HTTP 503" in (ask().placement or "")
    bed.clear_faults()
    bed.ctl("http", service="placement", up=False)
    said = ask().placement
    bed.ctl("http", service="placement", up=True)
    assert "ConnectFailure" in (said or "")


@pytest.mark.parametrize("kind", ["instance-ha", "masakari"])
def test_masakari_is_named_by_the_catalogue(bed: NovaBed, ask: Ask, kind: str) -> None:
    assert ask().evacuators == ()
    bed.ctl("catalogue", others={kind: "http://127.0.0.1:15868/v1"})
    assert ask().evacuators == (f"Keystone's catalogue has Masakari ({kind}, http://127.0.0.1:15868/v1)",)


def test_hosts_that_instanceha_has_disabled_are_named(bed: NovaBed, ask: Ask) -> None:
    for host, reason in (("cmp1", "instanceha evacuation FAILED: 2026-11-25T03:00:00"), ("cmp2", "instanceha? no")):
        assert bed.update_service(host, status="disabled", disabled_reason=reason).status == 200
    assert ask().evacuators == ("instanceha has disabled cmp1",)
