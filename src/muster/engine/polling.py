# SPDX-License-Identifier: Apache-2.0
"""When Nova is asked next what has become of the evacuations: quickly where a server waits for the end of another,
seldom where nothing is about to change."""

from __future__ import annotations

from muster.engine.memory import Memory

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


def took_s(by_nova: float, as_seen: float) -> float:
    """How long an evacuation took, as near as it can be known.

    :param by_nova: in whole seconds, as both its times are: too much or too little by less than one.
    :param as_seen: by our clock, from when it was sent, or first seen, until its end was seen; a late look adds to it.
    """
    return min(max(by_nova, as_seen), by_nova + 1.0)


def poll_due(memory: Memory, now: float) -> float:
    """:returns: a time, in the past if it is overdue."""
    last, hosts = memory.polled_at, memory.hosts.values()
    takes_s = min(memory.took, default=0.0)
    expected = [at + takes_s for host in hosts for at in host.begun.values()]
    under_way = len(expected)
    many = POLL_PER_OPEN_S * under_way
    if memory.sending:
        return last + max(SENDING_POLL_S, many)
    if not expected or not takes_s:
        calm = (STILL_WAITING if memory.waiting else STILL) * (now - memory.changed_at)
        return last + max(POLL_MIN_S, many, min(POLL_MAX_S, calm))
    if not memory.waiting:
        calm = HALFWAY * min(abs(at - now) for at in expected)
        return last + max(POLL_MIN_S, many, min(POLL_MAX_S, calm))
    expected = [at - EARLY_S for at in expected] + [sent.at + SHOWS_S for host in hosts for sent in host.unseen]
    # The next one when it is expected; what is late is looked for ever more seldom.
    pauses = [at - last if at > last else LATE * (last - at) for at in expected]
    busy = under_way * min(memory.calls, default=0.0) / takes_s
    quick = min(POLL_MIN_S, max(POLL_QUICK_S, QUICK * takes_s, POLL_BUSY_S * busy))
    return last + max(quick, many - POLL_MIN_S, min(POLL_MAX_S, *pauses))
