# SPDX-License-Identifier: Apache-2.0
"""The timeline of an incident as inline SVG.

Everything across is a percentage and everything down is in pixels, so text keeps its size on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Iterator

from muster.reporting.markup import Element, element
from muster.reporting.timeline import Bar, Mark, Timeline
from muster.reporting.times import after, duration

ROW = 26
MARK_ROW = 15
BAR = 8
AXIS = 22
NAME_SHARE = 68.0
LABEL_TURNS = 0.55
"""A mark that is further right has its label on its left."""

STYLE = """
svg text { font: 12px system-ui, sans-serif; fill: #263238; paint-order: stroke; stroke: #fff; stroke-width: 3px }
svg .mark { stroke: #607d8b; stroke-dasharray: 3 3 }
svg .grid { stroke: #eceff1 }
svg .soft { fill: #607d8b }
svg .waiting { fill: #cfd8dc }
svg .scheduling { fill: #90caf9 }
svg .rebuilding { fill: #1976d2 }
svg .under { fill: #5aa2e0 }
svg .evacuated { fill: #2e7d32 }
svg .held { fill: #c62828 }
svg .parked, svg .unknown { fill: #ef6c00 }
svg .skipped, svg .gone, svg .queued, svg .evacuating { fill: #78909c }
"""


def picture(line: Timeline) -> Element:
    """One bar for each server that is drawn, a broken line for each step of the host."""
    top = MARK_ROW * len(line.marks) + 6
    bottom = top + ROW * len(line.bars) + 4
    parts = [*_grid(line, top, bottom), *_marks(line, bottom)]
    for number, bar in enumerate(line.bars):
        parts += _bar(line, bar, top + number * ROW)
    title = f"timeline of {len(line.bars)} servers over {duration(line.span_s)}"
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "width": "100%",
        "height": bottom + AXIS,
        "role": "img",
        "aria-label": title,
    }
    return element("svg", attributes, *parts)


def _grid(line: Timeline, top: int, bottom: int) -> Iterator[Element]:
    for seconds in line.ticks():
        share = line.share(line.zero.at + seconds)
        x = _percent(share)
        yield element("line", {"class": "grid", "x1": x, "x2": x, "y1": top, "y2": bottom})
        anchor = "start" if share < 0.05 else "end" if share > 0.95 else "middle"
        place = {"class": "soft", "x": x, "y": bottom + 14, "text-anchor": anchor}
        yield element("text", place, after(seconds) if seconds else line.zero.label)


def _marks(line: Timeline, bottom: int) -> Iterator[Element]:
    for number, mark in enumerate(line.marks):
        yield from _mark(line, mark, MARK_ROW * number, bottom)


def _mark(line: Timeline, mark: Mark, y: int, bottom: int) -> Iterator[Element]:
    share = line.share(mark.at)
    left = share > LABEL_TURNS
    yield element("line", {"class": "mark", "x1": _percent(share), "x2": _percent(share), "y1": y + 2, "y2": bottom})
    place = {
        "x": _percent(share),
        "dx": -4 if left else 4,
        "y": y + 12,
        "text-anchor": "end" if left else "start",
    }
    yield element("text", place, mark.label)


def _bar(line: Timeline, bar: Bar, y: int) -> Iterator[Element]:
    server = bar.server
    where = f" → {server.dest}" if server.dest else ""
    # A frame of its own cuts a long name off before the verdict.
    name = element("text", {"x": 0, "y": 12}, (server.name or server.id)[:120] + where)
    yield element("svg", {"x": 0, "y": y, "width": f"{NAME_SHARE}%", "height": 17}, name)
    took = f" {duration(server.seconds)}" if server.seconds is not None else ""
    place = {"x": "100%", "y": y + 12, "text-anchor": "end", "class": _class(server.verdict)}
    yield element("text", place, server.verdict + took)
    for stretch in bar.stretches:
        begin, end = line.share(stretch.begin), line.share(stretch.end)
        said = f"{server.name}: {stretch.kind.value}, {duration(stretch.end - stretch.begin)}"
        yield _block(said, stretch.kind.value, begin, _percent(end - begin), y + 15, BAR)
    if bar.end is not None:
        said = f"{server.name}: {server.verdict}, {after(bar.end - line.zero.at)}"
        yield _block(said, server.verdict, line.share(bar.end), "4", y + 13, BAR + 4)


def _block(said: str, kind: str, share: float, width: str, y: int, height: int) -> Element:
    """A coloured block that says what it is when it is pointed at."""
    shape = {"class": _class(kind), "x": _percent(share), "width": width, "y": y, "height": height}
    return element("g", {}, element("title", {}, said), element("rect", shape))


def _class(words: str) -> str:
    return words.split(" ", 1)[0]


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"
