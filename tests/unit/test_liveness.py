# SPDX-License-Identifier: Apache-2.0
"""C3, D3: what counts for a sign of life: a heartbeat, and no admin's change, before the claim, after it and on the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.bounds import HEARTBEAT_SKEW_S
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.host_case import LATE_BEAT_S
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server, Service
from muster.engine.liveness import STOPS_WITHIN_S, Liveness, Return
from muster.engine.memory import HostMemory

FENCED = 1_800_000_000
BEGAN = FENCED + 20.0
EVERY_S = 10.0
LATE_CALL_S = 60.0
UP = Service(id="u1", host="cmp1", up=True, updated_at=FENCED - 3.0)
DOWN = replace(UP, up=False, forced_down=True, enabled=False, disabled_reason="muster: x")
GONE = Node("cmp1", remote=True, fenced_at=FENCED)
FORGOTTEN = Node("cmp1", remote=True)
BACK = Node("cmp1", remote=True, member=True)
RETURNING = Record(Phase.RETURNING, FENCED, FENCED)


def liveness(phase: Phase, began_here: bool = True, fenced_again_after: int = 0) -> Liveness:
    """Of a host that this worker forces down when it begins to look, where it is not untouched."""
    it = Liveness(Record(Phase.FENCED, FENCED, FENCED))
    it.expect(EVERY_S, LATE_CALL_S)
    if began_here:
        it.observe_record(it.record, 0, BEGAN)
        it.observe_service(replace(UP, id="another"), BEGAN, BEGAN)
        it.claimed()
        it.force_down_sent(BEGAN)
    it.observe_record(Record(phase, FENCED, FENCED + fenced_again_after), 0, BEGAN)
    return it


def read(it: Liveness, *services: Service, first_at: float = BEGAN) -> Liveness:
    """The service as it is read one time after the other, an interval apart."""
    for number, service in enumerate(services):
        it.observe_service(service, first_at + number * EVERY_S, first_at + number * EVERY_S)
    return it


def beating(service: Service, *after_s: float) -> list[Service]:
    return [replace(service, updated_at=FENCED + at) for at in after_s]


@pytest.mark.parametrize(
    ("phase", "service"),
    [(Phase.FENCED, UP), (Phase.CONFIRMED, UP), (Phase.EVACUATING, DOWN)],
    ids=lambda x: str(x)[:16],
)
def test_what_beats_after_its_fencing_lives(phase: Phase, service: Service) -> None:
    assert read(liveness(phase), *beating(service, 7.0, 17.0)).heartbeat_after_fencing
    assert not read(liveness(phase), service, service).heartbeat_after_fencing


def test_what_was_seen_to_live_does_so_until_it_is_fenced_again() -> None:
    it = read(liveness(Phase.EVACUATING), *beating(DOWN, 7.0, 17.0, 17.0, 17.0))
    assert it.heartbeat_after_fencing
    it.fenced_again()
    assert not it.heartbeat_after_fencing
    assert it.baseline is None, "what it was before is compared with nothing"


@pytest.mark.parametrize("phase", [Phase.FENCED, Phase.EVACUATING])
def test_what_an_admin_changes_is_no_heartbeat(phase: Phase) -> None:
    before = UP if phase is Phase.FENCED else DOWN
    changed = replace(before, disabled_reason="theirs", updated_at=FENCED + 30.0)
    it = read(liveness(phase), before, changed)
    assert not it.heartbeat_after_fencing
    assert read(it, changed, replace(changed, updated_at=FENCED + 40.0)).heartbeat_after_fencing


@pytest.mark.parametrize("service", [UP, replace(DOWN, enabled=True), replace(DOWN, forced_down=False)])
def test_once_it_is_claimed_only_a_host_that_is_forced_down_and_disabled_is_watched(service: Service) -> None:
    """Its service is about to be changed by this worker."""
    assert not read(liveness(Phase.EVACUATING), *beating(service, 7.0, 17.0)).heartbeat_after_fencing


def test_a_heartbeat_of_before_the_fencing_says_nothing() -> None:
    """Nova's clock may be ahead, and what was written then is read late."""
    early = replace(UP, updated_at=FENCED + 1.0)
    assert not read(liveness(Phase.FENCED), UP, early).heartbeat_after_fencing


def test_nor_does_it_once_the_host_is_claimed() -> None:
    """C3: the first reading was older than the last heartbeat of a host that was let return and died again."""
    last = replace(DOWN, updated_at=FENCED + 1.0)
    it = Liveness(Record(Phase.FENCED, FENCED, FENCED))
    it.observe_record(it.record, 0, BEGAN)
    read(it, DOWN, last, DOWN, last)
    since = it.baseline_since
    it.claimed()
    it.observe_record(Record(Phase.EVACUATING, FENCED, FENCED), 0, BEGAN + 60.0)
    assert not read(it, last, last, first_at=BEGAN + 60.0).heartbeat_after_fencing
    assert since == BEGAN, "it has been looked for ever since"
    assert read(it, replace(DOWN, updated_at=FENCED + 70.0), first_at=BEGAN + 80.0).heartbeat_after_fencing


def test_nor_does_one_of_before_the_second_fencing() -> None:
    again = 100
    early, late = beating(DOWN, again + HEARTBEAT_SKEW_S, again + HEARTBEAT_SKEW_S + 1.0)
    it = liveness(Phase.EVACUATING, fenced_again_after=again)
    assert not read(it, DOWN, early, first_at=FENCED + 200.0).heartbeat_after_fencing
    assert read(it, late, first_at=FENCED + 220.0).heartbeat_after_fencing


def test_what_a_worker_does_itself_is_no_heartbeat() -> None:
    """B15: the force-down moves the same time."""
    it = read(liveness(Phase.EVACUATING), DOWN)
    it.force_down_sent(BEGAN + 10.0)
    assert it.forced_down_at == BEGAN, "the first one counts"
    assert not read(it, replace(DOWN, updated_at=FENCED + 30.0)).heartbeat_after_fencing


def test_a_force_down_that_was_lost_may_look_like_one() -> None:
    """Then only the next one is."""
    it = read(liveness(Phase.EVACUATING), DOWN)
    it.force_down_lost(BEGAN)
    assert it.force_down_late_until == BEGAN + LATE_CALL_S
    read(it, replace(DOWN, updated_at=FENCED + 50.0), first_at=BEGAN + 30.0)
    assert not it.heartbeat_after_fencing
    assert it.doubtful_until == BEGAN + 30.0 + HEARTBEAT_SKEW_S + EVERY_S + LATE_BEAT_S
    late = LATE_CALL_S + HEARTBEAT_SKEW_S + 21.0
    assert read(it, replace(DOWN, updated_at=FENCED + late), first_at=BEGAN + 90.0).heartbeat_after_fencing


@pytest.mark.parametrize("late_call_s", [LATE_CALL_S, EVERY_S / 2])
def test_until_it_is_known_which_it_was_nothing_is_sent(late_call_s: float) -> None:
    """C3, B15: a heartbeat that might have been the lost force-down ended the wait for the next one, and servers of a host
    that lived were sent.  Also where heartbeats come more seldom than calls are late, and none can have been missed."""
    it = read(liveness(Phase.EVACUATING), DOWN)
    it.expect(EVERY_S, late_call_s)
    it.force_down_lost(BEGAN)
    late = BEGAN + late_call_s
    read(it, replace(DOWN, updated_at=late - 1.0), first_at=late)
    assert it.doubtful_until > late
    assert it.wait_from == late


def test_who_takes_over_waits_for_heartbeats_anew() -> None:
    """C6: what the worker before had seen of them is lost with it, and its force-down may come late."""
    assert read(liveness(Phase.EVACUATING), DOWN).wait_from == 0.0
    it = read(liveness(Phase.EVACUATING, began_here=False), DOWN, first_at=BEGAN + 5.0)
    assert it.wait_from == BEGAN + 5.0
    assert it.force_down_late_until == BEGAN + 5.0 + LATE_CALL_S
    it.observe_record(it.record, 0, BEGAN + 40.0)
    assert it.wait_from == BEGAN + 5.0


def test_who_takes_over_waits_from_when_it_sees_that() -> None:
    """C6: before it has read anything."""
    assert liveness(Phase.EVACUATING, began_here=False).wait_from == BEGAN


@pytest.mark.parametrize(("gap_s", "waits"), [(EVERY_S - 0.1, False), (EVERY_S, True)])
def test_who_looks_an_interval_after_the_force_down_has_missed_a_heartbeat(gap_s: float, waits: bool) -> None:
    it = read(liveness(Phase.EVACUATING), DOWN, first_at=BEGAN + gap_s)
    assert bool(it.wait_from) is waits


@pytest.mark.parametrize(("after_s", "waits"), [(HEARTBEAT_SKEW_S, False), (HEARTBEAT_SKEW_S + 0.1, True)])
def test_what_was_written_after_the_force_down_may_have_been_a_heartbeat(after_s: float, waits: bool) -> None:
    """C3: where the first look comes late, but within an interval, there may have been one already."""
    written = replace(DOWN, updated_at=BEGAN + after_s)
    it = read(liveness(Phase.EVACUATING), written, first_at=BEGAN + EVERY_S - 0.1)
    assert bool(it.wait_from) is waits
    again = liveness(Phase.EVACUATING)
    again.force_down_sent(BEGAN + 1.0)  # Nova had refused the first one
    assert read(again, written, first_at=BEGAN + EVERY_S - 0.1).wait_from == 0.0


def test_before_the_claim_it_is_known_for_how_long_nothing_was_to_be_seen() -> None:
    it = read(liveness(Phase.FENCED), UP)
    assert it.unchanged_for_s == 0.0
    assert read(it, UP, first_at=BEGAN + 9.0).unchanged_for_s == 9.0
    assert read(it, replace(UP, enabled=False), first_at=BEGAN + 11.0).unchanged_for_s == 0.0


def test_a_slow_answer_is_no_time_without_a_change() -> None:
    it = liveness(Phase.FENCED)
    it.observe_service(UP, BEGAN, BEGAN + 30.0)
    assert it.unchanged_for_s == 0.0


def test_what_pacemaker_found_running_is_not_forgotten_before_another_fencing() -> None:
    it = liveness(Phase.EVACUATING)
    it.observe_record(it.record, FENCED - 1, BEGAN)
    assert not it.found_running
    for found in (FENCED, 0):
        it.observe_record(it.record, found, BEGAN)
        assert it.found_running
    it.fenced_again()
    it.observe_record(RETURNING, FENCED + 9, BEGAN)
    assert not it.found_running, "it was let start"


def returning(*services: Service, node: Node = BACK) -> Return:
    it = Return()
    for number, service in enumerate(services):
        it.observe_service(node, service, False, BEGAN + number, BEGAN + number)
    return it


def test_only_a_heartbeat_of_a_host_that_has_joined_is_a_return() -> None:
    beats = beating(DOWN, 60.0, 70.0, 80.0)
    assert not returning(*beats, node=GONE).compute_restarted
    assert not returning(beats[0]).compute_restarted, "one reading shows no change"
    it = returning(*beats)
    assert it.compute_restarted
    assert it.first_beat_at == BEGAN + 1.0


def test_rows_that_nova_compute_has_completed_show_its_start_and_no_heartbeat() -> None:
    it = returning(DOWN)
    it.observe_service(BACK, DOWN, True, BEGAN + 5.0, BEGAN + 5.0)
    assert (it.compute_restarted, it.first_beat_at) == (True, 0.0)


def test_an_admins_change_is_no_return() -> None:
    assert not returning(DOWN, replace(DOWN, enabled=True, updated_at=FENCED + 90.0)).compute_restarted


def test_what_was_stopped_has_to_show_itself_anew() -> None:
    it = returning(*beating(DOWN, 60.0, 70.0))
    it.compute_stopped(BEGAN + 30.0)
    assert (it.compute_restarted, it.first_beat_at, it.baseline) == (False, 0.0, None)
    it.compute_stopped(BEGAN + 60.0)
    assert (it.compute_stopped_at, it.compute_stops) == (BEGAN + 60.0, 2)


def test_what_beats_while_it_is_stopped_has_not_started_anew() -> None:
    """D9: from Nova 33 on it beats for minutes after it was told to stop, and what a start had completed stays so."""
    held = replace(BACK, hold=True)
    it = returning(*beating(DOWN, 60.0, 70.0))
    it.compute_stopped(BEGAN + 72.0)
    for after_s in (80.0, 90.0, 100.0):
        it.observe_service(held, *beating(DOWN, after_s), False, BEGAN + after_s, BEGAN + after_s)
        assert (it.compute_restarted, it.compute_stopped_at) == (False, BEGAN + after_s), "it has not stopped yet"
    it.observe_service(held, *beating(DOWN, 100.0), False, BEGAN + 110.0, BEGAN + 110.0)
    assert it.compute_stopped_at == BEGAN + 100.0
    it.observe_service(BACK, *beating(DOWN, 100.0), False, BEGAN + 116.0, BEGAN + 116.0)
    assert not it.compute_restarted
    it.observe_service(BACK, *beating(DOWN, 120.0), False, BEGAN + 120.0, BEGAN + 120.0)
    assert (it.compute_restarted, it.first_beat_at) == (True, BEGAN + 120.0)


def test_what_beats_longer_than_any_stop_takes_keeps_nothing_away() -> None:
    """D9: somebody has started it past the hold, and would have the host wait for ever."""
    it = returning(*beating(DOWN, 60.0, 70.0))
    it.compute_stopped(BEGAN)
    for after_s in (STOPS_WITHIN_S - 1.0, STOPS_WITHIN_S):
        it.observe_service(replace(BACK, hold=True), *beating(DOWN, after_s), False, BEGAN + after_s, BEGAN + after_s)
    assert it.compute_stopped_at == BEGAN + STOPS_WITHIN_S - 1.0


def test_rows_of_the_start_before_show_no_start_after_a_stop() -> None:
    """D9: where only Nova's refusal tells of a row, those that are listed are finished already."""
    it = HostMemory.begin(RETURNING, BEGAN, BEGAN)
    done = Evacuation("1", "a", "cmp1", EvacuationStatus.COMPLETED, "cmp2", FENCED + 9.0, FENCED + 50.0)
    it.inventory.evacuations.note([done], BEGAN, BEGAN, {})
    assert it.compute_finished_its_rows
    it.returning.compute_stopped(BEGAN + 30.0)
    it.observe_service(BACK, DOWN, BEGAN + 31.0, BEGAN + 31.0)
    assert not it.returning.compute_restarted


def test_it_was_back_once_it_has_joined_on_the_way() -> None:
    it = Return()
    it.observe_node(replace(RETURNING, phase=Phase.EVACUATING), BACK)
    assert not it.joined
    for node in (BACK, GONE):
        it.observe_node(RETURNING, node)
        assert it.joined


def test_it_is_released_as_long_as_the_record_of_this_worker_says_so() -> None:
    it = Return()
    it.record_swapped(RETURNING)
    assert it.released
    it.record_swapped(replace(RETURNING, phase=Phase.CLOSED))
    assert not it.released


def test_its_servers_are_kept_as_they_were_before_its_compute_could_change_them() -> None:
    """A7, D7."""
    it, before = Return(), {"a": Server("a", "cmp1", "active")}
    it.observe_servers(replace(RETURNING, phase=Phase.EVACUATING), BACK, before)
    assert it.servers_before is None
    it.observe_servers(RETURNING, FORGOTTEN, before)
    assert it.servers_before is None
    it.observe_servers(RETURNING, BACK, before)
    it.observe_servers(RETURNING, BACK, {})
    it.observe_servers(RETURNING, FORGOTTEN, {})
    assert it.servers_before == before
    it.observe_servers(RETURNING, GONE, {})
    assert it.servers_before is None


def test_a_host_that_is_away_is_known_to_have_been_silent() -> None:
    """A17: its fencing goes on proving that nothing runs there."""
    it = Return()
    beats = beating(DOWN, 60.0, 70.0)
    for asked, service in ((0.0, beats[0]), (10.0, beats[0]), (20.0, beats[1]), (30.0, beats[1]), (55.0, beats[1])):
        it.observe_service(GONE, service, False, BEGAN + asked, BEGAN + asked + 1.0)
        if asked == 10.0:
            assert it.unchanged_for_s == 9.0
        if asked == 20.0:
            assert it.unchanged_for_s == 0.0
    assert it.unchanged_for_s == 34.0, "from when the first answer was there, until the last one was asked for"


def test_a_refused_lift_counts_until_nova_compute_is_stopped_for_another_start() -> None:
    """D9."""
    it = Return()
    it.lift_refused(BEGAN)
    assert it.lift_refused_at == BEGAN
    it.compute_stopped(BEGAN + 1.0)
    assert it.lift_refused_at == 0.0
