# SPDX-License-Identifier: Apache-2.0
"""Evidence about one server of a dead host, made up: its evacuations, calls and traces, and the verdict of it all."""

from __future__ import annotations

from muster.core.nova_facts import Evacuation, EvacuationStatus, Power, Server, Trace
from muster.core.server_case import Finding, ServerCase, Verdict
from muster.core.server_rules import judge
from muster.core.sight import Calls, Outcome, Sent
from muster.gateways.nova.faults import answer_of
from tests.fakes import settings

NOW = 1_800_000_000.0
ACTIVE = Server(id="s1", host="dead", vm_state="active", name="db", created=NOW - 9e6, updated=NOW - 9e4)


def case(
    server: Server = ACTIVE, *evacuations: Evacuation, wanted: Power = Power.RUNNING, **facts: object
) -> ServerCase:
    policy = facts.pop("policy", None) or settings()
    facts.setdefault("evacuations_at", NOW)
    facts.setdefault("read_at", NOW)
    return ServerCase(server, "dead", policy, NOW, evacuations, wanted=wanted, **facts)  # type: ignore[arg-type]


def evacuation(status: str, dest: str = "", age: float = 10.0, ident: str = "1") -> Evacuation:
    return Evacuation(ident, "s1", "dead", EvacuationStatus(status), dest, NOW - age, NOW - age + 1)


def failure(dest: str = "", harmless: bool = False, met_guest: bool = False, words: str = "MessagingTimeout") -> Trace:
    """A call that failed on its destination; without one in the conductor."""
    landed = NOW - 9 if dest else 0.0
    return Trace("req-1", NOW - 10, dest, landed, NOW - 8, words, True, True, harmless, met_guest)


def calls(
    evacuations: tuple[Evacuation, ...], *traces: Trace, age: float = 1.0, tries: int = 1, read: bool = True
) -> Calls:
    return Calls(NOW - age, Calls.state_of(evacuations), tries, traces if read else None)


def judged(it: ServerCase) -> tuple[Finding, str]:
    """With the word for the step; empty for none."""
    finding, step = judge(it)
    return finding, step.value if step else ""


def verdict(it: ServerCase) -> tuple[Verdict, str, str]:
    finding, step = judged(it)
    return finding.verdict, finding.rule, step


def sent(outcome: Outcome, age: float, quiet: float, status: int = 0, refusals: int = 0, before: int = 0) -> Sent:
    return Sent(
        NOW - age, outcome, NOW - age + quiet, before, "req-1", answer_of(status), "No.", (NOW - age,) * refusals
    )
