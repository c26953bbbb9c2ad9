# SPDX-License-Identifier: Apache-2.0
"""The file of what was measured: one list of runs for each section, and the machine they ran on."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("figures.json")
SCALE = FILE.with_name("scale.json")
"""Of bench.scale."""

Run = dict[str, Any]
Figures = dict[str, Any]


def read(file: Path = FILE) -> Figures:
    text = file.read_text() if file.exists() else ""
    return dict(json.loads(text or "{}"))


def keep(section: str, found: Sequence[Run]) -> None:
    """In place of what the section had; two runs may measure different sections at once."""
    with FILE.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        figures = {**read(), "machine": _machine(), section: list(found)}
        lines = [f" {json.dumps(key)}: {_rows(value)}" for key, value in sorted(figures.items())]
        file.truncate(0)
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def of(runs: Iterable[Run], subject: str, **same: Any) -> list[Run]:
    """The runs of one subject, as far as they are alike in the given fields."""
    return [r for r in runs if r["subject"] == subject and all(r[key] == value for key, value in same.items())]


def middle(values: Iterable[float]) -> float:
    return statistics.median(values)


def spread(values: Iterable[float], digits: int = 1) -> str:
    """``median (least to most)``; the one value where there is only one."""
    found = sorted(values)
    shown = f"{middle(found):.{digits}f}"
    return f"{shown} ({found[0]:.{digits}f} to {found[-1]:.{digits}f})" if len(found) > 1 else shown


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def _rows(value: Any) -> str:
    """One run a line, so that a change can be read."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"
