# SPDX-License-Identifier: Apache-2.0
"""The cluster as a test uses it: start it, break it, look at it, stop it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from lxml import etree

from muster.gateways.pacemaker.cib import cluster as seen
from tests.bed.cluster import config
from tests.bed.cluster.layout import REMOTED, ROOT, BedError, Layout
from tests.bed.cluster.node import Node, sh

POLL_S = 0.1
UP_WITHIN_S = 90.0


class Cluster:
    """A cluster that runs.  ``Cluster.start`` makes one, ``Cluster.attach`` finds one that was kept."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.nodes = {name: Node(layout, name) for name in layout.nodes}

    # ------------------------------------------------------------- start, stop

    @classmethod
    def start(
        cls,
        name: str,
        controllers: int = 3,
        computes: int = 3,
        **options: Any,
    ) -> Cluster:
        """Start a cluster from nothing and wait until every node is online; see :class:`Layout` for the options.

        What is left of an earlier one of the same name is removed first.
        """
        if os.geteuid():
            raise BedError("network namespaces need root")
        if not REMOTED.exists():
            raise BedError(f"{REMOTED} is missing: python -m tests.bed.cluster prepare")
        with contextlib.suppress(BedError):
            cls.attach(name).stop()
        shutil.rmtree(Layout(name, 0, 0).state, ignore_errors=True)
        cluster = cls(Layout(name, controllers, computes, **options))
        try:
            cluster._build()
            cluster._open_room()
            for node in cluster.nodes:
                cluster.power(node, "on")
            cluster.wait_until(cluster.all_online, UP_WITHIN_S, "every node is online")
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def attach(cls, name: str) -> Cluster:
        return cls(Layout.load(name))

    def _build(self) -> None:
        layout = self.layout
        layout.save()
        sh("ip", "netns", "add", layout.switch)
        sh("ip", "-n", layout.switch, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", layout.switch, "link", "set", "br0", "up")
        for netns in layout.beside:
            sh("ip", "-n", netns, "link", "set", "uplink", "netns", layout.switch)
            sh("ip", "-n", layout.switch, "link", "set", "uplink", "master", "br0", "up")
        corosync, cib, key = config.corosync(layout), config.cib(layout), secrets.token_bytes(4096)
        for node in self.nodes.values():
            node.plug_in()
            node.install(corosync, cib, key)

    def _open_room(self) -> None:
        with open(self.layout.state / "room.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.bed.cluster.room", self.layout.name],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.layout.state / "room.pid").write_text(str(process.pid))

        def opened() -> bool:
            if process.poll() is not None:
                raise BedError(f"the machine room ended: {(self.layout.state / 'room.log').read_text()[-2000:]}")
            return self.layout.socket.exists()

        self.wait_until(opened, 20, "the machine room is open")

    def stop(self) -> None:
        """End every process and namespace of it, and remove its files."""
        for node in self.nodes.values():
            with contextlib.suppress(BedError):
                node.power_off()
        self._close_room()
        names = [self.layout.switch, *(self.layout.netns(node) for node in self.nodes)]
        for netns in names:
            if Path(f"/run/netns/{netns}").exists():
                sh("ip", "netns", "del", netns)
        shutil.rmtree(self.layout.state, ignore_errors=True)

    def _close_room(self) -> None:
        try:
            pid = int((self.layout.state / "room.pid").read_text())
            if b"tests.bed.cluster.room" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            return

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ break

    def power(self, node: str, action: str) -> str:
        """The switch: ``on``, ``off`` or ``status``; what it says afterwards."""
        return str(self._room(do=action, node=node)["state"])

    def crash(self, node: str) -> None:
        """The power is cut."""
        self._room(do="crash", node=node)

    def bmc_fault(self, node: str, action: str, kind: str, seconds: float = 0.0) -> None:
        """Make the power switch ``fail``, ``lie`` or ``delay`` an action for a node; "" heals it."""
        for what in (action, "status") if not kind else (action,):
            self._room(do="fault", node=node, action=what, kind=kind, seconds=seconds)

    def bmc_log(self) -> list[Mapping[str, Any]]:
        return list(self._room(do="log", node="")["log"])

    def cut(self, node: str) -> None:
        """Pull the network cable."""
        self.nodes[node].cable(False)

    def heal(self, node: str) -> None:
        self.nodes[node].cable(True)

    def freeze(self, node: str) -> None:
        """Stop every process of the node, as a hung kernel does."""
        self.nodes[node].signal_all(signal.SIGSTOP)

    def thaw(self, node: str) -> None:
        self.nodes[node].signal_all(signal.SIGCONT)

    def stop_stack(self, node: str) -> None:
        """An orderly stop of the cluster software."""
        target = self.nodes[node]
        target.signal_all(signal.SIGTERM, "pacemakerd", "pacemaker-remoted")
        self.wait_until(lambda: not target.pids("pacemakerd", "pacemaker-remoted"), 90, f"Pacemaker on {node} stops")
        target.signal_all(signal.SIGTERM, "corosync")
        self.wait_until(lambda: not target.pids("corosync"), 30, f"corosync on {node} stops")

    def start_stack(self, node: str) -> None:
        os.kill(self.nodes[node].pid, signal.SIGUSR1)
        self.nodes[node].signal_all(signal.SIGTERM, "sleep")  # PID 1 waits for it and takes the signal only then

    def _room(self, **request: object) -> Mapping[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(self.layout.socket))
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(sock.makefile().readline() or '{"error": "no answer"}')
        if "error" in answer:
            raise BedError(f"{request}: {answer['error']}")
        return dict(answer)

    # ------------------------------------------------------------------- look

    def exec(
        self, node: str, *argv: str, timeout: float = 60, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """A command inside a node."""
        command = self.nodes[node].command(argv)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode:
            raise BedError(f"{node}: {' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def is_on(self, node: str) -> bool:
        return self.nodes[node].pid > 0

    def cib(self, node: str = "") -> etree._Element:
        """The CIB as a controller has it; without one, the first that is on and answers."""
        candidates = [node] if node else [n for n in self.layout.controller_names if self.is_on(n)]
        for name in candidates:
            done = self.exec(name, "cibadmin", "--query", "--local", check=False)
            if done.returncode == 0:
                return etree.fromstring(done.stdout.encode())
        raise BedError(f"no CIB from {candidates}")

    def online(self, node: str) -> bool:
        """It is in the cluster, as muster sees it: of a remote in_ccm does not tell in every version."""
        try:
            known = seen(self.cib(), "", "").nodes.get(node)
        except BedError:
            return False
        return known is not None and known.member and self.is_on(node)

    def is_running(self, node: str) -> bool:
        """Its cluster software runs, as far as the processes show."""
        names = ("pacemaker-remoted",) if self.nodes[node].is_compute else ("pacemakerd",)
        return self.is_on(node) and bool(self.nodes[node].pids(*names))

    def all_online(self) -> bool:
        return all(self.online(node) for node in self.nodes)

    def files(self, node: str, path: str) -> Path:
        """A folder of the node (below /etc, /var/lib or /var/log) as the host sees it."""
        return self.layout.upper(node, path)

    def wait_until(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        """:raises AssertionError: when it does not become true in time."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout:.0f} s: {what}")
            time.sleep(POLL_S)


def prepare() -> None:
    """Take pacemaker-remoted out of its package: Debian does not let it be installed beside Pacemaker."""
    if REMOTED.exists():
        return
    version = sh("dpkg-query", "-W", "-f", "${Version}", "pacemaker")
    folder = REMOTED.parents[2]
    scratch = folder.with_name("debs")
    scratch.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=900", "download", f"pacemaker-remote={version}"],
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    packages = sorted(scratch.glob("pacemaker-remote_*.deb"))
    if not packages:
        raise BedError(f"apt-get download pacemaker-remote={version}: {done.stderr.strip()}")
    sh("dpkg", "-x", str(packages[-1]), str(folder), timeout=60)
