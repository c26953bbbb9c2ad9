# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md tells what bench/figures.json has."""

from __future__ import annotations

from bench import page


def test_tables_and_pictures_are_up_to_date() -> None:
    """``python -m bench.page`` writes them."""
    assert page.stale() == []


def test_the_page_has_every_table() -> None:
    marked = {mark[1] for mark in page.MARKS.findall(page.PAGE.read_text())}
    assert marked == set(page.TABLES)
