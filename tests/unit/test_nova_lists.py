# SPDX-License-Identifier: Apache-2.0
"""How Nova is asked for long lists when it is slow, and for versions that it no longer offers."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Callable, Optional

import pytest
import requests
from keystoneauth1 import exceptions as ksa

from muster.core.errors import NovaUnavailable
from muster.gateways.nova import login
from muster.gateways.nova.compute import Nova
from muster.gateways.nova.patience import PAGE, PAGE_MIN, Patience

Asked = tuple[str, Optional[float], int]


class Slow(Nova):
    """Nova with so many servers, that needs so long for each of them and for any answer."""

    def __init__(self, servers: int = 3000, each_s: float = 0.0, base_s: float = 0.1) -> None:
        super().__init__("bed", "/nowhere", True, "2.98")
        self.count, self.each_s, self.base_s = servers, each_s, base_s
        self.asked: list[Asked] = []
        self.broken = 0
        self.login.get = self._answer  # type: ignore[method-assign]

    def _connect(self) -> Any:
        self._offered = (2, 98)

    def _answer(
        self,
        service: str,
        path: str,
        params: Mapping[str, str],
        version: Optional[str],
        timeout_s: Optional[float] = None,
        retries: int = 1,
    ) -> Mapping[str, Any]:
        size, begin = int(params.get("limit", 0)), int(params.get("marker", 0))
        self.asked.append((params.get("limit", path), timeout_s, retries))
        rows = range(begin, min(begin + size, self.count))
        took_s = self.base_s + self.each_s * len(rows)
        if self.broken:
            self.broken -= 1
            raise NovaUnavailable("reset") from ksa.ConnectFailure("reset")
        if took_s > (timeout_s or login.READ_TIMEOUT_S):
            raise NovaUnavailable("timed out") from ksa.ConnectTimeout("timed out")
        self.login.reply = requests.Response()
        self.login.reply.elapsed = datetime.timedelta(seconds=took_s)
        if path == "/os-services":
            return {"services": []}
        more = [{"rel": "next", "href": f"?marker={rows[-1] + 1}"}] if rows and rows[-1] + 1 < self.count else []
        return {"servers": [{"id": str(n), "status": "UNKNOWN"} for n in rows], "servers_links": more}

    @property
    def sizes(self) -> list[int]:
        sizes = [int(size) for size, _, _ in self.asked]
        self.asked.clear()
        return sizes


def silent(call: Callable[[], object]) -> None:
    with pytest.raises(NovaUnavailable, match="timed out"):
        call()


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones() -> None:
    """B34: 1,000 servers take 25 s and 20 s is the limit: the same page would be asked for again and again."""
    nova = Slow(2000, each_s=0.025)
    assert len(nova.servers_on("cmp1")) == 2000
    assert nova.sizes == [PAGE, 500, 500, 500, 500]
    nova.servers_on("cmp1")
    assert nova.sizes == [500, 500, 500, 500]


def test_pages_never_get_smaller_than_is_of_use() -> None:
    """B34: a Nova that is silent altogether is not asked for ever smaller ones, and is read when it is back."""
    nova = Slow(base_s=1000.0)
    for _ in range(30):
        silent(lambda: nova.servers_on("cmp1"))
    assert min(nova.sizes) == PAGE_MIN
    nova.base_s, nova.count = 0.0, 30_000
    assert len(nova.servers_on("cmp1")) == 30_000
    assert nova.sizes[-1] == PAGE


def test_pages_grow_again_when_full_ones_come_quickly() -> None:
    """B34: and not while they take a good part of the time that they have."""
    nova = Slow(2000, each_s=0.025)
    nova.servers_on("cmp1")
    nova.sizes.clear()
    nova.each_s = 0.011  # 500 take 5.6 s of 20
    nova.servers_on("cmp1")
    assert nova.sizes == [500] * 4
    nova.each_s = 0.001
    nova.servers_on("cmp1")
    assert nova.sizes == [500, PAGE, PAGE]


def test_a_list_whose_connection_broke_is_asked_for_once_more() -> None:
    """B4: and in the same pages."""
    nova = Slow(10)
    nova.broken = 1
    assert len(nova.servers_on("cmp1")) == 10
    assert nova.sizes == [PAGE, PAGE]
    nova.broken = 2
    with pytest.raises(NovaUnavailable, match="reset"):
        nova.servers_on("cmp1")


SHORT, LONG = ("/os-services", login.READ_TIMEOUT_S, 0), ("/os-services", login.CELLS_TIMEOUT_S, 0)


def test_nova_is_given_the_time_that_it_waits_for_a_hung_cell() -> None:
    """B35: in one long read instead of two short ones, and only where the last ones were not enough."""
    nova = Slow(10, base_s=61.0)
    silent(nova.services)
    nova.services()
    nova.services()
    nova.base_s = 0.1
    nova.services()
    nova.services()
    assert nova.asked == [SHORT, SHORT, LONG, LONG, LONG, SHORT]


def test_a_nova_that_never_answers_is_waited_for_long_every_other_time_only() -> None:
    """B35: it would be noticed late that it is back."""
    nova = Slow(base_s=1000.0)
    for _ in range(3):
        silent(nova.services)
    assert nova.asked == [SHORT, SHORT, LONG, SHORT, SHORT]


def test_a_hung_cell_makes_no_page_smaller() -> None:
    """B35: each would take a minute."""
    nova = Slow(1500, base_s=60.5)
    silent(lambda: nova.servers_on("cmp1"))
    nova.sizes.clear()
    assert len(nova.servers_on("cmp1")) == 1500
    assert nova.sizes == [PAGE, PAGE]


def test_what_takes_longer_than_any_read_waits_gets_smaller_all_the_same() -> None:
    """B34, B35: a page of 1,000 takes 100 s, one of 500 comes in a long read."""
    nova = Slow(2000, each_s=0.1)
    for _ in range(3):
        silent(lambda: nova.servers_on("cmp1"))
    assert len(nova.servers_on("cmp1")) == 2000


def test_a_short_list_that_came_late_makes_no_page_smaller() -> None:
    """B35: the few that a poll asks for."""
    patience, asked = Patience(), []

    def ask(size: int, seconds: float) -> int:
        asked.append(size)
        if len(asked) == 1:
            raise NovaUnavailable("timed out") from ksa.ConnectTimeout("timed out")
        return size

    assert patience.read("/os-migrations", 11, 20.0, ask) == 11
    assert (asked, patience.page) == ([11, 11], PAGE)


class RolledBack(Slow):
    """It offers what ``offers`` says when it is asked for its versions, and refuses what is above ``knows``."""

    def __init__(self, offers: tuple[tuple[int, int], ...], knows: tuple[int, int]) -> None:
        self.offers = list(offers)
        self.knows = knows
        self.discovered = 0
        self.spoken: list[str] = []
        super().__init__(10)

    def _connect(self) -> Any:
        if self.discovered == 0 or self.login.forgotten:  # type: ignore[attr-defined]
            self.login.forgotten = False  # type: ignore[attr-defined]
            self.discovered += 1
            self._offered = self.offers.pop(0) if len(self.offers) > 1 else self.offers[0]

    def _answer(self, service: str, path: str, params: Mapping[str, str], version: Optional[str], *more: Any) -> Any:
        assert version is not None
        self.spoken.append(version)
        if tuple(map(int, version.split("."))) > self.knows:
            raise NovaUnavailable(f"HTTP 406: {version}", status=406)
        return super()._answer(service, path, params, version, *more)


@pytest.fixture(autouse=True)
def forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login.Login, "forget", lambda self: setattr(self, "forgotten", True))


def test_an_api_that_offers_less_than_it_did_is_discovered_anew() -> None:
    """B33: rolled back while the worker ran: every read was refused, for ever."""
    nova = RolledBack(((2, 98), (2, 80)), knows=(2, 80))
    assert len(nova.servers_on("cmp1")) == 10
    assert (nova.spoken, nova.discovered) == (["2.98", "2.80"], 2)
    nova.servers_on("cmp1")
    assert nova.spoken[2:] == ["2.80"]


def test_it_is_discovered_once_a_call_and_no_more() -> None:
    """B33: what says that it offers it, and refuses it."""
    nova = RolledBack(((2, 98),), knows=(2, 80))
    with pytest.raises(NovaUnavailable, match="406"):
        nova.servers_on("cmp1")
    assert nova.discovered == 2


def test_of_two_releases_behind_one_address_the_older_ones_versions_are_spoken() -> None:
    """B33: in the middle of an upgrade; what was refused once is not spoken again because the newer one answers."""
    nova = RolledBack(((2, 98), (2, 80), (2, 98)), knows=(2, 80))
    nova.servers_on("cmp1")
    nova.knows = (2, 60)
    nova.offers = [(2, 98)]
    with pytest.raises(NovaUnavailable, match="406"):
        nova.servers_on("cmp1")
    assert nova.spoken == ["2.98", "2.80", "2.80", "2.80"]
