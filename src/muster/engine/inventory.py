# SPDX-License-Identifier: Apache-2.0
"""What Nova has listed of one dead host: its servers and their evacuations, and what these lists are worth.

A cell that is silent leaves what is its own out of lists (facts.md N22).  So what a list does not show is not there
only if the cell was seen to answer after that list was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from muster.core.bounds import SKEW_S
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server


@dataclass(frozen=True)
class Reading:
    """When something was asked for that is asked for again and again.

    :param read_at: the last time.
    :param proven_at: the last time after which its cell has answered; never later than ``read_at``.
    """

    read_at: float = 0.0
    proven_at: float = 0.0

    def __post_init__(self) -> None:
        if self.proven_at > self.read_at:
            raise ValueError(f"{self}: proven before it was read")

    def read_again(self, at: float) -> Reading:
        return replace(self, read_at=at)

    def cell_answered(self, at: float) -> Reading:
        return replace(self, proven_at=self.read_at) if self.is_proved_by(at) else self

    def is_proved_by(self, answered_at: float) -> bool:
        """When its cell answered in the same moment, it may have been silent for the list."""
        return self.read_at < answered_at

    def cell_silent(self) -> Reading:
        """What was read since it last answered may lack what is its own."""
        return replace(self, read_at=self.proven_at)


@dataclass(frozen=True)
class Change:
    """What a list of evacuations has shown that was not known.

    :param any: something, be it small.
    :param ended: servers of which one has ended.
    :param durations: how long those took that have arrived.
    """

    any: bool
    ended: frozenset[str]
    durations: tuple[float, ...]


@dataclass
class Evacuations:
    """Those from one host that belong to its incident."""

    known: dict[str, tuple[Evacuation, ...]] = field(default_factory=dict)
    """By server, oldest first: all that were ever seen.  What a list leaves out may be under way all the same."""
    reading: Reading = Reading()
    """Of whole lists."""
    left_out: frozenset[str] = frozenset()
    """Ids of those that the last whole list did not show; it belongs to ``reading.read_at``."""
    dropped: frozenset[str] = frozenset()
    """Ids of those that are not there any more; it belongs to ``reading.proven_at``.  Nova deletes the evacuations of a
    server with it (nova/db/main/api.py, instance_destroy)."""
    open_since: dict[str, float] = field(default_factory=dict)
    """By id, of each that is open: when it was asked for, or first seen where it was not by this worker."""
    end_seen_at: dict[str, float] = field(default_factory=dict)
    """By id, of each that has ended: when that was first seen."""

    @property
    def all(self) -> list[Evacuation]:
        return [evacuation for evacuations in self.known.values() for evacuation in evacuations]

    def of(self, server: str) -> tuple[Evacuation, ...]:
        return self.known.get(server, ())

    def ended_at(self, server: str) -> float:
        """When the newest end of its evacuations was first seen; 0.0: none has ended."""
        return max((self.end_seen_at.get(evacuation.id, 0.0) for evacuation in self.of(server)), default=0.0)

    def all_finished(self, since: float) -> bool:
        """Of those that were touched since then one is completed, and none only done."""
        touched = {
            evacuation.status
            for evacuation in self.all
            if evacuation.updated > since and evacuation.id not in self.dropped
        }
        return EvacuationStatus.COMPLETED in touched and EvacuationStatus.DONE not in touched

    def cell_answered(self, at: float) -> None:
        if self.reading.is_proved_by(at):
            self.reading, self.dropped = self.reading.cell_answered(at), self.left_out

    def cell_silent(self) -> None:
        self.reading, self.left_out = self.reading.cell_silent(), self.dropped

    def note_all(
        self, shown: Sequence[Evacuation], asked_at: float, seen_at: float, sent_at: Mapping[str, float]
    ) -> Change:
        """The same for a list of all that belong to the incident: what it leaves out may be there no more."""
        change = self.note(shown, asked_at, seen_at, sent_at)
        self.reading = self.reading.read_again(asked_at)
        self.left_out = frozenset(evacuation.id for evacuation in self.all) - {evacuation.id for evacuation in shown}
        return change

    def note(
        self, shown: Sequence[Evacuation], asked_at: float, seen_at: float, sent_at: Mapping[str, float]
    ) -> Change:
        """What a list has shown.  What is known and not among it has not gone away.

        :param asked_at: when the list was asked for.
        :param seen_at: when it was there.
        :param sent_at: by server, when this worker has sent its last evacuate.
        """
        before, evacuations = self.known, {evacuation.id: evacuation for evacuation in self.all}
        evacuations.update({evacuation.id: evacuation for evacuation in shown})
        self.known = _by_server(evacuations.values())
        self.dropped -= {evacuation.id for evacuation in shown}
        arrived = [
            evacuation
            for evacuation in evacuations.values()
            if evacuation.id in self.open_since and evacuation.status.arrived
        ]
        took = [duration_s(m.updated - m.created, asked_at - self.open_since[m.id]) for m in arrived]
        open_ = [evacuation for evacuation in evacuations.values() if evacuation.status.open]
        self.open_since = {m.id: self.open_since.get(m.id, sent_at.get(m.server, asked_at)) for m in open_}
        over = [evacuation.id for evacuation in evacuations.values() if not evacuation.status.open]
        self.end_seen_at = {ident: self.end_seen_at.get(ident, seen_at) for ident in over}
        changed = [server for server, of_it in self.known.items() if of_it != before.get(server)]
        ended = [server for server in changed if _ends(self.known[server]) != _ends(before.get(server, ()))]
        return Change(bool(changed), frozenset(ended), tuple(took))


@dataclass
class Inventory:
    """The servers that are on one host or left it since its incident began, with their evacuations."""

    servers: dict[str, Server] = field(default_factory=dict)
    """By id: all that were ever seen."""
    evacuations: Evacuations = field(default_factory=Evacuations)
    on_host: frozenset[str] = frozenset()
    """Ids of those that the last list of the host has shown."""
    listed_at: float = 0.0
    """When the last complete list was asked for; 0.0: there is none, or the cell fell silent before it answered."""
    listed_by: float = 0.0
    first_proven_at: float = 0.0
    """When that list was complete; when the first one that its cell has proved was asked for."""
    list_wanted: bool = True
    newest_change: float = 0.0
    """The latest change of its servers that a list of all changes has shown (Nova's clock)."""
    changes: Reading = Reading()
    """Of everything that has changed."""
    read_at: dict[str, float] = field(default_factory=dict)
    """By server, when what is known of it was asked for."""
    to_read: set[str] = field(default_factory=set)
    """Servers that are to be read one by one before anything is said of them; each is in ``servers``."""
    answered_at: float = 0.0
    """When its cell was last seen to answer."""
    silent: bool = False
    """It did not when the services were last read, or its service is doubtful."""

    @property
    def doubted(self) -> bool:
        """Nothing shows yet that the last list of its servers is all there is."""
        return self.listed_at >= self.answered_at

    def changes_known_to(self, since: float) -> float:
        """Changes of its servers are known up to then (Nova's clock): to the newest that a list has shown, or to the
        last time that all changes were asked for and its cell was seen to answer later, whichever is later.  A silent
        cell leaves its servers out, and the others' changes prove nothing.

        :param since: from when on changes belong to the incident.
        """
        return max(self.newest_change, self.changes.proven_at - SKEW_S, since)

    def cell_answered(self, at: float) -> None:
        """A cell that falls silent between the services and a list leaves its rows out of it: only what was asked for
        before the services is proved."""
        self.answered_at, self.silent = at, False
        self.evacuations.cell_answered(at)
        self.changes = self.changes.cell_answered(at)
        if not self.doubted:
            self.first_proven_at = self.first_proven_at or self.listed_at

    def cell_silent(self) -> None:
        """Nothing follows from what the lists since its last answer have left out."""
        self.silent, self.list_wanted = True, True
        self.evacuations.cell_silent()
        self.changes = self.changes.cell_silent()
        if self.doubted:
            self.listed_at = 0.0

    def want_list(self) -> None:
        self.list_wanted = True

    def want_server(self, server: str) -> None:
        """A list may have mentioned it that does not show it."""
        self.servers.setdefault(server, Server(server, host="", vm_state="", known=False))
        self.to_read.add(server)

    def note_server(self, server: Server, asked_at: float) -> None:
        self.servers[server.id], self.read_at[server.id] = server, asked_at

    def note_change(self, server: Server) -> None:
        """A list of all changes has shown it."""
        self.newest_change = max(self.newest_change, server.updated)

    def note_single(self, server: str) -> None:
        """It was read by itself."""
        self.to_read.discard(server)

    def note_on_host(self, servers: Iterable[str]) -> None:
        self.on_host = frozenset(servers)

    def note_listed(self, asked_at: float, seen_at: float) -> None:
        """The list is complete, with what left the host and what has changed."""
        self.listed_at, self.listed_by, self.list_wanted = asked_at, seen_at, False
        self.note_changes_read(asked_at)

    def note_changes_read(self, asked_at: float) -> None:
        self.changes = self.changes.read_again(asked_at)


def duration_s(by_nova: float, as_seen: float) -> float:
    """How long an evacuation took, as near as it can be known.

    :param by_nova: in whole seconds, as both its times are: too much or too little by less than one.
    :param as_seen: by our clock, from when it was sent, or first seen, until its end was seen; a late look adds to it.
    """
    return min(max(by_nova, as_seen), by_nova + 1.0)


def _by_server(evacuations: Iterable[Evacuation]) -> dict[str, tuple[Evacuation, ...]]:
    found: dict[str, list[Evacuation]] = {}
    for evacuation in sorted(evacuations, key=lambda evacuation: (evacuation.created, evacuation.id)):
        found.setdefault(evacuation.server, []).append(evacuation)
    return {server: tuple(of_it) for server, of_it in found.items()}


def _ends(evacuations: Iterable[Evacuation]) -> frozenset[tuple[str, EvacuationStatus]]:
    return frozenset((evacuation.id, evacuation.status) for evacuation in evacuations if not evacuation.status.open)
