# SPDX-License-Identifier: Apache-2.0
"""Both test beds as one: a real Pacemaker cluster whose computes are real Nova's, with muster installed as its users do."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from lxml import etree

from tests.bed.cluster import BedError, Cluster
from tests.bed.nova.client import NovaBed
from tests.bed.packages import RPM, Format

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LINKED: dict[str, dict[str, object]] = {
    "sbin": {name: str(BIN / name) for name in ("fence_muster", "muster")},
    "ocf": {"muster": {"ComputeRecovery": str(BIN / "ComputeRecovery")}},
}
PRODUCT = tuple(str(ROOT / name) for name in ("src", "ocf_meta", "agents", "fence"))
"""Where the source tree has what the packages bring."""
CONFIGURED = ("crm_config", "resources", "constraints", "fencing-topology")
OURS = " or ".join(f"@name='{name}'" for name in ("standby", "maintenance", "muster", "muster-hold"))


class Cloud:
    """Three controllers, ``computes`` computes, Nova behind them; the power of a compute is that of its guests.

    :param packages: to be installed on every node, as operators do, which then see nothing of this tree; without them
        its agents are linked in.
    :param form: the format of the packages.
    """

    def __init__(
        self,
        name: str = "muster",
        computes: int = 3,
        keep: bool = False,
        packages: Sequence[Path] = (),
        form: Format = RPM,
    ) -> None:
        self.form = form
        self.hosts = [f"cmp{i + 1}" for i in range(computes)]
        self.controllers = ["ctl1", "ctl2", "ctl3"]
        self.nova = self._start_nova(name, keep)
        try:
            with tempfile.TemporaryDirectory(prefix="muster-cloud-") as scratch:
                clouds = self.nova.clouds_yaml(Path(scratch) / "clouds.yaml").read_text()
            self.cluster = Cluster.start(
                name=name,
                controllers=3,
                computes=computes,
                files={"/etc/muster/clouds.yaml": clouds},
                hidden=PRODUCT if packages else (),
                **self._reached({} if packages else LINKED),
            )
            if packages:
                self.package("install", packages)
        except BaseException:
            self.nova.stop()
            raise

    def _start_nova(self, name: str, keep: bool) -> Any:
        return NovaBed.start(hosts=self.hosts, keep=keep)

    def _reached(self, agents: Mapping[str, dict[str, object]]) -> dict[str, Any]:
        """What the cluster is told of this Nova, and the agents of its nodes."""
        ports = tuple(urlsplit(url).port or 80 for url in self.nova.url.values())
        return {"agents": agents, "ports": ports, "nova": self.nova.url["control"]}

    def package(self, verb: str, packages: Sequence[object], on: Sequence[str] = ()) -> str:
        """Install, upgrade or erase these packages on every node; what was printed."""
        command = self.form.command(verb, packages)
        nodes = on or [*self.controllers, *self.hosts]
        return "".join(self.ctl("sh", "-c", command, node=node) for node in nodes)

    @staticmethod
    def end(name: str) -> bool:
        """Stop one that was kept; whether there was any."""
        try:
            cluster = Cluster.attach(name)
        except BedError:
            return False
        with contextlib.suppress(OSError):
            NovaBed.attach(cluster.layout.nova).stop()
        cluster.stop()
        return True

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
        self.levels("power muster-fence")
        given = {"cloud": "bed", "shared_storage": "yes", "late_call_s": 30, **parameters}
        options = " ".join(f"{name}={value}" for name, value in given.items())
        sticky = "meta resource-stickiness=1000"
        old, new = "/run/before.xml", "/run/muster.xml"
        self.type(f"pcs cluster cib {old}")
        self.type(f"cp {old} {new}")
        self.type(f"pcs -f {new} resource create muster ocf:muster:ComputeRecovery {options} {sticky} --disabled")
        away = "rule resource-discovery=never score=-INFINITY '#kind' eq remote"
        self.type(f"pcs -f {new} constraint location muster {away}")
        self.type(f"pcs cluster cib-push {new} diff-against={old}")
        self.remember()
        self.type("pcs resource enable muster")
        self.until(lambda: self.worker_node() is not None, 60, "the worker runs")

    def remember(self) -> None:
        """The configuration as it is now is what :meth:`reset` and :meth:`forget` go back to."""
        self._installed = {scope: self.ctl("cibadmin", "--query", "--scope", scope) for scope in CONFIGURED}

    def forget(self) -> None:
        """The configuration as it was remembered, before there was anything of muster in it."""
        for scope in reversed(CONFIGURED):  # what refers to a resource goes before it
            self._replace(scope, self._installed[scope])
        self.calm("the configuration is as it was")

    def type(self, line: str) -> str:
        """A line as somebody types it on the first controller that is up; what it prints."""
        return self.ctl(*shlex.split(line), node=next(n for n in self.controllers if self.cluster.is_on(n)))

    def change(self, line: str) -> None:
        """A line that changes the configuration, and what Pacemaker does because of it, to its end."""
        self.type(line)
        self.calm(f"the cluster has done: {line}")
        self.until(lambda: self.worker_node() is not None, 60, "the worker runs")

    def stop_worker(self) -> None:
        """As deploy.md has it."""
        self.type("pcs resource disable muster")
        self.type("crm_resource --wait --timeout=60s")

    def levels(self, devices: str, *hosts: str) -> None:
        """The fencing level 1 of these hosts, or of all."""
        for host in hosts or self.hosts:
            self.type(f"pcs stonith level remove 1 target {host}")
            self.type(f"pcs stonith level add 1 {host} {devices}")

    def reset(self) -> None:
        """Everything healthy and configured as it was installed, nothing on record, no server: for the next test."""
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
        self._configure(worker="Stopped")
        self.until(lambda: self.worker_node() is None, 60, "the worker has stopped")
        self.type(f'cibadmin --delete-all --force --xpath "/cib/configuration/nodes/node//nvpair[{OURS}]"')
        self.type("crm_resource --cleanup")
        for node in self.controllers:
            self.ctl("sh", "-c", "rm -f /var/lib/muster/*", node=node)
        self.until(lambda: cluster.all_online() and self.computes_started(), 90, "every node and nova-compute is back")
        self.calm("the cluster is idle")
        self.nova.reset()
        self._configure(worker="Started")
        self.until(lambda: self.worker_node() is not None, 60, "the worker runs")

    def _configure(self, worker: str) -> None:
        """The configuration as installed, whatever a test did to it, with the worker in the given role."""
        for scope, text in self._installed.items():
            section = etree.fromstring(text)
            for role in section.iterfind("primitive[@id='muster']/meta_attributes/nvpair[@name='target-role']"):
                role.set("value", worker)
            self._replace(scope, etree.tostring(section, encoding="unicode"))

    def _replace(self, scope: str, text: str) -> None:
        node = next(n for n in self.controllers if self.cluster.is_on(n))
        self.cluster.exec(node, "cibadmin", "--replace", "--scope", scope, "--xml-pipe", stdin=text)

    def calm(self, what: str) -> None:
        """Wait until Pacemaker has nothing under way.

        A node that dies while an operation is under way on it is not fenced before that operation's time-out.
        """
        self.until(self._is_calm, 90, what)

    def _is_calm(self) -> bool:
        """The DC has nothing to do: what was on its way, a late fencing for instance, is over."""
        node = next(n for n in self.controllers if self.cluster.is_on(n))
        return self.cluster.exec(node, "crm_resource", "--wait", "--timeout=20s", check=False).returncode == 0

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
            status = self.status(node)
            alive = status and self.cluster.exec(node, "kill", "-0", str(status["pid"]), check=False).returncode == 0
            if status and status.get("first_look") and alive:
                return node
        return None

    def worker_pid(self) -> int:
        """Of the worker, as the host numbers its processes; 0 without one.

        A child that the worker has just forked carries the worker's command line until it runs its own command.
        """
        for node in self.controllers:
            if self.cluster.is_on(node):
                pids = self.cluster.nodes[node].pids()
                workers = [pid for pid in pids if b"muster.agents.worker_process" in _read(f"/proc/{pid}/cmdline")]
                for pid in workers:
                    if _parent(pid) not in workers:
                        return pid
        return 0

    @contextlib.contextmanager
    def returning_without_compute(self, host: str) -> Iterator[None]:
        """The host has died, muster has settled it, and it is back in the cluster; its nova-compute starts afterwards."""
        self.change(f"pcs constraint location nova-compute-clone avoids {host}")
        try:
            self.cluster.crash(host)
            self.until(lambda: self.report(host).get("state") == "returning", 90, "everything is settled")
            self.until(lambda: self.is_member(host), 60, "the host is back in the cluster")
            yield
        finally:
            self.type(f"pcs constraint remove location-nova-compute-clone-{host}--INFINITY")

    def after_a_full_look(self) -> None:
        """Wait until the worker has begun two more passes: it has seen what is the case now."""
        for _ in range(2):
            node = self.worker_node()
            assert node is not None
            seen = self.status(node).get("at")
            self.until(lambda n=node, s=seen: self.status(n).get("at") != s, 30, "a pass")

    def status(self, node: str) -> Mapping[str, Any]:
        """The status file of the worker on a controller; empty without one."""
        return self._json(node, "run/muster/muster.json") or {}

    def verdicts(self, host: str, servers: Sequence[str]) -> list[str]:
        """The verdict of each of these servers in the newest report of the host; "" for one that is not in it."""
        said = {entry["id"]: entry["verdict"] for entry in self.report(host).get("proofs", ())}
        return [said.get(server, "") for server in servers]

    def settled(self, *hosts: str) -> bool:
        return all(self.report(host).get("state") in ("settled", "returning", "closed") for host in hosts)

    def back_in_service(self, host: str) -> bool:
        """Nothing is on record any more, and Nova's own word is that it is up and enabled."""
        if self.record(host) or self.held(host):
            return False
        service = self.nova.service(host)
        return (service["state"], service["status"], service["forced_down"]) == ("up", "enabled", False)

    def is_member(self, node: str) -> bool:
        return self.cluster.online(node)

    def pacemaker_says(self, host: str) -> str:
        """What the fence agent's stderr left in Pacemaker's logs about a host."""
        lines = []
        for node in self.controllers:
            log = self.cluster.files(node, "/var/log/pacemaker") / "pacemaker.log"
            text = log.read_text(errors="replace") if log.exists() else ""
            lines += [line for line in text.splitlines() if "fence_muster" in line and host in line]
        return "\n".join(lines)

    def describe(self) -> str:
        """For the reader of a failed test."""
        parts = [self.cluster.exec(n, "crm_mon", "-1Arf", check=False).stdout for n in self.controllers[:1]]
        for node in self.controllers:
            if self.cluster.is_on(node):
                parts.append(self.cluster.exec(node, "sh", "-c", "tail -n 40 /run/muster/*", check=False).stdout)
        return "\n".join([*parts, *(json.dumps(self.report(h), indent=1) for h in self.hosts)])

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


def _parent(pid: int) -> int:
    """As the host numbers them; 0 for a process that is gone."""
    after_name = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(after_name[1]) if after_name else 0


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
