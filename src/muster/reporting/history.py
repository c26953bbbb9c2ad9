# SPDX-License-Identifier: Apache-2.0
"""What happened in one incident, as far as it is known; from what the worker wrote.  Pure.

What is not known stays open and is named under ``missing``; nothing is filled in.  Times are Unix seconds.
What Nova adds is in :mod:`muster.reporting.nova_history`.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from muster.core.findings import State, Verdict
from muster.reporting.documents import Report, ReportEvent, ServerEntry
from muster.reporting.times import duration

WHEN_LOST = "when Pacemaker lost the host: Pacemaker no longer shows that, or it fenced the host before"
_EVACUATES = re.compile("muster retry|muster skip|server evacuate")
ORDER = ("held", "unknown", "parked", "evacuating", "queued", "evacuated", "skipped", "gone")
"""Those that need a person first."""


@dataclass(frozen=True)
class Change:
    """Something that the worker saw change.

    :param word: the state of the incident, or the verdict of the server.
    """

    at: float
    word: str
    what: str
    dest: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class Attempt:
    """One evacuation of one server by Nova's records.

    :param status: of its migration; empty where there is none.
    :param asked: when Nova took the call.
    :param landed: when the rebuild began on the destination.
    :param ended: when it ended, well or not.
    :param words: Nova's own about its failure.
    """

    request_id: str
    status: str
    dest: str
    asked: Optional[float] = None
    landed: Optional[float] = None
    ended: Optional[float] = None
    words: str = ""


@dataclass(frozen=True)
class ServerStory:
    """What became of one server.

    :param state: its vm_state, when its verdict was given.
    :param tries: evacuations of it in this incident.
    :param began: when Nova took the last of them; ``ended`` when that one had arrived.
    :param attempts: empty if Nova was not asked.
    """

    id: str
    name: str = ""
    project: str = ""
    verdict: str = Verdict.UNKNOWN.value
    reason: str = ""
    source: str = ""
    dest: str = ""
    state: str = ""
    tries: int = 0
    request_ids: tuple[str, ...] = ()
    seconds: Optional[float] = None
    began: Optional[float] = None
    ended: Optional[float] = None
    attempts: tuple[Attempt, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Source:
    """Who says so, and when it was so."""

    what: str
    at: float


@dataclass(frozen=True)
class Story:
    """One incident.

    :param lost: when Pacemaker lost the host; None when nobody here knows it, and so for ``fenced``.
    :param until: up to when this is known.
    :param changes: of the host.
    :param sources: who says so.
    :param missing: what is not known, and why.
    """

    incident: str
    node: str
    host: str
    state: str
    reason: str
    fenced: Optional[float]
    until: float
    changes: tuple[Change, ...] = ()
    servers: tuple[ServerStory, ...] = ()
    sources: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    lost: Optional[float] = None

    @property
    def steps(self) -> tuple[Change, ...]:
        """What befell the host, from its loss on."""
        lost = (Change(self.lost, "lost", "Pacemaker lost the connection to the host"),) if self.lost else ()
        fenced = (Change(self.fenced, "fenced", "the record says: its power is off"),) if self.fenced else ()
        return tuple(sorted((*lost, *fenced, *self.changes), key=lambda change: change.at))

    @property
    def headline(self) -> str:
        """``11 of 12 back, 1 held; longest outage 48 s, median 31 s``: what people ask first."""
        counts = self.counts
        held = counts.get(Verdict.HELD.value, 0)
        total = len(self.servers) - sum(counts.get(verdict.value, 0) for verdict in (Verdict.SKIPPED, Verdict.GONE))
        back = f"{counts.get(Verdict.EVACUATED.value, 0)} of {total} back" + (f", {held} held" if held else "")
        outages = sorted(known for server in self.servers if (known := self.outage_s(server)) is not None)
        if not outages:
            return back
        since = "" if self.lost else " (since the fencing)"
        longest, median = duration(outages[-1]), duration(statistics.median(outages))
        return f"{back}; longest outage {longest}, median {median}{since}"

    def outage_s(self, server: ServerStory) -> Optional[float]:
        """How long a server was down that runs again: from the loss of its host, or if nobody knows that from the
        fencing, until its evacuation had ended.  None of one that does not run, or of which that is not known."""
        began = self.lost or self.fenced
        runs = server.verdict == Verdict.EVACUATED.value and server.state in ("", "active")
        return max(0.0, server.ended - began) if began and server.ended and runs else None

    @property
    def counts(self) -> dict[str, int]:
        """How many servers have which verdict; those that need a person first."""
        counts = Counter(server.verdict for server in self.servers)
        return {word: counts[word] for word in (*ORDER, *sorted(set(counts) - set(ORDER))) if counts[word]}

    @property
    def waiting(self) -> tuple[ServerStory, ...]:
        """Those that a person must decide about."""
        return tuple(server for server in self.servers if server.verdict == Verdict.HELD.value)

    def first(self, state: State) -> Optional[float]:
        """When the incident first was in that state."""
        return next((change.at for change in self.changes if change.word == state.value), None)


def incident_name(node: str, first: float) -> str:
    """``cmp1-1800000000``: how the incident is called, and its files."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', node)}-{int(first)}"


# ------------------------------------------------------------- from the worker


def from_worker(report: Report, who: str) -> Story:
    """:param report: as the worker writes it; what is missing in it stays open.
    :param who: says so, in words.
    """
    changes: dict[str, list[Change]] = {}
    for event in report.events:
        changes.setdefault(event.server, []).append(_change(event))
    until = report.written or report.fenced or 0.0
    lost = report.lost or None
    return Story(
        incident=incident_name(report.node, report.fenced or 0),
        node=report.node,
        host=report.host,
        state=report.state,
        reason=report.reason,
        fenced=report.fenced,
        until=until,
        changes=_news(changes.get("", ())),
        servers=in_order(_server(entry, changes, report.host_is_back) for entry in report.proofs),
        sources=(Source(who, until),),
        missing=() if lost else (WHEN_LOST,),
        lost=lost,
    )


def after_return(reason: str, ident: str) -> str:
    """The reason of a held server whose host is back: muster evacuates nothing from it any more, so what advises that
    is left out, and what is left to do is said."""
    sentences = re.split(r"(?<=[.;]) (?=[A-Z])", reason)
    kept = [it for it in sentences if not _EVACUATES.search(it)] or [reason.partition(":")[0]]
    if any("openstack" in it for it in kept):
        return " ".join(kept)
    cause = " ".join(kept).rstrip(".")
    return (
        f"{cause}. Its host is back, so muster no longer evacuates it. If the server is down: make sure that it runs on"
        f" no other host, then openstack server reboot --hard {ident}"
    )


def _server(entry: ServerEntry, changes: Mapping[str, Sequence[Change]], back: bool) -> ServerStory:
    mine = _news(changes.get(entry.id, ()))
    ids = [change.request_id for change in mine] + [entry.request_id]
    left = back and entry.verdict == Verdict.HELD.value
    return ServerStory(
        id=entry.id,
        name=entry.name,
        project=entry.project,
        verdict=entry.verdict or Verdict.UNKNOWN.value,
        reason=after_return(entry.reason, entry.id) if left else entry.reason,
        source=entry.source,
        dest=entry.dest,
        state=entry.state,
        tries=entry.attempts,
        request_ids=tuple(dict.fromkeys(filter(None, ids))),
        seconds=entry.seconds,
        began=entry.began,
        ended=entry.ended,
        changes=mine,
    )


def _change(event: ReportEvent) -> Change:
    word, _, reason = event.what.partition(": ")
    return Change(event.at, word, reason or event.what, event.dest, event.request_id)


def _news(changes: Iterable[Change]) -> tuple[Change, ...]:
    """In order, without what a new worker said again."""
    told: list[Change] = []
    for change in sorted(changes, key=lambda c: c.at):
        if not told or replace(change, at=told[-1].at) != told[-1]:
            told.append(change)
    return tuple(told)


def in_order(servers: Iterable[ServerStory]) -> tuple[ServerStory, ...]:
    """Those that need a person first, then as they were sent."""

    def place(server: ServerStory) -> tuple[int, float, str, str]:
        rank = ORDER.index(server.verdict) if server.verdict in ORDER else -1
        return rank, server.began or 0.0, server.name, server.id

    return tuple(sorted(servers, key=place))
