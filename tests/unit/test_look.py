# SPDX-License-Identifier: Apache-2.0
"""What a sight says of its own time and of what it has read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import NovaUnavailable
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server, Service
from muster.engine.lists import CREATED_APART_S, SINGLY, SINGLY_S
from tests.unit.watched import ANSWER_S, Watched


def test_a_sight_is_as_old_as_the_first_thing_in_it() -> None:
    """B4: slow answers make no wait seem over: what was read first has not been watched any longer."""
    it = Watched()
    began = it.clock.at
    sight = it.look.sight()
    assert it.clock.at >= began + 3 * ANSWER_S
    assert sight.now == began
    host = sight.hosts["cmp1"]
    assert max(host.listed_at, host.evacuations_at, host.first_listed_at) <= sight.now


def test_what_a_list_of_evacuations_leaves_out_is_not_forgotten() -> None:
    """B12."""
    it = Watched(answer_s=0.0)
    it.nova.evacuations = [Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, "", it.clock.at, it.clock.at)]
    it.look.sight()
    it.nova.evacuations = []
    it.clock.pass_by(30.0)
    sight = it.look.sight()
    assert it.nova.read.count("evacuations_from") > 1
    assert [evacuation.id for evacuation in sight.hosts["cmp1"].evacuations["a"]] == ["1"]


def test_what_is_on_the_last_list_of_its_servers_is_known() -> None:
    """B30: those that left it, and are remembered, are not."""
    it = Watched()
    it.look.sight()
    assert it.look.sight().hosts["cmp1"].servers["a"].listed
    it.memory.hosts["cmp1"].inventory.want_list()
    it.nova.servers_on = lambda host: []  # type: ignore[method-assign,assignment]
    host = it.look.sight().hosts["cmp1"]
    assert [(ident, seen.listed) for ident, seen in host.servers.items()] == [("a", False)]


def test_the_servers_are_listed_before_their_evacuations() -> None:
    """A13: what another hand has just begun shows by its task before its row is there."""
    it = Watched()
    it.look.sight()
    assert it.nova.read.index("servers_on") < it.nova.read.index("evacuations_from")


def test_nothing_is_asked_of_nova_while_nobody_is_dead() -> None:
    it = Watched()
    it.cluster.nodes.clear()
    it.look.sight()
    assert it.nova.read == []


def test_services_are_read_again_before_a_claim_when_the_lists_took_long() -> None:
    """C3: the first change to a service hides the heartbeats since it was read."""
    it = Watched()
    it.look.sight()
    it.clock.pass_by(1.0)
    it.nova.read.clear()
    it.look.sight()
    assert it.nova.read[-1] == "services"


def _old() -> Watched:
    """Of an incident that began an hour ago; its only server has left the host, and is not to be found."""
    it = Watched(answer_s=0.0)
    it.look.sight()
    it.clock.pass_by(3600.0)
    it.look.sight()
    it.memory.hosts["cmp1"].inventory.want_list()
    it.nova.read.clear()
    it.nova.servers_on = lambda host: []  # type: ignore[method-assign,assignment]
    return it


def test_a_server_that_left_an_old_incidents_host_is_asked_for_alone() -> None:
    """B42: nothing is said of it until then."""
    it = _old()
    it.nova.single = lambda ident: Server("a", "cmp2", "active")  # type: ignore[method-assign,assignment]
    seen = it.look.sight().hosts["cmp1"].servers["a"]
    assert "servers_changed" not in it.nova.read
    assert (seen.server.host, seen.reread) == ("cmp2", False)


def test_a_server_is_deleted_when_nova_neither_finds_nor_lists_it() -> None:
    """B40, B42: its cell has to have answered since the list."""
    it = _old()
    seen = it.look.sight().hosts["cmp1"].servers["a"]
    assert (seen.server.deleted, seen.reread) == (False, True)
    it.clock.pass_by(1.0)
    it.look.sight()
    it.clock.pass_by(1.0)
    seen = it.look.sight().hosts["cmp1"].servers["a"]
    assert (seen.server.deleted, seen.reread) == (True, False)


def test_when_an_evacuation_had_ended_is_kept_as_it_was_first_seen() -> None:
    """B40: by our clock, whatever Nova's says."""
    it = Watched(answer_s=1.0)
    it.nova.evacuations = [
        Evacuation("1", "a", "cmp1", EvacuationStatus.DONE, "cmp2", it.clock.at, it.clock.at + 500.0)
    ]
    first = it.look.sight().hosts["cmp1"].servers["a"]
    assert first.read_at < first.ended_at <= it.clock.at
    it.clock.pass_by(30.0)
    assert it.look.sight().hosts["cmp1"].servers["a"].ended_at == first.ended_at


def test_a_list_that_fails_is_of_one_host_and_the_services_are_of_all() -> None:
    """B41."""
    it = Watched(answer_s=0.0)

    def fail(*args: object) -> Sequence[Server]:
        raise NovaUnavailable("HTTP 500", status=500)

    listed, it.nova.servers_on = it.nova.servers_on, fail  # type: ignore[method-assign,assignment]
    sight = it.look.sight()
    assert (sight.nova_trouble, sight.hosts["cmp1"].unlisted) == ("", "HTTP 500")
    assert it.memory.troubles.message == "HTTP 500"
    it.nova.servers_on = listed  # type: ignore[method-assign]
    it.clock.pass_by(1.0)
    assert it.look.sight().hosts["cmp1"].unlisted == ""
    it.nova.services = fail  # type: ignore[method-assign,assignment]
    it.clock.pass_by(15.0)
    assert it.look.sight().nova_trouble == "HTTP 500"
    assert it.nova.read[-1] != "services"


def test_a_row_that_cannot_be_read_is_asked_for_ever_more_seldom() -> None:
    """B41: each look listed its host anew."""
    it = Watched(answer_s=0.0)
    it.nova.servers_on = lambda host: it.nova.read.append("servers_on") or [Server("a", "", "", known=False)]  # type: ignore[method-assign,assignment,func-returns-value]
    for _ in range(200):
        it.look.sight()
        it.clock.pass_by(5.0)
    assert it.nova.read.count("servers_on") < 70


def test_an_evacuation_that_does_not_say_when_it_was_may_be_of_any_incident() -> None:
    """B43: not of none, and whatever else is asked for reaches as far back as without it."""
    it = Watched(answer_s=0.0)
    record = Record(Phase.EVACUATING, int(it.clock.at) - 20, int(it.clock.at) - 20)
    it.cluster.nodes = {name: Node(name, True, record, hold=True) for name in ("cmp1", "cmp2")}
    services = [replace(row, host=name) for row in it.nova.services() for name in ("cmp1", "cmp2")]
    it.nova.services = lambda: services  # type: ignore[method-assign]
    untimed = Evacuation("1", "a", "cmp1", EvacuationStatus.OTHER, unreadable="no time")
    timed = Evacuation("2", "b", "cmp2", EvacuationStatus.ACCEPTED, "", it.clock.at, it.clock.at)
    since: list[float] = []

    def evacuations_of_all(when: float, page: int = 1000) -> Sequence[Evacuation]:
        since.append(when)
        return [untimed, timed]

    it.nova.evacuations_of_all = evacuations_of_all  # type: ignore[attr-defined]
    it.look.sight()
    for waiting in (False, True):
        it.memory.polling.note_decided(sending=False, waiting=waiting)
        it.clock.pass_by(1.0)
        it.memory.polling.note_polled(0.0)
        it.memory.polling.note_servers_read(it.clock.at)
        hosts = it.look.sight().hosts
        assert (hosts["cmp1"].evacuations["a"], hosts["cmp2"].evacuations["b"]) == ((untimed,), (timed,))
    assert since[-1] == timed.created - CREATED_APART_S


def test_clocks_that_do_not_agree_are_told() -> None:
    """B25."""
    it = Watched(answer_s=0.0)
    assert it.look.sight().clocks_apart == ""
    it.clock.nova.apart_s = 31.0
    assert "31 s apart" in it.look.sight().clocks_apart
    it.clock.nova.apart_s = 0.0
    it.clock.pass_by(20.0)
    it.nova.beat = it.clock.at + 45.0
    assert "45 s in the future" in it.look.sight().clocks_apart


def test_when_a_fencing_was_first_seen_is_known_to_who_had_looked_before() -> None:
    it = Watched(answer_s=0.0)
    it.cluster.nodes["cmp1"] = Node("cmp1", True, member=True)
    it.look.sight()
    looked_at = it.clock.at
    it.clock.pass_by(3.0)
    it.cluster.fence("cmp1", it.clock.at)
    host = it.look.sight().hosts["cmp1"]
    assert (host.seen_from, host.seen_at) == (looked_at, it.clock.at)
    it.cluster.quorum = False
    it.clock.pass_by(3.0)
    it.look.sight()
    it.clock.pass_by(3.0)
    it.cluster.fence("cmp1", it.clock.at)
    host = it.look.sight().hosts["cmp1"]
    assert (host.seen_from, host.seen_at) == (looked_at + 3.0, it.clock.at)


def test_a_list_is_as_fresh_as_when_it_was_complete() -> None:
    """B35: beside a cell that hangs it takes minutes, and so does the next look."""
    it = Watched(answer_s=60.0)
    host = it.look.sight().hosts["cmp1"]
    assert it.nova.read == ["services", "servers_on", "evacuations_from", "services"]
    assert (host.listed_by, host.listed_at) == (it.clock.at - 60.0, it.clock.at - 240.0)


def test_nothing_is_listed_before_the_force_down_by_a_nova_that_is_slow() -> None:
    """B35: the services are what that hangs on."""
    it = Watched(answer_s=60.0)
    it.nova.services = lambda: it.nova._take("services") or [Service(id="u1", host="cmp1")]  # type: ignore[method-assign,func-returns-value]
    it.look.sight()
    assert set(it.nova.read) == {"services"}
    it.clock.pass_by(900.0)
    it.look.sight()
    assert "servers_on" in it.nova.read, "a guard may stop it for longer, and people want to see what it is about"


def test_what_took_long_is_not_asked_for_again_before_anything_is_sent() -> None:
    """B35: a look was followed by the next one."""
    it = Watched(answer_s=60.0)
    it.look.sight()
    it.clock.pass_by(0.5)
    it.nova.read.clear()
    it.look.sight()
    assert "evacuations_from" not in it.nova.read


def test_servers_that_cannot_be_read_keep_no_other_from_being_read() -> None:
    """B41: those of a cell that hangs filled every place, and what another incident waited for was never asked for."""
    it = Watched(answer_s=0.0)
    it.look.sight()
    host = it.memory.hosts["cmp1"]
    bad = {f"a{n:02}" for n in range(SINGLY)}
    host.inventory.servers.update({ident: Server(ident, "cmp1", "active") for ident in (*bad, "z")})

    def single(ident: str) -> Server:
        if ident in bad:
            raise NovaUnavailable("HTTP 500", status=500)
        return Server(ident, "cmp2", "active")

    it.nova.single = single  # type: ignore[method-assign]
    host.inventory.to_read = {*bad, "z"}
    it.look.sight()
    it.clock.pass_by(0.5)
    it.look.sight()
    assert (host.inventory.servers["z"].host, host.inventory.to_read) == ("cmp2", bad)


def test_servers_that_take_long_to_read_keep_no_look_from_ending() -> None:
    """B41: a cell that hangs takes its time for each, and meanwhile nobody looks for signs of life."""
    it = Watched(answer_s=0.0)
    it.look.sight()
    host = it.memory.hosts["cmp1"]
    ids = {f"a{n:02}" for n in range(SINGLY)}
    host.inventory.servers.update({ident: Server(ident, "cmp1", "active") for ident in ids})

    def single(ident: str) -> Server:
        it.clock.pass_by(ANSWER_S)
        raise NovaUnavailable("no reply", status=0)

    it.nova.single = single  # type: ignore[method-assign]
    host.inventory.to_read, before = ids, it.clock.at
    it.look.sight()
    assert it.clock.at - before < SINGLY_S + ANSWER_S
