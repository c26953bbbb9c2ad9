# SPDX-License-Identifier: Apache-2.0
"""The rows of the two rule tables, drawn into docs/design.md."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from muster.core import host_rules, server_rules

PAGE = Path(__file__).resolve().parents[1] / "docs" / "design.md"
BEGIN, END = "<!-- rows -->\n", "<!-- /rows -->"
Row = tuple[str, str, str]
"""Its name, what it gives, what it has done."""


def hosts() -> list[Row]:
    doing = {(True, False): "evacuates", (False, True): "proves"}
    return [(r.name, r.state.value, doing.get((r.sends, r.proves), "")) for r in host_rules.RULES]


def servers() -> list[Row]:
    return [(r.name, r.verdict.value, r.step.value if r.step else "") for r in server_rules.RULES]


def drawn(title: str, rows: Iterable[Row]) -> str:
    """One line a row, joined where neighbours give the same."""
    lines = [title]
    for gives, group in groupby(rows, key=lambda row: row[1]):
        same = list(group)
        for place, (name, _, does) in enumerate(same):
            one, first, last = len(same) == 1, place == 0, place == len(same) - 1
            joint = "─── " + gives if one else "─┬─ " + gives if first else "─┘" if last else "─┤"
            lines.append(f"  {name.ljust(24, '─')}{joint.ljust(20)}{does}".rstrip())
    return "\n".join(lines)


def page(text: str) -> str:
    """:param text: of the page as it is; :returns: as it has to be."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    tables = (drawn("a host that is dead", hosts()), drawn("one of its servers", servers()))
    return before + BEGIN + "```\n" + "\n\n".join(tables) + "\n```\n" + END + after


def pages() -> dict[Path, str]:
    return {PAGE: page(PAGE.read_text())}
