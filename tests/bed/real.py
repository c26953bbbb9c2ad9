# SPDX-License-Identifier: Apache-2.0
"""A real cluster around a real cloud: OpenStack's services, and computes whose power is that of real guests."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.bed.cloud import ROOT, Cloud
from tests.bed.openstack.cloud import AGENT, PROGRAM, OpenStack
from tests.bed.openstack.oracle import Disk

NOTES = ROOT / ".cache/real.jsonl"
"""What the tests have measured, a line each."""


LOCAL = "/var/lib/nova/instances"
LOCALLY = "/etc/nova/nova-compute.conf.d/local.conf"


class RealCloud(Cloud):
    nova: OpenStack

    def __init__(self, name: str = "real", computes: int = 3) -> None:
        super().__init__(name, computes)
        try:
            self.nova.welcome()
        except BaseException:
            self.stop()
            raise

    def _start_nova(self, name: str, keep: bool) -> OpenStack:
        return OpenStack.start(name, self.hosts)

    def _reached(self, agents: Mapping[str, dict[str, object]]) -> dict[str, Any]:
        return {
            "agents": {**agents, "ocf": {**agents["ocf"], "bed": {"NovaCompute": str(AGENT)}}},
            "beside": (self.nova.services.netns,),
            "compute_files": self.nova.compute_files,
            "programs": (str(PROGRAM),),
        }

    @contextlib.contextmanager
    def local_disks(self) -> Iterator[None]:
        """Each host keeps the disks of its guests to itself."""
        self._have_computes(
            f"mkdir -p {LOCAL} $(dirname {LOCALLY}); echo '[DEFAULT]\ninstances_path = {LOCAL}' >{LOCALLY}"
        )
        self.nova.local = {host: self.cluster.files(host, LOCAL) for host in self.hosts}
        try:
            yield
        finally:
            self.nova.local = {}
            self._have_computes(f"rm {LOCALLY}")

    def _have_computes(self, command: str) -> None:
        """Done on each host, before its nova-compute starts anew."""
        for host in self.hosts:
            self.cluster.exec(host, "sh", "-c", command)
        self.change("pcs resource restart nova-compute-clone")
        before = {row["host"]: row["updated_at"] for row in self.nova.computes()}
        beats = lambda row: row["state"] == "up" and row["updated_at"] != before[row["host"]]  # noqa: E731
        self.nova.services.until(lambda: all(map(beats, self.nova.computes())), "every nova-compute beats again")

    def note(self, what: str, before: Mapping[str, Disk], since: float) -> None:
        """Measured: the seconds since then, the requests that Nova had from muster, what the disks say."""
        disks = [(disk, self.nova.disk(server)) for server, disk in before.items()]
        line = {
            "what": what,
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "seconds": round(time.time() - since, 1),
            "requests": len(self.nova.requests(since)),
            "disks": [f"{a.boots}/{a.seconds} -> {b.boots}/{b.seconds}" if b else "lost" for a, b in disks],
        }
        print(line)
        with NOTES.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def defined_on(self, host: str) -> list[str]:
        """The guests that the hypervisor of a host knows, whether they run or not."""
        return str(self.cluster.exec(host, "virsh", "list", "--all", "--uuid").stdout).split()
