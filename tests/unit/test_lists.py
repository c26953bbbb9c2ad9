# SPDX-License-Identifier: Apache-2.0
"""What each list changes in what is known: of its own host, and of the servers of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.errors import Answer, NovaRefused, NovaUnavailable
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server
from muster.engine.lists import SINGLY, UNDER_WAY_S, YOUNG_S, Lists
from muster.engine.memory import HostMemory, Memory
from muster.engine.troubles import EVACUATIONS, SERVERS
from tests.fakes import FakeClock
from tests.unit.watched import SlowNova

IMAGE = {"os_type": "linux"}


class Listed:
    """Incidents of these hosts, and the lists of a Nova that shows what it is given."""

    def __init__(self, *hosts: str, answer_s: float = 0.0, age_s: int = 20) -> None:
        self.clock = FakeClock()
        self.nova = SlowNova(self.clock, answer_s)
        at = int(self.clock.at) - age_s
        self.memory = Memory({name: HostMemory(Record(Phase.EVACUATING, at, at), name) for name in hosts})
        self.lists = Lists(self.nova, self.clock, self.memory)  # type: ignore[arg-type]
        self.since: list[tuple[float, bool]] = []

    def host(self, name: str = "cmp1") -> HostMemory:
        return self.memory.hosts[name]

    def shows(self, on_host: list[Server], changed: list[Server]) -> None:
        def servers_changed(since: float) -> list[Server]:
            self.since.append((since, False))
            return changed

        def servers_changed_without_images(since: float) -> list[Server]:
            self.since.append((since, True))
            return [replace(server, image_properties={}) for server in changed]

        self.nova.servers_on = lambda host: on_host  # type: ignore[method-assign]
        self.nova.servers_changed = servers_changed  # type: ignore[method-assign]
        self.nova.servers_changed_without_images = servers_changed_without_images  # type: ignore[method-assign,assignment]

    def known(self, *servers: Server, host: str = "cmp1") -> None:
        for server in servers:
            self.host(host).note_server(server, self.clock.at, self.clock.at)
        self.host(host).inventory.note_listed(self.clock.at, self.clock.at)

    def server(self, ident: str = "a", host: str = "cmp1") -> Server:
        return self.host(host).inventory.servers[ident]


def _fail(*args: object) -> None:
    raise NovaUnavailable("HTTP 500", status=500)


def test_a_question_that_failed_a_moment_ago_is_not_asked() -> None:
    it = Listed("cmp1")
    asked: list[str] = []
    assert not it.lists.read(SERVERS, lambda: _fail())
    assert not it.lists.read(SERVERS, lambda: asked.append("too soon"))
    assert it.lists.read(EVACUATIONS, lambda: asked.append("another"))
    it.clock.pass_by(1.0)
    assert it.lists.read(SERVERS, lambda: asked.append("again"))
    assert asked == ["another", "again"]
    assert not it.memory.troubles.faults(SERVERS)


def test_a_list_that_fails_slowly_leaves_the_others_half_of_the_time() -> None:
    """B41: where there are others."""
    for hosts, again in ((("cmp1",), True), (("cmp1", "cmp2"), False)):
        it = Listed(*hosts)

        def hang(it: Listed = it) -> None:
            it.clock.pass_by(60.0)
            _fail()

        for _ in range(2):
            it.clock.pass_by(100.0)
            it.lists.read("list cmp1", hang)
        it.clock.pass_by(30.0)
        assert it.memory.troubles.may_read("list cmp1", it.clock.at) is again


def test_what_changed_is_read_briefly_and_keeps_the_marks_of_its_image() -> None:
    it = Listed("cmp1")
    before = Server("a", "cmp1", "active", image="i", image_properties=IMAGE)
    it.known(before)
    it.shows([], [replace(before, vm_state="error"), Server("z", "cmp1", "active")])
    it.clock.pass_by(9.0)
    it.lists.read_changed(it.clock.at)
    assert it.server() == replace(before, vm_state="error")
    assert "z" not in it.host().inventory.servers, "a list of its host shows what is new there"
    assert it.since == [(it.host().since - 2.0, True)]
    assert it.memory.polling.servers_read_at == it.clock.at
    assert not it.host().inventory.list_wanted


def test_a_brief_row_that_says_too_little_has_its_host_listed() -> None:
    """A11: its marks may opt it out, and they are another image's now, or were never read."""
    known = Server("a", "cmp1", "active", image="i", image_properties=IMAGE)
    for before, now in ((known, replace(known, image="other")), (replace(known, known=False), known)):
        it = Listed("cmp1")
        it.known(before)
        it.shows([], [now])
        it.lists.read_changed(it.clock.at)
        assert (it.server(), it.host().inventory.list_wanted) == (before, True)


def test_a_brief_row_of_a_silent_cell_says_that_it_is_silent() -> None:
    it = Listed("cmp1")
    it.known(Server("a", "cmp1", "active"))
    it.shows([], [Server("a", "", "", known=False)])
    it.lists.read_changed(it.clock.at)
    assert not it.server().known


def test_what_changed_is_not_asked_for_before_a_host_was_listed() -> None:
    """It is listed whole."""
    it = Listed("cmp1", "cmp2")
    it.shows([], [Server("a", "cmp1", "active")])
    it.lists.read_changed(it.clock.at)
    assert it.since == []
    it.known(Server("b", "cmp2", "active"), host="cmp2")
    it.lists.read_changed(it.clock.at)
    assert it.since == [(it.host("cmp2").since - 2.0, True)]
    assert it.host("cmp1").inventory.changes.read_at == 0.0


def test_what_left_a_young_incidents_host_is_found_in_one_list_and_so_is_what_others_wait_for() -> None:
    """What is shown of servers that no incident knows is nobody's."""
    it = Listed("cmp1", "cmp2")
    it.known(Server("a", "cmp1", "active"))
    it.known(Server("b", "cmp2", "active"), host="cmp2")
    it.shows([], [Server("a", "cmp3", "active"), Server("b", "cmp3", "active"), Server("z", "cmp3", "active")])
    it.lists.read_host(it.host(), it.clock.at)
    assert (it.server().host, it.server("b", "cmp2").host) == ("cmp3", "cmp3")
    assert [set(host.inventory.servers) for host in it.memory.hosts.values()] == [{"a"}, {"b"}]
    assert it.since == [(it.host().since, False)]


def test_what_came_to_the_host_meanwhile_is_known_from_the_same_list() -> None:
    it = Listed("cmp1")
    it.known(Server("a", "cmp1", "active"))
    it.shows([], [Server("new", "cmp1", "active")])
    it.lists.read_host(it.host(), it.clock.at)
    assert set(it.host().inventory.servers) == {"a", "new"}


def test_in_an_old_incident_the_few_that_left_are_read_one_by_one() -> None:
    """B42: the list of what has changed since is that of the whole cloud; but many are not asked for singly."""
    for count, singly in ((SINGLY, True), (SINGLY + 1, False)):
        it = Listed("cmp1", age_s=int(YOUNG_S))
        it.known(*(Server(f"s{n}", "cmp1", "active") for n in range(count)))
        it.shows([], [])
        it.lists.read_host(it.host(), it.clock.at)
        assert (len(it.host().inventory.to_read), it.since == []) == (count * singly, singly)


def test_of_a_host_that_is_back_what_was_proved_is_read_too() -> None:
    """A20: what had waited for the host is carried out now."""
    it = Listed("cmp1")
    there = Server("a", "cmp2", "active")
    it.known(there)
    it.host().note_proof("a", Finding(there, Verdict.EVACUATED, "arrived-proved", ""))
    it.shows([], [replace(there, vm_state="error"), Server("z", "cmp2", "active")])
    it.lists.read_host(it.host(), it.clock.at)
    assert it.server() == there
    it.host().returning.servers_before = {"a": there}
    it.lists.read_host(it.host(), it.clock.at)
    assert it.server().vm_state == "error"
    assert set(it.host().inventory.servers) == {"a"}


def test_a_server_that_nova_refuses_to_show_is_still_to_be_read() -> None:
    it = Listed("cmp1")
    it.known(Server("a", "cmp1", "active"))
    it.host().inventory.want_server("a")

    def refuse(ident: str) -> Server:
        raise NovaRefused("HTTP 403", status=403, answer=Answer.FORBIDDEN)

    it.nova.single = refuse  # type: ignore[method-assign]
    it.lists.read_singly(it.clock.at)
    assert (it.host().inventory.to_read, it.host().inventory.list_wanted) == ({"a"}, False)
    assert it.memory.troubles.faults("server a") == 1


def test_a_server_that_nova_does_not_find_has_its_host_listed_where_a_list_still_shows_it() -> None:
    """A12: two answers that contradict each other, or one alone, prove no deletion."""
    for listed, on_host in ((True, ["a"]), (False, [])):
        it = Listed("cmp1")
        it.known(Server("a", "cmp1", "active"))
        it.host().inventory.listed_at *= listed
        it.host().inventory.note_on_host(on_host)
        it.host().inventory.want_server("a")
        it.host().inventory.answered_at = it.clock.at + 1.0
        it.lists.read_singly(it.clock.at)
        assert (it.server().deleted, it.host().inventory.list_wanted) == (False, True)
        assert it.host().inventory.to_read == {"a"}


def test_evacuations_of_one_host_are_asked_for_alone_and_of_several_together_and_once() -> None:
    asked: list[str] = []
    for hosts, expected in ((("cmp1",), ["cmp1"]), (("cmp1", "cmp2"), ["all"])):
        it = Listed(*hosts)
        at = it.clock.at
        rows = [Evacuation(h, f"s-{h}", h, EvacuationStatus.ACCEPTED, "", at, at) for h in hosts]
        rows.append(replace(rows[0], id="old", created=at - 9000.0))
        it.nova.evacuations_from = lambda host, since, rows=rows: asked.append(host) or rows[:1]  # type: ignore
        it.nova.evacuations_of_all = lambda since, rows=rows: asked.append("all") or rows  # type: ignore
        asked.clear()
        question = it.lists.all_evacuations(len(hosts))
        for host in it.memory.hosts.values():
            it.lists.read_evacuations(host, question, at, at)
            assert list(host.inventory.evacuations.known) == [f"s-{host.name}"]
            assert host.inventory.evacuations.reading.read_at == at
        assert asked == expected


@pytest.mark.parametrize("open_ones", [True, False])
def test_what_an_earlier_evacuation_still_rebuilds_is_known_as_under_way(open_ones: bool) -> None:
    """The host was back for a while and is fenced again: its incident is younger than that.  It is asked for once."""
    it = Listed("cmp1")
    at, since = it.clock.at, []
    status = EvacuationStatus.PRE_MIGRATING if open_ones else EvacuationStatus.FAILED
    rows = [Evacuation("1", "a", "cmp1", status, "cmp2", at - 3000.0, at)]
    rows.append(replace(rows[0], id="0", server="b", created=at - 4000.0))

    def evacuations_from(host: str, begin: float) -> list[Evacuation]:
        since.append(at - begin)
        return [row for row in rows if row.created >= begin]

    it.nova.evacuations_from = evacuations_from  # type: ignore[method-assign,assignment]
    it.shows([Server("a", "cmp1", "active", task_state="rebuild_spawning"), Server("b", "cmp1", "active")], [])
    for _ in range(2):
        it.lists.read_host(it.host(), at)
    assert list(it.host().inventory.evacuations.known) == ["a"] * open_ones
    assert (len(since), max(since)) == (3, pytest.approx(UNDER_WAY_S, abs=200.0))


def test_an_evacuation_of_a_server_that_no_list_has_shown_has_its_host_listed() -> None:
    it = Listed("cmp1")
    it.known()
    at = it.clock.at
    it.nova.evacuations = [Evacuation("1", "new", "cmp1", EvacuationStatus.ACCEPTED, "", at, at)]
    it.lists.read_evacuations(it.host(), it.lists.open_evacuations(1), at, at)
    assert (it.host().inventory.list_wanted, it.memory.polling.servers_due) == (True, True)
    assert it.host().inventory.evacuations.reading.read_at == 0.0, "a list of the open ones is not a whole one"
