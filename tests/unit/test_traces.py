# SPDX-License-Identifier: Apache-2.0
"""A17, B19: what the events of an evacuate prove, by the frames that Nova writes down.

The frames are those of Nova 34, as the test bed shows them; the names are the same from Nova 23 on.
"""

from __future__ import annotations

from typing import Any, Optional

import pytest

from muster.core.nova_facts import CallTrace
from muster.gateways.nova.parsing import action_log, server, timestamp, trace

START, END = "2026-11-30T01:22:10.000000", "2026-11-30T01:22:14.000000"
COMPUTE = ("compute/utils.py decorated_function", "compute/manager.py decorated_function")
REBUILD = (*COMPUTE, "compute/manager.py rebuild_instance", "compute/manager.py _do_rebuild_instance_with_claim")
INSIDE = (*REBUILD, "compute/manager.py _do_rebuild_instance")
DRIVER = (*INSIDE, "compute/manager.py _rebuild_default_impl")
LIBVIRT = (*DRIVER, "virt/libvirt/driver.py spawn")
CONDUCTOR = ("conductor/manager.py rebuild_instance",)


def event(name: str, *frames: str, result: Optional[str] = "Error", code: str = "f()", **more: Any) -> dict[str, Any]:
    lines = [
        f'  File "/usr/lib/python3/dist-packages/nova/{at.split()[0]}", line 7, in {at.split()[1]}' for at in frames
    ]
    text = "".join(f"{line}\n    {code}\n" for line in lines)
    end = END if result else None
    return {"event": name, "start_time": START, "finish_time": end, "result": result, "traceback": text or None, **more}


def landed(*frames: str, **more: Any) -> CallTrace:
    scheduled = event("rebuild_server", result="Success", host="ctl1")
    return read(scheduled, event("compute_rebuild_instance", *frames, host="cmp2", **more))


def read(*events: dict[str, Any]) -> CallTrace:
    return trace({"action": "evacuate", "request_id": "req-1", "start_time": START, "events": list(events)})


@pytest.mark.parametrize(
    "frames",
    [
        (*REBUILD, "compute/resource_tracker.py rebuild_claim"),
        (*INSIDE, "compute/manager.py _validate_instance_group_policy"),
        (*INSIDE, "network/neutron.py setup_instance_network_on_host", "network/neutron.py _update_port_binding"),
        (*DRIVER, "compute/manager.py _prep_block_device"),
        (*LIBVIRT, "virt/libvirt/driver.py _create_image"),
        (*LIBVIRT, "virt/libvirt/driver.py _get_guest_xml"),
    ],
    ids=lambda frames: frames[-1].split()[1],
)
def test_a_failure_before_the_guest_was_started_is_harmless(frames: tuple[str, ...]) -> None:
    found = landed(*frames)
    assert (found.failed, found.over, found.harmless, found.met_guest, found.dest) == (True, True, True, False, "cmp2")


@pytest.mark.parametrize(
    "frames",
    [
        (),
        INSIDE,
        (*INSIDE, "compute/manager.py _update_instance_after_spawn"),
        (*INSIDE, "compute/manager.py stop_instance", "network/neutron.py get_instance_nw_info"),
        LIBVIRT,
        (*LIBVIRT, "virt/libvirt/driver.py _create_guest_with_network", "virt/libvirt/driver.py _get_guest_xml"),
        (*COMPUTE, "compute/manager.py rebuild_instance", "compute/resource_tracker.py finish_evacuation"),
        (*DRIVER, "virt/other/driver.py spawn"),
        (
            *LIBVIRT,
            "virt/libvirt/driver.py _register_undefined_instance_details",
            "virt/libvirt/blockinfo.py get_disk_info",
        ),
    ],
    ids=lambda frames: frames[-1].split()[1] if frames else "not shown",
)
def test_any_other_failure_may_have_left_a_guest(frames: tuple[str, ...]) -> None:
    found = landed(*frames)
    assert (found.failed, found.over, found.harmless) == (True, True, False)


def test_a_refused_claim_is_known_by_the_line_where_it_is_rolled_back() -> None:
    """B9: its own frames are lost there."""
    frames = (*COMPUTE, "compute/manager.py rebuild_instance", "compute/manager.py _error_out_instance_on_exception")
    assert landed(*frames, code="raise error.inner_exception").harmless
    assert not landed(*frames, code="yield").harmless


def test_a_guest_that_is_there_already_is_told_from_a_driver_that_cannot_say() -> None:
    met = landed(*INSIDE, "compute/manager.py _check_instance_exists")
    assert (met.met_guest, met.harmless) == (True, True)
    assert not landed(*INSIDE, "compute/manager.py _check_instance_exists", "virt/driver.py instance_exists").met_guest


@pytest.mark.parametrize(
    ("frames", "more", "at"),
    [
        (LIBVIRT, {}, True),
        ((*INSIDE, "compute/manager.py _update_instance_after_spawn"), {}, True),
        ((*LIBVIRT, "virt/libvirt/driver.py _create_image"), {}, False),
        (INSIDE, {}, False),
        ((*COMPUTE, "compute/manager.py _build_and_run_instance", "virt/libvirt/driver.py spawn"), {}, False),
        ((), {}, False),
        (LIBVIRT, {"created": "yesterday"}, False),
        (LIBVIRT, {"created": None}, False),
    ],
    ids=[
        *("in its driver", "after it", "before the domain", "nobody knows", "no rebuild", "shown to admins only"),
        *("no time", "without a time"),
    ],
)
def test_the_fault_of_a_server_tells_only_that_its_guest_may_have_been_started(
    frames: tuple[str, ...], more: dict[str, Any], at: bool
) -> None:
    """A17: that its guest was not, only the call proves."""
    fault = {"message": "boom", "code": 500, "created": END, "details": event("", *frames)["traceback"], **more}
    row = {"id": "s1", "status": "ERROR", "OS-EXT-STS:vm_state": "error", "fault": fault}
    assert server(row).spawn_failed_at == (timestamp(END) if at else 0.0)


def test_what_has_not_ended_proves_nothing() -> None:
    """A nova-compute or a conductor that was killed has begun, and writes no end."""
    found = landed(result=None)
    assert (found.failed, found.over, found.harmless, found.landed > 0) == (False, False, False, True)
    assert not read(event("rebuild_server", result=None)).over
    assert not read().over


def test_what_was_handed_to_the_bus_is_not_over() -> None:
    """It may wait for its destination."""
    assert not read(event("rebuild_server", result="Success")).over


@pytest.mark.parametrize(
    ("frames", "over"),
    [
        ((*CONDUCTOR, "network/neutron.py get_requested_resource_for_instance"), True),
        ((*CONDUCTOR, "scheduler/rpcapi.py select_destinations"), True),
        ((*CONDUCTOR, "compute/rpcapi.py rebuild_instance"), False),
        ((), False),
    ],
    ids=["Neutron", "scheduler", "message that may have been sent", "not shown"],
)
def test_a_call_that_died_in_the_conductor_is_over_where_no_message_was_sent(
    frames: tuple[str, ...], over: bool
) -> None:
    found = read(event("rebuild_server", *frames, details="MessagingTimeout"))
    assert (found.over, found.failed, found.words) == (over, True, "MessagingTimeout")


def test_what_has_arrived_is_over() -> None:
    found = landed(result="Success")
    assert (found.over, found.failed, found.harmless) == (True, False, False)


@pytest.mark.parametrize(
    ("row", "waits"),
    [
        ({"action": "start"}, "start"),
        ({"action": "rescue", "updated_at": START}, "rescue"),
        ({"action": "start", "updated_at": END}, ""),
        ({"action": "start", "updated_at": START, "message": "Error"}, ""),
        ({"action": "stop", "updated_at": START}, ""),
    ],
    ids=["not shown when", "not begun", "begun", "failed", "no start"],
)
def test_a_start_that_no_nova_compute_has_begun_waits(row: dict[str, str], waits: str) -> None:
    """D10: every event moves the time of its action; also where another one came later."""
    later = {"action": "evacuate", "request_id": "req-2", "start_time": END, "updated_at": END}
    log = action_log([{"request_id": "req-1", "start_time": START, **row}, later])
    assert (log.waits, log.waits_at > 0, log.request_id) == (waits, bool(waits), "req-2")


@pytest.mark.parametrize(("message", "failed_at"), [(None, 0.0), ("Error", timestamp(START))])
def test_the_log_says_when_an_evacuate_was_asked_for_that_has_failed(message: Optional[str], failed_at: float) -> None:
    """A17: the first, whatever came after it."""
    first = {"action": "evacuate", "request_id": "req-1", "start_time": START, "message": message}
    assert action_log([first]).failed_at == failed_at
    assert action_log([{**first, "start_time": END, "message": None}, first]).failed_at == failed_at
