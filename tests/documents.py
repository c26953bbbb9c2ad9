# SPDX-License-Identifier: Apache-2.0
"""The commands that the documents print: lines that begin with ``# `` in blocks marked ``console``.

Those are for a controller of any cluster, and a test types each. What belongs to another machine or needs a repository
stands in blocks marked ``text`` or in the prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


def commands(name: str, under: str = "") -> Iterator[str]:
    """Each command of a document, or of its section with this heading, in its order; a line that ends with a backslash goes
    on in the next one.
    """
    text = (ROOT / name).read_text()
    if under:
        text = re.split(r"^## ", text.split(f"\n## {under}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("# "):
                yield " ".join(line[2:].split())
