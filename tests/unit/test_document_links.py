# SPDX-License-Identifier: Apache-2.0
"""What the documents name is there: files of the repository, pages and their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FILE = re.compile(r"`((?:src|tests|docs|bench|generators|ocf_meta|packaging|agents|fence)/[\w./-]*\w)[`: ]")
CODE = re.compile(r"^```.*?^```$", re.M | re.S)


def anchors(page: Path) -> Iterator[str]:
    """The headings as GitHub links to them."""
    for heading in re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.M):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        there = (page.parent / target) if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_exists(page: Path) -> None:
    """But not in the changelog, which tells of what was."""
    named = FILE.findall(page.read_text()) if page.name != "CHANGELOG.md" else []
    assert [name for name in named if not (ROOT / name).exists()] == []
