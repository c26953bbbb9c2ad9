# SPDX-License-Identifier: Apache-2.0
"""What the worker says, and that it says each thing once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from muster.core.cluster_facts import Node
from muster.core.decide import Decision, Incident
from muster.core.findings import Finding, State, Verdict
from muster.core.nova_facts import Server
from muster.core.sight import Sight
from muster.engine.announce import PUBLISH_EVERY_S, SHOW_AGAIN_S, Announcer
from tests.fakes import FakeClock, FakeCluster, LogLines, NoOutlet

QUEUED = Finding(Server("a", "cmp1", "active", name="app"), Verdict.QUEUED, "ready", "its turn")
EVACUATED = replace(QUEUED, verdict=Verdict.EVACUATED, rule="arrived-proved", reason="active on cmp2", dest="cmp2")
INCIDENT = Incident("cmp1", "cmp1", State.EVACUATING, "working", "1 queued", 100, 100, {"a": QUEUED})


class Outlet(NoOutlet):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.shared = 0
        self.written = 0

    def event(self, event: Any) -> None:
        self.events.append(event.what)

    def share(self) -> None:
        self.shared += 1

    def report(self, incident: Any, data: dict[str, Any]) -> None:
        self.written += 1
        super().report(incident, data)


class Said:
    """An announcer, and what came of it."""

    def __init__(self) -> None:
        self.clock, self.cluster = FakeClock(), FakeCluster.of("cmp1", "cmp2")
        self.outlet, self.log = Outlet(), LogLines()
        self.announcer = Announcer(self.cluster, self.clock, self.log, self.outlet)  # type: ignore[arg-type]
        self.decision = Decision()
        self.proofs: dict[str, dict[str, Finding]] = {}

    def say(self, *incidents: Incident, trouble: str = "", **facts: Any) -> list[str]:
        """:returns: the events that are logged."""
        self.log.lines.clear()
        self.decision = Decision({it.node: it for it in incidents}, **facts)
        self.announcer.say(self.decision, self.proofs, trouble)
        return [f"{level} {event}" for level, event, _ in self.log.lines]

    def publish(self, after_s: float = 0.0, shown: Optional[str] = None) -> int:
        """:returns: how many reports have been written in all."""
        self.clock.pass_by(after_s)
        cluster = self.cluster.look()
        known = self.cluster.published.get("cmp1", "") if shown is None else shown
        nodes = {"cmp1": Node("cmp1", remote=True, shown=known)}
        self.announcer.publish(Sight(self.clock.at, replace(cluster, nodes=nodes)), self.decision)
        return self.outlet.written


def test_what_has_not_changed_is_not_said_again() -> None:
    it = Said()
    assert it.say(INCIDENT) == ["info incident", "info server"]
    assert it.say(INCIDENT) == []
    assert it.say(replace(INCIDENT, reason="another count")) == [], "what it counts is not what it is"
    assert it.say(replace(INCIDENT, findings={"a": EVACUATED})) == ["info server"]
    assert it.outlet.events == ["evacuating: 1 queued", "queued: its turn", "evacuated: active on cmp2"]


def test_what_a_person_has_to_do_something_about_is_said_loudly() -> None:
    it = Said()
    held, late = replace(QUEUED, verdict=Verdict.HELD), replace(QUEUED, alarm=True)
    assert it.say(replace(INCIDENT, state=State.BLOCKED, findings={"a": held})) == ["error incident", "warning server"]
    assert it.say(replace(INCIDENT, findings={"a": late})) == ["info incident", "error server"]


def test_a_server_is_told_as_it_was_proved() -> None:
    """Whatever becomes of it afterwards."""
    it = Said()
    it.proofs = {"cmp1": {"a": EVACUATED}}
    it.say(INCIDENT)
    it.publish()
    assert it.outlet.reports["cmp1"]["proofs"][0]["verdict"] == "evacuated"


def test_half_a_look_says_nothing_of_servers() -> None:
    assert Said().say(INCIDENT, arrivals_unread=True) == ["info incident"]


def test_that_nothing_may_be_done_is_said_and_that_it_may_again() -> None:
    it = Said()
    assert it.say(hindrance="no quorum") == ["warning blocked"]
    assert it.outlet.reason == "no quorum"
    assert it.say(hindrance="no quorum") == []
    assert it.say() == ["info resumed"]
    assert it.outlet.reason == ""
    assert it.say(paused="alice") == ["warning blocked"]
    assert "alice" in it.outlet.reason
    it.say(trouble="HTTP 500")
    assert it.outlet.reason.endswith("HTTP 500")
    it.announcer.say_nothing_is_known("Pacemaker does not answer")
    assert it.outlet.reason == "Pacemaker does not answer"


def test_an_incident_whose_record_is_gone_is_told_to_be_over() -> None:
    it = Said()
    it.say(replace(INCIDENT, rule="close", state=State.RETURNING, reason="back in service"))
    it.publish()
    assert it.say() == ["info incident over"]
    assert it.outlet.reports["cmp1"]["state"] == "closed"
    assert it.outlet.reports["cmp1"]["reason"] == "back in service"
    assert it.cluster.published["cmp1"] == ""
    assert it.say(INCIDENT) == ["info incident", "info server"], "the next one is another"
    it.say()
    assert "evacuating" in it.outlet.reports["cmp1"]["reason"], "somebody removed its record"


def test_reports_are_written_when_they_change_and_seldom() -> None:
    it = Said()
    it.say(INCIDENT)
    assert it.publish() == 1
    assert it.publish(PUBLISH_EVERY_S) == 1, "nothing has changed"
    it.say(replace(INCIDENT, reason="another"))
    assert it.publish() == 2
    it.say(replace(INCIDENT, reason="a third"))
    assert it.publish(PUBLISH_EVERY_S - 0.1) == 2
    assert it.publish(0.1) == 3
    it.say(replace(INCIDENT, state=State.SETTLED))
    assert it.publish() == 4, "that it is settled does not wait"
    assert it.outlet.shared == 6


def test_crm_mon_shows_an_incident_and_is_told_again_what_it_has_forgotten() -> None:
    it = Said()
    it.say(INCIDENT)
    it.publish()
    assert it.cluster.published["cmp1"] == "evacuating 0/1"
    it.cluster.published.clear()
    it.publish(SHOW_AGAIN_S, shown="")
    assert it.cluster.published == {}, "what is shown may be older than that"
    it.publish(0.1, shown="")
    assert it.cluster.published["cmp1"] == "evacuating 0/1"
    it.say(replace(INCIDENT, findings={"a": EVACUATED}))
    it.publish(PUBLISH_EVERY_S - 0.1)
    assert it.cluster.published["cmp1"] == "evacuating 0/1"
    it.publish(0.1)
    assert it.cluster.published["cmp1"] == "evacuating 1/1"


def test_what_an_earlier_worker_has_left_in_crm_mon_is_removed() -> None:
    it = Said()
    it.publish(SHOW_AGAIN_S + 0.1, shown="evacuating 0/1")
    assert it.cluster.published == {"cmp1": ""}


def test_who_may_do_nothing_publishes_nothing() -> None:
    it = Said()
    it.say(INCIDENT, hindrance="no quorum")
    assert it.publish() == 0
    assert it.cluster.published == {}
