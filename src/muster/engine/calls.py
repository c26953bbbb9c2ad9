# SPDX-License-Identifier: Apache-2.0
"""What this worker has sent about the servers of one incident, and what Nova's action logs say of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power
from muster.core.sight import NEVER_TRIED, Calls, Outcome, Sent, Tries
from muster.engine.inventory import Evacuations


@dataclass
class SentCalls:
    """By server.  Nothing here is ever taken back: what was sent may be carried out late."""

    evacuates: dict[str, Sent] = field(default_factory=dict)
    """The last one of each, with the refusals of all."""
    stops: dict[str, Tries] = field(default_factory=dict)
    resets: dict[str, Tries] = field(default_factory=dict)
    """When the last one was sent, and how many were."""

    @property
    def evacuated_at(self) -> dict[str, float]:
        """By server, when its last evacuate was sent."""
        return {server: sent.at for server, sent in self.evacuates.items()}

    def evacuate_sent(self, server: str, sent: Sent) -> None:
        before = self.evacuates.get(server)
        refused = (sent.at,) if sent.outcome is Outcome.REFUSED else ()
        self.evacuates[server] = replace(sent, refused=(*(before.refused if before else ()), *refused))

    def stop_sent(self, server: str, now: float) -> None:
        self.stops[server] = self.stops.get(server, NEVER_TRIED).once_more(now)

    def reset_sent(self, server: str, now: float) -> None:
        self.resets[server] = self.resets.get(server, NEVER_TRIED).once_more(now)

    def newest_call(self, server: str, evacuations: Sequence[Evacuation], known: Collection[str]) -> str:
        """The request id of its last evacuate, if that made the newest evacuation, which has failed on a destination,
        and what made the others is known; else empty.

        :param known: request ids of calls.
        """
        sent = self.evacuates.get(server)
        before = len(evacuations) - 1
        if sent is None or sent.outcome is not Outcome.TAKEN or not len(known) == before == sent.evacuations_before:
            return ""
        return sent.request_id if evacuations[-1].status is EvacuationStatus.FAILED else ""

    def unseen(self, evacuations: Evacuations) -> list[Sent]:
        """Those that may have been carried out, but are not to be seen among the evacuations."""
        return [sent for server, sent in self.evacuates.items() if sent.unseen(evacuations.of(server))]


@dataclass
class ActionLogs:
    """By server: what its owner wants, and what has become of its evacuate calls."""

    wanted: dict[str, Power] = field(default_factory=dict)
    """In which state it was seen at rest on its host, before anything moved it."""
    owners: dict[str, ActionLog] = field(default_factory=dict)
    """As it was read last; none where something has happened since that may make it say something else."""
    failures: dict[str, Tries] = field(default_factory=dict)
    """When and how often in a row it could not be read; none once it could."""
    queued_start: dict[str, str] = field(default_factory=dict)
    """What has ever been seen to wait for its nova-compute and would start it."""
    queue_read_at: dict[str, float] = field(default_factory=dict)
    """When it was last asked for what waits.  Once it has left the host nothing more begins to wait there."""
    calls: dict[str, Calls] = field(default_factory=dict)

    def note_at_rest(self, server: str, power: Power) -> None:
        self.wanted[server] = power

    def outdated(self, server: str) -> None:
        """Its owner may have asked for something else since it was read."""
        self.owners.pop(server, None)

    def owner_asked(self, server: str) -> None:
        """For something that is not to be seen in the server itself."""
        self.wanted.pop(server, None)
        self.outdated(server)

    def note_action_log(self, server: str, log: ActionLog, since: float) -> None:
        """:param since: from when on what happened belongs to the incident."""
        known = self.calls.get(server)
        if known and 0.0 < log.failed_at < since and server not in self.owners:
            # They may have been read without those of earlier incidents.
            self.calls[server] = replace(known, evacuations=frozenset())
        self.owners[server], self.queue_read_at[server] = log, log.read_at
        if log.wanted not in (Power.UNKNOWN, self.wanted.get(server)):
            self.wanted.pop(server, None)  # its owner has asked for something else since
        if log.waits and log.waits_at >= since:
            self.queued_start[server] = log.waits
        self.failures.pop(server, None)

    def note_failure(self, server: str, asked_at: float, now: float) -> None:
        """For as long as it took it is left alone, so that the others have half of the time."""
        self.failures[server] = self.failures.get(server, NEVER_TRIED).once_more(now + (now - asked_at))

    def calls_since(self, server: str, since: float) -> float:
        """From when on its calls are to be read: what an earlier incident has left counts, too."""
        log = self.owners.get(server)
        return min(since, log.failed_at - 1.0) if log and log.failed_at else since

    def over(self, server: str) -> dict[str, CallTrace]:
        """By request id, those of its calls that Nova is done with: they are not read again."""
        known = self.calls.get(server)
        return {trace.request_id: trace for trace in (known.traces or () if known else ()) if trace.over}

    def calls_asked(self, server: str, asked_at: float, evacuations: Sequence[Evacuation], since: float = 0.0) -> None:
        """Nothing is known of its calls since then until the answer (:meth:`note_calls`)."""
        state, before = Calls.state_of(evacuations), self.calls.get(server)
        tries = 1 + (before.tries if before and before.evacuations == state else 0)
        self.calls[server] = Calls(asked_at, state, tries, since=since)

    def note_calls(self, server: str, traces: Sequence[CallTrace], claimed: Collection[str]) -> None:
        self.calls[server] = replace(self.calls[server], traces=tuple(traces), claimed=tuple(claimed))
