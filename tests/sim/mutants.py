# SPDX-License-Identifier: Apache-2.0
"""Plants one bug after another in the engine, and plays histories, or a scenario of its own, until the judge notices it.

For each bug it prints the number of histories and what the judge said. The exit code is 0 if the judge noticed all.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional

from muster.core import admission, decide, host_rules, other_incidents, server_case, server_rules
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.findings import Verdict
from muster.core.nova_facts import EvacuationStatus, Power
from muster.core.sight import Outcome
from muster.core.steps import ForceUp, SwapRecord
from muster.engine import act, inventory, liveness, memory
from tests.sim import scenarios
from tests.sim.history import BREAKDOWNS, play
from tests.sim.world import World

LIMIT = 3000
"""Every one has to be caught within so many histories."""

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Mutant:
    """:param rows: of docs/robustness.md, which are broken by it.
    :param patches: what is broken, as (where, name, what instead).
    :param scenario: a world in which it has to show, where what it takes happens in few histories.
    """

    name: str
    rows: str
    patches: Callable[[], Sequence[Patch]]
    scenario: Optional[Callable[[], World]] = None


def without(module: Any, *names: str) -> Callable[[], Sequence[Patch]]:
    """The rule table lacks these rows."""
    return lambda: [(module, "RULES", tuple(r for r in module.RULES if not r.name.startswith(names)))]


def row(module: Any, name: str, **changes: Any) -> Callable[[], Sequence[Patch]]:
    """One row says something else."""
    return lambda: [(module, "RULES", tuple(replace(r, **changes) if r.name == name else r for r in module.RULES))]


def patch(where: Any, name: str, what: Any) -> Callable[[], Sequence[Patch]]:
    return lambda: [(where, name, what)]


def _allowed_without_quorum(self: Any) -> bool:
    return bool(self._current())


def _allowed_without_asking(self: Any) -> bool:
    return bool(self._cluster.quorate())


def _remember_as_refused(self: Any, step: Any, outcome: Outcome, *rest: Any) -> None:
    outcome = Outcome.REFUSED if outcome is Outcome.UNCERTAIN else outcome
    _REMEMBER(self, step, outcome, *rest)


_REMEMBER = act.Act._remember


def _remember_no_lateness(self: Any, step: Any, outcome: Outcome, at: float, quiet_s: float, *rest: Any) -> None:
    _REMEMBER(self, step, outcome, at, 0.0, *rest)


def _remember_nothing(self: Any, *rest: Any) -> None:
    return None


_CARRY_OUT = act.Act.carry_out


def _swap_whatever_is_there(self: Any, steps: Any) -> Any:
    changed = []
    for s in steps:
        record = self._cluster._site.nodes[s.node].record if isinstance(s, SwapRecord) else None
        changed.append(replace(s, old=record) if record else s)
    return _CARRY_OUT(self, changed)


def _fenced_again_anew(self: Record, at: int) -> Record:
    return Record(Phase.FENCED, max(at, self.last), max(at, self.last))


def _lift_while_working(case: Any) -> tuple[Any, ...]:
    service = case.known_service
    return (ForceUp(case.node.name, service.id, service.host, True, True),)


def _lift_everything(case: Any) -> tuple[Any, ...]:
    service = case.known_service
    return (ForceUp(case.node.name, service.id, service.host, service.forced_down, not service.enabled),)


def _forget_evacuations(self: Any, shown: Any, *rest: Any) -> Any:
    self.known = {}
    return _NOTE(self, shown, *rest)


_NOTE = inventory.Evacuations.note


def _forget_old_evacuations() -> Sequence[Patch]:
    return [(memory.HostMemory, "since", property(lambda self: float(self.record.last)))]


def _release_while_working(case: Any) -> tuple[Any, ...]:
    return host_rules._release(case)


def _unfit_verdict_of_the_lost() -> Sequence[Patch]:
    changed = tuple(
        replace(r, verdict=Verdict.EVACUATED) if r.name in ("finish-unseen", "completed-but-not-moved") else r
        for r in server_rules.RULES
    )
    return [(server_rules, "RULES", changed)]


def _void_without_death(self: Any, evacuation: Any) -> bool:
    return bool(evacuation.dest) and evacuation.status.open


def _void_once_completed(self: Any, evacuation: Any) -> bool:
    return any(m.status is EvacuationStatus.COMPLETED for m in self.evacuations) or _VOID(self, evacuation)


_VOID = server_case.ServerCase.void


def _as_if_just_begun(nodes: Any, sight: Any) -> Any:
    return {server: dict.fromkeys(began, math.inf) for server, began in _EVACUATED(nodes, sight).items()}


_EVACUATED = decide._evacuated


def _no_limit(ready: Any, flying: Any, policy: Any) -> Any:
    return _WITHIN_LIMITS(ready, (), policy)


_WITHIN_LIMITS = admission._within_limits


def _backwards(servers: Any, key: str) -> Any:
    return list(reversed(_SEQUENCE(servers, key)))


_SEQUENCE = admission.sequence


def _anything_counts(self: Any) -> int:
    return 2 * len(self.evacuations)


def _at_rest(self: Any) -> Power:
    return self.seen.at_rest


def _alive_at_once(self: Any, *seen: Any) -> None:
    _OBSERVE_RETURN(self, *seen)
    self.compute_restarted, self.first_beat_at = True, self.first_beat_at or seen[-1]


_OBSERVE_RETURN = liveness.Return.observe_service


def _sees_no_heartbeat(self: Any, *seen: Any) -> None:
    _OBSERVE_SERVICE(self, *seen)
    self.heartbeat_after_fencing = False


_OBSERVE_SERVICE = liveness.Liveness.observe_service


def _asking_once(self: Any, steps: Any) -> Any:
    allowed = self._allowed()
    self._allowed = lambda: allowed
    try:
        return _CARRY_OUT(self, steps)
    finally:
        del self._allowed


def _any_state_is_reset(case: Any) -> bool:
    return case.server.vm_state in server_rules.RESETTABLE_STATES


def _reset_whatever_is_refused() -> Sequence[Patch]:
    changed = tuple(replace(r, when=_any_state_is_reset) if r.name == "to-be-reset" else r for r in server_rules.RULES)
    return [(server_rules, "_to_reset", _any_state_is_reset), (server_rules, "RULES", changed)]


def _if_unread(self: Any, dest: str, failed: Any) -> bool:
    return all(t.harmless for t in self.traces if t.dest == dest)


def _any_is_over(self: Any) -> bool:
    return any(trace.over for trace in self.traces)


def _over_by_a_newer_log(self: Any) -> Any:
    """Whatever was listed before its calls were read."""
    return _CALLS_OVER(replace(self, host=replace(self.host, evacuations_at=math.inf)))


_CALLS_OVER = server_case.ServerCase.calls_over.func


MUTANTS: tuple[Mutant, ...] = (
    Mutant("sends again while a call is pending", "B1, B10", without(server_rules, "call-pending", "call-vanished")),
    Mutant("believes whatever Pacemaker counts as fenced", "C20", without(host_rules, "fencing-unproved")),
    Mutant("remembers no call", "B1", patch(act.Act, "_remember", _remember_nothing)),
    Mutant("takes an unanswered call for refused", "B1", patch(act.Act, "_remember", _remember_as_refused)),
    Mutant("believes that a lost call cannot be late", "B2", patch(act.Act, "_remember", _remember_no_lateness)),
    Mutant("does not wait for an earlier worker's calls", "C6", without(server_rules, "waits-for-earlier-call")),
    Mutant("says evacuated when Nova has taken it", "A1", row(server_rules, "on-the-way", verdict=Verdict.EVACUATED)),
    Mutant("trusts `completed`", "A1", _unfit_verdict_of_the_lost),
    Mutant("calls what arrives wrong evacuated", "A2, A3", row(server_rules, "arrived-otherwise", verdict=Verdict.EVACUATED)),
    Mutant("loses the wanted power state", "A2, A3", patch(server_case.ServerCase, "wanted", Power.RUNNING)),
    Mutant("believes what was seen at rest for ever", "A2", patch(server_case.ServerCase, "wanted", property(_at_rest))),
    Mutant("asks nobody for quorum", "C10", lambda: [
        (act.Act, "_allowed", _allowed_without_quorum), (decide, "_hindrance", lambda cluster: ""),
    ]),
    Mutant("does not ask whether it is the current worker", "C9", patch(act.Act, "_allowed", _allowed_without_asking)),
    Mutant("overwrites the record without comparing", "C14", patch(act.Act, "carry_out", _swap_whatever_is_there),
           scenarios.fenced_while_it_looks_at_nova),
    Mutant("forgets the incident at a second fencing", "C14", patch(Record, "fenced_again", _fenced_again_anew)),
    Mutant("knows only evacuations since the last fencing", "C14", _forget_old_evacuations),
    Mutant("calls a server of a silent cell gone", "B13", row(server_rules, "cell-silent", verdict=Verdict.GONE)),
    Mutant("takes a silent cell for an empty one", "B13", without(host_rules, "list-again", "listed-once")),
    Mutant("forgets evacuations that an answer leaves out", "B12", patch(inventory.Evacuations, "note", _forget_evacuations)),
    Mutant("claims nothing before it begins", "C6", without(host_rules, "claim")),
    Mutant("does not force the service down", "B15", without(host_rules, "force-down", "still-up")),
    Mutant("ignores that the host lives", "C3", without(host_rules, "fencing-refuted")),
    Mutant("sees no heartbeat", "C3", patch(liveness.Liveness, "observe_service", _sees_no_heartbeat)),
    Mutant("does not wait for storage leases", "", without(host_rules, "leases")),
    Mutant("begins however many hosts are dead", "C12", without(host_rules, "too-many-failed")),
    Mutant("takes a clean shutdown for a failure", "C4", lambda: [
        (decide, "has_incident", lambda node: bool(node.record) or (node.remote and not node.member)),
        (Node, "away", property(lambda node: not node.member)),
        (host_rules, "_confirmed", lambda case: Record(Phase.CONFIRMED, int(case.now), int(case.now))),
    ]),
    Mutant("evacuates what its owner deletes", "A6", without(server_rules, "being-deleted", "delete-unfinished")),
    Mutant("evacuates what is opted out", "A10", without(server_rules, "opted-out")),
    Mutant("rebuilds empty disks", "A8", without(server_rules, "would-be-empty")),
    Mutant("turns the sequence round", "A15", patch(admission, "sequence", _backwards)),
    Mutant("ignores in_flight", "C5", patch(admission, "_within_limits", _no_limit)),
    Mutant("counts every evacuation as a failure", "B7", patch(server_case.ServerCase, "failures", property(_anything_counts))),
    Mutant("never gives a server up", "B8", without(server_rules, "exhausted")),
    Mutant("never tries a parked server again", "B7", row(server_rules, "waits-for-retry", when=lambda c: c.tries > 0)),
    Mutant("takes an evacuation for void without a death", "B10", patch(server_case.ServerCase, "void", _void_without_death)),
    Mutant("takes evacuations for void once their source has started", "B45",
           patch(server_case.ServerCase, "void", _void_once_completed),
           scenarios.begun_after_its_source_has_started),
    Mutant("never takes an evacuation for void", "B11", patch(server_case.ServerCase, "void", lambda self, evacuation: False)),
    Mutant("releases a host with open servers", "D1", without(host_rules, "working", "inbound", "rows-open")),
    Mutant("releases a host while it works on it", "D1", row(host_rules, "working", steps=_release_while_working)),
    Mutant("lifts the force-down while it works", "D1", row(host_rules, "working", steps=_lift_while_working)),
    Mutant("lifts what an operator did", "D4", row(host_rules, "force-up", steps=_lift_everything)),
    Mutant("takes a host for back before it is", "D3", patch(liveness.Return, "observe_service", _alive_at_once)),
    Mutant("never lifts anything", "D1", without(host_rules, "force-up")),
    Mutant("proves nothing on the way back", "C6", row(host_rules, "awaits-compute", proves=False)),
    Mutant("takes every failed rebuild for one without a guest", "A17", patch(server_case.ServerCase, "failed_on", ())),
    Mutant("reads no failure for one without a guest", "A17", patch(server_case.ServerCase, "_harmless", _if_unread)),
    Mutant("takes every row that is accepted for dropped", "B19", patch(server_case.ServerCase, "calls_over", True)),
    Mutant("takes one dropped call for all", "B19", patch(server_case.ServerCase, "calls_over", property(_any_is_over))),
    Mutant("takes for dropped what was over when its call was read", "B40",
           patch(server_case.ServerCase, "calls_over", property(_over_by_a_newer_log)),
           scenarios.over_before_its_call_is_read),
    Mutant("sends what another incident may still move", "B44", without(server_rules, "open-elsewhere"),
           scenarios.moved_while_its_call_may_still_begin),
    Mutant("believes what lists cannot show of another incident", "B44", patch(other_incidents, "_unread_since", lambda node, named, sight: None),
           scenarios.moved_from_a_host_that_cannot_be_listed),
    Mutant("forgets calls from before the host died that its server has come to", "B44", patch(decide, "_evacuated", _as_if_just_begun),
           scenarios.moved_twice_while_its_call_may_still_begin),
    Mutant("never asks what has become of a call", "B19", row(server_rules, "not-begun", step=None)),
    Mutant("waits for an action log for ever", "B4", patch(server_rules, "LOG_TRIES", 1_000_000)),
    Mutant("asks for quorum once for many steps", "C10", patch(act.Act, "carry_out", _asking_once)),
    Mutant("changes things while it is paused", "D8", patch(decide, "_even_paused", lambda step: True)),
    Mutant("evacuates what an operator skips", "D8", without(server_rules, "skipped-by-order")),
    Mutant("evacuates from a host that an operator releases", "D8", without(server_rules, "released")),
    Mutant("counts what failed before an operator's retry", "D8",
           patch(server_case.ServerCase, "_counts", lambda self, evacuation: True)),
    Mutant("resets states that the operator did not name", "A4", _reset_whatever_is_refused),
    Mutant("ignores per_destination", "C5", patch(admission, "_room", lambda bound, target, limit: True)),
    Mutant("stops servers that are to run", "A1", lambda: [
        (server_rules, "RULES", tuple(replace(r, when=lambda c: bool(c.arrival) and c.server.vm_state == "active")
                               if r.name == "arrived-running-unwanted" else r for r in _woken_first())),
    ]),
)  # fmt: skip


def _woken_first() -> tuple[server_rules.ServerRule, ...]:
    """The row before the one that would call the server evacuated."""
    woken = [r for r in server_rules.RULES if r.name == "arrived-running-unwanted"]
    rest = [r for r in server_rules.RULES if r.name != "arrived-running-unwanted"]
    place = next(n for n, r in enumerate(rest) if r.name == "arrived-proved")
    return (*rest[:place], *woken, *rest[place:])


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The engine with the bug, and as it was afterwards."""
    before: list[Patch] = []
    try:
        for where, name, what in mutant.patches():
            before.append((where, name, where.__dict__[name]))
            setattr(where, name, what)
        yield
    finally:
        for where, name, what in reversed(before):
            setattr(where, name, what)


def hunt(mutant: Mutant, limit: int = LIMIT) -> Optional[tuple[int, str]]:
    """The first history in which it is caught, and by what; an engine that breaks down is caught, too."""
    with planted(mutant):
        for seed in range(1 if mutant.scenario else limit):
            try:
                world = mutant.scenario() if mutant.scenario else play(seed)
            except BREAKDOWNS as exc:
                return seed, f"breaks down: {type(exc).__name__}: {exc}"
            if world.judge.violations:
                return seed, world.judge.violations[0]
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help="only bugs whose name contains this")
    given = parser.parse_args()
    missed = 0
    for mutant in MUTANTS:
        if given.name not in mutant.name:
            continue
        began = time.monotonic()
        caught = hunt(mutant)
        missed += caught is None
        seed, what = caught or (LIMIT, "NOT CAUGHT")
        print(f"{mutant.name:48} {seed + 1:5} {time.monotonic() - began:6.1f} s  {what[:110]}", flush=True)
    print(f"{missed} not caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
