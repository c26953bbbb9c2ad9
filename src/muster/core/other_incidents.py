# SPDX-License-Identifier: Apache-2.0
"""A server in two incidents: it left one dead host, and its new host has died since.  Pure.

What one incident may still move no other one sends (invariant 3): Nova's conductor takes any evacuation of a server
that is `accepted`, of whichever host (facts.md N32).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from muster.core.bounds import SKEW_S
from muster.core.cluster_facts import Node
from muster.core.findings import Finding
from muster.core.nova_facts import EvacuationStatus
from muster.core.server_case import ServerCase
from muster.core.server_rules import ServerStep, judge
from muster.core.sight import Sight

EARLIER_S = 86_400.0
"""So long ago an incident may have begun whose record cannot be read."""

Judged = tuple[Finding, Optional[ServerStep]]


def judge_all(
    cases: Mapping[str, Sequence[ServerCase]], nodes: Iterable[Node], named: Collection[str], sight: Sight
) -> dict[str, list[Judged]]:
    """By node, the finding of each of its servers.

    :param nodes: all that have an incident.
    :param named: those of them of which it is known which host of Nova's they are.
    """
    unread = {node.name: at for node in nodes if (at := _unread_since(node, named, sight))}
    others = _others(cases, unread) if len(cases) > 1 else None
    return {
        name: [_judged(others.told(name, case) if others else case) for case in of_host]
        for name, of_host in cases.items()
    }


def _judged(case: ServerCase) -> Judged:
    """Nova is asked about the calls that another incident waits for, whatever this one says of the server."""
    finding, step = judge(case)
    evacuation = case.unsettled if case.awaited_by and step is None else None
    asks = evacuation is not None and evacuation.status is EvacuationStatus.ACCEPTED and case.calls_due
    return finding, ServerStep.READ_CALLS if asks else step


@dataclass(frozen=True)
class _Others:
    """What other incidents have to do with the servers of one.

    :param open_from: by server id, the nodes whose incidents may still move it, and how, in words.
    :param on: by server id, the nodes on whose hosts it is.
    :param unread: by node, since when an incident may have moved servers of which nobody knows what it has under way,
        and until when these were created.
    """

    open_from: Mapping[str, Mapping[str, str]]
    on: Mapping[str, Sequence[str]]
    unread: Mapping[str, tuple[float, float]]

    def told(self, node: str, case: ServerCase) -> ServerCase:
        """The case with what the others say."""
        opened = self.open_from.get(case.server.id, {})
        elsewhere = {name: how for name, how in opened.items() if name != node} or self._unread(node, case)
        if elsewhere:
            name, how = min(elsewhere.items())
            return replace(case, open_from=name, open_how=how)
        waiting = [name for name in self.on.get(case.server.id, ()) if name != node] if opened else []
        return replace(case, awaited_by=waiting[0]) if waiting else case

    def _unread(self, node: str, case: ServerCase) -> dict[str, str]:
        """Whatever has moved it since a host died has started it anew (facts.md N44)."""
        created, launched_at = case.server.created, case.server.launched_at
        return {
            name: f"{name} died before the server came here, and muster cannot tell yet what is under way from there"
            for name, (began, until) in self.unread.items()
            if name != node and created <= until and launched_at >= began
        }


def _others(cases: Mapping[str, Sequence[ServerCase]], unread: Mapping[str, tuple[float, float]]) -> _Others:
    open_from: defaultdict[str, dict[str, str]] = defaultdict(dict)
    on: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(cases):
        for case in cases[name]:
            if case.may_still_be_moved:
                open_from[case.server.id][name] = _how(name, case)
            if case.server.host == case.source:
                on[case.server.id].append(name)
    return _Others(open_from, on, unread)


def _how(node: str, case: ServerCase) -> str:
    dest = case.unsettled.dest if case.unsettled else ""
    return f"its evacuation from {node} " + (f"to {dest} is not over" if dest else "may still begin")


def _unread_since(node: Node, named: Collection[str], sight: Sight) -> Optional[tuple[float, float]]:
    """None where it is known, or there is no incident."""
    host = sight.hosts.get(node.name)
    if host and node.name in named and host.first_listed_at and host.evacuations_at >= max(host.resumed_until, 1.0):
        return None
    if node.record is None:
        return (sight.now - EARLIER_S, sight.now) if node.unreadable_record else None
    began = min(float(node.record.first), sight.now)
    return began - SKEW_S, began
