# SPDX-License-Identifier: Apache-2.0
"""One node: its power, its processes, its network.  No waiting for what the cluster makes of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bed.cluster.layout import REMOTED, BedError, Layout

INIT = Path(__file__).with_name("init")
AGENTS = Path(__file__).with_name("agents")
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "DBUS_FATAL_WARNINGS": "0",  # a node has no D-Bus; Pacemaker 3.0.3's crm_resource asks it for systemd's units
}


def sh(*argv: str, timeout: float = 20) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise BedError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Machine:
    """Namespaces of its own and an overlay over what it writes to; its power is the life of its PID 1.

    :param programs: what it starts as it gets power; without any it is a controller of the cluster.
    """

    def __init__(self, name: str, netns: str, folder: Path, programs: Sequence[str] = ()) -> None:
        self.name, self.netns = name, netns
        self._folder, self._programs = folder, programs
        self._init_file = folder / "init.pid"

    # ------------------------------------------------------------------- disk

    def _upper(self, path: str) -> Path:
        """Where a file that it will find lies on the host."""
        return self._folder / "upper" / path.lstrip("/")

    def put(self, path: str, content: str | bytes, mode: int) -> Path:
        file = self._upper(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return file

    def hide(self, paths: Sequence[str]) -> None:
        (self._folder / "hidden").write_text("".join(f"{path}\n" for path in paths))

    # ------------------------------------------------------------------ power

    @property
    def pid(self) -> int:
        """Of its PID 1, here; 0 when it is off.  The namespace's number guards against a pid that was given anew."""
        try:
            pid, namespace = self._init_file.read_text().split()
            return int(pid) if os.readlink(f"/proc/{pid}/ns/pid") == namespace else 0
        except (OSError, ValueError):
            return 0

    def power_on(self) -> None:
        if self.pid:
            return
        command = ["nsenter", f"--net=/run/netns/{self.netns}"]
        command += ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command += [str(INIT), self.name, str(self._folder), *self._programs]
        with open(self._folder / "console.log", "ab") as console:
            outer = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            if children:
                namespace = os.readlink(f"/proc/{children[0]}/ns/pid")
                if namespace != os.readlink("/proc/self/ns/pid"):
                    self._init_file.write_text(f"{children[0]} {namespace}\n")
                    return
            if outer.poll() is not None:
                break
            time.sleep(0.02)
        raise BedError(f"{self.name} does not start: see {self._folder}/console.log")

    def power_off(self) -> None:
        """SIGKILL of PID 1: the kernel kills every process of the node with it."""
        pid = self.pid
        if not pid:
            return
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while self.pid:
            if time.monotonic() > end:
                raise BedError(f"{self.name} does not die")
            time.sleep(0.01)
        self._init_file.unlink(missing_ok=True)

    # -------------------------------------------------------------- processes

    def pids(self, *names: str) -> list[int]:
        """Its processes, as the host numbers them; with names only those so called (the kernel keeps 15 letters)."""
        pid = self.pid
        if not pid:
            raise BedError(f"{self.name} is powered off")
        namespace = os.readlink(f"/proc/{pid}/ns/pid")
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/pid") == namespace:
                    called = (entry / "comm").read_text().strip()
                    if not names or called in [name[:15] for name in names]:
                        found.append(int(entry.name))
            except OSError:
                continue
        return found

    def signal_all(self, number: int, *names: str) -> None:
        for pid in self.pids(*names):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv`` as a command of the host that runs inside the node."""
        pid = self.pid
        if not pid:
            raise BedError(f"{self.name} is powered off")
        inside = ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "--"]
        return [*inside, "env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()), *argv]


class Node(Machine):
    """A node of the cluster."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout = layout
        self.is_compute = name in layout.compute_names
        programs = [str(REMOTED), *layout.programs] if self.is_compute else []
        super().__init__(name, layout.netns(name), layout.folder(name), programs)

    # ----------------------------------------------------------------- network

    def plug_in(self) -> None:
        """Give it a network namespace and a cable to the switch."""
        netns, switch = self.netns, self.layout.switch
        sh("ip", "netns", "add", netns)
        sh("ip", "-n", switch, "link", "add", f"p-{self.name}", "type", "veth", "peer", "name", "eth0", "netns", netns)
        sh("ip", "-n", switch, "link", "set", f"p-{self.name}", "master", "br0", "up")
        sh("ip", "-n", netns, "addr", "add", f"{self.layout.address(self.name)}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            sh("ip", "-n", netns, "link", "set", link, "up")

    def cable(self, up: bool) -> None:
        sh("ip", "-n", self.layout.switch, "link", "set", f"p-{self.name}", "up" if up else "down")

    # ------------------------------------------------------------------- disk

    def install(self, corosync: str, cib: bytes, authkey: bytes) -> None:
        """Fill what it will find on its disk."""
        layout = self.layout
        hosts = "".join(f"{layout.address(n)} {n}\n" for n in layout.nodes)
        self.put("/etc/hosts", f"127.0.0.1 localhost\n{hosts}", 0o644)
        key = self.put("/etc/pacemaker/authkey", authkey, 0o640)
        shutil.chown(key, group="haclient")
        shutil.chown(key.parent, group="haclient")
        key.parent.chmod(0o750)
        if not self.is_compute:
            self.put("/etc/corosync/corosync.conf", corosync, 0o644)
            self.put("/etc/pacemaker/first-cib.xml", cib, 0o644)
        for path, text in (layout.compute_files if self.is_compute else layout.files).items():
            self.put(path, text, 0o600)
        programs = {f"/usr/sbin/{name}": program for name, program in layout.agents.get("sbin", {}).items()}
        # By the name of an agent that cuts power: no other would prove anything to muster.
        programs["/usr/sbin/fence_xvm"] = str(AGENTS / "fence_bed")
        programs["/usr/lib/ocf/resource.d/bed/NovaCompute"] = str(AGENTS / "NovaCompute")
        for provider, agents in layout.agents.get("ocf", {}).items():
            programs.update({f"/usr/lib/ocf/resource.d/{provider}/{n}": p for n, p in dict(agents).items()})
        for path, program in programs.items():
            link = self._upper(path)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(str(program))
        self.hide(layout.hidden)
