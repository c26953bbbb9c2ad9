# SPDX-License-Identifier: Apache-2.0
"""A Nova of very many servers in memory: as little as the engine needs to do all its work, and cheap to ask.

Nothing ever goes wrong in it; what does is the matter of tests/sim.
"""

from __future__ import annotations

import heapq
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Callable, Optional

from bench.cpu_meter import Meter
from muster.core.nova_facts import ActionLog, Evacuation, EvacuationStatus, Power, Server, Service
from muster.gateways.nova.compute import PAGE, Nova
from tests.fakes import FakeClock

CALL_S = 0.05
PAGE_S = 1.0
"""Of a full page of servers or migrations."""
SCHEDULE_S = 0.5
SPAWN_S = 5.0

ADDRESS = {
    "version": 4,
    "addr": "192.0.2.1",
    "OS-EXT-IPS:type": "fixed",
    "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:00",
}
FLAVOR = {
    "vcpus": 2,
    "ram": 4096,
    "disk": 20,
    "ephemeral": 0,
    "swap": 0,
    "original_name": "m1",
    "extra_specs": {"hw:watchdog_action": "reset"},
}
IN_EVERY_ROW: dict[str, Any] = {
    "status": "ACTIVE",
    "metadata": {"role": "web"},
    "hostId": "5" * 56,
    "flavor": FLAVOR,
    "created": "2026-01-02T03:04:05Z",
    "updated": "2026-01-02T03:05:05Z",
    "addresses": {"net": [ADDRESS]},
    "OS-EXT-STS:vm_state": "active",
    "OS-EXT-STS:task_state": None,
    "OS-EXT-STS:power_state": 1,
    "OS-SRV-USG:launched_at": "2026-01-02T03:05:00.000000",
    "os-extended-volumes:volumes_attached": [{"id": "1" * 36, "delete_on_termination": True}],
    "security_groups": [{"name": "default"}],
    "tags": [],
}
"""With what Nova shows beside what is read, so that a page is as long as it is."""


class Crowd:
    """The Nova port over ``hosts`` dead hosts with ``servers`` servers in all, and as many living ones.

    :ivar requests: by kind, each page counting as one.
    """

    def __init__(self, clock: FakeClock, hosts: int, servers: int) -> None:
        self.clock = clock
        self.requests: Counter[str] = Counter()
        self.dead = [f"dead{n}" for n in range(hosts)]
        self.alive = [f"cmp{n}" for n in range(max(hosts, 10))]
        self._services = {
            name: Service(f"id-{name}", name, up=True, updated_at=clock.now() - 5.0) for name in self.dead + self.alive
        }
        self._servers: dict[str, Server] = {}
        self._on: dict[str, dict[str, None]] = {name: {} for name in self._services}
        self._evacuations: dict[str, dict[str, Evacuation]] = {name: {} for name in self.dead}
        self._changes: list[tuple[float, str]] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        born = clock.now() - 1e6
        for n in range(servers):
            host = self.dead[n % hosts]
            one = Server(
                f"{n:08}-0000-4000-8000-000000000000", host, "active", f"vm{n}", created=born + n, updated=born
            )
            self._servers[one.id], self._on[host][one.id] = one, None

    # ------------------------------------------------------------------ reads

    def services(self) -> Sequence[Service]:
        self._take("services")
        return list(self._services.values())

    def servers_on(self, host: str) -> Sequence[Server]:
        self._take("servers_on", len(self._on[host]))
        return [self._servers[ident] for ident in self._on[host]]

    def servers_changed(self, since: float) -> Sequence[Server]:
        first = bisect_left(self._changes, (float(int(since)), ""))
        idents = dict.fromkeys(ident for _, ident in self._changes[first:])
        self._take("servers_changed", len(idents))
        return [self._servers[ident] for ident in idents]

    servers_changed_without_images = servers_changed

    def evacuations_from(self, host: str, since: float, page: int = 0) -> Sequence[Evacuation]:
        evacuations = list(self._evacuations[host].values())
        self._take("evacuations_from", len(evacuations))
        return evacuations

    def evacuations_of_all(self, since: float, page: int = 0) -> Sequence[Evacuation]:
        evacuations = [evacuation for of_one in self._evacuations.values() for evacuation in of_one.values()]
        self._take("evacuations_of_all", len(evacuations))
        return evacuations

    def action_log(self, server: str) -> ActionLog:
        self._take("action_log")
        return ActionLog(Power.RUNNING)

    # ----------------------------------------------------------------- writes

    def force_down(self, service: str, disable_reason: Optional[str]) -> str:
        host = service.removeprefix("id-")
        now = float(int(self.clock.now()))
        self._services[host] = replace(
            self._services[host],
            up=False,
            forced_down=True,
            enabled=False,
            disabled_reason=disable_reason or "",
            updated_at=now,
        )
        return self._take("force_down")

    def force_up(self, service: str, unforce: bool, enable: bool, disable_reason: Optional[str] = None) -> str:
        raise AssertionError("no host returns here")

    def evacuate(self, server: str, target: Optional[str]) -> str:
        one = self._servers[server]
        dest = self.alive[self._count % len(self.alive)]
        evacuation = Evacuation(
            str(self._count), server, one.host, EvacuationStatus.ACCEPTED, created=self._now(), updated=self._now()
        )
        self._evacuations[one.host][evacuation.id] = evacuation
        self._set(server, task_state="rebuilding")
        self._later(SCHEDULE_S, lambda: self._began(evacuation, dest))
        self._later(SCHEDULE_S + SPAWN_S, lambda: self._done(evacuation, dest))
        return self._take("evacuate")

    def stop(self, server: str) -> str:
        raise AssertionError("nothing is to be stopped here")

    def reset_state(self, server: str) -> str:
        raise AssertionError("nothing is to be reset here")

    # ---------------------------------------------------------------- innards

    def _took(self, evacuation: Evacuation, dest: str, status: EvacuationStatus) -> None:
        changed = replace(evacuation, dest=dest, status=status, updated=self._now())
        self._evacuations[evacuation.source][evacuation.id] = changed

    def _began(self, evacuation: Evacuation, dest: str) -> None:
        self._took(evacuation, dest, EvacuationStatus.PRE_MIGRATING)
        self._set(evacuation.server, task_state="rebuild_spawning")

    def _done(self, evacuation: Evacuation, dest: str) -> None:
        self._took(evacuation, dest, EvacuationStatus.DONE)
        del self._on[evacuation.source][evacuation.server]
        self._on[dest][evacuation.server] = None
        self._set(evacuation.server, task_state="", host=dest)

    def _set(self, server: str, **facts: str) -> None:
        self._servers[server] = replace(self._servers[server], updated=self._now(), **facts)  # type: ignore[arg-type]
        self._changes.append((self._now(), server))

    def _now(self) -> float:
        """Nova's clock, as its API shows it: whole seconds."""
        return float(int(self.clock.now()))

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.clock.now() + seconds, self._count, what))

    def _take(self, kind: str, rows: int = 0) -> str:
        """A call takes time, and what is due happens meanwhile."""
        pages = rows // PAGE + 1
        self.requests[kind] += pages
        self.clock.pass_by(CALL_S * pages + PAGE_S * rows / PAGE)
        self.catch_up()
        return f"req-{self._count}"

    def catch_up(self) -> None:
        while self._due and self._due[0][0] <= self.clock.now():
            heapq.heappop(self._due)[2]()


class PagedNova(Nova):
    """The real gateway over replies that are put together as they are asked for: every one is JSON until it is read."""

    def __init__(self, hosts: int, servers: int, meter: Meter) -> None:
        super().__init__("", "", True, "2.98")
        self.hosts = [f"cmp{n}" for n in range(hosts)]
        self._count = servers
        self._text = meter.outside(self._text)  # type: ignore[method-assign]
        self.login.get = self._answer  # type: ignore[method-assign]

    def _speak(self, pinned: tuple[int, int]) -> tuple[int, int]:
        return pinned

    def _answer(self, service: str, path: str, params: dict[str, str], *rest: object) -> Any:
        self.login.requests += 1
        return json.loads(self._text(path, int(params.get("marker", 0))))

    def _text(self, path: str, first: int) -> str:
        if path == "/servers/detail":
            last = min(first + PAGE, self._count)
            more = [{"rel": "next", "href": f"http://nova/servers/detail?marker={last}"}] if last < self._count else []
            return json.dumps({"servers": [self._row(n) for n in range(first, last)], "servers_links": more})
        if path == "/os-services":
            return json.dumps({"services": [_service(host) for host in self.hosts]})
        if path == "/os-migrations":
            return '{"migrations": []}'
        if path == "/resource_providers":
            return json.dumps({"resource_providers": [_provider(host) for host in self.hosts]})
        left = {"VCPU": (256, 100), "MEMORY_MB": (1_000_000, 400_000), "DISK_GB": (20_000, 1000)}
        resources = {name: {"capacity": capacity, "used": used} for name, (capacity, used) in left.items()}
        return json.dumps({"provider_summaries": {f"u-{host}": {"resources": resources} for host in self.hosts}})

    def _row(self, n: int) -> dict[str, Any]:
        links = [{"rel": rel, "href": f"http://nova.example/v2.1/servers/{n:08}-0000"} for rel in ("self", "bookmark")]
        host = self.hosts[n % len(self.hosts)]
        return {
            **IN_EVERY_ROW,
            "id": f"{n:08}-0000-4000-8000-000000000000",
            "name": f"vm{n}",
            "tenant_id": f"{n % 40:032}",
            "user_id": f"{n % 40:032}",
            "image": {"id": "0" * 36, "links": links, "properties": {"hw_machine_type": "q35", "os_distro": "debian"}},
            "links": links,
            "OS-EXT-SRV-ATTR:host": host,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": host,
            "OS-EXT-SRV-ATTR:instance_name": f"instance-{n:08x}",
        }


def _service(host: str) -> dict[str, Any]:
    return {
        "id": f"id-{host}",
        "host": host,
        "binary": "nova-compute",
        "state": "up",
        "status": "enabled",
        "forced_down": False,
        "updated_at": "2026-01-02T03:04:05.000000",
    }


def _provider(host: str) -> dict[str, str]:
    return {"uuid": f"u-{host}", "name": host, "root_provider_uuid": f"u-{host}"}
