# SPDX-License-Identifier: Apache-2.0
"""A host that was said to be off and lives: it is seen, never forgotten, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.inventory import BEAT_S
from tests.sim.stage import Stage


def test_evacuates_a_host_whose_power_was_cut_by_hand_after_its_device_had_lied() -> None:
    """The way out that the blocked message names: the confirmation was written by the worker itself, which then took
    the heartbeats from before it for a sign of life."""
    it = Stage(attempts=20)
    it.fence("cmp1", lies=True)
    it.cloud.odds.refuse = 1.0
    it.until(lambda: it.state() == "blocked")
    it.cloud.odds.refuse = 0.0
    it.run_for(70.0)
    it.until(lambda: 5.0 < it.now - it.cloud.computes["cmp1"].beat(it.now) < 6.0)
    it.liars.clear()
    it.cloud.rebuild.power_cut("cmp1")
    it.fence("cmp1", with_record=False)
    it.run_for(70.0)
    assert it.state() == "blocked"
    it.site.confirm("cmp1")
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_evacuates_nothing_that_only_a_fabric_device_has_fenced_before_an_operators_word() -> None:
    """C20: Pacemaker counts it as fenced, and its guests run on."""
    it = Stage(servers=2)
    it.fence("cmp1", with_record=False, lies=True, unproved="fence_scsi cuts nobody's power")
    it.run_for(200.0)
    assert it.state() == "blocked"
    it.liars.clear()
    it.cloud.rebuild.power_cut("cmp1")
    it.site.confirm_to_pacemaker("cmp1")
    it.until(it.says("s1", "evacuated"))
    it.fair()


@pytest.mark.parametrize("taken_over", [False, True])
def test_a_sign_of_life_outlives_the_late_end_of_the_fencing_that_it_refutes(taken_over: bool) -> None:
    """C3: seen on a real cluster: the power-on part timed out, Pacemaker's time came 122 s after the record, was taken for
    a second fencing, and the host was released: five guests on two hosts.  The hold had stopped its nova-compute."""
    it = Stage(servers=3)
    it.run_for(20.0)
    it.site.ends_late = 1.0
    it.fence("cmp1", lies=True)
    it.until(lambda: it.state() == "blocked")
    it.run_for(5.0)
    it.cloud.rebuild.stop_compute("cmp1")
    if taken_over:
        it.takeover()
    it.run_for(400.0)
    assert it.site.nodes["cmp1"].fenced_at > it.site.nodes["cmp1"].record.first + 60  # type: ignore[union-attr]
    assert it.state() == "blocked"
    incident = it.current.incidents["cmp1"]  # type: ignore[union-attr]
    sent = [i for i in ("s0", "s1", "s2") if it.rows(i)]
    assert all(i in incident.reason for i in sent), incident.reason
    assert "muster confirm cmp1" in incident.reason
    it.fair()


def test_a_host_that_was_let_return_and_has_never_been_off_is_told() -> None:
    """C3: it waited for ever for nova-compute to finish migrations, and nobody was told that the guests run twice."""
    it = Stage()
    it.run_for(20.0)
    it.until(lambda: 0.1 < it.now - it.cloud.computes["cmp1"].beat(it.now) < 1.0)
    it.cloud.computes["cmp1"].end_beating(it.now)  # frozen, not off
    it.fence("cmp1", lies=True)
    it.until(it.settled("cmp1"))
    it.cloud.computes["cmp1"].begin_beating(it.now)
    it.site.rejoin("cmp1")
    it.until(lambda: it.state() == "blocked")
    assert "may run on two hosts" in it.current.incidents["cmp1"].reason  # type: ignore[union-attr]
    it.liars.clear()
    it.run_for(5.0)
    it.fence("cmp1")
    it.run_for(5.0)
    it.power_on("cmp1")
    it.until(it.over())


def _found_alive() -> Stage:
    """The power device of cmp1 lied, its heartbeats have told, and its server was not taken by any destination."""
    it = Stage(attempts=20)
    it.cloud.odds.refuse = 1.0
    it.fence("cmp1", lies=True)
    it.until(lambda: it.state() == "blocked")
    return it


def test_does_not_forget_that_a_host_lives_when_the_worker_changes() -> None:
    """The heartbeats that refuted the fencing were known to the dead worker only: the next one sent a retry at once."""
    it = _found_alive()
    it.run_for(20.0)
    sent = len(it.rows("s0"))
    it.takeover()
    it.run_for(60.0)
    assert it.state() == "blocked"
    assert len(it.rows("s0")) == sent
    it.fair()


def test_does_not_forget_that_a_destination_lives_when_the_worker_changes() -> None:
    """As before, of the host that a server was on its way to: to the next worker it was dead, and what had begun there."""
    it = Stage(hosts=4, attempts=20)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    dest = it.cloud.rows_of["s0"][0].dest
    it.no_room(True)
    it.fence(dest, lies=True)
    it.until(lambda: it.state(dest) == "blocked")
    it.run_for(15.0)
    it.no_room(False)
    it.takeover()
    sent = len(it.rows("s0"))
    it.run_for(60.0)
    assert it.state(dest) == "blocked"
    assert len(it.rows("s0")) == sent
    it.fair()


def test_sees_that_an_empty_host_lives_behind_what_may_be_a_late_force_down() -> None:
    """C3: heartbeats may be a force-down of an earlier worker, for as long as that may be late; after it, it was
    released without one more look."""
    for seed in range(5):
        it = Stage(servers=0, seed=seed)
        it.fence("cmp1", lies=True)
        it.until(lambda it=it: it.cloud.computes["cmp1"].forced_down)
        it.run_for(0.5)
        it.takeover()
        it.run_for(70.0)
        assert it.state() == "blocked", seed
        it.fair()


def test_takes_no_heartbeat_of_before_for_life_when_it_was_fenced_once_more() -> None:
    """C3: it had lived, was fenced, and the first reading of its service was an older one: it lived for ever."""
    it = _found_alive()
    host = it.cloud.computes["cmp1"]
    assert it.current is not None
    read_at = it.current.read_at
    it.until(lambda: it.now - read_at["services"] < 0.5 and it.now - host.beat(it.now) > BEAT_S - 3.0)
    it.run_for(3.0)
    it.fence("cmp1")
    it.faults.draw_read = lambda: "stale"  # type: ignore[method-assign]
    read = it.passes
    it.until(lambda: it.passes > read + 1)
    del it.faults.draw_read
    it.cloud.odds.refuse = 0.0
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_does_not_take_an_operators_change_for_a_heartbeat() -> None:
    """D4: a disable after the fencing moves the time that a heartbeat moves; the host was called alive for ever."""
    for delay_s, at_s in ((15, 8.0), (0, 20.0)):
        it = Stage(delay_s=delay_s, attempts=20)
        it.cloud.odds.refuse = 1.0
        it.fence("cmp1")
        it.run_for(at_s)
        it.cloud.disable("cmp1", "disk swap", "operator")
        it.run_for(60.0)
        it.cloud.odds.refuse = 0.0
        it.until(it.says("s0", "evacuated"))
        it.fair()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_sees_that_a_host_lives_when_nova_was_silent_meanwhile(moment: str) -> None:
    """Its heartbeats were there to be seen, but the look began with the latest one: before or after the force-down."""
    it = Stage()

    def fall_silent(process: object, kind: str, when: str) -> None:
        it.nova_down = it.nova_down or (kind, when) == ("force_down", moment)

    it.on_call = fall_silent
    it.fence("cmp1", lies=True)
    it.run_for(60.0)
    it.on_call = lambda process, kind, when: None
    it.nova_down = False
    it.run_for(60.0)
    assert it.state() == "blocked"
    assert it.rows("s0") == []
    it.fair()


@pytest.mark.parametrize("lies", [True, False])
def test_looks_for_a_heartbeat_before_it_claims_where_an_admins_change_may_hide_it(lies: bool) -> None:
    """Who forces a service down moves the same time as its heartbeat: one look could not tell the two apart."""
    it = Stage()
    it.nova_down = True
    it.fence("cmp1", lies=lies)
    it.run_for(20.0)
    it.cloud.force_down("service-cmp1", None, by="operator")
    it.nova_down = False
    it.until(lambda: it.state() in ("blocked", "settled"))
    it.run_for(60.0)
    assert it.rows("s0") == ([] if lies else ["done"])
    it.fair()


def test_sends_nothing_to_a_host_that_lives_when_nova_was_silent_for_a_takeover() -> None:
    """The time in which a new worker waits had passed before it could see anything."""
    it = _found_alive()
    it.nova_down = True
    it.takeover()
    it.run_for(60.0)
    sent = len(it.rows("s0"))
    it.nova_down = False
    it.run_for(60.0)
    assert it.state() == "blocked"
    assert len(it.rows("s0")) == sent
    it.fair()


def test_slow_answers_do_not_make_a_wait_seem_over() -> None:
    """A new worker waits for heartbeats; an answer took so long that the wait ended before the next one could be read."""
    it = _found_alive()
    it.cloud.stop_conductor()
    it.kill_worker()
    record = it.site.nodes["cmp1"].record
    assert record is not None
    it.site.set_node("cmp1", record=replace(record, lives=False))  # as if it had died before it could note it
    it.until(lambda: it.state() == "evacuating")
    sent = len(it.rows("s0"))
    it.run_for(20.0)

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("evacuations_from", "after"):
            it.on_call = lambda process, kind, when: None
            it.cloud.start_conductor()
            it.run_for(18.0)

    it.on_call = slow
    it.run_for(60.0)
    assert len(it.rows("s0")) == sent
    it.fair()


def test_sends_nothing_again_from_a_destination_that_lives_after_all() -> None:
    """Its fencing had been believed for a moment, and what had begun there was taken for dead ever after."""
    it = Stage(hosts=4, attempts=20)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    dest = it.cloud.rows[0].dest
    it.no_room(True)
    it.nova_down = True
    it.fence(dest, lies=True)
    it.run_for(1.0)
    it.nova_down = False
    it.until(lambda: it.state(dest) == "blocked")
    sent = len(it.rows("s0"))
    it.no_room(False)
    it.run_for(120.0)
    assert len(it.rows("s0")) == sent


def test_sees_that_a_host_lives_which_an_operator_had_forced_down() -> None:
    """Its heartbeats went on while storage leases were waited for, and a force-down was thought to explain them."""
    it = Stage(delay_s=30)
    it.cloud.force_down("service-cmp1", None, by="operator")
    it.run_for(5.0)
    it.fence("cmp1", lies=True)
    it.run_for(90.0)
    assert it.state() == "blocked"
    assert it.rows("s0") == []
    it.fair()
