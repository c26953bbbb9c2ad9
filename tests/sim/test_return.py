# SPDX-License-Identifier: Apache-2.0
"""The way back of a host: what it waits for, and what happens on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import pytest

from tests.sim.process import Process
from tests.sim.stage import Stage


def test_waits_for_the_host_itself_when_an_operator_changes_its_service() -> None:
    """D3: the change was taken for the returning nova-compute; the force-down was lifted, and the incident closed."""
    it = Stage(servers=0)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.run_for(5.0)
    it.cloud.disable("cmp1", "disk swap", "operator")
    it.run_for(30.0)
    assert it.cloud.computes["cmp1"].forced_down
    assert it.state() == "returning"
    it.fair()


def test_a_host_that_is_to_return_disabled_stays_so_over_two_incidents() -> None:
    """D13: the second one is muster's to lift, and the disable is the operator's."""
    it = Stage(servers=1, **{"return": "disabled"})
    for _ in range(2):
        it.fence("cmp1")
        it.until(it.settled("cmp1"))
        it.power_on("cmp1")
        it.until(it.over("cmp1"))
        host = it.cloud.computes["cmp1"]
        assert (host.forced_down, host.enabled, host.disabled_reason[:16]) == (False, False, "muster: returned")
    it.fair()


@pytest.mark.parametrize("after_s", [1.0, 3.0, 4.5])
def test_a_full_member_that_came_back_and_is_lost_unfenced_is_not_evacuated_by_a_retry(after_s: float) -> None:
    """D16: its guest runs there again, and nobody has switched it off: two guests."""
    it = Stage(servers=1, hosts=3, attempts=1, seed=4)
    it.site.set_node("cmp1", remote=False)
    it.cloud.odds.refuse = 1.0
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.cloud.odds.refuse = 0.0
    it.run_for(5.0)
    it.power_on("cmp1")
    host = it.cloud.computes["cmp1"]
    it.until(lambda: host.running)
    it.run_for(after_s)
    it.site.leave("cmp1")
    host.end_beating(it.now)
    it.takeover()
    it.run_for(3.0)
    it.order("cmp1", lambda orders: orders.retry("s0", int(it.now)))
    it.run_for(120.0)
    assert it.server("s0").guests == {"cmp1"}
    assert it.judge.violations == []


def test_keeps_nova_compute_away_again_when_an_operator_evacuates_after_the_release() -> None:
    """facts.md N16: by hand is what we advise for what is held; its host must not come back in the middle of it."""
    it = Stage(servers=0)
    it.cloud.add_server("s0", "cmp1", mark="false")
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.cloud.odds.hang = 1.0
    it.cloud.evacuate("s0", None, by="operator")
    it.until(lambda: it.site.nodes["cmp1"].hold)
    it.power_on("cmp1")
    it.run_for(30.0)
    assert it.rows("s0") == ["pre-migrating"]
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.over("cmp1"))
    assert it.rows("s0") == ["completed"]
    it.fair()


def test_sends_nothing_again_that_a_nova_compute_past_the_hold_has_called_completed() -> None:
    """facts.md N12: the guest was up on the other host, the server not yet, and its row said completed: two guests."""
    it = Stage()
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.cloud.odds.hang = 0.0
    it.power_on("cmp1")
    it.by_hand = "cmp1"
    it.lived_by_hand.add("cmp1")
    it.cloud.rebuild.start_compute("cmp1", resumes=False)
    it.cloud.rebuild.stop_compute("cmp1")
    server = it.server("s0")
    server.task, server.vm_state = "", "active"
    server.guests.add(it.cloud.rows[0].dest)
    it.cloud.touch(server)
    it.run_for(50.0)
    assert it.verdict("s0") == "unknown"
    it.until(it.says("s0", "held"))
    assert it.rows("s0") == ["completed"]
    it.fair()


def test_proves_what_has_arrived_to_a_worker_that_begins_during_the_return() -> None:
    """It said that it was reading what the owner wants, and never did: nothing was asked for on the way back."""
    it = Stage()
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.takeover()
    it.run_for(20.0)
    assert it.state() == "returning"
    assert it.verdict("s0") == "evacuated"
    it.fair()


@pytest.mark.parametrize("deleted", [("s1",), ("s0", "s1")])
def test_a_host_returns_although_evacuated_servers_were_deleted_meanwhile(deleted: tuple[str, ...]) -> None:
    """D7: their evacuations leave the list with them, and nobody will ever complete them."""
    it = Stage(servers=2)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    for server in deleted:
        it.cloud.delete(server)
    it.run_for(30.0)
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    assert not it.cloud.computes["cmp1"].forced_down
    it.fair()


@pytest.mark.parametrize("off_s", [0.0, 120.0])
def test_is_scheduled_to_as_soon_as_it_is_back_in_service(off_s: float) -> None:
    """D15: it was enabled before its first heartbeat, so Placement was not told, and nothing was sent there for a minute."""
    it = Stage(servers=2)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.run_for(off_s)
    it.power_on("cmp1")
    host = it.cloud.computes["cmp1"]
    it.until(lambda: host.enabled and not host.forced_down)
    assert host.up(it.now) and host.barred_until <= it.now
    it.until(it.over("cmp1"))
    assert it.asked["force_up"] == 1
    it.fair()


def have_s0_started(it: Stage, then: Callable[[], object] = lambda: None) -> None:
    """Its owner asks for that right before its first evacuation is sent; ``then`` is done after each one."""

    def ask(process: Process, kind: str, moment: str) -> None:
        if (kind, moment) == ("evacuate", "before") and not it.cloud.rows:
            it.owner_starts("s0")
            it.server("s0").asked_at = it.now
        if (kind, moment) == ("evacuate", "after"):
            then()

    it.on_call = ask


@pytest.mark.parametrize("fails", [0.0, 1.0])
def test_starts_no_second_guest_whose_waiting_order_cannot_be_read(fails: float) -> None:
    """D10: asked for right before its evacuation was sent, and Nova did not show its action log: its host returned, and
    nova-compute there started the guest."""
    it = Stage(servers=0, hosts=2, attempts=1)
    it.cloud.add_server("s0", "cmp1", "stopped")
    it.cloud.withheld.add("s0")
    it.cloud.odds.fail_late = fails
    have_s0_started(it)
    it.fence("cmp1")
    it.until(lambda: it.state() == "blocked", 900.0)
    assert it.current is not None
    assert it.current.incidents["cmp1"].rule == "queue-unknown"
    it.power_on("cmp1")
    it.until(it.over("cmp1"), 600.0)
    assert it.faults.injected["operator empties a queue"] == 1
    assert "cmp1" not in it.server("s0").guests
    it.fair()


@pytest.mark.parametrize("rule", ["start-waits", "queue-unknown"])
def test_names_the_start_that_waits_although_its_host_was_released_before_that(rule: str) -> None:
    """D10: who released it could not know of the start, and two guests ran."""
    it = Stage(servers=0, hosts=2, attempts=1)
    it.cloud.add_server("s0", "cmp1", "stopped")
    if rule == "queue-unknown":
        it.cloud.withheld.add("s0")
    have_s0_started(it, then=lambda: it.order("cmp1", lambda orders: replace(orders, released=True)))
    it.fence("cmp1")
    it.until(lambda: it.state() == "blocked", 900.0)
    assert it.current is not None
    assert it.current.incidents["cmp1"].rule == rule
    it.power_on("cmp1")
    it.until(it.over("cmp1"), 600.0)
    assert it.faults.injected["operator empties a queue"] == 1
    assert "cmp1" not in it.server("s0").guests
    it.fair()


def test_a_queue_that_was_emptied_fills_again_before_a_server_is_evacuated_by_hand() -> None:
    """D10: its start was given after the operator's word about the queue, and it left its host after that: two guests."""
    it = Stage(servers=0, hosts=2, attempts=1)
    it.cloud.add_server("s0", "cmp1", "stopped")
    it.cloud.add_server("s1", "cmp1", "stopped", mark="false")
    have_s0_started(it)
    it.fence("cmp1")
    it.until(it.settled("cmp1"), 600.0)
    assert it.faults.injected["operator empties a queue"] == 1
    it.owner_starts("s1")
    it.run_for(2.0)
    it.cloud.evacuate("s1", None, by="operator")
    it.until(lambda: it.site.nodes["cmp1"].hold)
    it.power_on("cmp1")
    it.takeover()
    it.until(lambda: it.state() == "blocked", 600.0)
    it.until(it.over("cmp1"), 600.0)
    assert it.faults.injected["operator empties a queue"] == 2
    assert not {"cmp1"} & (it.server("s0").guests | it.server("s1").guests)
    it.fair()


@pytest.mark.parametrize("then", ["started", "moved on"])
def test_forgets_no_waiting_order_of_a_server_that_its_owner_started_or_another_death_moved(then: str) -> None:
    """D10: once it was active, or on a third host, nobody asked any more what waited for the first one."""
    it = Stage(servers=0, attempts=1)
    it.cloud.add_server("s0", "cmp1", "stopped")
    it.cloud.withheld.add("s0")
    have_s0_started(it)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["done"])
    dest = it.server("s0").host
    if then == "started":
        it.owner_starts("s0")
    else:
        it.fence(dest)
        it.until(lambda: it.server("s0").host not in ("cmp1", dest))
    it.until(lambda: it.state() == "blocked", 900.0)
    it.power_on("cmp1")
    it.until(it.over("cmp1"), 600.0)
    assert "cmp1" not in it.server("s0").guests
    it.fair()


def begun_late() -> Stage:
    """The evacuation of s0 has begun on cmp2 and hangs; its host is back, an operator had released it."""
    it = Stage(hosts=2, stuck_after_s=60)
    it.cloud.rebuild.on_cast = lambda dest: it.fence(dest.name)
    it.fence("cmp1")
    it.until(lambda: it.site.nodes["cmp2"].record)
    it.cloud.rebuild.on_cast = lambda dest: None
    it.order("cmp1", lambda orders: replace(orders, released=True))
    it.until(it.settled("cmp1"))
    it.until(it.settled("cmp2"))
    it.cloud.odds.hang = 1.0
    it.cloud.stop_conductor()  # no heartbeat is written before the evacuation is seen
    it.power_on("cmp1")
    it.until(lambda: it.cloud.computes["cmp1"].running)
    it.power_on("cmp2")
    it.cloud.rebuild.start_compute("cmp2")
    it.until(it.says("s0", "evacuating"))
    it.cloud.start_conductor()
    it.run_for(20.0)
    assert it.rows("s0") == ["pre-migrating"]
    return it


def test_lifts_nothing_while_an_evacuation_that_was_given_up_begins_all_the_same() -> None:
    """D11: an operator had released the host, and what waited for a dead destination began as both came back; its
    source was in service again, and no start of nova-compute was left that would have cleaned up there."""
    it = begun_late()
    source = it.cloud.computes["cmp1"]
    it.run_for(40.0)
    assert it.rows("s0") == ["pre-migrating"]
    assert (it.state(), it.verdict("s0"), source.running, source.forced_down) == ("returning", "evacuating", True, True)
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.over("cmp1"))
    assert it.rows("s0") == ["completed"]
    assert (source.forced_down, source.enabled) == (False, True)
    it.fair()


@pytest.mark.parametrize("who", ["the same worker", "a new worker"])
def test_sends_nothing_again_that_was_under_way_when_its_host_was_fenced_once_more(who: str) -> None:
    """D11: the incident began anew, and the evacuation was older than that: it was sent again, and Nova took both."""
    it = begun_late()
    it.fence("cmp1")
    if who == "a new worker":
        it.takeover()
    it.run_for(90.0)
    assert (it.state(), it.rows("s0")) == ("evacuating", ["pre-migrating"])
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.says("s0", "evacuated"))
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    assert it.rows("s0") == ["completed"]
    it.fair()


def test_sends_nothing_again_that_is_under_way_since_an_incident_that_was_closed() -> None:
    """D11: two minutes after the return a person is told, and the host is in service again."""
    it = begun_late()
    it.until(it.over("cmp1"))
    it.run_for(10.0)
    it.fence("cmp1")
    it.run_for(200.0)
    assert it.rows("s0") == ["pre-migrating"]
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.says("s0", "evacuated"))
