# SPDX-License-Identifier: Apache-2.0
"""Calls whose reply was lost, or whose worker died, and that Nova carries out later."""

from __future__ import annotations

import pytest

from muster.core.errors import NovaUncertain
from muster.core.sight import Outcome
from tests.sim import scenarios
from tests.sim.stage import Stage


def test_waits_for_the_late_retry_of_a_worker_that_died() -> None:
    """A first evacuation had failed, the second call was on the wire when its worker died: the next worker saw only the
    failed one and sent again; Nova took both."""
    it = Stage()
    it.cloud.odds.refuse = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["failed"])
    it.cloud.odds.refuse = 0.0
    it.takeover()
    it.cloud.odds.slow = 1.0
    it.after(4.0, lambda: it.cloud.evacuate("s0", None))
    it.until(it.says("s0", "evacuated"))
    assert it.rows("s0") == ["failed", "done"]
    it.fair()


def test_looks_once_more_before_it_sends_again_what_may_have_come_late() -> None:
    """While others are sent Nova is asked every 10 s: what was read before a lost call had to show said nothing of it,
    and when that time was over it was sent again; Nova took both."""
    it = Stage(servers=250, in_flight=200)
    it.fence("cmp1")
    it.until(lambda: it.cloud.rows)
    it.faults.writes, it.faults.kinds_of_writes = 1.0, ("lost-before",)
    it.until(lambda: it.faults.injected["write lost-before"] == 1)
    it.faults.writes = 0.0
    it.run_for(1.0)
    assert it.current is not None
    calls = it.current.memory.hosts["cmp1"].sent.evacuates
    (late,) = [server for server, call in calls.items() if call.outcome is Outcome.UNCERTAIN]
    it.after(calls[late].quiet_until - 0.1 - it.now, lambda: it.cloud.evacuate(late, None))
    it.until(it.settled("cmp1"))
    assert it.rows(late) == ["done"]
    it.fair()


def test_ends_no_incident_of_a_host_that_is_off_because_a_lift_was_carried_out_late() -> None:
    """D3: fenced again by then, it was neither forced down nor disabled any more, and by its last heartbeat still up."""
    it = Stage(servers=0)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.cloud.force_up("service-cmp1", True, True)
    it.run_for(30.0)
    assert it.state() == "returning"
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    it.fair()


@pytest.mark.parametrize("seen_after_s", [4.0, 60.0])
def test_does_not_take_its_own_late_force_down_for_a_heartbeat(seen_after_s: float) -> None:
    """B15: the reply was lost, the call was repeated, and the first one carried out after it."""
    it = Stage(attempts=20, seed=1)
    it.cloud.odds.refuse = 1.0
    it.faults.writes, it.faults.kinds_of_writes = 1.0, ("late",)
    it.fence("cmp1")
    it.until(lambda: it.faults.injected["write late"] == 1)
    it.faults.calm()
    it.run_for(seen_after_s)
    it.nova_down = seen_after_s < 60.0
    it.run_for(60.0)
    it.nova_down = False
    it.cloud.odds.refuse = 0.0
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_leaves_no_force_down_behind_that_was_carried_out_late() -> None:
    """An incident without servers was over within seconds; then the unanswered force-down arrived."""
    for seed in range(6):
        it = Stage(servers=0, seed=seed)
        it.faults.writes, it.faults.kinds_of_writes = 1.0, ("late",)
        it.fence("cmp1")
        it.until(lambda it=it: it.faults.injected["write late"] == 1)
        it.faults.calm()
        it.power_on("cmp1")
        it.until(it.over("cmp1"))
        it.run_for(30.0)
        assert not it.cloud.computes["cmp1"].forced_down
        it.fair()


def test_still_expects_a_late_force_down_when_a_later_one_failed_at_once() -> None:
    """B15: the second fault said nothing of the first call, yet ended the wait for it; it was taken for a heartbeat."""
    it = Stage(attempts=20, seed=1)
    it.cloud.odds.refuse = 1.0
    it.faults.writes, it.faults.kinds_of_writes = 1.0, ("late",)
    it.fence("cmp1")
    it.until(lambda: it.faults.injected["write late"] == 1)
    it.faults.kinds_of_writes = ("failed",)
    it.until(lambda: it.faults.injected["write failed"] == 1)
    it.faults.calm()
    it.run_for(60.0)
    assert it.state() == "evacuating"
    it.cloud.odds.refuse = 0.0
    it.until(it.says("s0", "evacuated"))
    it.fair()


@pytest.mark.parametrize("new_worker", [False, True])
@pytest.mark.parametrize("delay_s", [0, 30])
def test_takes_no_lift_for_a_heartbeat_that_comes_after_a_further_fencing(new_worker: bool, delay_s: int) -> None:
    """C3, D3: before the claim or after it: its incident had begun with an empty memory and said HOST LIVES, for good."""
    it = Stage(servers=1, delay_s=delay_s)
    it.fence("cmp1")
    it.until(it.settled())
    lift, sent = it.cloud.force_up, []

    def late(*args: object) -> str:
        sent.append(args)
        raise NovaUncertain("no reply")

    it.cloud.force_up = late  # type: ignore[assignment, method-assign]
    it.power_on("cmp1")
    it.until(lambda: sent)
    it.cloud.force_up = lift  # type: ignore[method-assign]
    it.cloud.add_server("s1", "cmp1")
    it.no_room(True)
    it.fence("cmp1")
    it.after(15.0, lambda: it.cloud.force_up("service-cmp1", True, True))
    if new_worker:
        it.takeover()
    it.run_for(40.0)
    it.no_room(False)
    it.until(it.settled())
    it.fair()


def test_waits_for_its_turn_in_a_conductor_that_has_hundreds_of_calls() -> None:
    """B40: lists are half a minute old while so many are sent; a call that was over by the time its log was read had
    been listed as accepted, and was sent again to a server that ran elsewhere."""
    it = Stage(servers=120, hosts=6, in_flight=40)
    it.verbose = False
    schedule = it.cloud.rebuild.schedule
    it.cloud.rebuild.schedule = lambda *call: it.timeline.after(38.0, lambda: schedule(*call))  # type: ignore[method-assign]
    it.on_call = lambda process, kind, moment: (kind, moment) == ("evacuate", "after") and it.timeline.pass_by(0.7)
    it.fence("cmp1")
    it.until(it.settled("cmp1"), 900.0)
    assert {len(it.rows(f"s{n}")) for n in range(120)} == {1}
    assert it.asked["evacuate"] == 120
    assert it.asked["trace"] <= 6, "a log says nothing new of what waits for its turn"
    it.fair()


def test_sends_nothing_again_that_was_over_when_its_call_was_read() -> None:
    """B40: the list that called it accepted was older than its log, and a second call found it on a host that is up;
    only Nova's refusal kept that from being carried out."""
    it = scenarios.over_before_its_call_is_read()
    assert it.asked["evacuate"] == 100
    it.fair()
