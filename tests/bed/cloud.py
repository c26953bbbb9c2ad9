# SPDX-License-Identifier: Apache-2.0
"""Both test beds as one: a real Pacemaker cluster whose computes are real Nova's, with muster installed as its users do."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from tests.bed.cluster import Cluster
from tests.bed.nova.client import NovaBed

BIN = Path(sys.executable).parent


class Cloud:
    """Three controllers, ``computes`` computes, Nova behind them; the power of a compute is that of its guests.

    :param parameters: of the resource ``muster``, beside cloud and clouds_file.
    """

    def __init__(self, name: str = "muster", computes: int = 3, keep: bool = False) -> None:
        self.hosts = [f"cmp{i + 1}" for i in range(computes)]
        self.controllers = ["ctl1", "ctl2", "ctl3"]
        self.nova = NovaBed.start(hosts=self.hosts, keep=keep)
        try:
            with tempfile.TemporaryDirectory(prefix="muster-cloud-") as scratch:
                clouds = self.nova.clouds_yaml(Path(scratch) / "clouds.yaml").read_text()
            self.cluster = Cluster.start(
                name=name,
                controllers=3,
                computes=computes,
                agents={
                    "sbin": {"fence_muster": str(BIN / "fence_muster")},
                    "ocf": {"muster": {"ComputeRecovery": str(BIN / "ComputeRecovery")}},
                },
                files={"/etc/muster/clouds.yaml": clouds},
                ports=tuple(urlsplit(url).port or 80 for url in self.nova.url.values()),
                nova=self.nova.url["control"],
            )
        except BaseException:
            self.nova.stop()
            raise

    def __enter__(self) -> Cloud:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()

    def stop(self) -> None:
        try:
            self.cluster.stop()
        finally:
            self.nova.stop()

    def ctl(self, *argv: str, node: str = "ctl1") -> str:
        """A command on a controller; its output."""
        done = self.cluster.exec(node, *argv, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{node}: {' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return str(done.stdout)

    def install(self, **parameters: object) -> None:
        """The lines of the README, typed once."""
        hosts = " ".join(self.hosts)
        self.type(f"pcs stonith create muster-fence fence_muster pcmk_host_check=static-list pcmk_host_list='{hosts}'")
        self.levels("power,muster-fence")
        given = {"cloud": "bed", "shared_storage": "yes", **parameters}
        options = " ".join(f"{name}={value}" for name, value in given.items())
        self.type(f"pcs resource create muster ocf:muster:ComputeRecovery {options} --disabled")
        self.type("pcs constraint location muster rule score=-INFINITY '#kind' eq remote")
        self.type("pcs resource enable muster")
        self.until(lambda: self.worker_node() is not None, 60, "the worker runs")

    def type(self, line: str) -> str:
        """A line as somebody types it on the first controller that is up; what it prints."""
        return self.ctl(*shlex.split(line), node=next(n for n in self.controllers if self.cluster.is_on(n)))

    def levels(self, devices: str, *hosts: str) -> None:
        """The fencing level 1 of these hosts, or of all."""
        for host in hosts or self.hosts:
            self.type(f"pcs stonith level remove 1 target {host}")
            self.type(f"pcs stonith level add 1 {host} {devices}")

    def reset(self) -> None:
        """Everything healthy, nothing on record, no server: for the next test."""
        cluster = self.cluster
        for node in cluster.nodes:
            cluster.heal(node)
            cluster.bmc_fault(node, "off", "")
            cluster.bmc_fault(node, "on", "")
            if cluster.is_on(node):
                cluster.thaw(node)
            if not (cluster.online(node) and cluster.is_running(node)):
                cluster.crash(node)
            cluster.power(node, "on")
        self.until(lambda: any(self._answers(n) for n in self.controllers), 60, "a controller answers")
        self.type("pcs resource disable muster")
        self.until(lambda: self.worker_node() is None, 60, "the worker has stopped")
        for host in self.hosts:
            for attribute in ("standby", "maintenance", "muster", "muster-hold"):
                pair = f"/cib/configuration/nodes/node[@uname='{host}']//nvpair[@name='{attribute}']"
                self.ctl("cibadmin", "--delete", "--force", "--xpath", pair)
        self.type("pcs resource cleanup")
        self.until(lambda: cluster.all_online() and self.computes_started(), 90, "every node and nova-compute is back")
        self.nova.reset()
        self.type("pcs resource enable muster")
        self.until(lambda: self.worker_node() is not None, 60, "the worker runs")

    def _answers(self, node: str) -> bool:
        return self.cluster.exec(node, "cibadmin", "--query", check=False).returncode == 0

    def computes_started(self) -> bool:
        started = self.type("crm_resource --resource nova-compute-clone --locate").splitlines()
        return len(started) == len(self.hosts)

    def until(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        self.cluster.wait_until(condition, timeout, what)

    def worker_node(self) -> Optional[str]:
        """The controller whose worker has made its first look."""
        for node in self.controllers:
            status = self._json(node, "run/muster/muster.json")
            if status and status.get("first_look"):
                return node
        return None

    def record(self, host: str) -> Optional[str]:
        """The token of the host's record, from any controller that is up."""
        return self._attribute(host, "muster")

    def held(self, host: str) -> bool:
        return self._attribute(host, "muster-hold") is not None

    def report(self, host: str) -> Mapping[str, Any]:
        """The newest incident report of a host on any controller; empty without one."""
        newest: Mapping[str, Any] = {}
        newest_at = 0.0
        for node in self.controllers:
            for path in self.cluster.files(node, "/var/lib/muster").glob(f"{host}-*.json"):
                at = path.stat().st_mtime
                if at > newest_at:
                    try:
                        newest, newest_at = json.loads(path.read_text()), at
                    except ValueError:
                        continue
        return newest

    def _attribute(self, host: str, name: str) -> Optional[str]:
        for node in self.controllers:
            try:
                cib = self.cluster.cib(node)
            except Exception:
                continue
            for pair in cib.iterfind(f"configuration/nodes/node[@uname='{host}']//nvpair[@name='{name}']"):
                return str(pair.get("value"))
            return None
        return None

    def _json(self, node: str, path: str) -> Optional[Mapping[str, Any]]:
        if not self.cluster.is_on(node):
            return None
        done = self.cluster.exec(node, "cat", f"/{path}", timeout=10, check=False)
        try:
            return dict(json.loads(done.stdout)) if done.returncode == 0 else None
        except ValueError:
            return None
