# SPDX-License-Identifier: Apache-2.0
"""What may be said of a server, from evidence only.

A :class:`ServerCase` holds the facts of one server of one dead host and answers questions about them.  It never
says what to do: that is :mod:`muster.core.server_rules`.
"""

from __future__ import annotations

import fnmatch
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from muster.core.bounds import HEARTBEAT_SKEW_S, SKEW_S
from muster.core.errors import Answer
from muster.core.nova_facts import CallTrace, Evacuation, EvacuationStatus, Power, Server
from muster.core.operator_orders import Orders
from muster.core.policy import Policy
from muster.core.sight import NOT_BEGUN, Calls, HostSight, Outcome, Progress, Sent, ServerSight

POWER_OF_STATE = {"active": Power.RUNNING, "stopped": Power.STOPPED}

RETRY_DELAY_LIMIT_S = 600.0
"""However often it failed, a server is tried again after ten minutes at the latest."""
CALLS_AGAIN_S = 30.0
"""Nova is asked again what has become of a call that it has not begun: after this, then after twice as long."""


NO_ORDERS = Orders(0)


def same_host(one: str, other: str) -> bool:
    """As far as words for people need it: placement has hypervisors' names, with a domain or without."""
    return one.partition(".")[0].casefold() == other.partition(".")[0].casefold()


def died_under_way(evacuation: Evacuation, dead: Mapping[str, float]) -> bool:
    """It had begun on a host that was fenced since, or had failed there and may have left a guest behind.

    One that is only accepted may still wait for that host in a queue, and is carried out when it returns; one that
    began after the fencing, whenever it was asked for, is a sign of life.
    """
    begun = (
        evacuation.status in (EvacuationStatus.PRE_MIGRATING, EvacuationStatus.FAILED)
        and evacuation.dest != evacuation.source
    )
    return begun and dead.get(evacuation.dest, 0.0) >= max(evacuation.created, evacuation.updated) > 0


@dataclass(frozen=True)
class ServerCase:
    """One server of a dead host, with everything its verdict depends on.  What almost every row asks for is kept.

    :param seen: what is known of the server itself.
    :param host: what is known of its host.
    :param source: the dead host, by Nova's name.
    :param orders: what operators have ordered in this incident.
    :param dead: hosts proved off and down in Nova, with the time up to which that proves what began there dead.
    :param evacuated_elsewhere: when the first other incident began that has evacuations of it; 0.0 without one.
    :param open_from: the node of another incident that may still move it; empty without one.
    :param open_how: how, in words.
    :param awaited_by: the node of another incident that does not send it because of this one; empty without one.
    :param host_back: its host has joined the cluster again and is only kept from starting nova-compute.
    :param host_became_usable_at: when any host was last seen to become usable.
    :param claimed_at: when its host was forced down and disabled, by Nova's clock: no worker has sent anything before.
    """

    seen: ServerSight
    source: str
    policy: Policy
    now: float
    host: HostSight = field(default_factory=HostSight)
    orders: Orders = NO_ORDERS
    dead: Mapping[str, float] = field(default_factory=dict)
    evacuated_elsewhere: float = 0.0
    open_from: str = ""
    open_how: str = ""
    awaited_by: str = ""
    progress: Progress = NOT_BEGUN
    host_back: bool = False
    host_became_usable_at: float = 0.0
    claimed_at: float = 0.0

    @functools.cached_property
    def server(self) -> Server:
        return self.seen.server

    @functools.cached_property
    def evacuations(self) -> tuple[Evacuation, ...]:
        return self.seen.evacuations

    @functools.cached_property
    def sent(self) -> Optional[Sent]:
        return self.seen.sent

    @property
    def first(self) -> float:
        """When the incident began, with its first fencing."""
        return float(self.orders.first)

    @property
    def skipped(self) -> bool:
        """An operator leaves it where it is."""
        return self.server.id in self.orders.skipped

    @property
    def released(self) -> bool:
        """An operator lets its host return with what is not under way."""
        return self.orders.released

    @functools.cached_property
    def retried_at(self) -> float:
        """When an operator last asked for another try; what failed before no longer counts.  An order by a clock that
        is ahead counts once its time has come: nothing would be a failed try until then."""
        at = self.orders.retried_at(self.server.id)
        return at if at <= self.now + HEARTBEAT_SKEW_S else 0.0

    @property
    def log_read(self) -> bool:
        return self.seen.log is not None

    @property
    def log_read_at(self) -> float:
        return self.seen.log.read_at if self.seen.log else 0.0

    @property
    def wanted(self) -> Power:
        """The power state that its owner wants.

        What was seen at rest holds for the first evacuation, of whichever incident: between two the owner may ask for
        something else, and what has been evacuated may be at rest in a state that nobody wanted.
        """
        log, at_rest = self.seen.log, self.seen.at_rest
        if log:
            return at_rest if log.wanted is Power.UNKNOWN else log.wanted
        return at_rest if len(self.evacuations) + bool(self.evacuated_elsewhere) < 2 else Power.UNKNOWN

    @property
    def failed_earlier(self) -> bool:
        """An evacuation of it failed before this incident."""
        log = self.seen.log
        return log is not None and 0.0 < log.failed_at < self.first - SKEW_S

    @property
    def listed_at(self) -> float:
        """When the servers of its host were last listed, its cell answering."""
        return 0.0 if self.host.doubted else self.host.listed_at

    def void(self, evacuation: Evacuation) -> bool:
        """Nothing can come up from it any more, whatever became of its destination since."""
        if evacuation.unreadable:
            return False  # where it goes may be what cannot be read
        if evacuation.id in self.host.dead_evacuations or died_under_way(evacuation, self.dead):
            return True
        return evacuation.status is EvacuationStatus.ACCEPTED and self.calls_over

    @functools.cached_property
    def current_calls(self) -> Optional[Calls]:
        """What Nova said of the evacuate calls for it, of all incidents, as long as no evacuation has changed since."""
        known = self.seen.calls
        return known if known and known.are_all_for(self.evacuations, self.evacuated_elsewhere) else None

    @property
    def traces(self) -> tuple[CallTrace, ...]:
        return (self.current_calls.traces or ()) if self.current_calls else ()

    @property
    def waits_for(self) -> str:
        """Where Nova holds room for what it has not begun; empty where that is not known."""
        claimed = self.current_calls.claimed if self.current_calls else ()
        named = self.open_evacuation.dest if self.open_evacuation else ""
        lived = self.source, self.server.host
        return next((name for name in claimed if not any(same_host(name, host) for host in lived)), named)

    @functools.cached_property
    def calls_over(self) -> bool:
        """Nova is done with every call that made one of its evacuations.

        Then none that is still `accepted` will begin: its call failed in the conductor, or took the row of an earlier
        one, for the conductor takes any that is `accepted` (facts.md N32).  What has begun on a destination has a row.
        One that was listed before the calls were read may have begun since, and be over by now.
        """
        if self.current_calls is None or self.host.evacuations_at <= self.current_calls.read_at:
            return False
        # Of this incident, by Nova's clock as they are: the record's may have been another one.
        own = min((it.created for it in self.evacuations if it.created), default=self.first)
        traces = [trace for trace in self.traces if trace.at >= own - SKEW_S]
        begun = Counter(trace.dest for trace in traces if not trace.over)
        rows = Counter(it.dest for it in self.evacuations if it.status is EvacuationStatus.PRE_MIGRATING)
        # One that was sent from another dead host takes what is `accepted` as well, however long ago that was.
        since = min(own, self.first, self.evacuated_elsewhere or self.first) - SKEW_S
        scheduling = any(trace.at >= since and not (trace.over or trace.dest) for trace in self.traces)
        return len(traces) >= len(self.evacuations) and not scheduling and not begun - rows

    @functools.cached_property
    def unsettled(self) -> Optional[Evacuation]:
        """The newest that may still bring up a guest, whatever has arrived since: one that hangs goes on one day."""
        return next((m for m in reversed(self.evacuations) if m.status.open and not self.void(m)), None)

    @property
    def may_still_be_moved(self) -> bool:
        """By what this incident has sent, or may have."""
        late = self.sent is not None and self.sent.outcome is Outcome.UNCERTAIN and self.sent.quiet_until > self.now
        return self.unsettled is not None or self.asked or late

    @property
    def blocked_elsewhere(self) -> bool:
        """Until an operator asks for this very server again: he has looked into what was sent for it before."""
        return bool(self.open_from) and self.server.id not in self.orders.retried

    @functools.cached_property
    def failed_on(self) -> tuple[str, ...]:
        """Hosts on which a guest of it may run although its rebuild there `failed`: Nova writes that for whatever goes
        wrong, also after the guest was started (facts.md N15).  Without a destination no host had let it in."""
        failed = [m for m in self.evacuations if m.status is EvacuationStatus.FAILED and m.dest and not self.void(m)]
        known = {m.dest for m in failed if not self._harmless(m.dest, failed)}
        return tuple(sorted((known | self._failed_earlier) - {self.source}))

    @property
    def failed_at_spawn(self) -> bool:
        """Its fault says what its newest call would: it may run where that failed, and nowhere else.  The fault of
        another call, should it be one, can only keep it from going elsewhere."""
        last = self.last
        return (
            last is not None
            and self.failed_on == (last.dest,)
            and self.server.spawn_failed_at > last.created - 1.0  # of a fault Nova shows whole seconds
            and not self.failed_earlier
        )

    @property
    def _failed_earlier(self) -> set[str]:
        """The same for calls of earlier incidents, whose evacuations are listed no more, up to the last success."""
        listed = {
            evacuation.dest for evacuation in self.evacuations if evacuation.status is EvacuationStatus.FAILED
        } | {""}
        arrived_at = max((trace.at for trace in self.traces if trace.over and not trace.failed), default=0.0)
        failed = [trace for trace in self.traces if trace.failed and trace.at > arrived_at]
        left = [trace for trace in failed if trace.met_guest or not trace.harmless]
        return {trace.dest for trace in left if self.dead.get(trace.dest, 0.0) < trace.ended} - listed

    def _harmless(self, dest: str, failed: Sequence[Evacuation]) -> bool:
        traces = self._failures_on(dest)
        if len(traces) < sum(m.dest == dest for m in failed):
            return False
        return all(t.harmless for t in traces) and not traces[-1].met_guest

    def _failures_on(self, dest: str) -> list[CallTrace]:
        return [trace for trace in self.traces if trace.dest == dest and trace.failed]

    def met_guest(self, dest: str) -> bool:
        """The last time Nova looked for it there, it was there; and no operator has said since that it is not."""
        last = self._failures_on(dest)[-1:]
        return any(trace.met_guest and trace.at >= self.retried_at for trace in last)

    @property
    def target(self) -> str:
        """Where it is to be sent: first of all where it may run already, for Nova refuses it there if it does."""
        return self.failed_on[0] if self.failed_on else self.policy.target_map.get(self.source, "")

    @property
    def calls_due(self) -> bool:
        """Nova is to be asked about its calls: at once after a change of its evacuations, then ever more seldom."""
        known = self.current_calls
        if known is None:
            return True
        return self.now - known.read_at >= min(CALLS_AGAIN_S * 2.0 ** (known.tries - 1), RETRY_DELAY_LIMIT_S)

    @functools.cached_property
    def open_evacuation(self) -> Optional[Evacuation]:
        """The newest that may still bring up a guest.  What began before it arrived here has ended, whatever Nova says:
        the row of an evacuation that died with its destination stays open for good (facts.md N14)."""
        for evacuation in reversed(self.evacuations):
            if evacuation.status.arrived and evacuation.dest == self.server.host != self.source:
                return None
            if evacuation.status.open and not self.void(evacuation):
                return evacuation
        return None

    @functools.cached_property
    def arrival(self) -> Optional[Evacuation]:
        """The finished evacuation that brought it to where Nova says it is; the half of a proof."""
        here = self.server.host
        if not here or here == self.source or self.open_evacuation:
            return None
        return next((m for m in reversed(self.evacuations) if m.status.arrived and m.dest == here), None)

    @property
    def queue_unread(self) -> bool:
        """It has left its host, or may run elsewhere, and since that began nobody has read its action log.  What was
        seen running before was not to be started; of the others a start may wait there (facts.md N19), whatever has
        become of them since."""
        to_be_started = self.server.vm_state == "stopped" or self.wanted is not Power.RUNNING
        left = self.server.host != self.source and to_be_started
        return (left or bool(self.failed_on)) and self.seen.queue_read_at < self.seen.ended_at

    @property
    def last(self) -> Optional[Evacuation]:
        return self.evacuations[-1] if self.evacuations else None

    @property
    def changed(self) -> bool:
        """It was proved, and is no more what it was before its host came back."""
        here, before = self.server, self.seen.before
        return self.seen.proved and before is not None and (here.vm_state, here.host) != (before.vm_state, before.host)

    @property
    def failures(self) -> int:
        """Tries that use attempts up."""
        failed = sum(self._failed(m) and self._counts(m) for m in self.evacuations)
        return failed + sum(at >= self.retried_at for at in (self.sent.refused if self.sent else ()))

    @property
    def tries(self) -> int:
        """Those that waited for room (no valid host: status error, facts.md N9) as well."""
        return self.failures + sum(m.status is EvacuationStatus.ERROR and self._counts(m) for m in self.evacuations)

    def _failed(self, evacuation: Evacuation) -> bool:
        return evacuation.status is EvacuationStatus.FAILED or (
            evacuation.status is EvacuationStatus.ACCEPTED and self.calls_over
        )

    def _counts(self, evacuation: Evacuation) -> bool:
        """Not what another hand had tried before muster began, nor what had failed before an operator asked for another
        try."""
        return evacuation.created >= max(self.retried_at, self.claimed_at)

    @property
    def pending(self) -> bool:
        """A call of this worker has no visible evacuation yet."""
        sent = self.sent
        if sent is None or (sent.at < self.retried_at and sent.quiet_until <= self.host.evacuations_at):
            return False
        return sent.unseen(self.evacuations)

    @property
    def asked(self) -> bool:
        """A call of this worker may still be on its way, whatever is to be seen."""
        return self.pending and self.sent is not None and self.host.evacuations_at < self.sent.quiet_until

    @property
    def sent_at(self) -> float:
        return self.sent.at if self.sent else 0.0

    @property
    def not_found(self) -> bool:
        """Nova knew no such server or host, and nobody has asked for another try since."""
        return self.sent is not None and self.sent.answer is Answer.NOT_FOUND and self.sent.at >= self.retried_at

    @property
    def forbidden(self) -> bool:
        """Nova said that this user may not, and nobody has asked for another try since."""
        return self.sent is not None and self.sent.answer is Answer.FORBIDDEN and self.sent.at >= self.retried_at

    @property
    def due(self) -> float:
        """When it may be tried again: a delay that doubles with each try, cut short when room appears."""
        if not self.tries:
            return 0.0
        base = max([m.updated for m in self.evacuations] + [self.sent.at if self.sent else 0.0])
        delay = min(self.policy.retry_delay_s * 2.0 ** min(self.tries - 1, 10), RETRY_DELAY_LIMIT_S)
        return base if self.host_became_usable_at > base else base + delay

    @property
    def request_id(self) -> str:
        asked = self.seen.log.request_id if self.seen.log else ""
        return (self.sent.request_id if self.sent else "") or asked

    @property
    def words(self) -> str:
        """Nova's own words about the last failure."""
        refused = self.sent.words if self.sent and self.sent.outcome is Outcome.REFUSED else ""
        last = self.last
        if last and last.status is EvacuationStatus.ACCEPTED and self.traces:
            return refused or self.traces[-1].words
        status = f"migration {last.status.value}" + (f" on {last.dest}" if last.dest else "") if last else ""
        return refused or self.server.fault or status or "no reason given"

    @property
    def keeper_mark(self) -> str:
        """The mark of somebody else who looks after it; empty without one."""
        return next(
            (f"{key}={pattern}" for key, pattern in self.policy.left_to_others if self._bears(key, pattern)), ""
        )

    def _bears(self, key: str, pattern: str) -> bool:
        server = self.server
        places = (server.metadata, server.extra_specs, server.image_properties)
        values = [place[key] for place in places if key in place]
        values += {"name": [server.name], "project": [server.project], "tag": list(server.tags)}.get(key, [])
        return any(fnmatch.fnmatchcase(value, pattern) for value in values)

    def marked(self, words: frozenset[str]) -> bool:
        """The policy's tag, by exact key, has one of these values in metadata, extra specs or image properties."""
        server = self.server
        places = (server.metadata, server.extra_specs, server.image_properties)
        return any(place.get(self.policy.tag, "").strip().lower() in words for place in places)
