# SPDX-License-Identifier: Apache-2.0
"""Reads of Nova that fail or hang for good: they stop nothing that does not hang on them."""

from __future__ import annotations

import pytest

from muster.core.operator_orders import Orders
from tests.sim.stage import Stage


def _just_read(it: Stage) -> None:
    it.current.memory.polling.servers_read_at = it.now  # type: ignore[union-attr]


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


def test_action_logs_that_hang_leave_the_others_half_of_the_time() -> None:
    """B4, invariant 8: of eight that took 40 s to fail one was always due, and the last server was sent after 50 min."""
    it = Stage(servers=2, in_flight=1)
    for n in range(8):
        it.cloud.add_server(f"w{n}", "cmp1", "error", metadata={"evacuate_priority": "900"})
        it.broken.add(f"action_log w{n}")

    def hang(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("action_log", "before"):
            it.timeline.pass_by(40.0)

    it.on_call = hang
    it.fence("cmp1")
    it.until(lambda: it.verdict("s0") == it.verdict("s1") == "evacuated", 300.0)
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


@pytest.mark.parametrize("kind", ["servers_changed", "evacuations_from", "evacuations_of_all"])
def test_the_lists_for_all_may_fail_for_good(kind: str) -> None:
    """B41: a row of somebody else's server that cannot be read stopped every incident; a host's own lists do not have
    it."""
    it = Stage(servers=12, hosts=4, in_flight=4)
    it.cloud.add_server("t0", "cmp2")
    it.broken.add(kind) if kind != "evacuations_from" else it.broken.add("servers_changed")
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


@pytest.mark.parametrize("host", ["cmp1", "cmp2"])
def test_a_service_that_cannot_be_read_holds_its_own_host_only(host: str) -> None:
    """B43: of whichever host it was, nothing was done about any."""
    it = Stage(servers=2)
    it.cloud.garbled.add(f"service {host}")
    it.fence("cmp1")
    if host == "cmp1":
        it.until(lambda: it.state() == "blocked", 60.0)
        it.run_for(60.0)
        assert (it.rows("s0"), it.current.incidents["cmp1"].rule) == ([], "service-unreadable")  # type: ignore[union-attr]
        it.cloud.garbled.clear()
    it.until(it.settled("cmp1"), 120.0)
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
        it.timeline.pass_by(40.0) if (kind, moment) == ("action_log", "before") else None
    )
    it.fence("cmp1")
    it.until(lambda: all(it.rows(f"s{n}") == ["done"] for n in range(6)), 75.0)
    it.fair()


def test_a_hanging_look_at_failed_calls_stops_no_other_server() -> None:
    """B41: each fault ended the pass before anything was sent, also of another incident."""
    it = Stage(servers=6, hosts=5, in_flight=6)
    it.cloud.add_server("t0", "cmp2")
    it.cloud.odds.fail_late, it.cloud.shows_tracebacks = 1.0, False
    it.broken.add("trace")
    it.on_call = lambda process, kind, moment: (
        it.timeline.pass_by(20.0) if (kind, moment) == ("trace", "before") else None
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


def test_action_logs_that_hang_leave_other_hosts_their_time() -> None:
    """D10, invariant 8: each was asked for on by itself, and with several of them no pass was without one that hung."""
    it = Stage(servers=0, in_flight=1)
    for n in range(8):
        it.cloud.add_server(f"s{n}", "cmp1", "stopped")
        it.broken.add(f"action_log s{n}")
    it.cloud.add_server("t0", "cmp2")
    it.fence("cmp1")
    it.until(lambda: it.state() == "blocked", 900.0)

    def hang(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("action_log", "before"):
            it.timeline.pass_by(40.0)

    it.on_call = hang
    it.fence("cmp2")
    it.until(it.says("t0", "evacuated", "cmp2"), 30.0)
    it.fair()
