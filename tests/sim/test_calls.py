# SPDX-License-Identifier: Apache-2.0
"""What became of a call inside Nova: rebuilds that failed after the guest was started, calls that died in the conductor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.core.errors import NovaUncertain
from tests.sim import scenarios
from tests.sim.stage import Stage


def once(it: Stage, odds: str) -> None:
    """It goes wrong the next time, and not again."""
    setattr(it.cloud.odds, odds, 1.0)
    it.until(lambda: any(c.failed for i in it.cloud.instances.values() for c in i.calls))
    setattr(it.cloud.odds, odds, 0.0)


@pytest.mark.parametrize("seed", range(1, 6))
def test_starts_no_second_guest_after_a_rebuild_that_failed_with_its_guest_running(seed: int) -> None:
    """A17: Nova itself looks for the guest where it may run, and refuses."""
    it = Stage(hosts=4, servers=1, seed=seed)
    it.fence("cmp1")
    once(it, "fail_late")
    it.until(it.says("s0", "held"))
    (dest,) = it.server("s0").guests
    assert dest in it.reason("s0") and "virsh destroy s0" in it.reason("s0")
    assert it.rows("s0") == ["failed", "failed"]
    it.fair()


def test_goes_on_where_the_guest_was_removed_by_hand() -> None:
    """A17: the advice helps."""
    it = Stage(hosts=4, servers=1)
    it.fence("cmp1")
    once(it, "fail_late")
    it.until(it.says("s0", "held"))
    (dest,) = it.server("s0").guests
    it.server("s0").guests.clear()
    it.order("cmp1", lambda orders: orders.retry("s0", int(it.now)))
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host == dest
    it.fair()


def test_forgets_where_it_may_run_once_that_host_was_fenced() -> None:
    """A17, B11: the proof that no guest of it is left there."""
    it = Stage(hosts=4, servers=1)
    it.fence("cmp1")
    once(it, "fail_late")
    it.until(it.says("s0", "held"))
    (dest,) = it.server("s0").guests
    it.fence(dest)
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host not in ("cmp1", dest)
    it.fair()


def test_a_later_worker_forgets_it_too_while_that_host_is_off() -> None:
    """A17: it was let return, and as long as it did not the server was tried there alone, without end."""
    it = Stage(hosts=4, servers=1, attempts=5)
    it.fence("cmp1")
    once(it, "fail_late")
    it.no_room(True)
    it.until(lambda: it.rows("s0")[-1] == "error")
    (dest,) = it.server("s0").guests
    it.fence(dest)
    it.kill_worker()
    it.until(it.settled(dest))
    it.takeover()
    it.no_room(False)
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host not in ("cmp1", dest)
    it.fair()


def test_tries_another_host_at_once_where_nothing_was_started() -> None:
    """B9: a refused claim has left no guest, whatever its migration is called."""
    it = Stage(hosts=4, servers=1)
    it.fence("cmp1")
    once(it, "refuse")
    refused = it.cloud.rows_of["s0"][0].dest
    it.cloud.computes[refused].full = True
    it.until(it.says("s0", "evacuated"), 60.0)
    it.fair()


def test_sends_again_what_the_conductor_has_dropped() -> None:
    """B19, D9: its action says that it failed before any host was asked; the row says `accepted` for ever."""
    it = Stage(hosts=4, servers=2)
    it.fence("cmp1")
    once(it, "conductor")
    it.until(lambda: it.verdict("s0") == it.verdict("s1") == "evacuated")
    it.power_on("cmp1")
    it.until(it.over(), 600.0)
    it.fair()


def test_an_evacuation_by_hand_after_a_dropped_call_is_told_as_it_is() -> None:
    """B19: the conductor takes the old row for it, and its own stays `accepted`."""
    it = Stage(hosts=4, servers=1, retry_delay_s=300, attempts=5)
    it.fence("cmp1")
    once(it, "conductor")
    it.until(it.says("s0", "parked"))
    it.cloud.evacuate("s0", None, by="operator")
    it.until(it.says("s0", "evacuated"))
    assert it.rows("s0") == ["done", "accepted"]
    it.power_on("cmp1")
    it.until(it.over(), 600.0)
    it.fair()


@pytest.mark.parametrize("order", ["skip", "release"])
def test_a_call_that_nobody_can_tell_the_end_of_keeps_its_host_away_only_until_an_operator_says_so(order: str) -> None:
    """B19: a conductor that was killed has begun, and does not end it."""
    it = Stage(hosts=4, servers=1, stuck_after_s=60)
    it.cloud.odds.lose = 1.0
    it.fence("cmp1")
    it.until(lambda: "muster skip s0" in it.reason("s0"))
    it.power_on("cmp1")
    it.run_for(60.0)
    assert not it.settled()()
    it.order("cmp1", lambda orders: orders.skip("s0") if order == "skip" else replace(orders, released=True))
    it.until(it.over(), 300.0)
    it.fair()


def test_starts_nova_compute_anew_on_a_host_that_is_back_where_it_has_finished_a_part() -> None:
    """D9: of two evacuations of one server it finishes the newest at a start; Nova lifts nothing before the other is."""
    it = Stage(hosts=4, servers=1)
    it.fence("cmp1")
    once(it, "conductor")
    it.until(it.says("s0", "evacuated"))
    it.power_on("cmp1")
    it.until(lambda: it.current and it.current.incidents["cmp1"].rule == "starts-anew")
    assert it.rows("s0") == ["done", "completed"]
    it.until(it.over(), 120.0)
    assert it.faults.injected["operator starts nova-compute once more"] == 0
    assert it.rows("s0") == ["completed", "completed"]
    assert not it.cloud.computes["cmp1"].forced_down
    it.fair()


def test_knows_in_the_next_incident_where_the_last_one_may_have_left_a_guest() -> None:
    """A17: its rows are of before, and listed no more; its calls are."""
    it = Stage(hosts=4, servers=1, attempts=1)
    it.advised.hear = lambda incidents: None  # type: ignore[method-assign]
    it.fence("cmp1")
    once(it, "fail_late")
    it.until(it.settled())
    (dest,) = it.server("s0").guests
    it.power_on("cmp1")
    it.until(it.over(), 200.0)
    it.run_for(100.0)
    it.fence("cmp1")
    it.until(it.says("s0", "held"))
    assert f"has left its guest on {dest}" in it.reason("s0") or f"it may run on {dest}" in it.reason("s0")
    assert it.server("s0").guests == {dest}
    it.fair()


@pytest.mark.parametrize(("takeover", "waits_s"), [(False, 100.0), (True, 100.0), (True, 2000.0), (False, 2000.0)])
def test_still_knows_it_after_evacuations_for_which_there_was_no_room(takeover: bool, waits_s: float) -> None:
    """A17: the first row of the new incident hid the failure of the last one, and the next try went to any host."""
    it = Stage(hosts=4, servers=1, attempts=1)
    it.advised.hear = lambda incidents: None  # type: ignore[method-assign]
    it.fence("cmp1")
    once(it, "fail_late")
    it.until(it.settled())
    (dest,) = it.server("s0").guests
    it.power_on("cmp1")
    it.until(it.over(), 200.0)
    it.run_for(100.0)
    it.cloud.computes[dest].full = True
    it.fence("cmp1")
    it.until(lambda: it.rows("s0")[-1] == "error")
    it.run_for(waits_s)
    if takeover:
        it.takeover()
    it.run_for(100.0)
    assert f"it may run on {dest}" in it.reason("s0")
    assert it.server("s0").guests == {dest}
    it.fair()


@pytest.mark.parametrize("late_s", [20.0, 36.0, 55.0])
def test_sends_no_call_again_that_is_carried_out_late(late_s: float) -> None:
    """B24: a proxy or a stalled database keeps it for as long as late_call_s says."""
    it = Stage(hosts=4, servers=1, late_call_s=60)
    it.cloud.odds.hang = 1.0
    real = it.cloud.evacuate
    lost: list[float] = []

    def evacuate(ident: str, target: Any, **more: Any) -> str:
        if lost:
            return real(ident, target, **more)
        it.timeline.pass_by(30.0)
        lost.append(it.now)
        it.timeline.after(late_s, lambda: real(ident, target, **more))
        raise NovaUncertain("no reply", status=0)

    it.cloud.evacuate = evacuate  # type: ignore[method-assign]
    it.fence("cmp1")
    it.until(lambda: lost)
    it.run_for(150.0)
    assert it.rows("s0") == ["pre-migrating"]
    it.fair()


@pytest.mark.parametrize("how", ["done", "refused", "failed"])
def test_a_call_that_finds_no_accepted_row_is_carried_out_and_its_own_row_never_ends(how: str) -> None:
    """B45: an operator has started nova-compute past the hold, which has called the row `completed` (facts.md N51)."""
    it = Stage(hosts=4)
    begin = scenarios.held_in_the_conductor(it)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["accepted"])
    scenarios.started_past_the_hold(it, "cmp1")
    it.cloud.odds.refuse, it.cloud.odds.fail = float(how == "refused"), float(how == "failed")
    begin()
    it.until(lambda: it.server("s0").calls[0].over)
    it.run_for(60.0)
    assert it.rows("s0") == ["completed", "pre-migrating"]
    assert (it.server("s0").host != "cmp1") == bool(it.server("s0").guests) == (how == "done")
    assert it.asked["evacuate"] == 1
    it.fair()


@pytest.mark.parametrize("order", ["skip", "release"])
@pytest.mark.parametrize("when", ["returning", "closed"])
def test_a_call_that_was_let_go_and_begins_once_its_host_is_back_keeps_nothing_open(when: str, order: str) -> None:
    """B45: an operator no longer waits for it, and its row was called `completed` as its host started (facts.md N51)."""
    it = Stage(hosts=4, stuck_after_s=60)
    begin = scenarios.held_in_the_conductor(it)
    it.fence("cmp1")
    it.until(lambda: "muster skip s0" in it.reason("s0"))
    it.power_on("cmp1")
    it.order("cmp1", lambda orders: orders.skip("s0") if order == "skip" else replace(orders, released=True))
    it.until(it.over() if when == "closed" else lambda: it.rows("s0") == ["completed"])
    begin()
    it.until(lambda: it.server("s0").host != "cmp1")
    it.until(it.over(), 600.0)
    assert (it.rows("s0"), len(it.server("s0").guests)) == (["completed", "pre-migrating"], 1)
    it.fair()
