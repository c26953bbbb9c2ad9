# SPDX-License-Identifier: Apache-2.0
"""Asks Nova for the servers and evacuations of the dead hosts, each kind of question behind its own failures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from muster.core.errors import Answer, NovaError, NovaRefused
from muster.core.nova_facts import Evacuation, Server
from muster.core.ports import ClockPort, NovaPort
from muster.engine.inventory import Change
from muster.engine.memory import HostMemory, Memory
from muster.engine.polling import STILL
from muster.engine.troubles import EVACUATIONS, OF_ALL, SERVERS

CREATED_APART_S = 5.0
"""An evacuation may show so much later than one that was created after it."""
YOUNG_S = 900.0
"""Since an incident so young began not much has changed in the whole cloud."""
UNDER_WAY_S = 86_400.0
"""An evacuation that was under way as its host was fenced once more has begun so long before at the most."""
SINGLY = 20
SINGLY_S = 10.0
"""So many servers are read one by one, at once, and no further one after so long."""


Answers = Callable[[HostMemory], Sequence[Evacuation]]
"""The evacuations of one dead host after the other."""


@dataclass(frozen=True)
class Window:
    """From when on evacuations are asked for, and how many at once: one page, however long the oldest hangs."""

    began: float = 0.0
    page: Mapping[str, int] = field(default_factory=dict)


EVERYTHING = Window()


@dataclass(frozen=True)
class Question:
    """Which evacuations a pass asks for.

    :param note: keeps an answer: its host, what was shown, when that was asked for and when it was there.
    """

    of: Answers
    note: Callable[[HostMemory, Sequence[Evacuation], float, float], Change]


class Lists:
    """What was asked for goes into the worker's memory."""

    def __init__(self, nova: NovaPort, clock: ClockPort, memory: Memory) -> None:
        self._nova = nova
        self._clock = clock
        self._memory = memory

    def read(self, kind: str, part: Callable[[], None]) -> bool:
        """Ask Nova, unless this kind of question failed a moment ago.  :returns: whether there was an answer."""
        memory, began = self._memory, self._clock.monotonic()
        if not memory.troubles.may_read(kind, began):
            return False
        try:
            part()
        except NovaError as exc:
            ended = self._clock.monotonic()
            others_wait = kind not in OF_ALL and len(memory.hosts) > 1
            memory.troubles.note_failed_read(kind, exc, ended, ended - began if others_wait else 0.0)
            return False
        memory.troubles.note_read(kind)
        return True

    def all_evacuations(self, hosts: int) -> Question:
        """All that belong to the incidents: what the answer leaves out may be there no more."""
        return Question(self._answers(hosts, lambda: EVERYTHING), HostMemory.note_all_evacuations)

    def open_evacuations(self, hosts: int) -> Question:
        """None that are older than all that were open: they have ended, and it is dear to list them again."""
        return Question(self._answers(hosts, self._since_the_oldest_open), HostMemory.note_evacuations)

    def _since_the_oldest_open(self) -> Window:
        all_hosts = self._memory.hosts.values()
        known = [m for host in all_hosts for m in host.inventory.evacuations.all]
        began = min((m.created for m in known if m.status.open and m.created), default=0.0) - CREATED_APART_S
        new = 1 + sum(len(host.unseen) for host in all_hosts)
        return Window(began, {"page": sum(m.created >= began for m in known) + new})

    def _answers(self, hosts: int, window: Callable[[], Window]) -> Answers:
        """Of several hosts they are asked for together, and only once.

        :param window: asked for when Nova is.
        """

        def of_one(host: HostMemory) -> Sequence[Evacuation]:
            of = window()
            return self._nova.evacuations_from(host.name, max(host.since, of.began), **of.page)

        if hosts == 1:
            return of_one

        @functools.cache
        def by_source() -> dict[str, list[Evacuation]]:
            of, first = window(), min(host.since for host in self._memory.hosts.values())
            found: dict[str, list[Evacuation]] = {}
            for evacuation in self._nova.evacuations_of_all(max(of.began, first), **of.page):
                found.setdefault(evacuation.source, []).append(evacuation)
            return found

        def of_its_own(host: HostMemory) -> Sequence[Evacuation]:
            evacuations = by_source().get(host.name, ())
            return [
                evacuation for evacuation in evacuations if evacuation.created >= host.since or not evacuation.created
            ]

        return of_its_own

    def read_evacuations(self, host: HostMemory, question: Question, now: float, asked_at: float) -> None:
        def ask() -> None:
            shown = question.of(host)
            change = question.note(host, shown, asked_at, self._clock.now())
            self._memory.polling.note_evacuations(change, asked_at)

        self.read(EVACUATIONS, ask)
        inventory = host.inventory
        if inventory.evacuations.known.keys() - inventory.servers.keys():
            self._memory.polling.want_servers()
            inventory.want_list()
        # A server of a silent cell does not count as changed when the cell answers again; one whose row cannot be read
        # may never be known.
        pause_s = STILL * (now - inventory.first_proven_at)
        if now - inventory.listed_at >= pause_s and not all(s.known for s in inventory.servers.values()):
            inventory.want_list()

    def read_host(self, host: HostMemory, now: float) -> None:
        """Everything of this host: what is on it, what left it, and what became of that."""
        # The servers first: one that another hand has just begun to move shows it by its task before its row
        # is there.
        at = self._clock.now()
        on_it = self._nova.servers_on(host.name)
        evacuations_at = self._clock.now()
        evacuations = self._evacuations_of_incident(host, on_it)
        # The evacuations first: what a server is after an evacuation says nothing of what its owner wanted before.
        change = host.note_all_evacuations(evacuations, evacuations_at, self._clock.now())
        self._memory.polling.note_evacuations(change, evacuations_at)
        inventory = host.inventory
        for server in on_it:
            host.note_changed_server(server, now, at)
        inventory.note_on_host(server.id for server in on_it)
        self._find_gone(host, evacuations, now)
        if host.returning.servers_before is not None:
            # What was proved, too: what had waited for the host is carried out now.
            at = self._clock.now()
            changed = self._nova.servers_changed(host.changes_known_to - 2.0)
            for server in [server for server in changed if server.id in inventory.servers]:
                host.note_changed_server(server, now, at)
        inventory.note_listed(now, self._clock.now())

    def _evacuations_of_incident(self, host: HostMemory, on_it: Sequence[Server]) -> Sequence[Evacuation]:
        shown = self._nova.evacuations_from(host.name, host.since)
        unseen = host.rebuilt_unseen(on_it, shown)
        if not unseen:
            return shown
        earlier = self._nova.evacuations_from(host.name, host.since - UNDER_WAY_S)
        host.note_under_way(unseen, earlier)
        return [evacuation for evacuation in earlier if evacuation.created >= host.since]

    def _find_gone(self, host: HostMemory, evacuations: Sequence[Evacuation], now: float) -> None:
        """What has become of those that are on the host no more."""
        inventory = host.inventory
        # What becomes of a server after it was proved changes nothing.
        known = {server.id for server in inventory.servers.values() if not server.deleted}
        moved = {m.server for m in evacuations if m.server not in inventory.servers}
        gone = (moved | known) - inventory.on_host - set(host.proofs)
        young = now - host.since <= YOUNG_S and not self._memory.troubles.faults(SERVERS)
        if gone and (young or len(gone) > SINGLY):
            at = self._clock.now()
            changed = self._nova.servers_changed(host.since)
            for server in changed:
                if server.id in gone or server.host == host.name:
                    host.note_changed_server(server, now, at)
            self._note_of_others(host, changed, now, at)
        else:  # in an old incident the list of what has changed since is that of the whole cloud
            for ident in gone:
                inventory.want_server(ident)

    def _note_of_others(self, host: HostMemory, changed: Iterable[Server], now: float, at: float) -> None:
        """What was asked for one host shows servers of other incidents, too."""
        for other in self._memory.hosts.values():
            for server in changed if other is not host else ():
                if server.id in other.inventory.servers:
                    other.note_server(server, now, at)

    def read_singly(self, now: float) -> None:
        """The servers that are to be read again, a few at once: what one of them costs the others is bounded."""
        memory, began = self._memory, self._clock.monotonic()
        wanted = dict.fromkeys(server for host in memory.hosts.values() for server in sorted(host.inventory.to_read))
        due = [server for server in wanted if memory.troubles.may_read(f"server {server}", began)]
        for server in sorted(due, key=lambda server: memory.troubles.faults(f"server {server}"))[:SINGLY]:
            if self._clock.monotonic() - began > SINGLY_S:
                break
            hosts = [host for host in self._memory.hosts_of(server) if server in host.inventory.to_read]
            self.read(f"server {server}", functools.partial(self._read_server, server, hosts, now))

    def _read_server(self, server: str, hosts: Iterable[HostMemory], now: float) -> None:
        """:raises NovaRefused: also when it is not there, as long as a list has not shown the same."""
        at = self._clock.now()
        found: Optional[Server] = None
        try:
            found = self._nova.server(server)
        except NovaRefused as exc:
            if exc.answer is not Answer.NOT_FOUND:
                raise
            for host in hosts:
                if not host.inventory.listed_at or server in host.inventory.on_host:
                    host.inventory.want_list()
            if any(host.inventory.list_wanted or host.inventory.doubted for host in hosts):
                raise
        for host in hosts:
            # What neither an answer of its own nor a list shows has been deleted.
            facts = found or replace(host.inventory.servers[server], deleted=True, known=True)
            host.note_server(facts, now, at)
            host.inventory.note_single(server)

    def read_changed(self, now: float) -> None:
        """What has changed of the servers of all hosts since the last time."""
        memory = self._memory
        hosts = [host for host in memory.hosts.values() if host.inventory.listed_at]  # others are listed whole
        at = self._clock.now()
        known_to = min((host.changes_known_to for host in hosts), default=0.0)
        changed = self._nova.servers_changed_without_images(known_to - 2.0) if hosts else []
        for host in hosts:
            inventory = host.inventory
            for server in [server for server in changed if server.id in inventory.servers]:
                completed = _completed(server, inventory.servers[server.id])
                if completed:
                    host.note_changed_server(completed, now, at)
                else:
                    inventory.want_list()
            inventory.note_changes_read(now)
        memory.polling.note_servers_read(now)


def _completed(listed: Server, known: Server) -> Optional[Server]:
    """With the marks of its image; None when it was not known, or had another image."""
    if not listed.known:
        return listed
    same = known.known and known.image == listed.image
    return replace(listed, image_properties=known.image_properties) if same else None
