# SPDX-License-Identifier: Apache-2.0
"""docs/robustness.md is true of the tests as they are."""

from __future__ import annotations

from tests import robustness


def test_every_scenario_has_a_test() -> None:
    shown = robustness.shown()
    assert [scenario for scenario in robustness.scenarios() if scenario not in shown] == []


def test_the_page_is_up_to_date() -> None:
    """``python -m tests.robustness`` writes it."""
    assert robustness.page() == robustness.PAGE.read_text()
