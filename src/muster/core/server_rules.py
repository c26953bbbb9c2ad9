# SPDX-License-Identifier: Apache-2.0
"""The rules of one server: the first row that fits gives the verdict, and its reason is the log line.

Policy about servers stands here and nowhere else; about hosts in :mod:`muster.core.host_rules`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from muster.core.bounds import SKEW_S
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import EvacuationStatus, Power, Service
from muster.core.printable import counted, first_three
from muster.core.server_case import POWER_OF_STATE, ServerCase, same_host
from muster.core.sight import Outcome, Tries

REPEATS = 3
REPEAT_S = 30.0
"""A stop or a reset that had no effect is sent again, so often and after so long."""

CALL_LATE_S = 30.0
"""An evacuation that Nova has not begun by then may be one that it never will."""

CALL_TRIES = 3
"""So often Nova is asked where a rebuild failed; without an answer it may have been anywhere."""

LOG_TRIES = 10
"""After so many failures in a row, the first few at once, nothing will say what the owner wants."""

YES = frozenset({"true", "yes", "on", "1"})
NO = frozenset({"false", "no", "off", "0"})

SET_ACTIVE = "openstack server set --state active --auto-approve {id}"
"""Otherwise the client asks on its terminal, and fails without one (python-openstackclient from 8.1.0 on: SetServer in
compute/v2/server.py)."""

# Nova refuses to evacuate these (409, api: check_instance_state); nothing of ours may touch them.
REFUSED_STATES = {
    "paused": "Nova cannot unpause it on a dead host. To evacuate it without its memory:"
    f" {SET_ACTIVE}, then muster retry {{id}}",
    "suspended": f"its memory is on the dead host. To evacuate it without: {SET_ACTIVE}, then muster retry {{id}}",
    "rescued": f"Nova does not evacuate it in this state. To evacuate it: {SET_ACTIVE}, then muster retry {{id}}",
    "resized": "when the host is back: openstack server resize confirm {id}, or openstack server resize revert {id}",
    "shelved": "its guest does not run. When the host is back: openstack server unshelve {id}",
    "building": "it never ran. Create it again after: openstack server delete {id}",
}
RESETTABLE_STATES = ("paused", "suspended", "rescued")
LEFT_ALONE_STATES = {
    "shelved_offloaded": "shelved and offloaded: nothing of it is on the host",
    "soft-delete": "its owner deleted it; Nova keeps it only for a restore",
    "soft_deleted": "its owner deleted it; Nova keeps it only for a restore",
    "deleted": "its owner deleted it",
}
DELETING_TASKS = ("deleting", "soft-deleting")
# A resize is three messages, each of which waits for a host that is dead, whatever has become of the server meanwhile
# (nova/compute/manager.py: prep_resize, resize_instance, finish_resize; _init_instance at the start).
RESIZE_TASKS = {
    "resize_prep": "To evacuate the server now: muster retry {id}. When the host is back, it carries that out and Nova"
    f" shows the server as ERROR. Then: {SET_ACTIVE}",
    "resize_migrating": "Nova cancels it when the host is back. If the host never returns:"
    f" {SET_ACTIVE}, then muster retry {{id}}",
    "resize_migrated": "The host starts the server when it is back. If the host never returns:"
    f" {SET_ACTIVE}, then muster retry {{id}}",
    "resize_finish": "The host had begun to start it. When the host is back, or if it never returns:"
    f" {SET_ACTIVE}. Then openstack server reboot --hard {{id}}, or muster retry {{id}}",
}

UNREADABLE = ("server-unreadable", "cell-silent", "evacuation-unreadable")
"""The rows of an unknown outcome that muster cannot clear up by reading on."""

AFTER_PROOF = ("changed-unread", "changed-at-return")
"""What is said of a server that was proved and that its host, as it came back, has changed."""

RETURN_PROOFS_S = 120.0
"""What is not known of a server so long after its host came back is left to a person."""


class ServerStep(enum.Enum):
    """What a row asks for; :mod:`muster.core.decide` says whether and when it becomes a step of the pass."""

    EVACUATE = "evacuate"
    RESET = "reset"
    STOP = "stop"
    READ_LOG = "read-log"
    READ_SERVER = "read-server"
    READ_CALLS = "read-calls"


@dataclass(frozen=True)
class ServerRule:
    """One row: if ``when`` holds, the server has this verdict for this reason."""

    name: str
    when: Callable[[ServerCase], bool]
    verdict: Verdict
    reason: Callable[[ServerCase], str]
    step: Optional[ServerStep] = None


def _vm_power(c: ServerCase) -> Optional[Power]:
    return POWER_OF_STATE.get(c.server.vm_state)


def _stale(c: ServerCase) -> bool:
    """Long enough unchanged that it will not change by itself."""
    return c.now - max(c.server.updated, c.last.updated if c.last else 0.0) > SKEW_S


def _opted_out(c: ServerCase) -> bool:
    return c.marked(NO)


def _empty_rebuild(c: ServerCase) -> bool:
    """Without shared storage Nova rebuilds an image-backed server from its image: the data is gone (facts.md N24)."""
    return not c.policy.shared_storage and c.server.image != ""


def _lost(c: ServerCase) -> bool:
    """Nova calls the evacuation finished, yet the server is on the dead host (facts.md N12)."""
    last = c.last
    if last is None or not last.status.arrived or c.server.host != c.source or c.skipped or c.released:
        return False
    # One of an earlier incident was completed at the return, and the server has been moved back since.
    earlier = last.created < c.first - SKEW_S / 2 and not c.server.task_state.startswith("rebuild")
    return last.status is EvacuationStatus.DONE or not earlier


def _shown_by(c: ServerCase) -> float:
    """Who reads the server later than this sees it on the other host, or never will."""
    return c.seen.ended_at + SKEW_S


def _vanished(c: ServerCase) -> bool:
    return c.pending and c.sent is not None and c.sent.outcome is Outcome.TAKEN


def _repeat_due(tried: Tries, now: float) -> bool:
    return tried.times < REPEATS and now - tried.at >= REPEAT_S


def _to_reset(c: ServerCase) -> bool:
    """Nova refuses it as it is, and the operator lets muster reset its state (it comes up running then)."""
    given_up = c.seen.resets.times >= REPEATS and c.now - c.seen.resets.at >= REPEAT_S
    return c.server.vm_state in RESETTABLE_STATES and c.server.vm_state in c.policy.reset_states and not given_up


def _readable(c: ServerCase) -> bool:
    """Its action log is worth asking for."""
    return c.seen.unread.times < LOG_TRIES or c.seen.unread.at < c.retried_at


def _outdated(c: ServerCase) -> bool:
    """A stop is to be repeated, and the log was read before that was due: the stop may have had its effect, and its
    owner have started it since."""
    stops = c.seen.stops
    return stops.times > 0 and _repeat_due(stops, c.now) and c.log_read_at < stops.at + REPEAT_S


def _nothing_says(c: ServerCase) -> str:
    withheld = "" if c.log_read else " (Nova does not show its action log)"
    return f"muster cannot tell whether its owner wants it running{withheld}"


def _woken(c: ServerCase) -> bool:
    """It has arrived and runs although its owner had stopped it: Nova brings ERROR back as ACTIVE (facts.md N7, N8)."""
    return (
        bool(c.arrival)
        and c.log_read
        and c.wanted is Power.STOPPED
        and c.server.vm_state == "active"
        and not c.server.task_state
    )


def _state_before(c: ServerCase) -> str:
    return c.seen.before.vm_state if c.seen.before else ""


def _differs(c: ServerCase) -> bool:
    return not c.server.task_state and _vm_power(c) not in (None, c.wanted)


def _resizing(c: ServerCase) -> bool:
    """And nobody has said that it is to be evacuated all the same, as he may as long as no disk has been moved."""
    ordered = bool(c.retried_at) and c.server.task_state == "resize_prep"
    return c.server.task_state in RESIZE_TASKS and not (ordered or c.host.back_at)


def _age(c: ServerCase) -> int:
    evacuation = c.open_evacuation
    return max(0, int(c.now - evacuation.created)) if evacuation and evacuation.created else 0


def _too_long(c: ServerCase) -> bool:
    return _age(c) > c.policy.stuck_after_s


def _ageless(c: ServerCase) -> bool:
    """It does not say when it began: it may be as old as one that hangs, and as young as any other."""
    return c.open_evacuation is not None and not c.open_evacuation.created


def _not_begun(c: ServerCase) -> bool:
    """Taken by Nova, and by no destination yet; with one that it was sent to its row names that, too."""
    return c.open_evacuation is not None and c.open_evacuation.status is EvacuationStatus.ACCEPTED


def _late(c: ServerCase) -> bool:
    """It should have begun; or it never will, for another one has brought the server elsewhere."""
    return _not_begun(c) and (_overtaken(c) or c.server.host not in ("", c.source))


def _overtaken(c: ServerCase) -> bool:
    """It was listed as not begun long after it was accepted, and Nova has begun one that is so much younger, or none in
    all that time.  Else it waits for its turn: of 200 calls in the conductor the last one waits for a minute."""
    accepted = c.open_evacuation.created if c.open_evacuation else 0.0
    if min(c.now, c.host.evacuations_at) - accepted < CALL_LATE_S:
        return False
    stands_still = c.host.evacuations_at - c.progress.changed_at >= CALL_LATE_S
    return stands_still or c.progress.begun_to - accepted >= CALL_LATE_S


def _given_up(c: ServerCase) -> bool:
    """An operator no longer waits for what Nova has not begun in all the time that it may take."""
    return (c.skipped or c.released) and _not_begun(c) and _too_long(c) and not c.awaited_by


def _unreadable(c: ServerCase) -> str:
    """Whether something is under way, and where, nobody can tell then."""
    return next((f"migration {m.id}: {m.unreadable}" for m in c.evacuations if m.unreadable and not c.void(m)), "")


def _see_to_it(c: ServerCase) -> str:
    if c.waits_for:
        return f". Start {c.waits_for} or its nova-compute; see docs/runbook.md: An evacuation waits for a host"
    return ". No host is named; see docs/runbook.md: An evacuation has not begun, and no host is named"


def _on_the_way(c: ServerCase) -> str:
    if _not_begun(c):
        queue = f": it waits for {c.waits_for} and begins when nova-compute runs there" if c.waits_for else ""
        remedy = f"{_see_to_it(c)}{_let_go(c)}" if _too_long(c) else ""
        return f"Nova accepted the evacuation, but has not begun for {_age(c)} s{queue}{remedy}"
    evacuation = c.open_evacuation
    return (
        f"on its way to {(evacuation.dest if evacuation else '') or 'a host that Nova has not named'} for {_age(c)} s"
    )


def _let_go(c: ServerCase) -> str:
    """What ends the wait; first that of whoever waits for this one."""
    if c.awaited_by:
        return f". {c.awaited_by}, where the server is now, waits for this one. See: muster status {c.awaited_by}"
    return f". To let its host return without it: muster skip {c.server.id} --host {c.source}"


def _taking(c: ServerCase) -> bool:
    """Nova writes the task before it writes the migration (nova/compute/api.py, evacuate)."""
    accepted = any(evacuation.status is EvacuationStatus.ACCEPTED for evacuation in c.evacuations)
    return c.server.task_state == "rebuilding" and not accepted and not _stale(c)


def _calls_unread(c: ServerCase) -> bool:
    """Where its rebuild failed decides where it may be sent, and Nova has not said it yet."""
    if not (c.failed_on or c.failed_earlier) or c.failed_at_spawn:
        return False
    known = c.current_calls
    if known is None:
        return True
    return known.traces is None and known.tries < CALL_TRIES


def _met_on(c: ServerCase) -> str:
    return next((dest for dest in c.failed_on if c.met_guest(dest)), "")


def _may_run(c: ServerCase) -> str:
    """What to tell where nothing proves that a failed rebuild has left no guest."""
    if not c.failed_on:
        return ""
    return (
        f"; it may run on {' or '.join(c.failed_on)}, where its rebuild failed: muster tries it nowhere else. If that"
        " host is dead, fence it; muster then continues"
    )


def _evacuate(c: ServerCase) -> str:
    """The command for a person; the last one that names no host and does not force one."""
    return f"openstack --os-compute-api-version 2.14 server evacuate {c.server.id}"


def _novas(c: ServerCase) -> str:
    """Nova's own words; the sentence goes on behind them."""
    return c.words.rstrip(".")


def _other_hosts(c: ServerCase) -> str:
    """Why there may be no room: what is the matter with the other computes."""
    others = [s for s in c.host.services if s.known and not s.unreadable and not same_host(s.host, c.source)]
    out = [f"{service.host} {_out(service)}" for service in others if _out(service)]
    full = [service.host for service in others if not _out(service)]
    if len(others) == 1 and out:
        return f". The only other compute, {others[0].host}, {_out(others[0])}"
    said = [*out[:3], *([f"{len(out) - 3} more are not in service"] if len(out) > 3 else [])]
    said += [f"{first_three(full)} {'has' if len(full) == 1 else 'have'} no room that fits"] if full else []
    return f". Other computes: {'; '.join(said)}" if said else ""


def _out(service: Service) -> str:
    """Why Nova's scheduler does not take the host; empty where it may."""
    if service.forced_down:
        return "is forced down"
    if not service.enabled:
        return f"is disabled: {service.disabled_reason}" if service.disabled_reason else "is disabled"
    return "" if service.up else "is down"


def _tried(c: ServerCase) -> str:
    if not c.failures:
        said = f"Nova found no host with room ({counted(c.tries, 'try', 'tries')}): {_novas(c)}{_may_run(c)}"
        return said + _other_hosts(c)
    return f"{c.failures} of {c.policy.attempts} tries failed: {_novas(c)}{_may_run(c)}"


def _exhausted(c: ServerCase) -> bool:
    """Waiting for room has no end, unless it keeps away the very host that has room for it."""
    return c.failures >= c.policy.attempts or (c.host_back and c.tries >= c.policy.attempts)


RULES: tuple[ServerRule, ...] = (
    ServerRule("deleted", lambda c: c.server.deleted, Verdict.GONE, lambda c: "deleted"),
    ServerRule(
        "server-unreadable",
        lambda c: bool(c.server.unreadable),
        Verdict.UNKNOWN,
        lambda c: f"muster cannot read Nova's entry of server {c.server.id}: {c.server.unreadable}",
    ),
    ServerRule("cell-silent", lambda c: not c.server.known, Verdict.UNKNOWN, lambda c: "its Nova cell does not answer"),
    # -- it is somewhere else: prove it, or say what is missing
    ServerRule(
        "changed-unread",
        lambda c: c.changed and not c.log_read and _readable(c),
        Verdict.UNKNOWN,
        lambda c: "it changed after its host came back: reading its action log",
        ServerStep.READ_LOG,
    ),
    ServerRule(
        "changed-at-return",
        lambda c: c.changed and _vm_power(c) is not c.wanted,
        Verdict.HELD,
        lambda c: (
            f"{c.server.vm_state} on {c.server.host} since {c.source} is back, {_state_before(c)}"
            f" before: {c.source} carried out an order that had waited, or its owner gave one. See: openstack server"
            f" event list {c.server.id}. If the guest runs well: {SET_ACTIVE.format(id=c.server.id)}"
        ),
    ),
    # What was proved stays proved: its owner may stop, move or pause it the moment after.
    ServerRule(
        "proved", lambda c: c.seen.proved, Verdict.EVACUATED, lambda c: f"{c.server.vm_state} on {c.server.host}"
    ),
    ServerRule("being-read", lambda c: c.seen.reread, Verdict.UNKNOWN, lambda c: "reading the server again"),
    ServerRule(
        "evacuation-unreadable",
        lambda c: bool(_unreadable(c)),
        Verdict.UNKNOWN,
        lambda c: f"muster cannot read Nova's entry of an evacuation of server {c.server.id}: {_unreadable(c)}",
    ),
    ServerRule(
        # What was seen on the dead host may be overtaken by now: before anything is made of a difference, ask.  Of a
        # stopped one always: a start that was given before it was sent waits for its host.
        "arrived-unread",
        lambda c: (
            bool(c.arrival)
            and _readable(c)
            and (
                (c.server.vm_state == "stopped" and c.log_read_at < c.seen.ended_at)
                or ((not c.log_read or _outdated(c)) and (c.wanted is Power.UNKNOWN or _differs(c)))
            )
        ),
        Verdict.UNKNOWN,
        lambda c: f"on {c.server.host}: reading its action log",
        ServerStep.READ_LOG,
    ),
    ServerRule(
        "arrived-proved",
        lambda c: bool(c.arrival) and not c.server.task_state and _vm_power(c) is c.wanted,
        Verdict.EVACUATED,
        lambda c: (
            f"{c.server.vm_state} on {c.server.host}, migration {c.arrival.status.value if c.arrival else ''}"
            + ("; muster had reset its state" if c.seen.resets.times else "")
        ),
    ),
    ServerRule(
        "arrived-running-unwanted",
        lambda c: _woken(c) and not _outdated(c) and (c.seen.stops.times < REPEATS or not _stale(c)),
        Verdict.EVACUATING,
        lambda c: f"on {c.server.host} and running, but its owner had stopped it: stopping it",
        ServerStep.STOP,
    ),
    ServerRule(
        "arrived-working",
        lambda c: bool(c.arrival) and bool(c.server.task_state) and not _stale(c),
        Verdict.EVACUATING,
        lambda c: f"on {c.server.host}, task {c.server.task_state}",
    ),
    ServerRule(
        # Its owner may have had his wish since it was read.
        "arrived-older",
        lambda c: bool(c.arrival) and c.seen.read_at < c.log_read_at,
        Verdict.UNKNOWN,
        lambda c: f"on {c.server.host}: reading the server again, because its action log was read later",
        ServerStep.READ_SERVER,
    ),
    ServerRule(
        "arrived-otherwise",
        lambda c: bool(c.arrival),
        Verdict.HELD,
        lambda c: (
            f"on {c.server.host}, but {c.server.vm_state}"
            + (f" with task {c.server.task_state}" if c.server.task_state else "")
            + (f", and {_nothing_says(c)}" if c.wanted is Power.UNKNOWN else f"; its owner wants it {c.wanted.value}")
            + (f": {c.server.fault.rstrip('.')}" if c.server.fault else "")
            + f". See: openstack server show {c.server.id}"
        ),
    ),
    # -- something of ours, or of another hand, is under way: never a second call
    ServerRule(
        "never-begun",
        _given_up,
        Verdict.HELD,
        lambda c: (
            f"Nova accepted the evacuation {_age(c)} s ago and has not begun; an operator no longer waits for it. Nova"
            f" may still begin. Before you start the server anywhere: openstack server event list {c.server.id}"
        ),
    ),
    ServerRule("not-begun", _late, Verdict.EVACUATING, _on_the_way, ServerStep.READ_CALLS),
    ServerRule("on-the-way", lambda c: c.open_evacuation is not None, Verdict.EVACUATING, _on_the_way),
    ServerRule(
        "moved-by-hand",
        lambda c: c.server.host not in ("", c.source) and not c.asked,
        Verdict.SKIPPED,
        lambda c: f"now on {c.server.host}: somebody else moved it there",
    ),
    ServerRule(
        # Nova saves the server's host first, then that the row is done (resource_tracker.py, finish_evacuation).
        "finish-unseen",
        lambda c: _lost(c) and (not _stale(c) or c.now < _shown_by(c)),
        Verdict.UNKNOWN,
        lambda c: "its migration has finished, but Nova does not show the server on the other host yet",
    ),
    ServerRule(
        "finish-older",
        lambda c: _lost(c) and c.seen.read_at < _shown_by(c),
        Verdict.UNKNOWN,
        lambda c: "its migration has finished, but the server was read before that: reading the server again",
        ServerStep.READ_SERVER,
    ),
    ServerRule(
        "completed-but-not-moved",
        _lost,
        Verdict.HELD,
        lambda c: (
            f"its migration is {c.last.status.value if c.last else ''}, but Nova still shows it on {c.source}. Make"
            f" sure that it does not run on {(c.last.dest if c.last else '') or 'any host'} (virsh domstate"
            f" {c.server.id}), then {_evacuate(c)}"
        ),
    ),
    ServerRule(
        "call-pending",
        lambda c: c.asked,
        Verdict.EVACUATING,
        lambda c: f"asked Nova {int(c.now - c.sent.at) if c.sent else 0} s ago; Nova shows no migration yet",
    ),
    ServerRule(
        "call-older",
        lambda c: _vanished(c) and c.sent is not None and c.seen.read_at < c.sent.quiet_until,
        Verdict.UNKNOWN,
        lambda c: f"Nova shows no migration for request {c.request_id}: reading the server again",
        ServerStep.READ_SERVER,
    ),
    ServerRule(
        "call-vanished",
        lambda c: _vanished(c),
        Verdict.HELD,
        lambda c: (
            f"Nova accepted the call, but shows no migration for it. Search Nova's logs for {c.request_id}, and see:"
            f" openstack server event list {c.server.id}"
        ),
    ),
    ServerRule(
        "call-begun", _taking, Verdict.UNKNOWN, lambda c: "Nova is accepting an evacuation of it; no migration yet"
    ),
    # -- it is on the dead host and nothing moves it: may it be moved?
    ServerRule(
        # One 404 may be about the destination, or from a Nova that has lost its way to a cell: a list has to agree.
        "not-found",
        lambda c: c.not_found and c.listed_at <= c.sent_at,
        Verdict.UNKNOWN,
        lambda c: "Nova did not find it for its evacuation: listing the servers of its host",
    ),
    ServerRule(
        "vanished",
        lambda c: c.not_found and not c.seen.listed,
        Verdict.GONE,
        lambda c: "Nova no longer knows it and does not list it on its host",
    ),
    ServerRule(
        "being-deleted",
        lambda c: c.server.task_state in DELETING_TASKS and not _stale(c),
        Verdict.UNKNOWN,
        lambda c: "its owner is deleting it",
    ),
    ServerRule(
        "delete-unfinished",
        lambda c: c.server.task_state in DELETING_TASKS,
        Verdict.HELD,
        lambda c: "its owner deleted it, and the delete waits for the host. An evacuation would bring it back",
    ),
    ServerRule(
        "unshelving",
        lambda c: c.server.vm_state == "shelved_offloaded" and bool(c.server.task_state),
        Verdict.HELD,
        lambda c: (
            f"its unshelve had begun here (task {c.server.task_state}), so Nova does not evacuate it, and shows it as"
            f" ERROR when the host is back. If it boots from an image, its data is in {c.server.name}-shelved. If it"
            f" boots from a volume, then: openstack server reboot --hard {c.server.id}"
        ),
    ),
    ServerRule(
        "left-alone",
        lambda c: c.server.vm_state in LEFT_ALONE_STATES,
        Verdict.SKIPPED,
        lambda c: LEFT_ALONE_STATES[c.server.vm_state],
    ),
    ServerRule(
        "other-keeper",
        lambda c: bool(c.keeper_mark),
        Verdict.SKIPPED,
        lambda c: f"excluded by left_to_others: {c.keeper_mark}",
    ),
    ServerRule(
        "skipped-by-order", lambda c: c.skipped, Verdict.SKIPPED, lambda c: "an operator left it here (muster skip)"
    ),
    ServerRule(
        "opted-out",
        _opted_out,
        Verdict.SKIPPED,
        lambda c: f"opted out: {c.policy.tag}=false",
    ),
    ServerRule(
        "not-tagged",
        lambda c: c.policy.evacuate == "tagged" and not c.marked(YES),
        Verdict.SKIPPED,
        lambda c: f"not opted in: muster evacuates only servers with {c.policy.tag}=true",
    ),
    ServerRule(
        # Before every row whose words tell to try it again: that ends the wait.
        "open-elsewhere",
        lambda c: c.blocked_elsewhere and not c.released,
        Verdict.QUEUED,
        lambda c: (
            f"waiting: {c.open_how}. See: muster status {c.open_from}. Once nothing can come of it any more: muster"
            f" retry {c.server.id} --host {c.source}"
        ),
    ),
    ServerRule(
        "state-refused",
        lambda c: c.server.vm_state in REFUSED_STATES and not _to_reset(c),
        Verdict.HELD,
        lambda c: f"{c.server.vm_state}: {REFUSED_STATES[c.server.vm_state].format(id=c.server.id)}",
    ),
    ServerRule(
        "never-launched",
        lambda c: not c.server.launched,
        Verdict.HELD,
        lambda c: f"it never ran. Create it again after: openstack server delete {c.server.id}",
    ),
    ServerRule(
        "state-foreign",
        lambda c: c.server.vm_state not in ("active", "stopped", "error") and not _to_reset(c),
        Verdict.HELD,
        lambda c: f"Nova does not evacuate a server in vm_state {c.server.vm_state!r}",
    ),
    ServerRule(
        # The guest may already run on the other end, where only the hypervisor knows of it.
        "migrating",
        lambda c: c.server.task_state == "migrating",
        Verdict.HELD,
        lambda c: (
            "Nova was live-migrating it. Make sure that it does not run on the target (virsh domstate"
            f" {c.server.id}), then {_evacuate(c)}"
        ),
    ),
    ServerRule(
        "resizing",
        _resizing,
        Verdict.HELD,
        lambda c: (
            f"a resize or migration had begun ({c.server.task_state}) and waits for the host."
            f" {RESIZE_TASKS[c.server.task_state].format(id=c.server.id)}"
        ),
    ),
    ServerRule(
        "would-be-empty",
        _empty_rebuild,
        Verdict.HELD,
        lambda c: "Nova would rebuild it empty: its disk is on the dead host (shared_storage=no)",
    ),
    ServerRule(
        "forbidden",
        lambda c: c.forbidden,
        Verdict.HELD,
        lambda c: f"Nova forbids the evacuation: {_novas(c)}. After the repair: muster retry {c.server.id}",
    ),
    ServerRule(
        "released",
        lambda c: c.released,
        Verdict.HELD,
        lambda c: "left on its host: an operator lets the host return (muster release)",
    ),
    ServerRule(
        "failure-unread",
        _calls_unread,
        Verdict.QUEUED,
        lambda c: f"reading where its last rebuild{' on ' if c.failed_on else ''}{' and '.join(c.failed_on)} failed",
        ServerStep.READ_CALLS,
    ),
    ServerRule(
        "failure-unknown",
        lambda c: c.failed_earlier and c.seen.calls is not None and c.seen.calls.traces is None,
        Verdict.HELD,
        lambda c: (
            "an evacuation of it failed before this incident, and Nova does not show where. Make sure that no host runs"
            f" it (virsh domstate {c.server.id}), then {_evacuate(c)}"
        ),
    ),
    ServerRule(
        # Nova looks for it before it rebuilds it (nova/compute/manager.py, _check_instance_exists).
        "guest-left",
        lambda c: bool(_met_on(c)),
        Verdict.HELD,
        lambda c: (
            f"a failed rebuild has left its guest on {_met_on(c)}, and Nova does not show that. Remove the guest there"
            f" (virsh destroy {c.server.id}; virsh undefine --nvram {c.server.id}), then muster retry {c.server.id}"
        ),
    ),
    ServerRule(
        "failed-on-several",
        lambda c: len(c.failed_on) > 1,
        Verdict.HELD,
        lambda c: (
            f"its rebuild failed on {' and '.join(c.failed_on)}, and it may run on each. Make sure that it does not"
            f" (virsh domstate {c.server.id}), then {_evacuate(c)}"
        ),
    ),
    ServerRule(
        "exhausted-older",
        lambda c: _exhausted(c) and c.seen.read_at < max(c.seen.ended_at, c.sent.at if c.sent else 0.0),
        Verdict.UNKNOWN,
        lambda c: f"{_tried(c)}; reading the server again",
        ServerStep.READ_SERVER,
    ),
    ServerRule(
        "exhausted",
        _exhausted,
        Verdict.HELD,
        lambda c: f"{_tried(c)}. After the repair: muster retry {c.server.id}",
    ),
    # -- its host has it again
    ServerRule(
        "failed-at-return",
        lambda c: bool(c.host.back_at) and c.server.vm_state == "error" and c.server.created < c.host.back_at,
        Verdict.HELD,
        lambda c: (
            f"ERROR on its host, which is back{f' ({c.server.fault})' if c.server.fault else ''}:"
            + (f" {SET_ACTIVE.format(id=c.server.id)}, then" if c.server.task_state else "")
            + f" openstack server reboot --hard {c.server.id}"
        ),
    ),
    ServerRule(
        "left-on-host",
        lambda c: bool(c.host.back_at),
        Verdict.SKIPPED,
        lambda c: "on its host, which is back",
    ),
    ServerRule(
        "owner-unread",
        lambda c: c.wanted is Power.UNKNOWN and not c.log_read and _readable(c),
        Verdict.QUEUED,
        lambda c: "reading its action log",
        ServerStep.READ_LOG,
    ),
    ServerRule(
        "owner-unknown",
        lambda c: c.wanted is Power.UNKNOWN,
        Verdict.HELD,
        lambda c: f"{_nothing_says(c)}. To evacuate it: {_evacuate(c)}",
    ),
    ServerRule("waits-for-retry", lambda c: c.now < c.due, Verdict.PARKED, _tried),
    ServerRule(
        "waits-for-earlier-call",
        lambda c: c.host.evacuations_at < c.host.resumed_until,
        Verdict.QUEUED,
        lambda c: "waiting: an earlier worker may have sent its evacuation",
    ),
    ServerRule(
        "to-be-reset",
        _to_reset,
        Verdict.QUEUED,
        lambda c: f"{c.server.vm_state}: muster resets it to active and evacuates it (reset_states)",
        ServerStep.RESET,
    ),
    ServerRule("ready", lambda c: True, Verdict.QUEUED, lambda c: "waiting for its turn", ServerStep.EVACUATE),
)


def _is_due(step: ServerStep, c: ServerCase) -> bool:
    """What had no effect or no answer is repeated after a pause; meanwhile it does not hold up those behind it."""
    if step is ServerStep.STOP:
        return _repeat_due(c.seen.stops, c.now)
    if step is ServerStep.RESET:
        return _repeat_due(c.seen.resets, c.now)
    if step is ServerStep.READ_LOG:
        return c.seen.unread.due(c.now, REPEAT_S)
    return step is not ServerStep.READ_CALLS or c.calls_due


def judge(case: ServerCase) -> tuple[Finding, Optional[ServerStep]]:
    """The finding of the first row that fits, and the step that is due for it now."""
    rule = next(r for r in RULES if r.when(case))
    evacuation = case.arrival or case.open_evacuation
    verdict, reason = rule.verdict, rule.reason(case)
    pending = case.open_evacuation is not None or case.asked or rule.name == "call-begun"
    step = rule.step if rule.step and _is_due(rule.step, case) else None
    if verdict.open and case.host.back_at and case.now - case.host.back_at > RETURN_PROOFS_S:
        step, verdict = None, Verdict.HELD
        reason = (
            f"its host is back, but its outcome is still open: {reason}. See: openstack server show {case.server.id}"
        )
    finding = Finding(
        server=case.server,
        verdict=verdict,
        rule=rule.name,
        reason=reason,
        source=case.source,
        dest=evacuation.dest if evacuation else "",
        request_id=case.request_id,
        due=case.due if verdict is Verdict.PARKED else 0.0,
        began=evacuation.created if evacuation else 0.0,
        ended=evacuation.updated if evacuation and evacuation.status.arrived else 0.0,
        under_way=verdict.open and pending and not (_ageless(case) or _too_long(case)),
        alarm=verdict is Verdict.EVACUATING and _too_long(case),
        attempts=len(case.evacuations),
        target=case.target,
        queued_start=case.seen.queued_start,
        may_run=bool(case.failed_on),
        queue_unread=case.queue_unread,
        waits_for=case.waits_for if rule.name == "not-begun" else "",
    )
    return finding, step
