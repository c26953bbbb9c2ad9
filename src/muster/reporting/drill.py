# SPDX-License-Identifier: Apache-2.0
"""A drill: one host is fenced on purpose.  What has to be true before it, and what it has shown.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from muster.core.cluster_facts import Cluster
from muster.core.decide import has_incident
from muster.core.findings import State, Verdict
from muster.core.nova_facts import Server
from muster.core.printable import counted
from muster.installation.checks.examination import Examined, Result
from muster.planning.plan import Outlook, Plan
from muster.reporting.history import Story

MARK = "muster_drill"
"""A server whose metadata says ``muster_drill=true`` may be stopped and started by a drill."""
NAMED = 5
"""So many servers are named; of the others the number is."""


@dataclass(frozen=True)
class Before:
    """All that the decision to begin depends on.

    :param examined: what ``muster doctor`` finds.
    :param hindrances: why muster would evacuate nothing at all.
    :param plan: of the host.
    :param unclean: nodes that have failed and are not fenced yet.
    :param alone: resources that run on the host, and on this host only.
    """

    examined: Sequence[Examined]
    hindrances: Sequence[str]
    plan: Plan
    cluster: Cluster
    unclean: Sequence[str] = ()
    alone: Sequence[str] = ()


@dataclass(frozen=True)
class Condition:
    """One thing that has to be true.

    :param objections: why it is not; none, and the drill may begin.
    :param fine: what is said where there is none.
    """

    name: str
    objections: tuple[str, ...]
    fine: str


def conditions(before: Before) -> list[Condition]:
    """Every condition, in the order in which an operator would mend them."""
    made = before.plan
    count = counted(len(made.turns), "server")
    named = (
        ("doctor", _doctor(before.examined), f"{counted(len(before.examined), 'check')}, no trouble"),
        ("incidents", _incidents(before), "no host has failed"),
        ("worker", before.hindrances, "muster runs and is not paused"),
        ("host", _host(before), f"{made.host.node} is in the cluster, and its nova-compute is up"),
        ("other resources", _alone(before), "Pacemaker runs nothing on the host that must move"),
        ("servers", _servers(made), f"{count}, each with {MARK}=true"),
        ("plan", _plan(made), f"{count} would be evacuated, in {counted(made.waves, 'wave')}"),
    )
    return [Condition(name, tuple(found), fine) for name, found, fine in named]


def _doctor(examined: Sequence[Examined]) -> Iterator[str]:
    for check in examined:
        for finding in check.findings:
            if finding.result in (Result.TROUBLE, Result.UNKNOWN):
                yield f"{check.name}: {finding.what}. See: muster doctor"


def _incidents(before: Before) -> Iterator[str]:
    for node in sorted(before.cluster.nodes.values(), key=lambda node: node.name):
        if has_incident(node):
            yield f"{node.name} has an incident: muster status {node.name}"
    for name in before.unclean:
        yield f"{name} has failed, and Pacemaker has not fenced it yet: pcs status"


def _host(before: Before) -> Iterator[str]:
    made = before.plan
    node = before.cluster.nodes.get(made.host.node)
    if made.host.ignored or made.blocked:
        yield made.blocked or "host_map excludes it"
    if node and not node.remote:
        yield f"{node.name} is a member of the cluster itself: a drill fences only compute hosts"
    elif node and not node.member:
        yield f"{node.name} is not in the cluster: pcs status"
    service = made.host.service
    if service and not service.up:
        yield "its nova-compute is down: openstack compute service list --long"
    if service and not service.enabled:
        yield "its nova-compute is disabled: openstack compute service list --long"


def _alone(before: Before) -> Iterator[str]:
    for name in before.alone:
        yield f"{name} runs there, and Pacemaker would stop it: pcs status"


def _servers(made: Plan) -> Iterator[str]:
    if not made.turns and not made.blocked:
        yield f"there is no server on {made.host.name}, so the drill would show nothing"
    foreign = [turn.server for turn in made.turns if not is_marked(turn.server)]
    for server in foreign[:NAMED]:
        yield (
            f"{server.name or server.id} is not marked for drills. If it may be stopped and started:"
            f" openstack server set --property {MARK}=true {server.id}"
        )
    if len(foreign) > NAMED:
        yield f"{len(foreign) - NAMED} more are not marked: muster plan {made.host.name}"


def is_marked(server: Server) -> bool:
    """By its owner or an operator; in its metadata only, for a flavor is shared by many."""
    return server.metadata.get(MARK, "").strip().lower() == "true"


def _plan(made: Plan) -> Iterator[str]:
    others = [turn for turn in made.turns if turn.outlook is not Outlook.EVACUATED]
    for turn in others[:NAMED]:
        yield f"{turn.server.name or turn.server.id} would not be evacuated for certain: {turn.reason}"
    if len(others) > NAMED:
        yield f"{len(others) - NAMED} more would not be: muster plan {made.host.name}"


# ------------------------------------------------------------------- afterwards


@dataclass(frozen=True)
class Link:
    """One link of the chain; ``at`` is None where nobody knows when it was."""

    name: str
    at: Optional[float]


def links(story: Story, asked_at: float) -> list[Link]:
    """From the order to fence to the host's return."""
    began = [server.began for server in story.servers if server.began]
    proved = [
        change.at for server in story.servers for change in server.changes if change.word == Verdict.EVACUATED.value
    ]
    return [
        Link("drill asked for the fencing", asked_at),
        Link("Pacemaker lost the host", story.lost),
        Link("fenced and recorded", story.fenced),
        Link("muster took over", story.first(State.FORCING_DOWN)),
        Link("first evacuation taken by Nova", min(began, default=None)),
        Link("last server proved", max(proved, default=None)),
        Link("host let return", story.first(State.RETURNING)),
        Link("host back in the cluster", story.first(State.CLOSED)),
    ]


def surprises(made: Plan, story: Story) -> list[str]:
    """Where the drill differs from what the plan had foretold; empty where it does not."""
    ended = {server.id: server for server in story.servers}
    found = []
    for turn in made.turns:
        server = ended.get(turn.server.id)
        name = turn.server.name or turn.server.id
        if server is None:
            found.append(f"{name}: the report does not know it")
        elif server.verdict != Verdict.EVACUATED.value:
            found.append(f"{name}: {server.verdict}, {server.reason}")
    foretold = {turn.server.id for turn in made.turns}
    found += [f"{s.name or s.id}: it was not on the host before" for s in story.servers if s.id not in foretold]
    if story.state != State.CLOSED.value:
        found.append(f"{made.host.node}: {story.state}, {story.reason}")
    return found
