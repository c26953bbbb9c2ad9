# SPDX-License-Identifier: Apache-2.0
"""A cloud of many servers behind the real gateway, in replies as long as the real ones."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from bench.cpu_meter import Meter
from bench.crowd import IN_EVERY_ROW, PagedNova
from muster.gateways.nova.compute import PAGE
from muster.gateways.nova.scheduling import NovaScheduling

FLAVORS = [(cpus, 1024 * cpus * per, disk) for cpus in (1, 2, 4, 8) for per in (1, 2, 4) for disk in (10, 20, 40)][:30]
CPUS, MEMORY_MB, DISK_GB = 512, 1_500_000, 60_000
TRAITS = [f"HW_CPU_X86_FEATURE_{n}" for n in range(60)] + [f"COMPUTE_THING_{n}" for n in range(40)]


class BigCloud(PagedNova, NovaScheduling):
    """Three zones, thirty flavors, a group of three that are kept apart for every tenth server."""

    def __init__(self, hosts: int, servers: int, meter: Meter, load: float = 0.5) -> None:
        super().__init__(hosts, servers, meter)
        dice = random.Random(1)
        self.flavor = [dice.randrange(len(FLAVORS)) for _ in range(servers)]
        self.pinned = [dice.random() < 0.5 for _ in range(servers)]
        self._taken = {host: [0, 0, 0] for host in self.hosts}
        for n, which in enumerate(self.flavor):
            for at, amount in enumerate(FLAVORS[which]):
                self._taken[self.hosts[n % hosts]][at] += amount
        most = [max(taken[at] for taken in self._taken.values()) for at in range(3)]
        self._whole = [int(amount / load) for amount in most]
        self.asked: list[str] = []

    def _is_admin(self) -> bool:
        return True

    def zone(self, host: str) -> str:
        return f"az{self.hosts.index(host) % 3}"

    def _answer(self, service: str, path: str, params: Mapping[str, str], *rest: object) -> Any:
        self.login.requests += 1
        self.asked.append(path)
        query = "&".join(f"{key}={value}" for key, value in params.items())
        return json.loads(self._text(f"{path}?{query}", int(params.get("marker", 0))))

    def _text(self, path: str, first: int) -> str:
        path, _, text = path.partition("?")
        query = {key: values[0] for key, values in parse_qs(text).items()}
        if path == "/servers/detail":
            last = min(first + PAGE, self._count)
            more = [{"rel": "next", "href": f"http://nova/servers/detail?marker={last}"}] if last < self._count else []
            return json.dumps({"servers": [self._row(n) for n in range(first, last)], "servers_links": more})
        if path == "/os-aggregates":
            return json.dumps({"aggregates": [self._aggregate(f"az{n}") for n in range(3)]})
        if path == "/os-server-groups":
            return json.dumps({"server_groups": self._groups(int(query["offset"]))})
        if path == "/allocation_candidates":
            return json.dumps(self._candidates(query["resources"]))
        if "member_of" in query:
            zone = query["member_of"].removeprefix("in:u-")
            return json.dumps({"resource_providers": [_named(h) for h in self.hosts if self.zone(h) == zone]})
        return super()._text(path, first)

    def _row(self, n: int) -> dict[str, Any]:
        cpus, ram, disk = FLAVORS[self.flavor[n]]
        host = self.hosts[n % len(self.hosts)]
        flavor = {**IN_EVERY_ROW["flavor"], "vcpus": cpus, "ram": ram, "disk": disk}
        return {
            **super()._row(n),
            "flavor": flavor,
            "OS-EXT-AZ:availability_zone": self.zone(host),
            "pinned_availability_zone": self.zone(host) if self.pinned[n] else None,
        }

    def _aggregate(self, zone: str) -> dict[str, Any]:
        hosts = [host for host in self.hosts if self.zone(host) == zone]
        return {"id": 1, "uuid": f"u-{zone}", "name": zone, "hosts": hosts, "metadata": {"availability_zone": zone}}

    def _groups(self, offset: int) -> list[dict[str, Any]]:
        firsts = range(0, self._count - 3, 30)[offset : offset + 1000]
        return [
            {
                "id": f"g-{n}",
                "name": "g",
                "policy": "anti-affinity",
                "rules": {},
                "members": [f"{m:08}-0000-4000-8000-000000000000" for m in range(n, n + 3)],
                "project_id": "p",
                "user_id": "u",
            }
            for n in firsts
        ]

    def _candidates(self, resources: str) -> dict[str, Any]:
        asked = {name: int(amount) for name, amount in (one.split(":") for one in resources.split(","))}
        summaries = {}
        for host in self.hosts:
            has = dict(zip(("VCPU", "MEMORY_MB", "DISK_GB"), zip(self._whole, self._taken[host])))
            if all(has[name][0] - has[name][1] >= amount for name, amount in asked.items()):
                summaries[f"u-{host}"] = {
                    "resources": {name: {"capacity": whole, "used": used} for name, (whole, used) in has.items()},
                    "traits": TRAITS,
                    "parent_provider_uuid": None,
                    "root_provider_uuid": f"u-{host}",
                }
        requests = [{"allocations": {uuid: {"resources": asked}}, "mappings": {"": [uuid]}} for uuid in summaries]
        return {"provider_summaries": summaries, "allocation_requests": requests}


def _named(host: str) -> dict[str, str]:
    return {"uuid": f"u-{host}", "name": host, "root_provider_uuid": f"u-{host}"}
