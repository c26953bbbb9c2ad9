# SPDX-License-Identifier: Apache-2.0
"""Which reads wait for which failures, and how what is seen of a server changes what is known of its owner's wish."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.bounds import SKEW_S
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import NovaUnavailable
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import ActionLog, Evacuation, EvacuationStatus, Power, Server, Service
from muster.engine.memory import MISDATED_S, HostMemory, Memory
from muster.engine.troubles import EVACUATIONS

FENCED = 1_000
SERVER = Server("a", "cmp1", "active", updated=FENCED + 5.0)
DONE = Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", FENCED + 10.0, FENCED + 20.0)
FAILED = replace(DONE, status=EvacuationStatus.FAILED)
SECOND = replace(FAILED, id="2", created=FENCED + 30.0)
OPEN = replace(SECOND, status=EvacuationStatus.ACCEPTED)


def test_troubles_are_forgotten_with_what_they_were_about() -> None:
    """B41."""
    memory = Memory()
    memory.hosts["cmp1"] = HostMemory(Record(Phase.EVACUATING, FENCED, FENCED))
    memory.hosts["cmp1"].inventory.want_server("a")
    for kind in ("list cmp1", "list cmp2", "server a", "server b", EVACUATIONS):
        memory.troubles.note_failed_read(kind, NovaUnavailable("no"), 1000.0)
    memory.keep_troubles()
    assert set(memory.troubles.by_kind) == {"list cmp1", "server a", EVACUATIONS}
    memory.hosts.clear()
    memory.keep_troubles()
    assert memory.troubles.by_kind == {}


def test_what_nova_wrote_since_the_fencing_belongs_to_it_though_our_clock_is_behind() -> None:
    """B25: the record may be by a clock that is right, and ours be the wrong one."""
    host = HostMemory(Record(Phase.EVACUATING, 10_000, 10_000))
    assert host.since == 10_000 - SKEW_S
    host.note_nova("cmp1", 3600.0)
    host.note_nova("cmp1", 0.0)
    assert host.since == 10_000 - SKEW_S - 3600.0


def host(*evacuations: Evacuation) -> HostMemory:
    """One whose evacuations were read before its servers."""
    it = HostMemory(Record(Phase.EVACUATING, FENCED, FENCED), name="cmp1")
    it.note_all_evacuations(evacuations, FENCED + 40.0, FENCED + 40.0)
    it.logs.note_action_log("a", ActionLog(Power.RUNNING), FENCED)
    return it


def note(it: HostMemory, server: Server, pass_began: float = FENCED + 40.0) -> HostMemory:
    it.note_server(server, pass_began, FENCED + 41.0)
    return it


def test_what_is_at_rest_where_nothing_has_moved_it_is_as_its_owner_wants_it() -> None:
    """A2, A3: else an evacuation may have brought it there."""
    assert note(host(), SERVER).logs.wanted == {"a": Power.RUNNING}
    assert note(host(), SERVER, pass_began=FENCED + 41.0).logs.wanted == {}, "one may have begun since"
    assert note(host(FAILED), SERVER).logs.wanted == {}
    assert note(host(), replace(SERVER, host="cmp2")).logs.wanted == {}
    assert note(host(), replace(SERVER, task_state="deleting")).logs.wanted == {}


def test_a_change_of_its_state_may_be_its_owners() -> None:
    """A2: its action log is read again."""
    it = note(host(), SERVER)
    assert note(it, replace(SERVER, updated=FENCED + 9.0)).logs.owners
    assert not note(it, replace(SERVER, vm_state="stopped")).logs.owners


@pytest.mark.parametrize(("rows", "asked"), [((), True), ((FAILED,), True), ((FAILED, OPEN), False)])
def test_what_its_owner_asks_of_a_dead_host_the_action_log_knows(rows: tuple[Evacuation, ...], asked: bool) -> None:
    """A2: an evacuation that is under way has such tasks of its own."""
    it = note(host(*rows), SERVER)
    note(it, replace(SERVER, task_state="powering-off"))
    assert ("a" not in it.logs.owners, it.logs.wanted) == (asked, {})


def test_what_was_proved_stays_so_when_its_cell_falls_silent() -> None:
    """B13."""
    it, silent = note(host(DONE), SERVER), replace(SERVER, known=False, updated=FENCED + 99.0)
    it.note_proof("a", Finding(SERVER, Verdict.EVACUATED, "arrived-proved", ""))
    it.note_changed_server(silent, FENCED + 50.0, FENCED + 50.0)
    assert (it.inventory.servers["a"], it.inventory.newest_change) == (SERVER, 0.0)
    del it.proofs["a"]
    it.note_changed_server(silent, FENCED + 50.0, FENCED + 50.0)
    assert (it.inventory.servers["a"], it.inventory.newest_change) == (silent, FENCED + 99.0)


@pytest.mark.parametrize(
    ("before", "shown", "kept"),
    [((), (FAILED,), True), ((FAILED,), (SECOND,), False), ((FAILED, SECOND), (SECOND,), True), ((), (OPEN,), True)],
)
def test_between_two_evacuations_the_owner_may_ask_for_something_else(
    before: tuple[Evacuation, ...], shown: tuple[Evacuation, ...], kept: bool
) -> None:
    """A2: what the action log said holds for the first one."""
    it = host(*before)
    it.note_evacuations(shown, FENCED + 60.0, FENCED + 60.0)
    assert bool(it.logs.owners) is kept


def test_what_died_with_its_destination_stays_dead_unless_that_lives() -> None:
    """B11, C3: it may return, and its record go."""
    it = host(replace(OPEN, status=EvacuationStatus.PRE_MIGRATING, dest="cmp2", updated=FENCED + 31.0), DONE)
    it.note_deaths({"cmp2": FENCED + 30.0}, ())
    assert it.dead_evacuations == set(), "it began after that"
    it.note_deaths({"cmp2": FENCED + 31.0}, ())
    it.note_deaths({}, ())
    assert it.dead_evacuations == {"2"}
    it.note_deaths({}, {"cmp2"})
    assert it.dead_evacuations == set()


def test_the_first_proof_of_a_server_is_kept() -> None:
    it, first = host(), Finding(SERVER, Verdict.EVACUATED, "arrived-proved", "first")
    it.note_proof("a", first)
    it.note_proof("a", replace(first, reason="second"))
    assert it.proofs == {"a": first}


def test_what_an_action_log_says_is_told_to_every_incident_that_knows_the_server() -> None:
    """C5: where it arrived another host may have died since."""
    memory = Memory({name: host() for name in ("cmp1", "cmp2", "cmp3")})
    for name in ("cmp1", "cmp2"):
        note(memory.hosts[name], SERVER)
    memory.note_action_log("a", ActionLog(Power.STOPPED), FENCED + 9.0)
    assert [it.logs.owners["a"].wanted.value for it in memory.hosts.values()] == ["stopped", "stopped", "running"]


def test_a_record_of_the_future_was_written_before_it_was_seen() -> None:
    """B25: by a controller whose clock was wrong."""
    assert HostMemory.begin(Record(Phase.FENCED, 99, 99), 50.0, 0.0).since == 50.0 - MISDATED_S
    assert HostMemory.begin(Record(Phase.FENCED, 99, 99), 99.0, 0.0).since == 99.0 - SKEW_S


def test_when_its_last_fencing_was_first_seen_is_known() -> None:
    it = HostMemory.begin(Record(Phase.FENCED, 90, 90), 95.0, 94.0)
    assert (it.seen_at, it.seen_from) == (95.0, 94.0)
    it.note_fenced_again(105.0, 104.0)
    assert (it.seen_at, it.seen_from) == (105.0, 104.0)


def test_only_of_a_host_that_was_let_return_the_service_tells_how_far_it_has_come() -> None:
    node, down = Node("cmp1", True, member=True), Service("u1", "cmp1", forced_down=True, enabled=False)
    it = host(replace(DONE, status=EvacuationStatus.COMPLETED, updated=FENCED + 90.0))
    for phase, restarted in ((Phase.EVACUATING, False), (Phase.RETURNING, True)):
        it.observe_node(node, replace(it.record, phase=phase), FENCED + 100.0)
        it.observe_service(node, down, FENCED + 100.0, FENCED + 101.0)
        assert it.returning.compute_restarted is restarted


def test_when_pacemaker_was_looked_at_with_quorum_is_known() -> None:
    """C3: a fencing that is seen now came after that; unless the clock was set back since."""
    memory = Memory()
    memory.note_looked(10.0, quorum=True)
    memory.note_looked(20.0, quorum=False)
    assert memory.looked_at == 10.0
    memory.note_clock_set(15.0)
    assert memory.looked_at == 10.0
    memory.note_clock_set(5.0)
    assert memory.looked_at == 5.0
    memory.note_cluster("silent")
    assert memory.cluster_trouble == "silent"


def test_servers_are_due_as_long_as_one_that_has_arrived_is_not_seen_there() -> None:
    """A1: unless it was proved before."""
    memory = Memory({"cmp1": host(DONE)})
    it = memory.hosts["cmp1"]
    memory.polling.note_servers_read(FENCED + 50.0)
    assert not memory.servers_due(FENCED + 51.0), "nothing is known of it yet"
    note(it, SERVER)
    assert memory.servers_due(FENCED + 51.0)
    note(it, replace(SERVER, host="cmp2"))
    assert not memory.servers_due(FENCED + 51.0)
    assert memory.servers_due(FENCED + 60.0)
    note(it, SERVER)
    it.note_proof("a", Finding(SERVER, Verdict.EVACUATED, "arrived-proved", ""))
    assert not memory.servers_due(FENCED + 51.0)
