# SPDX-License-Identifier: Apache-2.0
"""E24: what Nova and Placement show of how servers are placed, as they spell it; half a reply is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from muster.core.errors import NovaUnavailable
from muster.gateways.nova.scheduling import FULL, NovaScheduling, PlacementOffers
from muster.planning.request import Ask
from muster.planning.terms import Aggregate, Offer, Provider, ServerGroup

SUMMARY = {"resources": {"VCPU": {"capacity": 8, "used": 3}}, "traits": ["T"]}
CPU = Ask((("VCPU", 1),), frozenset(["T"]), frozenset(["U"]))


class Told(NovaScheduling):
    """By path what is replied, as JSON; lists of it one after another."""

    def __init__(self, **replies: Any) -> None:
        super().__init__("", "", True, "2.98")
        self._replies = {name.replace("_", "-"): list(texts) for name, texts in replies.items()}
        self.queries: list[Mapping[str, str]] = []
        self.admin = True
        self.login.get = self._answer  # type: ignore[method-assign]

    def _is_admin(self) -> bool:
        return self.admin

    def _speak(self, pinned: tuple[int, int]) -> tuple[int, int]:
        return pinned

    def _answer(self, service: str, path: str, params: Mapping[str, str], *rest: object) -> Any:
        self.queries.append(dict(params))
        return json.loads(json.dumps(self._replies[path.rpartition("/")[2].replace("_", "-")].pop(0)))


def aggregate(**more: Any) -> dict[str, Any]:
    return {"uuid": "u", "hosts": ["cmp1"], "metadata": {"availability_zone": "az1"}, **more}


def test_reads_aggregates_and_groups_page_by_page() -> None:
    groups = [
        {"id": "g1", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}, "members": ["a"]},
        {"id": "g2", "policies": ["affinity"], "members": []},
    ]
    nova = Told(
        os_aggregates=[{"aggregates": [aggregate()]}],
        os_server_groups=[{"server_groups": groups[:1]}, {"server_groups": groups[1:]}, {"server_groups": []}],
    )
    assert nova.images_shown()
    assert nova.aggregates() == [Aggregate("u", "az1", frozenset(["cmp1"]), {"availability_zone": "az1"})]
    assert nova.groups() == [
        ServerGroup("g1", "anti-affinity", frozenset("a"), 2),
        ServerGroup("g2", "affinity", frozenset()),
    ]
    assert [query["offset"] for query in nova.queries[1:]] == ["0", "1", "2"]


def test_who_is_no_admin_is_not_told_that_there_are_no_groups() -> None:
    nova = Told(os_server_groups=[{"server_groups": []}])
    nova.admin = False
    with pytest.raises(NovaUnavailable, match="admin"):
        nova.groups()


def providers(*rows: tuple[str, str]) -> dict[str, Any]:
    return {
        "resource_providers": [
            {"uuid": uuid, "name": f"name-{uuid}", "root_provider_uuid": root} for uuid, root in rows
        ]
    }


def candidates(**summaries: Any) -> dict[str, Any]:
    return {"provider_summaries": summaries, "allocation_requests": []}


def test_a_host_without_memory_left_may_have_cpus() -> None:
    nova = Told(
        resource_providers=[providers(("a", "a"), ("b", "b"), ("c", "c"), ("numa", "a"))],
        allocation_candidates=[candidates(a=SUMMARY), candidates(b=SUMMARY, numa=SUMMARY)],
        inventories=[{"inventories": {"VCPU": {"total": 2, "reserved": 0, "allocation_ratio": 4.0}}}],
        usages=[{"usages": {"VCPU": 9}}],
    )
    known = Provider({"VCPU": 5}, {"VCPU": 8}, frozenset("T"))
    full = Provider({"VCPU": 0}, {"VCPU": 8}, None, over=True)
    assert PlacementOffers(nova.login).providers() == {"name-a": known, "name-b": known, "name-c": full}
    nova = Told(resource_providers=[providers(("a", "a"))], allocation_candidates=[candidates(a=SUMMARY)])
    assert PlacementOffers(nova.login).providers() == {"name-a": known}


def test_an_offer_of_several_providers_is_none_of_one() -> None:
    requests = [{"allocations": {"a": {}}}, {"allocations": {"b": {}, "pool": {}}}, {"allocations": {"numa": {}}}]
    nova = Told(
        resource_providers=[providers(("a", "a"), ("b", "b"), ("pool", "pool"), ("numa", "a"))],
        allocation_candidates=[
            candidates(a=SUMMARY, b=SUMMARY, pool=SUMMARY),
            {**candidates(), "allocation_requests": requests},
        ],
    )
    placement = PlacementOffers(nova.login)
    placement.providers()
    found = placement.offer(CPU)
    assert found == Offer(frozenset(["name-a"]), frozenset(["name-a", "name-b", "name-pool"]))
    assert nova.queries[-1] == {"resources": "VCPU:1", "required": "T,!U"}


def test_asks_for_members_of_any_of_the_aggregates() -> None:
    nova = Told(resource_providers=[providers(("a", "a"))])
    assert PlacementOffers(nova.login).members(["v", "u"]) == frozenset(["name-a"])
    assert nova.queries == [{"member_of": "in:u,v"}]


def test_does_not_ask_for_ever_more_full_hosts() -> None:
    names = [str(n) for n in range(FULL + 2)]
    nova = Told(
        resource_providers=[providers(*((name, name) for name in names))],
        allocation_candidates=[candidates(), candidates()],
        inventories=[{"inventories": {}}] * FULL,
        usages=[{"usages": {}}] * FULL,
    )
    found = PlacementOffers(nova.login).providers()
    assert [one.over for one in found.values()] == [False] * FULL + [None] * 2


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("os_aggregates", {}),
        ("os_aggregates", {"aggregates": [aggregate(hosts=None)]}),
        ("os_aggregates", {"aggregates": [aggregate(uuid=None)]}),
        ("os_server_groups", {"server_groups": [{"id": "g"}]}),
        ("os_server_groups", {"server_groups": [{"members": [], "policy": "affinity"}]}),
        ("os_server_groups", {"server_groups": [{"id": "g", "members": [], "rules": {"max_server_per_host": "2"}}]}),
        ("allocation_candidates", {}),
        ("inventories", {"inventories": {"VCPU": {"total": 1}}}),
        ("allocation_candidates", {"provider_summaries": {"a": {"traits": []}}}),
        ("allocation_candidates", {"provider_summaries": {"a": {"resources": {"VCPU": {"used": 1}}, "traits": []}}}),
    ],
)
def test_half_a_reply_is_none(path: str, reply: dict[str, Any]) -> None:
    placed = path.startswith(("alloc", "inv"))
    more: dict[str, Any] = {"resource_providers": [providers(("a", "a"))], "usages": [{"usages": {}}]} if placed else {}
    nova = Told(**{"allocation_candidates": [candidates(), candidates()], **more, path: [reply]})
    with pytest.raises(NovaUnavailable):
        if path == "os_aggregates":
            nova.aggregates()
        elif path == "os_server_groups":
            nova.groups()
        else:
            PlacementOffers(nova.login).providers()


def test_an_offer_that_cannot_be_read_is_none() -> None:
    bad = {**candidates(), "allocation_requests": [{}]}
    nova = Told(resource_providers=[providers(("a", "a"))], allocation_candidates=[candidates(a=SUMMARY), bad])
    placement = PlacementOffers(nova.login)
    placement.providers()
    with pytest.raises(NovaUnavailable):
        placement.offer(CPU)
