# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a call, and when it is given up: by stand-ins for both sides."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Optional

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.errors import Answer, NovaError, NovaRefused, NovaUncertain
from muster.core.nova_facts import ActionLog, Evacuation, EvacuationStatus, Power, Server
from muster.core.sight import Calls, Outcome, Sent
from muster.core.steps import DropHold, Evacuate, ForceUp, ReadCalls, ReadLog, Step
from muster.engine.act import BATCH_S, FINISHED_FAULT_S, TAKEN_SHOWS_S, Act
from muster.engine.memory import HostMemory, Memory
from muster.engine.services import Services
from muster.gateways.nova.faults import answer_of
from tests.fakes import FakeClock, FakeCluster, LogLines

ANSWER_S = 30.0
STEP = Evacuate("cmp1", "a", "a", "cmp1", None, evacuations_before=1)


class SlowNova:
    """Answers each evacuate after so long."""

    def __init__(self, clock: FakeClock, fault: Optional[NovaError]) -> None:
        self._clock = clock
        self.fault = fault
        self.asked: list[str] = []
        self.log = ActionLog(Power.RUNNING)
        self.traced_since: list[float] = []

    def evacuate(self, server: str, target: Optional[str]) -> str:
        self.asked.append(server)
        self._clock.pass_by(ANSWER_S)
        if self.fault:
            raise self.fault
        return f"req-{len(self.asked)}"

    def force_up(self, service: str, unforce: bool, enable: bool, disable_reason: Optional[str] = None) -> str:
        self.asked.append(service)
        return "req-1"

    def action_log(self, server: str, calls_since: float = math.inf, known: Collection[str] = ()) -> ActionLog:
        self.traced_since += [calls_since] if calls_since < math.inf else []
        return self.log


class Engine:
    def __init__(self, fault: Optional[NovaError] = None) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster.of("cmp1")
        self.nova = SlowNova(self.clock, fault)
        record = Record(Phase.EVACUATING, int(self.clock.at), int(self.clock.at))
        self.memory = Memory(hosts={"cmp1": HostMemory(record)}, services=Services(read_by=self.clock.at))
        self.current = True
        nova, log = self.nova, LogLines()
        self.act = Act(
            self.cluster,
            nova,  # type: ignore[arg-type]
            self.clock,
            self.memory,
            log,  # type: ignore[arg-type]
            lambda: self.current,
            lambda seconds: None,
        )

    def do(self, *steps: Step) -> int:
        self.memory.services.read_by = self.clock.at
        return self.act.carry_out(steps)

    @property
    def sent(self) -> Sent:
        return self.memory.hosts["cmp1"].sent.evacuates["a"]


@pytest.mark.parametrize(
    ("fault", "outcome", "quiet_s"),
    [
        (None, Outcome.TAKEN, TAKEN_SHOWS_S),
        (NovaUncertain("no reply"), Outcome.UNCERTAIN, 60.0),
        (NovaUncertain("HTTP 504", status=504), Outcome.UNCERTAIN, 60.0),
        (NovaUncertain("HTTP 500", status=500, answer=Answer.OTHER), Outcome.UNCERTAIN, FINISHED_FAULT_S),
        (NovaRefused("HTTP 409", status=409), Outcome.REFUSED, 0.0),
    ],
    ids=["taken", "no reply", "504", "500", "refused"],
)
def test_a_call_may_be_carried_out_for_so_long_after_it_was_given_up(
    fault: Optional[NovaError], outcome: Outcome, quiet_s: float
) -> None:
    """B1, B2: not after it was sent: whoever waited half a minute for a reply would wait no more, and send again."""
    it = Engine(fault)
    sent_at = it.clock.at
    it.do(STEP)
    assert (it.sent.at, it.sent.outcome) == (sent_at, outcome)
    assert it.sent.quiet_until == it.clock.at + quiet_s == sent_at + ANSWER_S + quiet_s


def test_a_call_knows_how_many_evacuations_there_were_before_it() -> None:
    """B1: one more is its own."""
    it = Engine()
    it.do(STEP)
    assert it.sent.evacuations_before == 1
    assert it.sent.request_id == "req-1"


def test_refusals_add_up_and_a_fault_is_none() -> None:
    """B3."""
    it = Engine(NovaRefused("HTTP 409", status=409))
    it.do(STEP)
    it.nova.fault = NovaUncertain("HTTP 500", status=500, answer=Answer.OTHER)
    it.do(STEP)
    assert len(it.sent.refused) == 1
    it.nova.fault = NovaRefused("HTTP 409", status=409)
    it.do(STEP)
    assert len(it.sent.refused) == 2


@pytest.mark.parametrize("status", [404, 409])
def test_what_nova_does_not_find_is_looked_for_on_its_host(status: int) -> None:
    """B30."""
    it = Engine(NovaRefused(f"HTTP {status}", status=status, answer=answer_of(status)))
    it.memory.hosts["cmp1"].inventory.note_listed(it.clock.at, it.clock.at)
    it.do(STEP)
    assert it.memory.hosts["cmp1"].inventory.list_wanted is (status == 404)


def test_after_a_fault_nothing_more_is_sent_in_that_pass() -> None:
    """B4: one is seldom alone."""
    it = Engine(NovaUncertain("HTTP 500", status=500, answer=Answer.OTHER))
    assert it.do(STEP, STEP) == 0
    assert it.nova.asked == ["a"]
    assert it.memory.troubles.message == "HTTP 500"


def test_a_slow_call_is_followed_by_a_look() -> None:
    """C5, C12: a second host may have died meanwhile."""
    it = Engine()
    assert ANSWER_S > BATCH_S
    assert it.do(STEP, STEP) == 1
    assert Engine().do(STEP, DropHold("cmp1")) == 1


@pytest.mark.parametrize("change", ["nothing", "fenced again", "paused"])
def test_lifts_nothing_once_it_sees_that_it_must_not(change: str) -> None:
    """D5, D8: Nova may have taken long before, and what is lifted then nobody puts back."""
    it = Engine()
    record = it.memory.hosts["cmp1"].record
    last = record.last + (change == "fenced again")
    it.cluster.change("cmp1", record=replace(record, last=last))
    it.cluster.paused = "alice" if change == "paused" else ""
    it.do(ForceUp("cmp1", "u1", "cmp1", unforce=True, enable=True))
    assert it.nova.asked == (["u1"] if change == "nothing" else [])


@pytest.mark.parametrize("lost", ["quorum", "current"])
def test_the_right_to_act_is_asked_for_before_each_step_of_a_batch(lost: str) -> None:
    """C9, C10: it may be lost between two of them."""
    it = Engine()

    def lose(node: str) -> None:
        it.current, it.cluster.quorum = lost != "current", lost != "quorum"

    it.cluster.drop_hold = lose  # type: ignore[method-assign]
    assert it.do(DropHold("cmp1"), STEP) == 1
    assert it.nova.asked == []


@pytest.mark.parametrize(("sent", "old_s", "goes"), [(0, 2.0, 1), (0, 2.1, 0), (1, 15.0, 1), (1, 15.1, 0)])
def test_nothing_is_sent_when_signs_of_life_were_looked_for_too_long_ago(sent: int, old_s: float, goes: int) -> None:
    """C3: a list had taken a minute, and the heartbeats meanwhile were seen after the evacuations."""
    it = Engine()
    if sent:
        it.memory.hosts["cmp1"].sent.evacuate_sent("b", Sent(it.clock.at, Outcome.TAKEN, it.clock.at, 0))
    it.memory.services.read_by = it.clock.at - old_s
    assert it.act.carry_out([STEP]) == goes
    assert it.memory.services.wanted is not bool(goes)


@pytest.mark.parametrize("failed_s", [0.0, 3600.0])
def test_calls_are_read_as_far_back_as_one_is_known_to_have_failed(failed_s: float) -> None:
    """A17: and again once that is known, whatever has been read of them before."""
    it = Engine()
    host = it.memory.hosts["cmp1"]
    host.inventory.note_server(Server("a", "cmp1", "error"), it.clock.at)
    evacuations = (Evacuation("1", "a", "cmp1", EvacuationStatus.ERROR, created=it.clock.at),)
    host.inventory.evacuations.note(evacuations, it.clock.at, it.clock.at, {})
    it.nova.log = ActionLog(Power.RUNNING, failed_at=host.since - failed_s if failed_s else 0.0)
    it.act.carry_out([ReadCalls("cmp1", "a")])
    assert (host.logs.calls["a"].evacuations == Calls.state_of(evacuations)) is not bool(failed_s)
    it.act.carry_out([ReadCalls("cmp1", "a"), ReadLog("a")])
    assert host.logs.calls["a"].evacuations == Calls.state_of(evacuations)
    assert it.nova.traced_since == [host.since, host.since - failed_s - bool(failed_s)]


def test_calls_are_read_as_far_back_as_any_incident_has_evacuations_of_the_server() -> None:
    """B44: one that was sent from another dead host may take the row of this one."""
    it = Engine()
    for name, record in (
        ("cmp1", Record(Phase.EVACUATING, 1000, 1000)),
        ("cmp2", Record(Phase.EVACUATING, 5000, 5000)),
    ):
        it.memory.hosts[name] = HostMemory(record)
        it.memory.hosts[name].inventory.note_server(Server("a", "cmp2", "active"), it.clock.at)
    it.act.carry_out([ReadCalls("cmp2", "a")])
    first = it.memory.hosts["cmp1"].since
    assert it.nova.traced_since == [first]
    assert it.memory.hosts["cmp2"].logs.calls["a"].since == first
