# SPDX-License-Identifier: Apache-2.0
"""Tables and words for people: colours on a terminal only, whole lines into a pipe, no name that steers a terminal."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Union

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from muster.cli import commands
from muster.core.printable import clean as clean  # where every command looks for it

PIPE_WIDTH = 100_000
"""A row is a line for ``grep``, however long its reason is."""
GAP, BELOW = 2, 4
"""Between two columns, and in front of what stands below its row."""
WIDE_LEAST = 44
"""What wraps beside other columns has room for an id or a request id in one piece."""
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


def for_a_file(what: RenderableType) -> bytes:
    """As it would go into a pipe."""
    plain = Console(width=PIPE_WIDTH, highlight=False, markup=False, emoji=False)
    with plain.capture() as captured:
        plain.print(what)
    return captured.get().encode("utf-8", "backslashreplace")


def seconds(option: str, text: str, least: float, most: float) -> float:
    """:raises UsageError: for what is no number of seconds in these bounds."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        raise commands.UsageError(f"{option} {text!r}: use seconds from {least} to {most}")
    return found


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
    """:raises UsageError: where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        again = shell(["muster", *sys.argv[1:], "--yes"])
        raise commands.UsageError(f"no terminal to ask on: {clean(question)} If so: {again}")
    try:
        answer = input(f"{clean(question)} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def styled(word: str) -> Text:
    """A verdict or a state in its colour."""
    return Text(clean(word), style=STYLES.get(word, ""))


@dataclass(frozen=True)
class Cell:
    """:param shown: for people.
    :param value: the same for a program.
    """

    shown: Union[str, Text]
    value: object


@dataclass(frozen=True)
class Table:
    """Rows below a head.  On a narrow screen what does not fit stands below its row: nothing is cut, no word in two.

    :param wide: the last column, if it wraps.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    wide: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [[_text(cell) for cell in row] for row in self.rows]
        widths = [max(map(cell_len, (head, *(row[n].plain for row in rows)))) for n, head in enumerate(self.columns)]
        fit = self._fitting(widths, options.max_width)
        yield _line([Text(head, style="bold") for head in self.columns[:fit]], widths)
        for row in rows:
            if fit == len(row) and self.wide:
                indent = sum(widths[:-1]) + GAP * (fit - 1)
                first, *more = _wrapped(console, row[-1], options.max_width - indent)
                yield _line([*row[:-1], first], widths)
                yield from (_indented(line, indent) for line in more)
                continue
            yield from _wrapped(console, _line(row[:fit], widths), options.max_width)
            last = len(row) - self.wide
            short = [
                Text(f"{head}: ").append_text(cell)
                for head, cell in zip(self.columns[fit:last], row[fit:last])
                if cell.plain
            ]
            for below in (Text("  ").join(short), *(row[max(fit, last) :])):
                if below.plain:
                    yield from (_indented(it, BELOW) for it in _wrapped(console, below, options.max_width - BELOW))

    def _fitting(self, widths: Sequence[int], width: int) -> int:
        """How many columns stand beside each other."""
        needed = [*widths[:-1], min(widths[-1], WIDE_LEAST)] if self.wide else widths
        ends = [sum(needed[: n + 1]) + GAP * n for n in range(len(needed))]
        return max(1, sum(end <= width for end in ends))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], wide: Union[bool, str] = True) -> Table:
    """:param wide: the last column wraps; its name says so, too."""
    return Table(tuple(columns), tuple(map(tuple, rows)), bool(wide))


def _text(cell: object) -> Text:
    shown = cell.shown if isinstance(cell, Cell) else cell
    return shown if isinstance(shown, Text) else Text(clean(shown))


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True, overflow="ignore")
    for cell, width in zip(cells, widths):
        line.append_text(cell).append(" " * (width - cell.cell_len + GAP))
    line.rstrip()
    return line


def _wrapped(console: Console, text: Text, width: int) -> list[Text]:
    """By words; a word that is longer than a line is folded."""
    if text.cell_len <= width:
        return [text]
    lines = text.wrap(console, max(1, width), overflow="fold", no_wrap=False)
    for line in lines:
        line.rstrip()
        line.no_wrap, line.overflow = True, "ignore"
    return list(lines)


def _indented(line: Text, by: int) -> Text:
    return Text(" " * by, no_wrap=True, overflow="ignore").append_text(line)


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
