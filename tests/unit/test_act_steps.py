# SPDX-License-Identifier: Apache-2.0
"""What each step does, and what of it is remembered: by stand-ins for both sides."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Optional

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.errors import Answer, NovaError, NovaRefused, NovaUncertain
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server
from muster.core.sight import Outcome, Sent, Tries
from muster.core.steps import (
    DropHold,
    DropRecord,
    Evacuate,
    ForceDown,
    ForceUp,
    ListAgain,
    ReadCalls,
    ReadLog,
    ReadServer,
    Reset,
    Step,
    Stop,
    StopCompute,
    SwapRecord,
    WriteRecord,
)
from muster.engine.act import Act
from muster.engine.memory import HostMemory, Memory
from muster.engine.services import Services
from tests.fakes import FakeClock, FakeCluster, LogLines

SERVER = Server("a", "cmp1", "active")
DOWN = ForceDown("cmp1", "u1", "cmp1", "muster: x")


class Nova:
    """Takes two seconds for whatever it is asked, and fails as it is told."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.fault: Optional[NovaError] = None
        self.asked: list[str] = []
        self.log = ActionLog(Power.RUNNING)
        self.new: list[CallTrace] = []
        self.known: Collection[str] = ()
        self.placement: Optional[NovaError] = None

    def _take(self, what: str) -> str:
        self.asked.append(what)
        self._clock.pass_by(2.0)
        if self.fault:
            raise self.fault
        return "req-1"

    def force_down(self, service: str, reason: Optional[str]) -> str:
        return self._take(f"force_down {reason}")

    def force_up(self, service: str, unforce: bool, enable: bool, disable_reason: Optional[str] = None) -> str:
        return self._take("force_up")

    def stop(self, server: str) -> str:
        return self._take("stop")

    def reset_state(self, server: str) -> str:
        return self._take("reset")

    def action_log(self, server: str, calls_since: float = math.inf, known: Collection[str] = ()) -> ActionLog:
        self._take("action_log")
        self.known = set(known)
        return replace(self.log, calls=tuple(self.new) if calls_since < math.inf else ())

    def trace(self, server: str, request_id: str) -> CallTrace:
        self._take(f"trace {request_id}")
        return self.new[0]

    def claimed(self, server: str) -> list[str]:
        if self.placement:
            raise self.placement
        return ["cmp2"]


class Engine:
    """One dead host with one server."""

    def __init__(self, phase: Phase = Phase.EVACUATING) -> None:
        self.clock, self.cluster, self.logged = FakeClock(), FakeCluster.of("cmp1"), LogLines()
        self.began = self.clock.at
        self.record = Record(phase, int(self.began), int(self.began))
        self.cluster.change("cmp1", record=self.record, member=False, fenced_at=self.record.last, hold=True)
        self.nova = Nova(self.clock)
        self.host = HostMemory(self.record)
        self.host.inventory.note_server(SERVER, self.began)
        services = Services(read_at=self.began, read_by=self.began)
        self.memory = Memory(hosts={"cmp1": self.host}, services=services)
        act: Any = (self.cluster, self.nova, self.clock, self.memory, self.logged)
        self._act = Act(*act, lambda: True, lambda seconds: None)

    def do(self, *steps: Any) -> int:
        return self._act.carry_out(steps)

    @property
    def said(self) -> list[str]:
        return [event for _, event, _ in self.logged.lines]


def test_an_unknown_step_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="unknown step"):
        Engine().do("step")


def test_a_record_is_written_where_there_is_none() -> None:
    it = Engine()
    it.cluster.change("cmp1", record=None)
    assert it.do(WriteRecord("cmp1", None, it.record)) == 1
    assert it.cluster.nodes["cmp1"].record == it.record


@pytest.mark.parametrize(
    ("before", "after", "began_here", "released"),
    [
        (Phase.FENCED, Phase.EVACUATING, True, False),
        (Phase.EVACUATING, Phase.RETURNING, False, True),
        (Phase.RETURNING, Phase.CLOSED, False, False),
    ],
)
def test_who_changes_the_record_knows_what_that_began(
    before: Phase, after: Phase, began_here: bool, released: bool
) -> None:
    it = Engine(before)
    new = replace(it.record, phase=after)
    assert it.do(SwapRecord("cmp1", it.record, new)) == 1
    assert it.cluster.nodes["cmp1"].record == new
    assert (it.host.liveness.began_here, it.host.returning.released) == (began_here, released)
    assert it.host.record == it.record, "the next look sees it"


def test_a_record_may_be_changed_of_a_host_that_nothing_is_remembered_of() -> None:
    it = Engine()
    it.memory.keep_hosts({})
    assert it.do(SwapRecord("cmp1", it.record, replace(it.record, phase=Phase.RETURNING))) == 1


def test_what_another_worker_has_changed_ends_the_batch() -> None:
    """C14."""
    it = Engine()
    other = replace(it.record, phase=Phase.RETURNING)
    assert it.do(SwapRecord("cmp1", other, other), DropHold("cmp1")) == 0
    assert it.said == ["write refused"]


def test_a_cluster_that_falls_silent_ends_the_batch() -> None:
    """C15."""
    it = Engine(Phase.RETURNING)
    it.cluster.quorate = lambda: True  # type: ignore[method-assign]
    it.cluster.silent = True
    assert it.do(DropHold("cmp1")) == 0
    assert it.said == ["cluster silent"]


def test_the_hold_and_the_record_go_when_their_time_has_come() -> None:
    it = Engine(Phase.CLOSED)
    assert it.do(DropHold("cmp1"), DropRecord("cmp1", it.record)) == 2
    assert (it.cluster.nodes["cmp1"].hold, it.cluster.nodes["cmp1"].record) == (False, None)


def test_a_compute_that_is_stopped_has_to_show_itself_anew() -> None:
    it = Engine(Phase.RETURNING)
    it.cluster.change("cmp1", member=True, hold=False)
    assert it.do(StopCompute("cmp1", it.record)) == 1
    assert it.cluster.nodes["cmp1"].hold
    assert it.host.returning.compute_stops == 1


def test_what_is_to_be_read_is_read_by_the_next_look() -> None:
    it = Engine()
    it.host.inventory.note_listed(it.began, it.began)
    assert it.do(ListAgain("cmp1"), ReadServer("a")) == 2
    assert (it.host.inventory.list_wanted, it.host.inventory.to_read) == (True, {"a"})


def test_after_a_force_down_the_services_are_read_before_anything_is_said_of_them() -> None:
    """B15."""
    it = Engine()
    assert it.do(DOWN) == 1
    assert it.nova.asked == ["force_down muster: x"]
    assert (it.memory.services.outdated, it.host.liveness.forced_down_at) == (True, it.began)
    assert it.host.liveness.force_down_late_until == 0.0


@pytest.mark.parametrize(("answer", "late"), [(Answer.LOST, True), (Answer.OTHER, False)])
def test_only_a_force_down_that_was_lost_on_the_way_may_come_late(answer: Answer, late: bool) -> None:
    """B15: a 500 came from Nova's own end."""
    it = Engine()
    it.nova.fault = NovaUncertain("no", answer=answer)
    assert it.do(DOWN, ListAgain("cmp1")) == 0
    assert (it.host.liveness.force_down_late_until > 0.0) is late
    assert it.memory.troubles.call_failed("cmp1", it.clock.monotonic()) == "no"


@pytest.mark.parametrize("known", [True, False])
def test_a_host_that_is_not_remembered_is_not_lifted(known: bool) -> None:
    """D5."""
    it = Engine(Phase.RETURNING)
    if not known:
        it.memory.keep_hosts({})
    assert it.do(ForceUp("cmp1", "u1", "cmp1", True, True)) == 1
    assert it.nova.asked == ["force_up"] * known


@pytest.mark.parametrize(("fault", "done"), [(NovaRefused("no", status=403), 1), (NovaUncertain("no", status=500), 0)])
def test_a_log_that_cannot_be_read_keeps_the_others_from_nothing(fault: NovaError, done: int) -> None:
    """B4: a refusal is of this server, a fault may be of all."""
    it = Engine()
    it.nova.fault = fault
    assert it.do(ReadLog("a")) == done
    assert it.host.logs.failures == {"a": Tries(it.began + 4.0, 1)}
    assert it.memory.troubles.faults_counted == 1 - done
    assert it.memory.troubles.call_failed("cmp1", it.clock.monotonic()) == ""


def test_a_log_is_as_old_as_the_question_for_it() -> None:
    it = Engine()
    assert it.do(ReadLog("a")) == 1
    assert it.host.logs.owners["a"].read_at == it.began


@pytest.mark.parametrize(
    ("trace", "placement", "claimed"),
    [
        (CallTrace("req-1", 1.0), None, ("cmp2",)),
        (CallTrace("req-1", 1.0), NovaRefused("no"), ()),
        (CallTrace("req-1", 1.0, landed=2.0), None, ()),
        (CallTrace("req-1", 1.0, over=True), None, ()),
    ],
    ids=["waits", "nobody says where", "has begun", "is over"],
)
def test_where_a_call_waits_is_asked_as_long_as_it_does(
    trace: CallTrace, placement: Optional[NovaError], claimed: tuple[str, ...]
) -> None:
    """B19."""
    it = Engine()
    it.nova.new, it.nova.placement = [trace], placement
    assert it.do(ReadCalls("cmp1", "a")) == 1
    assert (it.host.logs.calls["a"].traces, it.host.logs.calls["a"].claimed) == ((trace,), claimed)


def test_what_is_over_is_kept_and_not_asked_for() -> None:
    """B19."""
    it = Engine()
    over, later = CallTrace("req-1", 1.0, over=True), CallTrace("req-2", 2.0, over=True)
    it.nova.new = [over]
    it.do(ReadCalls("cmp1", "a"))
    it.nova.new = [later]
    it.do(ReadCalls("cmp1", "a"))
    assert (it.nova.known, it.host.logs.calls["a"].traces) == ({"req-1"}, (over, later))


@pytest.mark.parametrize(
    ("dest", "asked"),
    [("cmp2", ["trace req-1"]), ("cmp3", ["trace req-1", "action_log"])],
    ids=["ours", "another call took its row"],
)
def test_of_the_one_call_that_is_not_known_nova_is_asked_alone(dest: str, asked: list[str]) -> None:
    """A17: what its owner wants is not the question then; one list answers both."""
    it = Engine()
    failed = Evacuation("1", "a", "cmp1", EvacuationStatus.FAILED, dest, it.began + 1.0, it.began + 2.0)
    it.host.inventory.evacuations.note([failed], it.began, it.began, {})
    it.host.sent.evacuate_sent("a", Sent(it.began, Outcome.TAKEN, it.began, 0, "req-1"))
    it.nova.new = [CallTrace("req-1", it.began, "cmp2", failed=True, over=True)]
    assert it.do(ReadCalls("cmp1", "a")) == 1
    assert (it.nova.asked, it.host.logs.calls["a"].traces) == (asked, (it.nova.new[0],))
    assert (it.host.logs.owners != {}) is ("action_log" in asked)


def test_calls_that_are_not_shown_are_known_to_have_been_asked_for() -> None:
    it = Engine()
    it.nova.fault = NovaRefused("no", status=403)
    assert it.do(ReadCalls("cmp1", "a")) == 1
    assert (it.host.logs.calls["a"].traces, it.said) == (None, ["calls not shown"])


@pytest.mark.parametrize("fault", [None, NovaRefused("no", status=409), NovaUncertain("no", status=0)])
@pytest.mark.parametrize("step", [Stop("a"), Reset("a", "app", "paused")])
def test_what_may_be_repeated_is_counted_whatever_comes_of_it(step: Step, fault: Optional[NovaError]) -> None:
    """A3, A4: its effect is looked for."""
    it = Engine()
    it.nova.fault = fault
    assert it.do(step) == 1
    what = "stop" if isinstance(step, Stop) else "reset"
    assert (it.host.sent.stops if what == "stop" else it.host.sent.resets) == {"a": Tries(it.began, 1)}
    assert it.said == [f"{what} failed" if fault else f"{what} sent"]
    assert (it.memory.polling.servers_due, it.memory.polling.last_change_at) == (True, it.began)


def test_who_is_not_the_worker_any_more_does_nothing() -> None:
    """C9."""
    it = Engine()
    it._act._current = lambda: False
    assert it.do(DOWN, Evacuate("cmp1", "a", "a", "cmp1", None, 0)) == 0
    assert (it.nova.asked, it.said) == ([], ["not the worker any more"])


@pytest.mark.parametrize(("answer", "counts"), [(Answer.UNFIT, True), (Answer.FORBIDDEN, False)])
def test_that_a_lift_was_refused_for_what_is_not_completed_is_remembered(answer: Answer, counts: bool) -> None:
    """D9."""
    it = Engine(Phase.RETURNING)
    it.nova.fault = NovaRefused("no", answer=answer)
    assert it.do(ForceUp("cmp1", "u1", "cmp1", True, True)) == 0
    assert bool(it.host.returning.lift_refused_at) is counts
