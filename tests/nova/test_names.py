# SPDX-License-Identifier: Apache-2.0
"""Scenarios B14, B17 and B18: which service is meant, and that no other one is ever touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muster.core.findings import Verdict
from tests.bed.nova.client import NovaBed
from tests.nova.conftest import rigs
from tests.nova.steps import MakeRig, boot, expect, nova_row
from tests.rig import Rig

TWO_DOMAINS = ["cmp1.a.example", "cmp1.b.example", "cmp2.a.example"]


def services(bed: NovaBed) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Every row of Nova's table of services, as far as somebody could have meddled with it."""
    query = 'select host, "binary", forced_down, disabled, disabled_reason from services where deleted=0'
    rows = bed.ctl("sql", query=query)
    return {(r["host"], r["binary"]): (r["forced_down"], r["disabled"], r["disabled_reason"]) for r in rows}


def refused(it: Rig, bed: NovaBed, node: str, *words: str) -> None:
    """The incident is blocked with these words, and nothing was done to any service or server."""
    before = services(bed)
    it.fence(node)
    it.run_until(it.blocked(node), 20)
    it.run_for(2)
    assert all(word in it.outlet.reports[node]["reason"] for word in words), it.outlet.reports[node]["reason"]
    assert services(bed) == before
    assert bed.evacuations() == []


@pytest.fixture(scope="module")
def domains() -> Iterator[NovaBed]:
    with NovaBed.start(hosts=TWO_DOMAINS) as running:
        yield running


@pytest.fixture
def fqdn(domains: NovaBed) -> NovaBed:
    """A cloud whose hosts have full names, of two DNS domains."""
    domains.reset()
    return domains


@pytest.fixture
def fqdn_rig(fqdn: NovaBed, tmp_path: Path) -> Iterator[MakeRig]:
    with rigs(fqdn, tmp_path) as make:
        yield make


@pytest.mark.parametrize("node", ["cmp1.a.example", "CMP1"])
def test_finds_the_service_of_a_short_name(bed: NovaBed, rig: MakeRig, node: str) -> None:
    """B17: Nova has short names; Pacemaker full ones, or upper case."""
    (uuid,) = boot(bed)
    others = {key: row for key, row in services(bed).items() if key != ("cmp1", "nova-compute")}
    it = rig(nodes={"cmp1": node})
    it.fence(node)
    it.run_until(it.settled(node))
    it.power_on(node)
    it.run_until(it.closed(node))
    expect(bed, uuid, "active")
    assert {key: row for key, row in services(bed).items() if key in others} == others


@pytest.mark.parametrize(
    ("host", "node", "host_map"),
    [
        ("cmp2.a.example", "cmp2", ""),
        ("cmp1.b.example", "cmp1.b.example", ""),
        ("cmp1.b.example", "CMP1.B.Example", ""),
        ("cmp1.b.example", "cmp1", "cmp1:cmp1.b.example"),
        ("cmp1.b.example", "rack7-node3", "rack7-node3:cmp1.b.example"),
    ],
)
def test_finds_the_service_of_a_full_name(
    fqdn: NovaBed, fqdn_rig: MakeRig, host: str, node: str, host_map: str
) -> None:
    """B17: Nova has full names; a short one without doubt, the same one, another case, or the operator's map."""
    (uuid,) = fqdn.boot(host)
    it = fqdn_rig(nodes={host: node}, host_map=host_map)
    it.fence(node)
    it.run_until(it.says(uuid, Verdict.EVACUATED))
    assert nova_row(fqdn, uuid)["host"] not in (host, None)
    down = [key for key, (forced, *_) in services(fqdn).items() if forced]
    assert down == [(host, "nova-compute")]


def test_a_short_name_in_two_domains_is_refused(fqdn: NovaBed, fqdn_rig: MakeRig) -> None:
    """B17: ambiguous; the candidates and the remedy are named."""
    fqdn.boot("cmp1.a.example")
    it = fqdn_rig(nodes={"cmp1.a.example": "cmp1"})
    refused(it, fqdn, "cmp1", "cmp1.a.example", "cmp1.b.example", "host_map")


def test_two_nodes_that_share_a_short_name_are_refused(bed: NovaBed, rig: MakeRig) -> None:
    """B17: the other way round."""
    boot(bed)
    it = rig(nodes={"cmp1": "cmp1.a.example", "cmp2": "cmp1.b.example"})
    refused(it, bed, "cmp1.a.example", "cmp1.b.example", "host_map")


def test_a_name_in_the_map_that_nova_does_not_have_is_refused(bed: NovaBed, rig: MakeRig) -> None:
    """B17: a typing error must not fall back to the name."""
    boot(bed)
    it = rig(host_map="cmp1:cmp11")
    refused(it, bed, "cmp1", "cmp11")


def test_two_services_of_one_node_are_refused(bed: NovaBed, rig: MakeRig) -> None:
    """B18: the same name in another case."""
    boot(bed)
    bed.ctl("add_service", host="CMP1")
    refused(rig(), bed, "cmp1", "fits several services", "CMP1")


def test_touches_no_other_service(bed: NovaBed, rig: MakeRig) -> None:
    """B18: another service on the same machine, and an ironic nova-compute that serves other hosts."""
    (uuid,) = boot(bed)
    bed.ctl("add_service", host="cmp1", binary="nova-conductor")
    bed.ctl("add_service", host="cmp1-ironic")
    before = services(bed)
    del before["cmp1", "nova-compute"]
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    expect(bed, uuid, "active")
    after = services(bed)
    assert after.pop(("cmp1", "nova-compute"))[0]
    assert after == before


@pytest.mark.parametrize("hosts", [[], ["cmp2", "cmp3"]], ids=["empty", "without"])
def test_a_list_without_the_service_is_no_reason_to_do_nothing(bed: NovaBed, rig: MakeRig, hosts: list[str]) -> None:
    """B14: blocked, loudly, until the service is listed."""
    (uuid,) = boot(bed)
    listed = bed.api("GET", "/os-services?binary=nova-compute", microversion="2.69")
    listed_hosts = [row for row in listed.json["services"] if row["host"] in hosts]
    bed.fault(method="GET", path="os-services", status=200, text=json.dumps({"services": listed_hosts}))
    it = rig()
    refused(it, bed, "cmp1", "no nova-compute service")
    assert it.cluster.nodes["cmp1"].hold
    bed.clear_faults()
    it.memory.services.outdate()  # time to list them again
    it.run_until(it.says(uuid, Verdict.EVACUATED), 30)
    expect(bed, uuid, "active")


def test_a_host_that_the_map_gives_to_another_node_is_not_taken_by_name(bed: NovaBed, rig: MakeRig) -> None:
    """B17: a node that is called like another node's host."""
    boot(bed)
    it = rig(nodes={"cmp1": "spare", "cmp2": "cmp1"}, host_map="spare:cmp1")
    refused(it, bed, "cmp1", "host_map")
