# SPDX-License-Identifier: Apache-2.0
"""What the engine relies on of Nova's evacuations: what may be sent, how it ends, and what is left of it."""

from __future__ import annotations

import pytest

from muster.core.nova_facts import EvacuationStatus, Power
from tests.contract.clouds import OTHERS, Cloud
from tests.contract.steps import arrive, at_rest, evacuations, hang, ids, last_is, lose, refusal, server


def test_an_evacuate_is_refused_while_the_service_is_up(cloud: Cloud) -> None:
    ident = cloud.boot()
    said = refusal(lambda: cloud.nova.evacuate(ident, None))
    assert said.status == 400
    assert "still in use" in str(said)
    assert evacuations(cloud, ident) == []
    assert (server(cloud, ident).vm_state, server(cloud, ident).task_state) == ("active", "")


def test_an_evacuate_out_of_any_other_state_is_refused(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    for state in ("paused", "suspended", "rescued", "resized", "shelved", "building"):
        cloud.bend(ident, state)
        said = refusal(lambda: cloud.nova.evacuate(ident, None))
        assert (said.status, state in str(said)) == (409, True), said
    assert evacuations(cloud, ident) == []


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
    assert evacuations(cloud, ident) == []


def test_an_evacuation_is_seen_from_the_call_to_its_end(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.rebuilds("hang")
    sent = cloud.now()
    request_id = cloud.nova.evacuate(ident, None)
    assert request_id
    assert cloud.nova.action_log(ident).request_id == request_id
    cloud.until(last_is(cloud, ident, EvacuationStatus.PRE_MIGRATING))
    (evacuation,) = evacuations(cloud, ident)
    assert (evacuation.server, evacuation.source, evacuation.dest in OTHERS) == (ident, "cmp1", True)
    assert int(sent) <= evacuation.created <= evacuation.updated <= cloud.now() + 1
    it = server(cloud, ident)
    assert (it.host, it.vm_state) == ("cmp1", "active")
    assert it.task_state.startswith("rebuild")
    cloud.rebuilds("succeed")
    done = arrive(cloud, ident)
    assert (done.id, done.dest, done.created) == (evacuation.id, evacuation.dest, evacuation.created)
    assert server(cloud, ident).host == evacuation.dest


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
    (first,) = evacuations(cloud, ident)
    assert first.status is EvacuationStatus(status)
    assert bool(first.dest) == (status == "failed")
    it = server(cloud, ident)
    assert (it.host, bool(it.fault)) == ("cmp1", True)
    assert ("No valid host" in it.fault) == (status == "error")
    cloud.rebuilds("succeed")
    for host in OTHERS:
        cloud.operator_enables(host)
    cloud.nova.evacuate(ident, None)
    arrive(cloud, ident, "active")
    assert [m.id for m in evacuations(cloud, ident)][0] == first.id
    assert cloud.nova.action_log(ident).wanted is Power.STOPPED


def test_a_refused_claim_leaves_it_active_on_the_dead_host(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.rebuilds("refuse")
    cloud.nova.evacuate(ident, None)
    cloud.until(last_is(cloud, ident, EvacuationStatus.FAILED))
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
    first, second = evacuations(cloud, one)
    assert (first.created, int(first.id)) < (second.created, int(second.id))
    assert cloud.nova.evacuations_from("cmp2", 0.0) == []
    assert second in cloud.nova.evacuations_from("cmp1", second.created)
    assert cloud.nova.evacuations_from("cmp1", second.created + 1) == []
    assert cloud.nova.evacuations_from("cmp1", first.created, page=1) == [first, second]
    assert cloud.nova.evacuations_of_all(first.created) == cloud.nova.evacuations_from("cmp1", first.created)
    assert cloud.nova.evacuations_of_all(first.created, page=1) == [first, second]
    assert cloud.nova.evacuations_of_all(second.created + 1) == []
    assert evacuations(cloud, two) == []


def test_a_second_evacuation_is_taken_while_the_first_one_runs(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    assert cloud.nova.evacuate(ident, None)
    assert [m.status.open for m in evacuations(cloud, ident)] == [True, True]


def test_placement_holds_room_for_a_server_where_it_is_and_where_it_is_sent(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert list(cloud.nova.claimed(ident)) == ["cmp1"]
    lose(cloud)
    hang(cloud, ident)
    assert list(cloud.nova.claimed(ident)) == ["cmp1", evacuations(cloud, ident)[0].dest]


def test_a_destination_that_dies_leaves_the_row_open_and_another_evacuation_works(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    dead = evacuations(cloud, ident)[0].dest
    lose(cloud, dead)
    cloud.rebuilds("succeed")
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident).dest
    assert {dest, dead} == set(OTHERS)
    assert [m.status for m in evacuations(cloud, ident)] == [EvacuationStatus.PRE_MIGRATING, EvacuationStatus.DONE]
    assert server(cloud, ident).host == dest


def test_without_a_conductor_a_call_is_taken_and_begins_when_there_is_one(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.conductor(up=False)
    sent = cloud.now()
    cloud.nova.evacuate(ident, None)
    (evacuation,) = [m for m in cloud.nova.evacuations_from("cmp1", int(sent)) if m.server == ident]
    assert (evacuation.status, evacuation.dest) == (EvacuationStatus.ACCEPTED, "")
    cloud.conductor(up=True)
    arrive(cloud, ident)


def test_what_is_deleted_takes_its_evacuations_along(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident).dest
    cloud.owner_does("delete", ident)
    cloud.until(lambda: evacuations(cloud, ident) == [])
    assert ids(cloud.nova.servers_on(dest)) == set()
