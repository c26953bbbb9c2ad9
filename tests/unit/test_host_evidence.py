# SPDX-License-Identifier: Apache-2.0
"""Whether a host may be evacuated: fencings, their dates, signs of life, names, confirmations, and how many are dead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import decide
from muster.core.findings import State
from muster.core.host_case import HEARTBEAT_SKEW_S
from muster.core.nova_facts import Evacuation, EvacuationStatus, Service
from muster.core.sight import Outcome, Sent, Sight
from muster.core.steps import (
    Evacuate,
    ForceDown,
    SwapRecord,
    WriteRecord,
)
from tests.fakes import settings
from tests.unit.sights import DOWN, ELSEWHERE, FENCED, LIVING, NOW, node, sent, server, sight


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"forced_down": False, "up": True}, State.FORCING_DOWN),
        ({"up": True}, State.FORCING_DOWN),
        ({"enabled": True}, State.FORCING_DOWN),
        ({"known": False}, State.BLOCKED),
        ({"known": False, "unreadable": "no state"}, State.BLOCKED),
    ],
)
def test_no_evacuate_unless_nova_says_down(change: dict[str, Any], state: State) -> None:
    decision = decide(sight(node(), server("a"), service=replace(DOWN, **change)), settings())
    assert sent(decision) == []
    assert decision.incidents["cmp1"].state is state


def test_force_down_keeps_an_operators_disable() -> None:
    disabled = replace(DOWN, forced_down=False, disabled_reason="disk swap on friday")
    step = next(s for s in decide(sight(node(), service=disabled), settings()).steps if isinstance(s, ForceDown))
    assert step.disable_reason is None
    enabled = replace(DOWN, forced_down=False, enabled=True, disabled_reason="")
    step = next(s for s in decide(sight(node(), service=enabled), settings()).steps if isinstance(s, ForceDown))
    assert step.disable_reason and step.disable_reason.startswith("muster: ")


def test_a_heartbeat_after_the_fencing_stops_everything_loudly() -> None:
    """C3."""
    early = replace(DOWN, forced_down=False, enabled=True, disabled_reason="", updated_at=FENCED + 10.0)
    for it in (
        sight(node(Phase.FENCED), server("a"), service=early),
        sight(node(), server("a"), heartbeat_after_fencing=True),
        sight(replace(node(), record=LIVING), server("a"), refuted=True),
        sight(replace(node(), found_running=FENCED + 1), server("a"), found_running=True),
        sight(replace(node(), found_running=FENCED + 1), server("a")),
    ):
        decision = decide(it, settings())
        assert all(
            isinstance(step, SwapRecord) and step.new == replace(step.old, lives=True) for step in decision.steps
        )
        assert decision.incidents["cmp1"].state is State.BLOCKED
        assert "HOST LIVES" in decision.incidents["cmp1"].reason


def test_what_was_sent_to_a_host_that_lives_is_named_until_it_is_off() -> None:
    """C3: it said that nothing is evacuated, while guests ran on two hosts."""
    seen = [
        Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 9, NOW - 5),
        Evacuation("2", "b", "cmp1", EvacuationStatus.ERROR, "", NOW - 9, NOW - 5),
    ]
    calls = {"c": Sent(NOW - 1, Outcome.UNCERTAIN, NOW + 29, 0), "d": Sent(NOW - 1, Outcome.REFUSED, NOW, 0)}
    it = sight(node(), *map(server, "abcde"), evacuations=tuple(seen), heartbeat_after_fencing=True, sent=calls)
    reason = decide(it, settings()).incidents["cmp1"].reason
    assert "2 servers sent before may run on two hosts until cmp1 is off: a, c." in reason
    crowd = sight(
        node(),
        *map(server, "abcdefgh"),
        evacuations=tuple(replace(seen[0], server=x) for x in "abcdefgh"),
        refuted=True,
    )
    it = replace(crowd, cluster=Cluster(True, "ctl1", {"cmp1": replace(node(), record=LIVING)}))
    assert "a, b, c, d, e, f and 2 more" in decide(it, settings()).incidents["cmp1"].reason


def test_a_host_that_returns_running_is_not_let_back() -> None:
    """C3: its nova-compute has not restarted, so it has never been off."""
    record = Record(Phase.RETURNING, FENCED, FENCED)
    moved = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    back = Node("cmp1", True, record, member=True, probed_running=FENCED + 30)
    it = decide(sight(back, server("a"), evacuations=(moved,), compute_restarted=True), settings())
    assert (it.incidents["cmp1"].rule, it.steps) == ("returns-running", ())
    assert it.incidents["cmp1"].reason.endswith("then pcs stonith fence cmp1")
    done = replace(moved, status=EvacuationStatus.COMPLETED)
    assert decide(sight(back, server("a"), evacuations=(done,), compute_restarted=True), settings()).steps


def test_the_late_end_of_a_fencing_is_no_second_one() -> None:
    """C3: its power-on part had timed out: Pacemaker's time is that of its end, and cleared what had refuted it."""
    late = replace(node(), fenced_at=FENCED + 122)
    assert sent(decide(sight(late, server("a")), settings())) == ["a"]
    gone = Node("cmp1", True, Record(Phase.RETURNING, FENCED, FENCED), fenced_at=FENCED + 122)
    assert decide(sight(gone), settings()).incidents["cmp1"].rule == "fenced-again"
    assert decide(sight(gone, released=True), settings()).incidents["cmp1"].rule == "awaits-compute"
    assert decide(sight(gone, released=True, has_rejoined=True), settings()).incidents["cmp1"].rule == "fenced-again"


def test_more_dead_hosts_than_allowed_are_not_begun() -> None:
    """C12."""
    nodes = {f"cmp{i}": replace(node(Phase.FENCED), name=f"cmp{i}") for i in range(1, 5)}
    base = sight(node(Phase.FENCED), server("a"), service=replace(DOWN, forced_down=False))
    crowd = replace(base, cluster=Cluster(True, "ctl1", nodes, resource="recovery"))
    decision = decide(crowd, settings(max_failed_hosts=3))
    assert decision.incidents["cmp1"].state is State.BLOCKED
    assert decision.incidents["cmp1"].reason.endswith("pcs resource update recovery max_failed_hosts=4")
    assert not any(isinstance(s, (SwapRecord, ForceDown, Evacuate)) for s in decision.steps)


def test_storage_leases_are_waited_for() -> None:
    assert decide(sight(node(Phase.FENCED), server("a")), settings(delay_s=60)).steps == ()
    assert decide(sight(node(Phase.FENCED), server("a")), settings(delay_s=10)).steps != ()


def test_an_operators_confirmation_is_recorded_before_anything_follows() -> None:
    """C2."""
    decision = decide(sight(node(None, hold=False), server("a")), settings())
    assert decision.steps == (WriteRecord("cmp1", None, Record(Phase.CONFIRMED, FENCED, FENCED)),)


def test_pacemakers_word_for_a_fencing_that_cut_no_power_is_not_enough() -> None:
    """C20: a fabric device alone has fenced it: the host runs on."""
    doubtful = node(None, hold=False, unproved="fence_scsi cuts nobody's power")
    decision = decide(sight(doubtful, server("a")), settings())
    assert decision.steps == ()
    assert decision.incidents["cmp1"].state is State.BLOCKED
    assert "fence_scsi cuts nobody's power" in decision.incidents["cmp1"].reason
    assert "then pcs stonith confirm cmp1" in decision.incidents["cmp1"].reason
    confirmed = replace(doubtful, confirmed_at=FENCED + 15)
    # Its heartbeats of before the operator's word are none against it.
    assert decide(sight(confirmed, server("a")), settings()).steps == (
        WriteRecord("cmp1", None, Record(Phase.CONFIRMED, FENCED + 15, FENCED + 15)),
    )


def test_a_host_that_was_let_back_begins_no_incident_by_a_fencing_that_cut_no_power() -> None:
    """C20."""
    again = node(Phase.RETURNING, unproved="fence_scsi cuts nobody's power")
    again = replace(again, fenced_at=FENCED + 90)
    decision = decide(sight(again, server("a")), settings())
    assert (decision.steps, decision.incidents["cmp1"].rule) == ((), "fencing-unproved")
    confirmed = replace(again, confirmed_at=FENCED + 100)
    (step,) = decide(sight(confirmed, server("a")), settings()).steps
    assert step == WriteRecord("cmp1", again.record, Record(Phase.FENCED, FENCED + 100, FENCED + 100, forced=True))
    # What is on record as fenced needs no word for what Pacemaker makes of the same fencing.
    assert decide(sight(node(unproved="x"), server("a")), settings()).incidents["cmp1"].rule != "fencing-unproved"


def test_remotes_that_are_no_computes_have_no_incident_and_do_not_count() -> None:
    """C22: bundles of a controller that died, a database on a remote of its own."""
    guests = {f"galera-{n}": Node(f"galera-{n}", True, fenced_at=FENCED, compute=False) for n in range(4)}
    mine = {f"cmp{n}": Node(f"cmp{n}", remote=True, member=True) for n in range(2, 5)}
    crowd = sight(node(Phase.FENCED), server("a"))
    crowd = replace(crowd, cluster=replace(crowd.cluster, nodes={**crowd.cluster.nodes, **mine, **guests}))
    assert decide(crowd, settings(max_failed_hosts="25%")).incidents.keys() == {"cmp1"}
    assert decide(crowd, settings(max_failed_hosts="25%")).incidents["cmp1"].state is not State.BLOCKED
    dead = replace(mine["cmp2"], member=False, record=Record(Phase.FENCED, FENCED, FENCED), hold=True)
    two = replace(crowd, cluster=replace(crowd.cluster, nodes={**crowd.cluster.nodes, "cmp2": dead}))
    assert "max_failed_hosts is 1" in decide(two, settings(max_failed_hosts="25%")).incidents["cmp1"].reason


def test_a_record_of_what_is_no_compute_says_how_to_be_rid_of_it() -> None:
    """C22."""
    decision = decide(sight(node(Phase.FENCED, compute=False), server("a")), settings(max_failed_hosts=1))
    assert (decision.steps, decision.incidents["cmp1"].state) == ((), State.BLOCKED)
    reason = decision.incidents["cmp1"].reason
    assert "crm_attribute -t nodes -N cmp1 -n muster -D; crm_attribute -t nodes -N cmp1 -n muster-hold -D" in reason
    # What has been begun comes to its end.
    assert decide(sight(node(compute=False), server("a")), settings()).incidents["cmp1"].rule != "no-compute"


def test_a_clean_shutdown_is_nothing() -> None:
    """C4."""
    clean = Node("cmp1", remote=True, fenced_at=0, member=False)
    assert decide(Sight(NOW, Cluster(True, "ctl1", {"cmp1": clean})), settings()).incidents == {}


def test_an_unreadable_record_is_never_taken_for_none() -> None:
    odd = Node("cmp1", remote=True, unreadable_record="gibberish", hold=True)
    decision = decide(sight(odd, server("a")), settings())
    assert decision.steps == ()
    assert decision.incidents["cmp1"].state is State.BLOCKED


def test_a_node_that_the_operator_maps_to_nothing_is_left_alone() -> None:
    assert decide(sight(node(None), server("a")), settings(host_map="cmp1=")).incidents == {}


def test_a_doubtful_name_is_held_with_the_candidates() -> None:
    """B17."""
    both = sight(node(), server("a"))
    host = replace(both.hosts["cmp1"], services=(replace(DOWN, host="cmp1.a"), replace(DOWN, host="cmp1.b")))
    decision = decide(replace(both, hosts={"cmp1": host}), settings())
    assert decision.incidents["cmp1"].state is State.BLOCKED
    assert "cmp1.a" in decision.incidents["cmp1"].reason
    assert decision.steps == ()


@pytest.mark.parametrize("listed", [(), (ELSEWHERE,)], ids=["empty", "without"])
def test_a_list_without_the_service_is_held_and_not_taken_for_an_empty_host(listed: tuple[Service, ...]) -> None:
    """B14."""
    seen = sight(node(), server("a"))
    decision = decide(replace(seen, hosts={"cmp1": replace(seen.hosts["cmp1"], services=listed)}), settings())
    assert decision.incidents["cmp1"].state is State.BLOCKED
    assert "no nova-compute service" in decision.incidents["cmp1"].reason
    assert decision.steps == ()


def test_nova_silent_means_no_effect_and_no_settling() -> None:
    """B4."""
    decision = decide(sight(node(), nova_trouble="connection refused"), settings())
    assert decision.steps == ()
    assert decision.incidents["cmp1"].state is State.EVACUATING


@pytest.mark.parametrize(
    ("phase", "last", "seen_from", "rule"),
    [
        (Phase.FENCED, FENCED + 3600, FENCED - 1.0, "fencing-misdated"),
        (Phase.FENCED, FENCED - 3600, FENCED - 1.0, "fencing-misdated"),
        (Phase.FENCED, FENCED - 3600, 0.0, "heartbeat-watched"),
        (Phase.CONFIRMED, FENCED - 3600, FENCED - 1.0, "heartbeat-watched"),
        (Phase.FENCED, FENCED - 4, FENCED - 1.0, "claim"),
        (Phase.EVACUATING, FENCED + 3600, 0.0, "record-of-the-future"),
        (Phase.EVACUATING, FENCED - 3600, 0.0, "working"),
    ],
)
def test_a_fencing_recorded_by_a_wrong_clock_is_dated_by_ours(
    phase: Phase, last: int, seen_from: float, rule: str
) -> None:
    """B25, C3: an hour ahead: nothing was done for an hour; an hour behind: the heartbeats of before it counted."""
    record = Record(phase, min(last, FENCED) if phase is Phase.EVACUATING else last, last)
    it = sight(replace(node(), record=record), server("a"), seen_from=seen_from, seen_at=float(FENCED))
    decision = decide(it, settings())
    assert decision.incidents["cmp1"].rule == rule
    if rule == "fencing-misdated":
        assert decision.steps == (SwapRecord("cmp1", record, Record(phase, FENCED, FENCED)),)
    if rule == "record-of-the-future":
        assert decision.steps == ()


@pytest.mark.parametrize("off_s", [-3600, 3600])
def test_a_second_fencing_that_was_seen_to_come_is_dated_by_ours_too(off_s: int) -> None:
    """B25, C3: the word of an operator, by another clock: what had been seen before it was later than it."""
    record = Record(Phase.EVACUATING, FENCED - 4000, FENCED + off_s)
    it = sight(replace(node(), record=record), seen_from=FENCED - 1.0, seen_at=float(FENCED))
    assert decide(it, settings()).steps == (SwapRecord("cmp1", record, replace(record, last=FENCED)),)


def test_one_that_was_fenced_twice_keeps_its_beginning() -> None:
    record = Record(Phase.FENCED, FENCED - 50, FENCED + 3600)
    it = sight(replace(node(), record=record), seen_from=FENCED - 1.0, seen_at=float(FENCED))
    assert decide(it, settings()).steps == (SwapRecord("cmp1", record, Record(Phase.FENCED, FENCED - 50, FENCED)),)


def test_leases_run_from_when_the_fencing_had_not_been_seen_yet() -> None:
    it = sight(node(Phase.FENCED), server("a"), seen_from=FENCED + 3.0, seen_at=FENCED + 3.5)
    assert decide(it, settings(delay_s=22)).incidents["cmp1"].rule == "leases"
    assert decide(it, settings(delay_s=16)).incidents["cmp1"].rule == "claim"


def test_clocks_that_do_not_agree_stop_the_incident() -> None:
    """B25."""
    it = replace(sight(node(), server("a")), clocks_apart="the clocks are 100 s apart")
    decision = decide(it, settings())
    assert (decision.incidents["cmp1"].rule, decision.steps) == ("clocks-apart", ())


@pytest.mark.parametrize("mark", ["forced", "kept"])
@pytest.mark.parametrize(("later_s", "refuted"), [(HEARTBEAT_SKEW_S, False), (HEARTBEAT_SKEW_S + 1.0, True)])
def test_a_lift_that_is_carried_out_late_is_no_sign_of_life(mark: str, later_s: float, refuted: bool) -> None:
    """C3, D3: fenced again while it returned, and what its worker had sent to lift its force-down came after that."""
    at = FENCED + settings().late_call_s + later_s
    lifted = replace(DOWN, forced_down=False, enabled=True, disabled_reason="", updated_at=at)
    facts: dict[str, Any] = {mark: True}
    for phase, rule in ((Phase.FENCED, "heartbeat-watched"), (Phase.EVACUATING, "force-down")):
        record = Record(phase, FENCED, FENCED, **facts)
        it = sight(replace(node(), record=record), server("a"), service=lifted)
        told = decide(it, settings()).incidents["cmp1"]
        assert told.rule == ("fencing-refuted" if refuted else rule)
        plain = sight(replace(node(), record=Record(phase, FENCED, FENCED)), server("a"), service=lifted)
        assert decide(plain, settings()).incidents["cmp1"].rule == "fencing-refuted"


def test_that_a_return_was_cut_short_is_on_record_until_the_next_one() -> None:
    """C3: whoever takes over knows it, too."""
    record = Record(Phase.FENCED, FENCED, FENCED, forced=True)
    before = replace(DOWN, forced_down=False, enabled=True, disabled_reason="")
    claim = decide(sight(replace(node(), record=record), service=before), settings()).steps[0]
    assert claim == SwapRecord("cmp1", record, replace(record, phase=Phase.EVACUATING))
