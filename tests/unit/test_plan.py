# SPDX-License-Identifier: Apache-2.0
"""What would happen if a host died: nothing is promised that does not fit, and nobody is forgotten."""

from __future__ import annotations

from typing import Any, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.nova_facts import Server, Service, Size
from muster.core.sequence import sequence
from muster.core.unknown import Unknown
from muster.planning.capacity import Room, asks_for_more, left_by_host
from muster.planning.hosts import Host, astray, find, hosts
from muster.planning.plan import (
    ATTENTION,
    LEFT_ALONE,
    NOT_READY,
    READY,
    Outlook,
    Pace,
    Plan,
    Survey,
    plan,
    plans,
    worst,
)
from tests.fakes import settings

NOW = 1_800_000_000.0
NAMES = ("cmp1", "cmp2", "cmp3", "cmp4")
SMALL, BIG = Size(1, 64, 1), Size(1000, 1_000_000, 1000)


def service(name: str, up: bool = True, enabled: bool = True, **more: Any) -> Service:
    return Service(id=name, host=name, up=up, enabled=enabled, **more)


def server(ident: str, size: Optional[Size] = SMALL, host: str = "cmp1", **more: Any) -> Server:
    facts = {"vm_state": "active", "created": NOW - 1e6, "updated": NOW - 1e5, **more}
    return Server(id=ident, host=host, size=size, **facts)


def cluster(*nodes: Node) -> Cluster:
    named = nodes or tuple(Node(name, remote=True, member=True) for name in NAMES)
    return Cluster(True, "ctl1", {node.name: node for node in named})


NO_PACE = Unknown("unknown")


def survey(
    *servers: Server,
    left: Union[dict[str, Size], Unknown, None] = None,
    services: Optional[list[Service]] = None,
    pace: Union[Pace, Unknown] = NO_PACE,
    **more: Any,
) -> Survey:
    services = services if services is not None else [service(name) for name in NAMES]
    room = dict.fromkeys(NAMES, BIG) if left is None else left
    return Survey(NOW, more.pop("cluster", cluster()), services, servers, room, pace, **more)


def made(seen: Survey, host: str = "cmp1", **parameters: object) -> Plan:
    policy = settings(**parameters)
    known = hosts(seen.cluster, seen.services, policy.host_map, seen.doubts)
    return next(one for one in plans(known, seen, policy) if host in (one.host.name, one.host.node))


def outlooks(one: Plan) -> dict[str, str]:
    return {turn.server.id: turn.outlook.value for turn in one.turns}


# ------------------------------------------------------------------ any servers

SIZES = st.builds(Size, st.integers(1, 8), st.integers(1, 4096), st.integers(0, 50))
LEFT = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(Size, st.integers(0, 20), st.integers(0, 9000), st.none() | st.integers(0, 90)),
)
SERVERS = st.lists(
    st.builds(
        server,
        ident=st.uuids().map(str),
        size=st.none() | SIZES,
        vm_state=st.sampled_from(["active", "stopped", "error", "paused", "shelved", "soft-delete", "odd"]),
        task_state=st.sampled_from(["", "", "", "deleting", "migrating", "powering-off"]),
        created=st.integers(0, 3).map(float),
        metadata=st.sampled_from([{}, {"evacuate_priority": "7"}, {"evacuable": "false"}]),
        known=st.sampled_from([True, True, True, False]),
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
ANY = st.tuples(SERVERS, LEFT | st.just(Unknown("placement: HTTP 403")), st.integers(1, 4), st.sampled_from([0, 1, 5]))


@given(ANY)
def test_everybody_is_in_the_plan_once_and_in_the_sequence_of_the_real_thing(
    given_: tuple[list[Server], Union[dict[str, Size], Unknown], int, int],
) -> None:
    servers, left, in_flight, per_destination = given_
    one = made(survey(*servers, left=left), in_flight=in_flight, per_destination=per_destination)
    assert [turn.server for turn in one.turns] == sequence(servers, "evacuate_priority")
    waves = [turn.wave for turn in one.turns if turn.wave]
    assert waves == sorted(waves)
    assert sorted(set(waves)) == list(range(1, one.waves + 1))
    assert all(waves.count(wave) == one.width for wave in range(1, one.waves))
    assert one.width <= in_flight


@given(ANY)
def test_only_what_is_queued_is_sent_and_nothing_is_promised_without_room(
    given_: tuple[list[Server], Union[dict[str, Size], Unknown], int, int],
) -> None:
    servers, left, _, _ = given_
    one = made(survey(*servers, left=left))
    for turn in one.turns:
        assert (turn.finding.verdict.value == "queued") is (turn.wave > 0)
    promised = [turn.server.size for turn in one.turns if turn.outlook is Outlook.EVACUATED]
    if isinstance(left, Unknown):
        assert promised == []
        return
    assert None not in promised
    others = [size for name, size in left.items() if name != "cmp1"]
    assert sum(size.vcpus for size in promised) <= sum(size.vcpus for size in others)
    assert sum(size.memory_mb for size in promised) <= sum(size.memory_mb for size in others)


@given(st.lists(SIZES, max_size=30), LEFT)
def test_never_more_is_placed_than_fits_and_who_is_turned_away_fits_nowhere(
    sizes: list[Size], left: dict[str, Size]
) -> None:
    room = Room(left, left, None)
    for number, size in enumerate(sizes):
        before = dict(room.left)
        there_is, _ = room.take(server(str(number), size))
        assert there_is is any(one.takes(size) for one in before.values())
        changed = [name for name in before if before[name] != room.left[name]]
        assert [before[name].without(size) for name in changed] == [room.left[name] for name in changed]
        assert len(changed) == bool(there_is)
        assert all(one.vcpus >= 0 and one.memory_mb >= 0 and (one.disk_gb or 0) >= 0 for one in room.left.values())


# ------------------------------------------------------------------------- room


def test_the_dead_the_down_and_the_disabled_are_no_destinations() -> None:
    services = [service("cmp1"), service("cmp2", up=False), service("cmp3", enabled=False), service("cmp4")]
    left = {"cmp1": BIG, "cmp2": BIG, "cmp3": BIG, "cmp4": Size(1, 64, 1)}
    seen = survey(server("a"), server("b"), left=left, services=services)
    assert outlooks(made(seen)) == {"a": "evacuated", "b": "no room"}


def test_what_goes_first_has_the_room() -> None:
    left = {"cmp2": Size(1, 64, 1), "cmp3": Size(0, 0, 0), "cmp4": Size(9, 9, 9)}
    late = server("b", metadata={"evacuate_priority": "1"})
    assert outlooks(made(survey(server("a"), late, left=left))) == {"b": "evacuated", "a": "no room"}


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (Size(2, 64, 10), "evacuated"),
        (Size(1, 64, 10), "no room"),
        (Size(2, 63, 10), "no room"),
        (Size(2, 64, 9), "no room"),
        (Size(2, 64, None), "evacuated"),
    ],
)
def test_cpus_memory_and_disk_each_bind(left: Size, expected: str) -> None:
    nothing = Size(0, 0, 0)
    seen = survey(server("a", Size(2, 64, 10)), left={"cmp2": left, "cmp3": nothing, "cmp4": nothing})
    assert outlooks(made(seen)) == {"a": expected}


def test_target_map_leaves_one_destination() -> None:
    seen = survey(server("a"), server("b"), left={"cmp2": BIG, "cmp3": Size(1, 64, 1), "cmp4": BIG})
    one = made(seen, target_map="cmp1:cmp3")
    assert outlooks(one) == {"a": "evacuated", "b": "no room"}
    assert [turn.dest for turn in one.turns] == ["cmp3", "cmp3"]
    assert "cmp3 (target_map)" in one.turns[1].reason


@pytest.mark.parametrize("target", ["gone", "cmp2"])
def test_a_target_that_is_not_in_use_has_no_room(target: str) -> None:
    services = [service("cmp1"), service("cmp2", up=False), service("cmp3")]
    one = made(survey(server("a"), services=services), target_map=f"cmp1:{target}")
    assert outlooks(one) == {"a": "no room"}


def test_a_host_that_placement_does_not_name_is_doubt_not_refusal() -> None:
    one = made(survey(server("a"), left={"cmp2": Size(0, 0, 0), "cmp3": Size(0, 0, 0)}))
    assert outlooks(one) == {"a": "room unknown"}
    assert "cmp4" in one.turns[0].reason
    assert one.verdict == ATTENTION


def test_a_size_that_is_not_told_is_doubt() -> None:
    assert outlooks(made(survey(server("a", None)))) == {"a": "room unknown"}


def test_hypervisors_are_found_by_their_short_names_where_that_leaves_no_doubt() -> None:
    left = {"cmp1.a.example": BIG, "cmp2.a.example": Size(1, 1, 1), "cmp2.b.example": BIG, "pool": BIG}
    assert left_by_host(left, [service("cmp1"), service("cmp2")]) == {"cmp1": BIG}


def test_what_is_not_looked_at_is_said_of_the_server_that_asks_for_it() -> None:
    one = made(survey(server("a", extra_specs={"hw:cpu_policy": "dedicated"}), server("b")))
    assert [turn.reason for turn in one.turns] == ["only if a host has what its flavor asks for: hw:cpu_policy", ""]


def test_names_what_binds_a_server_to_hosts() -> None:
    specs = {"hw:cpu_policy": "dedicated", "hw_rng:allowed": "true", "trait:HW_X": "required", "evacuable": "true"}
    assert asks_for_more(server("a", extra_specs=specs)) == ["hw:cpu_policy", "trait:HW_X"]


# ------------------------------------------------------------- waves and time


@pytest.mark.parametrize(
    ("parameters", "width"),
    [
        ({"in_flight": 10, "per_destination": 5}, 10),
        ({"in_flight": 40, "per_destination": 5}, 15),
        ({"in_flight": 40, "per_destination": 0}, 40),
        ({"in_flight": 10, "per_destination": 5, "target_map": "cmp1:cmp2"}, 5),
        ({"in_flight": 10, "per_destination": 0, "target_map": "cmp1:cmp2"}, 10),
    ],
)
def test_a_wave_is_what_may_be_under_way_at_once(parameters: dict[str, object], width: int) -> None:
    one = made(survey(*(server(f"{n:02}") for n in range(21))), **parameters)
    assert one.width == width
    assert one.waves == -(-21 // width)


def test_the_time_is_the_delay_and_a_median_for_each_wave() -> None:
    seen = survey(*(server(str(n)) for n in range(5)), pace=Pace(7.0, 3))
    assert made(seen, in_flight=2, delay_s=30).seconds == 30 + 3 * 7.0
    assert made(survey(server("a")), delay_s=30).seconds is None
    assert made(survey(pace=Pace(7.0, 3)), delay_s=30).seconds == 0.0


# ----------------------------------------------------------------- which hosts


def test_every_host_is_one_row_and_a_controller_is_none() -> None:
    nodes = [Node("ctl1", remote=False), *(Node(n, remote=True) for n in ("cmp10", "cmp9", "odd", "galera-bundle-0"))]
    services = [service("cmp9.example"), service("cmp10"), service("alone")]
    doubts = {"galera-bundle-0": "no fencing level of galera-bundle-0 names fence_muster"}
    found = hosts(cluster(*nodes), services, {}, doubts)
    assert [(host.name, host.node) for host in found] == [
        ("alone", ""),
        ("cmp9.example", "cmp9"),
        ("cmp10", "cmp10"),
        ("odd", "odd"),
    ]
    assert "nothing fences it" in found[0].fault
    assert "host_map" in found[3].fault
    assert [host.fault for host in found[1:3]] == ["", ""]


def test_a_compute_may_be_a_full_member_of_the_cluster() -> None:
    nodes = cluster(Node("cmp1", remote=False, member=True), Node("cmp2", remote=False, member=True))
    seen = survey(server("a"), cluster=nodes, doubts={"cmp2": "nobody cuts its power"})
    assert (made(seen).verdict, outlooks(made(seen))) == (READY, {"a": "evacuated"})
    assert made(seen, "cmp2").verdict == NOT_READY


def test_what_host_map_ignores_is_left_alone_and_its_service_with_it() -> None:
    seen = survey(server("a", host="cmp2"))
    one = made(seen, "cmp2", host_map="cmp2:")
    assert (one.verdict, one.host.name, len(one.turns)) == (LEFT_ALONE, "cmp2", 1)
    assert sum(host.name == "cmp2" for host in hosts(seen.cluster, seen.services, {"cmp2": ""}, {})) == 1


@pytest.mark.parametrize(
    ("name", "expected"), [("cmp1", "cmp1.a"), ("cmp1.a", "cmp1.a"), ("node2", "cmp2.a"), ("cmp3", None), ("no", None)]
)
def test_a_host_is_found_by_any_of_its_names_that_leaves_no_doubt(name: str, expected: Optional[str]) -> None:
    known = [Host("", service(host)) for host in ("cmp1.a", "cmp3.a", "cmp3.b")] + [Host("node2", service("cmp2.a"))]
    found = find(known, name)
    assert (found.name if found else None) == expected


def test_servers_that_no_host_is_shown_for_are_counted() -> None:
    known = [Host("cmp1", service("cmp1"))]
    servers = [server("a"), server("b", host="gone"), server("c", host="", known=False), server("d", host="")]
    assert astray(known, servers) == 2


# --------------------------------------------------------------------- verdicts


def dead(name: str, phase: Phase = Phase.EVACUATING) -> Node:
    return Node(name, remote=True, record=Record(phase, int(NOW) - 100, int(NOW) - 100))


ALIVE = [Node(name, remote=True, member=True) for name in ("cmp1", "cmp2")]


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (survey(server("a")), READY, ""),
        (survey(), READY, ""),
        (survey(server("a", vm_state="paused")), ATTENTION, "1 server would be held"),
        (survey(server("a", task_state="deleting", updated=NOW)), ATTENTION, "may or may not be evacuated"),
        (survey(server("a"), left=Unknown("placement: HTTP 403")), ATTENTION, "room is unknown"),
        (survey(server("a"), left={name: Size(0, 0, 0) for name in NAMES}), NOT_READY, "1 server would find no room"),
        (survey(services=[service("cmp1")], left={}), READY, ""),
        (survey(server("a"), services=[service("cmp1")], left={}), NOT_READY, "no room"),
        (survey(services=[service("cmp1", up=False)]), ATTENTION, "down"),
        (survey(services=[service("cmp1", enabled=False, disabled_reason="rack")]), ATTENTION, "rack"),
        (survey(services=[service("cmp1", known=False)]), NOT_READY, "cell"),
        (survey(services=[service("cmp1", known=False, unreadable="no state")]), NOT_READY, "cannot be read: no state"),
        (survey(doubts={"cmp1": "nobody cuts its power"}), NOT_READY, "nobody cuts its power"),
        (survey(cluster=cluster(Node("cmp2", remote=True))), NOT_READY, "nothing fences it"),
        (survey(cluster=cluster(dead("cmp1"))), ATTENTION, "muster status cmp1"),
        (survey(cluster=cluster(*ALIVE, dead("cmp3"), dead("cmp4"))), ATTENTION, "max_failed_hosts is 2"),
        (survey(cluster=cluster(*ALIVE, dead("cmp3"), dead("cmp4", Phase.RETURNING))), READY, ""),
    ],
)
def test_says_what_would_keep_servers_down_and_what_to_look_at(seen: Survey, verdict: str, words: str) -> None:
    one = made(seen, max_failed_hosts=2)
    said = "; ".join((one.blocked, *one.trouble, *one.attention))
    assert one.verdict == verdict
    assert words in said
    assert bool(words) is bool(said.strip("; "))


def test_the_worst_host_is_one_whose_servers_find_no_room() -> None:
    left = {name: Size(3, 192, 3) for name in NAMES}
    many = [server(f"m{n}", host="cmp1") for n in range(5)]
    fat = [server("fat", Size(9, 9000, 9), host="cmp2")]
    seen = survey(*many, *fat, left=left)
    found = worst(plans(hosts(seen.cluster, seen.services, {}, {}), seen, settings()))
    assert found is not None
    assert found.host.name == "cmp2"
    assert worst(plans(hosts(seen.cluster, seen.services, {}, {}), survey(), settings())) is None


def test_each_host_dies_alone_in_a_plan_of_all() -> None:
    """What one plan places takes no room from another."""
    left = {name: Size(1, 64, 1) if name == "cmp4" else Size(0, 0, 0) for name in NAMES}
    seen = survey(server("a", host="cmp1"), server("b", host="cmp2"), left=left)
    assert [outlooks(made(seen, host)) for host in ("cmp1", "cmp2")] == [{"a": "evacuated"}, {"b": "evacuated"}]


def test_a_plan_is_of_the_servers_that_it_is_given() -> None:
    seen = survey(server("a"), server("b", host="cmp2"))
    host = Host("cmp1", service("cmp1"))
    assert outlooks(plan(host, [server("a")], seen, settings())) == {"a": "evacuated"}


@pytest.mark.parametrize("sizes", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_there_is_no_size_below_nothing(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="is negative"):
        Size(*sizes)
