# SPDX-License-Identifier: Apache-2.0
"""What muster costs on a cluster, and how soon it is there: for the tests that bound it and the benchmark that tells it."""

from __future__ import annotations

import itertools
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bed.cloud import Cloud

AGENT = "/usr/lib/ocf/resource.d/muster/ComputeRecovery"
CHILD = """
import resource, subprocess, sys, time
begin = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""From a small process: a child's peak counts what it had of its parent before it became another program."""
STAT_S = 0.002
STATUS_S = 1.0


@dataclass(frozen=True)
class Cost:
    seconds: float
    kb: int


@dataclass(frozen=True)
class Idle:
    """:param share: of one core, with its children.
    :param looks: at the CIB, a minute.
    """

    share: float
    kb: int
    looks: float


@dataclass(frozen=True)
class Reaction:
    """Seconds until the first evacuate reached Nova: since the power was known to be off, and since the record was in
    the worker's copy of the CIB."""

    since_off: float
    since_record: float


def cost(cloud: Cloud, *argv: str) -> Cost:
    """Of a program that succeeds, on the controller of the worker; what it prints goes nowhere."""
    done = cloud.cluster.exec(str(cloud.worker_node()), "/usr/bin/python3", "-I", "-c", CHILD, *argv)
    code, seconds, size = done.stdout.split()
    assert code == "0", done.stderr
    return Cost(float(seconds), int(size))


def monitor(cloud: Cloud) -> Cost:
    """One monitor of the agent."""
    return cost(cloud, "env", "OCF_RESOURCE_INSTANCE=muster", AGENT, "monitor")


def cpu_s(pid: int) -> float:
    """Of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid: int, what: str = "VmRSS") -> int:
    """:param what: VmRSS as it is now, VmHWM at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


def idle(cloud: Cloud, seconds: float = 30.0) -> Idle:
    """The worker while nothing happens."""
    pid, node = cloud.worker_pid(), str(cloud.worker_node())
    cloud.after_a_full_look()
    looks = {cloud.status(node).get("at")}
    begin, before = time.monotonic(), cpu_s(pid)

    while time.monotonic() < begin + seconds:
        time.sleep(STATUS_S)
        looks.add(cloud.status(node).get("at"))
    took = time.monotonic() - begin
    return Idle((cpu_s(pid) - before) / took, memory_kb(pid), (len(looks) - 1) * 60 / took)


def reaction(cloud: Cloud, host: str) -> Reaction:
    """Cut the power of a host that has a server, and wait for the first evacuate."""
    before, calls = len(cloud.cluster.bmc_log()), len(cloud.nova.evacuations())
    record = _RecordWatch(cloud, host)
    record.start()
    try:
        cloud.cluster.crash(host)
        cloud.until(lambda: len(cloud.nova.evacuations()) > calls, 60, "an evacuation is sent")
    finally:
        record.over.set()
        record.join()
    sent = cloud.nova.evacuations()[calls]["time"]
    return Reaction(sent - offs(cloud, host, before)[0], sent - record.at)


def offs(cloud: Cloud, host: str, before: int) -> list[float]:
    """When the power of a host was known to be off (Unix seconds), as often as its device said so.

    :param before: how many entries its log had then; none of those counts.
    """
    log = [e for e in cloud.cluster.bmc_log()[before:] if e["node"] == host and e["do"] in ("off", "status")]
    return [e["at"] + e["seconds"] for e in log if e["state"] == "off"]


class Attributes(threading.Thread):
    """While it is entered, so many transient attributes of a controller change each second, as those of a ping do."""

    def __init__(self, cloud: Cloud, count: int) -> None:
        super().__init__(daemon=True)
        self._cloud = cloud
        self._names = " ".join(f"meter-{n}" for n in range(count))
        self._over = threading.Event()

    def __enter__(self) -> Attributes:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self.join()
        self._each("--delete")

    def run(self) -> None:
        for value in itertools.count():
            begin = time.monotonic()
            self._each(f"--update {value}")
            if self._over.wait(max(0.0, begin + 1.0 - time.monotonic())):
                return

    def _each(self, change: str) -> None:
        self._cloud.ctl("sh", "-c", f"for name in {self._names}; do attrd_updater --name $name {change}; done")


class _RecordWatch(threading.Thread):
    """When the record of a host was in the file that its worker watches (Unix seconds)."""

    def __init__(self, cloud: Cloud, host: str) -> None:
        super().__init__(daemon=True)
        self._file = cloud.cluster.files(str(cloud.worker_node()), "/var/lib/pacemaker/cib") / "cib.xml"
        self._mark = f'id="nodes-{host}-muster"'
        self.over = threading.Event()
        self.at = float("nan")

    def run(self) -> None:
        seen = 0
        while not self.over.wait(STAT_S):
            try:
                changed = self._file.stat().st_mtime_ns
                if changed != seen and self._mark in self._file.read_text():
                    self.at = changed / 1e9
                    return
            except OSError:
                continue  # it is being replaced
            seen = changed
