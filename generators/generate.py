# SPDX-License-Identifier: Apache-2.0
"""Writes every committed text that is made from something else in this tree, where it is out of date.

A generator is a module with ``pages()``: each of its files with the text that it has to have.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from types import ModuleType
from typing import Optional

from generators import (
    completion,
    man,
    nova_rights,
    performance,
    performance_scale,
    readme,
    robustness,
    rule_tables,
    situations,
)

ROOT = Path(__file__).resolve().parents[1]
GENERATORS: tuple[ModuleType, ...] = (
    completion,
    man,
    nova_rights,
    performance,
    performance_scale,
    readme,
    robustness,
    rule_tables,
    situations,
)


def outdated(pages: Mapping[Path, str]) -> dict[Path, str]:
    """The files that have another text, or are not there, with the new one."""
    return {path: text for path, text in pages.items() if _now(path) != text}


def difference(path: Path, text: str) -> str:
    """From the file as it is to ``text``, as ``diff -u`` has it."""
    name = str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)
    return "".join(unified_diff(_now(path).splitlines(True), text.splitlines(True), name, f"{name}, generated"))


def _now(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="./generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; show what is out of date, and exit with 1")
    check = parser.parse_args(argv).check
    stale = {path: text for one in GENERATORS for path, text in outdated(one.pages()).items()}
    for path, text in stale.items():
        if check:
            print(difference(path, text))
        else:
            path.write_text(text)
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}", file=sys.stderr)
    if check and stale:
        print("To write them: ./generate", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
