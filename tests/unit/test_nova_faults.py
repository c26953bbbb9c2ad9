# SPDX-License-Identifier: Apache-2.0
"""What a failed call means for whoever made it: done, not done, or nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from keystoneauth1 import exceptions as ksa
from novaclient.base import TupleWithMeta
from urllib3 import exceptions as urllib3_exceptions

from muster.errors import NovaError, NovaRefused, NovaUnavailable, NovaUncertain
from muster.gateways.login import Login
from muster.gateways.nova import Nova
from muster.gateways.nova_faults import refusal, trouble, write_trouble


@pytest.mark.parametrize(
    ("status", "read", "write"),
    [
        (400, NovaRefused, NovaRefused),
        (401, NovaUnavailable, NovaUnavailable),
        (403, NovaRefused, NovaRefused),
        (404, NovaRefused, NovaRefused),
        (408, NovaUnavailable, NovaUncertain),
        (409, NovaRefused, NovaRefused),
        (429, NovaUnavailable, NovaUnavailable),
        (500, NovaUnavailable, NovaUncertain),
        (502, NovaUnavailable, NovaUncertain),
        (503, NovaUnavailable, NovaUncertain),
        (504, NovaUnavailable, NovaUncertain),
    ],
)
def test_a_status_says_whether_anything_can_have_been_done(
    status: int, read: type[NovaError], write: type[NovaError]
) -> None:
    """B3, B4: only a write whose end nobody knows is uncertain."""
    for kind, is_write in ((read, False), (write, True)):
        said = refusal(status, "No.", "req-1", 7.0, write=is_write)
        assert type(said) is kind
        assert (said.status, said.request_id, said.retry_after_s) == (status, "req-1", 7.0)
        assert str(said) == f"HTTP {status}: No."


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
    assert type(write_trouble(ksa.ConnectTimeout("x"))) is NovaUncertain


def test_a_status_that_the_client_raises_counts_like_one_that_it_returns() -> None:
    assert type(write_trouble(ksa.Conflict(message="No."))) is NovaRefused
    assert type(write_trouble(ksa.GatewayTimeout())) is NovaUncertain
    said = trouble("a token", ksa.ServiceUnavailable())
    assert (type(said), said.status) == (NovaUnavailable, 503)
    assert str(said).startswith("a token: ")


def test_a_file_of_credentials_that_cannot_be_read_is_named_and_not_its_cloud(tmp_path: Path) -> None:
    file = tmp_path / "clouds.yaml"
    with pytest.raises(NovaUnavailable, match="cannot be read: is it there, and is this root"):
        Login("bed", str(file), lambda silence_s: None).connection()


@pytest.mark.parametrize(("headers", "expected"), [({}, ""), ({"X-OpenStack-Request-ID": "req-1"}, "req-1")])
def test_a_request_id_that_is_not_there_is_no_word(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], expected: str
) -> None:
    reply = requests.Response()
    reply.headers.update(headers)

    class Client:
        servers = property(lambda self: self)

        def evacuate(self, server: str, host: object) -> object:
            return TupleWithMeta((reply, None), reply)

    nova = Nova("bed", "/nowhere", True, "2.94")
    monkeypatch.setattr(nova, "_speak", lambda pinned: pinned)
    monkeypatch.setattr(nova, "_nova_client", lambda version: Client())
    assert nova.evacuate("s1", None) == expected
