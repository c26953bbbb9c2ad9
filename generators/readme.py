# SPDX-License-Identifier: Apache-2.0
"""The table of parameters in README.md."""

from __future__ import annotations

import re
from pathlib import Path

from muster import parameters

PAGE = Path(__file__).resolve().parents[1] / "README.md"
MARKS = re.compile(r"(<!-- parameters: ComputeRecovery -->\n).*?(<!-- end -->)", re.S)


def pages() -> dict[Path, str]:
    table = parameters.parameters_table("ComputeRecovery")
    return {PAGE: MARKS.sub(lambda marks: marks[1] + table + marks[2], PAGE.read_text())}
