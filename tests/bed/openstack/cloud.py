# SPDX-License-Identifier: Apache-2.0
"""The real cloud as a test uses it: OpenStack's services, and what was true of guests, disks and ports."""

from __future__ import annotations

import contextlib
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

from tests.bed.cluster.layout import BedError
from tests.bed.cluster.netns import inside
from tests.bed.nova.client import Api, Reply
from tests.bed.openstack import conf
from tests.bed.openstack.oracle import Disk, written
from tests.bed.openstack.services import BIN, NAMES, NOVA, Services

HERE = Path(__file__).parent
AGENT = HERE / "agents/NovaCompute"
PROGRAM = HERE / "hypervisor"
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class OpenStack(Api):
    """A running cloud; its computes are nodes of the cluster bed, which start nova-compute themselves."""

    url = conf.URLS
    password = conf.PASSWORD

    def __init__(self, name: str, hosts: Sequence[str]) -> None:
        self.hosts = list(hosts)
        self.services = Services(name)
        self.instances = self.services.state / "instances"
        self.local: Mapping[str, Path] = {}
        """By host, where its guests' disks are if it keeps them to itself."""
        self._token = None
        self._known: dict[str, str] = {}

    @classmethod
    def start(cls, name: str, hosts: Sequence[str]) -> OpenStack:
        cloud = cls(name, hosts)
        try:
            cloud.services.start()
            cloud.instances.mkdir()
        except BaseException:
            cloud.services.stop()
            raise
        return cloud

    def stop(self) -> None:
        self.services.stop()

    @property
    def compute_files(self) -> dict[str, str]:
        return conf.compute_files(self.instances)

    def welcome(self) -> None:
        """Wait until every nova-compute is up, and tell Nova's API of them."""
        self._begin_with_networks()
        up = lambda: sum(row["state"] == "up" for row in self.computes()) == len(self.hosts)  # noqa: E731
        self.services.until(up, "every nova-compute is up")
        self.services.until(lambda: len(self._providers()) >= len(self.hosts), "Placement knows every host")
        self.services.run(BIN / "nova-manage", *NOVA, "cell_v2", "discover_hosts")

    def reset(self) -> None:
        """Every service runs, every host is in service, no server is left."""
        for name in NAMES:
            self.services.send(name, signal.SIGCONT)
            self.services.start_service(name)
        self.services.all_answer(*NAMES)
        for server in self.servers():
            self.api("POST", f"/servers/{server['id']}/action", {"os-resetState": {"state": "active"}})
            self.api("DELETE", f"/servers/{server['id']}")
        self.services.until(lambda: not self.servers(), "every server is deleted")
        for row in self.computes():
            if row["forced_down"] or row["status"] == "disabled":
                self.update_service(row["host"], forced_down=False, status="enabled")
        up = lambda: all(row["state"] == "up" for row in self.computes())  # noqa: E731
        self.services.until(lambda: up() and not self.barred(), "every host may be scheduled to")

    def barred(self) -> list[str]:
        """The hosts that Placement takes for disabled, up to a minute longer than they are (facts.md N46)."""
        traits = {
            row["name"]: self.ask("placement", "GET", f"/resource_providers/{row['uuid']}/traits")["traits"]
            for row in self._providers()
        }
        return [name for name, of_it in traits.items() if "COMPUTE_STATUS_DISABLED" in of_it]

    @contextlib.contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Without this service, killed; afterwards it is started again and answers."""
        with self.services.away(name):
            yield
        if name == "neutron":
            self._begin_with_networks()

    def _begin_with_networks(self) -> None:
        """A Neutron that is asked for ports before anything else fails with every list of them, until it is asked for
        another."""
        self.ask("network", "GET", "/v2.0/networks")

    # ---------------------------------------------------------------- requests

    def _open(self, request: urllib.request.Request) -> Reply:
        with inside(self.services.netns):
            try:
                with _WITHOUT_PROXY.open(request, timeout=60) as reply:
                    return Reply(reply.status, reply.headers, reply.read().decode())
            except urllib.error.HTTPError as exc:
                return Reply(exc.code, exc.headers, exc.read().decode(errors="replace"))

    def ask(self, kind: str, method: str, path: str, body: Any = None, data: Optional[bytes] = None) -> Any:
        """A request to any service; what it answers, or BedError."""
        headers = {"X-Auth-Token": self._own_token(), "Accept": "application/json"}
        headers["Content-Type"] = "application/json" if data is None else "application/octet-stream"
        content = data if data is not None else json.dumps(body).encode() if body is not None else None
        if kind == "placement":
            headers["OpenStack-API-Version"] = "placement 1.36"
        address = self.url[kind] + ("/v2.1" if kind == "compute" else "") + path
        reply = self._open(urllib.request.Request(address, content, headers, method=method))
        if reply.status >= 300:
            raise BedError(f"{kind}: {method} {path}: {reply}")
        return json.loads(reply.text) if reply.text else None

    def computes(self) -> list[dict[str, Any]]:
        return list(self.api("GET", "/os-services?binary=nova-compute", microversion="2.53").json["services"])

    def servers(self) -> list[dict[str, Any]]:
        return list(self.api("GET", "/servers/detail?all_tenants=1", microversion="2.94").json["servers"])

    def _providers(self) -> list[dict[str, Any]]:
        return list(self.ask("placement", "GET", "/resource_providers")["resource_providers"])

    # ---------------------------------------------------------------- servers

    def _id(self, kind: str, collection: str) -> str:
        if collection not in self._known:
            rows = self.ask(kind, "GET", {"images": "/v2/images", "networks": "/v2.0/networks"}[collection])
            self._known[collection] = next(row["id"] for row in rows[collection] if row["name"] == "guest")
        return self._known[collection]

    def boot(
        self, host: str, count: int = 1, metadata: Optional[dict[str, str]] = None, port: bool = True
    ) -> list[str]:
        """UUIDs of new servers whose guests have begun to count."""
        made = []
        for n in range(count):
            server: dict[str, Any] = {
                "name": f"guest-{n}",
                "imageRef": self._id("image", "images"),
                "flavorRef": "guest",
            }
            server["networks"] = [{"uuid": self._id("network", "networks")}] if port else "none"
            server.update(host=host, metadata=metadata or {})
            made.append(self.api("POST", "/servers", {"server": server}, "2.90").json["server"]["id"])
        counting = lambda: all((disk := self.disk(s)) and disk.boots == 1 and disk.seconds for s in made)  # noqa: E731
        active = lambda: all(self.status(s) == "ACTIVE" for s in made)  # noqa: E731
        self.services.until(lambda: active() and counting(), f"{count} guests count", within_s=120 + 15 * count)
        return made

    def act(self, server: str, action: str, until: str) -> None:
        """An action of its owner, until the server shows this status."""
        self.services.until(lambda: self.action(server, action).status in (200, 202), f"{action} is taken", within_s=60)
        self.services.until(lambda: self.status(server) == until, f"{server} is {until}", within_s=120)

    def status(self, server: str) -> str:
        row = self.api("GET", f"/servers/{server}", microversion="2.94").json["server"]
        if row["status"] == "ERROR":
            raise BedError(f"{server}: {row.get('fault')}")
        return str(row["status"])

    def server(self, server: str) -> dict[str, str]:
        """Its row in Nova's database."""
        return self.services.sql(f"select * from instances where uuid = '{server}'")[0]

    # --------------------------------------------------------- the oracle's facts

    def disk(self, server: str) -> Optional[Disk]:
        """What its guest has written, on the host that Nova names if each has disks of its own; None without a disk."""
        folder = self.local[self.server(server)["host"]] if self.local else self.instances
        return written(folder / server / "disk")

    def bound(self, server: str) -> list[tuple[str, str]]:
        """Host and state of each binding of its ports, by Neutron's database."""
        query = f"""select b.host, b.status from ml2_port_bindings b join ports p on p.id = b.port_id
            where p.device_id = '{server}'"""
        return [(row["host"], row["status"]) for row in self.services.sql(query, "neutron")]

    def disks(self, servers: Sequence[str]) -> dict[str, Disk]:
        found = {server: disk for server in servers if (disk := self.disk(server))}
        assert len(found) == len(servers), f"disks are missing: {set(servers) - set(found)}"
        return found

    def evacuated(self) -> list[str]:
        """The servers of all evacuations that Nova has begun, in their order."""
        query = "select instance_uuid from migrations where migration_type = 'evacuation' and deleted = 0 order by id"
        return [row["instance_uuid"] for row in self.services.sql(query)]

    def requests(self, since: float = 0.0) -> list[str]:
        """What has reached nova-api, but for what this class asked."""
        lines = self.services.log("nova-api").with_suffix(".access").read_text().splitlines()
        at = lambda line: datetime.strptime(line.split("]")[0], "[%d/%b/%Y:%H:%M:%S %z").timestamp()  # noqa: E731
        return [line for line in lines if "Python-urllib" not in line and at(line) >= int(since)]
