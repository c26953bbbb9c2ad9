# SPDX-License-Identifier: Apache-2.0
"""Which tests show each scenario, the last column of docs/robustness.md, and what the planted bugs are called.

A test names its scenarios at the beginning of its docstring, ``C6, C8: what it shows``; for all tests of a module its
docstring may do so.  A planted bug or a break names those that it breaks.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.breaks.table import BREAKS
from tests.sim.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "robustness.md"
ROW = re.compile(r"^(\| ([A-E][0-9]+) \|.*\|)([^|]*)\|$", re.M)
PLANTED = re.compile(r"(<!-- planted -->\n).*?(<!-- /planted -->)", re.S)
BELIEFS = "What the simulated world believes of Nova and Pacemaker"
SPAN = re.compile(r"([A-E])([0-9]+)(?:(?: to |-)[A-E]([0-9]+))?")


def named(docstring: str) -> set[str]:
    """The scenarios before the first colon: ``A1, C9 to C12: ...``."""
    head = docstring.partition(":")[0].rstrip(".")
    if not re.fullmatch(r"[A-E0-9, toand-]+", head):
        return set()
    found = set()
    for letter, first, last in SPAN.findall(head):
        found |= {f"{letter}{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def tests_of(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Each test of a file with the scenarios it names."""
    tree = ast.parse(path.read_text())
    for item in ast.walk(tree):
        if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
            yield item.name, named(ast.get_docstring(item) or "")


def shown_by(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Each test of a file with the scenarios that it or the file's docstring names; first, called "", the file itself."""
    whole = named(ast.get_docstring(ast.parse(path.read_text())) or "")
    yield "", whole
    for name, own in tests_of(path):
        yield name, own | whole


def shown() -> dict[str, list[str]]:
    """By scenario: ``level: test, test``, in the order of the levels."""
    found: dict[str, dict[str, list[str]]] = {}
    for level in ("real", "cluster", "nova", "sim", "unit"):
        for path in sorted((TESTS / level).glob("test_*.py")):
            tests = list(tests_of(path))
            whole = named(ast.get_docstring(ast.parse(path.read_text())) or "")
            for scenario in sorted(whole | set().union(*(names for _, names in tests))):
                own = [f"`{name}`" for name, names in tests if scenario in names]
                here = own or ([f"`{path.parent.name}/{path.name}`"] if scenario in whole else [])
                found.setdefault(scenario, {}).setdefault(level, []).extend(here)
    return {
        scenario: [f"{level}: {', '.join(names)}" for level, names in levels.items()]
        for scenario, levels in found.items()
    }


def put_in(scenario: str) -> list[str]:
    """What was broken on purpose: ``planted: bug, bug``, ``broken: what, what``."""
    planted = [mutant.name for mutant in MUTANTS if scenario in named(mutant.rows)]
    broken = [it.name for it in BREAKS if scenario in named(it.rows)]
    return [f"{how}: {', '.join(names)}" for how, names in (("planted", planted), ("broken", broken)) if names]


def planted() -> str:
    return textwrap.fill(f"{'; '.join(mutant.name for mutant in MUTANTS)}.", 120, break_long_words=False)


def page() -> str:
    """The page with all of this as it should be."""
    tests = shown()
    text = ROW.sub(lambda row: f"{row[1]} {'; '.join([*tests.get(row[2], []), *put_in(row[2])])} |", PAGE.read_text())
    return PLANTED.sub(lambda at: f"{at[1]}{planted()}\n{at[2]}", text)


def scenarios() -> list[str]:
    return [row[2] for row in ROW.finditer(PAGE.read_text())]


def beliefs() -> list[list[str]]:
    """The rows about Nova and Pacemaker: what is believed, by whom, where that stands, what would notice."""
    begin, end = (PAGE.read_text().index(f"\n## {title}") for title in (BELIEFS, "Planted bugs"))
    rows = (line for line in PAGE.read_text()[begin:end].splitlines() if line.startswith("| "))
    cells = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]
    return [row for row in cells if set(row[0]) != {"-"} and row[0] != "it is believed that"]


def holds(place: str) -> bool:
    """``file.py`` or ``file.py name``, of muster or of the simulated world: it is there, and has something called so."""
    file, _, name = place.partition(" ")
    paths = [*(TESTS / "sim").rglob(file), *(ROOT / "src").rglob(file)]
    return any(not name or name in names_in(path) for path in paths)


def names_in(path: Path) -> set[str]:
    found = set()
    for item in ast.walk(ast.parse(path.read_text())):
        if isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            found.add(item.name)
        elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
    return found


def pages() -> dict[Path, str]:
    return {PAGE: page()}
