# SPDX-License-Identifier: Apache-2.0
"""Cells that do not answer, or make all others wait: what a list leaves out is not gone."""

from __future__ import annotations

from muster.engine.act import FINISHED_FAULT_S
from tests.sim.stage import Stage


def test_forgets_no_server_when_a_cell_is_silent_for_a_moment() -> None:
    """Its services had just been read, its servers were left out of the list: the host was settled with none."""
    it = Stage(servers=3)
    it.cloud.omits_silent = True
    it.on_call = lambda process, kind, moment: _silence(it, kind, moment, seconds=1.5)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert [it.server(f"s{n}").host != "cmp1" for n in range(3)] == [True] * 3
    it.fair()


def _silence(it: Stage, kind: str, moment: str, seconds: float) -> None:
    """The cell falls silent once, right before the first list of servers."""
    if kind == "servers_on" and moment == "before" and not it.faults.injected["cell silent"]:
        it.faults.note("cell silent")
        it.cloud.silent_cells.add("cell1")
        it.after(seconds, lambda: it.cloud.silent_cells.discard("cell1"))


def test_sends_nothing_when_evacuations_are_missing_from_the_answer() -> None:
    """B12: an earlier worker's retry was under way, and the cell silent for the moment in which it was looked for."""
    it = Stage()
    it.cloud.odds.refuse = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["failed"])
    it.cloud.odds.refuse = 0.0
    it.cloud.odds.hang = 1.0
    it.until(lambda: it.rows("s0") == ["failed", "pre-migrating"])
    it.takeover()
    it.run_for(60.0)
    it.cloud.silent_cells.add("cell1")
    it.cloud.omits_silent = True
    it.run_for(7.0)
    it.cloud.silent_cells.clear()
    it.run_for(60.0)
    assert it.rows("s0") == ["failed", "pre-migrating"]
    it.fair()


def test_forgets_no_server_when_one_list_is_of_a_silent_cell_and_the_next_one_half() -> None:
    """B12, B13: the first list was empty as the cell was silent, the second lacked a half; the host was released."""
    it = Stage(servers=3)
    it.cloud.omits_silent = True

    def fall_short(process: object, kind: str, moment: str) -> None:
        _silence(it, kind, moment, seconds=3.0)
        it.faults.halves = float(it.asked["servers_on"] == 1 and (kind, moment) == ("servers_on", "before"))

    it.on_call = fall_short
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.faults.injected["read half"] == 1
    assert [it.server(f"s{n}").host != "cmp1" for n in range(3)] == [True] * 3
    it.fair()


def test_sends_nothing_again_when_its_cell_was_silent_while_it_was_looked_for() -> None:
    """B1, B13: Nova had failed after it did the work, and what a silent cell left out passed for absent."""
    it = Stage()
    it.cloud.omits_silent, it.cloud.odds.hang = True, 1.0
    it.fence("cmp1")
    it.until(lambda: it.cloud.computes["cmp1"].forced_down)
    it.faults.kinds_of_writes, it.faults.writes = ("failed",), 1.0
    it.until(lambda: it.faults.injected["write failed"] == 1)
    it.faults.calm()
    if not it.cloud.rows:
        it.cloud.evacuate("s0", None)

    def fall_silent(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("evacuations_from", "before"):
            it.on_call = lambda process, kind, moment: None
            it.cloud.silent_cells.add("cell1")
            it.after(FINISHED_FAULT_S + 4.0, it.cloud.silent_cells.clear)
            it.timeline.pass_by(FINISHED_FAULT_S + 1.0)

    it.on_call = fall_silent
    it.run_for(60.0)
    assert it.asked["evacuate"] == 1
    assert it.rows("s0") == ["pre-migrating"]
    it.fair()


def test_evacuates_servers_whose_cell_was_silent_when_they_were_listed() -> None:
    """B13: they stayed `unknown` for ever, as nothing about them had changed when the cell came back."""
    it = Stage()
    it.on_call = lambda process, kind, moment: _silence(it, kind, moment, seconds=8.0)
    it.fence("cmp1")
    it.until(it.says("s0", "unknown"))
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_reads_anew_what_changed_while_a_cell_was_silent() -> None:
    """A6, B13: what had changed was asked of the silent cell, and what its owner was deleting by then was sent."""
    it = Stage(servers=2, delay_s=30)
    it.cloud.omits_silent = True
    it.fence("cmp1")
    it.until(it.says("s0", "queued"))
    it.run_for(15.0)
    it.cloud.delete("s0")
    it.cloud.silent_cells.add("cell1")
    it.until(lambda: it.state() == "blocked")
    read = it.asked["servers_changed"]
    it.until(lambda: it.asked["servers_changed"] > read)
    it.after(1.0, it.cloud.silent_cells.clear)
    it.until(it.says("s1", "evacuated"))
    assert it.rows("s0") == []
    it.fair()


def test_what_was_proved_stays_when_its_cell_falls_silent_afterwards() -> None:
    """B13: as it was no longer asked about, it stayed `unknown` for ever, and its host was not let return."""
    it = Stage(servers=2, in_flight=1)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.cloud.odds.hang = 1.0
    it.until(it.says("s0", "evacuated"))
    it.until(lambda: it.rows("s1") == ["pre-migrating"])
    it.cloud.silent_cells.add("cell1")
    it.cloud.touch(it.server("s0"))
    it.until(it.says("s1", "unknown"))
    assert it.verdict("s0") == "evacuated"
    it.cloud.silent_cells.clear()
    it.run_for(30.0)
    assert (it.verdict("s0"), it.verdict("s1")) == ("evacuated", "evacuating")
    it.cloud.rebuild.release_hung(it.cloud.rows[-1])
    it.until(it.settled("cmp1"))
    it.fair()


def test_waits_for_what_a_silent_cell_leaves_out_of_the_list() -> None:
    """D7: what is not listed while its cell is silent may still have to be completed."""
    it = Stage(servers=1)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.current is not None
    it.cloud.silent_cells.add("cell1")
    it.run_for(60.0)
    host = it.current.memory.hosts["cmp1"]
    assert not host.inventory.evacuations.dropped
    it.cloud.silent_cells.clear()
    it.run_for(60.0)
    assert not host.inventory.evacuations.dropped
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    it.fair()


def test_sees_an_arrival_that_every_list_of_what_has_changed_has_missed() -> None:
    """B40, B42: its cell was silent for the one list that would have shown it; it is read itself before anybody is sent."""
    it = Stage(servers=2, stuck_after_s=900)
    it.cloud.omits_silent = True
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    shown = it.cloud.servers_changed
    it.cloud.servers_changed = lambda since: [s for s in shown(since) if s.id != "s0"]  # type: ignore[method-assign]
    it.until(it.says("s1", "evacuated"))
    it.until(it.says("s0", "evacuated"), 120.0)
    assert "verdict=held" not in "".join(it.story)
    assert it.asked["server"] == 1
    it.fair()


def _beside_a_hung_cell(servers: int) -> Stage:
    """cmp4 is in a cell whose database has just begun to hang; a host of the other one dies."""
    it = Stage(hosts=4, servers=servers)
    it.cloud.computes["cmp4"].cell = "cell2"
    it.run_for(20.0)
    it.cloud.hang_cell("cell2")
    it.fence("cmp1")
    return it


def test_a_cell_that_hangs_keeps_no_other_cell_waiting_for_ever() -> None:
    """B35: every list takes a minute, none was waited for, and when they were no list was fresh enough to settle by."""
    it = _beside_a_hung_cell(4)
    it.until(lambda: it.cloud.computes["cmp1"].forced_down, 240.0)
    it.until(lambda: all(it.rows(f"s{n}") == ["done"] for n in range(4)), 600.0)
    it.until(it.settled("cmp1"), 900.0)
    it.power_on("cmp1")
    it.until(it.over("cmp1"), 900.0)
    it.fair()


def test_sees_that_a_host_lives_beside_a_cell_that_hangs() -> None:
    """B35, C3: between two looks there are minutes."""
    it = _beside_a_hung_cell(0)
    it.cloud.add_server("s0", "cmp2")
    it.fence("cmp2", lies=True)
    it.until(lambda: it.state("cmp2") == "blocked", 900.0)
    assert it.rows("s0") == []
    it.fair()
