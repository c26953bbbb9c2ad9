# SPDX-License-Identifier: Apache-2.0
"""A table for programs: ``-f``, ``-c`` and ``--sort-column``, as the client of OpenStack has them.

Not by cliff, from which that client has them: it also brings an interactive shell and a loader of plug-ins.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from muster.cli import commands, terminal
from muster.cli.terminal import Cell, Table

Rows = list[list[object]]


def wanted(options: argparse.Namespace) -> bool:
    """Only the table is asked for."""
    return bool(options.format or options.column or options.sort_column)


def show(options: argparse.Namespace, table: Table) -> None:
    """:raises UsageError: for a column that the table does not have."""
    rows = list(table.rows)
    for name in reversed(options.sort_column):
        (column,) = _columns(table, [name])
        rows.sort(key=lambda row, n=column: _place(_value(row[n])))  # type: ignore[misc]
    chosen = sorted(_columns(table, options.column)) or range(len(table.columns))
    heads = tuple(table.columns[n] for n in chosen)
    rows = [tuple(row[n] for n in chosen) for row in rows]
    if options.format in (None, "table"):
        terminal.console().print(Table(heads, tuple(rows), table.wide and heads[-1] == table.columns[-1]))
    else:
        _WRITERS[options.format](heads, rows)


def _columns(table: Table, names: Sequence[str]) -> list[int]:
    heads = [head.lower() for head in table.columns]
    for name in names:
        if _same(name) not in heads:
            known = ", ".join(table.columns)
            raise commands.UsageError(f"the table has no column {name!r}. Its columns: {known}")
    return [heads.index(_same(name)) for name in names]


def _same(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ") if name != "-" else name


def _value(cell: object) -> object:
    if isinstance(cell, Cell):
        return cell.value
    return cell if isinstance(cell, (int, float)) or cell is None else str(cell)


def _place(value: object) -> tuple[int, float, str]:
    """Numbers by their size, before words."""
    return (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, _word(value))


def _word(value: object) -> str:
    """One word of csv or of a line of values."""
    if isinstance(value, Mapping):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return "" if value is None else terminal.clean(value)


def _objects(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[dict[str, object]]:
    return [dict(zip(heads, map(_value, row))) for row in rows]


def _json(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    terminal.print_json(_objects(heads, rows))


def _yaml(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    import yaml

    # By way of JSON, which knows plain values only.
    plain: Any = json.loads(json.dumps(_objects(heads, rows)))
    yaml.safe_dump(plain, sys.stdout, sort_keys=False, allow_unicode=True, default_flow_style=False)


def _csv(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        values = map(_value, row)
        writer.writerow([value if isinstance(value, (int, float)) else _word(value) for value in values])


def _values(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    for row in rows:
        print(" ".join(_word(_value(cell)) for cell in row))


_WRITERS: Mapping[str, Callable[[Sequence[str], Sequence[Sequence[object]]], None]] = {
    "json": _json,
    "yaml": _yaml,
    "csv": _csv,
    "value": _values,
}
