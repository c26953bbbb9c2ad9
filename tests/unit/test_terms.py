# SPDX-License-Identifier: Apache-2.0
"""E24: which hosts surely take a server and which perhaps, by Nova's own rules; what is not known promises nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Union

import pytest

from muster.core.errors import NovaRefused, NovaUnavailable
from muster.core.nova_facts import Server, Service, Size
from muster.core.unknown import Unknown
from muster.planning.answer import Capacity, Fleet, capacity, outcomes
from muster.planning.hosts import Host
from muster.planning.inquiry import ASKS, ask_terms
from muster.planning.packing import Fate
from muster.planning.request import Ask, request
from muster.planning.terms import Aggregate, Offer, Placing, Provider, ServerGroup, Terms
from tests.fakes import settings

HOSTS = ("cmp1", "cmp2", "cmp3")
SERVICES = [Service(id=name, host=name, up=True) for name in HOSTS]
ASK = Ask((("DISK_GB", 1), ("MEMORY_MB", 512), ("VCPU", 1)))


def server(ident: str = "a", host: str = "cmp1", **more: Any) -> Server:
    facts = {"image": "i", "size": Size(1, 512, 1), "pinned_zone": "", "zone": "nova", "vm_state": "active", **more}
    return Server(ident, host, **{"created": 1.0, "updated": 1.0, **facts})


# ----------------------------------------------------------------- the request


def test_asks_placement_for_what_nova_would() -> None:
    assert request(server(), True).ask == ASK
    specs = {"resources:CUSTOM_GOLD": "1", "resources:VCPU": "0", "trait:A": "required", "trait:B": "forbidden"}
    assert request(server(extra_specs=specs), True).ask == Ask(
        (("CUSTOM_GOLD", 1), ("DISK_GB", 1), ("MEMORY_MB", 512)), frozenset("A"), frozenset("B")
    )
    of_image = request(server(image_properties={"trait:C": "required", "os_distro": "debian"}), True)
    assert (of_image.ask.required, of_image.unjudged, of_image.like_its_host) == (frozenset("C"), "", False)
    assert request(server(size=Size(1, 512, 0)), True).ask == Ask((("MEMORY_MB", 512), ("VCPU", 1)))


@pytest.mark.parametrize(
    ("key", "value", "judged"),
    [
        ("hw:numa_nodes", "2", False),
        ("hw:mem_page_size", "large", False),
        ("pci_passthrough:alias", "gpu:1", False),
        ("accel:device_profile", "p", False),
        ("capabilities:cpu_info:vendor", "AMD", False),
        ("aggregate_instance_extra_specs:ssd", "true", False),
        ("resources1:VGPU", "1", False),
        ("trait_x:A", "required", False),
        ("os:secure_boot", "required", False),
        ("hw:cpu_policy", "dedicated", False),
        ("hypervisor_type", "QEMU", False),
        ("num_instances", "< 5", False),
        ("hw:cpu_policy", "shared", True),
        ("hw:watchdog_action", "reset", True),
        ("hw_rng:allowed", "true", True),
        ("quota:cpu_shares", "1", True),
        ("evacuable", "true", True),
        ("billing:sku", "x", True),
    ],
)
def test_names_what_nobody_can_judge(key: str, value: str, judged: bool) -> None:
    found = request(server(extra_specs={key: value}), True)
    assert (found.unjudged == "") is judged
    assert judged or key in found.unjudged


def test_an_image_that_is_not_shown_ties_the_server_to_hosts_like_its_own() -> None:
    assert request(server(image=""), True).like_its_host
    assert request(server(), False).like_its_host
    assert request(server(image_properties={"hw_architecture": "x86_64"}), True).like_its_host
    assert "hw_tpm_model" in request(server(image_properties={"hw_tpm_model": "tpm-crb"}), True).unjudged
    assert request(server(size=None), True).unjudged


# --------------------------------------------------------------------- the hosts


def terms(**more: Any) -> Terms:
    provider = Provider({"MEMORY_MB": 5120, "VCPU": 10, "DISK_GB": 10}, {"MEMORY_MB": 9999}, frozenset(["T"]))
    facts: dict[str, Any] = {
        "providers": dict.fromkeys(HOSTS, provider),
        "offers": {ASK: Offer(frozenset(HOSTS))},
        "aggregates": (),
        "groups": (),
        **more,
    }
    return Terms(**facts)


def taken(one: Server, about: Terms, *others: Server, **targets: str) -> tuple[set[str], set[str], str]:
    guest = Placing(about, [one, *others], HOSTS, targets).guest(one)
    return set(guest.takes), set(guest.may), guest.unjudged


def test_what_placement_offers_is_taken_and_what_it_offers_in_parts_perhaps() -> None:
    assert taken(server(), terms()) == (set(HOSTS), set(HOSTS), "")
    split = terms(offers={ASK: Offer(frozenset(["cmp2"]), frozenset(["cmp3"]))})
    assert taken(server(), split) == ({"cmp2"}, {"cmp2", "cmp3"}, "")
    assert "HTTP 500" in taken(server(), terms(offers={ASK: Unknown("HTTP 500")}))[2]
    assert taken(server(), terms(offers={}))[2]


def test_a_zone_binds_whom_it_is_pinned_to_and_perhaps_those_of_an_older_nova() -> None:
    zoned = terms(zones={"az1": frozenset(["cmp1", "cmp2"])})
    assert taken(server(pinned_zone="az1"), zoned) == ({"cmp1", "cmp2"}, {"cmp1", "cmp2"}, "")
    assert taken(server(zone="az1"), zoned) == (set(HOSTS), set(HOSTS), "")
    assert taken(server(pinned_zone=None, zone="az1"), zoned) == ({"cmp1", "cmp2"}, set(HOSTS), "")
    assert taken(server(pinned_zone="nova"), zoned) == (set(HOSTS), set(HOSTS), "")
    assert "zone" in taken(server(pinned_zone="az1"), terms(zones={"az1": Unknown("HTTP 500")}))[2]


def test_affinity_leaves_the_hosts_of_the_group() -> None:
    both = ServerGroup("g", "affinity", frozenset("ab"))
    assert taken(server(), terms(groups=[both]))[0] == {"cmp1"}
    assert taken(server(), terms(groups=[both]), server("b", "cmp3"))[0] == {"cmp1", "cmp3"}
    soft = ServerGroup("g", "soft-affinity", frozenset("ab"))
    assert taken(server(), terms(groups=[soft]))[0] == set(HOSTS)
    assert "groups" in taken(server(), terms(groups=Unknown("HTTP 403")))[2]


def test_anti_affinity_counts_who_is_where() -> None:
    group = ServerGroup("g", "anti-affinity", frozenset("ab"), 2)
    placing = Placing(terms(groups=[group]), [server(), server("b", "cmp2")], HOSTS, {})
    made = placing.cloud([server()], [server("b", "cmp2")])
    assert made.apart["g"].most == 2
    assert dict(made.apart["g"].on) == {"cmp1": 1, "cmp2": 1}
    assert made.guests["cmp1"][0].apart == "g"
    assert "not known" in made.guests["cmp2"][0].unjudged


@pytest.mark.parametrize(
    ("metadata", "project", "hosts"),
    [
        ({"filter_tenant_id": "p"}, "p", {"cmp3"}),
        ({"filter_tenant_id1": "q, p"}, "p", {"cmp3"}),
        ({"filter_tenant_id": "p"}, "q", {"cmp1", "cmp2"}),
        ({"trait:CUSTOM_WIN": "required"}, "p", {"cmp1", "cmp2"}),
        ({"ssd": "true"}, "p", set(HOSTS)),
    ],
)
def test_an_aggregate_that_may_be_kept_for_some_is_no_promise_to_others(
    metadata: dict[str, str], project: str, hosts: set[str]
) -> None:
    kept = terms(aggregates=[Aggregate("u", "", frozenset(["cmp3"]), metadata)])
    assert taken(server(project=project), kept) == (hosts, set(HOSTS), "")
    assert "aggregates" in taken(server(), terms(aggregates=Unknown("HTTP 403")))[2]


def test_without_its_image_only_hosts_with_all_traits_of_its_own_take_it() -> None:
    plain, rich = Provider(traits=frozenset("T")), Provider(traits=frozenset(["T", "U", "COMPUTE_STATUS_DISABLED"]))
    mixed = terms(providers={"cmp1": rich, "cmp2": plain, "cmp3": rich})
    assert taken(server(image=""), mixed)[0] == {"cmp1", "cmp3"}
    assert taken(server(image="", host="cmp2"), mixed)[0] == set(HOSTS)
    full = terms(providers={"cmp1": Provider(), "cmp2": plain, "cmp3": rich})
    assert taken(server(image=""), full)[0] == {"cmp3"}


def test_a_host_that_has_given_too_much_may_keep_its_servers() -> None:
    """Placement checks the claim on the source, too."""
    for over in (True, None):
        hosts = {name: Provider(traits=frozenset(), over=over if name == "cmp1" else False) for name in HOSTS}
        takes, _, why = taken(server(), terms(providers=hosts))
        assert (takes, "cmp1" in why) == (set(), True)
        assert taken(server(host="cmp2"), terms(providers=hosts))[2] == ""


def test_target_map_leaves_one() -> None:
    assert taken(server(), terms(), cmp1="cmp3") == ({"cmp3"}, {"cmp3"}, "")


# -------------------------------------------------------------- what is asked for


class Answers:
    """Nova and placement."""

    def __init__(self, **wrong: Exception) -> None:
        self.wrong, self.asked = wrong, []  # type: tuple[Mapping[str, Exception], list[str]]

    def _take(self, what: str) -> None:
        self.asked.append(what)
        if what in self.wrong:
            raise self.wrong[what]

    def images_shown(self) -> bool:
        return True

    def aggregates(self) -> Sequence[Aggregate]:
        self._take("aggregates")
        return [Aggregate("u1", "az1", frozenset(["cmp1"]), {}), Aggregate("u2", "az2", frozenset(), {})]

    def groups(self) -> Sequence[ServerGroup]:
        self._take("groups")
        return []

    def providers(self) -> Mapping[str, Provider]:
        self._take("providers")
        return {**{f"{name}.example": Provider() for name in HOSTS}, "pool": Provider()}

    def offer(self, ask: Ask) -> Offer:
        self._take("offer")
        return Offer(frozenset(["cmp1.example", "pool"]))

    def members(self, aggregates: Collection[str]) -> frozenset[str]:
        self._take("members")
        return frozenset(["cmp1.example"])


def test_asks_once_for_what_is_alike() -> None:
    asked = Answers()
    many = [server(str(n), zone="az1", pinned_zone="az1" if n % 2 else "") for n in range(50)]
    found = ask_terms(asked, asked, SERVICES, many)
    assert asked.asked == ["providers", "aggregates", "groups", "offer", "members"]
    assert found.offers == {ASK: Offer(frozenset(["cmp1"]))}
    assert found.zones == {"az1": frozenset(["cmp1"])}
    assert set(found.providers) == set(HOSTS)


def test_does_not_ask_for_ever_more_kinds() -> None:
    asked = Answers()
    ask_terms(asked, asked, SERVICES, [server(str(n), size=Size(1, 512 + n, 1)) for n in range(500)])
    assert asked.asked.count("offer") == ASKS


def test_what_is_not_answered_is_unknown_but_without_placement_there_is_nothing_to_say() -> None:
    refused = NovaRefused("HTTP 403", status=403)
    asked = Answers(aggregates=refused, groups=refused, offer=refused)
    found = ask_terms(asked, asked, SERVICES, [server()])
    assert all(isinstance(one, Unknown) for one in (found.aggregates, found.groups, found.offers[ASK]))
    asked = Answers(members=refused)
    assert isinstance(ask_terms(asked, asked, SERVICES, [server(pinned_zone="az1")]).zones["az1"], Unknown)
    with pytest.raises(NovaUnavailable):
        broken = Answers(providers=NovaUnavailable("silent"))
        ask_terms(broken, broken, SERVICES, [])


# ------------------------------------------------------------------- the answer


def answer(
    *servers: Server, services: Sequence[Service] = SERVICES, about: Union[Terms, None] = None, **more: Any
) -> Capacity:
    policy = settings(**more)
    known = [Host(one.host, one, "nothing fences it" if one.host == "odd" else "") for one in services]
    fleet = Fleet(known, servers, {}, policy, 1e9)
    return capacity(fleet, known, about or terms(), policy, 1)


def test_the_number_and_who_stays_down_whatever_there_is() -> None:
    assert answer(server()).number.at_least == 2
    lonely = ServerGroup("g", "affinity", frozenset("ab"))
    bound = answer(server(), server("b"), server("c", "cmp2"), about=terms(groups=[lonely]))
    assert (bound.number.at_least, bound.number.at_most, bound.number.breaks) == (0, 0, ("cmp1",))
    assert {(one.server.id, one.reason) for one in bound.unsaveable} == {("a", "affinity"), ("b", "affinity")}
    assert bound.others is not None
    assert bound.others.at_least == 2


@pytest.mark.parametrize(
    ("more", "about", "reason"),
    [
        ({"pinned_zone": "az1"}, {"zones": {"az1": frozenset(["cmp1"])}}, "zone"),
        ({}, {"offers": {ASK: Offer(frozenset(["cmp1"]))}}, "room"),
        ({}, {"providers": dict.fromkeys(HOSTS, Provider({}, {}, frozenset()))}, "room"),
        ({}, {"groups": [ServerGroup("g", "anti-affinity", frozenset(["a", "x2", "x3"]))]}, "anti-affinity"),
    ],
)
def test_says_why_no_host_takes_it(more: dict[str, Any], about: dict[str, Any], reason: str) -> None:
    others = [server("x2", "cmp2"), server("x3", "cmp3")] if "groups" in about else []
    (first, *_) = answer(server(**more), *others, about=terms(**about)).unsaveable
    assert (first.server.id, first.reason) == ("a", reason)


def test_says_of_each_server_what_becomes_of_it() -> None:
    policy = settings()
    small = Provider({"MEMORY_MB": 600, "VCPU": 1, "DISK_GB": 1}, {}, frozenset())
    bare = Provider({}, {}, frozenset())
    one = terms(providers={"cmp1": bare, "cmp2": small, "cmp3": bare})
    known = [Host(service.host, service) for service in SERVICES]
    odd = server("odd", extra_specs={"hw:numa_nodes": "2"})
    fleet = Fleet(known, [server("a"), server("b", metadata={"evacuate_priority": "1"}), odd], {}, policy, 1e9)
    found = outcomes(fleet, known, one, policy, ["cmp1"])
    assert [(it.server.id, it.fate, it.likely) for it in found] == [
        ("b", Fate.DEPENDS, "cmp2"),
        ("a", Fate.DEPENDS, ""),
        ("odd", Fate.UNJUDGED, ""),
    ]
    assert "hw:numa_nodes" in found[-1].why
    both = outcomes(fleet, known, one, policy, ["cmp1", "cmp2"])
    assert {(it.fate, it.why) for it in both[:2]} == {(Fate.LOST, "room")}


def test_proposes_what_would_do() -> None:
    services = [*SERVICES[:2], Service(id="cmp3", host="cmp3", up=True, enabled=False)]
    full = Provider({}, {"MEMORY_MB": 9999, "VCPU": 9, "DISK_GB": 99}, frozenset())
    empty = Provider({"MEMORY_MB": 5120, "VCPU": 10, "DISK_GB": 10}, {"MEMORY_MB": 5120}, frozenset())
    short = terms(providers={"cmp1": full, "cmp2": full, "cmp3": empty})
    found = answer(server(), services=services, about=short)
    assert found.number.at_least == 0
    assert found.remedies == ("enable cmp3", "1 more host like cmp2")


def test_hosts_that_muster_does_not_look_after_are_counted_apart() -> None:
    odd = Service(id="odd", host="odd", up=True)
    found = answer(server(), services=[*SERVICES, odd, Service(id="off", host="off")])
    assert (found.unguarded, found.counted) == (1, (3, 1))


def test_who_is_not_evacuated_takes_no_room_and_who_perhaps_is_does() -> None:
    held, unsure = server("h", vm_state="paused"), server("u", task_state="deleting", updated=1e9)
    found = answer(server(), held, unsure)
    assert found.counted == (3, 2)
    assert list(found.unjudged) == ["whether it would be evacuated is not known"]
