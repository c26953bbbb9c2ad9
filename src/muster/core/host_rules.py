# SPDX-License-Identifier: Apache-2.0
"""The rules of one dead host: the first row that fits gives the incident's state, its reason and its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from muster.core.bounds import HEARTBEAT_SKEW_S
from muster.core.cluster_facts import UNTOUCHED, Phase, Record
from muster.core.findings import State, Verdict
from muster.core.host_case import LATE_BEAT_S, MARK, RETURNED, HostCase
from muster.core.nova_facts import EvacuationStatus
from muster.core.printable import counted, first_three
from muster.core.sight import Outcome
from muster.core.steps import (
    DropHold,
    DropRecord,
    ForceDown,
    ForceUp,
    ListAgain,
    ReadLog,
    Step,
    StopCompute,
    SwapRecord,
    WriteRecord,
)
from muster.core.unknown import Unknown

SENT_SHOWN = 6

LIST_FRESH_S = 5.0
LISTS_APART_S = 1.0
"""A host is settled by a list of its servers that is fresh, and not its only one."""

STARTS_ANEW = 2
"""So often nova-compute is started anew on the way back."""

_BEFORE_RETURN = (*UNTOUCHED, Phase.EVACUATING)


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


FLAPS = 3
"""In so many incidents a host has to be fenced to be kept out."""
REASON_LIMIT = 255
"""Nova refuses a longer one (nova/api/openstack/compute/schemas/services.py)."""


def _state_of(phase: Phase) -> State:
    return {Phase.EVACUATING: State.EVACUATING, Phase.RETURNING: State.RETURNING}.get(phase, State.FENCED)


def _confirmed(c: HostCase) -> Record:
    return Record(Phase.CONFIRMED, c.fenced_at, c.fenced_at)


def _note_life(c: HostCase) -> tuple[Step, ...]:
    """In the record, for no worker sees again what Pacemaker or a dead worker has forgotten.  A service that was only
    read as changed since the fencing stays so, and may be an admin's change."""
    seen = c.sight.lives or c.node.found_running >= c.record.last
    return () if c.record.lives or not seen else (SwapRecord(c.node.name, c.record, replace(c.record, lives=True)),)


def _twice(c: HostCase) -> str:
    """What was sent by then, and may run in two places as long as the host does."""
    rows = (
        f
        for f in c.findings
        if any(m.status is not EvacuationStatus.ERROR for m in c.sight.evacuations.get(f.server.id, ()))
    )
    sent = {ident: seen.sent for ident, seen in c.sight.servers.items()}
    calls = (f for f in c.findings if (call := sent.get(f.server.id)) and call.outcome is not Outcome.REFUSED)
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


def _claim(c: HostCase) -> tuple[Step, ...]:
    """The record first, and only if nobody else has changed it the service: steps end at the first that fails."""
    service = c.known_service
    kept = c.record.kept or (service.forced_down and not c.disabled_by_us and not c.record.forced)
    claimed = replace(c.record, phase=Phase.EVACUATING, kept=kept)
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
    stays = c.disabled_by_us and c.policy.return_ == "disabled"
    said = (
        f"{RETURNED} after the fencing at {c.record.last}. To enable it: {_enable(c)}"[:REASON_LIMIT] if stays else None
    )
    return (ForceUp(c.node.name, service.id, service.host, unforce, c.disabled_by_us and not stays, said),)


def _close(c: HostCase) -> tuple[Step, ...]:
    closed = replace(c.record, phase=Phase.CLOSED)
    return (SwapRecord(c.node.name, c.record, closed), DropRecord(c.node.name, closed))


def _release(c: HostCase) -> tuple[Step, ...]:
    returning = replace(c.record, phase=Phase.RETURNING)
    return (SwapRecord(c.node.name, c.record, returning), DropHold(c.node.name))


def _read_queue(c: HostCase) -> tuple[Step, ...]:
    return tuple(ReadLog(server) for server in c.queue_to_read)


def _lost_with_the_queue(c: HostCase) -> str:
    """A purge takes all messages; what was asked of servers on the host is in their task, too (facts.md N43)."""
    awaited = f", also {counted(c.awaited, 'evacuation')} from other hosts" if c.awaited else ""
    return (
        f"Emptying its queue loses all that waits there{awaited}; nova-compute repeats only starts, stops, reboots and"
        f" deletes of servers that are on {c.node.name}."
    )


def _purge(c: HostCase) -> str:
    queue = f"compute.{c.known_service.host}"
    return f"on a host of RabbitMQ: rabbitmqctl purge_queue {queue}; then muster release {c.node.name} --queue-emptied"


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


def _restart(c: HostCase) -> str:
    if c.nova_compute:
        return f"Restart nova-compute on this host: pcs resource restart {c.nova_compute} {c.node.name}"
    return "Restart nova-compute, on this host: systemctl restart '*nova*compute*'"


def _start(c: HostCase) -> str:
    first = "" if c.node.member else "the host to join the cluster, and for "
    if c.uncompleted_rows:
        return f"{first}nova-compute to start and clean up after {counted(c.uncompleted_rows, 'evacuation')}"
    if not c.sight.compute_restarted:
        return f"{first}nova-compute to start"
    return "the first heartbeat of nova-compute" if c.node.member else "the host to join the cluster"


def _in_service(c: HostCase) -> str:
    kept_out = c.known_service.forced_down or not c.known_service.enabled
    return "back in the cluster" if kept_out else "back in service"


def _lifting(c: HostCase) -> str:
    if not c.known_service.forced_down or c.record.kept:
        return "writing that it stays disabled" if c.policy.return_ == "disabled" else "enabling it"
    return "removing the force-down"


def _back(c: HostCase) -> str:
    """It is not in service while an operator's own force-down or disable keeps it out; muster removes neither."""
    service = c.known_service
    waits_for_you = not service.enabled and service.disabled_reason.startswith(RETURNED)
    if service.forced_down:
        up = f"openstack compute service set --up {service.host} nova-compute"
        both = f"openstack compute service set --up --enable {service.host} nova-compute"
        return (
            "back in the cluster, but an operator's force-down keeps it out of service. To end that:"
            f" {both if waits_for_you else up}"
        )
    if waits_for_you:
        return f"back in the cluster, and stays disabled until you enable it: {_enable(c)}"
    if not service.enabled:
        why = f" ({service.disabled_reason})" if service.disabled_reason else ""
        return f"back in the cluster, but an operator has disabled it{why}. To end that: {_enable(c)}"
    return "back in service"


def _enable(c: HostCase) -> str:
    service = c.known_service
    return f"openstack compute service set --enable {service.host} nova-compute"


def _not_cleaned_up(c: HostCase) -> str:
    rows = counted(c.uncompleted_rows, "evacuation") if c.uncompleted_rows else "an evacuation of an earlier incident"
    return f"did not clean up after {rows}"


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
        lambda c: bool(c.node.unproved) and not c.node.confirmed_at and (c.node.record is None or c.fenced_since),
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
        lambda c: c.fenced_since,
        State.FENCED,
        lambda c: "the host was fenced again",
        lambda c: (WriteRecord(c.node.name, c.record, c.record.fenced_again(c.fenced_at)),),
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
        lambda c: c.misdated,
        State.FENCED,
        lambda c: (
            f"the record is dated {abs(c.record.last - c.sight.seen_at):.0f} s"
            f" {'after' if c.record.last > c.sight.seen_at else 'before'} this worker saw it: a controller's clock is"
            " wrong. muster corrects the record by this controller's clock. Compare the clocks: chronyc tracking"
        ),
        lambda c: (SwapRecord(c.node.name, c.record, c.redated),),
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
        lambda c: c.phase is Phase.RETURNING and c.node.hold and c.now >= c.stopped_from,
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
        lambda c: isinstance(c.service, Unknown),
        State.BLOCKED,
        lambda c: f"{c.service}. For the command: muster doctor",
    ),
    HostRule(
        "service-unreadable",
        lambda c: bool(c.known_service.unreadable),
        State.BLOCKED,
        lambda c: f"what Nova shows of its nova-compute cannot be read: {c.known_service.unreadable}",
    ),
    HostRule(
        "cell-silent",
        lambda c: not c.known_service.known,
        State.BLOCKED,
        lambda c: f"the Nova cell of {c.known_service.host} does not answer; muster continues when it answers",
    ),
    # -- the way back
    HostRule(
        "returns-running",
        lambda c: c.back_too_soon,
        State.BLOCKED,
        lambda c: _lives(
            c,
            f"Pacemaker found nova-compute still running on {c.node.name}",
            _SYSTEMD,
        ),
    ),
    HostRule(
        "retry-ordered",
        lambda c: c.wanted_again > 0,
        State.EVACUATING,
        lambda c: f"an operator wants {counted(c.wanted_again, 'server')} tried again: nova-compute stays stopped",
        lambda c: (WriteRecord(c.node.name, c.record, replace(c.record, phase=Phase.EVACUATING)),),
    ),
    HostRule(
        "begun-by-hand",
        lambda c: c.begun_by_hand > 0,
        State.EVACUATING,
        lambda c: f"somebody else started {counted(c.begun_by_hand, 'evacuation')}: nova-compute stays stopped",
        lambda c: (WriteRecord(c.node.name, c.record, replace(c.record, phase=Phase.EVACUATING)),),
    ),
    HostRule(
        # What it leaves here is cleaned up by a start of nova-compute that comes after its end.
        "begun-late",
        lambda c: c.begun_late > 0 and c.out_of_service,
        State.RETURNING,
        lambda c: f"nova-compute is back; waiting for {counted(c.begun_late, 'evacuation')} from here to end",
        proves=True,
    ),
    HostRule(
        "starts-anew",
        lambda c: c.completed_in_part and c.node.member and c.sight.compute_stops < STARTS_ANEW,
        State.RETURNING,
        lambda c: f"nova-compute started, but {_not_cleaned_up(c)}: restarting it",
        lambda c: (StopCompute(c.node.name, c.record),),
        proves=True,
    ),
    HostRule(
        "half-finished",
        lambda c: c.completed_in_part,
        State.RETURNING,
        lambda c: (
            f"nova-compute started, but {_not_cleaned_up(c)}: one start cleans up after only one of each server."
            f" {_restart(c)}"
        ),
        proves=True,
    ),
    HostRule(
        # Also with nothing left to lift: a lift that was lost may be carried out when the host is off once more.
        # Enabled before its first heartbeat it would read up, and get no server for a minute (facts.md N46).
        "awaits-compute",
        lambda c: c.phase is Phase.RETURNING and (not c.sight.back_at or (c.uncompleted_rows > 0 and c.out_of_service)),
        State.RETURNING,
        lambda c: f"waiting for {_start(c)}; " + _with_awaited(c, f"left on the host: {_named(c, 'held', 'skipped')}"),
        proves=True,
    ),
    HostRule(
        "force-up",
        lambda c: (
            c.phase is Phase.RETURNING and ((c.known_service.forced_down and not c.record.kept) or c.disabled_by_us)
        ),
        State.RETURNING,
        lambda c: f"nova-compute is back: {_lifting(c)}",
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
            c.phase is Phase.RETURNING and (c.sight.listed_at < c.orders_done_at or c.sight.doubted or c.still_at_work)
        ),
        State.RETURNING,
        lambda c: f"{_in_service(c)}: listing its servers again, because orders may have waited for the host",
        lambda c: (
            (ListAgain(c.node.name),)
            * (
                c.sight.listed_at < c.orders_done_at <= c.now
                or (c.still_at_work and c.now - c.sight.listed_at >= LIST_FRESH_S)
            )
        ),
        proves=True,
    ),
    HostRule(
        "verdicts-open",
        lambda c: c.phase is Phase.RETURNING and c.open_findings > 0,
        State.RETURNING,
        lambda c: f"{_in_service(c)}: {_named(c, 'evacuating', 'queued', 'parked', 'unknown')}",
        proves=True,
    ),
    HostRule("close", lambda c: c.phase is Phase.RETURNING, State.RETURNING, _back, _close),
    # -- guards before anything is asked of Nova
    HostRule(
        "fencing-refuted",
        lambda c: c.refuted,
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
        lambda c: c.now < c.off_since + c.delay_s,
        State.FENCED,
        lambda c: (
            f"waiting until {c.delay_s:.0f} s after the fencing (delay_s): storage leases must end, and a host that"
            " still runs must show a heartbeat"
        ),
    ),
    HostRule(
        "heartbeat-watched",
        lambda c: c.doubtful and c.sight.unchanged_for_s < c.sight.beats_every_s + LATE_BEAT_S,
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
        lambda c: c.now < c.sight.force_down_late_until,
        State.EVACUATING,
        lambda c: (
            f"waiting {c.sight.force_down_late_until - c.now:.0f} s: an unanswered force-down may still take effect"
        ),
    ),
    HostRule(
        # A start among them would be a second guest; once muster-hold is gone it is too late to look.
        "queue-unread",
        lambda c: bool(c.queue_unread) and not c.queue_unknown,
        State.EVACUATING,
        lambda c: (
            f"{_named(c, *_ALL)}; reading which orders of {counted(len(c.queue_unread), 'server')} still wait for this"
            " host"
        ),
        _read_queue,
    ),
    HostRule(
        "start-waits",
        lambda c: bool(c.start_waits),
        State.BLOCKED,
        lambda c: (
            f"Nova still queues orders for {c.known_service.host}: {c.start_waits}. nova-compute there would start the"
            f" guest a second time. {_lost_with_the_queue(c)} To empty it, {_purge(c)}"
        ),
    ),
    HostRule(
        "queue-unknown",
        lambda c: bool(c.queue_unknown),
        State.BLOCKED,
        lambda c: (
            f"Nova does not show the action log of {first_three(c.queue_unknown)}, so muster cannot tell whether a"
            f" start still waits for {c.known_service.host}. nova-compute there would start the guest a second time."
            f" {_lost_with_the_queue(c)}"
            f" muster continues when the log can be read: openstack server event list {c.queue_unknown[0]}. If it"
            f" cannot, empty the queue {_purge(c)}"
        ),
        _read_queue,
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
    HostRule(
        "flaps",
        lambda c: c.times_fenced >= FLAPS and not c.node.standing_orders.released,
        State.BLOCKED,
        lambda c: (
            f"fenced in {c.times_fenced} incidents within {c.policy.flap_window_s} s (flap_window_s), so muster keeps"
            f" nova-compute stopped there; {_named(c, *_ALL)}. After the repair: muster release {c.node.name}"
        ),
    ),
    HostRule("settled", lambda c: True, State.SETTLED, lambda c: _with_awaited(c, _named(c, *_ALL)), _release),
)


def assess(case: HostCase) -> HostRule:
    """The first row that fits."""
    return next(rule for rule in RULES if rule.when(case))
