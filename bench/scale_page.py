# SPDX-License-Identifier: Apache-2.0
"""The figures of bench/scale.json as tables and a picture: docs/performance-scale.md and .svg.

.venv/bin/python -m bench.scale --page      after somebody has changed how they are shown
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from muster.markup import Element, element

FIGURES = Path(__file__).with_name("scale.json")
DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance-scale.md"
PICTURE = DOCS / "performance-scale.svg"
MARKS = r"(<!-- figures: bench/scale.json -->\n).*?(<!-- end -->)"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 60, 40, 16, 150
COLOURS = {"one host": "#1976d2", "hosts together": "#2e7d32"}


def figures() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FIGURES.read_text())
    return found


def write() -> None:
    PICTURE.write_bytes(picture(figures()))
    PAGE.write_text(page(PAGE.read_text(), figures()))


def page(text: str, found: dict[str, Any]) -> str:
    """The page with its generated part as it should be."""
    return re.sub(MARKS, lambda marks: marks[1] + "\n".join(_part(found)) + "\n" + marks[2], text, flags=re.S)


def _part(found: dict[str, Any]) -> Iterator[str]:
    machine = found["machine"]
    yield (
        f"{machine['cores']} cores, Python {machine['python']}, load {machine['load']:.0f} at the beginning;"
        f" in_flight {found['in_flight']}."
    )
    yield ""
    for name, title in (("one host", "One dead host"), ("hosts together", "Hosts that die together")):
        yield from _incidents(title, found[name])
    yield from _plans(found["plan"])
    yield f"![milliseconds of a pass by the number of servers]({PICTURE.name})"


def _incidents(title: str, of: dict[str, Any]) -> Iterator[str]:
    head = ("hosts", "servers", "passes", "ms a pass (min / median / max)", "look / decide / act / tell", "settling")
    yield from _table(
        f"**{title}**", (*head, "MB", "requests a server", "reads a pass"), [_pass(r) for r in of["rows"]]
    )
    yield from _growth("the cost of a pass", of)


def _pass(row: dict[str, Any]) -> list[object]:
    share = row["share"]
    tell = 100.0 - sum(share.values())
    parts = " / ".join(f"{part:.0f} %" for part in (share["look"], share["decide"], share["act"], tell))
    settling = f"{row['settling_ms']:.0f} ms"
    cost = (row["memory_mb"], f"{row['requests_a_server']:.2f}", f"{row['reads_a_pass']:.1f}")
    return [row["hosts"], row["servers"], row["passes"], _three(row), parts, settling, *cost]


def _plans(of: dict[str, Any]) -> Iterator[str]:
    rows = [
        [row["hosts"], row["servers"], _three(row), f"{row['share']['look']:.0f} %", row["memory_mb"], row["requests"]]
        for row in of["rows"]
    ]
    head = ("hosts", "servers", "ms (min / median / max)", "reading the replies", "MB", "requests")
    yield from _table("**`muster plan --all`**", head, rows)
    yield from _growth("its cost", of)


def _growth(what: str, of: dict[str, Any]) -> Iterator[str]:
    yield f"With n times as many servers {what} grows by n^{of['exponent']['median']:.2f} (median)."
    yield ""


def _three(row: dict[str, Any]) -> str:
    return " / ".join(f"{ms:.0f}" for ms in row["ms"])


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield title
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{' ---: |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


# ------------------------------------------------------------------ picture


def picture(found: dict[str, Any]) -> bytes:
    """Median of a pass by the number of servers, a line for each series."""
    series = {name: [(row["servers"], row["ms"][1]) for row in found[name]["rows"]] for name in COLOURS}
    right = max(x for points in series.values() for x, _ in points)
    top = max(y for points in series.values() for _, y in points) * 1.1
    parts = [element("rect", {"width": WIDTH, "height": HEIGHT, "fill": "#fff"}), *_axes(right, top)]
    for name, points in series.items():
        parts += _line(name, [(_x(x, right), _y(y, top)) for x, y in points])
    size = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "width": WIDTH, "role": "img"}
    whole = element("svg", {**size, "font-family": "sans-serif", "font-size": 12, "fill": "#263238"}, *parts)
    return etree.tostring(whole, encoding="utf-8") + b"\n"


def _x(servers: float, right: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * servers / right, 1)


def _y(ms: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * ms / top, 1)


def _axes(right: float, top: float) -> Iterator[Element]:
    for share in range(5):
        x, y = right * share / 4, top * share / 4
        across = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": _y(y, top), "y2": _y(y, top), "stroke": "#eceff1"}
        yield element("line", across)
        yield element("text", {"x": LEFT - 6, "y": _y(y, top) + 4, "text-anchor": "end"}, f"{y:.0f} ms")
        yield element("text", {"x": _x(x, right), "y": HEIGHT - BOTTOM + 18, "text-anchor": "middle"}, f"{x:.0f}")
    yield element("text", {"x": (LEFT + WIDTH - RIGHT) / 2, "y": HEIGHT - 6, "text-anchor": "middle"}, "servers")


def _line(name: str, points: Sequence[tuple[float, float]]) -> Iterator[Element]:
    colour = COLOURS[name]
    path = "M" + " L".join(f"{x} {y}" for x, y in points)
    yield element("path", {"d": path, "fill": "none", "stroke": colour, "stroke-width": 2})
    for x, y in points:
        yield element("circle", {"cx": x, "cy": y, "r": 3, "fill": colour})
    x, y = points[-1]
    yield element("text", {"x": x + 8, "y": y + 4, "fill": colour}, name)
