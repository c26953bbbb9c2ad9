# SPDX-License-Identifier: Apache-2.0
"""The rules of one dead host: the first row that fits gives the incident's state, its reason and its steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Union

from muster.core.cluster_facts import UNTOUCHED, Node, Phase, Record
from muster.core.nova_facts import MoveStatus, Server, Service
from muster.core.ports import Policy
from muster.core.printable import counted
from muster.core.server_case import Finding, State, Verdict
from muster.core.sight import HostSight, Outcome
from muster.core.steps import (
    DropHold,
    DropRecord,
    ForceDown,
    ForceUp,
    ListAgain,
    Step,
    StopCompute,
    SwapRecord,
    WriteRecord,
)

MARK = "muster: "
"""Begins the disabled_reason of every service that muster disabled; without it the disable is an operator's."""

LATE_BEAT_S = 2.0
"""A heartbeat may come so much after its time."""
LOOKED_AFTER_S = 12.0
"""Services are read every 10 s, so who has read them so much after a heartbeat's time has seen it."""
BEATS_S = 10.0
"""The default of Nova's report_interval (nova/conf/service.py)."""
HEARTBEAT_SKEW_S = 5.0
REFENCED_AFTER_S = 60
"""Pacemaker's own fencing time is that of the whole operation, the record's that of its middle, and a power-on that
times out comes between them: it counts only for a host that was let back since, and never against a sign of life."""
SENT_SHOWN = 6

LIST_FRESH_S = 5.0
LISTS_APART_S = 1.0
"""A host is settled by a list of its servers that is fresh, and not its only one."""

ORDERS_DONE_S = 5.0
"""So long after a heartbeat of a nova-compute that has started, what had waited for it has been carried out."""
ORDERS_LATEST_S = 60.0
"""The same where a server on the host has a task, or had one that has come to nothing yet."""
STARTS_ANEW = 2
STOP_S = 15.0
"""So often nova-compute is started anew on the way back, and so long kept away for it: Pacemaker stops it by then."""

_BEFORE_RETURN = (*UNTOUCHED, Phase.EVACUATING)


@dataclass(frozen=True)
class HostCase:
    """One node with an incident, and everything that decides about it.

    :param service: its nova-compute service, or the reason why none can be named.
    :param inbound: servers of other dead hosts that were on their way here and are not safe yet.
    :param awaited: evacuations from other hosts that wait in the queue of this one.
    :param failed: how many hosts are dead and not yet returning.
    :param resource: the id of the worker's.
    :param nova_compute: the id of what runs nova-compute, as far as it is known.
    """

    node: Node
    now: float
    policy: Policy
    sight: HostSight = field(default_factory=HostSight)
    service: Union[Service, str] = ""
    asked: bool = False
    nova_trouble: str = ""
    clocks_apart: str = ""
    findings: tuple[Finding, ...] = ()
    inbound: int = 0
    awaited: int = 0
    failed: int = 1
    limit: int = 1
    resource: str = "muster"
    nova_compute: str = ""

    @property
    def silent(self) -> str:
        """Why nothing can be decided now.  What is on the way back waits for the lists, too."""
        unlisted = self.sight.unlisted if self.phase is Phase.RETURNING else ""
        return self.nova_trouble or self.sight.call_failed or unlisted

    @property
    def record(self) -> Record:
        assert self.node.record is not None
        return self.node.record

    @property
    def known_service(self) -> Service:
        assert not isinstance(self.service, str), self.service
        return self.service

    @property
    def phase(self) -> Phase:
        return self.record.phase

    @property
    def open_findings(self) -> int:
        return sum(f.verdict.open for f in self.findings)

    @property
    def open_rows(self) -> int:
        """Evacuations from here that Nova still calls under way, of servers not yet safe elsewhere.

        nova-compute must not start before they end (facts.md N16).  A row whose destination died stays open for ever
        (facts.md N14); its server's verdict says whether that matters.
        """
        settled = {f.server.id for f in self.findings if not f.verdict.open and f.rule != "completed-but-not-moved"}
        return sum(
            move.status.open for server, moves in self.sight.moves.items() if server not in settled for move in moves
        )

    @property
    def start_waits(self) -> str:
        """Which orders of servers that are elsewhere would start their guests here; empty without any."""
        away = [f for f in self.findings if f.queued_start and f.server.host != self.known_service.host]
        return ", ".join(f"{f.queued_start} of {f.server.id}" for f in away[:3]) + " and others" * (len(away) > 3)

    @property
    def unshown(self) -> int:
        """Servers of evacuations that Nova still shows, and no list of its servers does."""
        moves = self.sight.moves.items()
        known = {server for server, ms in moves if any(m.id not in self.sight.dropped for m in ms)}
        return len(known - set(self.sight.servers))

    @property
    def uncompleted_rows(self) -> int:
        rows = (m for moves in self.sight.moves.values() for m in moves)
        return sum(m.status is MoveStatus.DONE and m.id not in self.sight.dropped for m in rows)

    @property
    def disabled_by_us(self) -> bool:
        service = self.known_service
        return not service.enabled and service.disabled_reason.startswith(MARK)


@dataclass(frozen=True)
class HostRule:
    """One row.

    :param sends: servers of the host may be evacuated while it fits.
    :param proves: what has arrived elsewhere is proved while it fits, though nothing is sent.
    """

    name: str
    when: Callable[[HostCase], bool]
    state: State
    reason: Callable[[HostCase], str]
    steps: Callable[[HostCase], tuple[Step, ...]] = lambda c: ()
    sends: bool = False
    proves: bool = False


def _state_of(phase: Phase) -> State:
    return {Phase.EVACUATING: State.EVACUATING, Phase.RETURNING: State.RETURNING}.get(phase, State.FENCED)


def _fenced_at(node: Node) -> int:
    """By Pacemaker's own word; what an operator has confirmed may be off only since then."""
    return max(node.fenced_at, node.confirmed_at)


def _confirmed(c: HostCase) -> Record:
    return Record(Phase.CONFIRMED, _fenced_at(c.node), _fenced_at(c.node))


def _fenced_since(c: HostCase) -> bool:
    """It was let back, came, and was fenced again.  To who released it and has seen it away since, a later time is only
    the end of the fencing on record."""
    may_have_been_back = c.sight.was_back or not c.sight.released
    late = _fenced_at(c.node) > c.record.last + REFENCED_AFTER_S
    return c.phase is Phase.RETURNING and not c.node.member and late and may_have_been_back


def _refuted(c: HostCase) -> bool:
    """nova-compute wrote to Nova after the power was said to be off: nobody may be started a second time."""
    if c.sight.heartbeat_moved or c.record.lives:
        return True
    service = c.known_service
    early = service.updated_at > c.record.last + HEARTBEAT_SKEW_S
    # An admin's change moves that time, too: if somebody disabled it, Nova has to call it down first.
    changed = service.forced_down or not (service.enabled or service.up)
    return early and not c.disabled_by_us and not changed


def _note_life(c: HostCase) -> tuple[Step, ...]:
    """In the record, for no worker sees again what Pacemaker or a dead worker has forgotten.  A service that was only
    read as changed since the fencing stays so, and may be an admin's change."""
    seen = c.sight.lives or c.node.found_running >= c.record.last
    return () if c.record.lives or not seen else (SwapRecord(c.node.name, c.record, replace(c.record, lives=True)),)


def _back_too_soon(c: HostCase) -> bool:
    """Let return, and found running before it has restarted: a restart ends the guests that were evacuated and turns
    done into completed (nova-compute, _destroy_evacuated_instances), so whatever runs there has never been off."""
    return c.phase is Phase.RETURNING and c.node.probed_running >= c.record.last and c.uncompleted_rows > 0


def _completed_in_part(c: HostCase) -> bool:
    """Of several evacuations of one server a start completes one, before its first heartbeat (nova/compute/manager.py,
    _destroy_evacuated_instances), and what it leaves `done` keeps Nova from lifting the force-down."""
    left = c.uncompleted_rows > 0 and (c.known_service.forced_down or c.disabled_by_us)
    return c.phase is Phase.RETURNING and left and 0.0 < c.sight.back_at < c.sight.moves_at


def _twice(c: HostCase) -> str:
    """What was sent by then, and may run in two places as long as the host does."""
    rows = (f for f in c.findings if any(m.status is not MoveStatus.ERROR for m in c.sight.moves.get(f.server.id, ())))
    calls = (f for f in c.findings if (sent := c.sight.sent.get(f.server.id)) and sent.outcome is not Outcome.REFUSED)
    ids = {f.server.id: f.server.name or f.server.id for f in (*rows, *calls)}
    if not ids:
        return "muster has evacuated nothing and sends nothing"
    named = ", ".join(list(ids.values())[:SENT_SHOWN]) + f" and {len(ids) - SENT_SHOWN} more" * (len(ids) > SENT_SHOWN)
    twice = f"{counted(len(ids), 'server')} sent before may run on two hosts until {c.node.name} is off"
    return f"muster sends no more, but {twice}: {named}"


_POWER = "Repair the power device"
_SYSTEMD = f"{_POWER}; if systemd started nova-compute, disable that"


def _lives(c: HostCase, seen: str, mend: str) -> str:
    node = c.node.name
    by_hand = f". If you cannot repair it now: cut the power by hand, then muster confirm {node}"
    return (
        f"HOST LIVES: {seen} after its power was reported off; {_twice(c)}. {mend}, then pcs stonith fence {node}"
        + by_hand * (c.phase in _BEFORE_RETURN)
    )


def _misdated(c: HostCase) -> bool:
    """Recorded by a controller whose clock is not ours: not when this worker saw it come, or, before anything was done,
    in the future.  What Pacemaker itself had on record may be old."""
    seen_from, seen_at, last = c.sight.seen_from, c.sight.seen_at, c.record.last
    future = last > seen_at + HEARTBEAT_SKEW_S
    came = seen_from > 0.0 and c.phase in (Phase.FENCED, Phase.EVACUATING)
    wrong = came and (future or last < seen_from - HEARTBEAT_SKEW_S)
    return seen_at > 0.0 and (wrong or (future and c.phase in UNTOUCHED)) and _redated(c) != c.record


def _off_since(c: HostCase) -> float:
    """Not before this worker had last looked for the fencing in vain, whatever clock it was recorded by."""
    return max(float(c.record.last), c.sight.seen_from)


def _delay_s(c: HostCase) -> float:
    """A delay that is to show a power device that lies has to, however seldom heartbeats come."""
    given = float(c.policy.delay_s)
    return max(given, c.sight.beats_every_s + LOOKED_AFTER_S) if given >= BEATS_S + LOOKED_AFTER_S else given


def _redated(c: HostCase) -> Record:
    """By the clock of who claims it, which is what its evacuations are compared with."""
    seen = int(c.sight.seen_at)
    if c.phase is Phase.EVACUATING:
        return replace(c.record, last=max(c.record.first, seen))
    first = seen if c.record.first == c.record.last else min(c.record.first, seen)
    return replace(c.record, first=first, last=seen)


def _doubtful(c: HostCase) -> bool:
    """Its service was written to since the fencing: by an admin, or by a nova-compute that lives."""
    return c.phase in UNTOUCHED and c.known_service.updated_at > c.record.last + HEARTBEAT_SKEW_S


def _claim(c: HostCase) -> tuple[Step, ...]:
    """The record first, and only if nobody else has changed it the service: steps end at the first that fails."""
    service = c.known_service
    kept = c.record.kept or (service.forced_down and not c.disabled_by_us and not c.record.forced)
    claimed = replace(c.record, phase=Phase.EVACUATING, kept=kept, forced=False)
    return (SwapRecord(c.node.name, c.record, claimed), *_force_down(c))


def _force_down(c: HostCase) -> tuple[Step, ...]:
    service = c.known_service
    if service.forced_down and not service.enabled:
        return ()
    reason = f"{MARK}fenced at {c.record.last}, evacuating" if service.enabled else None
    return (ForceDown(c.node.name, service.id, service.host, reason),)


def _force_up(c: HostCase) -> tuple[Step, ...]:
    service = c.known_service
    unforce = service.forced_down and not c.record.kept
    return (ForceUp(c.node.name, service.id, service.host, unforce, c.disabled_by_us),)


def _close(c: HostCase) -> tuple[Step, ...]:
    closed = replace(c.record, phase=Phase.CLOSED)
    return (SwapRecord(c.node.name, c.record, closed), DropRecord(c.node.name, closed))


def _release(c: HostCase) -> tuple[Step, ...]:
    returning = replace(c.record, phase=Phase.RETURNING)
    return (SwapRecord(c.node.name, c.record, returning), DropHold(c.node.name))


def _still_off(c: HostCase) -> bool:
    """Released, and not back: once it has joined the cluster its nova-compute may run, and the old fencing proves
    nothing."""
    service = c.known_service
    back = c.node.member or c.sight.alive_again or service.up or not service.forced_down
    return c.phase is Phase.RETURNING and not back


def _wanted_again(c: HostCase) -> int:
    """Servers that an operator wants tried again and that nothing hinders, although the host was released already."""
    if not _still_off(c):
        return 0
    orders = c.node.standing_orders
    return sum(f.verdict is Verdict.QUEUED and orders.retried_at(f.server.id) > 0 for f in c.findings)


def _begun_by_hand(c: HostCase) -> int:
    """Evacuations from here that were begun since it was released, as far as that is known: to a later worker one that
    is more than accepted may be the row of one that has died with its destination (facts.md N14)."""
    if not _still_off(c):
        return 0
    here = c.known_service.host  # what has left it is not evacuated from it by anybody
    begun = (f for f in c.findings if f.rule in ("not-begun", "on-the-way") and f.server.host == here)
    rows = (m for f in begun for m in c.sight.moves.get(f.server.id, ())[-1:])
    return sum(m.status is MoveStatus.ACCEPTED or (m.status.open and c.sight.released) for m in rows)


def _orders_done_at(c: HostCase) -> float:
    """When those that waited for its nova-compute have been carried out: it beats once it takes them."""
    return c.sight.back_at + ORDERS_DONE_S if c.sight.back_at else math.inf


def _still_at_work(c: HostCase) -> bool:
    """What had waited for it may be under way, for a minute at most; what failed is over."""
    here = (f.server for f in c.findings if f.server.host == c.known_service.host)
    return any(_may_change(c, server) for server in here) and c.now < c.sight.back_at + ORDERS_LATEST_S


def _may_change(c: HostCase, server: Server) -> bool:
    """It has a task; or it had one, which nova-compute takes back as it starts, before it carries out what it was
    for (nova/compute/manager.py, _init_instance)."""
    before = c.sight.before.get(server.id)
    had_task = before is not None and bool(before.task_state) and before.vm_state == server.vm_state
    return server.vm_state != "error" and (bool(server.task_state) or had_task)


def _with_awaited(c: HostCase, *words: str) -> str:
    """Nova had sent them here before it died, and its nova-compute begins them whenever it is back (facts.md N41)."""
    if not c.awaited:
        return "; ".join(words)
    waiting = f"nova-compute begins {counted(c.awaited, 'evacuation')} from other hosts when it starts here"
    return "; ".join([*words, waiting] if c.findings else [*words[:-1], waiting])


def _no_answer(c: HostCase, trouble: str) -> str:
    return f"Nova gives no usable answer: {trouble}; {_named(c, *_ALL)}"


def _named(c: HostCase, *words: str) -> str:
    count = Counter(f.verdict for f in c.findings)
    return ", ".join(f"{count[Verdict(w)]} {w}" for w in words if count[Verdict(w)]) or "no server"


def _not_cleaned_up(c: HostCase) -> str:
    return f"did not clean up after {counted(c.uncompleted_rows, 'evacuation')}"


_ALL = ("evacuated", "evacuating", "queued", "parked", "unknown", "held", "skipped", "gone")

RULES: tuple[HostRule, ...] = (
    HostRule(
        "record-unreadable",
        lambda c: bool(c.node.unreadable_record),
        State.BLOCKED,
        lambda c: (
            f"muster cannot read its record of {c.node.name} ({c.node.unreadable_record}). Make sure that the host is"
            f" off, then: crm_attribute -t nodes -N {c.node.name} -n muster -D; pcs stonith confirm {c.node.name}"
        ),
    ),
    HostRule(
        "orders-unreadable",
        lambda c: bool(c.node.unreadable_orders),
        State.BLOCKED,
        lambda c: (
            f"muster cannot read the orders for {c.node.name} ({c.node.unreadable_orders}). Give them again after:"
            f" crm_attribute -t nodes -N {c.node.name} -n muster-orders -D"
        ),
    ),
    HostRule(
        "no-compute",
        lambda c: not c.node.compute and c.node.record is not None and c.phase in UNTOUCHED,
        State.BLOCKED,
        lambda c: (
            f"{c.node.name} has a record of a fencing, but is no compute (muster's fence device, host_map)."
            f" If it is one: muster doctor. If not: crm_attribute -t nodes -N {c.node.name} -n muster -D;"
            f" crm_attribute -t nodes -N {c.node.name} -n muster-hold -D"
        ),
    ),
    HostRule(
        "fencing-unproved",
        lambda c: bool(c.node.unproved) and not c.node.confirmed_at and (c.node.record is None or _fenced_since(c)),
        State.BLOCKED,
        lambda c: (
            f"Pacemaker counts {c.node.name} as fenced, but nothing proves that it is off: {c.node.unproved}. muster"
            f" evacuates nothing. Make sure that its power is off, then pcs stonith confirm {c.node.name}"
        ),
    ),
    HostRule(
        "fencing-unrecorded",
        lambda c: c.node.record is None,
        State.FENCED,
        lambda c: "Pacemaker counts the host as fenced (perhaps an operator confirmed it): writing the record",
        lambda c: (WriteRecord(c.node.name, None, _confirmed(c)),),
    ),
    HostRule(
        "closed",
        lambda c: c.phase is Phase.CLOSED,
        State.CLOSED,
        lambda c: "returned to service",
        lambda c: (DropHold(c.node.name),) * c.node.hold + (DropRecord(c.node.name, c.record),),
    ),
    HostRule(
        "fenced-again",
        _fenced_since,
        State.FENCED,
        lambda c: "the host was fenced again",
        lambda c: (WriteRecord(c.node.name, c.record, c.record.fenced_again(_fenced_at(c.node))),),
    ),
    HostRule(
        "hold-missing",
        lambda c: c.phase in _BEFORE_RETURN and not c.node.hold,
        State.FENCED,
        lambda c: "nothing keeps nova-compute stopped: setting muster-hold",
        lambda c: (WriteRecord(c.node.name, c.record, c.record),),
    ),
    HostRule(
        "fencing-misdated",
        _misdated,
        State.FENCED,
        lambda c: (
            f"the record is dated {abs(c.record.last - c.sight.seen_at):.0f} s"
            f" {'after' if c.record.last > c.sight.seen_at else 'before'} this worker saw it: a controller's clock is"
            " wrong. muster corrects the record by this controller's clock. Compare the clocks: chronyc tracking"
        ),
        lambda c: (SwapRecord(c.node.name, c.record, _redated(c)),),
    ),
    HostRule(
        # The hold stops its nova-compute, and with it the heartbeat that would have told.  Before Nova is asked:
        # Pacemaker forgets what it found as soon as the node joins again.
        "found-running",
        lambda c: c.phase in _BEFORE_RETURN and (c.sight.found_running or c.node.found_running >= c.record.last),
        State.BLOCKED,
        lambda c: _lives(
            c,
            f"Pacemaker found nova-compute running on {c.node.name}",
            _SYSTEMD,
        ),
        _note_life,
    ),
    HostRule(
        "hold-left",
        lambda c: c.phase is Phase.RETURNING and c.node.hold and c.now >= c.sight.stopped_at + STOP_S,
        State.RETURNING,
        lambda c: "letting nova-compute start",
        lambda c: (DropHold(c.node.name),),
    ),
    *(
        HostRule(
            f"nova-silent-{phase.value}",
            lambda c, phase=phase: bool(c.silent) and c.phase is phase,  # type: ignore[misc]
            _state_of(phase),
            lambda c: _no_answer(c, c.silent),
        )
        for phase in (*_BEFORE_RETURN, Phase.RETURNING)
    ),
    HostRule("not-asked", lambda c: not c.asked, State.FENCED, lambda c: "asking Nova"),
    HostRule(
        "service-doubtful",
        lambda c: isinstance(c.service, str),
        State.BLOCKED,
        lambda c: f"{c.service}. For the command: muster doctor",
    ),
    HostRule(
        "cell-silent",
        lambda c: not c.known_service.known,
        State.BLOCKED,
        lambda c: f"the Nova cell of {c.known_service.host} does not answer; muster continues by itself when it does",
    ),
    # -- the way back
    HostRule(
        "returns-running",
        _back_too_soon,
        State.BLOCKED,
        lambda c: _lives(
            c,
            f"Pacemaker found nova-compute still running on {c.node.name}",
            _SYSTEMD,
        ),
    ),
    HostRule(
        "retry-ordered",
        lambda c: _wanted_again(c) > 0,
        State.EVACUATING,
        lambda c: f"an operator wants {counted(_wanted_again(c), 'server')} tried again: nova-compute is stopped again",
        lambda c: (WriteRecord(c.node.name, c.record, replace(c.record, phase=Phase.EVACUATING)),),
    ),
    HostRule(
        "begun-by-hand",
        lambda c: _begun_by_hand(c) > 0,
        State.EVACUATING,
        lambda c: f"somebody else started {counted(_begun_by_hand(c), 'evacuation')}: nova-compute is stopped again",
        lambda c: (WriteRecord(c.node.name, c.record, replace(c.record, phase=Phase.EVACUATING)),),
    ),
    HostRule(
        "starts-anew",
        lambda c: _completed_in_part(c) and c.node.member and c.sight.stops_made < STARTS_ANEW,
        State.RETURNING,
        lambda c: f"nova-compute started, but {_not_cleaned_up(c)}: restarting it",
        lambda c: (StopCompute(c.node.name, c.record),),
        proves=True,
    ),
    HostRule(
        "half-finished",
        _completed_in_part,
        State.RETURNING,
        lambda c: (
            f"nova-compute started, but {_not_cleaned_up(c)}: one start cleans up after only one of each server."
            f" Restart nova-compute on this host: pcs resource restart {c.nova_compute or 'RESOURCE'} {c.node.name}"
        ),
        proves=True,
    ),
    HostRule(
        # Also with nothing left to lift: a lift that was lost may be carried out when the host is off once more.
        "awaits-compute",
        lambda c: (
            c.phase is Phase.RETURNING
            and (
                not c.sight.alive_again
                or (c.uncompleted_rows > 0 and (c.known_service.forced_down or c.disabled_by_us))
            )
        ),
        State.RETURNING,
        lambda c: (
            "waiting for nova-compute to start"
            + (f" and clean up after {counted(c.uncompleted_rows, 'evacuation')}; " if c.uncompleted_rows else "; ")
            + _with_awaited(c, f"left on the host: {_named(c, 'held', 'skipped')}")
        ),
        proves=True,
    ),
    HostRule(
        "force-up",
        lambda c: (
            c.phase is Phase.RETURNING and ((c.known_service.forced_down and not c.record.kept) or c.disabled_by_us)
        ),
        State.RETURNING,
        lambda c: "nova-compute is back: removing the force-down",
        _force_up,
    ),
    HostRule(
        "awaits-up",
        lambda c: c.phase is Phase.RETURNING and not c.known_service.up and not c.known_service.forced_down,
        State.RETURNING,
        lambda c: "waiting for Nova to report nova-compute up",
    ),
    HostRule(
        # An order that waited for it (stop, resize, shelve) is carried out where the server no longer is.
        "looks-again",
        lambda c: (
            c.phase is Phase.RETURNING
            and (c.sight.listed_at < _orders_done_at(c) or c.sight.doubted or _still_at_work(c))
        ),
        State.RETURNING,
        lambda c: "back in service: listing its servers again, because orders may have waited for the host",
        lambda c: (
            (ListAgain(c.node.name),)
            * (
                c.sight.listed_at < _orders_done_at(c) <= c.now
                or (_still_at_work(c) and c.now - c.sight.listed_at >= LIST_FRESH_S)
            )
        ),
        proves=True,
    ),
    HostRule(
        "verdicts-open",
        lambda c: c.phase is Phase.RETURNING and c.open_findings > 0,
        State.RETURNING,
        lambda c: f"back in service: {_named(c, 'evacuating', 'queued', 'parked', 'unknown')}",
        proves=True,
    ),
    HostRule("close", lambda c: c.phase is Phase.RETURNING, State.RETURNING, lambda c: "back in service", _close),
    # -- guards before anything is asked of Nova
    HostRule(
        "fencing-refuted",
        _refuted,
        State.BLOCKED,
        lambda c: _lives(
            c,
            f"nova-compute of {c.known_service.host} {'was seen running' if c.record.lives else 'wrote to Nova'}",
            _POWER,
        ),
        _note_life,
    ),
    HostRule(
        "record-of-the-future",
        lambda c: c.record.last > c.now + HEARTBEAT_SKEW_S,
        State.BLOCKED,
        lambda c: (
            f"the record is dated {c.record.last - c.now:.0f} s in the future by this controller's clock, so muster"
            " cannot compare times with it. muster continues at that time. To continue now, correct the clocks (chronyc"
            f" tracking on every controller), then restart the worker: pcs resource restart {c.resource}"
        ),
    ),
    HostRule(
        "clocks-apart",
        lambda c: bool(c.clocks_apart),
        State.BLOCKED,
        lambda c: (
            f"{c.clocks_apart}, so muster cannot tell what came first. Correct them: chronyc tracking on the hosts of"
            " nova-api and nova-conductor. muster continues by itself once they agree. If you set one, wait until no"
            f" evacuation is under way, then restart the worker: pcs resource restart {c.resource}"
        ),
    ),
    HostRule(
        "too-many-failed",
        lambda c: c.phase in UNTOUCHED and c.failed > c.limit and not c.node.standing_orders.approved,
        State.BLOCKED,
        lambda c: (
            f"{c.failed} hosts are dead, max_failed_hosts is {c.limit}. To evacuate this host: muster approve"
            f" {c.node.name}. To evacuate all: pcs resource update {c.resource} max_failed_hosts={c.failed}"
        ),
    ),
    HostRule(
        "leases",
        lambda c: c.now < _off_since(c) + _delay_s(c),
        State.FENCED,
        lambda c: (
            f"waiting until {_delay_s(c):.0f} s after the fencing (delay_s): storage leases must end, and a host that"
            " still runs must show a heartbeat"
        ),
    ),
    HostRule(
        "heartbeat-watched",
        lambda c: _doubtful(c) and c.sight.still_s < c.sight.beats_every_s + LATE_BEAT_S,
        State.FENCED,
        lambda c: (
            "nova-compute's service changed in Nova after the fencing: watching"
            f" {c.sight.beats_every_s + LATE_BEAT_S:.0f} s for a heartbeat"
        ),
    ),
    HostRule(
        "claim",
        lambda c: c.phase in UNTOUCHED,
        State.FORCING_DOWN,
        lambda c: "the host is fenced: muster takes over its servers",
        _claim,
    ),
    HostRule(
        "force-down",
        lambda c: not c.known_service.forced_down or c.known_service.enabled,
        State.FORCING_DOWN,
        lambda c: f"forcing {c.known_service.host} down",
        _force_down,
    ),
    HostRule(
        "still-up",
        lambda c: c.known_service.up,
        State.FORCING_DOWN,
        lambda c: "forced down, but Nova still reports the host up",
    ),
    HostRule(
        # Its service was forced down all the same: that hangs on no list.
        "lists-fail",
        lambda c: bool(c.sight.unlisted),
        State.EVACUATING,
        lambda c: _no_answer(c, c.sight.unlisted),
    ),
    HostRule("unlisted", lambda c: c.sight.listed_at == 0.0, State.EVACUATING, lambda c: "listing its servers"),
    # -- the work itself
    HostRule(
        "working",
        lambda c: c.open_findings > 0,
        State.EVACUATING,
        lambda c: _named(c, *_ALL),
        sends=True,
    ),
    HostRule(
        "inbound",
        lambda c: c.inbound > 0,
        State.EVACUATING,
        lambda c: f"waiting for {counted(c.inbound, 'server')} of other dead hosts: this host was the destination",
    ),
    HostRule(
        "rows-open",
        lambda c: c.open_rows > 0,
        State.EVACUATING,
        lambda c: f"Nova still shows {counted(c.open_rows, 'open evacuation')}: nova-compute stays stopped",
    ),
    HostRule(
        "late-call-awaited",
        lambda c: c.now < c.sight.late_until,
        State.EVACUATING,
        lambda c: f"waiting {c.sight.late_until - c.now:.0f} s: an unanswered force-down may still take effect",
    ),
    HostRule(
        "start-waits",
        lambda c: bool(c.start_waits) and not c.node.standing_orders.released,
        State.BLOCKED,
        lambda c: (
            f"Nova still queues orders for {c.known_service.host}: {c.start_waits}. nova-compute there would start the"
            " guest a second time."
            + (f" The queue also has {counted(c.awaited, 'evacuation')} from other hosts." if c.awaited else "")
            + f" Empty the queue on a host of RabbitMQ: rabbitmqctl purge_queue compute.{c.known_service.host}; then"
            f" muster release {c.node.name}"
        ),
    ),
    HostRule(
        "list-again",
        lambda c: c.now - max(c.sight.listed_at, c.sight.listed_by) > LIST_FRESH_S,
        State.EVACUATING,
        lambda c: "listing its servers again",
        lambda c: (ListAgain(c.node.name),),
    ),
    HostRule(
        "list-doubted",
        lambda c: c.sight.doubted,
        State.EVACUATING,
        lambda c: "checking that the cell answered while muster listed the servers",
    ),
    HostRule(
        # What Nova itself has on record contradicts the list: whoever answered it, it is not all there is.
        "list-short",
        lambda c: c.unshown > 0,
        State.EVACUATING,
        lambda c: f"Nova's lists lack {counted(c.unshown, 'server')} that Nova has evacuated from here: listing again",
    ),
    HostRule(
        # One list may be short because a cell was silent for its moment; memory keeps what any of them has shown.
        "listed-once",
        lambda c: c.sight.listed_at - c.sight.first_listed_at < LISTS_APART_S,
        State.EVACUATING,
        lambda c: "listing its servers a second time",
        lambda c: (ListAgain(c.node.name),) * (c.now - c.sight.first_listed_at >= LISTS_APART_S),
    ),
    HostRule("settled", lambda c: True, State.SETTLED, lambda c: _with_awaited(c, _named(c, *_ALL)), _release),
)


def assess(case: HostCase) -> HostRule:
    """The first row that fits."""
    return next(rule for rule in RULES if rule.when(case))
