# SPDX-License-Identifier: Apache-2.0
"""When Nova is asked next what has become of the evacuations: quickly where a server waits for the end of another,
seldom where nothing is about to change."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from muster.engine.inventory import Change

SERVERS_EVERY_S = 10.0
SERVERS_CLOSE_S = 2.0
"""What was read of servers within that time is good enough to send the next one before they are read again."""
POLL_MIN_S = 0.5
POLL_MAX_S = 5.0
POLL_QUICK_S = 0.1
"""When an evacuation is expected to end and another server waits for its place."""
POLL_BUSY_S = 1.0
"""The same, times the share of the time for which calls alone keep Nova busy: then what runs goes on, and a place that
is empty costs less than to ask."""
SHOWS_S = 1.0
"""A call that Nova has taken is to be seen among its evacuations by then."""
POLL_PER_OPEN_S = 0.05
"""With many servers under way a poll costs Nova more and tells as much: 100 of them are asked about every 5 s."""
SENDING_POLL_S = 30.0
"""While servers can be sent without waiting for others, there is no hurry to see others arrive: to tell of one costs
Nova milliseconds that it could send another in."""

STILL = 0.1
"""Where nothing says when the next one ends: again after this share of the time in which nothing has changed."""
STILL_WAITING = 0.05
HALFWAY = 0.5
"""Of the time until, or since, one was expected to end, where nothing waits for that."""
LATE = 0.25
"""Of the time since one was expected to end, where something does."""
EARLY_S = 0.1
"""Sooner than the quickest of the last ones: the next one may be quicker, and is to be seen then."""
QUICK = 0.01
"""Of the time that one takes: the longer that is, the less a place that is empty for a moment matters."""


@dataclass
class Polling:
    """When what was last asked for, and what the last decision waits for."""

    polled_at: float = 0.0
    """When evacuations were last listed; where that took long, when it was over."""
    servers_read_at: float = 0.0
    servers_due: bool = False
    """Something has happened since that changes servers."""
    arrivals_unread: bool = False
    """Evacuations were seen to end; what became of their servers is read two seconds after the last time."""
    sending: bool = False
    """The last decision had servers that could be sent at once."""
    waiting: bool = False
    """It had servers for which the limits left no place: each waits for another to arrive."""
    last_change_at: float = 0.0
    """When something of an evacuation last changed, or was caused by this worker: the pace of asking follows it."""
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """How long the last evacuations that arrived took."""
    call_durations: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """How long Nova took for the last evacuates that it accepted."""

    def forget(self) -> None:
        """There is nothing to ask for."""
        self.polled_at = 0.0

    def note_decided(self, sending: bool, waiting: bool) -> None:
        self.sending, self.waiting = sending, waiting

    def note_caused(self, now: float) -> None:
        """This worker is about to change something."""
        self.last_change_at = now

    def note_call(self, took_s: float) -> None:
        self.call_durations.append(took_s)

    def note_evacuations(self, change: Change, asked_at: float) -> None:
        if change.any:
            self.last_change_at = asked_at
        self.durations.extend(change.durations)
        self.servers_due = self.servers_due or bool(change.ended)

    def want_servers(self) -> None:
        self.servers_due = True

    def note_servers_read(self, asked_at: float) -> None:
        self.servers_read_at, self.servers_due = asked_at, False

    def servers_read_lately(self, now: float) -> bool:
        return now - self.servers_read_at <= SERVERS_CLOSE_S

    def are_servers_due(self, now: float) -> bool:
        every_s = SERVERS_CLOSE_S if self.waiting else SERVERS_EVERY_S
        return self.servers_due or now - self.servers_read_at >= every_s

    def note_polled(self, at: float) -> None:
        self.polled_at = at

    def leave_arrivals_unread(self) -> None:
        self.arrivals_unread = True

    def take_arrivals_unread(self) -> bool:
        """Whether the last pass has left them unread; once."""
        unread, self.arrivals_unread = self.arrivals_unread, False
        return unread

    def due(self, began: Collection[float], sent_at: Iterable[float], now: float) -> float:
        """:param began: when each evacuation began that is under way.
        :param sent_at: of each call that is not to be seen among them yet.
        :returns: a time, in the past if it is overdue.
        """
        takes_s = min(self.durations, default=0.0)
        many = POLL_PER_OPEN_S * len(began)
        if self.sending:
            return self.polled_at + max(SENDING_POLL_S, many)
        if not began or not takes_s:
            calm = (STILL_WAITING if self.waiting else STILL) * (now - self.last_change_at)
            return self.polled_at + max(POLL_MIN_S, many, min(POLL_MAX_S, calm))
        expected = [at + takes_s for at in began]
        if not self.waiting:
            calm = HALFWAY * min(abs(at - now) for at in expected)
            return self.polled_at + max(POLL_MIN_S, many, min(POLL_MAX_S, calm))
        busy = len(began) * min(self.call_durations, default=0.0) / takes_s
        quick = min(POLL_MIN_S, max(POLL_QUICK_S, QUICK * takes_s, POLL_BUSY_S * busy))
        pause = self._until_the_next([*(at - EARLY_S for at in expected), *(at + SHOWS_S for at in sent_at)])
        return self.polled_at + max(quick, many - POLL_MIN_S, min(POLL_MAX_S, pause))

    def _until_the_next(self, expected: Iterable[float]) -> float:
        """The next one when it is expected; what is late is looked for ever more seldom."""
        last = self.polled_at
        return min(at - last if at > last else LATE * (last - at) for at in expected)
