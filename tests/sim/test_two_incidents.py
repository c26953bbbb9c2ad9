# SPDX-License-Identifier: Apache-2.0
"""One server in two incidents, or one host: destinations that die, and hosts that die again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.core.errors import NovaUnavailable
from tests.sim import scenarios
from tests.sim.stage import Stage


def test_evacuates_a_server_again_when_its_new_host_dies_too() -> None:
    """One server in two incidents: what its owner wants was noted in one of them only, and asked for ever in the
    other, whose whole queue stood still behind it."""
    it = Stage(servers=2)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    second = it.server("s0").host
    it.no_room(True)
    it.fence(second)
    it.until(it.says("s0", "parked", second))
    it.takeover()
    it.no_room(False)
    it.until(it.settled(second))
    assert it.server("s0").host not in ("cmp1", second)
    it.fair()


def _dies_under_way(it: Stage) -> str:
    """The server is being rebuilt on a host that dies; its name."""
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.cloud.odds.hang = 0.0
    dest = it.cloud.rows_of["s0"][0].dest
    it.fence(dest)
    return dest


def test_sends_nothing_for_a_host_whose_server_another_incident_may_still_move() -> None:
    """B44: the conductor takes any evacuation of a server that is `accepted` (facts.md N32).  The call from the first
    host may still be carried out once another hand has brought the server elsewhere, and that host has died too."""
    it = scenarios.moved_while_its_call_may_still_begin()
    second = it.server("s0").host
    it.order("cmp1", lambda orders: replace(orders, released=True).skip("s0"))
    it.until(lambda: f"{second}, where the server is now, waits for this one" in it.reason("s0"), 1200.0)
    it.run_for(300.0)
    assert (it.rows("s0"), it.state("cmp1")) == (["done", "accepted"], "evacuating")
    assert f"muster retry s0 --host {second}" in it.reason("s0", second)
    it.order(second, lambda orders: orders.retry("s0", int(it.now)))
    it.until(lambda: len(it.rows("s0")) == 3)
    it.fair()


@pytest.mark.parametrize("how", ["servers_on", "evacuations_from", "service", "doubtful", "record"])
def test_sends_nothing_that_an_incident_may_move_whose_facts_cannot_be_read(how: str) -> None:
    """B44: of the first host nothing can be read; the server says that something has moved it since."""
    it = scenarios.moved_while_its_call_may_still_begin()
    read = getattr(it.cloud, how, None)
    if how == "service":
        it.cloud.garbled.add("service cmp1")
    elif how == "record":
        it.site.set_node("cmp1", record=None, unreadable_record="garbage")
    elif how == "doubtful":
        services = it.cloud.services
        it.cloud.services = lambda: [  # type: ignore[method-assign]
            *services(),
            *(replace(s, id="x", host="CMP1") for s in services() if s.host == "cmp1"),
        ]
    else:

        def fails(host: str, *rest: Any) -> Any:
            if host == "cmp1":
                raise NovaUnavailable(f"{how} cmp1: HTTP 500", status=500)
            return read(host, *rest)  # type: ignore[misc]

        setattr(it.cloud, how, fails)
    if how not in ("doubtful", "record"):
        it.takeover()
    it.run_for(300.0)
    assert it.rows("s0") == ["done", "accepted"]
    it.fair()


def test_sends_nothing_for_a_third_host_while_the_call_from_the_first_may_take_the_row_of_the_second() -> None:
    """B44: it was sent minutes before the second host died, and used to be forgotten after one."""
    it = scenarios.moved_twice_while_its_call_may_still_begin()
    assert it.rows("s0") == ["done"] * 3
    it.fair()


@pytest.mark.parametrize("how", ["refused", "no room"])
def test_sends_again_where_a_call_has_used_the_row_of_an_earlier_incident(how: str) -> None:
    """B44: of two dropped calls rows stay accepted; the server was proved, and nothing read its calls again."""
    it = Stage(hosts=6)
    it.cloud.odds.conductor = 1.0
    it.fence("cmp1")
    it.until(lambda: len(it.rows("s0")) == 2 and all(call.over for call in it.server("s0").calls), 300.0)
    it.cloud.odds.conductor = 0.0
    it.until(it.settled("cmp1"))
    second = it.server("s0").host
    it.cloud.odds.refuse = float(how == "refused")
    it.no_room(how == "no room")
    it.fence(second)
    it.until(lambda: {"failed", "error"} & set(it.rows("s0")), 300.0)
    it.cloud.odds.refuse = 0.0
    it.no_room(False)
    it.until(lambda: it.server("s0").host not in ("cmp1", second), 300.0)
    it.fair()


def test_keeps_a_server_held_when_the_destination_that_died_is_back() -> None:
    """facts.md N14, N28: its first evacuation stays open in Nova for good; once that host had returned, it counted as
    under way, and its incident never ended."""
    it = Stage(servers=2, attempts=1, seed=1)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: sorted(it.rows("s0") + it.rows("s1")) == ["pre-migrating"] * 2)
    lost, hung = it.cloud.rows
    assert lost.dest != hung.dest
    it.cloud.odds.hang, it.cloud.odds.refuse = 0.0, 1.0
    it.fence(lost.dest)
    it.until(it.says(lost.server, "held"))
    it.power_on(lost.dest)
    it.until(it.over(lost.dest))
    it.cloud.odds.refuse = 0.0
    it.cloud.rebuild.release_hung(hung)
    it.until(it.settled("cmp1"))
    it.fair()


@pytest.mark.parametrize("skew", [-4.0, 4.0])
def test_evacuates_again_from_a_destination_that_died_under_a_clock_that_differs(skew: float) -> None:
    """facts.md N28: by Nova's clock the evacuation had begun after its destination was fenced."""
    it = Stage()
    it.cloud.skew = skew
    dest = _dies_under_way(it)
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host not in ("cmp1", dest)
    it.fair()


def test_calls_a_server_evacuated_whose_first_destination_had_died() -> None:
    """facts.md N14: to a new worker the row that stays open for good looked like one under way."""
    it = Stage(hosts=4, servers=2)
    dest = _dies_under_way(it)
    it.until(lambda: "done" in it.rows("s0"))
    it.takeover()
    it.power_on(dest)
    it.until(it.over(dest))
    it.takeover()
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_takes_no_return_for_that_of_a_host_that_died_again_by_another_clock() -> None:
    """D6: by Nova's clock it had finished its rows after its second fencing, and was put back into service while off."""
    it = Stage()
    it.cloud.skew = 4.0
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.until(lambda: it.rows("s0") == ["completed"])
    it.fence("cmp1")
    it.until(lambda: it.state() == "returning" and not it.site.nodes["cmp1"].hold)
    it.run_for(60.0)
    assert it.cloud.computes["cmp1"].forced_down
    assert it.state() == "returning"
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    it.fair()


@pytest.mark.parametrize("at_s", [0.0, 10.0], ids=["before", "after"])
def test_lifts_its_force_down_after_two_incidents_whatever_an_operator_disabled(at_s: float) -> None:
    """D4: fenced again before it was back, under an operator's disable, muster's own force-down passed for his."""
    it = Stage(servers=0)
    it.after(at_s, lambda: it.cloud.disable("cmp1", "disk swap", "operator"))
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.run_for(10.0)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    host = it.cloud.computes["cmp1"]
    assert (host.forced_down, host.enabled, host.disabled_by) == (False, False, "operator")
    it.fair()


def test_claims_nothing_by_a_record_that_a_further_fencing_has_replaced() -> None:
    """C14: what the write does not find as it was read is left alone, and looked at again."""
    it = scenarios.fenced_while_it_looks_at_nova()
    record = it.site.nodes["cmp1"].record
    assert record is not None
    assert record.last > record.first
    assert it.rows("s0") == ["done"]
    it.fair()
