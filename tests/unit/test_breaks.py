# SPDX-License-Identifier: Apache-2.0
"""The table of breaks fits the tree, leaves out no scenario, and a break that nobody notices is told."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from generators import robustness
from tests.breaks import tree
from tests.breaks.run import unnoticed
from tests.breaks.table import BREAKS, LEVELS, Break

EACH = pytest.mark.parametrize("it", BREAKS, ids=lambda it: it.name.replace(" ", "-"))
QUICK = "unit/test_naming.py::test_two_services_of_one_name_are_refused"


def test_every_scenario_has_been_broken() -> None:
    broken = {scenario for scenario in robustness.scenarios() if robustness.put_in(scenario)}
    assert [scenario for scenario in robustness.scenarios() if scenario not in broken] == []


def test_names_are_told_apart() -> None:
    names = [it.name for it in BREAKS]
    assert len(set(names)) == len(names)


@EACH
def test_still_fits_the_tree(it: Break) -> None:
    assert it.broken(tree.ROOT) != (tree.ROOT / it.file).read_text()


@EACH
def test_is_shown_by_tests_of_its_scenarios(it: Break) -> None:
    """Which exist, are of one level, and name the scenario that they show."""
    assert it.level in LEVELS
    assert {test.partition("/")[0] for test in it.tests} == {it.level}
    for test in it.tests:
        file, _, name = test.partition("::")
        named = dict(robustness.shown_by(robustness.TESTS / file))[name.partition("[")[0].rpartition("::")[2]]
        assert robustness.named(it.rows) & named


def test_a_stale_break_is_an_error() -> None:
    it = Break("B18", "x", "src/muster/core/naming.py", "if len(found) == 1:", "if found:", (QUICK,))
    for wrong in ({"old": "not there"}, {"old": "return"}, {"new": "if if"}):
        with pytest.raises(ValueError, match=r"stale|no Python"):
            replace(it, **wrong).broken(tree.ROOT)


def test_a_break_that_no_test_notices_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One that changes nothing."""
    it = Break("B18", "x", "src/muster/core/naming.py", "if len(found) == 1:", "if len(found) in (1,):", (QUICK,))
    assert unnoticed(it) == (f"pytest exit 0, not failed: {QUICK}", "")


def test_a_test_that_cannot_run_notices_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """What it imports is not there: that is no test of the behaviour."""
    it = Break(
        "B18", "x", "src/muster/core/naming.py", "facts import Service", "facts import Gone as Service", (QUICK,)
    )
    why, _ = unnoticed(it)
    assert why.endswith(f"not failed: {QUICK}")
    assert "exit 0" not in why


def test_what_runs_in_a_copy_is_the_copy(tmp_path: Path) -> None:
    """The agents, too, as Pacemaker starts them: from anywhere, without any environment."""
    root = tmp_path / "muster"
    tree.copy(root)
    for file, old, new in (
        ("src/muster/agents/ocf.py", 'USAGE = "usage', 'USAGE = "broken'),
        ("src/muster/agents/fence.py", "fence_muster: {' '", "fence_broken: {' '"),
        ("ocf_meta/parameters.xml", "</shortdesc>", " broken</shortdesc>"),
    ):
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))
    for words in (["ComputeRecovery", "usage"], ["fence_muster", "-o", "nothing"], ["ComputeRecovery", "meta-data"]):
        argv = [root / ".venv/bin" / words[0], *words[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, cwd="/", env={}, timeout=60, check=False)
        assert "broken" in done.stdout + done.stderr
