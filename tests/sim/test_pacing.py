# SPDX-License-Identifier: Apache-2.0
"""What Nova is asked, when, and how much of it."""

from __future__ import annotations

import pytest

from muster.core.nova_facts import Evacuation, Server
from muster.engine.polling import SERVERS_CLOSE_S
from tests.sim.stage import Stage


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
            memory.hosts["cmp1"].inventory.want_list()
            memory.polling.note_polled(it.now)
            memory.polling.note_servers_read(it.now)

    it.on_call = delete
    it.until(lambda: it.cloud.computes["cmp2"].forced_down)
    it.run_for(20.0)
    assert it.rows("t0") == []
    it.fair()


def test_a_place_is_given_away_before_what_has_left_it_is_read() -> None:
    """Unless what is known of the servers is older than two seconds."""
    it = Stage(servers=20, in_flight=5)
    calls: list[tuple[str, float]] = []

    def note(process: object, kind: str, moment: str) -> None:
        if kind in ("evacuations_from", "servers_on", "servers_changed", "evacuate") and moment == "before":
            calls.append((kind, it.now))

    lists: list[tuple[float, float]] = []
    evacuations_from = it.cloud.evacuations_from

    def listing(host: str, since: float) -> list[Evacuation]:
        lists.append((it.now, since))
        return evacuations_from(host, since)

    it.cloud.evacuations_from = listing  # type: ignore[method-assign]
    it.on_call = note
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    at = [n for n, (kind, _) in enumerate(calls) if kind == "evacuate"][5:]
    assert len(at) == 15
    read = [(n, kind, when) for n, (kind, when) in enumerate(calls) if kind != "evacuate"]
    ages = [calls[n][1] - max(when for m, kind, when in read if m < n and kind != "evacuations_from") for n in at]
    assert [[kind for m, kind, _ in read if m < n][-1] for n in at].count("evacuations_from") >= 5
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
        if (kind, moment) == ("evacuations_from", "before"):
            lists.append(kind)

    it.cloud.conductor_up = False
    it.fence("cmp1")
    it.until(lambda: it.cloud.rows)
    it.cloud.conductor_up = True
    it.on_call = note
    it.asked.clear()
    it.until(lambda: len(it.cloud.rows) == 40)
    assert it.cloud.rows[0].status == "accepted"
    assert it.asked["evacuations_from"] <= len(lists) + 5
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


@pytest.mark.parametrize("hangs", [True, False])
def test_what_has_changed_is_asked_for_no_further_back_however_long_one_hangs(hangs: bool) -> None:
    """B42: everything that had changed in the whole cloud since it last moved was listed every ten seconds."""
    it = Stage(servers=2, stuck_after_s=60)
    for n in range(100):
        it.cloud.add_server(f"o{n}", "cmp3")
    it.patience_s = 30.0
    windows: list[tuple[float, int]] = []
    shown = it.cloud.servers_changed

    def listed(since: float) -> list[Server]:
        found = shown(since)
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

    def listed(at: float) -> list[Server]:
        since.append(it.now - at)
        return shown(at)

    it.cloud.servers_changed = listed  # type: ignore[method-assign]
    it.kill_worker()
    it.cloud.rebuild.release_hung(it.cloud.rows[0])
    it.until(it.says(it.cloud.rows[0].server, "evacuated"))
    it.run_for(60.0)
    assert max(since) < 300.0
    assert it.asked["server"] == 1
