# SPDX-License-Identifier: Apache-2.0
"""The evidence about one dead host: what was seen of it, and the questions that the rules ask of that."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Union

from muster.core.bounds import HEARTBEAT_SKEW_S, LOOKED_AFTER_S
from muster.core.cluster_facts import UNTOUCHED, Node, Phase, Record
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import EvacuationStatus, Service
from muster.core.policy import Policy
from muster.core.printable import first_three
from muster.core.sight import NEVER_TRIED, HostSight, ServerSight, Tries
from muster.core.unknown import Unknown

MARK = "muster: "
"""Begins the disabled_reason of every service that muster disabled; without it the disable is an operator's."""
RETURNED = f"{MARK}returned"
"""How the reason begins of a host that muster let come back disabled: from then on it is the operator's to enable."""
LATE_BEAT_S = 2.0
"""A heartbeat may come so much after its time."""
BEATS_S = 10.0
"""The default of Nova's report_interval (nova/conf/service.py)."""
REFENCED_AFTER_S = 60
"""Pacemaker's own fencing time is that of the whole operation, the record's that of its middle, and a power-on that
times out comes between them: it counts only for a host that was let back since, and never against a sign of life."""
ORDERS_DONE_S = 5.0
"""So long after a heartbeat of a nova-compute that has started, what had waited for it has been carried out."""
ORDERS_LATEST_S = 60.0
"""The same where a server on the host has a task, or had one that has come to nothing yet."""
BEATS_NO_MORE_S = 5.0
"""What beats no more so long after its next heartbeat was due has stopped."""
LIFT_AGAIN_S = 60.0
"""So long after Nova has refused to lift the force-down it is asked again, where nothing shows that it would not."""
QUEUE_TRIES = 3
QUEUE_AGAIN_S = 30.0
QUEUE_READS_A_PASS = 20
"""After so many failures in a row a person is told that Nova does not say which orders wait for the host; it is asked
on, so often at least, and for so many servers at once."""

UNDER_WAY = ("not-begun", "on-the-way")
"""The rules of servers of which an evacuation is seen that may still bring up a guest."""

NOT_NAMED = Unknown("")


def _in_turn(tried: Tries) -> tuple[bool, int, float]:
    """What has failed is tried until it counts as unknown, then the others, and then it is tried on."""
    unknown = tried.times >= QUEUE_TRIES
    return unknown, 0 if unknown else -tried.times, tried.at


@dataclass(frozen=True)
class HostCase:
    """One node with an incident, and everything that decides about it.  What almost every row asks for is kept.

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
    service: Union[Service, Unknown] = NOT_NAMED
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

    @functools.cached_property
    def record(self) -> Record:
        assert self.node.record is not None
        return self.node.record

    @functools.cached_property
    def known_service(self) -> Service:
        assert not isinstance(self.service, Unknown), self.service
        return self.service

    @functools.cached_property
    def phase(self) -> Phase:
        return self.record.phase

    @property
    def times_fenced(self) -> int:
        """In how many incidents within ``flap_window_s``, this one included."""
        earliest = self.record.first - self.policy.flap_window_s
        past = self.node.past.incidents if self.node.past else ()
        return 1 + sum(earliest < it.first < self.record.first for it in past)

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
            evacuation.status.open
            for server, evacuations in self.sight.evacuations.items()
            if server not in settled
            for evacuation in evacuations
        )

    @property
    def start_waits(self) -> str:
        """Which orders of servers that are elsewhere, or may be, would start their guests here; empty without any."""
        here = self.known_service.host
        away = (f for f in self.findings if f.queued_start and (f.server.host != here or f.may_run))
        return first_three([f"{f.queued_start} of {f.server.id}" for f in away if not self._lost_since(f.server.id)])

    @property
    def queue_unread(self) -> list[str]:
        """Servers that run elsewhere, or may, and of which nobody knows yet what waits for this host."""
        unread = (f.server.id for f in self.findings if f.queue_unread and f.verdict is not Verdict.GONE)
        return [server for server in unread if not self._lost_since(server)]

    def _lost_since(self, server: str) -> bool:
        """An operator has emptied the queue since it was last sent away: what waits for it came to wait before that."""
        sent_away = (evacuation.created for evacuation in self.sight.evacuations.get(server, ()))
        return self.node.standing_orders.queue_emptied > max(sent_away, default=0.0)

    @property
    def queue_unknown(self) -> list[str]:
        """Those among them of which Nova does not say it."""
        return [server for server in self.queue_unread if self._log_tries(server).times >= QUEUE_TRIES]

    @property
    def queue_to_read(self) -> list[str]:
        """Those among them whose action log is to be asked for now: none for a while after one could not be read,
        whichever it was.  By how often that one has failed, however quickly (decide.py, _logs_rest, goes by how long
        it took): these are the first steps of a pass, and what fails ends it, for the other hosts as well."""
        unread = self.queue_unread
        last = max(map(self._log_tries, unread), key=lambda it: it.at, default=NEVER_TRIED)
        if not last.due(self.now, QUEUE_AGAIN_S):
            return []
        return sorted(unread, key=lambda server: _in_turn(self._log_tries(server)))[:QUEUE_READS_A_PASS]

    def _log_tries(self, server: str) -> Tries:
        seen = self.sight.servers.get(server)
        return seen.unread if seen else NEVER_TRIED

    @property
    def unshown(self) -> int:
        """Servers of evacuations that Nova still shows, and no list of its servers does."""
        evacuations = self.sight.evacuations.items()
        known = {server for server, ms in evacuations if any(m.id not in self.sight.dropped for m in ms)}
        return len(known - set(self.sight.servers))

    @property
    def uncompleted_rows(self) -> int:
        rows = (m for evacuations in self.sight.evacuations.values() for m in evacuations)
        return sum(m.status is EvacuationStatus.DONE and m.id not in self.sight.dropped for m in rows)

    @property
    def disabled_by_us(self) -> bool:
        service = self.known_service
        reason = service.disabled_reason
        return not service.enabled and reason.startswith(MARK) and not reason.startswith(RETURNED)

    @property
    def out_of_service(self) -> bool:
        """Forced down by anybody, or disabled by muster."""
        return self.known_service.forced_down or self.disabled_by_us

    @property
    def fenced_since(self) -> bool:
        """It was let back, came, and was fenced again.  To who released it and has seen it away since, a later time is
        only the end of the fencing on record."""
        may_have_been_back = self.sight.has_rejoined or not self.sight.released
        late = self.fenced_at > self.record.last + REFENCED_AFTER_S
        return self.phase is Phase.RETURNING and not self.node.member and late and may_have_been_back

    @property
    def refuted(self) -> bool:
        """nova-compute wrote to Nova after the power was said to be off: nobody may be started a second time."""
        if self.sight.heartbeat_after_fencing or self.record.lives:
            return True
        service = self.known_service
        early = service.updated_at > self.record.last + HEARTBEAT_SKEW_S and not self._may_be_late_lift
        # An admin's change moves that time, too: if somebody disabled it, Nova has to call it down first.
        changed = service.forced_down or not (service.enabled or service.up)
        return early and not self.disabled_by_us and not changed

    @property
    def _may_be_late_lift(self) -> bool:
        """This incident has cut a return short: what its worker had sent to lift the force-down may have been carried
        out since.  A host that lives beats again, and is watched for that."""
        cut_short = self.record.forced or self.record.kept
        latest = self.record.first + self.policy.late_call_s + HEARTBEAT_SKEW_S
        return cut_short and self.known_service.updated_at <= latest

    @property
    def back_too_soon(self) -> bool:
        """Let return, and found running before it has restarted: a restart ends the guests that were evacuated and
        turns done into completed (nova-compute, _destroy_evacuated_instances), so whatever runs there has never been
        off."""
        running = self.node.probed_running >= self.record.last
        return self.phase is Phase.RETURNING and running and self.uncompleted_rows > 0

    @property
    def completed_in_part(self) -> bool:
        """Of several evacuations of one server a start completes one, before its first heartbeat
        (nova/compute/manager.py, _destroy_evacuated_instances), and what it leaves `done` keeps Nova from lifting the
        force-down.  Of an earlier incident one may be done only by now, for the conductor takes any row that is
        `accepted` (facts.md N32), and only Nova's refusal tells of it."""
        refused = self.now < self.sight.lift_refused_at + LIFT_AGAIN_S
        left = (self.uncompleted_rows > 0 or refused) and self.out_of_service
        return self.phase is Phase.RETURNING and left and 0.0 < self.sight.back_at < self.sight.evacuations_at

    @property
    def stopped_from(self) -> float:
        """When a nova-compute that was stopped to start anew has beaten no more for so long that it is at its end."""
        return self.sight.compute_stopped_at + self.sight.beats_every_s + BEATS_NO_MORE_S

    @property
    def misdated(self) -> bool:
        """Recorded by a controller whose clock is not ours: not when this worker saw it come, or, before anything was
        done, in the future.  What Pacemaker itself had on record may be old."""
        seen_from, seen_at, last = self.sight.seen_from, self.sight.seen_at, self.record.last
        future = last > seen_at + HEARTBEAT_SKEW_S
        came = seen_from > 0.0 and self.phase in (Phase.FENCED, Phase.EVACUATING)
        wrong = came and (future or last < seen_from - HEARTBEAT_SKEW_S)
        return seen_at > 0.0 and (wrong or (future and self.phase in UNTOUCHED)) and self.redated != self.record

    @property
    def off_since(self) -> float:
        """Not before this worker had last looked for the fencing in vain, whatever clock it was recorded by."""
        return max(float(self.record.last), self.sight.seen_from)

    @property
    def delay_s(self) -> float:
        """A delay that is to show a power device that lies has to, however seldom heartbeats come."""
        given = float(self.policy.delay_s)
        return max(given, self.sight.beats_every_s + LOOKED_AFTER_S) if given >= BEATS_S + LOOKED_AFTER_S else given

    @property
    def redated(self) -> Record:
        """By the clock of who claims it, which is what its evacuations are compared with."""
        seen = int(self.sight.seen_at)
        if self.phase is Phase.EVACUATING:
            return replace(self.record, last=max(self.record.first, seen))
        first = seen if self.record.first == self.record.last else min(self.record.first, seen)
        return replace(self.record, first=first, last=seen)

    @property
    def doubtful(self) -> bool:
        """Its service was written to since the fencing: by an admin, or by a nova-compute that lives."""
        return self.phase in UNTOUCHED and self.known_service.updated_at > self.record.last + HEARTBEAT_SKEW_S

    @property
    def still_off(self) -> bool:
        """Released, and known not to be back: once it has joined the cluster its nova-compute may run, and the old
        fencing proves nothing."""
        service = self.known_service
        seen = self.sight.has_rejoined or self.sight.compute_restarted or service.up or not service.forced_down
        return self.phase is Phase.RETURNING and self.node.known_off and not seen

    @property
    def wanted_again(self) -> int:
        """Servers that an operator wants tried again and nothing hinders, although the host was released already."""
        if not self.still_off:
            return 0
        orders = self.node.standing_orders
        return sum(f.verdict is Verdict.QUEUED and orders.retried_at(f.server.id) > 0 for f in self.findings)

    @property
    def begun_by_hand(self) -> int:
        """Evacuations from here that were begun since it was released, as far as that is known: to a later worker one
        that is more than accepted may be the row of one that has died with its destination (facts.md N14)."""
        if not self.still_off:
            return 0
        here = self.known_service.host  # what has left it is not evacuated from it by anybody
        begun = (f for f in self.findings if f.rule in UNDER_WAY and f.server.host == here)
        rows = (m for f in begun for m in self.sight.evacuations.get(f.server.id, ())[-1:])
        return sum(m.status is EvacuationStatus.ACCEPTED or (m.status.open and self.sight.released) for m in rows)

    @property
    def begun_late(self) -> int:
        """Servers on their way from a host that is back.  What is not over long after that is a person's to look at."""
        here = self.sight.compute_restarted and self.phase is Phase.RETURNING
        return sum(f.rule in UNDER_WAY and f.verdict.open for f in self.findings) if here else 0

    @property
    def orders_done_at(self) -> float:
        """When those that waited for its nova-compute have been carried out: it beats once it takes them."""
        return self.sight.back_at + ORDERS_DONE_S

    @property
    def still_at_work(self) -> bool:
        """What had waited for it may be under way, for a minute at most; what failed is over."""
        here = (seen for seen in self.sight.servers.values() if seen.server.host == self.known_service.host)
        return any(map(_may_change, here)) and self.now < self.sight.back_at + ORDERS_LATEST_S

    @property
    def fenced_at(self) -> int:
        """By Pacemaker's own word; what an operator has confirmed may be off only since then."""
        return max(self.node.fenced_at, self.node.confirmed_at)


def _may_change(seen: ServerSight) -> bool:
    """It has a task; or it had one, which nova-compute takes back as it starts, before it carries out what it was for
    (nova/compute/manager.py, _init_instance)."""
    server, before = seen.server, seen.before
    had_task = before is not None and bool(before.task_state) and before.vm_state == server.vm_state
    return server.vm_state != "error" and (bool(server.task_state) or had_task)
