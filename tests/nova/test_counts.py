# SPDX-License-Identifier: Apache-2.0
"""What Nova is asked for 100 servers, counted where it arrives.

Polls go by the clock, so how many there are depends on the machine; how many there may be in the time it took does not.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from muster.engine.look import SERVICES_EVERY_S
from muster.engine.polling import POLL_MIN_S, POLL_QUICK_S, SENDING_POLL_S
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot

SERVERS = 100
AT_THE_ENDS = 8
"""Reads that belong to the beginning and the end of an incident, and not to a poll: its lists, its service."""


def kind(request: dict[str, Any]) -> str:
    if request["method"] != "GET":
        return str(request["method"])
    return str(request["path"]).split("?")[0].split("/v2.1/")[-1]


@pytest.mark.slow
@pytest.mark.parametrize("in_flight", [100, 10])
def test_asks_one_call_a_server_and_polls_by_the_clock(bed: NovaBed, rig: MakeRig, in_flight: int) -> None:
    (first,) = boot(bed)
    bed.ctl("clone", uuid=first, count=SERVERS - 1)
    it = rig(in_flight=in_flight)
    it.log.echo = None
    it.step()
    bed.requests(clear=True)
    it.fence("cmp1")
    seconds = {SENDING_POLL_S: 0.0, POLL_QUICK_S: 0.0, POLL_MIN_S: 0.0}
    costly = 0
    settled = it.settled("cmp1")
    while not settled():
        began, before = time.monotonic(), reads(bed)
        pace = (
            SENDING_POLL_S if it.memory.polling.sending else POLL_QUICK_S if it.memory.polling.waiting else POLL_MIN_S
        )
        it.step()
        costly = max(costly, sum((reads(bed) - before).values()))
        assert costly <= 5, "services, evacuations, servers of the host, what has left it; and once the versions"
        seconds[pace] += time.monotonic() - began
        assert sum(seconds.values()) < 600, it.describe()
    asked: Counter[str] = Counter(kind(request) for request in bed.requests(service="compute"))
    polls = AT_THE_ENDS + sum(spent / pace for pace, spent in seconds.items())
    print(
        f"in_flight {in_flight}: {dict(asked)}, {seconds}, at most {costly} reads in a pass, {polls:.0f} polls allowed"
    )
    assert asked["POST"] == SERVERS
    assert asked["PUT"] == 1
    assert asked["os-migrations"] <= polls
    assert asked["servers/detail"] <= polls + 2
    assert asked["os-services"] <= AT_THE_ENDS + sum(seconds.values()) / SERVICES_EVERY_S
    assert asked.pop("/v2.1", 0) <= 1, "which versions there are"
    assert set(asked) == {"POST", "PUT", "os-migrations", "servers/detail", "os-services"}


def reads(bed: NovaBed) -> Counter[str]:
    return Counter(kind(request) for request in bed.requests(service="compute") if request["method"] == "GET")
