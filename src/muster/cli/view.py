# SPDX-License-Identifier: Apache-2.0
"""What ``status`` and ``watch`` show, put together from what Pacemaker knows and what the worker has shared.  Pure.

Every row of TO DO names its remedy: whoever reads it has never seen muster before, and it is three in the morning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Optional

from muster.cli.not_ready import not_ready
from muster.cli.remedies import Failed, Todo, of_failed, of_server, of_settled
from muster.core.cluster_facts import Cluster, Node, Phase
from muster.core.decide import has_incident
from muster.core.printable import counted
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, KnownCapacity, Readiness, Shared, SharedEvent, Summary
from muster.reporting.report import BUSY, PAUSED_BY
from muster.reporting.times import clock, duration

LEVELS = ("ok", "attention", "trouble")
SHARED_LATE_S = 120.0
"""The worker says when it shares its status again.  A pass that waits for Nova may take so much longer, and the clocks
of two controllers may differ."""
START_S = 5.0
"""A worker shares its status once its start is over; both times are of its controller's clock."""
RETURN_LATE_S = 900.0
LEFT_SHOWN = 3
WAITS_LATE_S = 900.0
"""A server that is down for longer than that is trouble, whatever it waits for."""

_STATE_OF_PHASE = {
    Phase.FENCED: "fenced",
    Phase.CONFIRMED: "fenced",
    Phase.EVACUATING: "evacuating",
    Phase.RETURNING: "returning",
    Phase.CLOSED: "closed",
}


@dataclass(frozen=True)
class Shown(Summary):
    """:param member: the host is back in the cluster."""

    member: bool = False


@dataclass(frozen=True)
class View:
    """:param level: "ok", "attention" or "trouble".
    :param worker: where the worker runs, in words.
    :param readiness: what the worker has found wrong before a host dies; None where nobody asks, or no worker looks.
    :param capacity: how many hosts may die, as far as the worker knows; None as for ``readiness``.
    :param failed: hosts that are not fenced yet.
    :param at: when the worker shared what is told of it; 0.0 if it has shared nothing.
    """

    level: str
    worker: str
    quorum: bool
    paused: str
    failed: tuple[str, ...] = ()
    incidents: tuple[Shown, ...] = ()
    todo: tuple[Todo, ...] = ()
    events: tuple[SharedEvent, ...] = ()
    readiness: Optional[Readiness] = None
    capacity: Optional[KnownCapacity] = None
    at: float = 0.0


@dataclass(frozen=True)
class Seen:
    """All that a view depends on.

    :param rivals: what else may evacuate here, by its id.
    :param under_way: what Pacemaker is doing now, in words.
    :param unlisted: remote nodes of which nobody has said whether they are computes.
    :param stayed_on: by compute, what to do about a power device that called it off and left it on.
    :param incidents_only: nobody asks whether muster is ready for the next one.
    """

    now: float
    cluster: Cluster
    resource: Resource
    failed: Sequence[Failed] = ()
    heard: Heard = field(default_factory=Heard)
    rivals: Sequence[str] = ()
    under_way: Sequence[str] = ()
    unlisted: Collection[str] = ()
    stayed_on: Mapping[str, str] = field(default_factory=dict)
    incidents_only: bool = False


def view(seen: Seen) -> View:
    incidents = tuple(_incidents(seen))
    todo = tuple(sorted(_todos(seen, incidents), key=lambda t: -LEVELS.index(t.level)))
    levels = [t.level for t in todo] + ["attention"] * bool(incidents)
    looked = bool(seen.resource.active_on) and not seen.incidents_only
    return View(
        level=max(levels, key=LEVELS.index, default="ok"),
        worker=_worker(seen),
        quorum=seen.cluster.quorum,
        paused=seen.resource.paused,
        incidents=incidents,
        todo=todo,
        events=seen.heard.shared.events,
        readiness=seen.heard.shared.readiness if looked else None,
        capacity=seen.heard.shared.capacity if looked else None,
        failed=tuple(it.node for it in seen.failed),
        at=seen.heard.shared.at,
    )


def _worker(seen: Seen) -> str:
    if seen.resource.active_on:
        return f"worker on {', '.join(seen.resource.active_on)}"
    return "no worker (disabled)" if seen.resource.disabled else "no worker"


def _incidents(seen: Seen) -> Iterator[Shown]:
    """What the worker says of each host on record; what it does not speak of, as the record has it."""
    said = {incident.node: incident for incident in seen.heard.shared.incidents}
    for node in seen.cluster.nodes.values():
        if not has_incident(node):
            continue
        first = node.record.first if node.record else node.fenced_at
        known = said.get(node.name)
        shown = known if known and known.fenced in (first, 0) else _from_record(node, seen)
        yield Shown(**{of.name: getattr(shown, of.name) for of in fields(Summary)}, member=node.member)


def _from_record(node: Node, seen: Seen) -> Summary:
    record = node.record
    running = bool(seen.resource.active_on)
    reason = _why_unsaid(seen, record.last if record else node.fenced_at) if running else "no worker is running"
    state = _STATE_OF_PHASE[record.phase] if record else "fenced"
    if record and record.lives:
        state, reason = "blocked", f"HOST LIVES: it was seen running after its fencing; {reason}"
    if node.unreadable_record:
        state, reason = "blocked", f"muster cannot read its record: {node.unreadable_record}"
    return Summary(node.name, state=state, reason=reason, fenced=record.first if record else node.fenced_at)


def _why_unsaid(seen: Seen, fenced: int) -> str:
    """:param fenced: when it was, for the last time."""
    if seen.heard.other:
        return "muster cannot read here what the worker reports"
    return "more waits than fits here" if _left_out(seen.heard.shared, fenced) else "the worker has not reported it yet"


def _left_out(shared: Shared, fenced: int) -> bool:
    """It may have known of it, and had no room to say so."""
    return shared.shortened and fenced < shared.at


def _todos(seen: Seen, incidents: Sequence[Shown]) -> Iterator[Todo]:
    yield from _of_cluster(seen, bool(incidents))
    for incident in incidents:
        yield from _of_incident(seen, incident)
    refused = {it.node for it in seen.failed}
    yield from (Todo("trouble", name, said) for name, said in seen.stayed_on.items() if name not in refused)
    yield from _of_what_is_left(seen)
    yield from _of_the_unlisted(seen)
    # In the middle of an incident nobody looks at anything else, neither the worker nor who reads this.
    if not seen.incidents_only and not any(it.state in BUSY for it in incidents):
        found = not_ready(seen.heard, seen.resource, seen.now, bool(seen.rivals), bool(_hindrance(seen)))
        yield from (Todo(*it) for it in found)
    for node in seen.cluster.nodes.values():
        if node.hold and not has_incident(node):
            yield Todo(
                "trouble",
                node.name,
                "muster-hold keeps nova-compute stopped, but the host has no record:"
                f" crm_attribute -t nodes -N {node.name} -n muster-hold -D",
            )


def _of_the_unlisted(seen: Seen) -> Iterator[Todo]:
    """Fenced remotes that may be computes which somebody forgot."""
    given = seen.resource.parameters.get("host_map", "")
    for node in seen.cluster.nodes.values():
        if node.name in seen.unlisted and node.fenced_at and not node.member and not has_incident(node):
            mapped = f"'{given};{node.name}:'" if given else f"{node.name}:"
            yield Todo(
                "attention",
                node.name,
                "was fenced, but muster evacuates nothing from it: muster's fence device does not list it. If it is a"
                f" compute: muster doctor. If not: pcs resource update {seen.resource.id} host_map={mapped}",
            )


def _of_what_is_left(seen: Seen) -> Iterator[Todo]:
    """Servers that nobody had seen to when their host returned: no record speaks of them any more."""
    for node in seen.cluster.nodes.values():
        if node.left and not has_incident(node):
            count = len(node.left.servers)
            were = "was" if count == 1 else "were"
            yield Todo(
                "attention",
                node.name,
                f"{counted(count, 'server')} {were} not seen to when the host returned, and may still be down:"
                f" {', '.join(node.left.servers[:LEFT_SHOWN])}{', ...' if count > LEFT_SHOWN else ''}."
                f" Remedies: muster report {node.name}. Once they are well: muster acknowledge {node.name}",
            )


def _of_cluster(seen: Seen, busy: bool) -> Iterator[Todo]:
    resource = seen.resource
    if not seen.cluster.quorum:
        yield Todo(
            "trouble",
            "quorum",
            f"{seen.cluster.local or 'this controller'} has no quorum: this page may be out of date, and muster changes"
            " nothing from here. See: pcs quorum status. On another controller: muster status",
        )
    yield from map(of_failed, seen.failed)
    if seen.rivals and not resource.disabled:
        yield Todo(
            "trouble",
            " and ".join(seen.rivals),
            "may also evacuate here: one server may come up on two hosts. See other evacuators in: muster doctor",
        )
    yield from _of_the_worker(seen, busy)


def _of_the_worker(seen: Seen, busy: bool) -> Iterator[Todo]:
    resource = seen.resource
    if len(resource.active_on) > 1:
        yield Todo(
            "trouble",
            resource.id,
            f"runs on {' and '.join(resource.active_on)} at once, so muster changes nothing. See: pcs status",
        )
    elif not resource.active_on:
        yield _no_worker(seen, busy)
    if resource.paused:
        yield Todo(
            "attention", resource.id, f"paused by {resource.paused}: muster changes nothing. To continue: muster resume"
        )
        return
    if seen.heard.shared.shortened:
        where = seen.heard.controller or "the worker's controller"
        yield Todo(
            "attention",
            resource.id,
            f"more waits than fits here. To see all, on {where}: {' ; '.join(_each_host(seen)) or 'muster status'}",
        )
    if seen.heard.other:
        what = f"muster cannot read here what the worker on {seen.heard.controller} shares: {seen.heard.other}"
        yield Todo("attention", resource.id, what)
    silent = _silence(seen)
    if silent:
        yield Todo("trouble", resource.id, silent)
    hindrance = _hindrance(seen)
    if resource.active_on and hindrance:
        level = "trouble" if busy else "attention"
        yield Todo(level, resource.id, f"{hindrance}. muster continues by itself when this is over")


def _each_host(seen: Seen) -> Iterator[str]:
    for node in seen.cluster.nodes.values():
        if has_incident(node):
            yield f"muster status {node.name}"


def _silence(seen: Seen) -> str:
    """That the worker should have been heard of, and since when it was not; empty for one that has nothing to say."""
    resource, due = seen.resource, _due(seen)
    heard = max(seen.heard.shared.at, resource.active_since)
    late = due and seen.now > max(due, resource.active_since) + SHARED_LATE_S
    if not late or len(resource.active_on) != 1 or not seen.cluster.quorum or seen.heard.other:
        return ""
    since = f" since {clock(heard)}, for {duration(seen.now - heard)}" if heard else ""
    if resource.unmanaged:
        remedy = f"Pacemaker restarts no resource that is unmanaged: pcs resource manage {resource.id}"
    else:
        remedy = f"If Pacemaker does not restart the worker within a minute: pcs resource restart {resource.id}"
    return f"the worker on {resource.active_on[0]} has reported nothing{since}: this page may be out of date. {remedy}"


def _due(seen: Seen) -> float:
    """When the worker was to be heard of next: as it said itself, or by a fencing of which it has said nothing."""
    shared = seen.heard.shared
    if 0 < shared.at < seen.resource.started_at - START_S:
        return seen.resource.started_at  # one before it has shared that
    due = [shared.at + shared.again_s] if shared.again_s else []
    if not _hindrance(seen):
        said = {incident.node: incident.fenced for incident in shared.incidents}
        records = {node.name: node.record for node in seen.cluster.nodes.values() if node.record and node.compute}
        unsaid = [record for name, record in records.items() if said.get(name) not in (record.first, 0)]
        due += [record.last for record in unsaid if not _left_out(shared, record.last)]
    return min(due, default=0.0)


def _hindrance(seen: Seen) -> str:
    """Why the worker changes nothing, as it shared it; but for a pause of whose end it has not heard yet."""
    told = seen.heard.shared.reason
    return "" if told.startswith(PAUSED_BY) else told


def _no_worker(seen: Seen, busy: bool) -> Todo:
    resource = seen.resource
    if resource.disabled and seen.rivals:
        others = " and ".join(seen.rivals)
        return Todo("attention", resource.id, f"is disabled, and {others} may evacuate. See: muster doctor")
    if resource.disabled:
        level = "trouble" if busy else "attention"
        return Todo(
            level, resource.id, f"is disabled: muster evacuates no host. To start it: pcs resource enable {resource.id}"
        )
    if resource.sought:
        where = " and ".join(resource.unasked)
        what = f"Pacemaker is finding out whether it runs on {where}. If that stays, see: pcs status --full"
        return Todo("trouble", resource.id, what)
    if resource.unmanaged:
        return Todo(
            "trouble", resource.id, f"is unmanaged and does not run. To start it: pcs resource manage {resource.id}"
        )
    if seen.failed:
        them = " and ".join(it.node for it in seen.failed)
        return Todo("trouble", resource.id, f"does not run. Pacemaker starts it after the fencing of {them}")
    why = "; ".join(f"on {node}: {reason}" for node, reason in sorted(resource.failures.items()))
    if why:
        remedy = f"Repair that, then pcs resource cleanup {resource.id}"
        return Todo("trouble", resource.id, f"runs on no controller ({why}). {remedy}")
    if seen.under_way:
        # Measured: while a remote that is off is being connected to, 30 s on each controller, nothing else is started.
        what = ", ".join(seen.under_way)
        return Todo("trouble", resource.id, f"does not run yet. Pacemaker starts it after: {what}")
    return Todo(
        "trouble", resource.id, f"runs on no controller. See pcs status, then: pcs resource debug-start {resource.id}"
    )


def _of_incident(seen: Seen, incident: Shown) -> Iterator[Todo]:
    node, state = incident.node, incident.state
    if state == "blocked":
        yield Todo("trouble", node, incident.reason)
    late = seen.now - incident.fenced > WAITS_LATE_S
    for server in incident.waiting:
        todo = of_server(server, _pacemakers(seen.cluster, server.dest), seen.now)
        if todo:
            yield replace(todo, level="trouble") if late and server.verdict in ("parked", "unknown") else todo
    held = incident.servers.get("held", 0)
    shown = sum(server.verdict == "held" for server in incident.waiting)
    if held > shown:
        yield Todo("trouble", node, f"also held: {counted(held - shown, 'server')}. To see all: muster status {node}")
    if state == "returning" and incident.member and seen.now - incident.fenced > RETURN_LATE_S:
        yield Todo("attention", node, f"{incident.reason}. On the host: systemctl status '*nova*compute*'")
    if state in ("settled", "returning") and not incident.member:
        yield of_settled(node, held, seen.resource)


def _pacemakers(cluster: Cluster, host: str) -> str:
    """Pacemaker's name of a host, where that is clear; empty where it is not."""
    found = [node for node in cluster.nodes if host and host.partition(".")[0] == node.partition(".")[0]]
    return host if host in cluster.nodes else found[0] if len(found) == 1 else ""
