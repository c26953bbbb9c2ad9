# SPDX-License-Identifier: Apache-2.0
"""What the repository cites is in the repository: facts by number in docs/facts.md, scenarios in docs/robustness.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from generators import robustness
from tests.breaks.table import BREAKS
from tests.sim.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "generators", "bench", "docs", "ocf_meta", "agents", "fence", "packaging")
SUFFIXES = ("", ".py", ".md", ".xml", ".cfg", ".toml", ".yaml", ".yml", ".spec")
FACTS = ROOT / "docs" / "facts.md"
NUMBER = r"[NPV][0-9]{1,2}"
CITED = re.compile(rf"\b(?:docs/)?facts\.md,? ({NUMBER}(?:(?:, | and ){NUMBER})*)")
BARE = re.compile(rf"(?<![\w.%-]){NUMBER}(?![\w.%-]*\w)")
# Folders and files of those who wrote it: nobody else has them.
OUTSIDE = re.compile(r"\.\./shared|\b(?:FACTS|SCENARIOS|DESIGN|STYLE)\b(?:\.md|'| [A-Z]?[0-9]| section)")


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the repository but this test: name and text."""
    paths = [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    for path in paths:
        if path.is_file() and path.suffix in SUFFIXES and path != Path(__file__):
            yield str(path.relative_to(ROOT)), path.read_text()


def rows() -> list[str]:
    return re.findall(rf"^\| ({NUMBER}) \|", FACTS.read_text(), re.M)


def test_every_fact_has_one_number() -> None:
    assert len(rows()) == len(set(rows()))
    assert [row for row in FACTS.read_text().splitlines() if row.startswith("| ") and row.count(" | ") != 2] == []


def test_every_fact_that_is_cited_is_on_the_page() -> None:
    known = set(rows())
    for name, text in texts():
        cited = {number for found in CITED.findall(text) for number in re.findall(NUMBER, found)}
        assert (name, cited - known) == (name, set())


def test_no_fact_is_cited_by_its_number_alone() -> None:
    """A reader of "(N16)" would not know where to look."""
    for name, text in texts():
        if not name.endswith(".py"):
            continue
        left = CITED.sub("", text)
        assert (name, BARE.findall(left)) == (name, [])


def test_every_scenario_that_is_cited_has_its_row() -> None:
    cited = set(robustness.shown()).union(*(robustness.named(it.rows) for it in (*BREAKS, *MUTANTS)))
    assert sorted(cited - set(robustness.scenarios())) == []


def test_nothing_cites_a_file_outside_of_the_repository() -> None:
    assert [name for name, text in texts() if OUTSIDE.search(text)] == []
