# SPDX-License-Identifier: Apache-2.0
"""On the real cluster, with the worker that Pacemaker starts: what it costs, idle and busy, and how soon it begins."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from bench.stage import loop_ms
from tests.bed import meter
from tests.bed.cloud import Cloud

MONITORS = 15
STARTS = 5
REACTIONS = 6
BACK_S = 180
EVACUATED_S = 900


def measure(bed: str, servers: Sequence[int], short: bool) -> dict[str, Any]:
    """:param bed: name of the cluster bed; no two of one name at once.
    :param servers: one incident with so many each, at the end.
    """
    with Cloud(bed, computes=3) as cloud:
        cloud.install()
        cloud.calm("the cluster is idle")
        found = {
            **_noise(),
            "idle": _idle(cloud, 15 if short else 60),
            "start": {"ms": [_start(cloud) for _ in range(2 if short else STARTS)]},
            "monitor": _monitor(cloud, 5 if short else MONITORS),
            "reactions": [_reaction(cloud, number) for number in range(2 if short else REACTIONS)],
            "incidents": [_incident(cloud, count) for count in servers],
        }
        _check(cloud)
    return found


def _noise() -> dict[str, float]:
    return {"load": round(os.getloadavg()[0], 2), "loop_ms": loop_ms()}


def _idle(cloud: Cloud, seconds: float) -> dict[str, float]:
    found = meter.idle(cloud, seconds)
    return {"percent": round(found.share * 100, 2), "mb": round(found.kb / 1024, 1), "looks": round(found.looks, 1)}


def _start(cloud: Cloud) -> int:
    """Milliseconds of the agent's start as Pacemaker took them; it ends when the worker has looked for the first time."""
    cloud.change("pcs resource restart muster")
    node = cloud.worker_node()
    (operation,) = cloud.cluster.cib(str(node)).iterfind(
        f"status/node_state[@uname='{node}']//lrm_rsc_op[@operation='start'][@rc-code='0'][@id='muster_last_0']"
    )
    return int(operation.get("exec-time", ""))


def _monitor(cloud: Cloud, times: int) -> dict[str, Any]:
    costs = [meter.monitor(cloud) for _ in range(times)]
    return {"ms": [round(c.seconds * 1000, 1) for c in costs], "mb": round(max(c.kb for c in costs) / 1024, 1)}


def _reaction(cloud: Cloud, number: int) -> dict[str, float]:
    """Nova knows nothing of the fencing before: what left a host within the last minute is asked about anew, and no host
    of a real cloud dies twice in that time."""
    host = cloud.hosts[number % len(cloud.hosts)]
    _empty_nova(cloud)
    cloud.nova.boot(host, count=1)
    noise = _noise()
    found = meter.reaction(cloud, host)
    _back(cloud, host)
    return {"since_off_s": round(found.since_off, 3), "since_record_s": round(found.since_record, 3), **noise}


def _incident(cloud: Cloud, count: int) -> dict[str, float]:
    """One host with so many servers dies; the worker begins anew before, for its peak to be of this incident.

    Its parameters are what the pages recommend for a Nova that takes them: all that may be under way at once.
    """
    _empty_nova(cloud)
    cloud.change("pcs resource update muster in_flight=200 per_destination=0")
    cloud.change("pcs resource restart muster")
    (first,) = cloud.nova.boot("cmp1", count=1)
    servers = [first, *cloud.nova.ctl("clone", uuid=first, count=count - 1)]
    pid, noise = cloud.worker_pid(), _noise()
    before = meter.cpu_s(pid)
    cloud.nova.requests(clear=True)
    fenced = _fence(cloud, "cmp1")
    cloud.until(lambda: set(cloud.verdicts("cmp1", servers)) == {"evacuated"}, EVACUATED_S, "all are evacuated")
    took = time.time() - fenced
    requests = [row for row in cloud.nova.requests() if row["service"] == "compute"]
    used, peak = meter.cpu_s(pid) - before, meter.memory_kb(pid, "VmHWM")
    _back(cloud, "cmp1")
    return {
        "servers": count,
        "seconds": round(took, 1),
        "nova": len(requests),
        "cpu_s": round(used, 2),
        "peak_mb": round(peak / 1024, 1),
        **noise,
    }


def _empty_nova(cloud: Cloud) -> None:
    _check(cloud)  # the oracle forgets, too
    cloud.nova.reset()


def _check(cloud: Cloud) -> None:
    if violations := cloud.nova.violations():
        raise RuntimeError(f"the oracle objects: {violations}")


def _fence(cloud: Cloud, host: str) -> float:
    """Unix seconds of the moment at which its power was known to be off."""
    before = len(cloud.cluster.bmc_log())
    cloud.cluster.crash(host)
    cloud.until(lambda: meter.offs(cloud, host, before), 60, "it is fenced")
    return meter.offs(cloud, host, before)[0]


def _back(cloud: Cloud, host: str) -> None:
    cloud.until(lambda: cloud.back_in_service(host), BACK_S, "the host is back in service")
    cloud.calm("the cluster is idle")
