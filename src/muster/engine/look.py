# SPDX-License-Identifier: Apache-2.0
"""Looks, and remembers what was seen.  Changes nothing anywhere.

The cluster is looked at in every pass; Nova only while there is an incident, and at a pace that follows what
happens: quickly after a change, slowly when nothing moves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Optional

from muster.core.bounds import resumed_s
from muster.core.cluster_facts import UNTOUCHED, Cluster, Node, Phase
from muster.core.decide import has_incident
from muster.core.errors import NovaError
from muster.core.naming import Names
from muster.core.nova_facts import Service
from muster.core.policy import Policy
from muster.core.ports import CLOCKS_BEAR_S, ClockPort, ClusterPort, NovaPort
from muster.core.sight import HostSight, Sight
from muster.core.unknown import Unknown
from muster.engine.lists import Lists, Question
from muster.engine.memory import HostMemory, Memory
from muster.engine.polling import POLL_MAX_S, POLL_MIN_S, SERVERS_EVERY_S
from muster.engine.troubles import SERVERS, SERVICES

SERVICES_EVERY_S = 10.0
SERVICES_CLOSE_S = 2.0
LIST_ANYWAY_S = 5.0
LIST_ANYWAY_READS = 10.0


@dataclass(frozen=True)
class Round:
    """What one pass asks of Nova.

    :param now: when it began.
    :param read_by: when it had the services.
    :param evacuations: which it asks for; None: for none.
    """

    now: float
    read_by: float
    evacuations: Optional[Question]


class Look:
    """Builds the sight of one pass; keeps what only time can show in the worker's memory."""

    def __init__(self, cluster: ClusterPort, nova: NovaPort, clock: ClockPort, policy: Policy, memory: Memory) -> None:
        self._cluster = cluster
        self._nova = nova
        self._clock = clock
        self._policy = policy
        self._memory = memory
        self._lists = Lists(nova, clock, memory)
        self._took_s = 0.0

    def sight(self) -> Sight:
        """:raises ClusterError: when Pacemaker does not answer; Nova's silence is part of the sight instead."""
        cluster = self._cluster.look()
        nodes = self._incidents(cluster)
        if not nodes:
            self._clock.anchor()  # a step of the wall clock is followed while nothing is waited for, and only then
            self._memory.note_clock_set(self._clock.now())
        self._keep_only(nodes)
        now = self._clock.now()
        self._memory.note_looked(now, cluster.quorum)
        left_unread = self._memory.polling.take_arrivals_unread()
        self._memory.keep_troubles()
        if nodes and self._memory.troubles.may_ask(self._clock.monotonic()):
            self._ask(cluster, nodes, now, left_unread)
        self._took_s = self._clock.now() - now
        memory = self._memory
        hosts = {name: self._host_sight(name) for name in memory.hosts if memory.services.known}
        trouble = memory.troubles.of_all(self._clock.monotonic()) if nodes else ""
        told = [host.call_failed or host.unlisted for host in hosts.values()]
        memory.troubles.say(next(filter(None, [trouble, *told]), ""))
        return Sight(
            now=now,  # not later than anything that was read: slow answers must not make a wait seem over
            cluster=cluster,
            hosts=hosts,
            nova_trouble=trouble,
            clocks_apart=self._clocks_apart() if nodes else "",
            host_became_usable_at=memory.services.host_became_usable_at,
            arrivals_unread=memory.polling.arrivals_unread,
        )

    def _host_sight(self, node: str) -> HostSight:
        memory, host = self._memory, self._memory.hosts[node]
        inventory = host.inventory
        read_at = min(inventory.changes.read_at, inventory.evacuations.reading.read_at)
        fresh = self._clock.now() - read_at <= SERVERS_EVERY_S
        troubles = memory.troubles
        return replace(
            host.sight(memory.services.rows),
            unlisted=troubles.list_failed(node) if fresh else troubles.any_list_failed(node),
            call_failed=troubles.call_failed(node, self._clock.monotonic()),
        )

    def _read_services(self, at: float) -> bool:
        return self._lists.read(SERVICES, lambda: self._note_services(tuple(self._nova.services()), at))

    def _clocks_apart(self) -> str:
        """What measuring does not mend: answers that disagree, and heartbeats of the future."""
        apart_s = self._clock.nova.apart_s
        if apart_s > CLOCKS_BEAR_S:
            return f"the clocks of Nova's API hosts are {apart_s:.0f} s apart, or one was set during this incident"
        services = self._memory.services
        newest = max((service.updated_at for service in services.rows), default=0.0)
        if newest > services.read_by + CLOCKS_BEAR_S:
            early_s = newest - services.read_by
            return f"Nova shows a heartbeat {early_s:.0f} s in the future: the clock of a nova-conductor is ahead"
        return ""

    def warm_up(self) -> None:
        """Log in to Nova while nothing is urgent.  Its silence is told once it matters."""
        with contextlib.suppress(NovaError):
            self._nova.services()

    # ------------------------------------------------------------- incidents

    def _incidents(self, cluster: Cluster) -> list[Node]:
        ignored = {node for node, host in self._policy.host_map.items() if not host}
        dead = [n for n in cluster.nodes.values() if n.record and has_incident(n) and n.name not in ignored]
        return [n for n in dead if n.compute or (n.record and n.record.phase not in UNTOUCHED)]

    def _keep_only(self, nodes: Iterable[Node]) -> None:
        memory, now = self._memory, self._clock.now()
        kept: dict[str, HostMemory] = {}
        for node in nodes:
            record = node.record
            assert record is not None
            known = memory.hosts.get(node.name)
            if known is None:
                known = HostMemory.begin(record, now, memory.looked_at)
            elif known.record.first != record.first:
                known = known.begin_again(record, now, memory.looked_at)
            elif known.record.last != record.last:
                known.note_fenced_again(now, memory.looked_at)
                memory.services.outdate()  # what was read before proves nothing
            beats_every_s = max(float(self._policy.report_interval_s), memory.services.beats_every_s)
            known.observe_node(node, record, now)
            known.liveness.expect(beats_every_s, float(self._policy.late_call_s))
            kept[node.name] = known
        memory.keep_hosts(kept)

    # ------------------------------------------------------------------ Nova

    def _ask(self, cluster: Cluster, nodes: list[Node], now: float, left_unread: bool) -> None:
        """:param left_unread: the last pass has not read the servers whose evacuations had ended."""
        memory, polling = self._memory, self._memory.polling
        pace_s = min(self._services_pace(node) for node in nodes)
        services_due = memory.troubles.faults(SERVICES) > 0 or memory.services.due(pace_s, now)
        if services_due and not self._read_services(now):
            return
        # Servers wait for the places of others: these come first, and what has arrived is read a little later.
        places_first = polling.waiting and polling.servers_read_lately(now) and not self._untouched(nodes)
        poll = now >= memory.poll_due(now) or (left_unread and not places_first)
        which = self._lists.open_evacuations if places_first else self._lists.all_evacuations
        this = Round(now, self._clock.now(), which(len(nodes)) if poll else None)
        listed = self._read_hosts(cluster, nodes, this)
        if poll and listed == len(nodes):
            polling.note_servers_read(now)  # nothing is newer than these lists
        elif left_unread or (poll and memory.servers_due(now)):
            if places_first:
                polling.leave_arrivals_unread()
            else:
                self._lists.read(SERVERS, lambda: self._lists.read_changed(now))
        self._lists.read_singly(now)
        self._read_again_last(cluster, nodes)
        ended = self._clock.now()
        if (poll or listed) and ended - now > POLL_MAX_S:
            polling.note_polled(ended)  # else what took long is asked for again at once, before anything is sent
        elif poll:
            polling.note_polled(now)

    def _read_hosts(self, cluster: Cluster, nodes: list[Node], this: Round) -> int:
        """:returns: of how many everything was listed."""
        memory = self._memory
        names = Names(cluster.nodes, memory.services.rows, self._policy.host_map)
        listed = 0
        for node in nodes:
            service = names.service_of(node.name)
            host = memory.hosts[node.name]
            if isinstance(service, Unknown) or not service.known:
                host.inventory.cell_silent()
                continue
            self._observe(host, node, service, this)
            if host.inventory.list_wanted:
                if _may_list(host, service, this):
                    listed += self._lists.read(f"list {node.name}", partial(self._lists.read_host, host, this.now))
            elif this.evacuations:
                self._lists.read_evacuations(host, this.evacuations, this.now, this.read_by)
        return listed

    def _observe(self, host: HostMemory, node: Node, service: Service, this: Round) -> None:
        memory = self._memory
        host.note_nova(service.host, self._clock.nova.ahead_s)
        host.inventory.cell_answered(memory.services.read_at)
        host.observe_service(node, service, memory.services.read_at, this.read_by)
        if memory.troubles.lists_fail and this.now - host.inventory.listed_at >= SERVERS_EVERY_S:
            host.inventory.want_list()  # what stands in the way of the lists for all may be none of its own
        host.returning.observe_servers(host.record, node, host.inventory.servers)

    def _read_again_last(self, cluster: Cluster, nodes: list[Node]) -> None:
        """The first change to a service hides the heartbeats since it was read, and an evacuation is not taken back:
        neither may come after long lists without another look for signs of life."""
        memory, at = self._memory, self._clock.now()
        looked = nodes if memory.services.take_wanted() else self._untouched(nodes)
        fresh = not memory.services.outdated and at - memory.services.read_at <= SERVICES_CLOSE_S
        if not looked or fresh or not self._read_services(at):
            return
        names = Names(cluster.nodes, memory.services.rows, self._policy.host_map)
        for node in looked:
            service = names.service_of(node.name)
            if not isinstance(service, Unknown) and service.known:
                memory.hosts[node.name].observe_service(node, service, memory.services.read_at, self._clock.now())

    def _untouched(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if self._memory.hosts[node.name].record.phase in UNTOUCHED]

    def _services_pace(self, node: Node) -> float:
        host = self._memory.hosts[node.name]
        if host.inventory.silent:
            return SERVICES_CLOSE_S
        if host.inventory.list_wanted or self._absence_decides(host):
            return 0.0  # a silent cell leaves what is its own out of lists (facts.md N22)
        if host.record.phase is Phase.RETURNING and host.returning.first_beat_at:
            seen = host.returning.baseline
            if seen and seen.enabled and not seen.forced_down:
                return SERVICES_CLOSE_S
            return 0.0  # what is lifted next must be ours as it is now, not as it was a moment ago
        # What operators do to the service must be known before the first change, and on the way back.
        close = node.member if host.record.phase is Phase.RETURNING else host.record.phase in UNTOUCHED
        return SERVICES_CLOSE_S if close else SERVICES_EVERY_S

    def _absence_decides(self, host: HostMemory) -> bool:
        """What the last lists left out would be taken for not being there."""
        if host.inventory.doubted and not self._memory.polling.sending:
            return True
        waits = [sent.quiet_until for sent in host.unseen]
        alive = host.liveness
        if alive.wait_from:
            waits.append(alive.wait_from + resumed_s(alive.late_call_s, alive.beats_every_s))
        reading = host.inventory.evacuations.reading
        return any(reading.proven_at < until <= reading.read_at for until in waits)

    def rest_s(self) -> float:
        """How long nothing is to be asked of Nova about evacuations: no pass sees more until then.  After a slow look
        at least as long as that took: a slow Nova is not asked all the time."""
        now = self._clock.now()
        slow_s = self._took_s if self._took_s > POLL_MIN_S else 0.0
        return max(slow_s, self._memory.poll_due(now) - now)

    def _note_services(self, rows: tuple[Service, ...], asked_at: float) -> None:
        memory = self._memory
        dead = {host.name for host in memory.hosts.values()}
        memory.services.note(rows, asked_at, self._clock.now(), dead, self._policy.report_interval_s)


def _may_list(host: HostMemory, service: Service, this: Round) -> bool:
    """Not before it is forced down and disabled: what is scheduled to it until then has to be seen, too.

    An incident that a guard stops is listed all the same, so that people see what it is about.  A slow Nova is asked
    for what the force-down hangs on first.
    """
    anyway_s = LIST_ANYWAY_S + LIST_ANYWAY_READS * (this.read_by - this.now)
    began_at = min(host.record.first, host.seen_at)
    return (service.forced_down and not service.enabled) or this.now - began_at > anyway_s
