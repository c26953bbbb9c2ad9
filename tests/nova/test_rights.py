# SPDX-License-Identifier: Apache-2.0
"""What doctor asks of Nova: an admin may everything, another user is told what not, and nothing is changed by asking."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from muster.gateways.clock import Clock
from muster.gateways.nova.needs import (
    ACTIONS_LISTED,
    ACTIONS_SEEN,
    EVACUATED,
    FORCED_DOWN,
    GROUPS_SEEN,
    MIGRATION_HOSTS_SEEN,
    MIGRATIONS_LISTED,
    NEEDS,
    OF_ONE_HOST,
    ONE_SERVER,
    PORTS_SEEN,
    RESET,
    ROOM_SEEN,
    SERVERS_SEEN,
    SERVICES_LISTED,
    STOPPED,
    Need,
)
from muster.gateways.nova.rights import NO_SERVER, NovaRights
from muster.installation.installed import NovaAccess
from tests.bed.nova.client import NovaBed

EVERYTHING = [*(need.name for need in NEEDS if need is not RESET), ROOM_SEEN]
OF_A_SERVER = [need.name for need in (ONE_SERVER, ACTIONS_LISTED, ACTIONS_SEEN, EVACUATED)]
MOST_OF_A_LOOK = 12
STRANGER = {"username": "demo", "password": "demopw"}

Ask = Callable[..., NovaAccess]


class OtherClock(Clock):
    def __init__(self, off_s: float) -> None:
        super().__init__(lambda: time.time() + off_s)


@pytest.fixture
def ask(bed: NovaBed, tmp_path: Path) -> Ask:
    def ask(
        ceiling: str = "2.98", clock_off_s: float = 0.0, reset_states: bool = False, **overrides: Any
    ) -> NovaAccess:
        clouds = bed.clouds_yaml(tmp_path / "clouds.yaml", **overrides)
        return NovaRights("bed", str(clouds), True, ceiling).access(OtherClock(clock_off_s), reset_states)

    return ask


def answers(access: NovaAccess) -> dict[str, Any]:
    """Without what there is nothing to ask about."""
    return {right.name: right.may for right in access.rights if not right.moot}


def something_of_all(bed: NovaBed) -> str:
    """A server that runs, one that is stopped, and a migration; the one that runs."""
    running, still = bed.boot("cmp1", count=2)
    assert bed.action(still, "os-stop").status == 202
    assert bed.action(running, "os-migrateLive", {"host": "cmp2", "block_migration": "auto"}, "2.25").status == 202
    bed.wait_until(lambda: [row["status"] for row in bed.migrations(running)] == ["completed"], 20)
    bed.wait_until(lambda: bed.server(still)["vm_state"] == "stopped", 20)
    bed.wait_until(lambda: bed.server(running)["task_state"] is None, 20)
    return running


def test_an_admin_may_everything(bed: NovaBed, ask: Ask) -> None:
    something_of_all(bed)
    access = ask()
    assert answers(access) == dict.fromkeys(EVERYTHING, True)
    assert [right.name for right in access.rights if right.moot] == [PORTS_SEEN]
    assert sorted(service.host for service in access.services or ()) == ["cmp1", "cmp2", "cmp3"]
    newest = bed.api("GET", "/").json["version"]["version"]
    assert (access.trouble, access.placement, access.offered) == ("", "", newest)


def test_what_there_is_nothing_to_ask_about_is_told_with_its_policy(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    access = ask(reset_states=True)
    moot = {right.name: right.words for right in access.rights if right.moot}
    assert set(moot) == {MIGRATION_HOSTS_SEEN.name, STOPPED.name, RESET.name, PORTS_SEEN}
    assert "os_compute_api:servers:stop" in moot[STOPPED.name]
    assert answers(access) == {name: True for name in [*EVERYTHING] if name not in moot}


def test_a_role_with_the_documented_policy_may_everything(bed: NovaBed, ask: Ask) -> None:
    """B32: but what Nova and placement show to admins only, which no evacuation depends on."""
    something_of_all(bed)
    access = ask(username="muster", password="musterpw")
    assert answers(access) == {name: name not in (GROUPS_SEEN.name, ROOM_SEEN) for name in EVERYTHING}
    assert {right.name for right in access.rights if right.may is False and not right.lesser} == set()


def test_another_user_may_nothing_of_it(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    access = ask(**STRANGER)
    own = {ONE_SERVER.name, ACTIONS_LISTED.name}  # of a server of its own project
    assert {name for name, may in answers(access).items() if may} == own
    assert None not in answers(access).values()
    denied = [right for right in access.rights if right.may is False]
    assert all("403" in right.words or "does not show" in right.words for right in denied)
    assert access.services is None


@pytest.mark.parametrize("user", [{}, STRANGER], ids=["admin", "stranger"])
def test_asking_changes_nothing(bed: NovaBed, ask: Ask, user: dict[str, str]) -> None:
    """Neither servers nor services nor migrations, nor what Nova writes down of a server's actions."""
    server = something_of_all(bed)

    def truth() -> list[object]:
        actions = bed.ctl("sql", query="select action, request_id from instance_actions order by id")
        updated = bed.ctl("sql", query="select uuid, updated_at, task_state from instances where deleted=0")
        seen = bed.truth()
        return [seen["instances"], seen["migrations"], seen["services"], seen["hypervisors"], actions, updated]

    before = truth()
    ask(**user)
    assert truth() == before
    assert [row["migration_type"] for row in bed.migrations(server)] == ["live-migration"]
    asked = [
        r for r in bed.requests(service="compute") if r["method"] in ("PUT", "POST") and "urllib" not in r["user_agent"]
    ]
    assert [r["status"] for r in asked] == ([404, 400, 409] if not user else [403, 403, 409])
    assert bed.violations() == []


def test_a_worker_at_rest_asks_little_and_writes_nothing(bed: NovaBed, tmp_path: Path) -> None:
    """E16: every few minutes; a login each time, so that a password that was changed is known."""
    something_of_all(bed)
    clouds = bed.clouds_yaml(tmp_path / "clouds.yaml")
    rights = NovaRights("bed", str(clouds), True, "2.98")
    bed.requests(clear=True)
    access = rights.access(Clock(), thorough=False)
    asked = [r for r in bed.requests() if "urllib" not in r["user_agent"]]
    print(f"{rights.login.requests} replies: {[(r['method'], r['path']) for r in asked]}")
    assert rights.login.requests <= MOST_OF_A_LOOK
    assert {r["method"] for r in bed.requests(service="compute")} == {"GET"}
    lists = (SERVICES_LISTED, SERVERS_SEEN, OF_ONE_HOST, MIGRATIONS_LISTED, MIGRATION_HOSTS_SEEN)
    assert answers(access) == {need.name: True for need in lists}
    bed.clouds_yaml(clouds, password="changed")
    assert "401" in NovaRights("bed", str(clouds), True, "2.98").access(Clock(), thorough=False).trouble


def test_without_a_server_the_right_to_evacuate_is_unknown(bed: NovaBed, ask: Ask) -> None:
    """A server that does not exist is 404 for everybody: no call can tell."""
    told = {right.name: (right.may, right.words) for right in ask().rights if right.name in OF_A_SERVER}
    assert told == dict.fromkeys(OF_A_SERVER, (None, NO_SERVER))


DENIED = {
    "/os-services": [SERVICES_LISTED, FORCED_DOWN],
    "/action$": [EVACUATED, STOPPED],
    "/servers/detail": [SERVERS_SEEN, OF_ONE_HOST],
    "/servers/[0-9a-f-]+$": [ONE_SERVER],
    "/os-migrations": [MIGRATIONS_LISTED],
    "/os-instance-actions$": [ACTIONS_LISTED],
    "/os-instance-actions/": [ACTIONS_SEEN],
}


@pytest.mark.parametrize("path", DENIED)
def test_a_single_right_that_is_missing_is_named(bed: NovaBed, ask: Ask, path: str) -> None:
    """As by a policy of the cloud's own: Nova answers 403 to one call."""
    something_of_all(bed)
    bed.fault(path=path, status=403, own=True)
    access = ask()
    denied = {right.name: right.remedy for right in access.rights if right.may is False}
    if path == "/servers/[0-9a-f-]+$":  # a stop is asked about after another look at the server
        denied.pop(STOPPED.name, None)
    assert set(denied) == {need.name for need in DENIED[path]}
    for need in DENIED[path]:
        assert need.rules in denied[need.name]


@pytest.mark.parametrize(
    ("path", "query", "text", "denied"),
    [
        ("/servers/detail", "host=none", '{"servers": [{"id": "x", "OS-EXT-SRV-ATTR:host": "cmp2"}]}', OF_ONE_HOST),
        (
            "/os-migrations",
            "",
            '{"migrations": [{"instance_uuid": "x", "source_compute": null}]}',
            MIGRATION_HOSTS_SEEN,
        ),
        ("/os-instance-actions/", "", '{"instanceAction": {"events": [{"event": "x"}]}}', ACTIONS_SEEN),
    ],
    ids=["filters", "hosts of migrations", "events"],
)
def test_what_a_policy_only_hides_is_missed(
    bed: NovaBed, ask: Ask, path: str, query: str, text: str, denied: Need
) -> None:
    """B32: Nova answers 200, and leaves it out."""
    something_of_all(bed)
    bed.fault(path=path, query=query or None, status=200, text=text)
    assert [right.name for right in ask().rights if right.may is False] == [denied.name]


@pytest.mark.parametrize(
    ("ports", "may"), [('{"ports": [{"id": "p"}]}', True), ('{"ports": []}', False)], ids=["shown", "hidden"]
)
def test_neutron_is_asked_for_a_port_of_another_project(bed: NovaBed, ask: Ask, ports: str, may: bool) -> None:
    """B32: with this user's token Nova asks for it, and the servers stay where they are if it is hidden."""
    (server,) = bed.boot("cmp1")
    neutron = Neutron(ports)
    bed.ctl("catalogue", others={"network": neutron.url})
    row = {
        "id": server,
        "status": "ACTIVE",
        "tenant_id": "another",
        "addresses": {"net": [{"addr": "192.0.2.7"}]},
        "OS-EXT-SRV-ATTR:host": "cmp1",
    }
    bed.fault(path="/servers/detail", query="limit=20", status=200, text=json.dumps({"servers": [row]}))
    (right,) = [right for right in ask().rights if right.name == PORTS_SEEN]
    assert (right.may, "service_api" in right.remedy) == (may, not may)
    assert f"device_id={server}" in neutron.asked[-1]


class Neutron:
    """So much of it as the question needs."""

    def __init__(self, ports: str) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                version = {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{outer.url}/v2.0/"}]}
                body = ports if "/ports" in self.path else json.dumps({"versions": [version]})
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *words: object) -> None: ...

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{http.server_port}"


def test_a_nova_that_takes_what_it_has_to_refuse_proves_nothing(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    bed.fault(path="/action$", status=202, text="")
    assert answers(ask())["evacuate"] is None


def test_an_error_is_neither_yes_nor_no_and_a_silent_nova_is_not_asked_on(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    bed.fault(path="/os-migrations", status=503, text="busy")
    access = ask()
    told = answers(access)
    assert (told.pop(MIGRATIONS_LISTED.name), set(told.values())) == (None, {True})
    bed.clear_faults()
    bed.fault(path="/servers/detail", drop="silent")
    bed.requests(clear=True)
    access = ask()
    told = answers(access)
    assert (told.pop(SERVICES_LISTED.name), set(told.values())) == (True, {None})
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
    something_of_all(bed)
    bed.max_microversion(version)
    access = ask()
    bed.max_microversion(None)
    assert (answers(access), access.offered) == (dict.fromkeys(EVERYTHING, True), version)


def test_what_an_old_microversion_cannot_tell_is_unknown(bed: NovaBed, ask: Ask) -> None:
    bed.boot("cmp1")
    told = answers(ask(ceiling="2.28"))
    assert [name for name, may in told.items() if may is None] == [FORCED_DOWN.name, EVACUATED.name]


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
