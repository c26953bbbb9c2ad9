# SPDX-License-Identifier: Apache-2.0
"""The process that is measured: logs in, says ``ready``, waits for a line with the time of the fencing, evacuates.

    python -m bench.subject NAME CONTROL-URL CLOUDS-FILE DEAD-HOSTS OPTIONS

Ends with one line of JSON: when it had its proofs (Unix seconds; null for what never asks), when it called it done, its
CPU seconds in between, and its peak memory in MB.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from bench import rivals
from tests.bed.nova.client import NovaBed

LONGEST_S = 1800.0


def peak_mb() -> float:
    """Of this program; what the process had been before it became this one does not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def fenced_at() -> float:
    print("ready", flush=True)
    return float(sys.stdin.readline())


def run_muster(bed: NovaBed, clouds: Path, hosts: list[str], **parameters: object) -> Callable[[], Optional[float]]:
    """The worker's loop on real Nova; only Pacemaker is a stand-in."""
    from tests.rig import Rig  # a rival must not pay for what it imports

    total = int(str(parameters.pop("servers")))
    rig = Rig(bed, clouds, **parameters)
    rig.log.echo = None
    rig.step()
    rig.look.warm_up()

    def fence(at: float) -> None:
        for host in hosts:
            rig.cluster.fence(host, at)

    def evacuate() -> Optional[float]:
        # The record comes while the worker rests, as it does in a cluster.
        threading.Thread(target=lambda: fence(fenced_at()), daemon=True).start()
        rig.run_until(lambda: sum(len(h.proofs) for h in rig.memory.hosts.values()) == total, LONGEST_S, "all proved")
        proved = time.time()
        rig.run_until(lambda: all(rig.settled(host)() for host in hosts), 120, "settled")
        return proved

    return evacuate


def run_rival(name: str, bed: NovaBed, clouds: Path, hosts: list[str], **options: Any) -> Callable[[], Optional[float]]:
    api = rivals.Api(json.loads(clouds.read_text())["clouds"]["bed"], bed.url["compute"])
    if name == "window":
        marks = ",".join("?" * len(hosts))
        query = f"select uuid from instances where deleted=0 and task_state is null and host not in ({marks})"
        options["arrived"] = lambda: {row["uuid"] for row in bed.ctl("sql", query=query, args=hosts)}

    def evacuate() -> Optional[float]:
        fenced_at()
        getattr(rivals, name)(api, hosts, **options)
        return time.time() if name == "smart" else None

    return evacuate


def main(name: str, control: str, clouds: str, hosts: str, options: str) -> None:
    bed, dead, given = NovaBed.attach(control), hosts.split(","), json.loads(options)
    if name == "muster":
        evacuate = run_muster(bed, Path(clouds), dead, **given)
    else:
        evacuate = run_rival(name, bed, Path(clouds), dead, **given)
    before = time.process_time()
    proved = evacuate()
    result = {
        "proved": proved,
        "said": time.time(),
        "cpu_s": round(time.process_time() - before, 2),
        "peak_mb": round(peak_mb()),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
