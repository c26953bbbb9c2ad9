# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md tells what bench/figures.json has."""

from __future__ import annotations

from generators import performance


def test_the_page_has_every_table() -> None:
    marked = {mark[1] for mark in performance.MARKS.findall(performance.PAGE.read_text())}
    assert marked == set(performance.TABLES)
