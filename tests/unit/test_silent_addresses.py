# SPDX-License-Identifier: Apache-2.0
"""B4: a call into nothing ends within what the monitor was told, however many addresses the name of Nova has."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from muster.core.errors import NovaUnavailable
from muster.gateways.clock import Clock
from muster.gateways.nova import login

CLOUDS = """
clouds:
  bed:
    region_name: one
    auth: {auth_url: 'http://nova.example:%d/v3', username: u, password: p, project_name: p,
           user_domain_id: d, project_domain_id: d}
"""
ADDRESSES = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """On each address of nova.example nobody answers there, and nothing refuses: who listens takes no one in any more."""
    with ExitStack() as held:
        number = 0
        for address in ADDRESSES:
            listening = held.enter_context(socket.socket())
            listening.bind((address, number))
            listening.listen(0)
            number = listening.getsockname()[1]
            for _ in range(3):
                filling = held.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex((address, number))
        real = socket.getaddrinfo

        def named(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            if host != "nova.example":
                return real(host, port, *args, **options)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in ADDRESSES]

        monkeypatch.setattr(socket, "getaddrinfo", named)
        yield number


def test_each_silent_address_has_its_own_time_out_and_the_monitor_is_told(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("READ_TIMEOUT_S", "WRITE_TIMEOUT_S", "MARGIN_S"):
        monkeypatch.setattr(login, name, 0.4)
    file = tmp_path / "clouds.yaml"
    file.write_text(CLOUDS % port)
    late, due = [], [time.monotonic() + 1]

    def announce(silence_s: float) -> None:
        late.append(max(0.0, time.monotonic() - due[0]))
        due[0] = time.monotonic() + silence_s

    began = time.monotonic()
    with pytest.raises(NovaUnavailable):
        login.Login("bed", str(file), announce, Clock()).get("compute", "/os-services", {}, None)
    announce(0.0)
    assert time.monotonic() - began > len(ADDRESSES) * 0.4
    assert not any(late)


def test_a_name_without_addresses_counts_as_one() -> None:
    """Nothing is connected to then."""
    assert login.addresses("127.0.0.1") == 1
    assert login.addresses("no-such-host.invalid") == 1
    assert login.addresses("x" * 300) == 1
