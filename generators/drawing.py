# SPDX-License-Identifier: Apache-2.0
"""Two kinds of picture as SVG files: lines over time, and bars with their spread.  Numbers in, elements out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from muster.reporting.markup import Element, element

WIDTH, PLOT_LEFT, PLOT_RIGHT = 760, 210, 720
LINES_HEIGHT, LINES_LEFT = 300, 50
ROW, BAR = 34, 16
COLOURS = ("#1565c0", "#5aa2e0", "#78909c", "#b0bec5", "#ef6c00", "#c62828")
STYLE = (
    "text { font: 13px system-ui, sans-serif; fill: #263238 } .soft { fill: #607d8b; font-size: 12px } "
    ".grid { stroke: #e0e5e8 } .whisker { stroke: #263238 } .frame { fill: #ffffff }"
)


@dataclass(frozen=True)
class Line:
    """:param points: (across, up), in their order."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Bars:
    """:param values: of one subject; the bar is their median, the whisker from least to most."""

    label: str
    values: Sequence[float]


def lines(title: str, most: float, drawn: Sequence[Line], unit: str = " s") -> str:
    """Servers over seconds or the like, with a legend.

    :param most: the height of the picture.
    :param unit: of what runs to the right.
    """
    until = above(max(line.points[-1][0] for line in drawn))
    top, bottom = 10.0, LINES_HEIGHT - 30.0
    height = LINES_HEIGHT + 20 * math.ceil(len(drawn) / 3)

    def x(seconds: float) -> float:
        return LINES_LEFT + (PLOT_RIGHT - LINES_LEFT) * seconds / until

    def y(servers: float) -> float:
        return bottom - (bottom - top) * servers / most

    parts: list[Element] = []
    for tick in _ticks(until):
        parts += [
            _line(x(tick), top, x(tick), bottom),
            _text(x(tick), bottom + 16, f"{tick:g}{unit}", "middle", "soft"),
        ]
    for share in (0.0, 0.5, 1.0):
        level = y(share * most)
        parts += [
            _line(LINES_LEFT, level, PLOT_RIGHT, level),
            _text(LINES_LEFT - 6, level + 4, f"{share * most:g}", "end", "soft"),
        ]
    for number, line in enumerate(drawn):
        points = " ".join(f"{x(at):.1f},{y(count):.1f}" for at, count in line.points)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(element("polyline", {"points": points, "fill": "none", "stroke": colour, "stroke-width": "2.5"}))
        column, row = number % 3, number // 3
        left, down = LINES_LEFT + column * 235, LINES_HEIGHT + 8 + row * 20
        parts.append(element("rect", {"x": left, "y": down - 9, "width": 14, "height": 5, "fill": colour}))
        parts.append(_text(left + 20, down, line.label, "start", ""))
    return _file(title, height, parts)


def bars(title: str, unit: str, drawn: Sequence[Bars]) -> str:
    """One row for each, all on one scale."""
    until = above(max(value for bar in drawn for value in bar.values))
    bottom = ROW * len(drawn) + 8

    def x(value: float) -> float:
        return PLOT_LEFT + (PLOT_RIGHT - 70 - PLOT_LEFT) * value / until

    parts: list[Element] = []
    for tick in _ticks(until):
        parts += [_line(x(tick), 4, x(tick), bottom), _text(x(tick), bottom + 16, f"{tick:g} {unit}", "middle", "soft")]
    for number, bar in enumerate(drawn):
        parts += _bar(bar, 8 + number * ROW, COLOURS[number % len(COLOURS)], x)
    return _file(title, bottom + 26, parts)


def _bar(bar: Bars, down: float, colour: str, x) -> Iterator[Element]:
    found = sorted(bar.values)
    middle = statistics.median(found)
    yield _text(PLOT_LEFT - 8, down + 13, bar.label, "end", "")
    shape = {"x": PLOT_LEFT, "y": down, "width": f"{x(middle) - PLOT_LEFT:.1f}", "height": BAR, "fill": colour}
    yield element("rect", shape)
    level = down + BAR / 2
    if len(found) > 1:
        yield _line(x(found[0]), level, x(found[-1]), level, "whisker")
    yield _text(x(found[-1]) + 8, down + 13, f"{middle:.1f}", "start", "")


def above(value: float) -> float:
    """A round number that is not less."""
    scale = 10 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * scale >= value)


def _ticks(until: float) -> list[float]:
    return [until * share for share in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> Element:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return element("line", {"class": kind, **{name: f"{value:.1f}" for name, value in ends.items()}})


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> Element:
    return element("text", {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}, text)


def _file(title: str, height: float, parts: Sequence[Element]) -> str:
    size = {"width": WIDTH, "height": round(height), "viewBox": f"0 0 {WIDTH} {round(height)}"}
    attributes = {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "aria-label": title}
    ground = element("rect", {"class": "frame", "width": WIDTH, "height": round(height)})
    root = element("svg", attributes, element("style", {}, STYLE), ground, *parts)
    return str(etree.tostring(root, encoding="unicode")) + "\n"
