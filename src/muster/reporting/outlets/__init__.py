# SPDX-License-Identifier: Apache-2.0
"""Where the worker leaves what it sees.  All of it may be lost without harm, and none of it may hold up the worker.

One module for each place: the status file, the incident reports, the operator's program, Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable

from muster.core.decide import Incident
from muster.log import Log
from muster.reporting.report import Event


class Quiet:
    """An outlet that says nothing: each place overrides what it is about."""

    def announce(self, silence_s: float) -> None:
        """:param silence_s: how long nothing may be heard of the worker; told before each wait of its own."""

    def status(self, reason: str, incidents: list[Incident]) -> None:
        """What is the case after a pass."""

    def share(self) -> None:
        """The pass has done its work: time for what nobody waits for."""

    def event(self, event: Event) -> None:
        """Something changed."""

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        """An incident as :func:`muster.reporting.report.report` tells it, at each change that people should see."""

    def close(self) -> None:
        """The worker ends."""


class Outlets:
    """All of them as the one that the worker knows.

    :param status: what the monitor lives on: its failure is the worker's.
    :param others: a flaw in one of them must not stop an evacuation: it is told once, and left out from then on.
    """

    def __init__(self, status: Quiet, others: list[Quiet], log: Log) -> None:
        self._status = status
        self._others = others
        self._log = log

    def announce(self, silence_s: float) -> None:
        self._status.announce(silence_s)
        self._tell(lambda outlet: outlet.announce(silence_s))

    def status(self, reason: str, incidents: list[Incident]) -> None:
        self._status.status(reason, incidents)
        self._tell(lambda outlet: outlet.status(reason, incidents))

    def share(self) -> None:
        self._status.share()
        self._tell(lambda outlet: outlet.share())

    def event(self, event: Event) -> None:
        self._status.event(event)
        self._tell(lambda outlet: outlet.event(event))

    def report(self, incident: Incident, data: dict[str, object]) -> None:
        self._status.report(incident, data)
        self._tell(lambda outlet: outlet.report(incident, data))

    def close(self) -> None:
        self._status.close()
        self._tell(lambda outlet: outlet.close())

    def _tell(self, say: Callable[[Quiet], None]) -> None:
        for outlet in list(self._others):
            try:
                say(outlet)
            except Exception:
                self._log.exception("outlet failed, not used any more", outlet=type(outlet).__name__)
                self._others.remove(outlet)
