# SPDX-License-Identifier: Apache-2.0
"""Replies that nobody foresaw are refused in words, or taken for none: they end no worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests

from muster.core.errors import NovaUnavailable
from muster.gateways.clock import NovaClock
from muster.gateways.nova import faults, parsing
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.rights import NovaRights
from muster.gateways.pacemaker import cib, cib_operations
from muster.gateways.pacemaker.cluster import _seconds


@pytest.mark.parametrize(
    "href", [None, "", "http://nova/servers/detail?limit=1000", "?marker=", "http://[half?marker=1"]
)
def test_a_next_page_without_a_marker_makes_no_half_list_a_whole_one(href: object) -> None:
    with pytest.raises(NovaUnavailable, match="where the next page belongs"):
        parsing.next_marker([{"rel": "next", "href": href}])


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "Mon, 01 Jan 2024 99999999999999999999:00:00 GMT",
    ],
)
def test_a_date_with_numbers_of_any_size_is_none(date: str) -> None:
    clock = NovaClock()
    clock.note(1.0, 2.0, date)
    assert clock.ahead_s == 0.0


def test_json_of_any_depth_is_nobodys_word() -> None:
    reply = requests.Response()
    reply.status_code, reply._content = 502, b"[" * 100_000
    assert faults.refusal(reply, "asked", write=True).others_status == 502


def test_half_an_address_is_somewhere_else() -> None:
    assert faults.elsewhere("http://nova/v2.1", "http://[half/")


@pytest.mark.parametrize("time", ["2026-13-45 99:99:99Z", "2026-10-10 23:59:60Z", "2026-10-10 23:59:10 +24:00"])
def test_a_time_of_pacemaker_that_no_calendar_has_is_none(time: str) -> None:
    assert _seconds(time) == 0


def test_an_operation_without_a_number_is_the_oldest() -> None:
    operations = (
        '<lrm_rsc_op call-id="" operation="start"/><lrm_rsc_op call-id="9" operation="stop" op-status="0" rc-code="0"/>'
    )
    history = f'<lrm><lrm_resources><lrm_resource id="m">{operations}</lrm_resource></lrm_resources></lrm>'
    text = f'<cib><status><node_state uname="a" in_ccm="true">{history}</node_state></status></cib>'
    assert list(cib_operations.active(cib.parse(text.encode()), "m")) == []


SERVICE = {"id": "u", "host": "cmp1", "state": "down", "status": "enabled", "forced_down": False, "updated_at": None}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", None),
        ("state", 5),
        ("state", "sideways"),
        ("state", None),
        ("status", None),
        ("disabled_reason", []),
        ("forced_down", "false"),
        ("updated_at", "soon"),
    ],
)
def test_a_row_of_a_service_that_cannot_be_read_is_of_that_host_only(key: str, value: object) -> None:
    """B43: what is not up need not be down."""
    it = parsing.service({**SERVICE, key: value})
    assert (it.host, it.known, bool(it.unreadable)) == ("cmp1", False, True)
    known = parsing.service(SERVICE)
    assert (known.id, known.up, known.known, known.unreadable) == ("u", False, True, "")
    with pytest.raises(NovaUnavailable):
        parsing.service({**SERVICE, "host": 5})


SERVER = {"id": "s1", "OS-EXT-SRV-ATTR:host": "cmp1", "name": "db", "status": "ACTIVE", "metadata": {}, "tags": []}
ROW = {"id": 7, "instance_uuid": "s1", "source_compute": "cmp1", "status": "done", "created_at": "2026-01-01T00:00:00"}
HOST = "OS-EXT-SRV-ATTR:host"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", 5),
        ("OS-EXT-STS:vm_state", []),
        ("OS-EXT-STS:task_state", {}),
        ("created", "yesterday"),
        ("updated", 7),
        ("name", True),
        ("metadata", "evacuable=false"),
        ("tags", 5),
        ("flavor", {"extra_specs": [1]}),
        ("flavor", None),
        ("flavor", []),
        ("image", ["i"]),
        ("image", {"id": "i", "properties": "x"}),
        (HOST, 5),
    ],
)
def test_a_row_of_a_server_that_cannot_be_read_is_of_that_server_only(key: str, value: object) -> None:
    """B43: an opt-out that cannot be read is not none."""
    it = parsing.server({**SERVER, key: value})
    assert (it.id, it.known, it.host) == ("s1", False, "" if key == HOST else "cmp1")
    assert {"flavor": "extra_specs", "image": "properties"}.get(key, key) in it.unreadable or repr(
        value
    ) in it.unreadable
    assert parsing.server(SERVER).unreadable == ""


@pytest.mark.parametrize(
    ("key", "value", "created"),
    [
        ("status", 5, 1767225600.0),
        ("dest_compute", [], 1767225600.0),
        ("updated_at", "later", 1767225600.0),
        ("created_at", "yesterday", 0.0),
        ("created_at", None, 0.0),
    ],
)
def test_a_row_of_an_evacuation_that_cannot_be_read_counts_as_under_way(
    key: str, value: object, created: float
) -> None:
    """B43."""
    it = parsing.evacuation({**ROW, key: value})
    assert (it.id, it.server, it.source, it.status.open, it.created) == ("7", "s1", "cmp1", True, created)
    assert it.unreadable


@pytest.mark.parametrize("row", [{**ROW, "id": None}, {**ROW, "id": True}, {**ROW, "id": ""}, {**ROW, "id": [7]}])
def test_rows_that_do_not_say_which_they_are_are_half_a_list(row: Mapping[str, Any]) -> None:
    """B43: two of them without an id would be one."""
    with pytest.raises(NovaUnavailable, match="the number 'id'"):
        parsing.evacuation(row)
    for nobody in ({**ROW, "instance_uuid": None}, {**ROW, "source_compute": 5}):
        with pytest.raises(NovaUnavailable):
            parsing.evacuation(nobody)
    assert parsing.evacuation({**ROW, "source_compute": 5}, "cmp1").source == "cmp1"


def test_an_evacuation_that_does_not_say_when_it_was_ends_no_list() -> None:
    """B43: the list is newest first, and read until it gets older than the incident."""
    nova = Nova("bed", "/nowhere", True, "2.98")
    when = {"7": "2026-01-01T00:00:09", "6": "yesterday", "5": "2026-01-01T00:00:05", "4": "2025-01-01T00:00:00"}
    rows = [{**ROW, "id": ident, "created_at": at} for ident, at in when.items()]
    answer = {"migrations": [*rows, {**ROW, "id": "3"}]}
    asked = mock.patch.object(nova.login, "get", lambda *_args: answer)
    with mock.patch.object(nova, "_connect"), mock.patch.object(nova, "_speak", lambda version: version), asked:
        for evacuations in (nova.evacuations_from("cmp1", 1767225600.0), nova.evacuations_of_all(1767225600.0)):
            assert [evacuation.id for evacuation in evacuations] == ["6", "5", "7"]


@pytest.mark.parametrize("path", ["/servers/detail", "/servers/1/os-instance-actions"])
def test_a_page_that_comes_again_and_again_is_read_twice(path: str) -> None:
    """What drops the query of an address has Nova answer with its first page each time."""
    nova, asked = Nova("bed", "/nowhere", True, "2.98"), []

    def get(_service: str, path: str, *_args: object) -> Mapping[str, Any]:
        asked.append(path)
        following = [{"rel": "next", "href": "?marker=2"}]
        return {"servers": [], "servers_links": following, "instanceActions": [], "links": following}

    again = pytest.raises(NovaUnavailable, match="the one after itself")
    with mock.patch.object(nova, "_connect"), mock.patch.object(nova.login, "get", get), again:
        nova.action_log("1") if "actions" in path else nova.servers_on("cmp1")
    assert asked == [path, path]


CLOUDS = "clouds: {c: {auth: {auth_url: 'http://keystone/v3', username: u, password: p, project_id: x}}}"
NO_OBJECTS = ["null", "true", "5", "[]", "{}", "<html>", "[" * 100_000]
TOKENS = [
    '{"token": null}',
    '{"token": []}',
    '{"token": {}}',
    '{"token": {"expires_at": "x", "catalog": []}}',
    '{"token": {"expires_at": "2099-01-01T00:00:00Z", "catalog": 5}}',
    '{"token": {"expires_at": "2099-01-01T00:00:00Z", "catalog": [{"type": "compute", "endpoints": null}]}}',
]
ENDPOINT = '{"interface": "public", "region_id": "R", "region": "R", "url": "http://nova/v2.1", "id": "e"}'
CATALOGUE = f'[{{"type": "compute", "name": "nova", "id": "s", "endpoints": [{ENDPOINT}]}}]'
TOKEN = f'{{"token": {{"expires_at": "2099-01-01T00:00:00Z", "catalog": {CATALOGUE}}}}}'
VERSIONS = [
    '{"versions": null}',
    '{"versions": [5]}',
    '{"version": null}',
    '{"version": {"id": "v2.1", "status": "CURRENT", "version": "x", "min_version": "y", "links": []}}',
    '{"version": {"id": "v2.1", "status": "CURRENT", "version": "2.98", "min_version": "2.1", "links": null}}',
]


@pytest.mark.parametrize(
    ("token", "versions"),
    [*((token, "") for token in (*NO_OBJECTS, *TOKENS)), *((TOKEN, body) for body in (*NO_OBJECTS, *VERSIONS))],
)
def test_whatever_answers_for_keystone_or_nova_ends_no_worker(tmp_path: Path, token: str, versions: str) -> None:
    """keystoneauth reads tokens and versions without a look at what they are."""
    file = tmp_path / "clouds.yaml"
    file.write_text(CLOUDS)

    def send(_self: object, request: requests.PreparedRequest, **_options: object) -> requests.Response:
        reply = requests.Response()
        reply.request, reply.url, reply.status_code = request, str(request.url), 200
        reply._content = (token if request.method == "POST" else versions).encode()
        reply.headers.update({"X-Subject-Token": "t", "Content-Type": "application/json"})
        return reply

    nova = Nova("c", str(file), True, "2.98")
    with mock.patch("requests.adapters.HTTPAdapter.send", send):
        for _ in range(2):
            with pytest.raises(NovaUnavailable):
                nova.services()


@pytest.mark.parametrize("rows", [[1], ["x"], {"a": 1}, "abc", 5])
def test_rows_that_are_none_leave_a_right_unknown(rows: object) -> None:
    nova = NovaRights("bed", "/nowhere", True, "2.98")
    nova._silent = False

    def get(_service: str, _path: str, *_args: object) -> Mapping[str, Any]:
        names = ("servers", "migrations", "instanceActions", "instanceAction", "server")
        return dict.fromkeys(names, rows)

    unsaid = mock.patch.object(nova, "_write", side_effect=NovaUnavailable("not asked here"))
    with mock.patch.object(nova, "_connect"), mock.patch.object(nova.login, "get", get), unsaid:
        rights = list(nova._of_servers())
    assert not any(right.may for right in rights[:1])


@pytest.mark.parametrize(("status", "well"), [(200, True), (401, True), (403, False), (404, False), (503, False)])
def test_a_page_that_is_not_placements_root_is_no_placement(status: int, well: bool) -> None:
    nova, connection = NovaRights("bed", "/nowhere", True, "2.98"), mock.Mock()
    nova._silent = False
    connection.endpoint_for.return_value = "http://placement"
    connection.session.get.return_value.status_code = status
    with mock.patch.object(nova, "_connect", return_value=connection):
        assert (nova._placement() == "") is well
