# SPDX-License-Identifier: Apache-2.0
"""What the engine relies on of Nova, on the simulated one and on the real one.

What is not the same, and why it may stay so:

- The simulated Nova can be made worse than the real one: answers up to 5 s old, lists without half of what they have,
  requests carried out 25 s after their sender died or gave up.
- It answers no request for a server of a silent cell.  The real one answers those that need that server's row only, if the
  cell's database is merely too slow for lists.
- It refuses every state alike with 409.  The real one says 400 to what is shelved and offloaded, which muster never sends.
- Of a first evacuation that a second one overtakes before the hypervisor is asked, the simulated one makes two that run; the
  real one fails the first ("unexpected task state").
- It enables and disables any service at once.  The real one waits for a nova-compute that it takes for alive (facts.md N21);
  muster gives up after 30 s and looks, as after any lost reply.
- Its refusals have no request id, which is for people only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import pytest

from muster.errors import NovaRefused, NovaUnavailable, NovaUncertain
from muster.facts import Move, MoveStatus, Power, Server, Service
from tests.contract.clouds import OTHERS, Cloud

MARK = "muster: fenced"


def service(cloud: Cloud, host: str = "cmp1") -> Service:
    (found,) = (s for s in cloud.nova.services() if s.host == host)
    return found


def server(cloud: Cloud, ident: str) -> Server:
    """As the list of what has changed shows it, wherever it is and deleted or not."""
    (found,) = (s for s in cloud.nova.servers_changed(0.0) if s.id == ident)
    return found


def moves(cloud: Cloud, ident: str, source: str = "cmp1") -> list[Move]:
    return [m for m in cloud.nova.moves_from(source, 0.0) if m.server == ident]


def ids(servers: object) -> set[str]:
    return {s.id for s in servers}  # type: ignore[attr-defined]


def lose(cloud: Cloud, host: str = "cmp1") -> None:
    """It is powered off, and Nova is told."""
    cloud.power_off(host)
    cloud.nova.force_down(service(cloud, host).id, MARK)


def at_rest(cloud: Cloud, ident: str, vm_state: str) -> Callable[[], bool]:
    def is_so() -> bool:
        it = server(cloud, ident)
        return (it.vm_state, it.task_state) == (vm_state, "")

    return is_so


def last_is(cloud: Cloud, ident: str, status: MoveStatus) -> Callable[[], bool]:
    return lambda: bool(moves(cloud, ident)) and moves(cloud, ident)[-1].status is status


def hang(cloud: Cloud, ident: str) -> None:
    """Evacuate it, and leave it where the hypervisor is asked to start it.

    A row becomes pre-migrating a little earlier.  A second evacuation taken between the two sets the task state back, and the
    first one ends in error with it.
    """
    cloud.rebuilds("hang")
    cloud.nova.evacuate(ident, None)
    cloud.until(last_is(cloud, ident, MoveStatus.PRE_MIGRATING))
    cloud.until(lambda: server(cloud, ident).task_state == "rebuild_spawning")


def arrive(cloud: Cloud, ident: str, vm_state: str = "active") -> Move:
    """Wait until the last evacuation of the server is done, and the server at rest."""
    cloud.until(last_is(cloud, ident, MoveStatus.DONE))
    cloud.until(at_rest(cloud, ident, vm_state))
    return moves(cloud, ident)[-1]


def refusal(call: Callable[[], object]) -> NovaRefused:
    with pytest.raises(NovaRefused) as caught:
        call()
    assert str(caught.value)
    return caught.value


# ------------------------------------------------------------------------------------------- one server by itself


def test_a_server_by_itself_is_as_the_list_shows_it(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert cloud.nova.server(ident) == server(cloud, ident)


def test_a_deleted_server_is_not_found_by_itself(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.owner_does("delete", ident)
    cloud.until(lambda: server(cloud, ident).deleted)
    assert refusal(lambda: cloud.nova.server(ident)).status == 404


# --------------------------------------------------------------------------------------------------- services


def test_a_healthy_service_is_up_and_enabled(cloud: Cloud) -> None:
    listed = cloud.nova.services()
    assert sorted(s.host for s in listed) == ["cmp1", *OTHERS]
    assert len({s.id for s in listed}) == 3
    for it in listed:
        assert (it.known, it.up, it.enabled, it.forced_down, it.disabled_reason) == (True, True, True, False, "")


def test_one_call_forces_down_and_disables_with_the_reason_and_one_undoes_it(cloud: Cloud) -> None:
    ident = service(cloud).id
    assert cloud.nova.force_down(ident, MARK)
    it = service(cloud)
    assert (it.up, it.enabled, it.forced_down, it.disabled_reason) == (False, False, True, MARK)
    assert cloud.nova.force_up(ident, unforce=True, enable=True)
    it = service(cloud)
    assert (it.id, it.up, it.enabled, it.forced_down, it.disabled_reason) == (ident, True, True, False, "")


def test_a_force_down_without_a_reason_leaves_the_operators_disable_alone(cloud: Cloud) -> None:
    cloud.operator_disables("cmp1", "disk swap")
    ident = service(cloud).id
    cloud.nova.force_down(ident, None)
    it = service(cloud)
    assert (it.enabled, it.forced_down, it.disabled_reason) == (False, True, "disk swap")
    cloud.nova.force_up(ident, unforce=True, enable=False)
    it = service(cloud)
    assert (it.enabled, it.forced_down, it.disabled_reason) == (False, False, "disk swap")


def test_a_force_down_may_be_repeated(cloud: Cloud) -> None:
    ident = service(cloud).id
    cloud.nova.force_down(ident, MARK)
    once = service(cloud)
    cloud.nova.force_down(ident, MARK)
    twice = service(cloud)
    assert (twice.up, twice.enabled, twice.forced_down) == (once.up, once.enabled, once.forced_down)
    assert twice.disabled_reason == MARK


def test_a_host_that_lives_is_seen_to_write_although_it_is_forced_down(cloud: Cloud) -> None:
    cloud.nova.force_down(service(cloud).id, MARK)
    before = service(cloud).updated_at
    cloud.until(lambda: service(cloud).updated_at > before)
    assert not service(cloud).up


def test_a_host_without_power_writes_nothing_more(cloud: Cloud) -> None:
    lose(cloud)
    before, neighbour = service(cloud).updated_at, service(cloud, "cmp2").updated_at
    cloud.until(lambda: service(cloud, "cmp2").updated_at > neighbour + 2.0)
    assert service(cloud).updated_at == before


def test_a_change_of_the_service_moves_the_time_of_its_heartbeat(cloud: Cloud) -> None:
    cloud.power_off("cmp1")
    before = service(cloud).updated_at
    neighbour = service(cloud, "cmp2").updated_at
    cloud.until(lambda: service(cloud, "cmp2").updated_at > max(before, neighbour) + 2.0)
    cloud.nova.force_down(service(cloud).id, MARK)
    assert service(cloud).updated_at > before


# --------------------------------------------------------------------------------------- servers and their lists


def test_a_server_is_listed_on_its_host_with_what_its_owner_gave_it(cloud: Cloud) -> None:
    ident, other = cloud.boot("cmp1", evacuate_priority="900"), cloud.boot("cmp2")
    (it,) = cloud.nova.servers_on("cmp1")
    assert (it.id, it.host, it.vm_state, it.task_state) == (ident, "cmp1", "active", "")
    assert (it.known, it.launched, it.deleted, it.metadata) == (True, True, False, {"evacuate_priority": "900"})
    assert 0 < it.created <= it.updated <= cloud.now() + 1
    assert ids(cloud.nova.servers_on("cmp2")) == {other}
    assert ids(cloud.nova.servers_on("cmp3")) == set()


def test_what_has_changed_since_is_listed_by_novas_clock_in_whole_seconds(cloud: Cloud) -> None:
    ident = cloud.boot()
    changed = server(cloud, ident).updated
    assert ident in ids(cloud.nova.servers_changed(changed))
    assert ident not in ids(cloud.nova.servers_changed(changed + 1))


def test_a_brief_list_of_what_has_changed_lacks_the_marks_of_images_and_nothing_else(cloud: Cloud) -> None:
    marked, plain = cloud.boot_from_a_marked_image(), cloud.boot(evacuate_priority="900")
    whole = {s.id: s for s in cloud.nova.servers_changed(0.0)}
    brief = {s.id: s for s in cloud.nova.servers_changed(0.0, brief=True)}
    assert set(whole) == {marked, plain}
    assert whole[marked].image_properties
    assert brief == {ident: replace(it, image_properties={}) for ident, it in whole.items()}


def test_what_has_left_is_on_the_list_of_what_has_changed_only(cloud: Cloud) -> None:
    ident, other = cloud.boot(), cloud.boot()
    before = min(server(cloud, ident).updated, server(cloud, other).updated)
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident).dest
    assert ids(cloud.nova.servers_on("cmp1")) == {other}
    assert ids(cloud.nova.servers_on(dest)) == {ident}
    assert {s.id: s.host for s in cloud.nova.servers_changed(before)}[ident] == dest


def test_a_server_deleted_while_its_host_is_down_is_gone_at_once(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.owner_does("delete", ident)
    cloud.until(lambda: server(cloud, ident).deleted)
    assert ids(cloud.nova.servers_on("cmp1")) == set()
    assert refusal(lambda: cloud.nova.evacuate(ident, None)).status == 404


def test_a_server_deleted_before_its_host_is_known_to_be_down_waits_for_it(cloud: Cloud) -> None:
    ident = cloud.boot()
    cloud.power_off("cmp1")
    cloud.owner_does("delete", ident)
    cloud.nova.force_down(service(cloud).id, MARK)
    (it,) = cloud.nova.servers_on("cmp1")
    assert (it.id, it.vm_state, it.task_state, it.deleted) == (ident, "active", "deleting", False)


# -------------------------------------------------------------------------------------------- what may be evacuated


def test_an_evacuate_is_refused_while_the_service_is_up(cloud: Cloud) -> None:
    ident = cloud.boot()
    said = refusal(lambda: cloud.nova.evacuate(ident, None))
    assert said.status == 400
    assert "still in use" in str(said)
    assert moves(cloud, ident) == []
    assert (server(cloud, ident).vm_state, server(cloud, ident).task_state) == ("active", "")


def test_an_evacuate_out_of_any_other_state_is_refused(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    for state in ("paused", "suspended", "rescued", "resized", "shelved", "building"):
        cloud.bend(ident, state)
        said = refusal(lambda: cloud.nova.evacuate(ident, None))
        assert (said.status, state in str(said)) == (409, True), said
    assert moves(cloud, ident) == []


def test_an_evacuate_of_what_never_ran_is_refused(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.bend(ident, "error", launched=False)
    assert refusal(lambda: cloud.nova.evacuate(ident, None)).status == 409


def test_an_evacuate_goes_where_it_is_told_and_never_to_where_it_comes_from(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    assert refusal(lambda: cloud.nova.evacuate(ident, "cmp1")).status == 400
    cloud.nova.evacuate(ident, "cmp3")
    assert arrive(cloud, ident).dest == "cmp3"


def test_a_target_that_does_not_exist_is_refused_as_if_the_server_did_not(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    assert refusal(lambda: cloud.nova.evacuate(ident, "cmp9")).status == 404
    assert moves(cloud, ident) == []


# ------------------------------------------------------------------------------------------------ an evacuation


def test_an_evacuation_is_seen_from_the_call_to_its_end(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.rebuilds("hang")
    sent = cloud.now()
    request_id = cloud.nova.evacuate(ident, None)
    assert request_id
    assert cloud.nova.owner_log(ident).request_id == request_id
    cloud.until(last_is(cloud, ident, MoveStatus.PRE_MIGRATING))
    (move,) = moves(cloud, ident)
    assert (move.server, move.source, move.dest in OTHERS) == (ident, "cmp1", True)
    assert int(sent) <= move.created <= move.updated <= cloud.now() + 1
    it = server(cloud, ident)
    assert (it.host, it.vm_state) == ("cmp1", "active")
    assert it.task_state.startswith("rebuild")
    cloud.rebuilds("succeed")
    done = arrive(cloud, ident)
    assert (done.id, done.dest, done.created) == (move.id, move.dest, move.created)
    assert server(cloud, ident).host == move.dest


def test_a_stopped_server_stays_stopped(cloud: Cloud) -> None:
    ident = cloud.boot()
    cloud.owner_does("stop", ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident, "stopped").dest
    assert server(cloud, ident).host == dest


@pytest.mark.parametrize("status", ["error", "failed"])
def test_what_failed_comes_up_running_at_the_next_try_whatever_its_owner_wanted(cloud: Cloud, status: str) -> None:
    ident = cloud.boot()
    cloud.owner_does("stop", ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    lose(cloud)
    if status == "failed":
        cloud.rebuilds("fail")
    else:
        for host in OTHERS:
            cloud.operator_disables(host, "full")
    cloud.nova.evacuate(ident, None)
    cloud.until(at_rest(cloud, ident, "error"))
    (first,) = moves(cloud, ident)
    assert first.status is MoveStatus(status)
    assert bool(first.dest) == (status == "failed")
    it = server(cloud, ident)
    assert (it.host, bool(it.fault)) == ("cmp1", True)
    assert ("No valid host" in it.fault) == (status == "error")
    cloud.rebuilds("succeed")
    for host in OTHERS:
        cloud.operator_enables(host)
    cloud.nova.evacuate(ident, None)
    arrive(cloud, ident, "active")
    assert [m.id for m in moves(cloud, ident)][0] == first.id
    assert cloud.nova.owner_log(ident).wanted is Power.STOPPED


def test_a_refused_claim_leaves_it_active_on_the_dead_host(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.rebuilds("refuse")
    cloud.nova.evacuate(ident, None)
    cloud.until(last_is(cloud, ident, MoveStatus.FAILED))
    cloud.until(at_rest(cloud, ident, "active"))
    assert server(cloud, ident).host == "cmp1"


def test_only_evacuations_from_that_host_since_then_are_told_oldest_first(cloud: Cloud) -> None:
    one, two = cloud.boot(), cloud.boot("cmp2")
    for host in OTHERS:
        cloud.operator_disables(host, "full")
    lose(cloud)
    for _ in range(2):
        cloud.nova.evacuate(one, None)
        cloud.until(at_rest(cloud, one, "error"))
    first, second = moves(cloud, one)
    assert (first.created, int(first.id)) < (second.created, int(second.id))
    assert cloud.nova.moves_from("cmp2", 0.0) == []
    assert second in cloud.nova.moves_from("cmp1", second.created)
    assert cloud.nova.moves_from("cmp1", second.created + 1) == []
    assert cloud.nova.moves_from("cmp1", first.created, page=1) == [first, second]
    assert cloud.nova.moves_of_all(first.created) == cloud.nova.moves_from("cmp1", first.created)
    assert cloud.nova.moves_of_all(first.created, page=1) == [first, second]
    assert cloud.nova.moves_of_all(second.created + 1) == []
    assert moves(cloud, two) == []


def test_a_second_evacuation_is_taken_while_the_first_one_runs(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    assert cloud.nova.evacuate(ident, None)
    assert [m.status.open for m in moves(cloud, ident)] == [True, True]


def test_placement_holds_room_for_a_server_where_it_is_and_where_it_is_sent(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert list(cloud.nova.claimed(ident)) == ["cmp1"]
    lose(cloud)
    hang(cloud, ident)
    assert list(cloud.nova.claimed(ident)) == ["cmp1", moves(cloud, ident)[0].dest]


def test_a_destination_that_dies_leaves_the_row_open_and_another_evacuation_works(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    dead = moves(cloud, ident)[0].dest
    lose(cloud, dead)
    cloud.rebuilds("succeed")
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident).dest
    assert {dest, dead} == set(OTHERS)
    assert [m.status for m in moves(cloud, ident)] == [MoveStatus.PRE_MIGRATING, MoveStatus.DONE]
    assert server(cloud, ident).host == dest


def test_without_a_conductor_a_call_is_taken_and_begins_when_there_is_one(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.conductor(up=False)
    sent = cloud.now()
    cloud.nova.evacuate(ident, None)
    (move,) = [m for m in cloud.nova.moves_from("cmp1", int(sent)) if m.server == ident]
    assert (move.status, move.dest) == (MoveStatus.ACCEPTED, "")
    cloud.conductor(up=True)
    arrive(cloud, ident)


def test_what_is_deleted_takes_its_evacuations_along(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident).dest
    cloud.owner_does("delete", ident)
    cloud.until(lambda: moves(cloud, ident) == [])
    assert ids(cloud.nova.servers_on(dest)) == set()


# --------------------------------------------------------------------------------------------------- the return


def test_a_force_down_is_lifted_only_after_the_hosts_own_nova_compute_has_finished(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    arrive(cloud, ident)
    assert refusal(lambda: cloud.nova.force_up(service(cloud).id, unforce=True, enable=True)).status == 400
    it = service(cloud)
    assert (it.forced_down, it.enabled, it.disabled_reason) == (True, False, MARK)
    cloud.power_on("cmp1")
    cloud.until(last_is(cloud, ident, MoveStatus.COMPLETED))
    assert service(cloud).forced_down
    assert server(cloud, ident).host in OTHERS
    cloud.nova.force_up(service(cloud).id, unforce=True, enable=True)
    cloud.until(lambda: service(cloud).up)
    assert service(cloud).enabled


def test_a_force_down_may_be_lifted_while_an_evacuation_is_under_way(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    cloud.nova.force_up(service(cloud).id, unforce=True, enable=False)
    assert not service(cloud).forced_down


def test_a_host_that_returns_too_early_calls_an_evacuation_completed_that_is_not(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    cloud.power_on("cmp1")
    cloud.until(last_is(cloud, ident, MoveStatus.COMPLETED))
    it = server(cloud, ident)
    assert it.host == "cmp1"
    assert it.task_state.startswith("rebuild")


# --------------------------------------------------------------------------------- power, as its owner wants it


def test_the_log_knows_what_the_owner_last_asked_for(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert cloud.nova.owner_log(ident).wanted is Power.RUNNING
    assert cloud.nova.owner_log(ident).request_id == ""
    cloud.owner_does("stop", ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    assert cloud.nova.owner_log(ident).wanted is Power.STOPPED
    cloud.owner_does("start", ident)
    cloud.until(at_rest(cloud, ident, "active"))
    assert cloud.nova.owner_log(ident).wanted is Power.RUNNING


def test_what_the_owner_asks_of_a_dead_host_is_in_the_log_and_nowhere_else(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.owner_does("stop", ident)
    it = server(cloud, ident)
    assert (it.vm_state, it.task_state) == ("active", "powering-off")
    assert cloud.nova.owner_log(ident).wanted is Power.STOPPED


def test_the_log_knows_the_newest_evacuate(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    for host in OTHERS:
        cloud.operator_disables(host, "full")
    asked = []
    for _ in range(2):
        asked.append(cloud.nova.evacuate(ident, None))
        cloud.until(at_rest(cloud, ident, "error"))
    log = cloud.nova.owner_log(ident)
    assert asked[0] != asked[1]
    assert (log.request_id, log.wanted) == (asked[1], Power.RUNNING)


def test_a_stop_shuts_down_what_runs_and_is_in_the_log(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert cloud.nova.stop(ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    assert cloud.nova.owner_log(ident).wanted is Power.STOPPED
    assert refusal(lambda: cloud.nova.stop(ident)).status == 409


def test_a_reset_makes_it_active_in_novas_books_and_asks_nobody(cloud: Cloud) -> None:
    ident = cloud.boot()
    cloud.owner_does("stop", ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    lose(cloud)
    cloud.bend(ident, "paused")
    assert cloud.nova.reset_state(ident)
    assert at_rest(cloud, ident, "active")()
    assert cloud.nova.owner_log(ident).wanted is Power.STOPPED
    cloud.nova.evacuate(ident, None)
    arrive(cloud, ident, "active")


# ------------------------------------------------------------------------------------------------------ troubles


def test_what_nobody_takes_has_certainly_not_been_done(cloud: Cloud) -> None:
    ident, it, nova = cloud.boot(), service(cloud), cloud.nova
    calls: dict[str, Callable[[], object]] = {
        "services": nova.services,
        "servers_on": lambda: nova.servers_on("cmp1"),
        "servers_changed": lambda: nova.servers_changed(0.0),
        "moves_from": lambda: nova.moves_from("cmp1", 0.0),
        "owner_log": lambda: nova.owner_log(ident),
        "force_down": lambda: nova.force_down(it.id, MARK),
        "force_up": lambda: nova.force_up(it.id, True, True),
        "evacuate": lambda: nova.evacuate(ident, None),
        "stop": lambda: nova.stop(ident),
        "reset_state": lambda: nova.reset_state(ident),
    }
    cloud.api(up=False)
    for call in calls.values():
        with pytest.raises(NovaUnavailable):
            call()
    cloud.api(up=True)
    assert at_rest(cloud, ident, "active")()
    assert not service(cloud).forced_down
    assert nova.owner_log(ident).wanted is Power.RUNNING


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("call", ["evacuate", "force_down"])
def test_a_write_without_a_reply_may_have_been_carried_out_or_not(cloud: Cloud, call: str, done: bool) -> None:
    ident = cloud.boot()
    it = service(cloud)
    if call == "evacuate":
        lose(cloud)
    cloud.lose_reply(after=done)
    with pytest.raises(NovaUncertain):
        cloud.nova.evacuate(ident, None) if call == "evacuate" else cloud.nova.force_down(it.id, MARK)
    assert (len(moves(cloud, ident)) if call == "evacuate" else service(cloud).forced_down) == done


def test_nothing_that_a_silent_cell_hides_is_told_as_if_it_were_all(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    it = service(cloud)
    cloud.cell(answers=False)
    assert not service(cloud).known
    assert not any(s.known for s in cloud.nova.servers_on("cmp1"))
    assert not any(s.known for s in cloud.nova.servers_changed(0.0))
    assert cloud.nova.moves_from("cmp1", 0.0) == []
    with pytest.raises(NovaUncertain):
        cloud.nova.evacuate(ident, None)
    cloud.cell(answers=True)
    assert service(cloud) == it
    assert len(moves(cloud, ident)) == 1


@pytest.mark.parametrize("rows", ["server", "evacuations"])
def test_a_row_that_cannot_be_read_is_of_its_own_server_only(cloud: Cloud, rows: str) -> None:
    """B43."""
    one, two = cloud.boot(), cloud.boot()
    lose(cloud)
    for host in OTHERS:
        cloud.operator_disables(host, "full")
    for ident in (one, two):
        cloud.nova.evacuate(ident, None)
        cloud.until(last_is(cloud, ident, MoveStatus.ERROR))
    known = {s.id: s for s in cloud.nova.servers_on("cmp1")}
    cloud.garble(two, rows)
    servers = {s.id: s for s in cloud.nova.servers_on("cmp1")}
    assert servers[one] == known[one]
    assert (servers[two].known, bool(servers[two].unreadable)) == (rows != "server", rows == "server")
    assert [m.status for m in moves(cloud, one)] == [MoveStatus.ERROR]
    assert [(m.status.open, bool(m.unreadable)) for m in moves(cloud, two)] == [(rows == "evacuations",) * 2]
