# SPDX-License-Identifier: Apache-2.0
"""Measures what a pass of the worker and a plan cost with more and more servers: ``.venv/bin/python -m bench.scale``.

It runs the real engine with a Nova in memory, in virtual time, for a few minutes, and writes bench/scale.json.
``./generate`` then writes docs/performance-scale.md.

Times are CPU time of this process, without the time that the Nova in memory needs.  Other programs on the machine do not
change them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from bench.cpu_meter import Meter, Ports
from bench.crowd import Crowd
from bench.figures import SCALE
from muster.cli.plan import data as plan_data
from muster.cli.plan import without_collector
from muster.engine import worker as engine
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.gateways.clock import Clock
from muster.gateways.nova.scheduling import PlacementOffers
from muster.log import line
from muster.planning.hosts import hosts as known_hosts
from muster.planning.plan import Survey, plans
from muster.planning.survey import take_survey
from muster.reporting.outlets import Outlets
from muster.reporting.outlets.reports import Reports
from muster.reporting.outlets.status import Status
from muster.settings import Settings
from tests.capacity.big import BigCloud
from tests.fakes import FakeClock, FakeCluster, settings

IN_FLIGHT = 200
ONE_HOST = (500, 1000, 2000, 4000)
MANY_HOSTS = (1250, 2500, 5000, 10_000)
HOSTS = 100
PLANNED = (12_500, 25_000, 50_000, 100_000)
A_HOST = 100
"""Servers of each host in a plan of all."""


class Lines:
    """A log that puts its lines together and drops them."""

    def info(self, event: str, **fields: object) -> None:
        line(event, fields)

    warning = error = exception = info


def incident(hosts: int, servers: int) -> dict[str, Any]:
    """All of these hosts die together; the passes until the last server is proved and every host may return."""
    meter, memory, crowd = Meter(), Memory(), Crowd(FakeClock(), hosts, servers)
    began_with = resident_kb()
    with tempfile.TemporaryDirectory() as place, timed_decide(meter):
        cluster = FakeCluster.of(*crowd.dead, *crowd.alive)
        one_pass = meter.of("pass", measured_worker(crowd, cluster, memory, meter, Path(place)).one_pass)
        one_pass()
        for host in crowd.dead:
            cluster.fence(host, crowd.clock.now())
        passes: list[dict[str, float]] = []
        afterwards = [0.0]
        while any(cluster.nodes[host].hold for host in crowd.dead):
            meter.spent.clear()
            open_before = sum(len(host.proofs) for host in memory.hosts.values()) < servers
            rest = one_pass()
            if open_before:
                passes.append(dict(meter.spent))
            else:
                afterwards.append(meter.spent["pass"])
            crowd.clock.pass_by(rest)
            crowd.catch_up()
    assert crowd.requests["evacuate"] == servers, crowd.requests
    return {
        "hosts": hosts,
        "servers": servers,
        **spent_in(passes),
        "settling_ms": round(max(afterwards) * 1000, 1),
        "memory_mb": round((peak_kb() - began_with) / 1024),
        **asked_by(crowd.requests, hosts, servers, len(passes)),
    }


def measured_worker(crowd: Crowd, cluster: FakeCluster, memory: Memory, meter: Meter, place: Path) -> engine.Worker:
    """The real engine and outlets; the time in the ports is not counted."""
    clock, log = crowd.clock, Lines()
    policy = settings(in_flight=IN_FLIGHT, per_destination=0, max_failed_hosts="100%")
    outlet = Outlets(Status(place / "status", clock, log), [Reports(clock, log, place)], log)  # type: ignore[arg-type]
    look = Look(Ports(cluster, meter), Ports(crowd, meter), clock, policy, memory)  # type: ignore[arg-type]
    act = Act(Ports(cluster, meter), Ports(crowd, meter), clock, memory, log, lambda: True, outlet.announce)  # type: ignore[arg-type]
    look.sight = meter.of("look", look.sight)  # type: ignore[method-assign]
    act.carry_out = meter.of("act", act.carry_out)  # type: ignore[method-assign]
    return engine.Worker(look, act, Ports(cluster, meter), clock, policy, memory, log, outlet, lambda s: True)  # type: ignore[arg-type]


def spent_in(passes: list[dict[str, float]]) -> dict[str, Any]:
    times = [spent["pass"] * 1000 for spent in passes]
    whole = sum(times) / 1000
    parts = {part: sum(spent[part] for spent in passes) for part in ("look", "decide", "act")}
    return {
        "passes": len(passes),
        "ms": three(times),
        "share": {part: round(100 * spent / whole, 1) for part, spent in parts.items()},
        "cpu_s": round(whole, 2),
    }


def asked_by(requests: Counter[str], hosts: int, servers: int, passes: int) -> dict[str, Any]:
    asked = sum(requests.values())
    return {
        "requests": dict(sorted(requests.items())),
        "requests_a_server": round(asked / servers, 3),
        "reads_a_pass": round((asked - servers - hosts) / passes, 2),
    }


def plan_all(hosts: int, servers: int) -> dict[str, Any]:
    """``muster plan --all -o json``: from Nova's replies to the text, as often as three times."""
    meter = Meter()
    policy = settings()
    nova = BigCloud(hosts, servers, meter)
    cluster = FakeCluster.of(*nova.hosts).look()
    began_with = resident_kb()
    times = []
    with without_collector():
        for _ in range(3):
            meter.spent.clear()
            nova.login.requests = 0
            survey = meter.of("look", take_survey)(nova, PlacementOffers(nova.login), Clock(), cluster, policy, {})
            text = meter.of("decide", plan_text)(survey, policy)
            times.append(dict(meter.spent))
            assert f'"servers": {servers // hosts}' in text
    whole = sum(sum(spent.values()) for spent in times)
    return {
        "hosts": hosts,
        "servers": servers,
        "ms": three([1000 * sum(spent.values()) for spent in times]),
        "share": {part: round(100 * sum(spent[part] for spent in times) / whole, 1) for part in ("look", "decide")},
        "memory_mb": round((peak_kb() - began_with) / 1024),
        "requests": survey.requests,
    }


def plan_text(survey: Survey, policy: Settings) -> str:
    known = known_hosts(survey.cluster, survey.services, policy.host_map, survey.doubts)
    return json.dumps(plan_data(plans(known, survey, policy), survey, details=False))


@contextlib.contextmanager
def timed_decide(meter: Meter) -> Iterator[None]:
    decide = engine.decide
    engine.decide = meter.of("decide", decide)  # type: ignore[assignment]
    try:
        yield
    finally:
        engine.decide = decide


def three(times: list[float]) -> list[float]:
    """min, median, max."""
    return [round(min(times), 2), round(statistics.median(times), 2), round(max(times), 2)]


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_a_process_of_its_own(kind: str, hosts: int, servers: int) -> dict[str, Any]:
    """Its peak is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", "--one", kind, str(hosts), str(servers)],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def exponent(rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> float:
    """Of the growth with the number of servers, by least squares: 1.0 is linear."""
    points = [(math.log(row["servers"]), math.log(max(value(row), 1e-6))) for row in rows]
    return round(statistics.linear_regression(*zip(*points)).slope, 2)


KINDS: dict[str, Callable[[int, int], dict[str, Any]]] = {"incident": incident, "plan": plan_all}


def figures() -> dict[str, Any]:
    """All of them, each with the exponent of its growth."""
    series = {
        "one host": [("incident", 1, servers) for servers in ONE_HOST],
        "hosts together": [("incident", HOSTS, servers) for servers in MANY_HOSTS],
        "plan": [("plan", servers // A_HOST, servers) for servers in PLANNED],
    }
    found: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)},
        "in_flight": IN_FLIGHT,
    }
    for name, runs in series.items():
        rows = [in_a_process_of_its_own(*run) for run in runs]
        grows = {"median": exponent(rows, lambda row: row["ms"][1]), "max": exponent(rows, lambda row: row["ms"][2])}
        found[name] = {"rows": rows, "exponent": grows}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--one",
        nargs=3,
        metavar=("KIND", "HOSTS", "SERVERS"),
        help="measure only this one, print it, and write nothing; KIND is incident or plan",
    )
    given = parser.parse_args()
    if given.one:
        kind, hosts, servers = given.one
        print(json.dumps(KINDS[kind](int(hosts), int(servers))))
        return 0
    SCALE.write_text(json.dumps(figures(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
