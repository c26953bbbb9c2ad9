# SPDX-License-Identifier: Apache-2.0
"""Small worlds for scenarios that are told step by step; nothing happens in them by chance but delays."""

from __future__ import annotations

from typing import Any, Callable

from muster.core.findings import State
from muster.core.nova_facts import Power
from muster.core.operator_orders import Orders
from tests.sim.inventory import Instance
from tests.sim.world import World

DEFAULTS: dict[str, Any] = {"shared_storage": "yes", "per_destination": 0, "retry_delay_s": 1}


class Stage(World):
    """:param servers: how many plain servers run on the first host."""

    def __init__(self, hosts: int = 3, servers: int = 1, seed: int = 1, **parameters: Any) -> None:
        names = [f"cmp{n}" for n in range(1, hosts + 1)]
        super().__init__(seed, names, {}, 0.0, **{**DEFAULTS, **parameters})
        self.verbose = True
        for n in range(servers):
            self.cloud.add_server(f"s{n}", "cmp1")
        self.start_worker()

    def server(self, ident: str) -> Instance:
        return self.cloud.instances[ident]

    def fence(self, host: str, with_record: bool = True, lies: bool = False, unproved: str = "") -> None:
        if lies:
            self.liars.add(host)
        self.site.fence(host, with_record, lies, unproved)

    def power_on(self, host: str) -> None:
        self.cloud.computes[host].powered = True
        self.site.rejoin(host)

    def no_room(self, full: bool) -> None:
        for host in self.cloud.computes.values():
            host.full = full

    def until(self, condition: Callable[[], object], within_s: float = 300.0) -> None:
        """:raises AssertionError: with the story so far."""
        end = self.now + within_s
        while not condition():
            if self.now > end:
                raise AssertionError("\n".join([f"not within {within_s} s", *self.story]))
            self.run_for(0.1)

    def verdict(self, ident: str, node: str = "cmp1") -> str:
        incident = self.current.incidents.get(node) if self.current else None
        return incident.findings[ident].verdict.value if incident and ident in incident.findings else ""

    def reason(self, ident: str, node: str = "cmp1") -> str:
        incident = self.current.incidents.get(node) if self.current else None
        return incident.findings[ident].reason if incident and ident in incident.findings else ""

    def order(self, node: str, change: Callable[[Orders], Orders]) -> None:
        """What an operator says of the incident of a host."""
        record = self.site.nodes[node].record
        assert record is not None
        self.site.set_node(node, orders=change(self.site.nodes[node].orders or Orders(record.first)))

    def says(self, ident: str, verdict: str, node: str = "cmp1") -> Callable[[], bool]:
        return lambda: self.verdict(ident, node) == verdict

    def state(self, node: str = "cmp1") -> str:
        incident = self.current.incidents.get(node) if self.current else None
        return incident.state.value if incident else State.CLOSED.value

    def over(self, node: str = "cmp1") -> Callable[[], bool]:
        return lambda: self.site.nodes[node].record is None

    def settled(self, node: str = "cmp1") -> Callable[[], bool]:
        return lambda: not self.site.nodes[node].hold

    def rows(self, ident: str) -> list[str]:
        return [row.status for row in self.cloud.rows_of[ident]]

    def owner_stops(self, ident: str) -> None:
        self.cloud.stop(ident, by="owner")
        self.server(ident).wanted = Power.STOPPED

    def owner_starts(self, ident: str) -> None:
        self.cloud.start(ident)
        self.server(ident).wanted = Power.RUNNING

    def takeover(self) -> None:
        """The worker dies, and another one begins at once."""
        old = self.current
        self.kill_worker()
        self.until(lambda: self.current is not old and self.current is not None and self.current.alive)

    def fair(self) -> None:
        """:raises AssertionError: with the story, if the judge has seen anything forbidden."""
        assert not self.judge.violations, "\n".join(self.story)
