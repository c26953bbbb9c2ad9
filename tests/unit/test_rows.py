# SPDX-License-Identifier: Apache-2.0
"""docs/design.md draws the rule tables as they are."""

from __future__ import annotations

import re

from muster import incident, rules
from tests import rows


def test_the_page_is_up_to_date() -> None:
    """``python -m tests.rows`` writes it."""
    text = rows.PAGE.read_text()
    assert rows.page(text) == text


def test_every_row_is_drawn_in_its_order() -> None:
    text = rows.PAGE.read_text().split(rows.BEGIN)[1].split(rows.END)[0]
    names = re.findall(r"^  ([a-z-]+)─", text, re.M)
    assert names == [row.name for row in (*incident.RULES, *rules.RULES)]
