# SPDX-License-Identifier: Apache-2.0
"""What the operation history of a CIB tells: where something runs, when it was found, when a connection was lost."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from muster.gateways.pacemaker.attributes import Element
from muster.gateways.pacemaker.cib_xml import since

CONNECTED = ("start", "monitor", "migrate_from")
"""What succeeds for a remote's connection only where there is one; a stop does also after its loss."""


def connected(histories: Iterable[Element], fenced_at: int) -> bool:
    """A controller that is there has a remote's connection, by what was last done, and made it after the last fencing.

    What Pacemaker itself goes by (lib/pengine/unpack.c, determine_remote_online_status(), 2.1.5 to 3.0.2).  It asks
    ``in_ccm`` of members only, and 3.0 sets that to 0 for a remote that is up: remote_state_from_cib() in
    lib/cluster/membership.c reads a time as a boolean.  Times are compared, for a success from before the fencing stays
    in the history, and the write that sets ``node_fenced`` to 0 may be lost (controld_remote_ra.c, remote_node_up()).
    Call-ids count on each controller for itself.  False is "not known": what was just removed is empty.
    """
    return any(_holds(history, fenced_at) for history in histories if _is_member(history))


def _holds(history: Element, fenced_at: int) -> bool:
    operations = list(history.iterfind("lrm_rsc_op"))
    if any(op.get("op-status") == "-1" and op.get("interval") == "0" for op in operations):
        return False  # it has taken the place of what was done before: a start, that of the stop
    done = [op for op in operations if op.get("op-status") != "-1"]
    latest = max(map(_call_id, done), default=0)
    # A monitor that fails has the call-id of the success that stays beside it.
    last = [op for op in done if _call_id(op) == latest]
    made = all(op.get("operation") in CONNECTED and _succeeded(op) for op in last)
    return made and any(_changed(op) > fenced_at for op in last)


def _succeeded(operation: Element) -> bool:
    return operation.get("rc-code") == "0" and operation.get("op-status") == "0"


def _is_member(history: Element) -> bool:
    return any(since(state.get("in_ccm", "")) > 0 for state in history.iterancestors("node_state"))


def found_running(state: Element, held: set[str], kinds: tuple[str, ...]) -> int:
    """When a probe last found one of these active, or the node was able to stop it: after a fencing neither can be."""
    operations = (
        operation
        for resource in state.iterfind("lrm/lrm_resources/lrm_resource")
        if str(resource.get("id")).partition(":")[0] in held
        for operation in resource.iterfind("lrm_rsc_op[@interval='0'][@rc-code='0'][@op-status='0']")
        if operation.get("operation") in kinds
    )
    return max((since(operation.get("last-rc-change", "")) for operation in operations), default=0)


def lost_at(histories: Iterable[Element]) -> int:
    """When the monitor of a remote's connection last failed, on whichever controller held it; 0 if it came back since.

    Pacemaker forgets it when the remote joins again, and with the controller's own history.
    """
    operations = [operation for history in histories for operation in history.iterfind("lrm_rsc_op")]
    operations = [operation for operation in operations if operation.get("op-status") != "-1"]  # under way
    recurring = [operation for operation in operations if operation.get("interval") != "0"]
    lost = max((_changed(op) for op in recurring if op.get("rc-code") != "0"), default=0)
    joined = [operation for operation in operations if operation.get("operation") in CONNECTED]
    back = max((_changed(operation) for operation in joined if operation.get("rc-code") == "0"), default=0)
    return lost if lost >= back else 0


def _changed(operation: Element) -> int:
    return since(operation.get("last-rc-change", ""))


def active(cib: Element, resource: str) -> dict[str, int]:
    """Where the resource is active by its last known operation; one that is under way counts as active.  A member that
    is lost does not count.  What is said of a remote does until Pacemaker removes it, for ``in_ccm`` is not of remotes.

    :returns: since when: the time of its start there, or of a probe that has found it.
    """
    found = {}
    for state in cib.iterfind("status/node_state"):
        if since(state.get("in_ccm", "")) == 0 and state.get("remote_node") != "true":
            continue
        for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
            if history.get("id") != resource:
                continue
            operations = [op for op in history.iterfind("lrm_rsc_op") if not _is_probe_under_way(op)]
            pending = [op for op in operations if op.get("op-status") == "-1"]
            last = max(operations, key=_call_id, default=None)
            if any(op.get("operation") == "start" for op in pending) or (last is not None and not _is_stopped(last)):
                begins = (
                    _changed(op) for op in operations if op.get("interval") == "0" and op.get("operation") != "stop"
                )
                found[str(state.get("uname"))] = max(begins, default=0)
    return found


def unasked(cib: Element, resource: str) -> Iterator[str]:
    """Members that tell nothing of the resource: ``crm_resource --refresh`` has removed what they did, and until their
    probes are back it is not known to run, although it does."""
    for state in cib.iterfind("status/node_state"):
        up = all(value == "online" or since(value) for value in (state.get("in_ccm", ""), state.get("crmd", "")))
        if up and state.get("remote_node") != "true":
            histories = state.iterfind("lrm/lrm_resources/lrm_resource")
            operations = (op for it in histories if it.get("id") == resource for op in it.iterfind("lrm_rsc_op"))
            if all(_is_probe_under_way(op) for op in operations):
                yield str(state.get("uname"))


def alone_on(cib: Element, node: str) -> list[str]:
    """Resources that are active there and in no clone or bundle: Pacemaker would stop them, or start them elsewhere."""
    many = {
        str(primitive.get("id"))
        for kind in ("clone", "master", "bundle")
        for primitive in cib.iterfind(f"configuration/resources//{kind}//primitive")
    }
    names = {
        str(history.get("id"))
        for state in cib.iterfind("status/node_state")
        if state.get("uname") == node
        for history in state.iterfind("lrm/lrm_resources/lrm_resource")
    }
    return [name for name in sorted(names) if name.partition(":")[0] not in many and node in active(cib, name)]


def started(cib: Element, resource: str, members: Collection[str]) -> int:
    """When it was last started on one of these; 0 where only a probe has found it, as after a cleanup."""
    starts = (
        _changed(op)
        for state in cib.iterfind("status/node_state")
        if state.get("uname") in members
        for history in state.iterfind("lrm/lrm_resources/lrm_resource")
        if history.get("id") == resource
        for op in history.iterfind("lrm_rsc_op[@operation='start'][@rc-code='0']")
    )
    return max(starts, default=0)


def under_way(cib: Element) -> list[str]:
    """What Pacemaker is starting, stopping or moving now, in words."""
    return [
        f"{operation.get('operation')} of {history.get('id')} on {state.get('uname')}"
        for state in cib.iterfind("status/node_state")
        for history in state.iterfind("lrm/lrm_resources/lrm_resource")
        for operation in history.iterfind("lrm_rsc_op[@op-status='-1']")
        if operation.get("operation") != "monitor"
    ]


def _call_id(operation: Element) -> int:
    text = operation.get("call-id", "")
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else 0


def _is_probe_under_way(operation: Element) -> bool:
    return operation.get("operation") == "monitor" and operation.get("op-status") == "-1"


def _is_stopped(operation: Element) -> bool:
    code, status = operation.get("rc-code"), operation.get("op-status")
    if operation.get("operation") == "stop":
        return status == "0" and code == "0"
    # Computes do not have the agent, and Pacemaker probes them all the same.
    without_agent = code == "5" and operation.get("interval") == "0"
    return operation.get("operation") == "monitor" and (code == "7" or without_agent)
