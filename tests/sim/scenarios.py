# SPDX-License-Identifier: Apache-2.0
"""Worlds in which one thing happens at the one moment that matters: histories come upon it once in thousands."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from muster.core.errors import NovaUnavailable
from tests.sim.inventory import Call, Instance
from tests.sim.process import Process
from tests.sim.stage import Stage


def fenced_while_it_looks_at_nova() -> Stage:
    """The host is fenced once more after the worker has read its record, and before it claims it."""
    it = Stage()

    def again(process: Process, kind: str, moment: str) -> None:
        record = it.site.nodes["cmp1"].record
        if record and record.first == record.last and (kind, moment) == ("services", "after"):
            it.run_for(2.0)
            it.fence("cmp1")

    it.on_call = again
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    return it


def over_before_its_call_is_read() -> Stage:
    """An evacuation that others have overtaken is listed as not begun, and over by the time that Nova shows its call.
    With so many under way the list is some seconds old by then."""
    it = Stage(servers=100, in_flight=100)
    it.verbose = False
    rebuild, held = it.cloud.rebuild, []
    schedule = rebuild.schedule

    def hold_the_first(inst: Instance, call: Call, target: Optional[str]) -> None:
        if len(it.cloud.rows) == 1:
            held.append(functools.partial(schedule, inst, call, target))
        else:
            schedule(inst, call, target)

    def slowly(process: Process, kind: str, moment: str) -> None:
        if (kind, moment) == ("evacuate", "after"):
            it.run_for(0.5)
        if (kind, moment) == ("action_log", "before") and held:
            held.pop()()
            it.run_for(0.5)
            rebuild.release_hung(it.cloud.rows[0])
            it.until(lambda: it.cloud.rows[0].status == "done")
            for row in it.cloud.rows[1:]:
                it.after(10.0, functools.partial(rebuild.release_hung, row))

    rebuild.schedule, it.on_call = hold_the_first, slowly  # type: ignore[method-assign]
    it.cloud.odds.hang = 1.0
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    return it


def moved_while_its_call_may_still_begin() -> Stage:
    """The conductor does not say what has become of a call; another hand moves the server, and its new host dies."""
    it = Stage(hosts=4)
    it.cloud.odds.lose = 1.0
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["accepted"])
    it.cloud.odds.lose = 0.0
    it.cloud.evacuate("s0", None, by="operator")
    it.until(lambda: it.server("s0").host != "cmp1")
    second = it.server("s0").host
    it.fence(second)
    it.until(it.says("s0", "queued", second))
    it.run_for(30.0)
    return it


def moved_from_a_host_that_cannot_be_listed() -> Stage:
    """The same, and a new worker reads no evacuation of the first host."""
    it = moved_while_its_call_may_still_begin()
    listed = it.cloud.evacuations_from

    def fails(host: str, *rest: Any) -> Any:
        if host == "cmp1":
            raise NovaUnavailable("evacuations_from cmp1: HTTP 500", status=500)
        return listed(host, *rest)

    it.cloud.evacuations_from = fails  # type: ignore[method-assign]
    it.takeover()
    it.run_for(200.0)
    return it


def held_in_the_conductor(it: Stage) -> Callable[[], None]:
    """The first call waits there until this is called."""
    rebuild, held = it.cloud.rebuild, []
    schedule = rebuild.schedule

    def hold(*call: Any) -> None:
        if held:
            schedule(*call)
        else:
            held.append(call)

    def begin() -> None:
        rebuild.schedule = schedule  # type: ignore[method-assign]
        for call in held:
            schedule(*call)

    rebuild.schedule = hold  # type: ignore[method-assign]
    return begin


def started_past_the_hold(it: Stage, host: str) -> None:
    """An operator starts nova-compute there, once the host is back."""
    it.power_on(host)
    it.by_hand = host
    it.lived_by_hand.add(host)
    it.cloud.rebuild.start_compute(host, resumes=False)
    it.by_hand = ""


def moved_twice_while_its_call_may_still_begin() -> Stage:
    """Another hand moves the server from host to host, and each dies; the row of its last call is the only one open, and
    stands for the first call, which was sent minutes before that incident began."""
    it = Stage(hosts=6)
    begin = held_in_the_conductor(it)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["accepted"])
    for done in (1, 2):
        here = it.server("s0").host
        it.until(lambda here=here: not it.cloud.computes[here].up(it.now))  # type: ignore[misc]
        it.cloud.evacuate("s0", None, by="operator")
        it.until(lambda done=done: it.rows("s0") == ["done"] * done + ["accepted"])  # type: ignore[misc]
        it.run_for(120.0)
        it.fence(it.server("s0").host)
        it.run_for(60.0)
    it.run_for(60.0)
    begin()
    it.run_for(60.0)
    return it


def begun_after_its_source_has_started() -> Stage:
    """Its row is `completed`, and the one that the destination writes itself is open while its rebuild hangs; the source
    is fenced again, as muster says."""
    it = Stage(hosts=4)
    begin = held_in_the_conductor(it)
    it.fence("cmp1")
    it.until(lambda: it.rows("s0") == ["accepted"])
    started_past_the_hold(it, "cmp1")
    it.cloud.odds.hang = 1.0
    begin()
    it.until(lambda: it.rows("s0") == ["completed", "pre-migrating"])
    it.run_for(30.0)
    it.cloud.rebuild.power_cut("cmp1")
    it.fence("cmp1")
    it.run_for(120.0)
    return it
