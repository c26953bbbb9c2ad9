# SPDX-License-Identifier: Apache-2.0
"""The figures of bench/scale.json as tables and a picture: docs/performance-scale.md and .svg."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import figures
from generators import drawing

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance-scale.md"
PICTURE = DOCS / "performance-scale.svg"
MARKS = r"(<!-- figures: bench/scale.json -->\n).*?(<!-- end -->)"


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


def picture(found: dict[str, Any]) -> str:
    """Median of a pass by the number of servers, a line for each series."""
    drawn = [
        drawing.Line(f"{name}: ms, by servers", [(row["servers"], row["ms"][1]) for row in found[name]["rows"]])
        for name in ("one host", "hosts together")
    ]
    most = drawing.above(max(ms for line in drawn for _, ms in line.points))
    return drawing.lines("milliseconds of a pass by the number of servers", most, drawn, unit="")


def pages() -> dict[Path, str]:
    found = figures.read(figures.SCALE)
    return {PAGE: page(PAGE.read_text(), found), PICTURE: picture(found)}
