# SPDX-License-Identifier: Apache-2.0
"""The end of a history: faults stop, time goes on, and everything has to come to rest, or to say truly why not."""

from __future__ import annotations

from collections.abc import Iterator

from muster.core.cluster_facts import Node, Phase
from muster.core.decide import Incident
from muster.core.findings import Finding, State, Verdict
from tests.sim.cloud_state import Odds
from tests.sim.inventory import OPEN
from tests.sim.parts import World

QUIET_S = 150.0
LIMIT_S = 3000.0
"""By then whatever has a bound has come to it: the longest are `stuck_after_s` and the pauses between tries."""
PLANNED_S = 7200.0
"""So much longer what is planned is waited for: by a clock that is an hour ahead an operator's word counts an hour late.
Somebody may say the same for ever."""


def run_to_the_end(world: World) -> None:
    """Let everything come to rest.  Invariant 8: it has come to an end then, or says truly why not."""
    calm(world)
    rest(world)
    for what in unfinished(world):
        world.judge.blame("8", what)


def calm(world: World) -> None:
    """Nothing goes wrong any more.  What is broken for good stays broken."""
    world.calm = True
    world.faults.calm()
    world.kill_at.clear()
    cloud = world.cloud
    cloud.odds = Odds()
    world.patience_s = 8.0
    cloud.silent_cells.clear()
    cloud.hung_cells.clear()
    cloud.garbled.clear()
    world.broken.clear()
    world.nova_down = world.policy_hides_hosts = False
    if world.site.paused:
        world.site.pause("")
    for host in cloud.computes.values():
        host.full = False
    world.say("calm")


def rest(world: World) -> None:
    """Until nothing changes any more and nothing is planned."""
    end = world.now + LIMIT_S
    last = end + PLANNED_S
    quiet_since, key = world.now, None
    while world.now < min(last, max(end, world.disturbed_until + QUIET_S)):
        world.run_for(10.0)
        now_key = world.note_state(world.current.incidents.values()) if world.current else None
        planned = any(
            (f.verdict is Verdict.PARKED and f.due > world.now)
            or (f.verdict is Verdict.EVACUATING and not f.alarm)
            # Asked for again and again, until it is given up; of a host that nothing is done for nothing is asked.
            or (f.rule in ("owner-unread", "arrived-unread", "failure-unread") and i.state is not State.BLOCKED)
            for i in (world.current.incidents.values() if world.current else ())
            for f in i.findings.values()
        )
        disturbed = world.now < world.disturbed_until
        if now_key != key or planned or disturbed or not world.current or not world.current.alive:
            quiet_since, key = world.now, now_key
        quiet_s = QUIET_S if any(n.record for n in world.site.nodes.values()) else 20.0
        if world.now - quiet_since > quiet_s:
            return
    world.say("cut off")
    _until_lull(world)


def _until_lull(world: World) -> None:
    """Not in the middle of a try: what is under way, and not for too long, is waited for."""
    end, key = world.now + QUIET_S, None
    while world.now < end:
        before, key = key, world.note_state(world.current.incidents.values()) if world.current else None
        incidents = world.current.incidents.values() if world.current else ()
        moving = any(f.verdict is Verdict.EVACUATING and not f.alarm for i in incidents for f in i.findings.values())
        if key == before and not moving:
            return
        world.run_for(10.0)


def unfinished(world: World) -> Iterator[str]:
    """One line for everything that has not ended as it should have."""
    incidents = world.current.incidents if world.current else {}
    for name, node in world.site.nodes.items():
        incident = incidents.get(name)
        if node.record and incident is None:
            yield f"{name} has the record {node.record.token}, and no incident is shown"
        if incident:
            yield from _unfinished_incident(world, node, incident)
        else:
            yield from _left_behind(world, name)


def _unfinished_incident(world: World, node: Node, incident: Incident) -> Iterator[str]:
    host = world.cloud.computes[node.name]
    told = f"{node.name} ends {incident.state.value} by {incident.rule}: {incident.reason}"
    if incident.state is State.BLOCKED:
        if not _true_hold(world, node, incident):
            yield f"{told}; untrue"
        return
    if node.record and node.record.phase is Phase.RETURNING:
        # Started by hand before its evacuations were done, it has to be started again: what is said is true.
        by_hand = node.name in world.lived_by_hand
        for finding in incident.findings.values():
            if finding.rule == "arrived-unread":
                yield f"{told}; {finding.server.id} is said to be asked for, and is not"
        if host.running and node.member and not host.broken and not by_hand:
            yield f"{told}, though its nova-compute runs"
        return
    stuck = [f for f in incident.findings.values() if f.verdict.open and _truly_stuck(world, f)]
    open_ones = [f for f in incident.findings.values() if f.verdict.open]
    for finding in open_ones:
        if finding not in stuck:
            yield f"{told}; {finding.server.id} is {finding.verdict.value} by {finding.rule} for no reason"
    if not stuck and not _inbound_stuck(world, node):
        yield f"{told}; nothing is in its way"


def _truly_stuck(world: World, finding: Finding) -> bool:
    """Nova will never end it, or there is no room for it."""
    cloud = world.cloud
    rows = [r for r in cloud.rows_of[finding.server.id] if cloud.row_alive(r)]
    if rows:
        queued = any(not h.running and h.queue for h in cloud.computes.values())
        undetected = any(not cloud.computes[r.dest].powered for r in rows if r.dest)
        # What an operator drops from a queue, as he is told to, may be an evacuation to that host.
        dropped = finding.rule == "not-begun" and world.faults.injected["operator empties a queue"]
        return any(r.stuck for r in rows) or queued or undetected or bool(dropped) or not cloud.conductor_up
    if any(
        r.stuck and r.status == "pre-migrating" and _unfenced(world, r.dest) for r in cloud.rows_of[finding.server.id]
    ):
        return True
    if finding.rule == "open-elsewhere" and any(r.status in OPEN for r in cloud.rows_of[finding.server.id]):
        return True  # nobody can tell whether it died with its destination, which is back; an operator ends that
    if finding.rule == "not-begun" and finding.server.id in cloud.withheld:
        return True  # only the action log tells that it never will
    if finding.rule == "on-the-way" and _known_limit(world, finding):
        return True
    if finding.rule == "on-the-way":
        return any(r.status == "pre-migrating" and _unfenced(world, r.dest) for r in cloud.rows_of[finding.server.id])
    if finding.verdict is Verdict.PARKED or finding.rule == "ready":
        # Where a rebuild failed that may have left a guest it is tried again, and nowhere else.
        failed = (r for r in cloud.rows_of[finding.server.id] if r.call and r.call.failed and not r.call.harmless)
        pinned = {r.dest for r in failed}
        return not any(
            h.enabled
            and h.up(world.now)
            and h.name != finding.source
            and h.cell == cloud.computes[finding.source].cell
            and (not pinned or h.name in pinned)
            for h in cloud.computes.values()
        )
    return False


def _known_limit(world: World, finding: Finding) -> bool:
    """A row that died with its destination, which is back since, or let back: a later worker cannot know that it is
    dead; nor where its clock is not the one by which that host's fencing was recorded."""
    if world.faults.injected["controller's clock set"]:
        return True
    rows = [r for r in world.cloud.rows_of[finding.server.id] if r.status == "pre-migrating"]
    return any(_let_back(world, r.dest) and r.life != world.cloud.computes[r.dest].life for r in rows)


def _let_back(world: World, name: str) -> bool:
    record = world.site.nodes[name].record
    return world.cloud.computes[name].running or (record is not None and record.phase is Phase.RETURNING)


def _unfenced(world: World, dest: str) -> bool:
    """The destination's own incident has not come so far that it proves anything, for a reason of its own."""
    incidents = world.current.incidents if world.current else {}
    return dest in incidents and incidents[dest].state is State.BLOCKED


def _inbound_stuck(world: World, node: Node) -> bool:
    incidents = world.current.incidents if world.current else {}
    return any(
        f.verdict.open and any(r.dest == node.name for r in world.cloud.rows_of[f.server.id])
        for i in incidents.values()
        if i.node != node.name
        for f in i.findings.values()
    )


def _true_hold(world: World, node: Node, incident: Incident) -> bool:
    if incident.rule in ("fencing-refuted", "found-running", "returns-running"):
        # Nova shows one time for heartbeats and for an admin's changes: after one that was taken back the safe side is
        # right.
        host = world.cloud.computes[node.name]
        if node.record and abs(node.record.last - world.site.fenced_at.get(node.name, 0.0)) > 5.0:
            return True  # recorded by a wrong clock, and who had seen it come died before it could date it anew
        if world.current and abs(world.current.clock.now() - world.now) > 5.0:
            return True  # the worker's own clock was wrong when it began: the safe side, until the incident is over
        if node.record and host.let_back_at > node.record.last:
            return True
        if node.confirmed_at and world.faults.injected["controller's clock set"]:
            return True  # an operator's word that was dated by a wrong clock
        return node.name in world.liars or node.name in world.lived_by_hand
    if incident.rule == "record-of-the-future" and world.current and node.record:
        return node.record.last > world.current.clock.now()
    if incident.rule == "too-many-failed":
        dead = sum(
            n.record is not None and n.record.phase not in (Phase.RETURNING, Phase.CLOSED)
            for n in world.site.nodes.values()
        )
        return dead > world.policy.max_failed_hosts.hosts(len(world.site.nodes)) and not node.standing_orders.approved
    return False


def _left_behind(world: World, name: str) -> Iterator[str]:
    """A host that is over or never was an incident: what muster did to its service is undone."""
    host = world.cloud.computes[name]
    if host.forced_down and host.forced_by == "muster":
        yield f"{name} is forced down by muster, and no incident is left"
    if not host.enabled and host.disabled_by == "muster":
        yield f"{name} is disabled by muster, and no incident is left"
    if world.site.nodes[name].hold:
        yield f"{name} is held, and no incident is left"
