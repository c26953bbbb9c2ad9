# SPDX-License-Identifier: Apache-2.0
"""C6: an incident is interrupted after every step of every decision, looked at again, and decided again.

Nothing is sent twice, the order of record, force-down, evacuate and release is kept, and the host is back in service at
the end.  Replayed by ``Interrupted(INCIDENT, STEP, way=WAY, verbose=True).play().story``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from tests.sim.interrupted import WAYS, Interrupted
from tests.sim.mutants import MUTANTS, planted


def _faults(incident: int, times: int = 1) -> Iterator[str]:
    """Whatever goes wrong where so many of its steps are interrupted, one after the other."""
    steps = Interrupted(incident).play().steps
    for at in combinations(range(1, steps + 1), times):
        for way in WAYS:
            it = Interrupted(incident, *at, way=way)
            try:
                it.play()
            except AssertionError as exc:
                it.judge.blame("end", str(exc).partition("\n")[0])
            if it.judge.violations:
                yield f"incident {incident}, step {at}, {way}: {'; '.join(it.judge.violations)}"


@pytest.mark.parametrize("incident", [2, 3, 5, 7])
def test_any_step_of_an_incident_may_be_its_workers_last(incident: int) -> None:
    assert list(_faults(incident)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 200, 20))
def test_any_step_of_200_incidents_may_be_its_workers_last(first: int) -> None:
    assert [fault for incident in range(first, first + 20) for fault in _faults(incident)] == []


@pytest.mark.slow
@pytest.mark.parametrize("incident", range(8))
def test_what_comes_after_an_interruption_may_be_interrupted_too(incident: int) -> None:
    assert list(_faults(incident, times=2)) == []


@pytest.mark.parametrize(
    ("bug", "incident"),
    [
        ("does not wait for an earlier worker's calls", 5),
        ("sends again while a call is pending", 2),
        ("believes that a lost call cannot be late", 2),
        ("does not force the service down", 0),
    ],
)
def test_a_planted_bug_shows_only_in_what_is_interrupted(bug: str, incident: int) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == bug)
    with planted(mutant):
        assert not Interrupted(incident).play().judge.violations
        assert next(_faults(incident), None)
