# SPDX-License-Identifier: Apache-2.0
"""B17, B18: Which Nova service belongs to a node: a match without doubt, or the reason with the candidates."""

from __future__ import annotations

import pytest

from muster.core.naming import service_of
from muster.core.nova_facts import Service
from muster.core.unknown import Unknown


def services(*hosts: str) -> list[Service]:
    return [Service(id=host, host=host) for host in hosts]


@pytest.mark.parametrize(
    ("node", "hosts", "expected"),
    [
        ("cmp1", ["cmp1", "cmp2"], "cmp1"),
        ("CMP1", ["cmp1", "cmp2"], "cmp1"),
        ("cmp1", ["cmp1.a.example", "cmp2.a.example"], "cmp1.a.example"),
        ("cmp1.a.example", ["cmp1", "cmp2"], "cmp1"),
        ("cmp1.a.example", ["cmp1.a.example", "cmp1.b.example"], "cmp1.a.example"),
        ("cmp1", ["cmp1", "cmp1.b.example"], "cmp1"),
        ("CMP1.A.Example", ["cmp1.a.example", "cmp1.b.example"], "cmp1.a.example"),
    ],
)
def test_matched_without_doubt(node: str, hosts: list[str], expected: str) -> None:
    found = service_of(node, [node, "other"], services(*hosts), {})
    assert isinstance(found, Service)
    assert found.host == expected


@pytest.mark.parametrize(
    ("node", "hosts", "named"),
    [
        ("cmp1", ["cmp1.a.example", "cmp1.b.example"], ["cmp1.a.example", "cmp1.b.example"]),
        ("cmp1.a.example", ["cmp1.b.example"], ["cmp1.a.example", "host_map"]),
        ("cmp9", ["cmp1"], ["cmp9", "host_map"]),
        ("cmp1", [], ["no nova-compute service"]),
    ],
)
def test_doubt_is_refused_with_the_candidates(node: str, hosts: list[str], named: list[str]) -> None:
    found = service_of(node, [node], services(*hosts), {})
    assert isinstance(found, Unknown)
    assert all(name in found.why for name in named)


def test_two_nodes_never_share_a_service_by_short_name() -> None:
    nodes = ["cmp1.a.example", "cmp1.b.example"]
    assert isinstance(service_of("cmp1.a.example", nodes, services("cmp1"), {}), Unknown)


def test_the_operators_map_wins_and_must_exist() -> None:
    both = services("cmp1.a.example", "cmp1.b.example")
    found = service_of("cmp1", ["cmp1"], both, {"cmp1": "cmp1.b.example"})
    assert isinstance(found, Service)
    assert found.host == "cmp1.b.example"
    for listed in (both, services("cmp1")):  # not by its name either
        assert isinstance(service_of("cmp1", ["cmp1"], listed, {"cmp1": "typo"}), Unknown)


def test_a_host_that_the_map_gives_to_another_node_is_not_taken_by_name() -> None:
    for host in ("cmp1", "cmp1.a.example"):
        assert isinstance(service_of("cmp1", ["cmp1", "spare"], services(host), {"spare": host}), Unknown)


def test_two_services_of_one_name_are_refused() -> None:
    assert isinstance(service_of("cmp1", ["cmp1"], services("cmp1", "cmp1"), {}), Unknown)
