# SPDX-License-Identifier: Apache-2.0
"""What would happen if a host died: nothing is promised that does not fit, and nobody is forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.nova_facts import Server, Service, Size
from muster.core.sequence import sequence
from muster.core.unknown import Unknown
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
    plans,
    worst,
)
from muster.planning.request import DISK_GB, MEMORY_MB, VCPU
from muster.planning.terms import Aggregate, Offer, Provider, ServerGroup, Terms, asks
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


def terms(left: dict[str, Size], servers: Iterable[Server], **more: Any) -> Terms:
    """As Placement shows hosts that have so much left, and who takes what is asked for."""
    has = {host: {VCPU: s.vcpus, MEMORY_MB: s.memory_mb, DISK_GB: s.disk_gb or 0} for host, s in left.items()}
    providers = {host: Provider(amounts, amounts, frozenset()) for host, amounts in has.items()}
    offers = {
        ask: Offer(frozenset(h for h, amounts in has.items() if all(amounts.get(n, 0) >= a for n, a in ask.resources)))
        for ask in asks(servers, True)
    }
    facts: dict[str, Any] = {"aggregates": (), "groups": (), **more}
    return Terms(providers, offers, **facts)


def survey(
    *servers: Server,
    left: Union[dict[str, Size], Unknown, None] = None,
    services: Optional[list[Service]] = None,
    pace: Union[Pace, Unknown] = NO_PACE,
    **more: Any,
) -> Survey:
    services = services if services is not None else [service(name) for name in NAMES]
    room = dict.fromkeys(NAMES, BIG) if left is None else left
    of_terms = {name: more.pop(name) for name in ("aggregates", "groups", "zones") if name in more}
    known = room if isinstance(room, Unknown) else terms(room, servers, **of_terms)
    return Survey(NOW, more.pop("cluster", cluster()), services, servers, known, pace, **more)


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


# ------------------------------------------------------------------------- room


def test_the_dead_the_down_and_the_disabled_are_no_destinations() -> None:
    services = [service("cmp1"), service("cmp2", up=False), service("cmp3", enabled=False), service("cmp4")]
    left = {"cmp1": BIG, "cmp2": BIG, "cmp3": BIG, "cmp4": Size(1, 64, 1)}
    seen = survey(server("a"), server("b"), left=left, services=services)
    assert outlooks(made(seen, in_flight=1)) == {"a": "evacuated", "b": "no room"}


def test_what_goes_first_has_the_room() -> None:
    """E24: for certain only one after the other: two that are under way together come to it as chance has it."""
    left = {"cmp1": BIG, "cmp2": Size(1, 64, 1), "cmp3": Size(0, 0, 0), "cmp4": Size(9, 9, 9)}
    late = server("b", metadata={"evacuate_priority": "1"})
    seen = survey(server("a"), late, left=left)
    assert outlooks(made(seen, in_flight=1)) == {"b": "evacuated", "a": "no room"}
    one = made(seen)
    assert outlooks(one) == {"b": "room unknown", "a": "no room"}
    assert [turn.reason.rpartition("; ")[2] for turn in one.turns] == [
        "likely cmp2",
        "by Nova's default weights no other host has that left at its turn",
    ]
    assert (one.verdict, one.trouble) == (NOT_READY, ("1 server would find no room",))


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (Size(2, 64, 10), "evacuated"),
        (Size(1, 64, 10), "no room"),
        (Size(2, 63, 10), "no room"),
        (Size(2, 64, 9), "no room"),
        (Size(2, 64, None), "no room"),
    ],
)
def test_cpus_memory_and_disk_each_bind(left: Size, expected: str) -> None:
    nothing = Size(0, 0, 0)
    seen = survey(server("a", Size(2, 64, 10)), left={"cmp1": BIG, "cmp2": left, "cmp3": nothing, "cmp4": nothing})
    assert outlooks(made(seen)) == {"a": expected}


def test_target_map_leaves_one_destination() -> None:
    seen = survey(server("a"), server("b"), left={**dict.fromkeys(NAMES, BIG), "cmp3": Size(1, 64, 1)})
    one = made(seen, target_map="cmp1:cmp3", in_flight=1)
    assert outlooks(one) == {"a": "evacuated", "b": "no room"}
    assert [turn.dest for turn in one.turns] == ["cmp3", "cmp3"]
    assert "cmp3 (target_map)" in one.turns[1].reason


@pytest.mark.parametrize("target", ["gone", "cmp2"])
def test_a_target_that_is_not_in_use_has_no_room(target: str) -> None:
    services = [service("cmp1"), service("cmp2", up=False), service("cmp3")]
    one = made(survey(server("a"), services=services), target_map=f"cmp1:{target}")
    assert outlooks(one) == {"a": "no room"}


def test_a_host_that_placement_does_not_name_is_doubt_not_refusal() -> None:
    one = made(survey(server("a"), left={"cmp1": BIG, "cmp2": Size(0, 0, 0), "cmp3": Size(0, 0, 0)}))
    assert outlooks(one) == {"a": "room unknown"}
    assert "cmp4" in one.turns[0].reason
    assert one.verdict == ATTENTION


def test_a_size_that_is_not_told_is_doubt() -> None:
    assert outlooks(made(survey(server("a", None)))) == {"a": "room unknown"}


ZONE = Aggregate("u-z", "z", frozenset({"cmp1", "cmp2"}), {"availability_zone": "z"})
FULL = {**dict.fromkeys(NAMES, BIG), "cmp2": Size(0, 0, 0)}


@pytest.mark.parametrize(
    ("it", "more", "expected", "words"),
    [
        ({"extra_specs": {"resources:CUSTOM_X": "1"}}, {}, "no room", "no other host has all that it asks for"),
        ({"extra_specs": {"hw:mem_page_size": "large"}}, {}, "room unknown", "it asks for hw:mem_page_size"),
        ({"extra_specs": {"trait:HW_X": "required"}}, {}, "evacuated", ""),
        (
            {"zone": "z", "pinned_zone": "z"},
            {"aggregates": (ZONE,), "zones": {"z": frozenset({"cmp1", "cmp2"})}, "left": FULL},
            "no room",
            "no other host of its zone z has all that it asks for",
        ),
        (
            {},
            {"groups": (ServerGroup("g", "affinity", frozenset({"a"})),)},
            "no room",
            "its server group binds it to hosts that would be dead, or are full",
        ),
        (
            {},
            {
                "groups": (ServerGroup("g", "anti-affinity", frozenset({"a", "b", "c", "d"})),),
                "mates": [server(i, host=h) for i, h in zip("bcd", NAMES[1:])],
            },
            "no room",
            "its server group keeps it apart from those on every other host that has that left",
        ),
        ({}, {"groups": Unknown("not shown")}, "room unknown", "server groups: not shown"),
        ({}, {"services": [service("cmp1")]}, "no room", "no other host is in use"),
    ],
)
def test_goes_by_what_nova_goes_by(it: dict[str, Any], more: dict[str, Any], expected: str, words: str) -> None:
    """E24: zones, groups, traits; of what the API does not show it says that it cannot say."""
    one = made(survey(server("a", **it), **more))
    assert outlooks(one) == {"a": expected}
    assert one.turns[0].reason.endswith(words)
    assert bool(words) is bool(one.turns[0].reason)


def test_of_a_large_cloud_that_is_full_not_every_host_is_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.planning.plan.CLOSELY", 1)
    left = {**dict.fromkeys(NAMES, Size(0, 0, 0)), "cmp4": Size(2, 128, 2)}
    kinds: dict[str, dict[str, Any]] = {
        "f": {"size": Size(9, 9, 9)},
        "o": {"extra_specs": {"hw:numa_nodes": "2"}},
        "s": {},
    }
    seen = survey(*(server(f"{host}-{i}", host=host, **it) for host in NAMES[:2] for i, it in kinds.items()), left=left)
    one, two = plans(hosts(seen.cluster, seen.services, {}, {})[:2], seen, settings())
    assert outlooks(one) == {"cmp1-f": "no room", "cmp1-o": "room unknown", "cmp1-s": "evacuated"}
    assert outlooks(two) == {"cmp2-f": "room unknown", "cmp2-o": "room unknown", "cmp2-s": "evacuated"}
    assert [turn.reason.partition(".")[0] for turn in two.turns] == [
        "room unknown: too many hosts are nearly full to look at each",
        "room unknown: it asks for hw:numa_nodes",
        "",
    ]


def test_a_server_that_may_not_be_sent_takes_room_all_the_same() -> None:
    """Whether one whose state is not known is evacuated nobody knows: the others are promised nothing that it may take."""
    left = {**dict.fromkeys(NAMES, Size(0, 0, 0)), "cmp2": Size(1, 64, 1)}
    odd = server("b", task_state="deleting", updated=NOW)
    assert outlooks(made(survey(server("a"), odd, left=left))) == {"a": "room unknown", "b": "unknown"}


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
        (survey(server("a"), services=[service("cmp1")], left={"cmp1": BIG}), NOT_READY, "no room"),
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


@pytest.mark.parametrize("sizes", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_there_is_no_size_below_nothing(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="is negative"):
        Size(*sizes)
