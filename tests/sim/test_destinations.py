# SPDX-License-Identifier: Apache-2.0
"""Where servers can go: no room, a fixed destination, one that hangs or takes nothing."""

from __future__ import annotations

from tests.sim.stage import Stage


def test_waits_for_room_longer_than_for_anything_else() -> None:
    """B7: no valid host used up the attempts, and a cloud that was full for a minute lost its servers to `held`."""
    it = Stage(attempts=3)
    it.no_room(True)
    it.fence("cmp1")
    it.run_for(600.0)
    assert it.verdict("s0") == "parked"
    it.no_room(False)
    it.until(it.says("s0", "evacuated"), 601.0)
    it.fair()


def test_lets_a_host_return_whose_servers_find_no_room_elsewhere() -> None:
    """Waiting for room must not keep away the host that has it."""
    it = Stage(attempts=3)
    it.no_room(True)
    it.fence("cmp1")
    it.run_for(60.0)
    assert it.verdict("s0") == "parked"
    it.power_on("cmp1")
    it.until(it.over("cmp1"), 700.0)
    it.fair()


def test_goes_on_with_the_others_when_an_evacuation_is_stuck() -> None:
    """B10: one that hung took up the only place in flight for ever."""
    it = Stage(servers=2, in_flight=1, stuck_after_s=60)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") + it.rows("s1") == ["pre-migrating"])
    it.cloud.odds.hang = 0.0
    it.run_for(50.0)
    assert len(it.cloud.rows) == 1
    it.until(lambda: "evacuated" in (it.verdict("s0"), it.verdict("s1")), 60.0)
    it.fair()


def test_waits_for_a_spare_that_died_before_it_had_begun() -> None:
    """With a fixed destination the call still waits in that host's queue: a second one would make two guests."""
    it = Stage(hosts=2, target_map="cmp1:cmp2")
    it.cloud.rebuild.power_cut("cmp2")
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["accepted"])
    it.run_for(5.0)
    it.fence("cmp2")
    it.run_for(60.0)
    it.power_on("cmp2")
    it.until(it.over("cmp2"))
    it.until(it.says("s0", "evacuated"))
    assert it.rows("s0") == ["done"]
    it.fair()


def test_sends_nothing_anew_where_the_destination_is_being_stopped() -> None:
    """B29: for minutes it looks alive and takes no message; the one that waits it carries out when it starts again."""
    it = Stage(hosts=2, target_map="cmp1:cmp2", stuck_after_s=60)
    cmp2 = it.cloud.computes["cmp2"]
    cmp2.stopping = True
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["accepted"])
    it.run_for(160.0)
    assert cmp2.up(it.cloud.now)
    assert "it waits for cmp2" in it.reason("s0")
    it.cloud.rebuild.stop_compute("cmp2")
    it.run_for(300.0)
    assert it.rows("s0") == ["accepted"]
    it.cloud.rebuild.start_compute("cmp2")
    it.until(it.says("s0", "evacuated"))
    assert it.rows("s0") == ["done"]
    it.fair()


def test_holds_what_is_to_go_to_a_host_that_nova_does_not_know() -> None:
    """A9: Nova answers as if there were no such server (404)."""
    it = Stage(target_map="cmp1:cmp9")
    it.fence("cmp1")
    it.until(it.says("s0", "held"))
    assert "cmp9" in it.current.incidents["cmp1"].findings["s0"].reason
    it.fair()


def test_names_the_host_in_whose_queue_an_evacuation_waits() -> None:
    """B29: the destination died before it had taken it; that host's own incident does not say that nothing is left."""
    it = Stage(hosts=3)
    it.cloud.computes["cmp3"].enabled = False
    it.cloud.rebuild.on_cast = lambda dest: it.cloud.rebuild.power_cut(dest.name)
    it.fence("cmp1")
    it.until(lambda: it.current is not None and "it waits for cmp2" in it.reason("s0"))
    it.fence("cmp2")
    it.until(it.settled("cmp2"))
    assert it.current is not None
    said = it.current.incidents["cmp2"].reason
    assert "nova-compute begins 1 evacuation from other hosts when it starts here" in said
    assert it.rows("s0") == ["accepted"]
    it.power_on("cmp2")
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host == "cmp2"
