# SPDX-License-Identifier: Apache-2.0
"""The power state that a server's owner asked for: asked in time, and kept."""

from __future__ import annotations

from muster.core.nova_facts import Power
from tests.sim.stage import Stage


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
    it.current.memory.services.outdate()  # type: ignore[union-attr]
    it.until(it.settled("cmp1"))
    assert it.server("s1").vm_state == "stopped"
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
        if (kind, moment) == ("action_log", "after"):
            it.on_call = lambda process, kind, moment: None
            it.owner_starts("s0")
            it.timeline.pass_by(5.0)
            assert it.current is not None
            it.current.memory.polling.want_servers()
            it.current.memory.polling.note_polled(0.0)

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
    it.until(lambda: it.state(second) == "blocked")
    it.takeover()
    it.until(lambda: it.says("s0", "evacuated")() and it.state(second) == "blocked")
    it.owner_starts("s0")
    it.run_for(30.0)
    it.liars.discard(second)
    it.fence(second)
    it.until(it.says("s0", "evacuated", second))
    assert it.server("s0").vm_state == "active"
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


def test_asks_what_the_owner_wants_of_a_server_that_another_incident_has_moved() -> None:
    """A2: it had come up running against its owner's will, and its new host died while the first one was blocked: that
    it ran there was taken for a wish."""
    it = Stage(servers=0)
    it.cloud.add_server("s0", "cmp1", "error", wanted=Power.STOPPED)
    it.cloud.odds.hang = 1.0
    it.fence("cmp1", lies=True)
    it.until(lambda: it.state() == "blocked")
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
