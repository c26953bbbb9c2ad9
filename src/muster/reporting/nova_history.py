# SPDX-License-Identifier: Apache-2.0
"""What Nova has on record about an incident, told as its story.  Pure.

Nova's records are good witnesses of each attempt, and know nothing of what was never sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from muster.core.findings import State, Verdict
from muster.core.nova_facts import CallTrace, Evacuation, EvacuationStatus, Server
from muster.reporting.history import Attempt, ServerStory, Source, Story, in_order, incident_name

GAP_S = 3600.0
"""Evacuations of one host that are further apart belong to two incidents, where nothing else tells."""
SAME_SECOND_S = 1.0
"""Nova writes whole seconds, so an action may seem younger than the migration that it made."""
MADE_WITHIN_S = 15.0
"""A call writes its action first and its migration next, in one go of nova-api."""
FROM_NOVA = (
    "when the host was lost and fenced, its steps, and the servers that were not sent (held, skipped): the worker's"
    " report is on another controller, so this page has only Nova's records"
)


@dataclass(frozen=True)
class Records:
    """What Nova has on record about one incident.

    :param evacuations: evacuations from the host, oldest first.
    :param traces: by server id, what its action log says; no entry: not asked.
    :param servers: by id; one that Nova no longer knows is ``deleted``.  No entry: not asked.
    """

    host: str
    at: float
    evacuations: Sequence[Evacuation] = ()
    traces: Mapping[str, Sequence[CallTrace]] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def with_nova(story: Story, records: Records, told: Collection[str]) -> Story:
    """The story with what Nova has on record about each attempt.

    :param told: ids of the servers of which the worker has said its last; the others are judged by Nova's records.
    """
    by_server = _by_server(records.evacuations)
    servers = []
    for server in story.servers:
        attempts = attempts_of(by_server.get(server.id, ()), records.traces.get(server.id, ()))
        ids = (*server.request_ids, *(a.request_id for a in attempts if a.request_id))
        known = replace(
            server,
            attempts=attempts,
            tries=max(server.tries, len(attempts)),
            request_ids=tuple(dict.fromkeys(ids)),
        )
        servers.append(known if server.id in told or not attempts else _judged(known, records))
    missing = set(by_server) - {server.id for server in story.servers}
    strangers = [_judged(_stranger(ident, by_server[ident], records), records) for ident in sorted(missing)]
    said = Source("Nova's migrations and actions", records.at)
    return replace(
        story,
        host=story.host or records.host,
        servers=in_order([*servers, *strangers]),
        sources=(*story.sources, said),
        missing=(*story.missing, *records.missing),
    )


def from_nova(node: str, records: Records) -> Story:
    """The story of an incident that is over and about which nobody here has a report.

    It is called by its first evacuation: nothing says when the host was fenced.
    """
    begin = min((evacuation.created for evacuation in records.evacuations if evacuation.created), default=0.0)
    bare = Story(
        incident=incident_name(node, begin),
        node=node,
        host=records.host,
        state=State.CLOSED.value,
        reason="Pacemaker has no record of it any more",
        fenced=None,
        until=max((evacuation.updated for evacuation in records.evacuations), default=begin),
        missing=(FROM_NOVA,),
    )
    return with_nova(bare, records, told=())


def groups(evacuations: Iterable[Evacuation]) -> list[list[Evacuation]]:
    """The evacuations from one host, incident by incident, oldest first; those that do not say when are in none."""
    found: list[list[Evacuation]] = []
    for evacuation in sorted((m for m in evacuations if m.created), key=lambda m: (m.created, m.id)):
        if not found or evacuation.created - found[-1][-1].created > GAP_S:
            found.append([])
        found[-1].append(evacuation)
    return found


def attempts_of(evacuations: Sequence[Evacuation], traces: Sequence[CallTrace]) -> tuple[Attempt, ...]:
    """Each migration with the action that made it: the newest that is not younger, and not much older.

    A call that has left no migration stands on its own.
    """
    left = sorted(traces, key=lambda t: t.at)
    attempts = []
    for evacuation in sorted(evacuations, key=lambda m: (m.created, m.id)):
        made = [t for t in left if -SAME_SECOND_S <= evacuation.created - t.at <= MADE_WITHIN_S]
        trace = made[-1] if made else None
        if trace:
            left.remove(trace)
        attempts.append(_attempt(evacuation, trace))
    attempts += [_attempt(None, trace) for trace in left]
    return tuple(sorted(attempts, key=lambda a: a.asked or 0.0))


def _attempt(evacuation: Optional[Evacuation], trace: Optional[CallTrace]) -> Attempt:
    over = evacuation is not None and not evacuation.status.open and evacuation.status is not EvacuationStatus.COMPLETED
    # A completed row was touched again when its old host came back, so it does not say when it had ended.
    ended = (trace.ended if trace else 0.0) or (evacuation.updated if evacuation and over else 0.0)
    return Attempt(
        request_id=trace.request_id if trace else "",
        status=evacuation.status.value if evacuation else "",
        dest=(evacuation.dest if evacuation else "") or (trace.dest if trace else ""),
        asked=(trace.at if trace else 0.0) or (evacuation.created if evacuation else 0.0) or None,
        landed=(trace.landed if trace else 0.0) or None,
        ended=ended or None,
        words=trace.words if trace else "",
    )


def _stranger(ident: str, evacuations: Sequence[Evacuation], records: Records) -> ServerStory:
    """A server that only Nova speaks of."""
    known = records.servers.get(ident)
    attempts = attempts_of(evacuations, records.traces.get(ident, ()))
    last = attempts[-1]
    return ServerStory(
        id=ident,
        name=known.name if known else "",
        project=known.project if known else "",
        source=records.host,
        dest=last.dest,
        state=known.vm_state if known else "",
        tries=len(attempts),
        request_ids=tuple(a.request_id for a in attempts if a.request_id),
        attempts=attempts,
    )


def _judged(server: ServerStory, records: Records) -> ServerStory:
    """With the verdict that Nova's records allow, and no better one."""
    arrived = next((a for a in reversed(server.attempts) if a.status in ("done", "completed")), None)
    known = records.servers.get(server.id)
    if arrived is None:
        last = server.attempts[-1]
        status = f"its last evacuation {f'is {last.status}' if last.status else 'has no migration'}"
        return replace(server, verdict=Verdict.UNKNOWN.value, reason=f"{status}: {last.words}".rstrip(": "))
    here = known is not None and known.host == arrived.dest
    landed = arrived.landed is not None and arrived.ended is not None and not arrived.words
    if not here and not landed:
        reason = f"its migration to {arrived.dest} is {arrived.status}, but Nova does not show that it came up there"
        return replace(server, verdict=Verdict.UNKNOWN.value, reason=reason)
    where = "Nova shows it there" if here else "its rebuild there ended well"
    now = "" if here or known is None else "; deleted since" if known.deleted else f"; now on {known.host}"
    seconds = arrived.ended - arrived.asked if arrived.ended and arrived.asked else None
    return replace(
        server,
        verdict=Verdict.EVACUATED.value,
        reason=f"migration to {arrived.dest} {arrived.status}, {where}{now}",
        dest=arrived.dest,
        seconds=seconds,
        began=arrived.asked,
        ended=arrived.ended,
    )


def _by_server(evacuations: Iterable[Evacuation]) -> dict[str, list[Evacuation]]:
    found: dict[str, list[Evacuation]] = {}
    for evacuation in evacuations:
        found.setdefault(evacuation.server, []).append(evacuation)
    return found
