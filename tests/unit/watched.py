# SPDX-License-Identifier: Apache-2.0
"""A dead host that is looked at, and a Nova that takes its time and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Sequence

from muster.core.errors import Answer, NovaRefused
from muster.core.nova_facts import Evacuation, Server, Service
from muster.engine.look import Look
from muster.engine.memory import Memory
from tests.fakes import FakeClock, FakeCluster, settings

ANSWER_S = 7.0


class SlowNova:
    """One host with one server, and whatever evacuations it is given; each read takes so long."""

    def __init__(self, clock: FakeClock, answer_s: float) -> None:
        self._clock = clock
        self._answer_s = answer_s
        self.evacuations: list[Evacuation] = []
        self.beat = 0.0
        self.read: list[str] = []

    def _take(self, what: str) -> None:
        self.read.append(what)
        self._clock.pass_by(self._answer_s)

    def services(self) -> Sequence[Service]:
        self._take("services")
        at = self.beat
        return [Service("u1", "cmp1", forced_down=True, enabled=False, disabled_reason="muster: x", updated_at=at)]

    def servers_on(self, host: str) -> Sequence[Server]:
        self._take("servers_on")
        return [Server("a", "cmp1", "active")]

    def servers_changed(self, since: float) -> Sequence[Server]:
        self._take("servers_changed")
        return []

    servers_changed_without_images = servers_changed

    def server(self, ident: str) -> Server:
        self._take("server")
        return self.single(ident)

    def single(self, ident: str) -> Server:
        raise NovaRefused("HTTP 404: not found", status=404, answer=Answer.NOT_FOUND)

    def evacuations_from(self, host: str, since: float, page: int = 1000) -> Sequence[Evacuation]:
        self._take("evacuations_from")
        return self.evacuations


class Watched:
    """A dead host, looked at by a worker with that Nova."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster.of("cmp1")
        self.cluster.fence("cmp1", self.clock.at - 20.0)
        self.nova = SlowNova(self.clock, answer_s)
        self.memory = Memory()
        self.look = Look(self.cluster, self.nova, self.clock, settings(), self.memory)  # type: ignore[arg-type]
