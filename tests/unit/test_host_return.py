# SPDX-License-Identifier: Apache-2.0
"""The way back: when a host is settled, what keeps its nova-compute away, and when its incident is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.core.cluster_facts import Cluster, Phase, Record
from muster.core.decide import Decision, decide
from muster.core.errors import Answer
from muster.core.findings import State, Verdict
from muster.core.nova_facts import ActionLog, Evacuation, EvacuationStatus, Power, Service
from muster.core.operator_orders import Orders
from muster.core.past_incidents import Past, PastIncident
from muster.core.sight import Calls, HostSight, Outcome, Sent, Tries
from muster.core.steps import (
    DropHold,
    DropRecord,
    ForceUp,
    ListAgain,
    ReadCalls,
    ReadLog,
    StopCompute,
    SwapRecord,
)
from muster.reporting import report
from tests.fakes import settings
from tests.unit.sights import DOWN, FENCED, NOW, node, sent, server, server_sights, sight


@pytest.mark.parametrize("verdict_of", ["accepted", "pre-migrating"])
def test_nova_compute_is_kept_away_while_an_evacuation_is_open(verdict_of: str) -> None:
    """D1."""
    moving = Evacuation("1", "a", "cmp1", EvacuationStatus(verdict_of), "cmp2", NOW - 1, NOW - 1)
    decision = decide(sight(node(), server("a"), evacuations=(moving,)), settings())
    assert not any(isinstance(s, DropHold) for s in decision.steps)


def test_settled_lets_the_host_return_and_names_what_stays() -> None:
    """D2."""
    decision = decide(sight(node(), server("a", vm_state="paused")), settings())
    assert decision.incidents["cmp1"].state is State.SETTLED
    assert "1 held" in decision.incidents["cmp1"].reason
    assert [type(s) for s in decision.steps] == [SwapRecord, DropHold]


@pytest.mark.parametrize(
    ("firsts", "window_s", "rule"),
    [
        ((100, 499), 500, "flaps"),
        ((100, 500), 500, "settled"),
        ((100,), 500, "settled"),
        ((0, 100), 500, "settled"),
        ((100, 499), 0, "settled"),
        ((-5, 100), 500, "settled"),
    ],
)
def test_a_host_that_is_fenced_for_the_third_time_does_not_return_by_itself(
    firsts: tuple[int, ...], window_s: int, rule: str
) -> None:
    """D14: its own incident may be noted already, and one that began later is not an earlier one."""
    past = Past(tuple(PastIncident(FENCED - ago) for ago in firsts))
    policy = settings(flap_window_s=window_s)
    told = decide(sight(replace(node(), past=past), server("a", vm_state="paused")), policy)
    assert told.incidents["cmp1"].rule == rule
    assert any(isinstance(step, DropHold) for step in told.steps) is (rule == "settled")
    if rule == "flaps":
        assert told.incidents["cmp1"].state is State.BLOCKED
        assert told.incidents["cmp1"].reason == (
            "fenced in 3 incidents within 500 s (flap_window_s), so muster keeps nova-compute stopped there; 1 held."
            " After the repair: muster release cmp1"
        )
        ordered = replace(node(), past=past, orders=Orders(FENCED, released=True))
        assert any(isinstance(step, DropHold) for step in decide(sight(ordered), policy).steps)
        moving = Evacuation("1", "a", "cmp1", EvacuationStatus("accepted"), "cmp2", NOW - 1, NOW - 1)
        busy = sight(replace(node(), past=past), server("a"), evacuations=(moving,))
        assert decide(busy, policy).incidents["cmp1"].rule == "working"


def test_a_row_of_a_server_whose_finish_is_false_keeps_nova_compute_away() -> None:
    """D1: to everything else that is settled an open row means nothing; this one has arrived nowhere."""
    died = Evacuation("1", "a", "cmp1", EvacuationStatus.PRE_MIGRATING, "cmp3", NOW - 300, NOW - 300)
    lost = Evacuation("2", "a", "cmp1", EvacuationStatus.COMPLETED, "cmp2", NOW - 200, NOW - 200)
    base = sight(node(), server("a", updated=NOW - 200, task_state="rebuilding"), evacuations=(died, lost))
    it = replace(
        base, hosts={"cmp1": replace(base.hosts["cmp1"], dead_evacuations=frozenset({"1"}), first_listed_at=NOW - 9)}
    )
    incident = decide(it, settings()).incidents["cmp1"]
    assert incident.findings["a"].rule == "completed-but-not-moved"
    assert incident.rule == "rows-open"
    skipped = replace(it.hosts["cmp1"].servers["a"].server, task_state="", vm_state="shelved_offloaded")
    servers = server_sights([skipped], [died])
    other = replace(it, hosts={"cmp1": replace(it.hosts["cmp1"], servers=servers)})
    assert decide(other, settings()).incidents["cmp1"].rule == "settled"


def test_settled_is_only_said_after_a_fresh_complete_list() -> None:
    assert decide(sight(node(), listed_at=NOW - 60), settings()).incidents["cmp1"].state is State.EVACUATING


def test_a_list_without_a_server_that_was_evacuated_from_there_settles_nothing() -> None:
    """B31: whoever answered it: Nova's evacuations name a server that it ought to show."""
    done = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 200, NOW - 200)
    decision = decide(sight(node(), evacuations=(done,)), settings())
    assert decision.incidents["cmp1"].rule == "list-short"
    assert decision.steps == ()
    assert (
        decide(sight(node(), evacuations=(done,), dropped=frozenset({"1"})), settings()).incidents["cmp1"].rule
        == "settled"
    )


@pytest.mark.parametrize("doubted", [True, False])
def test_a_list_that_a_silent_cell_may_have_cut_short_makes_no_server_gone(doubted: bool) -> None:
    """B13, B30."""
    refused = Sent(NOW - 20, Outcome.REFUSED, 0.0, 0, answer=Answer.NOT_FOUND, refused=(NOW - 20,))
    it = sight(node(), server("a"), server("b"), sent={"a": refused}, listed={"b": True}, doubted=doubted)
    findings = decide(it, settings()).incidents["cmp1"].findings
    assert findings["a"].verdict is (Verdict.UNKNOWN if doubted else Verdict.GONE)


class TestReturn:
    back = node(Phase.RETURNING)
    done = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    completed = replace(done, status=EvacuationStatus.COMPLETED)

    def test_stays_forced_down_until_nova_compute_has_finished_its_rows(self) -> None:
        """D3, D5."""
        unread = {"evacuations": (self.done,), "compute_restarted": True, "back_at": 0.0}
        for facts in (unread, {"evacuations": (self.done,), "compute_restarted": True}, {"compute_restarted": False}):
            assert decide(sight(self.back, **facts), settings()).steps == ()  # type: ignore[arg-type]

    def test_nova_compute_is_started_anew_where_it_has_finished_a_part_of_its_rows(self) -> None:
        """D9: Nova completes one evacuation of a server at a start, and refuses to lift while another is `done`."""
        seen: dict[str, Any] = {"evacuations": (self.done,), "compute_restarted": True, "back_at": NOW - 1}
        here = replace(self.back, member=True)
        record = here.record
        assert record
        assert decide(sight(here, **seen), settings()).steps == (StopCompute("cmp1", record),)
        away = sight(self.back, **seen)
        kept = sight(replace(here, hold=True), compute_stopped_at=NOW - 14, compute_stops=1)
        twice = sight(here, **seen, compute_stops=2)
        for it in (away, kept, twice, sight(here, **{**seen, "back_at": NOW})):
            assert decide(it, settings()).steps == ()
        let_go = replace(kept, now=NOW + 1)
        assert decide(let_go, settings()).steps == (DropHold("cmp1"),)
        slow = sight(replace(here, hold=True), compute_stopped_at=NOW - 34, compute_stops=1, beats_every_s=30.0)
        assert decide(slow, settings()).steps == ()

    @pytest.mark.parametrize("status", ["accepted", "pre-migrating"])
    def test_waits_for_an_evacuation_that_has_begun_since(self, status: str) -> None:
        """D11: neither lifted nor started anew, until it has ended or is a person's to look at."""
        begun = Evacuation("2", "b", "cmp1", EvacuationStatus(status), "cmp2", NOW - 60, NOW - 1)
        here, moving = replace(self.back, member=True), server("b", task_state="rebuilding")
        for others in ((), (self.done,), (self.completed,)):
            seen: dict[str, Any] = {"evacuations": (begun, *others), "compute_restarted": True}
            told = decide(sight(here, moving, **seen, back_at=NOW - 119), settings())
            assert told.incidents["cmp1"].rule == "begun-late"
            assert not any(isinstance(step, (ForceUp, StopCompute)) for step in told.steps)
            assert told.incidents["cmp1"].reason.endswith("waiting for 1 evacuation from here to end")
            late = decide(sight(here, moving, **seen, back_at=NOW - 121), settings())
            assert late.incidents["cmp1"].findings["b"].verdict is Verdict.HELD
            assert isinstance(late.steps[0], (ForceUp, StopCompute))
        lifted = replace(DOWN, forced_down=False, enabled=True, disabled_reason="", up=True)
        over = decide(sight(here, moving, service=lifted, **seen, back_at=NOW - 60), settings())
        assert over.incidents["cmp1"].rule == "verdicts-open"

    def test_nova_compute_is_started_anew_where_only_novas_refusal_tells_of_a_row(self) -> None:
        """D9: the conductor had taken the row of an earlier incident, and nobody lists that."""
        here = replace(self.back, member=True)
        seen: dict[str, Any] = {"evacuations": (self.completed,), "compute_restarted": True, "back_at": NOW - 9}
        assert here.record
        refused = sight(here, **seen, lift_refused_at=NOW - 59)
        assert decide(refused, settings()).steps == (StopCompute("cmp1", here.record),)
        twice = decide(sight(here, **seen, lift_refused_at=NOW - 59, compute_stops=2), settings())
        assert (twice.incidents["cmp1"].rule, twice.steps) == ("half-finished", ())
        assert "did not clean up after an evacuation of an earlier incident: one" in twice.incidents["cmp1"].reason
        for facts in ({"lift_refused_at": NOW - 60, "compute_stops": 2}, {}):
            assert [type(step) for step in decide(sight(here, **seen, **facts), settings()).steps] == [ForceUp]

    def test_waits_for_no_row_that_nova_has_deleted(self) -> None:
        """D7."""
        steps = decide(
            sight(self.back, evacuations=(self.done,), compute_restarted=True, dropped={"1"}), settings()
        ).steps
        assert [type(step) for step in steps] == [ForceUp]

    def test_says_when_its_nova_compute_has_to_start_once_more(self) -> None:
        """D5: of two evacuations of one server it finishes one at a start, and lifting is refused until the other is."""
        facts = {"evacuations": (self.done,), "compute_restarted": True, "back_at": NOW - 1}
        told = decide(sight(self.back, **facts), settings())  # type: ignore[arg-type]
        assert (told.incidents["cmp1"].rule, told.steps) == ("half-finished", ())
        assert told.incidents["cmp1"].reason.endswith("on this host: systemctl restart '*nova*compute*'")
        it = sight(self.back, **facts)  # type: ignore[arg-type]
        it = replace(it, cluster=replace(it.cluster, nova_compute="nova-compute-clone"))
        named = decide(it, settings()).incidents["cmp1"].reason
        assert named.endswith("on this host: pcs resource restart nova-compute-clone cmp1")
        seen = sight(self.back, **facts)  # type: ignore[arg-type]
        named = decide(replace(seen, cluster=replace(seen.cluster, nova_compute="nova-clone")), settings())
        assert named.incidents["cmp1"].reason.endswith(": pcs resource restart nova-clone cmp1")
        early = decide(sight(self.back, **{**facts, "back_at": NOW}), settings())  # type: ignore[arg-type]
        assert early.incidents["cmp1"].rule == "awaits-compute"

    @pytest.mark.parametrize("service", [DOWN, replace(DOWN, forced_down=False, enabled=True, disabled_reason="")])
    def test_waits_for_its_first_heartbeat_whatever_its_rows_say(self, service: Service) -> None:
        """D15: enabled before that, it is scheduled to a minute later."""
        facts: dict[str, Any] = {"evacuations": (self.completed,), "compute_restarted": True, "back_at": 0.0}
        for member, awaited in ((True, "the first heartbeat of nova-compute"), (False, "the host to join the cluster")):
            here = replace(self.back, member=member)
            decision = decide(sight(here, service=service, **facts), settings())
            assert (decision.incidents["cmp1"].rule, decision.steps) == ("awaits-compute", ())
            assert decision.incidents["cmp1"].reason.startswith(f"waiting for {awaited}; ")

    def test_lifts_what_muster_did(self) -> None:
        """D1."""
        step = decide(sight(self.back, evacuations=(self.completed,), compute_restarted=True), settings()).steps[0]
        assert step == ForceUp("cmp1", "u1", "cmp1", unforce=True, enable=True)

    @pytest.mark.parametrize("reason", ["disk swap on friday", "see muster: it comes back by itself", " muster: x"])
    def test_an_operators_disable_stays(self, reason: str) -> None:
        """D4: also one that speaks of muster: only the beginning is its mark."""
        theirs = replace(DOWN, disabled_reason=reason)
        step = decide(sight(self.back, service=theirs, compute_restarted=True), settings()).steps[0]
        assert step == ForceUp("cmp1", "u1", "cmp1", unforce=True, enable=False)

    def test_a_host_returns_disabled_where_the_operator_wants_to_enable_it_himself(self) -> None:
        """D13: with the command in Nova's reason; from then on it is his, also in the next incident."""
        kept = settings(**{"return": "disabled"})
        facts: dict[str, Any] = {"evacuations": (self.completed,), "compute_restarted": True}
        command = "openstack compute service set --enable cmp1 nova-compute"
        step = decide(sight(self.back, **facts), kept).steps[0]
        assert isinstance(step, ForceUp)
        reason = f"muster: returned after the fencing at {FENCED}. To enable it: {command}"
        assert (step.unforce, step.enable, step.disable_reason) == (True, False, reason)
        lifted = replace(DOWN, forced_down=False, up=True, disabled_reason=reason)
        for policy in (kept, settings()):
            told = decide(sight(self.back, service=lifted, **facts, back_at=NOW - 60, listed_at=NOW - 1), policy)
            assert not any(isinstance(s, ForceUp) for s in told.steps)
            assert isinstance(told.steps[-1], DropRecord)
            assert told.incidents["cmp1"].reason.endswith(f"stays disabled until you enable it: {command}")
        theirs = replace(lifted, forced_down=True)
        here = replace(self.back, record=Record(Phase.RETURNING, FENCED, FENCED, kept=True))
        told = decide(sight(here, service=theirs, **facts, back_at=NOW - 60, listed_at=NOW - 1), kept)
        assert told.incidents["cmp1"].reason.endswith("openstack compute service set --up --enable cmp1 nova-compute")
        again = replace(lifted, forced_down=True, up=False)
        step = decide(sight(self.back, service=again, **facts), settings()).steps[0]
        assert step == ForceUp("cmp1", "u1", "cmp1", unforce=True, enable=False)

    def test_the_reason_of_a_host_with_a_long_name_is_one_that_nova_takes(self) -> None:
        """D13: refused, the host would stay forced down."""
        long = replace(DOWN, host="cmp1." + "h" * 200)
        seen = sight(self.back, service=long, evacuations=(self.completed,), compute_restarted=True)
        step = decide(seen, settings(**{"return": "disabled"})).steps[0]
        assert isinstance(step, ForceUp)
        assert len(step.disable_reason or "") == 255

    def test_an_operators_force_down_stays(self) -> None:
        """D4."""
        kept = replace(self.back, record=Record(Phase.RETURNING, FENCED, FENCED, kept=True))
        theirs = replace(DOWN, disabled_reason="theirs")
        steps = decide(sight(kept, service=theirs, compute_restarted=True), settings()).steps
        assert not any(isinstance(s, ForceUp) for s in steps)
        assert isinstance(steps[-1], DropRecord)

    up = Service("u1", "cmp1", up=True, updated_at=NOW - 1)

    def test_looks_again_for_a_minute_while_a_server_on_it_has_a_task(self) -> None:
        """A18, A20: an order that had waited for a host that is busy is carried out later."""
        there = server("a", task_state="resize_prep", vm_state="active")
        up = replace(DOWN, forced_down=False, enabled=True, disabled_reason="", up=True)

        def seen(back_at: float, listed_at: float) -> Decision:
            facts = {"compute_restarted": True, "back_at": back_at, "listed_at": listed_at}
            return decide(sight(self.back, there, service=up, **facts), settings())  # type: ignore[arg-type]

        assert seen(NOW - 20, NOW - 5).incidents["cmp1"].rule == "looks-again"
        assert seen(NOW - 20, NOW - 5).steps == (ListAgain("cmp1"),)
        assert seen(NOW - 20, NOW - 4).steps == ()
        assert seen(NOW - 61, NOW - 5).incidents["cmp1"].rule != "looks-again"

    @pytest.mark.parametrize(
        ("task", "vm_state", "expected"),
        [
            ("resize_prep", "active", "looks-again"),
            ("", "active", "close"),
            ("resize_prep", "error", "close"),
            ("powering-off", "stopped", "close"),
        ],
    )
    def test_looks_again_at_a_server_whose_task_its_host_took_back(
        self, task: str, vm_state: str, expected: str
    ) -> None:
        """A18: nova-compute takes the task back as it starts, and carries out the order a moment later."""
        there, up = server("a", vm_state=vm_state), replace(self.up, updated_at=NOW - 1)
        before = {"a": server("a", task_state=task, vm_state="active")}
        it = sight(
            self.back, there, service=up, compute_restarted=True, back_at=NOW - 20, listed_at=NOW - 1, before=before
        )
        assert decide(it, settings()).incidents["cmp1"].rule == expected

    def test_looks_once_more_at_the_servers_before_it_closes(self) -> None:
        """A20: what had waited for the host is carried out first."""
        for facts, expected in (
            ({"back_at": NOW - 3, "listed_at": NOW - 60}, []),
            ({"back_at": NOW - 5, "listed_at": NOW - 60}, [ListAgain]),
            ({"back_at": NOW - 9, "listed_at": NOW - 1, "doubted": True}, []),
        ):
            decision = decide(sight(self.back, service=self.up, compute_restarted=True, **facts), settings())
            assert decision.incidents["cmp1"].rule == "looks-again"
            assert [type(step) for step in decision.steps] == expected

    def test_does_not_close_with_a_verdict_open(self) -> None:
        """A18."""
        there = replace(server("a"), host="cmp2", known=False)
        decision = decide(sight(self.back, there, service=self.up, compute_restarted=True), settings())
        assert (decision.incidents["cmp1"].rule, decision.steps) == ("verdicts-open", ())
        later = decide(sight(self.back, there, service=self.up, compute_restarted=True, back_at=NOW - 200), settings())
        assert later.incidents["cmp1"].rule == "close"
        assert "1 held" in report.line(later.incidents["cmp1"])

    def test_reads_what_the_owner_wants_of_what_changed_at_the_return(self) -> None:
        """A20."""
        before = replace(server("a"), host="cmp2")
        changed = replace(before, vm_state="error")
        facts = {"service": self.up, "compute_restarted": True, "before": {"a": before}, "proved": {"a": True}}
        assert decide(sight(self.back, changed, **facts), settings()).steps == (ReadLog("a"),)
        it = sight(self.back, changed, **facts, log={"a": ActionLog(Power.RUNNING)})
        decision = decide(it, settings())
        finding = decision.incidents["cmp1"].findings["a"]
        assert (finding.rule, decision.incidents["cmp1"].rule) == ("changed-at-return", "close")
        proof = replace(finding, rule="arrived-proved", verdict=Verdict.EVACUATED)
        assert report.with_proofs(decision.incidents["cmp1"], {"a": proof}) == {"a": finding}

    @pytest.mark.parametrize(
        ("service", "said"),
        [
            ({"enabled": False, "disabled_reason": "disk swap, bob"}, "has disabled it (disk swap, bob). To end that: openstack compute service set --enable cmp1 nova-compute"),
            ({"enabled": False}, "has disabled it. To end that: openstack compute service set --enable cmp1"),
            ({"forced_down": True, "up": False}, "operator's force-down keeps it out of service. To end that: openstack compute service set --up cmp1"),
            ({}, "back in service"),
        ],
    )  # fmt: skip
    def test_a_host_that_an_operator_keeps_out_is_not_called_in_service(
        self, service: dict[str, Any], said: str
    ) -> None:
        """D4: muster removes no disable and no force-down of an operator's, and says what ends it."""
        kept = replace(self.back, record=Record(Phase.RETURNING, FENCED, FENCED, kept=True))
        up = replace(DOWN, **{"forced_down": False, "enabled": True, "disabled_reason": "", "up": True, **service})
        told = decide(sight(kept, service=up, compute_restarted=True, back_at=NOW - 99), settings())
        assert told.incidents["cmp1"].rule == "close"
        assert said in told.incidents["cmp1"].reason
        assert (told.incidents["cmp1"].reason.split()[-1] == "service") == (said == "back in service")

    def test_closes_only_once_nova_says_up(self) -> None:
        lifted = replace(DOWN, forced_down=False, enabled=True, disabled_reason="")
        assert decide(sight(self.back, service=lifted, compute_restarted=True), settings()).steps == ()
        up = replace(lifted, up=True)
        assert decide(sight(self.back, service=up), settings()).steps == (), "its last heartbeat may be that of before"
        steps = decide(sight(self.back, service=up, compute_restarted=True), settings()).steps
        assert [type(s) for s in steps] == [SwapRecord, DropRecord]


def test_a_destination_that_died_lets_its_guests_go_on_and_waits_for_them() -> None:
    """B11."""
    stuck = Evacuation("1", "a", "cmp1", EvacuationStatus.PRE_MIGRATING, "cmp2", FENCED + 1.0, FENCED + 2.0)
    first = sight(node(), server("a"), evacuations=(stuck,))
    dead2 = replace(node(), name="cmp2", record=Record(Phase.EVACUATING, FENCED + 5, FENCED + 5))
    second = HostSight(services=(DOWN, replace(DOWN, id="u2", host="cmp2")), listed_at=NOW - 1)
    host1 = replace(first.hosts["cmp1"], services=second.services)
    both = replace(
        first,
        cluster=Cluster(True, "ctl1", {"cmp1": node(), "cmp2": dead2}),
        hosts={"cmp1": host1, "cmp2": second},
    )
    decision = decide(both, settings())
    assert sent(decision) == ["a"]
    assert decision.incidents["cmp2"].state is State.EVACUATING
    for not_proved in ({"heartbeat_after_fencing": True}, {"wait_from": NOW - 5}):
        doubtful = replace(both, hosts={"cmp1": host1, "cmp2": replace(second, **not_proved)})
        assert sent(decide(doubtful, settings())) == []


def test_on_the_way_back_nova_is_still_asked_about_calls() -> None:
    """B19, C6: a worker that begins then has to know what has arrived by the row of an earlier call."""
    rows = tuple(
        Evacuation(n, "a", "cmp1", EvacuationStatus(s), d, NOW - 60, NOW - 60)
        for n, s, d in (("1", "done", "cmp2"), ("2", "accepted", ""))
    )
    there = replace(server("a"), host="cmp2")
    decision = decide(sight(node(Phase.RETURNING), there, evacuations=rows), settings())
    assert ReadCalls("cmp1", "a") in decision.steps


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        (("cmp2",), "Start cmp2 or its nova-compute; see docs/runbook.md: An evacuation waits for a host. To let"),
        ((), "No host is named; see docs/runbook.md: An evacuation has not begun, and no host is named. To let"),
    ],
)
def test_what_nova_does_not_begin_is_told_with_the_command_last(claimed: tuple[str, ...], said: str) -> None:
    """B19, B29: a page that is about that very case, and no log of a host that nobody knows."""
    row = Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, "", NOW - 90, NOW - 90)
    waiting = Calls(NOW - 5, Calls.state_of((row,)), traces=(), claimed=claimed)
    seen = sight(node(), server("a"), evacuations=(row,), calls={"a": waiting})
    reason = decide(seen, settings(stuck_after_s=60)).incidents["cmp1"].findings["a"].reason
    assert said in reason
    assert reason.endswith("its host return without it: muster skip a --host cmp1")


def test_a_host_with_evacuations_of_others_in_its_queue_is_not_one_without_servers() -> None:
    """B29."""
    row = Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, "", NOW - 90, NOW - 90)
    waiting = Calls(NOW - 5, Calls.state_of((row,)), traces=(), claimed=("cmp2.example.org",))
    base = sight(node(), server("a"), evacuations=(row,), calls={"a": waiting})
    second = replace(node(), name="cmp2")
    own = replace(DOWN, id="u2", host="cmp2")
    empty = HostSight(services=(DOWN, own), listed_at=NOW - 1, first_listed_at=NOW - 9, evacuations_at=NOW)
    cluster = Cluster(True, "ctl1", {"cmp1": node(), "cmp2": second})
    hosts = {"cmp1": replace(base.hosts["cmp1"], services=(DOWN, own)), "cmp2": empty}
    said = decide(replace(base, cluster=cluster, hosts=hosts), settings()).incidents["cmp2"]
    waits = "nova-compute begins 1 evacuation from other hosts when it starts here"
    assert (said.rule, said.reason) == ("settled", waits)
    held = replace(empty, servers=server_sights([replace(server("b", vm_state="paused"), host="cmp2")]))
    said = decide(replace(base, cluster=cluster, hosts={**hosts, "cmp2": held}), settings()).incidents["cmp2"]
    assert said.reason == f"1 held; {waits}"


def test_a_start_that_waits_for_the_host_keeps_it_away() -> None:
    """D10: until an operator has emptied the queue, and says so."""
    there = [replace(server(x), host="cmp2") for x in "abcd"]
    arrived = tuple(Evacuation(s.id, s.id, "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 60, NOW - 50) for s in there)
    facts: dict[str, Any] = {
        "evacuations": arrived,
        "queued_start": dict.fromkeys("abcd", "start"),
        "first_listed_at": NOW - 9,
    }
    seen = sight(node(), *there, **facts)
    held = decide(seen, settings()).incidents["cmp1"]
    assert (held.state, held.rule) == (State.BLOCKED, "start-waits")
    assert "still queues orders for cmp1: start of a, start of b, start of c and others." in held.reason
    assert held.reason.endswith("rabbitmqctl purge_queue compute.cmp1; then muster release cmp1 --queue-emptied")
    assert "Emptying its queue loses all that waits there; nova-compute repeats only starts" in held.reason
    older = sight(node(), *there, **facts, listed_at=NOW - 60)
    assert decide(older, settings()).incidents["cmp1"].rule == "start-waits", "it is not told anew with every list"
    assert decide(seen, settings()).steps == ()
    for orders, rule in (
        (Orders(FENCED, released=True), "start-waits"),
        (Orders(FENCED, released=True, queue_emptied=int(NOW) - 59), "settled"),
        (Orders(FENCED, released=True, queue_emptied=int(NOW) - 61), "start-waits"),
    ):
        assert decide(sight(node(orders=orders), *there, **facts), settings()).incidents["cmp1"].rule == rule
    here = sight(node(), server("a"), **{**facts, "evacuations": ()})
    assert decide(here, settings()).incidents["cmp1"].rule == "working"


def test_a_start_that_waits_keeps_the_host_away_where_the_guest_may_run_already() -> None:
    """D10, A17: a rebuild that failed had started it, and Nova still shows it on the dead host."""
    failed = Evacuation("1", "a", "cmp1", EvacuationStatus.FAILED, "cmp2", NOW - 60, NOW - 50)
    facts: dict[str, Any] = {"queued_start": {"a": "start"}, "first_listed_at": NOW - 9}
    for status, rule in ((EvacuationStatus.FAILED, "start-waits"), (EvacuationStatus.ERROR, "settled")):
        seen = sight(node(), server("a", vm_state="paused"), evacuations=(replace(failed, status=status),), **facts)
        assert decide(seen, settings()).incidents["cmp1"].rule == rule


def test_what_waits_for_the_host_is_read_before_it_may_return() -> None:
    """D10: a start that nobody has read would be the second guest, and an action log that cannot be read says no more."""
    failed = Evacuation("1", "a", "cmp1", EvacuationStatus.FAILED, "cmp2", NOW - 60, NOW - 50)
    facts: dict[str, Any] = {"evacuations": (failed,), "first_listed_at": NOW - 9, "ended_at": {"a": NOW - 40}}
    seen = sight(node(), server("a", vm_state="paused"), **facts)
    decision = decide(seen, settings())
    assert (decision.incidents["cmp1"].state, decision.incidents["cmp1"].rule) == (State.EVACUATING, "queue-unread")
    assert decision.steps == (ReadLog("a"),)
    failing = sight(node(), server("a", vm_state="paused"), **facts, unread={"a": Tries(NOW - 3, 2)})
    assert decide(failing, settings()).steps == ()
    for tries, steps in ((Tries(NOW - 29, 9), ()), (Tries(NOW - 30, 9), (ReadLog("a"),))):
        unknown = sight(node(), server("a", vm_state="paused"), **facts, unread={"a": tries})
        decision = decide(unknown, settings())
        held = decision.incidents["cmp1"]
        assert (held.state, held.rule, decision.steps) == (State.BLOCKED, "queue-unknown", steps)
        assert "does not show the action log of a, so muster cannot tell" in held.reason
        assert held.reason.endswith("rabbitmqctl purge_queue compute.cmp1; then muster release cmp1 --queue-emptied")
        assert "Emptying its queue loses all that waits there" in held.reason
        released = sight(
            node(orders=Orders(FENCED, released=True)), server("a", vm_state="paused"), **facts, unread={"a": tries}
        )
        assert decide(released, settings()).incidents["cmp1"].rule == "queue-unknown"
    emptied = node(orders=Orders(FENCED, released=True, queue_emptied=int(NOW) - 59))
    read = sight(node(), server("a", vm_state="paused"), **facts, queue_read_at={"a": NOW - 40})
    gone = sight(node(), server("a", vm_state="paused", deleted=True), **facts)
    for it in (sight(emptied, server("a", vm_state="paused"), **facts), read, gone):
        assert decide(it, settings()).incidents["cmp1"].rule == "settled"
    sent_since = sight(
        node(orders=Orders(FENCED, released=True, queue_emptied=int(NOW) - 61)),
        server("a", vm_state="paused"),
        **facts,
    )
    assert decide(sent_since, settings()).incidents["cmp1"].rule == "queue-unread"


def test_the_servers_whose_orders_are_unknown_are_named_and_read_a_few_at_once() -> None:
    """D10."""
    idents = [f"s{n:02}" for n in range(30)]
    rows = [Evacuation(s, s, "cmp1", EvacuationStatus.FAILED, "cmp2", NOW - 60, NOW - 50) for s in idents]
    facts: dict[str, Any] = {"first_listed_at": NOW - 9, "ended_at": dict.fromkeys(idents, NOW - 40)}
    servers = [server(s, vm_state="paused") for s in idents]

    def asked() -> tuple[str, list[str]]:
        decision = decide(sight(node(), *servers, evacuations=tuple(rows), **facts), settings())
        return decision.incidents["cmp1"].rule, [step.server for step in decision.steps if isinstance(step, ReadLog)]

    facts["unread"] = {"s07": Tries(NOW - 5, 2), "s08": Tries(NOW - 9, 1)}
    rule, read = asked()
    assert (rule, read[:3], len(read)) == ("queue-unread", ["s07", "s08", "s00"], 20)
    facts["unread"] = dict.fromkeys(idents[:10], Tries(NOW - 31, 9))
    assert asked() == ("queue-unknown", idents[10:]), "those that may still be read first"
    facts["unread"]["s20"] = Tries(NOW - 1, 1)
    assert asked()[1] == [], "whichever has failed, the other hosts have their turn"
    facts["unread"] = dict.fromkeys(idents, Tries(NOW, 9))
    decision = decide(sight(node(), *servers, evacuations=tuple(rows), **facts), settings())
    assert "log of s00, s01, s02 and others, so" in decision.incidents["cmp1"].reason
