# SPDX-License-Identifier: Apache-2.0
"""Notes beside the node, in Pacemaker's configuration, which servers nobody has seen to yet; see
:mod:`muster.core.left_behind`.

As soon as nothing of an incident is under way any more: the worker that sees the host return may be another one, or
none may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Optional

from muster.core.decide import Incident
from muster.core.errors import ClusterError
from muster.core.findings import State, Verdict
from muster.core.left_behind import LeftBehind, noted
from muster.core.past_incidents import Past, with_incident
from muster.core.ports import ClockPort
from muster.log import Log
from muster.reporting.outlets import Quiet

NOTED = (State.SETTLED, State.RETURNING, State.CLOSED)
LEFT = (Verdict.HELD, Verdict.PARKED, Verdict.UNKNOWN)
SEEN_TO = (Verdict.EVACUATED, Verdict.SKIPPED, Verdict.GONE)

Change = Callable[[Optional[LeftBehind]], Optional[LeftBehind]]
ChangePast = Callable[[Optional[Past]], Past]


@dataclass(frozen=True)
class Noted:
    """:param closed: when the host was back in service; 0: it is not yet."""

    first: int
    left: frozenset[str]
    seen_to: frozenset[str]
    closed: int = 0


class LeftBehindNotes(Quiet):
    """:param change: changes the note of a node by compare-and-set; it may raise ClusterError.
    :param change_past: the same of its last incidents.
    """

    def __init__(
        self,
        change: Callable[[str, Change], None],
        change_past: Callable[[str, ChangePast], None],
        clock: ClockPort,
        log: Log,
    ) -> None:
        self._change = change
        self._change_past = change_past
        self._clock = clock
        self._log = log
        self._done: dict[str, Noted] = {}
        self._due: dict[str, Noted] = {}

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        closed = incident.state is State.CLOSED
        if incident.state in NOTED:
            verdicts = {server: finding.verdict for server, finding in incident.findings.items()}
            told = frozenset(s for s, v in verdicts.items() if v in LEFT)
            seen_to = frozenset(s for s, v in verdicts.items() if v in SEEN_TO)
            now = Noted(incident.first, told, seen_to, int(self._clock.now()) if closed else 0)
            if self._done.get(incident.node) != now:
                self._due[incident.node] = now
        if closed:
            self._done.pop(incident.node, None)

    def share(self) -> None:
        """Again with each pass, until it is written."""
        for node, note in list(self._due.items()):
            try:
                self._change(node, partial(noted, left=note.left, seen_to=note.seen_to, now=self._clock.now()))
                past = partial(with_incident, first=note.first, closed=note.closed, left=note.left)
                self._change_past(node, past)
            except ClusterError as exc:
                self._log.warning("what is left not noted", node=node, reason=str(exc))
                return
            self._done[node] = self._due.pop(node)
