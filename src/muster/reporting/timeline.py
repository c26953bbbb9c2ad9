# SPDX-License-Identifier: Apache-2.0
"""When what happened, as the picture needs it: a bar for each server, a mark for each step of the host.  Pure.

What is not known is not drawn: a stretch that nobody saw in parts is one stretch.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from muster.core.findings import State, Verdict
from muster.reporting.history import Attempt, Change, ServerStory, Story

BARS_SHOWN = 32
"""As many as fit on one printed page."""
MARKS_CLOSE = 0.02
"""Marks that are closer than this share of the whole are one."""
SPAN_MIN_S = 1.0
TICKS_MOST = 6
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200)
DAY_S = 86400
_AFTER = (State.RETURNING.value, State.CLOSED.value)
_WAITING = (Verdict.QUEUED.value, Verdict.PARKED.value, Verdict.UNKNOWN.value)


class Kind(enum.Enum):
    """What a server was doing, and how the picture calls it."""

    WAITING = "waiting"
    SCHEDULING = "scheduling"
    REBUILDING = "rebuilding"
    UNDER_WAY = "under way, not seen in detail"


@dataclass(frozen=True)
class Stretch:
    kind: Kind
    begin: float
    end: float


@dataclass(frozen=True)
class Bar:
    """:param end: when its verdict was given; None if that is not known."""

    server: ServerStory
    stretches: tuple[Stretch, ...]
    end: Optional[float]


@dataclass(frozen=True)
class Mark:
    at: float
    label: str


@dataclass(frozen=True)
class Timeline:
    """:param zero: what times are counted from.
    :param left_out: how many servers have no bar.
    """

    zero: Mark
    end: float
    marks: tuple[Mark, ...]
    bars: tuple[Bar, ...]
    left_out: int = 0

    @property
    def span_s(self) -> float:
        return self.end - self.zero.at

    def share(self, at: float) -> float:
        """Where on the line a time is, 0 to 1."""
        return min(1.0, max(0.0, (at - self.zero.at) / self.span_s))

    def ticks(self) -> list[float]:
        """Seconds after zero, evenly, so few that each can be labelled."""
        days = math.ceil(self.span_s / (TICKS_MOST * DAY_S))
        step = next((s for s in STEPS_S if self.span_s / s <= TICKS_MOST), days * DAY_S)
        return [float(n * step) for n in range(int(self.span_s // step) + 1)]


def timeline(story: Story, bars_shown: int = BARS_SHOWN) -> Optional[Timeline]:
    """:param bars_shown: those that need a person first, then those that took longest.
    :returns: None if no time is known.

    The line ends when every server was settled, or with what is known; what came days later would shrink the rest.
    """
    bars = [_bar(server, story) for server in story.servers]
    moments = sorted(_moments(story, bars))
    if not moments:
        return None
    zero = Mark(story.fenced, "fenced") if story.fenced else Mark(moments[0], "first evacuation")
    end = max(moments[-1], zero.at + SPAN_MIN_S)
    end += 0.02 * (end - zero.at)
    drawn = sorted(bars, key=_weight, reverse=True)[:bars_shown]
    marks = tuple(_marks(story.changes, zero, end))
    return Timeline(zero, end, marks, tuple(sorted(drawn, key=_place)), len(bars) - len(drawn))


def _moments(story: Story, bars: Sequence[Bar]) -> Iterator[float]:
    if story.fenced:
        yield story.fenced
    for change in story.changes:
        if change.word not in _AFTER and change.at > 0:
            yield change.at
    for bar in bars:
        yield from (stretch.end for stretch in bar.stretches)
        if bar.stretches:
            yield bar.stretches[0].begin
        if bar.end:
            yield bar.end


def _marks(changes: Sequence[Change], zero: Mark, end: float) -> Iterator[Mark]:
    """Those within the line; those that would hide each other as one."""
    close = MARKS_CLOSE * (end - zero.at)
    at, words = zero.at, [zero.label]
    for change in changes:
        if not zero.at <= change.at <= end or change.word == words[-1]:
            continue
        if change.at - at <= close:
            words.append(change.word)
            continue
        yield Mark(at, ", ".join(dict.fromkeys(words)))
        at, words = change.at, [change.word]
    yield Mark(at, ", ".join(dict.fromkeys(words)))


def _weight(bar: Bar) -> tuple[bool, bool, float]:
    """The more, the sooner it is drawn."""
    took = sum(s.end - s.begin for s in bar.stretches if s.kind is not Kind.WAITING)
    held = bar.server.verdict == Verdict.HELD.value
    return held, bar.server.verdict != Verdict.EVACUATED.value, took


def _place(bar: Bar) -> tuple[float, float, str]:
    """In the order in which they were sent; what never was comes last."""
    sent = next((s.begin for s in bar.stretches if s.kind is not Kind.WAITING), float("inf"))
    return sent, bar.end or float("inf"), bar.server.id


# ------------------------------------------------------------------- one bar


def _bar(server: ServerStory, story: Story) -> Bar:
    stretches = list(_of_attempts(server, story) if server.attempts else _of_changes(server, story))
    proved = next((c.at for c in server.changes if c.word == server.verdict), None)
    return Bar(server, tuple(s for s in stretches if s.end > s.begin), proved or server.ended)


def _of_attempts(server: ServerStory, story: Story) -> Iterator[Stretch]:
    """By Nova's records."""
    since = story.fenced
    for attempt in server.attempts:
        if attempt.asked is None:
            continue
        if since is not None:
            yield Stretch(Kind.WAITING, since, attempt.asked)
        since = attempt.ended or _unended(server, attempt, story)
        if attempt.landed is not None:
            yield Stretch(Kind.SCHEDULING, attempt.asked, attempt.landed)
            yield Stretch(Kind.REBUILDING, attempt.landed, since)
        else:
            # Without a destination it has never left the scheduler.
            kind = Kind.UNDER_WAY if attempt.dest else Kind.SCHEDULING
            yield Stretch(kind, attempt.asked, since)
    if since is not None and server.verdict in _WAITING:
        yield Stretch(Kind.WAITING, since, story.until)


def _unended(server: ServerStory, attempt: Attempt, story: Story) -> float:
    """It has not ended, as far as is known: up to now if it is under way, else only its begin is sure."""
    if server.verdict == Verdict.EVACUATING.value and attempt is server.attempts[-1]:
        return story.until
    return max(attempt.landed or 0.0, attempt.asked or 0.0)


def _of_changes(server: ServerStory, story: Story) -> Iterator[Stretch]:
    """By what the worker saw, with Nova's own times of the last evacuation where it has told them."""
    changes = [c for c in server.changes if c.at > 0]
    if not changes:
        if server.began and server.ended:
            yield Stretch(Kind.UNDER_WAY, server.began, server.ended)
        return
    open_until = story.until if server.verdict in (*_WAITING, Verdict.EVACUATING.value) else changes[-1].at
    ends = [c.at for c in changes[1:]] + [max(open_until, changes[-1].at)]
    if story.fenced is not None:
        yield Stretch(Kind.WAITING, story.fenced, changes[0].at)
    for number, (change, end) in enumerate(zip(changes, ends)):
        if change.word == Verdict.UNKNOWN.value and change.dest:
            yield Stretch(Kind.UNDER_WAY, change.at, end)  # it has arrived, and is being proved
        elif change.word in _WAITING:
            yield Stretch(Kind.WAITING, change.at, end)
        elif change.word == Verdict.EVACUATING.value:
            yield Stretch(_kind(change, changes[number + 1 :]), change.at, end)


def _kind(change: Change, later: Sequence[Change]) -> Kind:
    """Rebuilding once a destination was seen; scheduling only if one was seen afterwards, or never came."""
    if change.dest:
        return Kind.REBUILDING
    following = later[0].word if later else ""
    return Kind.UNDER_WAY if following == Verdict.EVACUATED.value else Kind.SCHEDULING
