# SPDX-License-Identifier: Apache-2.0
"""What is remembered of calls that were sent, and of what the action logs say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power
from muster.core.sight import Calls, Outcome, Sent, Tries
from muster.engine.calls import ActionLogs, SentCalls
from muster.engine.inventory import Evacuations

SINCE = 1_000.0
MOVE = Evacuation("1", "a", "cmp1", EvacuationStatus.ERROR, created=SINCE + 10.0)
LOG = ActionLog(Power.RUNNING)
TRACE = CallTrace("req-1", SINCE + 20.0)


def sent(outcome: Outcome, at: float = SINCE, evacuations_before: int = 0) -> Sent:
    return Sent(at, outcome, at + 60.0, evacuations_before)


def test_refusals_are_kept_whatever_is_sent_next() -> None:
    """B3."""
    it = SentCalls()
    for number, outcome in enumerate((Outcome.TAKEN, Outcome.REFUSED, Outcome.UNCERTAIN, Outcome.REFUSED)):
        it.evacuate_sent("a", sent(outcome, SINCE + number))
    assert it.evacuates["a"] == replace(sent(Outcome.REFUSED, SINCE + 3), refused=(SINCE + 1, SINCE + 3))


@pytest.mark.parametrize(
    ("outcome", "evacuations_before", "unseen"),
    [(Outcome.TAKEN, 1, True), (Outcome.UNCERTAIN, 1, True), (Outcome.REFUSED, 1, False), (Outcome.TAKEN, 0, False)],
)
def test_a_call_is_unseen_until_there_is_one_evacuation_more(
    outcome: Outcome, evacuations_before: int, unseen: bool
) -> None:
    """B1."""
    it, evacuations = SentCalls(), Evacuations()
    evacuations.note([MOVE], SINCE, SINCE, {})
    it.evacuate_sent("a", sent(outcome, evacuations_before=evacuations_before))
    assert bool(it.unseen(evacuations)) is unseen


FAILED = replace(MOVE, status=EvacuationStatus.FAILED, dest="cmp2")


@pytest.mark.parametrize(
    ("facts", "evacuations", "known", "found"),
    [
        ({}, [FAILED], [], "req-1"),
        ({"evacuations_before": 1}, [MOVE, FAILED], ["req-0"], "req-1"),
        ({"evacuations_before": 1}, [MOVE, FAILED], [], ""),
        ({}, [MOVE, FAILED], [], ""),
        ({}, [MOVE, FAILED], ["req-0"], ""),
        ({}, [FAILED], ["req-1"], ""),
        ({}, [MOVE], [], ""),
        ({}, [replace(FAILED, status=EvacuationStatus.ACCEPTED)], [], ""),
        ({"outcome": Outcome.UNCERTAIN}, [FAILED], [], ""),
    ],
    ids=[
        *("the only one", "the second", "the first is not known", "there is one more", "another hand's", "known"),
        *("no destination", "not ended", "no answer"),
    ],
)
def test_one_call_alone_is_asked_about_where_all_others_are_known(
    facts: dict[str, Any], evacuations: list[Evacuation], known: list[str], found: str
) -> None:
    """A17."""
    it = SentCalls()
    assert it.newest_call("a", evacuations, known) == ""
    it.evacuate_sent("a", replace(sent(Outcome.TAKEN), request_id="req-1", **facts))
    assert it.newest_call("a", evacuations, known) == found


def test_stops_and_resets_are_counted_each_by_itself() -> None:
    """A3, A4."""
    it = SentCalls()
    it.stop_sent("a", 1.0)
    it.stop_sent("a", 2.0)
    it.reset_sent("a", 3.0)
    assert (it.stops, it.resets) == ({"a": Tries(2.0, 2)}, {"a": Tries(3.0, 1)})


def test_a_log_that_could_be_read_ends_the_row_of_failures() -> None:
    """B4: and each is left alone for as long as it took."""
    it = ActionLogs()
    it.note_failure("a", 10.0, 15.0)
    it.note_failure("a", 30.0, 32.0)
    assert it.failures == {"a": Tries(34.0, 2)}
    it.note_action_log("a", LOG, SINCE)
    assert (it.failures, it.owners) == ({}, {"a": LOG})


@pytest.mark.parametrize(
    ("log", "queued"),
    [
        (LOG, {}),
        (replace(LOG, waits="start", waits_at=SINCE - 1.0), {}),
        (replace(LOG, waits="start", waits_at=SINCE), {"a": "start"}),
    ],
)
def test_what_waits_for_its_host_is_known_from_then_on(log: ActionLog, queued: dict[str, str]) -> None:
    """A3: not what was over before its host died."""
    it = ActionLogs()
    it.note_action_log("a", log, SINCE)
    it.note_action_log("a", LOG, SINCE)
    assert it.queued_start == queued


def test_what_waits_was_read_whatever_its_owner_asks_for_afterwards() -> None:
    """D10: once it has left its host nothing more begins to wait there."""
    it = ActionLogs()
    it.note_action_log("a", replace(LOG, read_at=30.0), SINCE)
    it.owner_asked("a")
    assert (it.owners, it.queue_read_at) == ({}, {"a": 30.0})


def test_what_its_owner_asks_for_outdates_what_was_known_of_his_wish() -> None:
    """A2."""
    it = ActionLogs()
    it.outdated("a")
    for forget, at_rest in ((it.outdated, {"a": Power.RUNNING}), (it.owner_asked, {})):
        it.note_at_rest("a", Power.RUNNING)
        it.note_action_log("a", LOG, SINCE)
        forget("a")
        assert (it.owners, it.wanted) == ({}, at_rest)


@pytest.mark.parametrize(("said", "at_rest"), [(Power.RUNNING, True), (Power.UNKNOWN, True), (Power.STOPPED, False)])
def test_what_was_seen_at_rest_is_no_wish_where_the_log_has_another(said: Power, at_rest: bool) -> None:
    """A2: also when the log is outdated itself."""
    it = ActionLogs()
    it.note_at_rest("a", Power.RUNNING)
    it.note_action_log("a", replace(LOG, wanted=said), SINCE)
    it.outdated("a")
    assert ("a" in it.wanted) is at_rest


def test_calls_are_asked_for_again_in_vain_as_long_as_no_evacuation_changes() -> None:
    """B19."""
    it = ActionLogs()
    for tries in (1, 2):
        it.calls_asked("a", SINCE, [MOVE])
        assert it.calls["a"] == Calls(SINCE, Calls.state_of([MOVE]), tries)
    it.calls_asked("a", SINCE, [replace(MOVE, status=EvacuationStatus.FAILED)])
    assert it.calls["a"].tries == 1


def test_what_is_over_is_not_read_again() -> None:
    """B19."""
    it, over = ActionLogs(), replace(TRACE, over=True)
    assert it.over("a") == {}
    it.calls_asked("a", SINCE, [MOVE])
    assert it.over("a") == {}
    it.note_calls("a", [over, replace(TRACE, request_id="req-2")], ["cmp2"])
    assert it.over("a") == {"req-1": over}
    assert it.calls["a"].claimed == ("cmp2",)


@pytest.mark.parametrize(("failed_at", "since"), [(0.0, SINCE), (SINCE - 500.0, SINCE - 501.0), (SINCE + 5.0, SINCE)])
def test_calls_are_read_from_the_first_on_that_failed(failed_at: float, since: float) -> None:
    """A17: an earlier incident may have left a guest."""
    it = ActionLogs()
    assert it.calls_since("a", SINCE) == SINCE
    it.note_action_log("a", replace(LOG, failed_at=failed_at), SINCE)
    assert it.calls_since("a", SINCE) == since


@pytest.mark.parametrize(("failed_at", "again"), [(0.0, False), (SINCE, False), (SINCE - 1.0, True)])
def test_calls_that_were_read_without_those_of_earlier_incidents_are_read_again(failed_at: float, again: bool) -> None:
    """A17: once, when that is first known."""
    it, log = ActionLogs(), replace(LOG, failed_at=failed_at)
    it.note_action_log("b", log, SINCE)
    for times in (again, False):
        it.calls_asked("a", SINCE, [MOVE])
        it.note_action_log("a", log, SINCE)
        assert (it.calls["a"].evacuations == frozenset()) is times
