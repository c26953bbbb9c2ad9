# SPDX-License-Identifier: Apache-2.0
"""The commands that the documents print: lines that begin with ``# `` in blocks marked ``console``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


def commands(name: str) -> Iterator[str]:
    """Each command of a document in its order; a line that ends with a backslash goes on in the next one."""
    for block in BLOCK.findall((ROOT / name).read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("# "):
                yield " ".join(line[2:].split())
