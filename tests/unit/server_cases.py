# SPDX-License-Identifier: Apache-2.0
"""Evidence about one server of a dead host, made up: its evacuations, calls and traces, and the verdict of it all."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from muster.core.bounds import resumed_s
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server
from muster.core.operator_orders import Orders
from muster.core.server_case import ServerCase
from muster.core.server_rules import judge
from muster.core.sight import Calls, HostSight, Outcome, Sent, ServerSight
from muster.gateways.nova.faults import answer_of
from tests.fakes import settings

NOW = 1_800_000_000.0
ACTIVE = Server(id="s1", host="dead", vm_state="active", name="db", created=NOW - 9e6, updated=NOW - 9e4)


FIRST = 1000
"""When incidents began, unless a test says so."""


def case(
    server: Server = ACTIVE, *evacuations: Evacuation, wanted: Power = Power.RUNNING, **facts: object
) -> ServerCase:
    """:param facts: as :func:`but` has them.  What is wanted was seen at rest; after two evacuations the log says it."""
    seen = ServerSight(server, evacuations, read_at=NOW, listed=True)
    it = ServerCase(seen, "dead", settings(), NOW, HostSight(evacuations_at=NOW), Orders(FIRST))
    return but(it, wanted=wanted, **{"log_read": len(evacuations) > 1 or "failed_earlier" in facts, **facts})


def but(it: ServerCase, **facts: Any) -> ServerCase:
    """The same with other facts, each of them in the record that it belongs to.

    Beside the fields of the records: wanted, log_read, log_read_at and failed_earlier (of the action log), first,
    skipped, released and retried_at (of the orders), resumed_until (of the host).
    """
    log, wanted = it.seen.log, facts.pop("wanted", it.wanted)
    if facts.pop("log_read", bool(log)):
        log = replace(log or ActionLog(wanted), wanted=wanted)
        log = replace(log, read_at=facts.pop("log_read_at", log.read_at))
        log = replace(log, failed_at=1.0 if facts.pop("failed_earlier", log.failed_at) else 0.0)
    else:
        log = None
    orders = replace(it.orders, first=int(facts.pop("first", it.orders.first)))
    if facts.pop("skipped", False):
        orders = replace(orders, skipped=frozenset({it.server.id}))
    if retried_at := facts.pop("retried_at", 0.0):
        orders = replace(orders, retried={it.server.id: int(retried_at)})
    orders = replace(orders, released=facts.pop("released", orders.released))
    if resumed_until := facts.pop("resumed_until", 0.0):
        facts["wait_from"] = resumed_until - resumed_s(it.host.late_call_s, it.host.beats_every_s)
    of = {kind: {f.name for f in fields(kind)} & facts.keys() for kind in (ServerSight, HostSight)}
    seen = replace(it.seen, at_rest=wanted, log=log, **{name: facts.pop(name) for name in of[ServerSight]})
    host = replace(it.host, **{name: facts.pop(name) for name in of[HostSight]})
    return replace(it, seen=seen, host=host, orders=orders, **facts)


def evacuation(status: str, dest: str = "", age: float = 10.0, ident: str = "1") -> Evacuation:
    return Evacuation(ident, "s1", "dead", EvacuationStatus(status), dest, NOW - age, NOW - age + 1)


def failure(
    dest: str = "", harmless: bool = False, met_guest: bool = False, words: str = "MessagingTimeout"
) -> CallTrace:
    """A call that failed on its destination; without one in the conductor."""
    landed = NOW - 9 if dest else 0.0
    return CallTrace("req-1", NOW - 10, dest, landed, NOW - 8, words, True, True, harmless, met_guest)


def calls(
    evacuations: tuple[Evacuation, ...], *traces: CallTrace, age: float = 1.0, tries: int = 1, read: bool = True
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
