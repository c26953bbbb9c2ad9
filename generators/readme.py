# SPDX-License-Identifier: Apache-2.0
"""The table of parameters in README.md."""

from __future__ import annotations

import re
from pathlib import Path

from muster import parameters

PAGE = Path(__file__).resolve().parents[1] / "README.md"
MARKS = re.compile(r"(<!-- parameters: ComputeRecovery -->\n).*?(<!-- end -->)", re.S)


def table() -> str:
    lines = ["| parameter | default | |", "| --- | --- | --- |"]
    for p in parameters.parameters("ComputeRecovery"):
        default = "**required**" if p.required else f"`{p.default}`" if p.default else ""
        bounds = f" ({p.minimum} to {p.maximum}{f' {p.unit}' if p.unit else ''})" if p.maximum is not None else ""
        lines.append(f"| `{p.name}` | {default} | {p.longdesc}{bounds} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    return {PAGE: MARKS.sub(lambda marks: marks[1] + table() + marks[2], PAGE.read_text())}
