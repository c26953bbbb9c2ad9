# SPDX-License-Identifier: Apache-2.0
"""What muster is compared with: three ways to evacuate hosts, written from what is known of them (docs/migrate.md), and a yardstick.

``bare``   the calls and nothing else, over one connection or several: as fast as Nova takes them.
``flow``   as fence_compute with NovaEvacuate: the fencing forces the host down; a monitor that runs every 10 s finds it,
           lists its servers, sends a call for each, and is done.
``smart``  as instanceha's smart evacuation: eight threads; each sends one call, waits 10 s and then asks for the
           migrations of that server every 5 s until one has ended; five times at most, 5 s apart (infra-operator,
           templates/instanceha/bin/instanceha.py: INITIAL_EVACUATION_WAIT_SECONDS, EVACUATION_POLL_INTERVAL_SECONDS,
           EVACUATION_RETRY_WAIT_SECONDS).
``window`` no tool: so many at once, the next as soon as one has arrived, which it is told past the API.  What is left of an
           ideal when every call still costs Nova its time.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

EVACUATE, SERVICES, MIGRATIONS = "2.94", "2.53", "2.59"
POLL_S = 10.0
FIRST_LOOK_S, NEXT_LOOK_S = 10.0, 5.0
THREADS = 8
TRIES = 5
TIMEOUT_S = 300.0
WINDOW_S = 0.1


class Api:
    """Nova with one token; one connection for each thread, kept open.

    :param cloud: a cloud of clouds.yaml.
    """

    def __init__(self, cloud: dict[str, Any], compute: str) -> None:
        self._auth = cloud["auth"]
        self._compute = urlsplit(compute)
        self._local = threading.local()
        self._token = self._login()

    def _login(self) -> str:
        given = self._auth
        user = {"name": given["username"], "password": given["password"], "domain": {"id": given["user_domain_id"]}}
        scope = {"project": {"name": given["project_name"], "domain": {"id": given["project_domain_id"]}}}
        auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        url = urlsplit(given["auth_url"])
        keystone = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_S)
        keystone.request("POST", f"{url.path}/auth/tokens", json.dumps(auth), {"Content-Type": "application/json"})
        reply = keystone.getresponse()
        reply.read()
        keystone.close()
        return str(reply.headers["X-Subject-Token"])

    def call(self, method: str, path: str, version: str, body: Any = None) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._compute.netloc, timeout=TIMEOUT_S)
        headers = {
            "Content-Type": "application/json",
            "X-Auth-Token": self._token,
            "OpenStack-API-Version": f"compute {version}",
        }
        text = None if body is None else json.dumps(body)
        self._local.connection.request(method, f"{self._compute.path}/v2.1{path}", text, headers)
        reply = self._local.connection.getresponse()
        data = reply.read()
        if reply.status >= 400:
            raise RuntimeError(f"{method} {path}: {reply.status} {data[:300]!r}")
        return json.loads(data) if data else None

    def force_down(self, host: str) -> None:
        (row,) = self.call("GET", f"/os-services?binary=nova-compute&host={host}", SERVICES)["services"]
        self.call("PUT", f"/os-services/{row['id']}", SERVICES, {"forced_down": True, "status": "disabled"})

    def servers(self, hosts: Sequence[str]) -> list[str]:
        lists = [self.call("GET", f"/servers?all_tenants=1&host={host}", EVACUATE)["servers"] for host in hosts]
        return [row["id"] for rows in lists for row in rows]

    def evacuate(self, server: str) -> None:
        self.call("POST", f"/servers/{server}/action", EVACUATE, {"evacuate": {}})

    def newest_evacuation(self, server: str) -> str:
        query = f"migration_type=evacuation&instance_uuid={server}"
        rows = self.call("GET", f"/os-migrations?{query}", MIGRATIONS)["migrations"]
        return str(max(rows, key=lambda row: row["id"])["status"]) if rows else ""


def _in_threads(work: Callable[[str], Any], servers: Sequence[str], threads: int) -> list[Any]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, servers))


def bare(api: Api, hosts: Sequence[str], connections: int = 1) -> None:
    for host in hosts:
        api.force_down(host)
    _in_threads(api.evacuate, api.servers(hosts), connections)


def flow(api: Api, hosts: Sequence[str], phase_s: float = POLL_S / 2) -> None:
    """:param phase_s: how long after the fencing the monitor runs next."""
    for host in hosts:
        api.force_down(host)
    time.sleep(phase_s)
    for host in hosts:
        for server in api.servers([host]):
            api.evacuate(server)


def smart(api: Api, hosts: Sequence[str]) -> None:
    for host in hosts:
        api.force_down(host)

    def one(server: str) -> bool:
        for _ in range(TRIES):
            api.evacuate(server)
            time.sleep(FIRST_LOOK_S)
            status = api.newest_evacuation(server)
            while status not in ("done", "completed", "failed", "error"):
                time.sleep(NEXT_LOOK_S)
                status = api.newest_evacuation(server)
            if status in ("done", "completed"):
                return True
            time.sleep(NEXT_LOOK_S)
        return False

    assert all(_in_threads(one, api.servers(hosts), THREADS))


def window(api: Api, hosts: Sequence[str], arrived: Callable[[], set[str]], in_flight: int = 10) -> None:
    """:param arrived: the servers that run elsewhere by now."""
    for host in hosts:
        api.force_down(host)
    waiting, under_way = api.servers(hosts), set[str]()
    while waiting or under_way:
        under_way -= arrived()
        while waiting and len(under_way) < in_flight:
            under_way.add(waiting[0])
            api.evacuate(waiting.pop(0))
            under_way -= arrived()
        time.sleep(WINDOW_S)
