# SPDX-License-Identifier: Apache-2.0
"""What the simulation has found, each as the shortest story in which it happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.act import FINISHED_FAULT_S
from muster.errors import NovaUncertain
from muster.facts import Move, Outcome, Power, Server
from muster.look import SERVERS_CLOSE_S
from muster.orders import Orders
from tests.sim.inventory import BEAT_S
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


def test_evacuates_a_host_whose_power_was_cut_by_hand_after_its_device_had_lied() -> None:
    """The way out that the on-hold message names: the confirmation was written by the worker itself, which then took
    the heartbeats from before it for a sign of life."""
    it = Stage(attempts=20)
    it.fence("cmp1", lies=True)
    it.cloud.odds.refuse = 1.0
    it.until(lambda: it.state() == "on-hold")
    it.cloud.odds.refuse = 0.0
    it.run_for(70.0)
    it.until(lambda: 5.0 < it.now - it.cloud.computes["cmp1"].beat(it.now) < 6.0)
    it.liars.clear()
    it.cloud.rebuild.power_cut("cmp1")
    it.fence("cmp1", with_record=False)
    it.run_for(70.0)
    assert it.state() == "on-hold"
    it.site.confirm("cmp1")
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_evacuates_nothing_that_only_a_fabric_device_has_fenced_before_an_operators_word() -> None:
    """C20: Pacemaker counts it as fenced, and its guests run on."""
    it = Stage(servers=2)
    it.fence("cmp1", with_record=False, lies=True, unproved="fence_scsi cuts nobody's power")
    it.run_for(200.0)
    assert it.state() == "on-hold"
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
    it.until(lambda: it.state() == "on-hold")
    it.run_for(5.0)
    it.cloud.rebuild.stop_compute("cmp1")
    if taken_over:
        it.takeover()
    it.run_for(400.0)
    assert it.site.nodes["cmp1"].fenced_at > it.site.nodes["cmp1"].record.first + 60  # type: ignore[union-attr]
    assert it.state() == "on-hold"
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
    it.until(lambda: it.state() == "on-hold")
    assert "may run on two hosts" in it.current.incidents["cmp1"].reason  # type: ignore[union-attr]
    it.liars.clear()
    it.run_for(5.0)
    it.fence("cmp1")
    it.run_for(5.0)
    it.power_on("cmp1")
    it.until(it.over())


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
    calls = it.current.memory.hosts["cmp1"].sent
    (late,) = [server for server, call in calls.items() if call.outcome is Outcome.UNCERTAIN]
    it.after(calls[late].quiet_until - 0.1 - it.now, lambda: it.cloud.evacuate(late, None))
    it.until(it.settled("cmp1"))
    assert it.rows(late) == ["done"]
    it.fair()


def _found_alive() -> Stage:
    """The power device of cmp1 lied, its heartbeats have told, and its server was not taken by any destination."""
    it = Stage(attempts=20)
    it.cloud.odds.refuse = 1.0
    it.fence("cmp1", lies=True)
    it.until(lambda: it.state() == "on-hold")
    return it


def test_does_not_forget_that_a_host_lives_when_the_worker_changes() -> None:
    """The heartbeats that refuted the fencing were known to the dead worker only: the next one sent a retry at once."""
    it = _found_alive()
    it.run_for(20.0)
    sent = len(it.rows("s0"))
    it.takeover()
    it.run_for(60.0)
    assert it.state() == "on-hold"
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
    it.until(lambda: it.state(dest) == "on-hold")
    it.run_for(15.0)
    it.no_room(False)
    it.takeover()
    sent = len(it.rows("s0"))
    it.run_for(60.0)
    assert it.state(dest) == "on-hold"
    assert len(it.rows("s0")) == sent
    it.fair()


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
        if (kind, moment) == ("moves_from", "before"):
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
    it.until(lambda: it.state() == "on-hold")
    read = it.asked["servers_changed"]
    it.until(lambda: it.asked["servers_changed"] > read)
    it.after(1.0, it.cloud.silent_cells.clear)
    it.until(it.says("s1", "evacuated"))
    assert it.rows("s0") == []
    it.fair()


def test_reads_the_marks_of_an_image_once_and_again_when_the_server_has_another() -> None:
    """A10: what has changed is read without them."""
    it = Stage(servers=0, in_flight=1, stuck_after_s=900)
    it.cloud.add_server("s0", "cmp1", metadata={"evacuate_priority": "900"})
    it.cloud.add_server("s1", "cmp1", image="image-1", mark="false")
    it.cloud.add_server("s2", "cmp1", image="image-1")
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.until(it.says("s2", "queued"))
    for ident, image in (("s1", "image-1"), ("s2", "image-2")):
        it.server(ident).image, it.server(ident).mark = image, "false"
        it.cloud.touch(it.server(ident))
    it.until(it.says("s2", "skipped"))
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.settled("cmp1"))
    assert it.says("s1", "skipped")()
    assert it.rows("s1") + it.rows("s2") == []
    it.fair()


def test_uses_for_every_host_what_it_has_read_for_one() -> None:
    """A6: a list for one host showed that a server of another is being deleted, and it was sent all the same."""
    it = Stage(servers=2, hosts=4, delay_s=15)
    it.cloud.add_server("t0", "cmp2")
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s1") == ["pre-migrating"])
    it.server("s0").host = "cmp3"  # it has left, so the list asks what has changed
    it.fence("cmp2")

    def delete(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("force_down", "before") and it.current is not None:
            it.cloud.delete("t0")
            memory = it.current.memory
            memory.hosts["cmp1"].list_again, memory.polled_at, memory.servers_at = True, it.now, it.now

    it.on_call = delete
    it.until(lambda: it.cloud.computes["cmp2"].forced_down)
    it.run_for(20.0)
    assert it.rows("t0") == []
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
        assert it.state() == "on-hold", seed
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


def test_sees_what_another_hand_began_while_the_servers_were_listed() -> None:
    """A13: the evacuations had been read by then, its task was taken for an old one, and it was sent once more."""
    it = Stage()

    def by_hand(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("servers_on", "before") and not it.cloud.rows:
            it.cloud.evacuate("s0", None, by="operator")

    it.on_call = by_hand
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.rows("s0") == ["done"]
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


def test_lifts_nothing_of_a_host_that_was_fenced_while_nova_was_slow() -> None:
    """D5: it acted on what it had seen of the cluster before, and took its own change for a sign of life."""
    it = Stage(delay_s=15)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")

    def fence(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("services", "after") and it.rows("s0") == ["completed"]:
            it.on_call = lambda process, kind, moment: None
            it.timeline.pass_by(8.0)
            it.fence("cmp1")

    it.on_call = fence
    it.until(lambda: not it.cloud.computes["cmp1"].powered)
    it.run_for(5.0)
    assert it.asked["force_up"] == 0
    it.until(it.settled("cmp1"))
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
    assert it.state() == "on-hold"
    assert it.rows("s0") == []
    it.fair()


def test_a_place_is_given_away_before_what_has_left_it_is_read() -> None:
    """Unless what is known of the servers is older than two seconds."""
    it = Stage(servers=20, in_flight=5)
    calls: list[tuple[str, float]] = []

    def note(process: object, kind: str, moment: str) -> None:
        if kind in ("moves_from", "servers_on", "servers_changed", "evacuate") and moment == "before":
            calls.append((kind, it.now))

    lists: list[tuple[float, float]] = []
    moves_from = it.cloud.moves_from

    def listing(host: str, since: float) -> list[Move]:
        lists.append((it.now, since))
        return moves_from(host, since)

    it.cloud.moves_from = listing  # type: ignore[method-assign]
    it.on_call = note
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    at = [n for n, (kind, _) in enumerate(calls) if kind == "evacuate"][5:]
    assert len(at) == 15
    read = [(n, kind, when) for n, (kind, when) in enumerate(calls) if kind != "evacuate"]
    ages = [calls[n][1] - max(when for m, kind, when in read if m < n and kind != "moves_from") for n in at]
    assert [[kind for m, kind, _ in read if m < n][-1] for n in at].count("moves_from") >= 5
    assert max(ages) < 4.0, "two seconds, and those of a slow answer"
    whole, recent = ([when for when, since in lists if (since == lists[0][1]) == all_] for all_ in (True, False))
    assert len(recent) >= 5, "what has ended long ago is not listed again"
    assert max(at - max(when for when in whole if when < at) for at in recent) < 4.0, "but every two seconds it is"
    assert not [line for line in it.story if "verdict=unknown" in line], "it is told once it is read"
    it.fair()


def test_to_list_the_evacuations_is_one_request_however_long_one_of_them_hangs() -> None:
    """Those that are not older than the oldest open one are asked for in small pages."""
    it = Stage(servers=40, in_flight=5, stuck_after_s=900)
    lists: list[str] = []

    def note(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("moves_from", "before"):
            lists.append(kind)

    it.cloud.conductor_up = False
    it.fence("cmp1")
    it.until(lambda: it.cloud.rows)
    it.cloud.conductor_up = True
    it.on_call = note
    it.asked.clear()
    it.until(lambda: len(it.cloud.rows) == 40)
    assert it.cloud.rows[0].status == "accepted"
    assert it.asked["moves_from"] <= len(lists) + 5
    it.fair()


@pytest.mark.parametrize("seed", [0, 2, 15])
def test_a_host_that_dies_while_others_servers_wait_does_not_wait_for_them(seed: int) -> None:
    """Giving places away first must not put off the force-down until all servers are read again."""
    it = Stage(seed=seed, servers=30, in_flight=5)
    forced: list[float] = []

    def note(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("force_down", "before"):
            forced.append(it.now)

    it.on_call = note
    it.fence("cmp1")
    it.run_for(6.0 + seed * 0.37)
    assert len(forced) == 1 and it.verdict("s29") == "queued"
    died = it.now
    it.fence("cmp2")
    it.until(lambda: len(forced) > 1)
    assert forced[1] - died < SERVERS_CLOSE_S
    it.until(it.settled("cmp2"))
    it.fair()


def _just_read(it: Stage) -> None:
    it.current.memory.servers_at = it.now  # type: ignore[union-attr]


def test_a_state_that_an_evacuation_brought_is_not_what_the_owner_wants() -> None:
    """22,483: read after its call had been sent and before that showed, it was at rest: in the state Nova gave it.

    Here its cell is silent for the moment in which the services are read, so no evacuations are."""
    it = Stage(seed=22, servers=2, in_flight=1)
    it.owner_stops("s1")
    it.run_for(60.0)
    it.server("s1").vm_state = "error"
    it.cloud.touch(it.server("s1"))

    def linger(process: object, kind: str, moment: str) -> None:
        if it.rows("s1") and (kind, moment) == ("services", "before"):
            it.cloud.silent_cells.add("cell1")
        if it.rows("s1") and (kind, moment) == ("services", "after"):
            it.cloud.silent_cells.clear()
        if it.rows("s1") and (kind, moment) == ("servers_changed", "before"):
            it.on_call = lambda process, kind, moment: None
            it.until(lambda: it.server("s1").vm_state == "active")
            assert it.server("s1").host == "cmp1"

    it.fence("cmp1")
    it.on_call = linger
    it.until(lambda: it.rows("s1"))
    it.current.memory.services_at = 1.0  # type: ignore[union-attr]
    it.until(it.settled("cmp1"))
    assert it.server("s1").vm_state == "stopped"
    it.fair()


def test_an_arrival_that_could_not_be_read_at_once_is_told_all_the_same() -> None:
    it = Stage(servers=2, in_flight=1)

    def fall_silent(process: object, kind: str, moment: str) -> None:
        _just_read(it)
        if kind == "servers_changed" and moment == "before" and it.rows("s1"):
            it.on_call = lambda process, kind, moment: None
            it.nova_down = True

    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.on_call = fall_silent
    it.until(it.says("s0", "unknown"))
    assert len(it.rows("s1")) == 1
    it.run_for(20.0)
    it.nova_down = False
    it.until(it.settled("cmp1"))
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


def test_asks_again_what_its_owner_wants_when_it_has_changed_since() -> None:
    """A2: a new worker read that it was to be stopped, its owner started it, and it was stopped."""
    it = Stage(servers=2, in_flight=1)
    it.owner_stops("s0")
    it.run_for(5.0)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["done"])
    it.cloud.odds.hang = 1.0
    it.until(lambda: it.rows("s1") == ["pre-migrating"])

    def start(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("owner_log", "after"):
            it.on_call = lambda process, kind, moment: None
            it.owner_starts("s0")
            it.timeline.pass_by(5.0)
            assert it.current is not None
            it.current.memory.servers_due, it.current.memory.polled_at = True, 0.0

    it.on_call = start
    it.takeover()
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").vm_state == "active"
    it.fair()


def test_asks_again_what_its_owner_wants_when_it_has_changed_on_a_host_that_lived() -> None:
    """A2: the device had lied, its owner started the server there, and it was stopped after the next fencing."""
    it = Stage(delay_s=15)
    it.owner_stops("s0")
    it.run_for(5.0)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["done"])
    second = it.server("s0").host
    it.fence(second, lies=True)
    it.until(lambda: it.state(second) == "on-hold")
    it.takeover()
    it.until(lambda: it.says("s0", "evacuated")() and it.state(second) == "on-hold")
    it.owner_starts("s0")
    it.run_for(30.0)
    it.liars.discard(second)
    it.fence(second)
    it.until(it.says("s0", "evacuated", second))
    assert it.server("s0").vm_state == "active"
    it.fair()


def test_reads_the_services_once_more_before_it_claims_after_a_long_list() -> None:
    """The heartbeats while the servers were listed were hidden by the force-down that followed."""
    it = Stage()
    it.until(lambda: 5.0 < it.now - it.cloud.computes["cmp1"].beat(it.now) < 6.0)
    it.nova_down = True
    it.fence("cmp1", lies=True)
    it.run_for(6.0)
    it.on_call = lambda process, kind, moment: kind == "servers_on" and moment == "after" and it.timeline.pass_by(8.0)
    it.nova_down = False
    it.until(lambda: it.state() == "on-hold", 30.0)
    it.run_for(60.0)
    assert it.state() == "on-hold"
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
    it.until(lambda: it.state() in ("on-hold", "settled"))
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
    assert it.state() == "on-hold"
    assert len(it.rows("s0")) == sent
    it.fair()


def test_an_operators_force_down_stays_that_came_right_before_the_claim() -> None:
    """Invariant 5: while storage leases were waited for, the services were seldom read, and the claim went by that."""
    it = Stage(delay_s=15)
    it.fence("cmp1")
    it.run_for(11.0)
    it.cloud.force_down("service-cmp1", None, by="operator")
    it.until(it.says("s0", "evacuated"))
    record = it.site.nodes["cmp1"].record
    assert record is not None
    assert record.kept
    it.fair()


def test_stops_a_server_whose_owner_stopped_it_while_its_host_was_dead() -> None:
    """A2: Nova had said yes to the owner, and the order lay with the dead host; the server was called evacuated, running."""
    it = Stage()
    it.no_room(True)
    it.fence("cmp1")
    it.until(it.says("s0", "parked"))
    it.owner_stops("s0")
    it.run_for(15.0)
    it.no_room(False)
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").vm_state == "stopped"
    it.fair()


def test_stops_a_server_that_was_stopped_on_a_host_thought_dead() -> None:
    """Its device had lied, and the stop was still carried out: what was seen first was taken for the last word."""
    it = Stage(delay_s=60)
    it.fence("cmp1", lies=True)
    it.run_for(20.0)
    it.owner_stops("s0")
    it.run_for(5.0)
    it.liars.clear()
    it.cloud.rebuild.power_cut("cmp1")
    it.fence("cmp1")
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").vm_state == "stopped"
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


def test_holds_what_is_to_go_to_a_host_that_nova_does_not_know() -> None:
    """A9: Nova answers as if there were no such server (404)."""
    it = Stage(target_map="cmp1:cmp9")
    it.fence("cmp1")
    it.until(it.says("s0", "held"))
    assert "cmp9" in it.current.incidents["cmp1"].findings["s0"].reason
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
        if (kind, when) == ("moves_from", "after"):
            it.on_call = lambda process, kind, when: None
            it.cloud.start_conductor()
            it.run_for(18.0)

    it.on_call = slow
    it.run_for(60.0)
    assert len(it.rows("s0")) == sent
    it.fair()


def test_asks_what_the_owner_wants_before_it_finds_fault_with_it() -> None:
    """The owner stopped the server as soon as it had arrived: it was held as stopped against its owner's will."""
    it = Stage()
    it.fence("cmp1")

    def stop_at_once() -> None:
        if it.server("s0").host != "cmp1":
            it.owner_stops("s0")
            it.nova_down = True
            it.after(3.0, lambda: setattr(it, "nova_down", False))
        else:
            it.after(0.01, stop_at_once)

    stop_at_once()
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").vm_state == "stopped"
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
    it.until(lambda: it.state(dest) == "on-hold")
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
    assert it.state() == "on-hold"
    assert it.rows("s0") == []
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


def test_waits_for_heartbeats_again_when_it_has_to_force_a_host_down_again() -> None:
    """C3: an operator's changes hid the heartbeats of a host that lived, while a call took half a minute."""
    it = Stage(servers=2)

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("evacuate", "after"):
            it.on_call = lambda process, kind, when: None
            it.cloud.disable("cmp1", "disk swap", "operator")
            it.run_for(20.0)
            it.cloud.force_up("service-cmp1", unforce=False, enable=True, by="operator")
            it.run_for(10.0)

    it.on_call = slow
    it.fence("cmp1", lies=True)
    it.run_for(90.0)
    assert it.state() == "on-hold"
    assert len(it.cloud.rows) == 1
    it.fair()


def test_sees_the_heartbeat_that_was_written_while_nova_took_its_time() -> None:
    """C3: the first look after the force-down took longer than a heartbeat, and what it showed was taken as it was."""
    it = Stage()

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("services", "before") and it.cloud.computes["cmp1"].forced_down:
            it.on_call = lambda process, kind, when: None
            it.run_for(15.0)

    it.on_call = slow
    it.fence("cmp1", lies=True)
    it.run_for(60.0)
    assert it.state() == "on-hold"
    assert it.rows("s0") == []
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


def test_asks_what_the_owner_wants_of_a_server_that_another_incident_has_moved() -> None:
    """A2: it had come up running against its owner's will, and its new host died while the first one was on hold: that
    it ran there was taken for a wish."""
    it = Stage(servers=0)
    it.cloud.add_server("s0", "cmp1", "error", wanted=Power.STOPPED)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1", lies=True)
    it.until(lambda: it.state() == "on-hold")
    it.cloud.odds.hang = 0.0
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(lambda: it.server("s0").host != "cmp1")
    dest = it.server("s0").host
    it.fence(dest)
    it.until(it.says("s0", "evacuated", dest))
    assert it.server("s0").vm_state == "stopped"
    it.fair()


def test_takes_nothing_for_a_wish_that_it_sees_after_the_move() -> None:
    """A2: the stop lay with the dead host; a late evacuation brought the server up elsewhere, where it was seen before
    its migration was."""
    it = Stage(delay_s=10)
    it.after(5.0, lambda: it.owner_stops("s0"))

    lists: list[float] = []

    def late(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("servers_changed", "before") and it.faults.injected["write lost-before"]:
            lists.append(it.now)
            if len(lists) == 2:
                it.cloud.evacuate("s0", None)
                it.run_for(15.0)

    it.on_call = late
    it.faults.kinds_of_writes = ("lost-before",)
    it.fence("cmp1")
    it.until(it.says("s0", "queued"))
    it.until(lambda: it.cloud.computes["cmp1"].forced_down)
    it.faults.writes = 1.0
    it.until(lambda: it.faults.injected["write lost-before"])
    it.faults.calm()
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").vm_state == "stopped"
    it.fair()


def test_goes_on_with_the_others_when_nova_does_not_give_an_action_log() -> None:
    """Invariant 8: the sequence is strict, so everything behind that server waited for ever."""
    it = Stage(servers=0, in_flight=1)
    it.cloud.add_server("s0", "cmp1", "error", metadata={"evacuate_priority": "900"})
    it.cloud.add_server("s1", "cmp1")
    it.cloud.withheld.add("s0")
    it.fence("cmp1")
    it.until(it.says("s1", "evacuated"), 30.0)
    it.until(it.says("s0", "held"), 600.0)
    it.until(it.settled("cmp1"))
    it.cloud.withheld.clear()
    record = it.site.nodes["cmp1"].record
    assert record is not None
    it.site.set_node("cmp1", orders=Orders(record.first).retry("s0", int(it.now)))
    it.until(it.says("s0", "evacuated"))
    it.fair()


def test_does_not_repeat_a_stop_against_an_owner_who_has_started_the_server_since() -> None:
    """A2: the stop had its effect, unseen; that the server ran again was taken for a stop without one."""
    it = Stage(servers=0)
    it.cloud.add_server("s0", "cmp1", "error", wanted=Power.STOPPED)
    it.fence("cmp1")
    it.until(lambda: it.asked["stop"])
    it.nova_down = True
    it.until(lambda: it.server("s0").vm_state == "stopped")
    it.cloud.start("s0")
    it.server("s0").wanted = Power.RUNNING
    it.run_for(20.0)
    it.nova_down = False
    it.until(it.says("s0", "evacuated"))
    assert it.asked["stop"] == 1
    it.fair()


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


def test_records_no_fencing_of_a_host_that_has_joined_meanwhile() -> None:
    """C2: Nova took half a minute to answer, and Pacemaker's word was from before: the hold stopped a healthy host."""
    it = Stage(hosts=4)
    it.no_room(True)
    it.fence("cmp1")
    it.until(it.says("s0", "parked"))

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("moves_from", "before"):
            it.on_call = lambda process, kind, when: None
            it.run_for(20.0)

    it.fence("cmp2", with_record=False)
    it.power_on("cmp2")
    it.site.set_node("cmp2", member=False, fenced_at=int(it.now))
    it.after(10.0, lambda: it.site.rejoin("cmp2"))
    it.on_call = slow
    it.run_for(60.0)
    assert it.site.nodes["cmp2"].record is None
    assert it.cloud.computes["cmp2"].running
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


def test_waits_for_what_a_silent_cell_leaves_out_of_the_list() -> None:
    """D7: what is not listed while its cell is silent may still have to be completed."""
    it = Stage(servers=1)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.current is not None
    it.cloud.silent_cells.add("cell1")
    it.run_for(60.0)
    host = it.current.memory.hosts["cmp1"]
    assert not host.dropped
    it.cloud.silent_cells.clear()
    it.run_for(60.0)
    assert not host.dropped
    it.power_on("cmp1")
    it.until(it.over("cmp1"))
    it.fair()


def test_tries_of_another_hand_before_the_fencing_use_no_attempts_up() -> None:
    """B8: an operator had forced the host down and tried it himself, seconds before Pacemaker fenced it."""
    it = Stage(servers=2, attempts=2)
    it.cloud.rebuild.stop_compute("cmp1")
    it.cloud.force_down(it.cloud.computes["cmp1"].id, None, by="operator")
    it.cloud.odds.refuse = 1.0
    for _ in range(2):
        for server in ("s0", "s1"):
            it.cloud.evacuate(server, None, by="operator", excused=True)
        it.run_for(10.0)
    it.cloud.odds.refuse = 0.0
    assert it.rows("s0") == it.rows("s1") == ["failed", "failed"]
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.verdict("s0") == it.verdict("s1") == "evacuated"
    it.fair()


def test_sends_nobody_to_a_server_by_a_list_that_is_older_than_its_evacuation() -> None:
    """B40: it had arrived; for two minutes the lists of what had changed failed, those of the evacuations did not."""
    it = Stage()
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    it.broken.add("servers_changed")
    it.broken.add("server")
    it.run_for(150.0)
    assert it.rows("s0") == ["done"]
    assert "verdict=held" not in "".join(it.story)
    it.broken.clear()
    it.until(it.settled("cmp1"))
    it.fair()


def test_sees_an_arrival_that_every_list_of_what_has_changed_has_missed() -> None:
    """B40, B42: its cell was silent for the one list that would have shown it; it is read itself before anybody is sent."""
    it = Stage(servers=2, stuck_after_s=900)
    it.cloud.omits_silent = True
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["pre-migrating"])
    shown = it.cloud.servers_changed
    it.cloud.servers_changed = lambda since, brief: [s for s in shown(since, brief) if s.id != "s0"]  # type: ignore[method-assign]
    it.until(it.says("s1", "evacuated"))
    it.until(it.says("s0", "evacuated"), 120.0)
    assert "verdict=held" not in "".join(it.story)
    assert it.asked["server"] == 1
    it.fair()


@pytest.mark.parametrize("hangs", [True, False])
def test_what_has_changed_is_asked_for_no_further_back_however_long_one_hangs(hangs: bool) -> None:
    """B42: everything that had changed in the whole cloud since it last moved was listed every ten seconds."""
    it = Stage(servers=2, stuck_after_s=60)
    for n in range(100):
        it.cloud.add_server(f"o{n}", "cmp3")
    it.patience_s = 30.0
    windows: list[tuple[float, int]] = []
    shown = it.cloud.servers_changed

    def listed(since: float, brief: bool) -> list[Server]:
        found = shown(since, brief)
        windows.append((it.now - since, len(found)))
        return found

    it.cloud.servers_changed = listed  # type: ignore[method-assign]
    it.cloud.odds.hang = float(hangs)
    it.fence("cmp1")
    for _ in range(120):
        it.run_for(30.0)
        it.cloud.touch(it.server(f"o{it.rng.randrange(100)}"))
    assert max(age for age, _ in windows[3:]) < 180.0
    assert max(rows for _, rows in windows[3:]) < 10
    it.fair()


def test_an_old_incident_asks_alone_for_the_server_that_has_left_its_host() -> None:
    """B42: not for all that has changed since it began, when another worker takes it up."""
    it = Stage(servers=3, stuck_after_s=60)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(lambda: len(it.cloud.rows) == 3)
    it.patience_s = 30.0
    it.run_for(1200.0)
    since: list[float] = []
    shown = it.cloud.servers_changed

    def listed(at: float, brief: bool) -> list[Server]:
        since.append(it.now - at)
        return shown(at, brief)

    it.cloud.servers_changed = listed  # type: ignore[method-assign]
    it.kill_worker()
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.says(it.cloud.rows[0].server, "evacuated"))
    it.run_for(60.0)
    assert max(since) < 300.0
    assert it.asked["server"] == 1


# ------------------------------------------------------------------- clocks


@pytest.mark.parametrize("ahead_s", [-3600.0, -62.0, -20.0, 20.0, 62.0, 3600.0])
@pytest.mark.parametrize("taken_over", [False, True])
def test_how_far_novas_clock_is_from_ours_changes_nothing(ahead_s: float, taken_over: bool) -> None:
    """B25, C3, C6: behind by a minute every evacuation was sent again by the next worker; ahead by 20 s a dead host
    lived for ever."""
    it = Stage(hosts=4, servers=2)
    it.cloud.skew = ahead_s
    it.run_for(45.0)
    if taken_over:
        it.cloud.odds.slow = 1.0
    it.fence("cmp1")
    if taken_over:
        it.until(lambda: it.rows("s0") and it.rows("s1"))
        it.takeover()
    it.until(it.settled("cmp1"), 120.0)
    assert [it.rows("s0"), it.rows("s1")] == [["done"], ["done"]]
    it.power_on("cmp1")
    it.until(it.over(), 60.0)
    it.fair()


def _rounds(step_s: float) -> tuple[float, int]:
    """How long six servers take, and how often Nova is asked, with a step of the controller's clock in the middle."""
    it = Stage(servers=6, in_flight=2)
    it.fence("cmp1")
    it.until(lambda: any(it.rows(f"s{n}") == ["done"] for n in range(6)))
    it.clocks["ctl1"] = step_s
    it.until(it.settled("cmp1"), 300.0)
    it.fair()
    return it.now, sum(it.asked.values())


@pytest.mark.parametrize("step_s", [-3600.0, -40.0, 40.0, 3600.0])
def test_a_step_of_our_clock_changes_nothing(step_s: float) -> None:
    """B25, C6: an hour back, and Nova was not looked at for an hour."""
    assert _rounds(step_s) == _rounds(0.0)


def test_a_step_of_our_clock_does_not_end_the_wait_for_a_lost_call() -> None:
    """B2, B25: a step of 40 s ended it: a second call, and two guests."""
    it = Stage(hosts=4)
    it.cloud.odds.hang = 1.0
    real, lost = it.cloud.evacuate, []

    def evacuate(ident: str, target: object, **more: object) -> str:
        if lost:
            return real(ident, target, **more)  # type: ignore[arg-type]
        lost.append(it.now)
        it.timeline.after(8.0, lambda: real(ident, target, **more) and None)  # type: ignore[arg-type]
        it.timeline.after(1.0, lambda: it.clocks.update(ctl1=40.0))
        raise NovaUncertain("HTTP 504", status=504)

    it.cloud.evacuate = evacuate  # type: ignore[assignment,method-assign]
    it.fence("cmp1")
    it.until(lambda: lost)
    it.run_for(60.0)
    assert len(it.rows("s0")) == 1
    it.fair()


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
@pytest.mark.parametrize("taken_over", [False, True])
def test_a_controller_that_records_with_a_wrong_clock_changes_nothing(off_s: float, taken_over: bool) -> None:
    """B25, C3, C6: an hour ahead, and the evacuation waited for an hour; an hour behind, and the heartbeats of before
    were signs of life."""
    it = Stage(hosts=4, servers=2, delay_s=15)
    it.run_for(45.0)
    it.site.stamp = lambda: int(it.now + off_s)  # type: ignore[method-assign]
    fenced_at = it.now
    it.fence("cmp1")
    if taken_over:
        it.cloud.odds.slow = 1.0
        it.until(lambda: it.rows("s0") and it.rows("s1"))
        it.takeover()
    it.until(it.settled("cmp1"), 150.0)
    first = min(row.accepted_at for row in it.cloud.rows)
    assert fenced_at + 14.0 < first < fenced_at + 25.0
    assert [it.rows("s0"), it.rows("s1")] == [["done"], ["done"]]
    it.power_on("cmp1")
    it.until(it.over(), 60.0)
    it.fair()


def test_api_hosts_whose_clocks_are_apart_stop_the_incident_until_they_agree() -> None:
    """B25, C3: nothing says then what came first."""
    it = Stage(servers=3)
    it.run_for(20.0)
    it.cloud.api_apart = (0.0, 100.0)
    it.no_room(True)
    it.fence("cmp1")
    it.until(lambda: it.state() == "on-hold", 60.0)
    assert "chronyc tracking" in it.current.incidents["cmp1"].reason  # type: ignore[union-attr]
    it.no_room(False)
    it.run_for(60.0)
    it.cloud.api_apart = ()
    it.takeover()
    it.until(it.settled("cmp1"), 300.0)
    it.fair()


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_step_of_novas_clock_in_the_middle_stops_the_incident(step_s: float) -> None:
    """B25, C3, C6: rows of before and after it do not compare: those of before seemed to be of an earlier incident."""
    it = Stage(hosts=4, servers=6, in_flight=2)
    it.run_for(20.0)
    it.fence("cmp1")
    it.until(lambda: any(it.rows(f"s{n}") == ["done"] for n in range(6)))
    it.cloud.set_clock(step_s)
    it.run_for(10.0)
    sent = len(it.cloud.rows)
    it.run_for(120.0)
    assert it.state() == "on-hold"
    assert len(it.cloud.rows) == sent
    it.fair()


def test_what_cannot_be_read_of_one_host_stops_no_other_incident() -> None:
    """B41: one counter for everything that failed stopped everything, for a time that grew with each failure."""
    it = Stage(servers=3, hosts=4)
    it.cloud.add_server("t0", "cmp2")
    it.broken.add("servers_on cmp2")
    it.fence("cmp2")
    it.run_for(30.0)
    assert it.rows("t0") == []
    assert "HTTP 500" in it.current.incidents["cmp2"].reason  # type: ignore[union-attr]
    it.fence("cmp1")
    it.until(it.settled("cmp1"), 45.0)
    it.broken.clear()
    it.until(it.settled("cmp2"), 60.0)
    it.fair()


@pytest.mark.parametrize("kind", ["servers_changed", "moves_from", "moves_of_all"])
def test_the_lists_for_all_may_fail_for_good(kind: str) -> None:
    """B41: a row of somebody else's server that cannot be read stopped every incident; a host's own lists do not have
    it."""
    it = Stage(servers=12, hosts=4, in_flight=4)
    it.cloud.add_server("t0", "cmp2")
    it.broken.add(kind) if kind != "moves_from" else it.broken.add("servers_changed")
    it.fence("cmp1")
    it.fence("cmp2")
    it.until(it.settled("cmp1"), 180.0)
    it.until(it.settled("cmp2"), 60.0)
    it.fair()


def test_a_server_that_cannot_be_read_is_the_only_one_that_waits() -> None:
    """B43: one such row in the list of its host stopped the whole incident."""
    it = Stage(servers=4, in_flight=1)
    it.cloud.garbled.add("server s1")
    it.fence("cmp1")
    it.until(lambda: all(it.says(ident, "evacuated")() for ident in ("s0", "s2", "s3")), 120.0)
    it.run_for(120.0)
    assert (it.verdict("s1"), it.rows("s1"), it.state()) == ("unknown", [], "evacuating")
    it.cloud.garbled.clear()
    it.until(it.settled("cmp1"), 120.0)
    assert it.says("s1", "evacuated")()
    it.fair()


@pytest.mark.parametrize("takeover", [False, True])
def test_an_evacuation_that_cannot_be_read_is_not_sent_again(takeover: bool) -> None:
    """B43: neither by who has sent it, nor by who comes after."""
    it = Stage(servers=3)
    it.cloud.odds.fail = 1.0
    it.cloud.garbled.add("evacuations s1")
    it.fence("cmp1")
    it.until(lambda: it.rows("s1") == ["failed"], 60.0)
    it.cloud.odds.fail = 0.0
    if takeover:
        it.takeover()
    it.until(lambda: all(it.says(ident, "evacuated")() for ident in ("s0", "s2")), 200.0)
    it.run_for(200.0)
    assert (it.verdict("s1"), it.rows("s1"), it.state()) == ("unknown", ["failed"], "evacuating")
    it.cloud.garbled.clear()
    it.until(it.settled("cmp1"), 120.0)
    assert it.rows("s1") == ["failed", "done"]
    it.fair()


def test_a_hanging_look_at_one_owners_wish_stops_no_other_server() -> None:
    """B41: its action log was asked for three times in a row before anybody else had a turn."""
    it = Stage(servers=6, in_flight=6)
    it.cloud.add_server("w0", "cmp1", "error", metadata={"evacuate_priority": "900"})
    it.cloud.withheld.add("w0")
    it.on_call = lambda process, kind, moment: (
        it.timeline.pass_by(40.0) if (kind, moment) == ("owner_log", "before") else None
    )
    it.fence("cmp1")
    it.until(lambda: all(it.rows(f"s{n}") == ["done"] for n in range(6)), 75.0)
    it.fair()


def test_a_hanging_look_at_failed_calls_stops_no_other_server() -> None:
    """B41: each fault ended the pass before anything was sent, also of another incident."""
    it = Stage(servers=6, hosts=5, in_flight=6)
    it.cloud.add_server("t0", "cmp2")
    it.cloud.odds.fail_late = 1.0
    it.broken.add("traces")
    it.on_call = lambda process, kind, moment: (
        it.timeline.pass_by(20.0) if (kind, moment) == ("traces", "before") else None
    )
    it.fence("cmp1")
    it.until(lambda: all(it.rows(f"s{n}") == ["failed"] for n in range(6)), 600.0)
    it.cloud.odds.fail_late = 0.0
    it.fence("cmp2")
    it.until(lambda: it.rows("t0") == ["done"], 130.0)
    it.fair()


def test_what_hangs_on_no_list_does_not_wait_for_one() -> None:
    """B41: its service was not forced down before its servers had been listed, nor was anything but the list tried."""
    it = Stage()
    it.broken.add("servers_on")
    it.fence("cmp1")
    it.until(lambda: it.cloud.computes["cmp1"].forced_down, 15.0)
    it.until(lambda: it.current.incidents["cmp1"].rule == "lists-fail", 15.0)  # type: ignore[union-attr]
    it.run_for(100.0)
    it.broken = {"services"}
    it.run_for(0.5)
    it.broken = set()
    it.until(it.settled("cmp1"), 60.0)
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
    assert "1 evacuations from other hosts wait for its nova-compute" in said
    assert it.rows("s0") == ["accepted"]
    it.power_on("cmp2")
    it.until(it.says("s0", "evacuated"))
    assert it.server("s0").host == "cmp2"


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
    it.until(lambda: it.state("cmp2") == "on-hold", 900.0)
    assert it.rows("s0") == []
    it.fair()
