# SPDX-License-Identifier: Apache-2.0
"""One pass after the other: what it does in which order, and how long it rests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest

from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import ClusterError
from muster.core.nova_facts import Evacuation, EvacuationStatus
from muster.core.sight import Sight
from muster.core.steps import Evacuate
from muster.engine.memory import HostMemory, Memory
from muster.engine.worker import BUSY_LOOK_S, IDLE_LOOK_S, WAKE_POLL_S, Worker
from tests.fakes import FakeClock, FakeCluster, LogLines, NoOutlet, settings
from tests.unit.sights import DOWN, FENCED, NOW, node, server, sight


class Passes:
    """A worker whose look shows what it is told, and whose act does as many steps as it is told."""

    def __init__(self, seen: Optional[Sight], done: int = 0, **parameters: Any) -> None:
        self.seen, self.done, self.rest = seen, done, 0.25
        self.steps: list[Any] = []
        self.warmed = 0
        self.waited: list[float] = []
        self.going = 1_000
        self.clock, self.cluster, self.outlet = FakeClock(), FakeCluster.of("cmp1"), NoOutlet()
        self.memory = Memory()
        policy: Any = settings(**parameters)
        ports: Any = (self, self, self.cluster, self.clock, policy, self.memory, LogLines(), self.outlet, self.wait)
        self.worker = Worker(*ports)

    def sight(self) -> Sight:
        if self.seen is None:
            raise ClusterError("timed out")
        return self.seen

    def carry_out(self, steps: Any) -> int:
        self.steps = list(steps)
        return self.done

    def rest_s(self) -> float:
        return self.rest

    def warm_up(self) -> None:
        self.warmed += 1

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.clock.pass_by(seconds)
        self.going -= 1
        return self.going > 0


QUEUED = sight(node(), server("a"), server("b"))


def test_a_pacemaker_that_does_not_answer_is_told_and_waited_for() -> None:
    """C15."""
    it = Passes(None)
    assert it.worker.one_pass() == IDLE_LOOK_S
    assert it.memory.cluster_trouble == "timed out"
    assert it.outlet.reason == "Pacemaker does not answer: timed out"
    it.seen = QUEUED
    it.worker.one_pass()
    assert it.memory.cluster_trouble == ""


@pytest.mark.parametrize(
    ("seen", "done", "parameters", "rest_s"),
    [
        (replace(QUEUED, cluster=replace(QUEUED.cluster, nodes={}), hosts={}), 0, {}, IDLE_LOOK_S),
        (QUEUED, 0, {}, BUSY_LOOK_S),
        (QUEUED, 1, {}, 0.0),
        (QUEUED, 0, {"in_flight": 1}, 0.25),
    ],
    ids=["nobody is dead", "nothing was done", "something was done", "one waits for another"],
)
def test_how_long_it_rests_follows_from_what_there_is_to_wait_for(
    seen: Sight, done: int, parameters: dict[str, Any], rest_s: float
) -> None:
    assert Passes(seen, done, **parameters).worker.one_pass() == rest_s


def test_what_is_asked_next_knows_what_was_decided() -> None:
    it = Passes(QUEUED, in_flight=1)
    it.worker.one_pass()
    assert [type(step) for step in it.steps] == [Evacuate]
    assert (it.memory.polling.sending, it.memory.polling.waiting) == (True, True)


def test_half_a_look_gives_places_away_and_says_nothing() -> None:
    """What has become of those that arrived is read a little later."""
    it = Passes(replace(QUEUED, arrivals_unread=True))
    it.worker.one_pass()
    assert {type(step) for step in it.steps} == {Evacuate}
    assert it.outlet.reports == {}
    it.seen = QUEUED
    it.worker.one_pass()
    assert set(it.outlet.reports) == {"cmp1"}


def test_the_first_evacuation_does_not_wait_for_notes_to_be_taken() -> None:
    up = replace(DOWN, forced_down=False, enabled=True, disabled_reason="")
    claimed = sight(node(), server("a"), service=up)
    it = Passes(claimed, done=1)
    it.worker.one_pass()
    assert it.outlet.reports == {}
    it.done = 0
    it.worker.one_pass()
    assert set(it.outlet.reports) == {"cmp1"}


def test_what_is_proved_is_kept() -> None:
    done = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 50, NOW - 20)
    seen = sight(node(), replace(server("a"), host="cmp2"), server("b"), evacuations=(done,))
    it = Passes(seen)
    it.worker.one_pass()
    it.memory.hosts["cmp1"] = HostMemory(Record(Phase.EVACUATING, FENCED, FENCED))
    it.worker.one_pass()
    assert set(it.memory.hosts["cmp1"].proofs) == {"a"}


def test_what_died_with_its_destination_is_kept() -> None:
    """B11."""
    begun = Evacuation("1", "a", "cmp0", EvacuationStatus.PRE_MIGRATING, "cmp1", FENCED - 5, FENCED - 5)
    it = Passes(sight(node()))
    it.memory.hosts["cmp0"] = HostMemory(Record(Phase.EVACUATING, FENCED, FENCED))
    it.memory.hosts["cmp0"].inventory.evacuations.note([begun], NOW, NOW, {})
    it.worker.one_pass()
    assert it.memory.hosts["cmp0"].dead_evacuations == {"1"}


def test_it_is_awake_at_once_when_pacemaker_has_rewritten_its_configuration() -> None:
    it = Passes(QUEUED)
    seen = it.cluster.cib_changed()
    assert it.worker._rest(1.0, seen)
    assert sum(it.waited) == pytest.approx(1.0)
    it.cluster.change("cmp1", hold=True)
    it.waited.clear()
    assert it.worker._rest(1.0, seen)
    assert it.waited == [WAKE_POLL_S]


def test_it_stops_when_it_is_told_to() -> None:
    it = Passes(QUEUED)
    it.going = 3
    it.worker.run()
    assert (it.warmed, len(it.waited)) == (1, 3)


def test_a_node_that_is_gone_is_no_incident() -> None:
    it = Passes(replace(QUEUED, cluster=replace(QUEUED.cluster, nodes={"cmp1": Node("cmp1", True, member=True)})))
    assert it.worker.one_pass() == IDLE_LOOK_S
