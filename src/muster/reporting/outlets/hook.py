# SPDX-License-Identifier: Apache-2.0
"""The operator's own program, called when an incident begins, is blocked, is settled and is closed.

It runs beside the worker, which never waits for it.  An incident that a new worker takes over is told again: better
twice than never; ``node`` and ``fenced`` say which one it is.
"""

from __future__ import annotations

import json

from muster.core.decide import Incident
from muster.core.findings import State
from muster.gateways.child_process import Detached, Ended
from muster.gateways.comforts import hook_faults
from muster.log import Log
from muster.reporting.outlets import Quiet

AT_ONCE = 8
TIMEOUT_S = 30
BEGAN = "began"
TOLD = (State.BLOCKED, State.SETTLED, State.CLOSED)


class Hook(Quiet):
    """:param program: its absolute path."""

    def __init__(self, program: str, log: Log, timeout_s: float = TIMEOUT_S) -> None:
        self._program = program
        self._log = log
        self._timeout_s = timeout_s
        self._running: list[tuple[str, str, Detached]] = []
        self._said: dict[str, tuple[int, State]] = {}

    def announce(self, silence_s: float) -> None:
        self._reap()

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        self._reap()
        first, state = self._said.get(incident.node, (0, None))
        if first != incident.first:
            self._call(BEGAN, incident.node, data)
            state = None
        if incident.state is not state and incident.state in TOLD:
            self._call(incident.state.value, incident.node, data)
        self._said[incident.node] = (incident.first, incident.state)
        if incident.state is State.CLOSED:
            del self._said[incident.node]

    def _call(self, event: str, node: str, data: dict[str, object]) -> None:
        for fault in hook_faults(self._program):
            self._log.warning("hook not called", call=event, node=node, reason=fault)
            return
        if len(self._running) >= AT_ONCE:
            self._log.warning("hook not called", call=event, node=node, reason=f"{AT_ONCE} hooks still run")
            return
        given = json.dumps({"event": event, **data}).encode()
        try:
            self._running.append((event, node, Detached([self._program, event], given, self._timeout_s)))
        except OSError as exc:
            self._log.warning("hook cannot run", call=event, node=node, reason=f"{exc.filename}: {exc.strerror}")

    def _reap(self) -> None:
        still = []
        for event, node, process in self._running:
            ended = process.ended()
            if ended is None:
                still.append((event, node, process))
            elif ended.code:
                self._log.warning("hook failed", call=event, node=node, reason=self._why(ended), said=ended.words)
        self._running = still

    def _why(self, ended: Ended) -> str:
        return f"killed after {self._timeout_s:g} s" if ended.killed else f"exit {ended.code}"
