# SPDX-License-Identifier: Apache-2.0
"""What a failed call means for whoever made it: done, not done, or nobody knows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Optional

import pytest
import requests
from keystoneauth1 import exceptions as ksa
from novaclient.exceptions import ClientException
from urllib3 import exceptions as urllib3_exceptions

from muster.core.errors import Answer, NovaRefused, NovaUnavailable, NovaUncertain
from muster.core.nova_facts import Power
from muster.gateways.clock import Clock
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.faults import Redirect, answer_of, elsewhere, refusal, trouble, write_trouble
from muster.gateways.nova.login import Login

# By status: the error of a read and of a write that Nova itself answers so.
NOVAS_OWN = {
    300: (NovaUnavailable, NovaUncertain),  # it has no such words: an unversioned path
    302: (NovaUnavailable, NovaUncertain),
    400: (NovaRefused, NovaRefused),
    401: (NovaUnavailable, NovaUnavailable),
    403: (NovaRefused, NovaRefused),
    404: (NovaRefused, NovaRefused),
    406: (NovaUnavailable, NovaUnavailable),  # a microversion that it has not: looked at before the call
    408: (NovaUnavailable, NovaUncertain),
    409: (NovaRefused, NovaRefused),
    413: (NovaUnavailable, NovaUnavailable),  # over a limit
    429: (NovaUnavailable, NovaUnavailable),
    500: (NovaUnavailable, NovaUncertain),
    501: (NovaRefused, NovaRefused),
    502: (NovaUnavailable, NovaUncertain),
    503: (NovaUnavailable, NovaUncertain),
    504: (NovaUnavailable, NovaUncertain),
}
FAULT = '{"itemNotFound": {"code": 404, "message": "Instance 1 could not be found."}}'
PAGES = ["<html><body>default backend - 404</body></html>", "", "{}", '{"detail": "blocked"}', "[]", FAULT]
REQUEST_ID = {"X-Openstack-Request-Id": "req-1"}


def reply(status: int, text: str = FAULT, headers: Optional[dict[str, str]] = None) -> requests.Response:
    it = requests.Response()
    it.status_code = status
    it._content = text.encode()
    it.headers.update(REQUEST_ID if headers is None else headers)
    return it


@pytest.mark.parametrize("status", NOVAS_OWN)
def test_a_status_says_whether_anything_can_have_been_done(status: int) -> None:
    """B3, B4: only a write whose end nobody knows is uncertain."""
    for kind, is_write in zip(NOVAS_OWN[status], (False, True)):
        said = refusal(reply(status, headers={**REQUEST_ID, "Retry-After": "7"}), "asked", write=is_write)
        assert type(said) is kind
        assert (said.status, said.others_status, said.request_id, said.retry_after_s) == (status, 0, "req-1", 7.0)
        assert str(said) == f"HTTP {status}: asked: Instance 1 could not be found."


@pytest.mark.parametrize("text", PAGES)
@pytest.mark.parametrize("status", [*NOVAS_OWN, 407, 422, 451])
def test_a_status_of_somebody_else_is_about_no_server(status: int, text: str) -> None:
    """B3, B30: an ingress, a firewall, a balancer; also one that puts on Nova's words."""
    said = refusal(reply(status, text, {"Retry-After": "3"}), "asked", write=False)
    assert (type(said), said.status, said.others_status) == (NovaUnavailable, 0, status)
    assert said.retry_after_s == 3.0
    assert str(said).startswith(f"HTTP {status}, not from Nova but from something in front of it: asked: ")
    assert type(refusal(reply(status, text, {}), "asked", write=True)) is NovaUncertain


@pytest.mark.parametrize("text", PAGES[:-1])
@pytest.mark.parametrize("status", [300, 400, 403, 404, 406, 409, 413, 429])
def test_a_refusal_is_one_in_novas_words_only(status: int, text: str) -> None:
    """B30: with a request id and without a word: what stands before Nova in its own process."""
    assert type(refusal(reply(status, text), "asked", write=False)) is NovaUnavailable
    said = refusal(reply(status, text), "asked", write=True)
    assert (type(said), said.status, said.request_id) == (NovaUncertain, 0, "req-1")


def test_what_novas_own_middleware_says_of_a_token_and_of_keystone_counts() -> None:
    """B5: keystonemiddleware, behind the one that gives the request id."""
    said = refusal(reply(401, "Authentication required"), "asked", write=True)
    assert (type(said), said.status) == (NovaUnavailable, 401)
    said = refusal(reply(503, "The Keystone service is temporarily unavailable."), "asked", write=True)
    assert (type(said), said.status) == (NovaUncertain, 503)
    other = {"x-compute-request-id": "req-2"}
    assert refusal(reply(404, headers=other), "asked", write=True).request_id == "req-2"


def test_placements_words_are_read_like_novas() -> None:
    text = '{"errors": [{"status": 403, "detail": "Policy does\\n not allow"}]}'
    said = refusal(reply(403, text), "asked", write=False)
    assert (type(said), str(said)) == (NovaRefused, "HTTP 403: asked: Policy does not allow")


@pytest.mark.parametrize(
    ("asked", "location", "away"),
    [
        ("http://nova:8774/v2.1", "http://nova:8774/v2.1/", False),
        ("http://nova:8774/v2.1", "/v2.1/", False),
        ("http://nova:8774/v2.1", "https://nova:8774/v2.1/", True),
        ("http://nova:8774/v2.1", "http://nova/v2.1/", True),
        ("http://nova:8774/v2.1", "//other/v2.1/", True),
        ("http://nova:8774/v2.1", "/login", True),
        ("http://nova:8774/v2.1/servers", "/v2.1/", True),
    ],
)
def test_only_a_slash_is_added_by_nova_itself(asked: str, location: str, away: bool) -> None:
    """B31."""
    assert elsewhere(asked, location) is away


def test_a_redirect_is_told_in_its_own_words() -> None:
    """B31: and nobody knows what became of a write."""
    said = trouble("/servers", Redirect("Nova answers with a redirect to http://x: correct the endpoint"))
    assert (type(said), str(said)) == (
        NovaUnavailable,
        "/servers: Nova answers with a redirect to http://x: correct the endpoint",
    )
    assert type(write_trouble(Redirect("x"))) is NovaUncertain


def test_only_a_connection_that_never_came_about_proves_that_nothing_was_done() -> None:
    """B1, B2: keystoneauth gives a reply that was lost the same class."""
    never = ksa.ConnectFailure("x")
    never.__cause__ = OSError(
        urllib3_exceptions.MaxRetryError(None, "/", urllib3_exceptions.NewConnectionError(None, ""))
    )  # type: ignore[arg-type]
    assert type(write_trouble(never)) is NovaUnavailable
    lost = ksa.ConnectFailure("x")
    lost.__cause__ = OSError(urllib3_exceptions.ProtocolError("Connection aborted."))
    assert type(write_trouble(lost)) is NovaUncertain
    late = ksa.ConnectTimeout("x")
    late.__cause__ = OSError(urllib3_exceptions.ReadTimeoutError(None, "/", "Read timed out."))  # type: ignore[arg-type]
    assert type(write_trouble(late)) is NovaUncertain
    assert type(write_trouble(ksa.ConnectTimeout("x"))) is NovaUncertain


def test_a_status_that_the_client_raises_is_keystones_and_about_no_server() -> None:
    """B5: a token had to be renewed in the middle of a write."""
    assert type(write_trouble(ksa.Unauthorized())) is NovaUnavailable
    for raised in (ksa.NotFound(), ksa.Forbidden(), ksa.Conflict(), ksa.GatewayTimeout()):
        assert type(write_trouble(raised)) is NovaUncertain
    said = trouble("a token", ksa.ServiceUnavailable())
    assert (type(said), said.status) == (NovaUnavailable, 503)
    assert str(said).startswith("a token: ")


def test_a_file_of_credentials_that_cannot_be_read_is_named_and_not_its_cloud(tmp_path: Path) -> None:
    file = tmp_path / "clouds.yaml"
    with pytest.raises(NovaUnavailable, match="cannot be read: make sure that it is there, and run this as root"):
        Login("bed", str(file), lambda silence_s: None, Clock()).connection()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "- x",
        "clouds: x",
        "clouds: {bed: x}",
        "clouds: {bed: {auth: x}}",
        "clouds: {bed: {region_name: , auth: {auth_url: 'http://x', username: u, password: p}}}",
        "clouds: {bed: {auth: {auth_url: [1], username: u, password: p}}}",
    ],
)
def test_a_file_that_somebody_is_editing_is_told_and_ends_nothing(tmp_path: Path, text: str) -> None:
    """B5: the worker reads it again whenever Keystone refuses the password."""
    file = tmp_path / "clouds.yaml"
    file.write_text(text)
    with pytest.raises(NovaUnavailable, match="cloud 'bed': "):
        Login("bed", str(file), lambda silence_s: None, Clock()).connection()


@pytest.mark.parametrize(
    ("status", "headers", "taken"),
    [(200, REQUEST_ID, "req-1"), (200, {}, ""), (302, REQUEST_ID, ""), (404, {}, "")],
)
def test_a_call_is_taken_by_a_success_with_novas_request_id_only(
    monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], taken: str
) -> None:
    """B30: a page with 200 is a firewall's; and a request id that is not there is no word."""
    nova = Nova("bed", "/nowhere", True, "2.94")

    class Client:
        servers = property(lambda self: self)

        def evacuate(self, server: str, host: object) -> None:
            nova.login.reply = reply(status, "", headers)
            if status >= 400:
                raise ClientException(status)

    monkeypatch.setattr(nova, "_speak", lambda pinned: pinned)
    monkeypatch.setattr(nova, "_nova_client", lambda version: Client())
    if taken:
        assert nova.evacuate("s1", None) == taken
    else:
        with pytest.raises(NovaUncertain, match=f"HTTP {status}"):
            nova.evacuate("s1", None)


class Log:
    """A server's action log, newest first, as Nova of 2.58 and later shows it: in pages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *actions: str, offered: tuple[int, int] = (2, 98)) -> None:
        times = range(len(actions), 0, -1)
        self.rows = [
            {"action": action, "request_id": f"req-{n}", "start_time": f"2026-01-01T00:{n // 60:02}:{n % 60:02}"}
            for action, n in zip(actions, times)
        ]
        self.asked: list[dict[str, str]] = []
        self.nova = Nova("bed", "/nowhere", True, "2.98")
        monkeypatch.setattr(self.nova, "_speak", lambda pinned: min(pinned, offered))
        monkeypatch.setattr(self.nova, "_get", self._get)

    def _get(self, path: str, query: dict[str, str], version: object) -> dict[str, Any]:
        self.asked.append(query)
        if path.endswith("/os-instance-actions"):
            ids = [row["request_id"] for row in self.rows]
            start = ids.index(query["marker"]) + 1 if "marker" in query else 0
            end = start + int(query.get("limit", len(ids)))
            more = [{"rel": "next", "href": f"http://x/?limit=1&marker={ids[end - 1]}"}] if end < len(ids) else []
            return {"instanceActions": self.rows[start:end], "links": more}
        return {"instanceAction": next(row for row in self.rows if path.endswith(f"/{row['request_id']}"))}


def test_an_action_log_is_read_as_far_as_the_owners_last_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    """B41: a server of ten years has thousands of actions."""
    log = Log(monkeypatch, "evacuate", *["lock"] * 120, "stop", *["lock"] * 500, "create")
    found = log.nova.action_log("s1")
    assert (found.wanted, found.request_id) == (Power.STOPPED, "req-623")
    assert log.asked == [{"limit": "100"}, {"limit": "100", "marker": "req-524"}]


def test_an_action_log_is_read_as_far_as_the_incidents_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(monkeypatch, *["lock"] * 150, "evacuate", "evacuate", *["lock"] * 300, "evacuate", "create")
    second = datetime.datetime(2026, 1, 1, 0, 5, 2, tzinfo=datetime.timezone.utc).timestamp()
    assert [trace.request_id for trace in log.nova.traces("s1", second)] == ["req-303", "req-304"]
    assert [query.get("marker") for query in log.asked[:2]] == [None, "req-355"]
    assert len(log.asked) == 4


@pytest.mark.parametrize(
    ("second", "requests", "known", "pages"),
    [(300, ["req-302", "req-303"], [], 4), (300, ["req-303"], ["req-302"], 4), (9, ["req-302", "req-303"], [], 5)],
    ids=["as far as its owner's wish", "but for what is known", "as far as the calls"],
)
def test_one_listing_answers_both_that_an_action_log_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, second: int, requests: list[str], known: list[str], pages: int
) -> None:
    """A17, A2."""
    actions = [*["lock"] * 150, "evacuate", "evacuate", *["lock"] * 200, "stop", *["lock"] * 99, "create"]
    log = Log(monkeypatch, *actions)
    since = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp() + second
    found = log.nova.action_log("s1", since, known)
    assert (found.wanted, [trace.request_id for trace in found.calls]) == (Power.STOPPED, requests)
    assert len(log.asked) == pages + len(requests)


def test_an_older_nova_has_the_whole_log_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(monkeypatch, *["lock"] * 150, "stop", "create", offered=(2, 53))
    assert log.nova.action_log("s1").wanted is Power.STOPPED
    assert log.asked == [{}]


ANSWERS = {
    Answer.FORBIDDEN: (403,),
    Answer.NOT_FOUND: (404,),
    Answer.LOST: (0, 408, 502, 504),
    Answer.UNFIT: (400,),
    Answer.OTHER: (409, 500, 501, 503),
}


@pytest.mark.parametrize(("status", "answer"), [(status, answer) for answer in ANSWERS for status in ANSWERS[answer]])
def test_what_a_status_means_has_a_name_outside_of_the_gateway(status: int, answer: Answer) -> None:
    assert answer_of(status) is answer
    if status:
        assert refusal(reply(status, FAULT), "asked", write=True).answer is answer
        foreign = refusal(reply(status, "<html>", {}), "asked", write=True)
        assert foreign.answer is Answer.LOST, "whoever answers in Nova's place knows nothing of the call"


@pytest.mark.parametrize(
    ("auth", "kind", "who"),
    [
        ("username: muster, password: old", "password", "user 'muster'"),
        ("user_id: 4711, password: old", "password", "user '4711'"),
        (
            "application_credential_id: 0815, application_credential_secret: x",
            "v3applicationcredential",
            "application credential '0815'",
        ),
        ("token: x", "token", "the credentials"),
    ],
)
def test_who_is_not_let_in_is_named_with_the_file(tmp_path: Path, auth: str, kind: str, who: str) -> None:
    """A password that was changed in Keystone: HTTP 401 alone says neither whose nor where."""
    file = tmp_path / "clouds.yaml"
    file.write_text(f"clouds: {{bed: {{auth: {{auth_url: 'http://127.0.0.1:9/v3', {auth}}}, auth_type: {kind}}}}}")
    login = Login("bed", str(file), lambda silence_s: None, Clock())
    login.connection()
    refused = ksa.Unauthorized("The request you have made requires authentication.", http_status=401)
    said = str(login.read_trouble("a token", refused))
    assert said.startswith(
        f"Keystone refuses {who} of cloud 'bed'. Correct the credentials in {file} on every controller;"
    )
    assert "HTTP 401" in said
    assert str(login.read_trouble("a token", ksa.ConnectFailure("no"))).startswith("a token: ConnectFailure")
