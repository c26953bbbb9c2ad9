# SPDX-License-Identifier: Apache-2.0
"""Writes the generated part of README.md: ``python -m tests.readme``."""

from __future__ import annotations

import re
from pathlib import Path

from muster import meta

if __name__ == "__main__":
    path = Path(__file__).resolve().parents[1] / "README.md"
    table = meta.parameters_table("ComputeRecovery")
    marks = r"(<!-- parameters: ComputeRecovery -->\n).*?(<!-- end -->)"
    path.write_text(re.sub(marks, lambda found: found[1] + table + found[2], path.read_text(), flags=re.S))
