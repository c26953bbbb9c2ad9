# SPDX-License-Identifier: Apache-2.0
"""Tables and words for people: colours on a terminal only, whole lines into a pipe, no name that steers a terminal."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from muster.core.printable import clean as clean  # where every command looks for it

PIPE_WIDTH = 400
STYLES = {
    "evacuated": "green",
    "settled": "green",
    "closed": "green",
    "returning": "green",
    "ok": "green",
    "ready": "green",
    "evacuating": "cyan",
    "forcing-down": "cyan",
    "fenced": "cyan",
    "queued": "",
    "parked": "yellow",
    "unknown": "yellow",
    "attention": "yellow",
    "room unknown": "yellow",
    "skipped": "dim",
    "gone": "dim",
    "left alone": "dim",
    "held": "bold red",
    "blocked": "bold red",
    "trouble": "bold red",
    "no room": "bold red",
    "not ready": "bold red",
}


def console(stderr: bool = False) -> Console:
    """Of the terminal's width; wide where there is none, so that nothing is cut for ``grep``."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def shell(argv: Sequence[str]) -> str:
    """A line that a shell reads as these words; what is not printable is written as an escape, which bash reads."""
    return " ".join(map(_quoted, argv))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_escaped(c) for c in word) + "'"


def _escaped(c: str) -> str:
    if c in "'\\":
        return "\\" + c
    return c if c.isprintable() else f"\\U{ord(c):08x}" if ord(c) > 0x7F else f"\\x{ord(c):02x}"


def confirmed(question: str, yes: bool) -> bool:
    """Asked on a terminal; without one nobody can answer, and scripts mean what they say."""
    if yes or not sys.stdin.isatty():
        return True
    try:
        answer = input(f"{clean(question)} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def styled(word: str) -> Text:
    """A verdict or a state in its colour."""
    return Text(clean(word), style=STYLES.get(word, ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], wide: Optional[str] = None) -> Table:
    """:param wide: the column that takes what room is left, and wraps."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, no_wrap=column != wide, ratio=1 if column == wide else None, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    return made


def cards(
    columns: Sequence[str], rows: Sequence[Sequence[object]], below: Iterable[Sequence[object]]
) -> RenderableType:
    """A table for a narrow screen.

    :param below: by row, the lines of what is long: they stand below it, over the whole width.
    """
    widths = [
        max(len(column), *(cell_len(cell.plain if isinstance(cell, Text) else clean(cell)) for cell in cells))
        for column, cells in zip(columns, zip(*rows))
    ]
    made: list[RenderableType] = [_line([Text(column, style="bold") for column in columns], widths)]
    for row, lines in zip(rows, below):
        made.append(_line([cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row], widths))
        made.append(Padding(Text("\n".join(map(clean, lines))), (0, 0, 0, 4), expand=False))
    return Group(*made)


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(overflow="fold")
    for cell, width in zip(cells, widths):
        line.append_text(cell).append(" " * (width - cell.cell_len + 2))
    line.rstrip()
    return line


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=2, sort_keys=False)
    sys.stdout.write("\n")


def age(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    seconds = max(0.0, seconds)
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // 86400)} d"


def clock(at: float) -> str:
    """The local time of day, with the date if it is not today's."""
    when = time.localtime(at)
    same_day = when[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", when)
