# SPDX-License-Identifier: Apache-2.0
"""Both test beds as one: a real Pacemaker cluster whose computes are real Nova's, with muster installed as its users do."""

from __future__ import annotations

import json
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
        self.ctl(
            "pcs",
            "stonith",
            "create",
            "muster-fence",
            "fence_muster",
            "pcmk_host_check=static-list",
            f"pcmk_host_list={' '.join(self.hosts)}",
        )
        for host in self.hosts:
            self.ctl("pcs", "stonith", "level", "remove", "1", "target", host)
            self.ctl("pcs", "stonith", "level", "add", "1", host, "power,muster-fence")
        given = {"cloud": "bed", "shared_storage": "yes", **parameters}
        self.ctl(
            "pcs",
            "resource",
            "create",
            "muster",
            "ocf:muster:ComputeRecovery",
            *(f"{name}={value}" for name, value in given.items()),
            "--disabled",
        )
        self.ctl("pcs", "constraint", "location", "muster", "rule", "score=-INFINITY", "#kind", "eq", "remote")
        self.ctl("pcs", "resource", "enable", "muster")
        self.until(lambda: self.worker_node() is not None, 60, "the worker runs")

    def until(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        self.cluster.wait_until(condition, timeout, what)

    def worker_node(self) -> Optional[str]:
        """The controller whose worker has made its first look."""
        for node in ("ctl1", "ctl2", "ctl3"):
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
        for node in ("ctl1", "ctl2", "ctl3"):
            for path in self.cluster.files(node, "/var/lib/muster").glob(f"{host}-*.json"):
                at = path.stat().st_mtime
                if at > newest_at:
                    try:
                        newest, newest_at = json.loads(path.read_text()), at
                    except ValueError:
                        continue
        return newest

    def _attribute(self, host: str, name: str) -> Optional[str]:
        for node in ("ctl1", "ctl2", "ctl3"):
            try:
                cib = self.cluster.cib(node)
            except Exception:
                continue
            for pair in cib.iterfind(f"configuration/nodes/node[@uname='{host}']//nvpair[@name='{name}']"):
                return str(pair.get("value"))
            return None
        return None

    def _json(self, node: str, path: str) -> Optional[Mapping[str, Any]]:
        done = self.cluster.exec(node, "cat", f"/{path}", timeout=10, check=False)
        try:
            return dict(json.loads(done.stdout)) if done.returncode == 0 else None
        except ValueError:
            return None
