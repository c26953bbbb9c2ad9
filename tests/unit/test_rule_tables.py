# SPDX-License-Identifier: Apache-2.0
"""docs/design.md draws the rule tables as they are."""

from __future__ import annotations

import re

from generators import rule_tables
from muster.core import host_rules, server_rules


def test_every_row_is_drawn_in_its_order() -> None:
    text = rule_tables.PAGE.read_text().split(rule_tables.BEGIN)[1].split(rule_tables.END)[0]
    names = re.findall(r"^  ([a-z-]+)─", text, re.M)
    assert names == [row.name for row in (*host_rules.RULES, *server_rules.RULES)]
