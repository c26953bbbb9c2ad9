# SPDX-License-Identifier: Apache-2.0
"""Verdicts by what a server is: its state, its task, its marks, its disks, and what its owner wants."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from muster.core.findings import Verdict
from muster.core.nova_facts import Power
from muster.core.server_rules import REFUSED_STATES, RESIZE_TASKS, RULES
from muster.core.sight import Outcome, Sent, Tries
from muster.reporting.report import REASON_LIMIT
from tests.fakes import settings
from tests.unit.server_cases import ACTIVE, NOW, case, evacuation, judged, verdict


def test_a_running_server_on_a_dead_host_is_ready_to_be_evacuated() -> None:
    """A1."""
    assert verdict(case()) == (Verdict.QUEUED, "ready", "evacuate")


def test_error_is_not_evacuated_before_its_owners_wish_is_known() -> None:
    """A3."""
    error = replace(ACTIVE, vm_state="error")
    assert verdict(case(error, wanted=Power.UNKNOWN)) == (Verdict.QUEUED, "owner-unread", "read-log")
    assert verdict(case(error, wanted=Power.UNKNOWN, log_read=True))[0] is Verdict.HELD
    assert verdict(case(error, wanted=Power.STOPPED))[2] == "evacuate"


def test_a_stopped_server_that_came_up_running_is_stopped_before_it_counts() -> None:
    """A2."""
    there = replace(ACTIVE, host="other", updated=NOW)
    assert verdict(case(there, evacuation("done", "other"), wanted=Power.STOPPED))[2] == "read-log"
    assert verdict(case(there, evacuation("done", "other"), wanted=Power.STOPPED, log_read=True)) == (
        Verdict.EVACUATING,
        "arrived-running-unwanted",
        "stop",
    )
    stopped = replace(there, vm_state="stopped")
    assert verdict(case(stopped, evacuation("done", "other"), wanted=Power.STOPPED))[0] is Verdict.EVACUATED


def test_a_stop_is_not_repeated_at_once() -> None:
    there = replace(ACTIVE, host="other", updated=NOW)
    again = case(there, evacuation("done", "other"), wanted=Power.STOPPED, stops=Tries(NOW - 1, 1), log_read=True)
    assert verdict(again) == (Verdict.EVACUATING, "arrived-running-unwanted", "")


@pytest.mark.parametrize(("read_after_s", "step"), [(1, "read-log"), (29, "read-log"), (30, "stop")])
def test_before_a_stop_is_repeated_its_owners_wish_is_read_again(read_after_s: int, step: str) -> None:
    """A2: the first one had its effect, unseen, and its owner started it; the second one stopped it."""
    there = replace(ACTIVE, host="other", updated=NOW)
    stops, read_at = Tries(NOW - 31, 1), NOW - 31 + read_after_s
    it = case(there, evacuation("done", "other"), wanted=Power.STOPPED, stops=stops, log_read=True, log_read_at=read_at)
    assert verdict(it)[2] == step


@pytest.mark.parametrize(
    ("vm_state", "expected"),
    [
        ("paused", Verdict.HELD),
        ("suspended", Verdict.HELD),
        ("rescued", Verdict.HELD),
        ("resized", Verdict.HELD),
        ("shelved", Verdict.HELD),
        ("building", Verdict.HELD),
        ("shelved_offloaded", Verdict.SKIPPED),
        ("soft-delete", Verdict.SKIPPED),
        ("something-new", Verdict.HELD),
        ("", Verdict.HELD),
    ],
)
def test_states_that_nova_refuses_are_never_touched(vm_state: str, expected: Verdict) -> None:
    """A4, A5."""
    found, _, step = verdict(case(replace(ACTIVE, vm_state=vm_state)))
    assert (found, step) == (expected, "")


def test_a_server_being_deleted_is_not_brought_back() -> None:
    """A6."""
    fresh = replace(ACTIVE, task_state="deleting", updated=NOW - 1)
    assert verdict(case(fresh)) == (Verdict.UNKNOWN, "being-deleted", "")
    assert verdict(case(replace(fresh, updated=NOW - 999)))[:2] == (Verdict.HELD, "delete-unfinished")
    assert verdict(case(replace(ACTIVE, deleted=True)))[0] is Verdict.GONE


def test_a_server_in_live_migration_is_held_because_it_may_run_on_the_target() -> None:
    """A7."""
    assert verdict(case(replace(ACTIVE, task_state="migrating")))[:2] == (Verdict.HELD, "migrating")


@pytest.mark.parametrize("task", ["powering-off", "rebooting", "image_snapshot"])
def test_other_tasks_do_not_keep_a_server_from_evacuation(task: str) -> None:
    """A7."""
    assert verdict(case(replace(ACTIVE, task_state=task)))[2] == "evacuate"


def test_image_backed_without_shared_storage_is_held_and_a_volume_goes() -> None:
    """A8."""
    local = settings(shared_storage="no")
    assert verdict(case(replace(ACTIVE, image="img"), policy=local))[:2] == (Verdict.HELD, "would-be-empty")
    assert verdict(case(replace(ACTIVE, image=None), policy=local))[0] is Verdict.HELD
    assert verdict(case(replace(ACTIVE, image=""), policy=local))[2] == "evacuate"


@pytest.mark.parametrize("place", ["metadata", "extra_specs", "image_properties"])
def test_the_tag_is_matched_by_its_exact_key_only(place: str) -> None:
    """A10."""
    out = replace(ACTIVE, **{place: {"evacuable": "false"}})
    assert verdict(case(out))[:2] == (Verdict.SKIPPED, "opted-out")
    alike = replace(ACTIVE, **{place: {"not_evacuable": "true"}})
    tagged = settings(evacuate="tagged")
    assert verdict(case(alike))[2] == "evacuate"
    assert verdict(case(alike, policy=tagged))[:2] == (Verdict.SKIPPED, "not-tagged")
    assert verdict(case(replace(ACTIVE, **{place: {"evacuable": "true"}}), policy=tagged))[2] == "evacuate"


def test_what_its_owner_deleted_is_gone_whatever_was_under_way() -> None:
    """A12."""
    deleted = replace(ACTIVE, deleted=True)
    for it in (case(deleted), case(deleted, evacuation("failed", "other")), case(deleted, evacuation("accepted"))):
        assert verdict(it) == (Verdict.GONE, "deleted", "")


def test_moved_by_another_hand_is_left_alone() -> None:
    """A13."""
    assert verdict(case(replace(ACTIVE, host="elsewhere")))[:2] == (Verdict.SKIPPED, "moved-by-hand")
    ours = Sent(NOW - 5, Outcome.TAKEN, quiet_until=NOW + 55, evacuations_before=0)
    assert verdict(case(replace(ACTIVE, host="elsewhere"), sent=ours))[:2] == (Verdict.EVACUATING, "call-pending")


def test_rule_names_are_unique_and_only_open_verdicts_have_steps() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(rule.verdict.open for rule in RULES if rule.step)


AMPHORA = "amphora-0f6a2c1e-7c0b-4a35-9a55-2d2e6f9f5a11"


@pytest.mark.parametrize(
    ("marks", "facts", "kept"),
    [
        (None, {"name": AMPHORA}, True),
        (None, {"name": "amphora-of-wine"}, False),
        ("none", {"name": AMPHORA}, False),
        ("tag=capi-*;keeper=magnum", {"tags": ("x", "capi-7")}, True),
        ("tag=capi-*;keeper=magnum", {"metadata": {"keeper": "magnum"}}, True),
        ("tag=capi-*;keeper=magnum", {"extra_specs": {"keeper": "magnum"}}, True),
        ("tag=capi-*;keeper=magnum", {"image_properties": {"keeper": "magnum"}}, True),
        ("tag=capi-*;keeper=magnum", {"metadata": {"not_keeper": "magnum", "tag": "kapi"}}, False),
        ("project=p1", {"project": "p1"}, True),
        ("project=p1", {"project": "p11"}, False),
    ],
)
def test_what_others_look_after_is_skipped_by_its_mark(marks: str | None, facts: dict[str, object], kept: bool) -> None:
    """A11."""
    policy = settings() if marks is None else settings(left_to_others=marks)
    found = verdict(case(replace(ACTIVE, **facts), policy=policy))  # type: ignore[arg-type]
    assert found[:2] == ((Verdict.SKIPPED, "other-keeper") if kept else (Verdict.QUEUED, "ready"))


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued"])
def test_a_state_that_nova_refuses_is_reset_only_where_the_operator_said_so(vm_state: str) -> None:
    """A4."""
    server = replace(ACTIVE, vm_state=vm_state)
    allowed = settings(reset_states=vm_state)
    others = settings(reset_states=",".join({"paused", "suspended", "rescued"} - {vm_state}))
    assert verdict(case(server, policy=allowed)) == (Verdict.QUEUED, "to-be-reset", "reset")
    assert verdict(case(server, policy=others)) == (Verdict.HELD, "state-refused", "")
    # Once is enough, until it should have shown; then again; and in the end a person has to look.
    assert verdict(case(server, policy=allowed, resets=Tries(NOW - 1, 1)))[1:] == ("to-be-reset", "")
    assert verdict(case(server, policy=allowed, resets=Tries(NOW - 31, 2)))[1:] == ("to-be-reset", "reset")
    assert verdict(case(server, policy=allowed, resets=Tries(NOW - 31, 3)))[:2] == (Verdict.HELD, "state-refused")


def test_no_state_is_reset_of_what_is_not_to_be_evacuated() -> None:
    policy = settings(reset_states="paused", shared_storage="no")
    paused = replace(ACTIVE, vm_state="paused", image="i1")
    assert verdict(case(paused, policy=policy))[1] == "would-be-empty"
    assert verdict(case(replace(paused, image="", metadata={"evacuable": "no"}), policy=policy))[0] is Verdict.SKIPPED
    assert verdict(case(replace(paused, image="", vm_state="resized"), policy=policy))[0] is Verdict.HELD


@pytest.mark.parametrize("task", RESIZE_TASKS)
def test_a_resize_under_way_is_left_to_a_person(task: str) -> None:
    """A18: its next message waits for the dead host, whatever becomes of the server."""
    resizing = replace(ACTIVE, task_state=task)
    finding, step = judged(case(resizing))
    assert (finding.verdict, finding.rule, step) == (Verdict.HELD, "resizing", "")
    assert "openstack server set --state active --auto-approve s1" in finding.reason
    assert verdict(case(resizing, retried_at=NOW - 1))[2] == ("evacuate" if task == "resize_prep" else "")


@pytest.mark.parametrize("task", ["spawning", "unshelving"])
def test_an_unshelve_that_was_interrupted_is_held(task: str) -> None:
    """A18."""
    shelved = replace(ACTIVE, vm_state="shelved_offloaded", task_state=task)
    assert verdict(case(shelved)) == (Verdict.HELD, "unshelving", "")
    assert "db-shelved" in judged(case(shelved))[0].reason


def test_no_reason_has_a_placeholder_where_the_servers_id_belongs() -> None:
    """What is said of a server is typed as it stands; and Nova's own words stay as they are."""
    states = [replace(ACTIVE, id="0af1", vm_state=state) for state in REFUSED_STATES]
    tasks = [replace(ACTIVE, id="0af1", task_state=task) for task in RESIZE_TASKS]
    unshelved = replace(ACTIVE, id="0af1", vm_state="shelved_offloaded", task_state="spawning")
    reasons = [judged(case(server))[0].reason for server in (*states, *tasks, unshelved)]
    back = case(replace(unshelved, known=False), back_at=NOW - 500)
    assert all("openstack" not in r or " 0af1" in r for r in (*reasons, judged(back)[0].reason))
    fault = replace(ACTIVE, host="other", vm_state="error", fault="Support ID 4711")
    reasons.append(judged(case(fault, evacuation("done", "other"), log_read=True))[0].reason)
    assert "Support ID 4711. See: openstack server show s1" in reasons[-1]
    assert not any(re.search(r"\b(ID|RESOURCE)\b|[{}]", reason) for reason in reasons[:-1])
    whole = [judged(case(replace(server, id="f" * 36)))[0].reason for server in (*states, *tasks, unshelved)]
    assert all(len(reason) <= REASON_LIMIT for reason in whole)
