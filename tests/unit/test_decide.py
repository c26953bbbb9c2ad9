# SPDX-License-Identifier: Apache-2.0
"""From a sight to steps: guards, sequence, limits, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster import report
from muster.decide import Decision, decide, first_calls, lying_hosts, wanted_now
from muster.facts import (
    Calls,
    Cluster,
    HostSight,
    Move,
    MoveStatus,
    Node,
    Outcome,
    OwnerLog,
    Phase,
    Power,
    Record,
    Sent,
    Server,
    Service,
    Sight,
)
from muster.orders import Orders
from muster.steps import (
    DropHold,
    DropRecord,
    Evacuate,
    ForceDown,
    ForceUp,
    ListAgain,
    ReadCalls,
    ReadLog,
    Reset,
    Stop,
    StopCompute,
    SwapRecord,
    WriteRecord,
)
from muster.verdict import State, Verdict
from tests.fakes import settings

NOW = 1_800_000_000.0
FENCED = int(NOW) - 20
DOWN = Service(
    id="u1",
    host="cmp1",
    up=False,
    enabled=False,
    disabled_reason="muster: x",
    forced_down=True,
    updated_at=FENCED - 3,
)
LIVING = Record(Phase.EVACUATING, FENCED, FENCED, lives=True)
ELSEWHERE = Service(id="u2", host="cmp2", up=True)


def node(phase: Phase | None = Phase.EVACUATING, **facts: Any) -> Node:
    record = Record(phase, FENCED, FENCED) if phase else None
    facts.setdefault("hold", phase is not None and phase is not Phase.RETURNING)
    facts.setdefault("record", record)
    return Node("cmp1", remote=True, fenced_at=FENCED, **facts)


def server(ident: str, priority: str = "", created: float = 0.0, **facts: Any) -> Server:
    metadata = {"evacuate_priority": priority} if priority else {}
    return Server(
        ident, "cmp1", facts.pop("vm_state", "active"), name=ident, created=created, metadata=metadata, **facts
    )


LIVES = ("refuted", "found_running", "seen_at", "seen_from", "released", "was_back")


def sight(it: Node, *servers: Server, service: Service = DOWN, moves: tuple[Move, ...] = (), **facts: Any) -> Sight:
    host = HostSight(
        services=(service, ELSEWHERE),
        servers={s.id: s for s in servers},
        moves={m.server: tuple(x for x in moves if x.server == m.server) for m in moves},
        listed_at=NOW - 1,
        moves_at=NOW,
        wanted={s.id: Power.RUNNING for s in servers},
        read_at={s.id: NOW - 1 for s in servers},
    )
    facts.setdefault("back_at", NOW - 20 if facts.get("alive_again") else 0.0)
    for name in (
        "queued_start",
        "first_listed_at",
        "stopped_at",
        "stops_made",
        "calls",
        "heartbeat_moved",
        "alive_again",
        "resumed_at",
        "listed_at",
        "logs",
        "wanted",
        "dropped",
        "back_at",
        "before",
        "proved",
        "doubted",
        *LIVES,
    ):
        if name in facts:
            host = replace(host, **{name: facts.pop(name)})
    cluster = facts.pop("cluster", None) or Cluster(True, "ctl1", {"cmp1": it, "cmp2": Node("cmp2", True, member=True)})
    return Sight(NOW, cluster, {"cmp1": host}, **facts)


def sent(decision: Decision) -> list[str]:
    return [step.server for step in decision.steps if isinstance(step, Evacuate)]


def test_a_quiet_cluster_asks_for_nothing() -> None:
    cluster = Cluster(True, "ctl1", {"cmp2": Node("cmp2", True, member=True)})
    assert decide(Sight(NOW, cluster), settings()) == Decision()


@pytest.mark.parametrize(
    "change", [{"quorum": False}, {"active_here": False}, {"active_elsewhere": ("ctl2",)}], ids=lambda c: next(iter(c))
)
def test_nothing_is_done_without_quorum_or_by_a_worker_that_is_not_the_one(change: dict[str, Any]) -> None:
    """C9, C10."""
    base = sight(node(), server("a"))
    decision = decide(replace(base, cluster=replace(base.cluster, **change)), settings())
    assert decision.steps == ()
    assert decision.hindrance


def test_the_sequence_is_priority_then_age_then_id() -> None:
    """A15."""
    line = [server("d", "500", 9), server("b", "900", 5), server("a", "900", 5), server("c", "900", 1), server("e")]
    assert sent(decide(sight(node(), *line), settings(per_destination=0))) == ["c", "a", "b", "d", "e"]


def test_no_more_in_flight_than_allowed() -> None:
    """C5."""
    moving = Move("1", "a", "cmp1", MoveStatus.ACCEPTED, "", NOW - 1, NOW - 1)
    line = [server(x) for x in "abcd"]
    assert sent(decide(sight(node(), *line, moves=(moving,)), settings(in_flight=3, per_destination=0))) == ["b", "c"]
    assert sent(decide(sight(node(), *line, moves=(moving,)), settings(in_flight=1))) == []


def test_what_is_under_way_stays_in_flight_while_its_cell_is_silent() -> None:
    """The next one was sent although `in_flight` was reached."""
    silent = Server("a", host="", vm_state="", known=False)
    moving = Move("1", "a", "cmp1", MoveStatus.ACCEPTED, "", NOW - 1, NOW - 1)
    base = sight(node(), silent, server("b"), moves=(moving,))
    decision = decide(base, settings(in_flight=1))
    assert decision.incidents["cmp1"].findings["a"].verdict is Verdict.UNKNOWN
    assert sent(decision) == []
    call = Sent(NOW - 1, Outcome.UNCERTAIN, quiet_until=NOW + 29, moves_before=0)
    unseen = replace(base, hosts={"cmp1": replace(base.hosts["cmp1"], moves={}, sent={"a": call})})
    assert sent(decide(unseen, settings(in_flight=1))) == []


def test_a_reset_takes_its_turn_and_a_place_like_an_evacuation() -> None:
    line = [server("a", "900", vm_state="paused"), server("b")]
    policy = settings(reset_states="paused", in_flight=1)
    assert decide(sight(node(), *line), policy).steps == (Reset("a", "a", "paused"),)
    policy = settings(reset_states="paused", in_flight=2)
    assert [type(s) for s in decide(sight(node(), *line), policy).steps] == [Reset, Evacuate]


def test_what_waits_for_its_log_lets_nobody_pass() -> None:
    line = [server("a", "900", vm_state="error"), server("b")]
    assert decide(sight(node(), *line, wanted={"b": Power.RUNNING}), settings()).steps == (ReadLog("a"),)


def test_what_has_arrived_and_is_stopped_lets_others_pass() -> None:
    moved = Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    line = [replace(server("a", "900"), host="cmp2", updated=NOW - 5), server("b")]
    seen = sight(node(), *line, moves=(moved,), logs={"a": OwnerLog(Power.STOPPED)})
    assert [type(step) for step in decide(seen, settings()).steps] == [Stop, Evacuate]


@pytest.mark.parametrize("said", Power)
def test_the_owners_log_wins_over_what_was_seen_at_rest(said: Power) -> None:
    seen = sight(node(), server("a"), logs={"a": OwnerLog(said)})
    moved = Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    host = replace(seen.hosts["cmp1"], moves={"a": (moved,)}, servers={"a": replace(server("a"), host="cmp2")})
    finding = decide(replace(seen, hosts={"cmp1": host}), settings()).incidents["cmp1"].findings["a"]
    assert finding.verdict is (Verdict.EVACUATING if said is Power.STOPPED else Verdict.EVACUATED)


@pytest.mark.parametrize(
    ("vm_state", "task", "wanted"),
    [
        ("active", "", Power.RUNNING),
        ("stopped", "", Power.STOPPED),
        ("active", "powering-off", Power.UNKNOWN),
        ("error", "", Power.UNKNOWN),
        ("paused", "unpausing", Power.RUNNING),
    ],
)
def test_a_server_at_rest_shows_what_its_owner_wants(vm_state: str, task: str, wanted: Power) -> None:
    assert wanted_now(server("a", vm_state=vm_state, task_state=task)) is wanted


def test_knows_by_novas_name_which_host_lives() -> None:
    assert lying_hosts(sight(node(), heartbeat_moved=True), settings()) == {"cmp1"}
    assert lying_hosts(sight(node()), settings()) == frozenset()
    nameless = sight(node(), service=replace(DOWN, host="foreign"), heartbeat_moved=True)
    assert lying_hosts(nameless, settings()) == frozenset()


def test_an_unnamed_destination_counts_for_every_destination() -> None:
    named = Move("1", "a", "cmp1", MoveStatus.PRE_MIGRATING, "cmp2", NOW - 1, NOW - 1)
    line = [server(x) for x in "abcd"]
    assert sent(decide(sight(node(), *line, moves=(named,)), settings(per_destination=2))) == ["b"]
    assert sent(decide(sight(node(), *line, moves=(named,)), settings(per_destination=1))) == []
    to_cmp3 = settings(per_destination=1, target_map="cmp1=cmp3")
    assert sent(decide(sight(node(), *line, moves=(named,)), to_cmp3)) == ["b"]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"forced_down": False, "up": True}, State.FORCING_DOWN),
        ({"up": True}, State.FORCING_DOWN),
        ({"enabled": True}, State.FORCING_DOWN),
        ({"known": False}, State.ON_HOLD),
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
        sight(node(), server("a"), heartbeat_moved=True),
        sight(replace(node(), record=LIVING), server("a"), refuted=True),
        sight(replace(node(), found_running=FENCED + 1), server("a"), found_running=True),
        sight(replace(node(), found_running=FENCED + 1), server("a")),
    ):
        decision = decide(it, settings())
        assert all(
            isinstance(step, SwapRecord) and step.new == replace(step.old, lives=True) for step in decision.steps
        )
        assert decision.incidents["cmp1"].state is State.ON_HOLD
        assert "HOST LIVES" in decision.incidents["cmp1"].reason


def test_what_was_sent_to_a_host_that_lives_is_named_until_it_is_off() -> None:
    """C3: it said that nothing is evacuated, while guests ran on two hosts."""
    seen = [
        Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", NOW - 9, NOW - 5),
        Move("2", "b", "cmp1", MoveStatus.ERROR, "", NOW - 9, NOW - 5),
    ]
    calls = {"c": Sent(NOW - 1, Outcome.UNCERTAIN, NOW + 29, 0), "d": Sent(NOW - 1, Outcome.REFUSED, NOW, 0)}
    it = sight(node(), *map(server, "abcde"), moves=tuple(seen), heartbeat_moved=True)
    it = replace(it, hosts={"cmp1": replace(it.hosts["cmp1"], sent=calls)})
    reason = decide(it, settings()).incidents["cmp1"].reason
    assert "2 had been sent and may run on two hosts until cmp1 is off: a, c." in reason
    crowd = sight(
        node(), *map(server, "abcdefgh"), moves=tuple(replace(seen[0], server=x) for x in "abcdefgh"), refuted=True
    )
    it = replace(crowd, cluster=Cluster(True, "ctl1", {"cmp1": replace(node(), record=LIVING)}))
    assert "a, b, c, d, e, f and 2 more" in decide(it, settings()).incidents["cmp1"].reason


def test_a_host_that_returns_running_is_not_let_back() -> None:
    """C3: its nova-compute has not restarted, so it has never been off."""
    record = Record(Phase.RETURNING, FENCED, FENCED)
    moved = Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    back = Node("cmp1", True, record, member=True, probed_running=FENCED + 30)
    it = decide(sight(back, server("a"), moves=(moved,), alive_again=True), settings())
    assert (it.incidents["cmp1"].rule, it.steps) == ("returns-running", ())
    assert it.incidents["cmp1"].reason.endswith("then pcs stonith fence cmp1")
    done = replace(moved, status=MoveStatus.COMPLETED)
    assert decide(sight(back, server("a"), moves=(done,), alive_again=True), settings()).steps


def test_the_late_end_of_a_fencing_is_no_second_one() -> None:
    """C3: its power-on part had timed out: Pacemaker's time is that of its end, and cleared what had refuted it."""
    late = replace(node(), fenced_at=FENCED + 122)
    assert sent(decide(sight(late, server("a")), settings())) == ["a"]
    gone = Node("cmp1", True, Record(Phase.RETURNING, FENCED, FENCED), fenced_at=FENCED + 122)
    assert decide(sight(gone), settings()).incidents["cmp1"].rule == "fenced-again"
    assert decide(sight(gone, released=True), settings()).incidents["cmp1"].rule == "awaits-compute"
    assert decide(sight(gone, released=True, was_back=True), settings()).incidents["cmp1"].rule == "fenced-again"


def test_more_dead_hosts_than_allowed_are_not_begun() -> None:
    """C12."""
    nodes = {f"cmp{i}": replace(node(Phase.FENCED), name=f"cmp{i}") for i in range(1, 5)}
    base = sight(node(Phase.FENCED), server("a"), service=replace(DOWN, forced_down=False))
    crowd = replace(base, cluster=Cluster(True, "ctl1", nodes))
    decision = decide(crowd, settings(max_failed_hosts=3))
    assert decision.incidents["cmp1"].state is State.ON_HOLD
    assert "max_failed_hosts=4" in decision.incidents["cmp1"].reason
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
    assert decision.incidents["cmp1"].state is State.ON_HOLD
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
    assert decide(crowd, settings(max_failed_hosts="25%")).incidents["cmp1"].state is not State.ON_HOLD
    dead = replace(mine["cmp2"], member=False, record=Record(Phase.FENCED, FENCED, FENCED), hold=True)
    two = replace(crowd, cluster=replace(crowd.cluster, nodes={**crowd.cluster.nodes, "cmp2": dead}))
    assert "max_failed_hosts is 1" in decide(two, settings(max_failed_hosts="25%")).incidents["cmp1"].reason


def test_a_record_of_what_is_no_compute_says_how_to_be_rid_of_it() -> None:
    """C22."""
    decision = decide(sight(node(Phase.FENCED, compute=False), server("a")), settings(max_failed_hosts=1))
    assert (decision.steps, decision.incidents["cmp1"].state) == ((), State.ON_HOLD)
    reason = decision.incidents["cmp1"].reason
    assert "crm_attribute -t nodes -N cmp1 -n muster -D and crm_attribute -t nodes -N cmp1 -n muster-hold -D" in reason
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
    assert decision.incidents["cmp1"].state is State.ON_HOLD


def test_a_node_that_the_operator_maps_to_nothing_is_left_alone() -> None:
    assert decide(sight(node(None), server("a")), settings(host_map="cmp1=")).incidents == {}


def test_a_doubtful_name_is_held_with_the_candidates() -> None:
    """B17."""
    both = sight(node(), server("a"))
    host = replace(both.hosts["cmp1"], services=(replace(DOWN, host="cmp1.a"), replace(DOWN, host="cmp1.b")))
    decision = decide(replace(both, hosts={"cmp1": host}), settings())
    assert decision.incidents["cmp1"].state is State.ON_HOLD
    assert "cmp1.a" in decision.incidents["cmp1"].reason
    assert decision.steps == ()


@pytest.mark.parametrize("listed", [(), (ELSEWHERE,)], ids=["empty", "without"])
def test_a_list_without_the_service_is_held_and_not_taken_for_an_empty_host(listed: tuple[Service, ...]) -> None:
    """B14."""
    seen = sight(node(), server("a"))
    decision = decide(replace(seen, hosts={"cmp1": replace(seen.hosts["cmp1"], services=listed)}), settings())
    assert decision.incidents["cmp1"].state is State.ON_HOLD
    assert "no nova-compute service" in decision.incidents["cmp1"].reason
    assert decision.steps == ()


def test_nova_silent_means_no_effect_and_no_settling() -> None:
    """B4."""
    decision = decide(sight(node(), nova_trouble="connection refused"), settings())
    assert decision.steps == ()
    assert decision.incidents["cmp1"].state is State.EVACUATING


@pytest.mark.parametrize("verdict_of", ["accepted", "pre-migrating"])
def test_nova_compute_is_kept_away_while_an_evacuation_is_open(verdict_of: str) -> None:
    """D1."""
    moving = Move("1", "a", "cmp1", MoveStatus(verdict_of), "cmp2", NOW - 1, NOW - 1)
    decision = decide(sight(node(), server("a"), moves=(moving,)), settings())
    assert not any(isinstance(s, DropHold) for s in decision.steps)


def test_settled_lets_the_host_return_and_names_what_stays() -> None:
    """D2."""
    decision = decide(sight(node(), server("a", vm_state="paused")), settings())
    assert decision.incidents["cmp1"].state is State.SETTLED
    assert "1 held" in decision.incidents["cmp1"].reason
    assert [type(s) for s in decision.steps] == [SwapRecord, DropHold]


def test_a_row_of_a_server_whose_finish_is_false_keeps_nova_compute_away() -> None:
    """D1: to everything else that is settled an open row means nothing; this one has arrived nowhere."""
    died = Move("1", "a", "cmp1", MoveStatus.PRE_MIGRATING, "cmp3", NOW - 300, NOW - 300)
    lost = Move("2", "a", "cmp1", MoveStatus.COMPLETED, "cmp2", NOW - 200, NOW - 200)
    base = sight(node(), server("a", updated=NOW - 200, task_state="rebuilding"), moves=(died, lost))
    it = replace(base, hosts={"cmp1": replace(base.hosts["cmp1"], voids=frozenset({"1"}), first_listed_at=NOW - 9)})
    incident = decide(it, settings()).incidents["cmp1"]
    assert incident.findings["a"].rule == "finish-false"
    assert incident.rule == "rows-open"
    skipped = replace(it.hosts["cmp1"].servers["a"], task_state="", vm_state="shelved_offloaded")
    other = replace(it, hosts={"cmp1": replace(it.hosts["cmp1"], servers={"a": skipped}, moves={"a": (died,)})})
    assert decide(other, settings()).incidents["cmp1"].rule == "settled"


def test_what_failed_before_the_host_was_forced_down_was_not_ours() -> None:
    """B8."""
    rows = tuple(Move(str(n), "a", "cmp1", MoveStatus.FAILED, "", NOW - 30 + n, NOW - 30 + n) for n in range(3))
    claimed = replace(DOWN, updated_at=NOW - 15)
    found = {
        service: decide(sight(node(), server("a"), service=service, moves=rows), settings()).incidents["cmp1"]
        for service in (claimed, replace(DOWN, updated_at=NOW - 60), replace(claimed, enabled=True))
    }
    assert [it.findings["a"].rule for it in found.values()] == ["owner-unread", "exhausted", "exhausted"]


def test_a_later_change_of_the_service_makes_no_failure_undone() -> None:
    """B8: an operator's, or a heartbeat of a host that lived; it was tried again, and again."""
    rows = tuple(Move(str(n), "a", "cmp1", MoveStatus.ERROR, "", NOW - 15 + n, NOW - 15 + n) for n in range(3))
    for updated_at in (FENCED + 2.0, NOW - 1):
        given = sight(node(member=True), server("a"), service=replace(DOWN, updated_at=updated_at), moves=rows)
        assert decide(given, settings()).incidents["cmp1"].findings["a"].rule == "exhausted"


def test_settled_is_only_said_after_a_fresh_complete_list() -> None:
    assert decide(sight(node(), listed_at=NOW - 60), settings()).incidents["cmp1"].state is State.EVACUATING


def test_a_list_without_a_server_that_was_evacuated_from_there_settles_nothing() -> None:
    """B31: whoever answered it: Nova's evacuations name a server that it ought to show."""
    done = Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", NOW - 200, NOW - 200)
    decision = decide(sight(node(), moves=(done,)), settings())
    assert decision.incidents["cmp1"].rule == "list-short"
    assert decision.steps == ()
    assert (
        decide(sight(node(), moves=(done,), dropped=frozenset({"1"})), settings()).incidents["cmp1"].rule == "settled"
    )


@pytest.mark.parametrize("doubted", [True, False])
def test_a_list_that_a_silent_cell_may_have_cut_short_makes_no_server_gone(doubted: bool) -> None:
    """B13, B30."""
    refused = Sent(NOW - 20, Outcome.REFUSED, 0.0, 0, status=404, refused=(NOW - 20,))
    base = sight(node(), server("a"), server("b"))
    host = replace(base.hosts["cmp1"], sent={"a": refused}, listed=frozenset({"b"}), doubted=doubted)
    findings = decide(replace(base, hosts={"cmp1": host}), settings()).incidents["cmp1"].findings
    assert findings["a"].verdict is (Verdict.UNKNOWN if doubted else Verdict.GONE)


class TestReturn:
    back = node(Phase.RETURNING)
    done = Move("1", "a", "cmp1", MoveStatus.DONE, "cmp2", NOW - 9, NOW - 5)
    completed = replace(done, status=MoveStatus.COMPLETED)

    def test_stays_forced_down_until_nova_compute_has_finished_its_rows(self) -> None:
        """D3, D5."""
        unread = {"moves": (self.done,), "alive_again": True, "back_at": 0.0}
        for facts in (unread, {"moves": (self.done,), "alive_again": True}, {"alive_again": False}):
            assert decide(sight(self.back, **facts), settings()).steps == ()  # type: ignore[arg-type]

    def test_nova_compute_is_started_anew_where_it_has_finished_a_part_of_its_rows(self) -> None:
        """D9: Nova completes one evacuation of a server at a start, and refuses to lift while another is `done`."""
        seen: dict[str, Any] = {"moves": (self.done,), "alive_again": True, "back_at": NOW - 1}
        here = replace(self.back, member=True)
        record = here.record
        assert record
        assert decide(sight(here, **seen), settings()).steps == (StopCompute("cmp1", record),)
        away = sight(self.back, **seen)
        kept = sight(replace(here, hold=True), stopped_at=NOW - 14, stops_made=1)
        twice = sight(here, **seen, stops_made=2)
        for it in (away, kept, twice, sight(here, **{**seen, "back_at": NOW})):
            assert decide(it, settings()).steps == ()
        let_go = replace(kept, now=NOW + 1)
        assert decide(let_go, settings()).steps == (DropHold("cmp1"),)

    def test_waits_for_no_row_that_nova_has_deleted(self) -> None:
        """D7."""
        steps = decide(sight(self.back, moves=(self.done,), alive_again=True, dropped={"1"}), settings()).steps
        assert [type(step) for step in steps] == [ForceUp]

    def test_says_when_its_nova_compute_has_to_start_once_more(self) -> None:
        """D5: of two evacuations of one server it finishes one at a start, and lifting is refused until the other is."""
        facts = {"moves": (self.done,), "alive_again": True, "back_at": NOW - 1}
        told = decide(sight(self.back, **facts), settings())  # type: ignore[arg-type]
        assert (told.incidents["cmp1"].rule, told.steps) == ("half-finished", ())
        assert "pcs resource restart RESOURCE cmp1" in told.incidents["cmp1"].reason
        early = decide(sight(self.back, **{**facts, "back_at": NOW}), settings())  # type: ignore[arg-type]
        assert early.incidents["cmp1"].rule == "awaits-compute"

    def test_lifts_what_muster_did(self) -> None:
        """D1."""
        step = decide(sight(self.back, moves=(self.completed,), alive_again=True), settings()).steps[0]
        assert step == ForceUp("cmp1", "u1", "cmp1", unforce=True, enable=True)

    @pytest.mark.parametrize("reason", ["disk swap on friday", "see muster: it comes back by itself", " muster: x"])
    def test_an_operators_disable_stays(self, reason: str) -> None:
        """D4: also one that speaks of muster: only the beginning is its mark."""
        theirs = replace(DOWN, disabled_reason=reason)
        step = decide(sight(self.back, service=theirs, alive_again=True), settings()).steps[0]
        assert step == ForceUp("cmp1", "u1", "cmp1", unforce=True, enable=False)

    def test_an_operators_force_down_stays(self) -> None:
        """D4."""
        kept = replace(self.back, record=Record(Phase.RETURNING, FENCED, FENCED, kept=True))
        theirs = replace(DOWN, disabled_reason="theirs")
        steps = decide(sight(kept, service=theirs, alive_again=True), settings()).steps
        assert not any(isinstance(s, ForceUp) for s in steps)
        assert isinstance(steps[-1], DropRecord)

    up = Service("u1", "cmp1", up=True, updated_at=NOW - 1)

    def test_looks_again_for_a_minute_while_a_server_on_it_has_a_task(self) -> None:
        """A18, A20: an order that had waited for a host that is busy is carried out later."""
        there = server("a", task_state="resize_prep", vm_state="active")
        up = replace(DOWN, forced_down=False, enabled=True, disabled_reason="", up=True)

        def seen(back_at: float, listed_at: float) -> Decision:
            facts = {"alive_again": True, "back_at": back_at, "listed_at": listed_at}
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
        it = sight(self.back, there, service=up, alive_again=True, back_at=NOW - 20, listed_at=NOW - 1, before=before)
        assert decide(it, settings()).incidents["cmp1"].rule == expected

    def test_looks_once_more_at_the_servers_before_it_closes(self) -> None:
        """A20: what had waited for the host is carried out first."""
        for facts, expected in (
            ({"back_at": 0.0}, []),
            ({"back_at": NOW - 3, "listed_at": NOW - 60}, []),
            ({"back_at": NOW - 5, "listed_at": NOW - 60}, [ListAgain]),
            ({"back_at": NOW - 9, "listed_at": NOW - 1, "doubted": True}, []),
        ):
            decision = decide(sight(self.back, service=self.up, alive_again=True, **facts), settings())
            assert decision.incidents["cmp1"].rule == "looks-again"
            assert [type(step) for step in decision.steps] == expected

    def test_does_not_close_with_a_verdict_open(self) -> None:
        """A18."""
        there = replace(server("a"), host="cmp2", known=False)
        decision = decide(sight(self.back, there, service=self.up, alive_again=True), settings())
        assert (decision.incidents["cmp1"].rule, decision.steps) == ("verdicts-open", ())
        later = decide(sight(self.back, there, service=self.up, alive_again=True, back_at=NOW - 200), settings())
        assert later.incidents["cmp1"].rule == "close"
        assert "1 held" in report.line(later.incidents["cmp1"])

    def test_reads_what_the_owner_wants_of_what_changed_at_the_return(self) -> None:
        """A20."""
        before = replace(server("a"), host="cmp2")
        it = sight(
            self.back, replace(before, vm_state="error"), service=self.up, alive_again=True, before={"a": before}
        )
        it = replace(it, hosts={"cmp1": replace(it.hosts["cmp1"], proved=frozenset({"a"}))})
        assert decide(it, settings()).steps == (ReadLog("a"),)
        known = replace(it.hosts["cmp1"], logs={"a": OwnerLog(Power.RUNNING)})
        decision = decide(replace(it, hosts={"cmp1": known}), settings())
        finding = decision.incidents["cmp1"].findings["a"]
        assert (finding.rule, decision.incidents["cmp1"].rule) == ("changed-at-return", "close")
        proof = replace(finding, rule="arrived-proved", verdict=Verdict.EVACUATED)
        assert report.with_proofs(decision.incidents["cmp1"], {"a": proof}) == {"a": finding}

    def test_closes_only_once_nova_says_up(self) -> None:
        lifted = replace(DOWN, forced_down=False, enabled=True, disabled_reason="")
        assert decide(sight(self.back, service=lifted, alive_again=True), settings()).steps == ()
        up = replace(lifted, up=True)
        assert decide(sight(self.back, service=up), settings()).steps == (), "its last heartbeat may be that of before"
        steps = decide(sight(self.back, service=up, alive_again=True), settings()).steps
        assert [type(s) for s in steps] == [SwapRecord, DropRecord]


def test_a_destination_that_died_lets_its_guests_go_on_and_waits_for_them() -> None:
    """B11."""
    stuck = Move("1", "a", "cmp1", MoveStatus.PRE_MIGRATING, "cmp2", FENCED + 1.0, FENCED + 2.0)
    first = sight(node(), server("a"), moves=(stuck,))
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
    for not_proved in ({"heartbeat_moved": True}, {"resumed_at": NOW - 5}):
        doubtful = replace(both, hosts={"cmp1": host1, "cmp2": replace(second, **not_proved)})
        assert sent(decide(doubtful, settings())) == []


def test_every_server_has_exactly_one_verdict() -> None:
    line = [server(x, vm_state=s) for x, s in zip("abcdef", ["active", "paused", "error", "shelved", "", "stopped"])]
    findings = decide(sight(node(), *line), settings()).incidents["cmp1"].findings
    assert sorted(findings) == sorted(s.id for s in line)
    assert all(isinstance(f.verdict, Verdict) for f in findings.values())


def test_what_another_incident_wants_of_a_server_does_not_take_its_place_in_the_line() -> None:
    """A15: it had arrived on a host that died since, and a new worker reads for the first incident what its owner wants."""
    first, second = server("a", "900"), server("b", "500")
    here = replace(first, host="cmp2"), replace(second, host="cmp2")
    moved = Move("m", "a", "cmp1", MoveStatus.DONE, "cmp2", FENCED + 1.0, FENCED + 2.0)
    dead = replace(DOWN, id="u2", host="cmp2")
    base = {"services": (DOWN, dead), "first_listed_at": NOW - 9, "listed_at": NOW - 1}
    nodes = {
        "cmp2": Node("cmp2", True, record=Record(Phase.EVACUATING, FENCED, FENCED), hold=True, fenced_at=FENCED),
        "cmp1": Node("cmp1", True, record=Record(Phase.RETURNING, FENCED, FENCED), fenced_at=FENCED),
    }
    hosts = {
        "cmp2": HostSight(
            servers={s.id: s for s in here},
            wanted={"a": Power.RUNNING, "b": Power.RUNNING},
            **base,  # type: ignore[arg-type]
        ),
        "cmp1": HostSight(servers={"a": here[0]}, moves={"a": (moved,)}, **base),  # type: ignore[arg-type]
    }
    decision = decide(Sight(NOW, Cluster(True, "ctl1", nodes), hosts), settings())
    assert sent(decision) == ["a", "b"]
    assert [step.server for step in decision.steps if isinstance(step, ReadLog)] == ["a"]


def test_a_server_without_a_host_is_sent_for_one_incident_only() -> None:
    lost = replace(server("a", vm_state="error"), host="")
    nodes = {
        name: Node(name, True, record=Record(Phase.EVACUATING, FENCED, FENCED), hold=True, fenced_at=FENCED)
        for name in ("cmp1", "cmp2")
    }
    services = (DOWN, replace(DOWN, id="u2", host="cmp2"))
    host = HostSight(services, {"a": lost}, first_listed_at=NOW - 9, listed_at=NOW - 1, wanted={"a": Power.RUNNING})
    decision = decide(Sight(NOW, Cluster(True, "ctl1", nodes), {"cmp1": host, "cmp2": host}), settings())
    assert sent(decision) == ["a"]


def test_half_a_look_sends_what_nothing_has_moved_and_passes_nobody_in_the_line() -> None:
    """What has been moved before may have changed since it was read; what needs a reset is another matter still."""
    first, second = (Evacuate("cmp1", server, server, "cmp1", None, 0) for server in ("a", "b"))
    again, reset = replace(second, moves_before=1), Reset("r", "r", "paused")
    assert first_calls(Decision(steps=(DropHold("cmp2"), ReadLog("l"), first, second))) == (first, second)
    assert first_calls(Decision(steps=(first, again, second))) == (first,)
    assert first_calls(Decision(steps=(first, reset, second))) == (first,)
    assert first_calls(Decision(steps=(again, first))) == ()


def test_what_may_run_on_a_host_is_sent_there_and_nowhere_else() -> None:
    """A17: whatever target_map says."""
    failed = Move("1", "a", "cmp1", MoveStatus.FAILED, "cmp2", NOW - 90, NOW - 80)
    read = Calls(NOW - 1, Calls.state_of((failed,)), 1, ())
    seen = sight(node(), server("a"), moves=(failed,), calls={"a": read})
    (step,) = decide(seen, settings(target_map="cmp1:spare1")).steps
    assert isinstance(step, Evacuate)
    assert (step.target, step.moves_before) == ("cmp2", 1)


def test_nova_is_asked_about_a_few_calls_at_a_time() -> None:
    """B19: the others are sent meanwhile."""
    stuck = tuple(Move(x, x, "cmp1", MoveStatus.ACCEPTED, "", NOW - 60, NOW - 60) for x in "abcdefgh")
    decision = decide(sight(node(), *map(server, "abcdefghi"), moves=stuck), settings(in_flight=20, per_destination=0))
    assert [step.server for step in decision.steps if isinstance(step, ReadCalls)] == list("abcde")
    assert sent(decision) == ["i"]


def test_on_the_way_back_nova_is_still_asked_about_calls() -> None:
    """B19, C6: a worker that begins then has to know what has arrived by the row of an earlier call."""
    rows = tuple(
        Move(n, "a", "cmp1", MoveStatus(s), d, NOW - 60, NOW - 60)
        for n, s, d in (("1", "done", "cmp2"), ("2", "accepted", ""))
    )
    there = replace(server("a"), host="cmp2")
    decision = decide(sight(node(Phase.RETURNING), there, moves=rows), settings())
    assert ReadCalls("cmp1", "a") in decision.steps


@pytest.mark.parametrize(
    ("phase", "last", "seen_from", "rule"),
    [
        (Phase.FENCED, FENCED + 3600, FENCED - 1.0, "fencing-misdated"),
        (Phase.FENCED, FENCED - 3600, FENCED - 1.0, "fencing-misdated"),
        (Phase.FENCED, FENCED - 3600, 0.0, "pulse-awaited"),
        (Phase.CONFIRMED, FENCED - 3600, FENCED - 1.0, "pulse-awaited"),
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


def test_a_host_with_evacuations_of_others_in_its_queue_is_not_one_without_servers() -> None:
    """B29."""
    row = Move("1", "a", "cmp1", MoveStatus.ACCEPTED, "", NOW - 90, NOW - 90)
    waiting = Calls(NOW - 5, Calls.state_of((row,)), traces=(), claimed=("cmp2.example.org",))
    base = sight(node(), server("a"), moves=(row,), calls={"a": waiting})
    second = replace(node(), name="cmp2")
    own = replace(DOWN, id="u2", host="cmp2")
    empty = HostSight(services=(DOWN, own), listed_at=NOW - 1, first_listed_at=NOW - 9, moves_at=NOW)
    cluster = Cluster(True, "ctl1", {"cmp1": node(), "cmp2": second})
    hosts = {"cmp1": replace(base.hosts["cmp1"], services=(DOWN, own)), "cmp2": empty}
    said = decide(replace(base, cluster=cluster, hosts=hosts), settings()).incidents["cmp2"]
    waits = "1 evacuations from other hosts wait for its nova-compute, and begin when it is back"
    assert (said.rule, said.reason) == ("settled", waits)
    held = replace(empty, servers={"b": replace(server("b", vm_state="paused"), host="cmp2")})
    said = decide(replace(base, cluster=cluster, hosts={**hosts, "cmp2": held}), settings()).incidents["cmp2"]
    assert said.reason == f"1 held; {waits}"


def test_a_start_that_waits_for_the_host_keeps_it_away() -> None:
    """D10: until an operator has emptied the queue, and says so."""
    there = [replace(server(x), host="cmp2") for x in "abcd"]
    arrived = tuple(Move(s.id, s.id, "cmp1", MoveStatus.DONE, "cmp2", NOW - 60, NOW - 50) for s in there)
    facts: dict[str, Any] = {
        "moves": arrived,
        "queued_start": dict.fromkeys("abcd", "start"),
        "first_listed_at": NOW - 9,
    }
    seen = sight(node(), *there, **facts)
    held = decide(seen, settings()).incidents["cmp1"]
    assert (held.state, held.rule) == (State.ON_HOLD, "start-waits")
    assert "from while it was dead: start of a, start of b, start of c and others." in held.reason
    assert held.reason.endswith("rabbitmqctl purge_queue compute.cmp1; then muster release cmp1")
    older = sight(node(), *there, **facts, listed_at=NOW - 60)
    assert decide(older, settings()).incidents["cmp1"].rule == "start-waits", "it is not told anew with every list"
    assert decide(seen, settings()).steps == ()
    released = node(orders=Orders(FENCED, released=True))
    assert decide(sight(released, *there, **facts), settings()).incidents["cmp1"].rule == "settled"
    here = sight(node(), server("a"), **{**facts, "moves": ()})
    assert decide(here, settings()).incidents["cmp1"].rule == "working"


def test_a_server_whose_evacuation_failed_before_the_incident_is_not_sent_before_it_is_known_where() -> None:
    """A17."""
    log = OwnerLog(Power.RUNNING, "req-1", failed_at=FENCED - 1000.0)
    seen = sight(node(), server("a", vm_state="error"), logs={"a": log})
    assert decide(seen, settings()).steps == (ReadCalls("cmp1", "a"),)
