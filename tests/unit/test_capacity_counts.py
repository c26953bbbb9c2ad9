# SPDX-License-Identifier: Apache-2.0
"""What the number costs: requests by what is distinct, not by servers, and seconds of CPU."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from bench.cpu_meter import Meter
from muster.cli.plan import without_collector
from muster.core.cluster_facts import Cluster, Node
from muster.gateways.nova.scheduling import PlacementOffers
from muster.planning.answer import Capacity, capacity
from muster.planning.inquiry import inquire
from tests.capacity.big import BigCloud
from tests.fakes import settings


def number(cloud: BigCloud) -> Capacity:
    nodes = {name: Node(name, remote=True, member=True) for name in cloud.hosts}
    policy = settings()
    asked = inquire(cloud, PlacementOffers(cloud.login), Cluster(True, "ctl1", nodes), {}, policy, time.time())
    assert asked.requests == len(cloud.asked)
    return capacity(asked.fleet, asked.known, asked.terms, policy)


def test_requests_do_not_grow_with_the_servers() -> None:
    few, many = BigCloud(12, 300, Meter()), BigCloud(12, 900, Meter())
    assert number(few).counted == (12, 300)
    assert number(many).counted == (12, 900)
    assert Counter(few.asked) == Counter(many.asked)


@pytest.mark.slow
@pytest.mark.parametrize("load", [0.3, 0.6, 0.9, 1.0])
def test_a_hundred_hosts_with_ten_thousand_servers(load: float) -> None:
    meter = Meter()
    cloud = BigCloud(100, 10_000, meter, load)
    with without_collector():
        found = meter.of("number", number)(cloud)
    seconds, told = meter.spent["number"], found.number
    print(f"load {load}: {told.at_least} to {told.at_most}; {len(cloud.asked)} requests, {seconds:.2f} s")
    assert seconds < 5
    assert len(cloud.asked) <= 60
