# SPDX-License-Identifier: Apache-2.0
"""The judge notices every planted bug, within a bounded number of histories."""

from __future__ import annotations

import pytest

from tests.sim.mutants import LIMIT, MUTANTS, Mutant, hunt


@pytest.mark.parametrize(
    "mutant", [it for it in MUTANTS if it.scenario], ids=lambda mutant: mutant.name.replace(" ", "-")
)
def test_what_histories_seldom_meet_is_caught_where_it_has_to_show(mutant: Mutant) -> None:
    assert mutant.scenario is not None
    fair = mutant.scenario()
    assert not fair.judge.violations, "\n".join(fair.story)
    assert hunt(mutant) is not None


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    assert hunt(mutant) is not None, f"not caught in {LIMIT} histories"
