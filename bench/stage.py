# SPDX-License-Identifier: Apache-2.0
"""Real Nova with servers on hosts that die: one run of one subject, watched from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from tests.bed.nova.client import ROOT, NovaBed

WATCH_S = 0.2
LONGEST_S = 1800.0
STILL_S = 30.0
"""Whoever has ended will not send it again: what has not come by then is lost."""
DESTINATIONS = 2
LOOP = 2_000_000
POINTS = 60


def loop_ms() -> float:
    """How long a fixed piece of work takes now: the noise of the machine."""
    began = time.perf_counter()
    total = 0
    for number in range(LOOP):
        total += number
    return round((time.perf_counter() - began) * 1000, 1)


class Stage:
    """One Nova for several runs, empty and healthy again before each.

    :param dead: so many hosts die together; two more live.
    """

    def __init__(self, bed: NovaBed, scratch: Path, dead: int) -> None:
        self._bed, self._dead = bed, bed.hosts[:dead]
        self._clouds = bed.clouds_yaml(scratch / "clouds.yaml")
        self._fresh = True

    @classmethod
    @contextmanager
    def of(cls, dead: int = 1) -> Iterator[Stage]:
        hosts = [f"cmp{number + 1}" for number in range(dead + DESTINATIONS)]
        with NovaBed.start(hosts=hosts) as bed, tempfile.TemporaryDirectory() as scratch:
            yield cls(bed, Path(scratch), dead)

    def run(self, name: str, servers: int, spawn_s: float = 0.0, **options: Any) -> dict[str, Any]:
        """Seconds from the fencing, requests, and the cost of the process that evacuates.

        :param servers: on all hosts that die together.
        :param spawn_s: what each guest takes to start.
        """
        if not self._fresh:
            self._bed.reset()
        self._fresh = False
        self._boot(servers, spawn_s)
        load, noise = os.getloadavg()[0], loop_ms()
        if name == "muster":
            options["servers"] = servers
        self._bed.requests(clear=True)
        with _started(name, self._bed.url["control"], self._clouds, self._dead, options) as process:
            for host in self._dead:
                self._bed.power_off(host)
            fenced = time.time()
            assert process.stdin and process.stdout
            process.stdin.write(f"{fenced}\n")
            process.stdin.flush()
            left = self._watch(process, fenced)
            said = json.loads(process.stdout.readline())
        return {
            "servers": servers,
            "dead": len(self._dead),
            "spawn_s": spawn_s,
            **self._figures(servers, fenced, said, left),
            "cpu_s": said["cpu_s"],
            "peak_mb": said["peak_mb"],
            "load": round(load, 2),
            "loop_ms": noise,
        }

    def _boot(self, servers: int, spawn_s: float) -> None:
        share, rest = divmod(servers, len(self._dead))
        for number, host in enumerate(self._dead):
            (uuid,) = self._bed.boot(host, count=1)
            self._bed.ctl("clone", uuid=uuid, count=share - 1 + (number < rest), prefix=f"vm{number}")
        for host in self._bed.hosts[len(self._dead) :]:
            self._bed.hypervisor(host, spawn_delay=spawn_s)

    def _watch(self, process: subprocess.Popen[str], fenced: float) -> list[tuple[float, int]]:
        """Servers that do not yet run elsewhere, over the seconds since the fencing, until it has ended and no more come.

        Asked of the database: no request, whoever is measured.
        """
        marks = ",".join("?" * len(self._dead))
        query = (
            "select count(*) n from instances where deleted=0 "
            f"and (host in ({marks}) or task_state is not null or vm_state != 'active')"
        )
        seen: list[tuple[float, int]] = []
        moved = ended = 0.0
        while (now := time.time() - fenced) < LONGEST_S:
            (row,) = self._bed.ctl("sql", query=query, args=self._dead)
            moved = moved if seen and row["n"] == seen[-1][1] else now
            ended = ended or (now if process.poll() is not None else 0.0)
            seen.append((now, int(row["n"])))
            if ended and (row["n"] == 0 or now - max(moved, ended) > STILL_S):
                return seen
            time.sleep(WATCH_S)
        raise RuntimeError(f"not within {LONGEST_S} s: {seen[-1][1]} servers are left")

    def _figures(
        self, servers: int, fenced: float, said: Mapping[str, Any], left: Sequence[tuple[float, int]]
    ) -> dict[str, Any]:
        log = self._bed.requests()
        calls = [row for row in log if row["service"] == "compute" and '"evacuate"' in row.get("body", "")]
        own = [row for row in log if row["service"] == "identity" and not _is_novas(row)]
        done, lost = said["said"] - fenced, left[-1][1]
        return {
            "first_s": round(min(row["time"] for row in calls) - fenced, 2),
            "last_call_s": round(max(row["time"] for row in calls) - fenced, 2),
            "running_s": round(next(at for at, n in left if n == lost), 2),
            "lost": lost,
            "proved_s": _since(said["proved"], fenced),
            "done_s": round(done, 2),
            "left_when_done": next((n for at, n in left if at >= done), 0),
            "nova": sum(row["service"] == "compute" and row["time"] >= fenced for row in log),
            "keystone": len(own),
            "violations": len(self._bed.violations()),
            "arrivals": _thinned(servers, left),
        }


def _is_novas(row: Mapping[str, Any]) -> bool:
    """Nova asks Keystone, too: whom a token belongs to."""
    return bool(row["method"] == "GET" and row["path"].endswith("/auth/tokens"))


def _since(at: Optional[float], fenced: float) -> Optional[float]:
    return None if at is None else round(at - fenced, 2)


def _thinned(servers: int, left: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Servers that run elsewhere over time, in a few points, up to the last arrival."""
    until = next(number for number, (_, n) in enumerate(left) if n == left[-1][1])
    step = max(1, until // POINTS)
    kept = [*left[:until:step], left[until]]
    return [(round(at, 1), servers - n) for at, n in kept]


@contextmanager
def _started(
    name: str, control: str, clouds: Path, dead: Sequence[str], options: Mapping[str, Any]
) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "bench.subject", name, control, str(clouds), ",".join(dead), json.dumps(options)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} did not start")
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
