# SPDX-License-Identifier: Apache-2.0
"""What one worker remembers between its passes.  All of it may be lost at any moment without harm."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from muster.core.bounds import HEARTBEAT_SKEW_S, SKEW_S
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.decide import wanted_now
from muster.core.findings import Finding
from muster.core.nova_facts import ActionLog, Evacuation, Power, Server, Service
from muster.core.server_case import died_under_way
from muster.core.sight import NEVER_TRIED, HostSight, Sent, ServerSight
from muster.engine.calls import ActionLogs, SentCalls
from muster.engine.inventory import Change, Inventory
from muster.engine.liveness import Liveness, Return
from muster.engine.polling import Polling
from muster.engine.services import Services
from muster.engine.troubles import Troubles

MISDATED_S = 86_400.0
"""So old an incident may be whose record is by a clock that was wrong."""
POWER_TASKS = frozenset({"powering-off", "powering-on", "rescuing"})


@dataclass
class HostMemory:
    """Of one incident: forgotten when its first fencing changes."""

    record: Record
    name: str = ""
    """The host's, in Nova."""
    seen_at: float = 0.0
    """When its last fencing was first seen, and when it had been looked for in vain; 0.0: not known."""
    seen_from: float = 0.0
    misdated_at: float = 0.0
    """When this worker first saw a record that was of the future by our clock; 0.0: it was not."""
    ahead_s: float = 0.0
    """The most that Nova's clock was ahead of ours; 0.0 where it was behind."""
    open_from: float = math.inf
    """When the oldest evacuation was accepted that was under way as the host was fenced; inf: nobody has asked."""
    liveness: Liveness = field(init=False)
    returning: Return = field(default_factory=Return)
    inventory: Inventory = field(default_factory=Inventory)
    sent: SentCalls = field(default_factory=SentCalls)
    logs: ActionLogs = field(default_factory=ActionLogs)
    proofs: dict[str, Finding] = field(default_factory=dict)
    """By server, how it was first proved evacuated."""
    dead_evacuations: set[str] = field(default_factory=set)
    """Ids of those that had begun on a host that died; it may be back since."""

    def __post_init__(self) -> None:
        self.liveness = Liveness(self.record)

    @property
    def since(self) -> float:
        """Evacuations created from then on belong to the incident.

        Where Nova's clock is ahead of ours, ours may be the wrong one, and the record by a right one: what Nova wrote
        since then is of before by ours.  A record of the future says only that it was written before it was seen.
        """
        apart_s = SKEW_S + self.ahead_s
        began = self.misdated_at - MISDATED_S if self.misdated_at else self.record.first - apart_s
        return min(began, self.open_from - apart_s)

    @property
    def unseen(self) -> list[Sent]:
        """The calls of this worker that may have been carried out, but are not to be seen among the evacuations."""
        return self.sent.unseen(self.inventory.evacuations)

    @property
    def changes_known_to(self) -> float:
        return self.inventory.changes_known_to(self.since)

    @property
    def compute_finished_its_rows(self) -> bool:
        """Its nova-compute has started anew: only that turns done into completed.  After a stop they tell of no start:
        they may be of the one before it."""
        finished = self.inventory.evacuations.all_finished(self.record.last + HEARTBEAT_SKEW_S)
        return finished and self.returning.compute_stops == 0

    @classmethod
    def begin(cls, record: Record, now: float, looked_at: float) -> HostMemory:
        """:param looked_at: when its fencing had not been seen yet; 0.0: nobody looked."""
        it = cls(record, seen_at=now, seen_from=looked_at)
        it.misdated_at = now if record.first > now else 0.0
        return it

    def begin_again(self, record: Record, now: float, looked_at: float) -> HostMemory:
        """It had been let return and was fenced once more: what had died under way is dead still."""
        it = HostMemory.begin(record, now, looked_at)
        it.dead_evacuations = set(self.dead_evacuations)
        return it

    def rebuilt_unseen(self, on_host: Sequence[Server], shown: Sequence[Evacuation]) -> set[str]:
        """What is being rebuilt by none of the evacuations of this incident: before its fencing the host may have been
        back, and who saw what was under way then may be gone.  Nobody has looked further back for them yet."""
        evacuated = {evacuation.server for evacuation in shown}
        rebuilt = {server.id for server in on_host if server.task_state.startswith("rebuild")}
        return rebuilt - evacuated if math.isinf(self.open_from) else set()

    def note_under_way(self, servers: Collection[str], earlier: Sequence[Evacuation]) -> None:
        """:param earlier: all of a long time before the incident."""
        under_way = (m.created for m in earlier if m.status.open and m.created and m.server in servers)
        self.open_from = min(under_way, default=float(self.record.first))

    def note_fenced_again(self, now: float, looked_at: float) -> None:
        self.seen_at, self.seen_from = now, looked_at
        self.liveness.fenced_again()

    def note_nova(self, name: str, ahead_s: float) -> None:
        """:param ahead_s: how far Nova's clock is ahead of ours now."""
        self.name, self.ahead_s = name, max(self.ahead_s, ahead_s)

    def observe_node(self, node: Node, record: Record, now: float) -> None:
        self.record = record
        self.liveness.observe_record(record, node.found_running, now)
        self.returning.observe_node(record, node)

    def observe_service(self, node: Node, service: Service, asked_at: float, now: float) -> None:
        """:param now: not earlier than the service was read."""
        self.liveness.observe_service(service, asked_at, now)
        if self.record.phase is Phase.RETURNING:
            self.returning.observe_service(node, service, self.compute_finished_its_rows, asked_at, now)

    def note_all_evacuations(self, shown: Sequence[Evacuation], asked_at: float, seen_at: float) -> Change:
        """The list was of all that belong to the incident."""
        return self._noted(self.inventory.evacuations.note_all(shown, asked_at, seen_at, self.sent.evacuated_at))

    def note_evacuations(self, shown: Sequence[Evacuation], asked_at: float, seen_at: float) -> Change:
        """The list may have left out what has not gone away."""
        return self._noted(self.inventory.evacuations.note(shown, asked_at, seen_at, self.sent.evacuated_at))

    def _noted(self, change: Change) -> Change:
        for server in change.ended:
            if len(self.inventory.evacuations.of(server)) > 1:  # between two its owner may have asked for something
                self.logs.outdated(server)
        return change

    def note_server(self, server: Server, now: float, asked_at: float) -> None:
        """:param now: when the pass began that has read it.
        :param asked_at: when it was asked for.
        """
        known, evacuations = self.inventory.servers.get(server.id), self.inventory.evacuations.of(server.id)
        if not server.known and server.id in self.proofs:
            return  # its cell is silent now; what was proved stays as it was
        self.inventory.note_server(server, asked_at)
        if known and known.vm_state != server.vm_state:
            self.logs.outdated(server.id)
        # Its evacuations were read before it: else it may be at rest in a state that one of them brought.
        evacuations_known = self.inventory.evacuations.reading.read_at >= now
        at_home = evacuations_known and not evacuations and server.host == self.name
        if at_home and wanted_now(server) is not Power.UNKNOWN:
            self.logs.note_at_rest(server.id, wanted_now(server))
        if server.task_state in POWER_TASKS and server != known and not any(m.status.open for m in evacuations):
            self.logs.owner_asked(server.id)  # and the dead host will not do it: the action log knows

    def note_proof(self, server: str, finding: Finding) -> None:
        self.proofs.setdefault(server, finding)

    def note_deaths(self, dead: Mapping[str, float], alive: Collection[str]) -> None:
        """A destination that has died returns, and its record goes; what had begun there stays dead.  Unless the host
        is seen to live after all.

        :param dead: by Nova host, up to when that proves what began there dead.
        """
        evacuations = self.inventory.evacuations.all
        self.dead_evacuations |= {evacuation.id for evacuation in evacuations if died_under_way(evacuation, dead)}
        self.dead_evacuations -= {evacuation.id for evacuation in evacuations if evacuation.dest in alive}

    def note_changed_server(self, server: Server, now: float, asked_at: float) -> None:
        """The same, where it was read with all others that have changed."""
        if server.known or server.id not in self.proofs:
            self.inventory.note_change(server)
        self.note_server(server, now, asked_at)

    def sight(self, services: tuple[Service, ...]) -> HostSight:
        liveness, returning, inventory = self.liveness, self.returning, self.inventory
        evacuations = inventory.evacuations
        return HostSight(
            services=services,
            servers={ident: self._server_sight(server) for ident, server in inventory.servers.items()},
            unshown={ident: of_it for ident, of_it in evacuations.known.items() if ident not in inventory.servers},
            first_listed_at=inventory.first_proven_at,
            listed_at=inventory.listed_at,
            listed_by=inventory.listed_by,
            doubted=inventory.doubted,
            dropped=evacuations.dropped,
            evacuations_at=evacuations.reading.proven_at,
            wait_from=liveness.wait_from,
            seen_at=self.seen_at,
            seen_from=self.seen_from,
            beats_every_s=liveness.beats_every_s,
            late_call_s=liveness.late_call_s,
            force_down_late_until=liveness.force_down_late_until,
            unchanged_for_s=(returning if self.record.phase is Phase.RETURNING else liveness).unchanged_for_s,
            heartbeat_after_fencing=liveness.heartbeat_after_fencing,
            found_running=liveness.found_running,
            refuted=self.record.lives,
            compute_restarted=returning.compute_restarted,
            has_rejoined=returning.joined,
            back_at=returning.first_beat_at,
            compute_stopped_at=returning.compute_stopped_at,
            compute_stops=returning.compute_stops,
            lift_refused_at=returning.lift_refused_at,
            released=returning.released,
            dead_evacuations=frozenset(self.dead_evacuations),
        )

    def _server_sight(self, server: Server) -> ServerSight:
        ident, inventory, logs, sent = server.id, self.inventory, self.logs, self.sent
        return ServerSight(
            server=server,
            evacuations=inventory.evacuations.of(ident),
            read_at=inventory.read_at.get(ident, 0.0),
            ended_at=inventory.evacuations.ended_at(ident),
            listed=ident in inventory.on_host,
            reread=ident in inventory.to_read,
            at_rest=logs.wanted.get(ident, Power.UNKNOWN),
            log=logs.owners.get(ident),
            unread=logs.failures.get(ident, NEVER_TRIED),
            queued_start=logs.queued_start.get(ident, ""),
            queue_read_at=logs.queue_read_at.get(ident, 0.0),
            calls=logs.calls.get(ident),
            sent=sent.evacuates.get(ident),
            stops=sent.stops.get(ident, NEVER_TRIED),
            resets=sent.resets.get(ident, NEVER_TRIED),
            proved=ident in self.proofs,
            before=(self.returning.servers_before or {}).get(ident),
        )


@dataclass
class Tally:
    """What this worker has counted since it began."""

    sent: int = 0
    refused: int = 0

    def evacuate_taken(self) -> None:
        self.sent += 1

    def evacuate_refused(self) -> None:
        self.refused += 1


@dataclass
class Memory:
    hosts: dict[str, HostMemory] = field(default_factory=dict)
    """By node, of those with an incident."""
    services: Services = field(default_factory=Services)
    polling: Polling = field(default_factory=Polling)
    troubles: Troubles = field(default_factory=Troubles)
    tally: Tally = field(default_factory=Tally)
    looked_at: float = 0.0
    """When Pacemaker was last looked at with quorum."""
    cluster_trouble: str = ""
    """Why Pacemaker could not be asked in the last pass: nothing is known of any incident then."""

    unfenced: Mapping[str, int] = field(default_factory=dict)
    """By node, when Pacemaker lost it, of those that nobody has fenced yet; only the report of it depends on this."""

    def note_unfenced(self, nodes: Iterable[Node]) -> None:
        self.unfenced = {
            node.name: node.lost_at
            for node in nodes
            if node.compute and node.lost_at and not (node.member or node.fenced_at or node.record)
        }

    def note_looked(self, now: float, quorum: bool) -> None:
        if quorum:
            self.looked_at = now

    def note_clock_set(self, now: float) -> None:
        """It may have been set back while nothing was waited for."""
        self.looked_at = min(self.looked_at, now)

    def note_cluster(self, trouble: str) -> None:
        self.cluster_trouble = trouble

    def keep_hosts(self, hosts: dict[str, HostMemory]) -> None:
        self.hosts = hosts
        if not hosts:
            self.services.forget()
            self.polling.forget()

    def keep_troubles(self) -> None:
        """Only those of what is still asked for."""
        servers = {server for host in self.hosts.values() for server in host.inventory.to_read}
        self.troubles.keep(self.hosts.keys() | servers)

    def poll_due(self, now: float) -> float:
        """:returns: when evacuations are asked for next; a time in the past if that is overdue."""
        hosts = self.hosts.values()
        began = [at for host in hosts for at in host.inventory.evacuations.open_since.values()]
        return self.polling.due(began, (sent.at for host in hosts for sent in host.unseen), now)

    def servers_due(self, now: float) -> bool:
        """What has changed of servers is to be asked for: also where one that has arrived is not seen there yet."""
        return self.polling.are_servers_due(now) or any(
            evacuations
            and evacuations[-1].status.arrived
            and host.inventory.servers[server].host != evacuations[-1].dest
            for host in self.hosts.values()
            for server, evacuations in host.inventory.evacuations.known.items()
            if server in host.inventory.servers and server not in host.proofs
        )

    def note_action_log(self, server: str, log: ActionLog, asked_at: float) -> None:
        log = replace(log, read_at=asked_at)
        for host in self.hosts_of(server):
            host.logs.note_action_log(server, log, host.since)

    def hosts_of(self, server: str) -> list[HostMemory]:
        """Every incident that knows the server: where it arrived another host may have died since."""
        return [host for host in self.hosts.values() if server in host.inventory.servers]
