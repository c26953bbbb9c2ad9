# SPDX-License-Identifier: Apache-2.0
"""Which of the steps that the servers' rows ask for a pass may take: one line over all incidents, and the limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from muster.core.findings import Finding, Verdict
from muster.core.policy import Policy
from muster.core.sequence import sequence
from muster.core.server_rules import ServerStep
from muster.core.steps import Evacuate, ReadCalls, ReadLog, ReadServer, Reset, Step, Stop

LOG_READS_A_PASS = 20
CALL_READS_A_PASS = 5


@dataclass(frozen=True)
class Wish:
    """What a row asks for about a server of this node."""

    node: str
    finding: Finding
    step: ServerStep

    @property
    def server(self) -> str:
        return self.finding.server.id


def admit(wishes: Iterable[Wish], flying: Iterable[Finding], policy: Policy) -> tuple[list[Step], int]:
    """:param flying: of what is under way.
    :returns: what is to be done about servers now, and for how many more there is no place.
    """
    # Two incidents may know one server, where it arrived on a host that died since: each has its own wish.
    by_id: dict[str, list[Wish]] = {}
    for wish in wishes:
        by_id.setdefault(wish.server, []).append(wish)
    servers = (same[0].finding.server for same in by_id.values())
    line = [wish for server in sequence(servers, policy.priority_key) for wish in by_id[server.id]]
    reads = [ReadLog(server) for server in _asked(line, ServerStep.READ_LOG)][:LOG_READS_A_PASS]
    servers_read = [ReadServer(server) for server in _asked(line, ServerStep.READ_SERVER)]
    stops = [Stop(server) for server in _asked(line, ServerStep.STOP)]
    calls = [ReadCalls(wish.node, wish.server) for wish in line if wish.step is ServerStep.READ_CALLS]
    ready = _ready(line)
    admitted = _within_limits(ready, flying, policy)
    steps = [*reads, *servers_read, *stops, *map(_call, admitted), *calls[:CALL_READS_A_PASS]]
    return steps, len(ready) - len(admitted)


def _asked(line: Iterable[Wish], step: ServerStep) -> list[str]:
    return list(dict.fromkeys(wish.server for wish in line if wish.step is step))


def _ready(line: Iterable[Wish]) -> list[Wish]:
    """Those that may be sent, one for each server.  The order is strict: as long as the log of a server is unread,
    those behind it wait for their turn."""
    before_unread = takewhile(
        lambda wish: wish.step is not ServerStep.READ_LOG or wish.finding.verdict is not Verdict.QUEUED, line
    )
    ready: dict[str, Wish] = {}
    for wish in before_unread:
        if wish.step in (ServerStep.EVACUATE, ServerStep.RESET):
            ready.setdefault(wish.server, wish)
    return list(ready.values())


def _within_limits(ready: Iterable[Wish], flying: Iterable[Finding], policy: Policy) -> list[Wish]:
    """As many as the limits leave room for, from the head of the line.  What is stuck does not hold up the others."""
    bound = Counter(finding.dest for finding in flying)
    admitted: list[Wish] = []
    for wish in ready:
        target = wish.finding.target
        if sum(bound.values()) >= policy.in_flight or not _room(bound, target, policy.per_destination):
            break
        bound[target] += 1
        admitted.append(wish)
    return admitted


def _room(bound: Mapping[str, int], target: str, limit: int) -> bool:
    """One more may go without any destination exceeding the limit; an unnamed one could be every destination."""
    if limit == 0:
        return True
    unnamed = bound.get("", 0)
    named = {dest: count for dest, count in bound.items() if dest}
    most = named.get(target, 0) if target else max(named.values(), default=0)
    return unnamed + most < limit


def _call(wish: Wish) -> Step:
    finding, server = wish.finding, wish.finding.server
    if wish.step is ServerStep.RESET:
        return Reset(server.id, server.name, server.vm_state)
    target = finding.target or None
    return Evacuate(wish.node, server.id, server.name, finding.source, target, finding.attempts)


def first_calls(steps: Sequence[Step]) -> tuple[Step, ...]:
    """All that half a look may do: give places away, in the order of the line, to what nothing has moved yet."""
    calls = [step for step in steps if isinstance(step, (Evacuate, Reset))]
    return tuple(takewhile(lambda step: isinstance(step, Evacuate) and not step.evacuations_before, calls))
