# SPDX-License-Identifier: Apache-2.0
"""docs/robustness.md is true of the tests as they are."""

from __future__ import annotations

import re

from generators import robustness


def test_every_scenario_has_a_test() -> None:
    shown = robustness.shown()
    assert [scenario for scenario in robustness.scenarios() if scenario not in shown] == []


def test_every_belief_has_its_four_cells_and_tests_and_places_that_exist() -> None:
    """A cell may say that nothing would notice; it may not name a test or a function that is gone."""
    tests = {name for path in robustness.TESTS.glob("*/test_*.py") for name, _ in robustness.tests_of(path) if name}
    beliefs = robustness.beliefs()
    assert [row for row in beliefs if len(row) != 4] == []
    for _, who, _, noticed in beliefs:
        places = [place for place in re.findall(r"`([a-z_]+\.py[^`]*)`", who) if not robustness.holds(place)]
        assert (who, places) == (who, [])
        assert [name for name in re.findall(r"`(test_\w+)`", noticed) if name not in tests] == []
        assert "`" in noticed or noticed.startswith("none")
