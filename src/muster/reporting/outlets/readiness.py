# SPDX-License-Identifier: Apache-2.0
"""Looks, while no host needs the worker, at what would be wrong when one dies; see docs/adr/0005.

It only reads, in a thread beside the worker, which waits for none of it: a look that hangs ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Optional

from muster.core.decide import Incident
from muster.core.ports import ClockPort
from muster.installation.checks.examination import Examined, Result
from muster.installation.checks.nova import NOT_ASKED
from muster.log import Log
from muster.reporting.documents import Doubt, Readiness
from muster.reporting.outlets import Quiet
from muster.reporting.report import BUSY

EVERY_S = 150.0
"""An alert is to tell within five minutes; half of that is left for a second look, for Prometheus and for its rule."""
DOUBTFUL_EVERY_S = 60.0
"""While something is not as it should be: whoever mends it wants to see that."""
AFTER_CHANGE_S = 15.0
"""After a change of Pacemaker's configuration, which seldom comes alone; after the worker's beginning; and after a look
that was put off."""
WHAT_LIMIT = 300
DOUBTS_LIMIT = 40

Begin = Callable[[Callable[[], None]], None]


def in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="readiness", daemon=True).start()


class ReadinessLooks(Quiet):
    """:param look: makes the checks; it may take minutes, and may fail.  None: put off, for things are in motion.
    :param cib_changed: a value that changes with Pacemaker's configuration.
    :param may_look: the worker knows what incidents there are.
    :param begin: has something done beside the worker.
    :ivar found: by the last look that has ended.
    """

    def __init__(
        self,
        look: Callable[[], Optional[Sequence[Examined]]],
        cib_changed: Callable[[], object],
        may_look: Callable[[], bool],
        clock: ClockPort,
        log: Log,
        begin: Begin = in_background,
    ) -> None:
        self.found = Readiness()
        self._look = look
        self._cib_changed = cib_changed
        self._may_look = may_look
        self._clock = clock
        self._log = log
        self._begin = begin
        self._under_way = self._put_off = False
        self._seen: object = cib_changed()
        self._began_at = clock.monotonic() + AFTER_CHANGE_S - EVERY_S
        self._said: dict[str, Doubt] = {}

    def status(self, reason: str, incidents: list[Incident]) -> None:
        self._say_news()
        if self._under_way or any(it.state.value in BUSY for it in incidents) or not self._may_look():
            return
        since_s, cib = self._clock.monotonic() - self._began_at, self._cib_changed()
        every_s = DOUBTFUL_EVERY_S if self.found.doubts else EVERY_S
        if since_s >= (AFTER_CHANGE_S if self._put_off or cib != self._seen else every_s):
            self._under_way, self._seen, self._began_at = True, cib, self._clock.monotonic()
            self._begin(self._look_once)

    def _look_once(self) -> None:
        """Never raises: what becomes of the last look is known by its age."""
        try:
            examined = self._look()
            self._put_off = examined is None
            if examined is not None:
                self.found = readiness(examined, self._clock.now())
        except Exception as exc:
            failed = Doubt(
                "readiness", Result.UNKNOWN.value, f"the checks failed: {type(exc).__name__}: {exc}"[:WHAT_LIMIT]
            )
            self.found, self._put_off = Readiness(round(self._clock.now(), 1), 0, (failed,)), False
        finally:
            self._under_way = False

    def _say_news(self) -> None:
        doubts = {doubt.check: doubt for doubt in self.found.doubts}
        for check, doubt in doubts.items():
            if check not in self._said or self._said[check].result != doubt.result:
                self._log.warning("not ready", check=check, result=doubt.result, reason=doubt.what)
        for check in self._said.keys() - doubts.keys():
            self._log.info("ready again", check=check)
        self._said = doubts


def readiness(examined: Sequence[Examined], now: float) -> Readiness:
    """What is not content, worst first.  That Nova was not asked is said once: by the check that is about that."""
    doubts = [_doubt(check) for check in examined if check.result is not Result.OK]
    doubts = [doubt for doubt in doubts if doubt.what != NOT_ASKED]
    doubts.sort(key=lambda doubt: -Result(doubt.result).gravity)
    return Readiness(round(now, 1), len(examined), tuple(doubts[:DOUBTS_LIMIT]))


def _doubt(check: Examined) -> Doubt:
    wrong = [finding for finding in check.findings if finding.result is not Result.OK]
    worst = [finding for finding in wrong if finding.result is check.result]
    what = worst[0].what if worst else "it has found nothing"
    return Doubt(check.name, check.result.value, what[:WHAT_LIMIT], max(0, len(wrong) - 1))
