# SPDX-License-Identifier: Apache-2.0
"""What the agents cost, and how soon they begin."""

from __future__ import annotations

import statistics

import pytest

from tests.bed import meter
from tests.bed.cloud import Cloud

pytestmark = pytest.mark.measured
MONITOR_RATIO, MONITOR_KB = 6.0, 20_000
IDLE_CPU, IDLE_KB, IDLE_LOOKS = 0.01, 70_000, 15.0
ATTRIBUTES = 10
OFF_RATIO = 20.0
FIRST_EVACUATE_S = 2.0
"""Times are told in milliseconds and bounded by what something simpler takes on the same machine in the same minute."""


def test_the_monitor_is_cheap(cloud: Cloud) -> None:
    costs, bare = [], []
    for _ in range(11):
        bare.append(meter.cost(cloud, "/usr/bin/python3", "-I", "-c", "").seconds)
        costs.append(meter.monitor(cloud))
    seconds, kb = statistics.median(cost.seconds for cost in costs), max(cost.kb for cost in costs)
    ratio = seconds / statistics.median(bare)
    print(f"monitor: median {seconds * 1000:.0f} ms, {ratio:.1f} times a Python that does nothing; {kb} kB")
    assert ratio < MONITOR_RATIO
    assert kb < MONITOR_KB


def test_the_worker_costs_next_to_nothing_while_nothing_happens(cloud: Cloud) -> None:
    idle = meter.idle(cloud)
    print(f"idle worker: {idle.share * 100:.2f} % of a core with its children, {idle.kb} kB")
    assert idle.share < IDLE_CPU
    assert idle.kb < IDLE_KB


def test_the_attributes_of_other_agents_wake_nobody(cloud: Cloud) -> None:
    """E19: from Pacemaker 2.1.7 each change of one rewrites the file that the worker watches."""
    with meter.Attributes(cloud, ATTRIBUTES):
        idle = meter.idle(cloud)
    print(
        f"idle worker beside {ATTRIBUTES} attributes: {idle.share * 100:.2f} % of a core, {idle.looks:.0f} looks a minute"
    )
    assert idle.looks < IDLE_LOOKS
    assert idle.share < IDLE_CPU


def test_off_holds_nobody_up(cloud: Cloud) -> None:
    """Fencing of other nodes may wait for it.  Without power this host's network refuses what a silent one lets wait."""
    cloud.change("pcs property set stonith-action=off")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.record("cmp1"), 60, "its fencing is on record")
    times, queries = [], []
    for _ in range(5):
        queries.append(meter.cost(cloud, "cibadmin", "--query", "--local").seconds)
        times.append(meter.cost(cloud, "fence_muster", "-o", "off", "-n", "cmp1").seconds)
    ratio = statistics.median(times) / statistics.median(queries)
    print(f"fence_muster off: median {statistics.median(times) * 1000:.0f} ms, {ratio:.1f} queries of the CIB")
    assert ratio < OFF_RATIO


def test_the_first_evacuation_follows_the_fencing_at_once(cloud: Cloud) -> None:
    """From the end of the power-off (before the record is written) to the first evacuate that reaches Nova."""
    delays = []
    for host in ("cmp1", "cmp2", "cmp3", "cmp4", "cmp1"):
        cloud.nova.boot(host, count=1)
        delays.append(meter.reaction(cloud, host).since_off)
        cloud.until(lambda host=host: cloud.back_in_service(host), 120, "the host is back in service")
    print(f"fencing to first evacuate: {', '.join(f'{d:.2f}' for d in delays)} s")
    assert statistics.median(delays) < FIRST_EVACUATE_S
