# SPDX-License-Identifier: Apache-2.0
"""The record of a dead host: what can be written can be read, and what a second fencing makes of it."""

from __future__ import annotations

import pytest

from muster.core.cluster_facts import LATEST, Phase, Record


def test_a_time_that_no_calendar_has_is_not_read() -> None:
    """E3: asked of Nova it ended the worker, in every pass."""
    assert Record.parse(f"fenced:1:{LATEST}").last == LATEST
    with pytest.raises(ValueError, match="no time"):
        Record.parse("fenced:999999999999:999999999999")


@pytest.mark.parametrize("facts", [{"first": 0, "last": 1}, {"first": 2, "last": 1}])
def test_its_times_are_in_order(facts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="first fencing"):
        Record(Phase.FENCED, **facts)


def test_a_force_down_is_an_operators_or_musters() -> None:
    with pytest.raises(ValueError, match="not both"):
        Record(Phase.FENCED, 1, 1, kept=True, forced=True)


@pytest.mark.parametrize("mark", ["", ":kept", ":forced", ":lives", ":kept:lives", ":forced:lives"])
def test_its_marks_are_read_as_they_were_written(mark: str) -> None:
    assert Record.parse(f"evacuating:1:2{mark}").token == f"evacuating:1:2{mark}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("evacuating:10:20", "evacuating:10:30"),
        ("fenced:10:20:kept", "fenced:10:30:kept"),
        ("fenced:10:20:forced", "fenced:10:30:forced"),
        ("returning:10:20", "fenced:30:30:forced"),
        ("returning:10:20:kept", "fenced:30:30:kept"),
        ("closed:10:20:kept", "fenced:30:30"),
        ("evacuating:10:20:kept:lives", "evacuating:10:30:kept"),
    ],
)
def test_a_second_fencing_goes_on_or_begins_anew(before: str, after: str) -> None:
    """C14, D4, D6: and it is still known whose the force-down is."""
    assert Record.parse(before).fenced_again(30).token == after


@pytest.mark.parametrize("at", [5, 20])
@pytest.mark.parametrize("before", ["fenced:10:20", "evacuating:10:20", "evacuating:10:20:lives"])
def test_a_second_fencing_shows_whatever_clock_it_is_by(before: str, at: int) -> None:
    """C14, B25: the first one was dated by a clock that was ahead, and for the second nobody waited."""
    assert Record.parse(before).fenced_again(at).last == 21
    latest = Record(Phase.FENCED, 10, LATEST)
    assert latest.fenced_again(at) == latest, "there is no later one"
