# SPDX-License-Identifier: Apache-2.0
"""Looks, and remembers what was seen.  Changes nothing anywhere.

The cluster is looked at in every pass; Nova only while there is an incident, and at a pace that follows what
happens: quickly after a change, slowly when nothing moves.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Optional

from muster.core.cluster_facts import UNTOUCHED, Cluster, Node, Phase
from muster.core.decide import has_incident, resumed_s, wanted_now
from muster.core.errors import Answer, NovaError, NovaRefused
from muster.core.naming import Names
from muster.core.nova_facts import Move, Power, Server, Service
from muster.core.ports import CLOCKS_BEAR_S, ClockPort, ClusterPort, NovaPort, Policy
from muster.core.sight import HostSight, Sight
from muster.core.unknown import Unknown
from muster.engine import polling
from muster.engine.memory import MOVES, OF_ALL, SERVERS, SERVICES, HostMemory, Memory

SERVICES_EVERY_S = 10.0
SERVERS_EVERY_S = 10.0
SERVICES_CLOSE_S = 2.0
SERVERS_CLOSE_S = 2.0
"""What was read of servers within that time is good enough to send the next one before they are read again."""
LIST_ANYWAY_S = 5.0
LIST_ANYWAY_READS = 10.0
BEATS_LATE_S = 5.0
BEATS_SELDOM_S = 120.0
"""Older than that is a clock that could not be measured, not an interval."""
CREATED_APART_S = 5.0
"""An evacuation may show so much later than one that was created after it."""
YOUNG_S = 900.0
"""Since an incident so young began not much has changed in the whole cloud."""
SINGLY = 20
SINGLY_S = 10.0
"""So many servers are read one by one, at once, and no further one after so long."""
POWER_TASKS = frozenset({"powering-off", "powering-on", "rescuing"})


class Look:
    """Builds the sight of one pass; keeps what only time can show in the worker's memory."""

    def __init__(self, cluster: ClusterPort, nova: NovaPort, clock: ClockPort, policy: Policy, memory: Memory) -> None:
        self._cluster = cluster
        self._nova = nova
        self._clock = clock
        self._policy = policy
        self._memory = memory
        self._took_s = 0.0

    def sight(self) -> Sight:
        """:raises ClusterError: when Pacemaker does not answer; Nova's silence is part of the sight instead."""
        cluster = self._cluster.look()
        nodes = self._incidents(cluster)
        if not nodes:
            self._clock.anchor()  # a step of the wall clock is followed while nothing is waited for, and only then
            self._memory.looked_at = min(self._memory.looked_at, self._clock.now())
        self._keep_only(nodes)
        now = self._clock.now()
        if cluster.quorum:
            self._memory.looked_at = now
        unread, self._memory.arrivals_unread = self._memory.arrivals_unread, False
        self._memory.keep_troubles()
        if nodes and self._clock.monotonic() >= self._memory.nova_again_at:
            self._ask(cluster, nodes, now, unread)
        self._took_s = self._clock.now() - now
        memory = self._memory
        hosts = {name: self._host_sight(name) for name in memory.hosts if memory.services_at}
        trouble = memory.trouble_of_all(self._clock.monotonic()) if nodes else ""
        told = [host.call_failed or host.unlisted for host in hosts.values()]
        memory.nova_trouble = next(filter(None, [trouble, *told]), "")
        return Sight(
            now=now,  # not later than anything that was read: slow answers must not make a wait seem over
            cluster=cluster,
            hosts=hosts,
            nova_trouble=trouble,
            clocks_apart=self._clocks_apart() if nodes else "",
            room_at=memory.room_at,
        )

    def _host_sight(self, node: str) -> HostSight:
        memory, host = self._memory, self._memory.hosts[node]
        fresh = self._clock.now() - min(host.changes_at, host.moves_read_at) <= SERVERS_EVERY_S
        return replace(
            host.sight(memory.services),
            unlisted=memory.unlisted(node, fresh),
            call_failed=memory.call_failed(node, self._clock.monotonic()),
        )

    def _read(self, kind: str, part: Callable[[], None]) -> bool:
        """Ask Nova, unless this kind of question failed a moment ago.  :returns: whether there was an answer."""
        memory, began = self._memory, self._clock.monotonic()
        if not memory.may_read(kind, began):
            return False
        try:
            part()
        except NovaError as exc:
            ended = self._clock.monotonic()
            others_wait = kind not in OF_ALL and len(memory.hosts) > 1
            memory.note_trouble(kind, exc, ended, ended - began if others_wait else 0.0)
            return False
        memory.troubles.pop(kind, None)
        return True

    def _read_services(self, at: float) -> bool:
        return self._read(SERVICES, lambda: self._note_services(tuple(self._nova.services()), at))

    def _clocks_apart(self) -> str:
        """What measuring does not mend: answers that disagree, and heartbeats of the future."""
        apart_s = self._clock.nova.apart_s
        if apart_s > CLOCKS_BEAR_S:
            return f"the clocks of Nova's API hosts are {apart_s:.0f} s apart, or one was set during this incident"
        newest = max((service.updated_at for service in self._memory.services), default=0.0)
        if newest > self._memory.services_by + CLOCKS_BEAR_S:
            early_s = newest - self._memory.services_by
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
        kept: dict[str, HostMemory] = {}
        for node in nodes:
            record = node.record
            assert record is not None
            known = self._memory.hosts.get(node.name)
            if known is None or known.record.first != record.first:
                known = HostMemory(record, seen_at=self._clock.now(), seen_from=self._memory.looked_at)
                known.misdated_at = known.seen_at * (record.first > known.seen_at)
            elif known.record.last != record.last:
                known.seen_at, known.seen_from = self._clock.now(), self._memory.looked_at
                known.liveness.fenced_again()
                self._memory.services_at = min(self._memory.services_at, 1.0)  # what was read before proves nothing
            beats_every_s = max(float(self._policy.report_interval_s), self._memory.beats_every_s)
            known.observe_node(node, record, self._clock.now())
            known.liveness.expect(beats_every_s, float(self._policy.late_call_s))
            kept[node.name] = known
        self._memory.hosts = kept
        if not kept:
            self._memory.beats_every_s = 0.0
            self._memory.services_at = self._memory.polled_at = 0.0

    # ------------------------------------------------------------------ Nova

    def _ask(self, cluster: Cluster, nodes: list[Node], now: float, unread: bool) -> None:
        """:param unread: the last pass left out what had become of the servers whose evacuations had ended."""
        memory = self._memory
        pace_s = min(self._services_pace(node) for node in nodes)
        services_due = SERVICES in memory.troubles or now - memory.services_at >= pace_s
        if services_due and not self._read_services(now):
            return
        read_by = self._clock.now()
        # Servers wait for the places of others: these come first, and what has arrived is read a little later.
        hurry = memory.waiting and now - memory.servers_at <= SERVERS_CLOSE_S and not self._untouched(nodes)
        poll = now >= polling.poll_due(memory, now) or (unread and not hurry)
        names = Names(cluster.nodes, memory.services, self._policy.host_map)
        moves_of = self._moves_of(len(nodes), hurry)
        listed = 0
        for node in nodes:
            service = names.service_of(node.name)
            host = memory.hosts[node.name]
            if isinstance(service, Unknown) or not service.known:
                host.distrust()
                continue
            host.name, host.ahead_s = service.host, max(host.ahead_s, self._clock.nova.ahead_s)
            host.trust(memory.services_at)
            host.observe_service(node, service, memory.services_at, read_by)
            if memory.lists_fail and now - host.listed_at >= SERVERS_EVERY_S:
                host.list_again = True  # what stands in the way of the lists for all may be none of its own
            host.returning.observe_servers(host.record, node, host.servers)
            if host.list_again:
                # Not before it is forced down and disabled: what is scheduled to it until then has to be seen, too.
                # An incident that a guard stops is listed all the same, so that people see what it is about.
                # A slow Nova is asked for what the force-down hangs on first.
                anyway_s = LIST_ANYWAY_S + LIST_ANYWAY_READS * (read_by - now)
                began_at = min(host.record.first, host.seen_at)
                if (service.forced_down and not service.enabled) or now - began_at > anyway_s:
                    listed += self._read(f"list {node.name}", functools.partial(self._list, host, now))
            elif poll:
                self._read(MOVES, lambda host=host: self._note_moves(host, moves_of(host), read_by, whole=not hurry))  # type: ignore[misc]
                if set(host.moves) - set(host.servers):
                    memory.servers_due = host.list_again = True
                # A server of a silent cell does not count as changed when the cell answers again; one whose row cannot
                # be read may never be known.
                if now - host.listed_at >= polling.STILL * (now - host.first_listed_at):
                    host.list_again = host.list_again or not all(s.known for s in host.servers.values())
        if poll and listed == len(nodes):
            memory.servers_at, memory.servers_due = now, False  # nothing is newer than these lists
        elif unread or (poll and self._servers_due(now)):
            if hurry:
                memory.arrivals_unread = True
            else:
                self._read(SERVERS, lambda: self._note_changed(now))
        self._read_singly(now)
        self._read_again_last(cluster, nodes)
        ended = self._clock.now()
        if (poll or listed) and ended - now > polling.POLL_MAX_S:
            memory.polled_at = ended  # else what took long is asked for again at once, before anything is sent
        elif poll:
            memory.polled_at = now

    def _read_again_last(self, cluster: Cluster, nodes: list[Node]) -> None:
        """The first change to a service hides the heartbeats since it was read, and an evacuation is not taken back:
        neither may come after long lists without another look for signs of life."""
        memory, at = self._memory, self._clock.now()
        wanted, memory.services_again = memory.services_again, False
        looked = nodes if wanted else self._untouched(nodes)
        if not looked or at - memory.services_at <= SERVICES_CLOSE_S or not self._read_services(at):
            return
        names = Names(cluster.nodes, memory.services, self._policy.host_map)
        for node in looked:
            service = names.service_of(node.name)
            if not isinstance(service, Unknown) and service.known:
                memory.hosts[node.name].observe_service(node, service, memory.services_at, self._clock.now())

    def _untouched(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if self._memory.hosts[node.name].record.phase in UNTOUCHED]

    def _moves_of(self, hosts: int, recent: bool) -> Callable[[HostMemory], Sequence[Move]]:
        """The evacuations of one host after the other.  Of several hosts they are asked for together, and only once.

        :param recent: none that are older than all that were open: they have ended, and it is dear to list them again.
        """
        all_hosts = self._memory.hosts.values()

        def window() -> tuple[float, dict[str, int]]:
            """From when on, and how many at once: one page, however long the oldest hangs."""
            if not recent:
                return 0.0, {}
            known = [m for host in all_hosts for moves in host.moves.values() for m in moves]
            began = min((m.created for m in known if m.status.open and m.created), default=0.0) - CREATED_APART_S
            new = 1 + sum(len(host.unseen) for host in all_hosts)
            return began, {"page": sum(m.created >= began for m in known) + new}

        def of_one(host: HostMemory) -> Sequence[Move]:
            began, page = window()
            return self._nova.moves_from(host.name, max(host.since, began), **page)

        if hosts == 1:
            return of_one

        @functools.cache
        def by_source() -> dict[str, list[Move]]:
            began, page = window()
            found: dict[str, list[Move]] = {}
            for move in self._nova.moves_of_all(max(began, min(host.since for host in all_hosts)), **page):
                found.setdefault(move.source, []).append(move)
            return found

        def of_its_own(host: HostMemory) -> Sequence[Move]:
            moves = by_source().get(host.name, ())
            return [move for move in moves if move.created >= host.since or not move.created]

        return of_its_own

    def _services_pace(self, node: Node) -> float:
        host = self._memory.hosts[node.name]
        if host.silent:
            return SERVICES_CLOSE_S
        if host.list_again or self._absence_decides(host):
            return 0.0  # a silent cell leaves what is its own out of lists (facts.md N22)
        restarted = host.returning.compute_restarted or host.compute_finished_its_rows
        if host.record.phase is Phase.RETURNING and restarted:
            seen = host.returning.baseline
            if seen and seen.enabled and not seen.forced_down:
                return SERVICES_CLOSE_S
            return 0.0  # what is lifted next must be ours as it is now, not as it was a moment ago
        # What operators do to the service must be known before the first change, and on the way back.
        close = node.member if host.record.phase is Phase.RETURNING else host.record.phase in UNTOUCHED
        return SERVICES_CLOSE_S if close else SERVICES_EVERY_S

    def _absence_decides(self, host: HostMemory) -> bool:
        """What the last lists left out would be taken for not being there."""
        if host.doubted and not self._memory.sending:
            return True
        waits = [sent.quiet_until for sent in host.unseen]
        alive = host.liveness
        if alive.wait_from:
            waits.append(alive.wait_from + resumed_s(alive.late_call_s, alive.beats_every_s))
        return any(host.moves_at < until <= host.moves_read_at for until in waits)

    def rest_s(self) -> float:
        """How long nothing is to be asked of Nova about evacuations: no pass sees more until then.  After a slow look
        at least as long as that took: a slow Nova is not asked all the time."""
        now = self._clock.now()
        slow_s = self._took_s if self._took_s > polling.POLL_MIN_S else 0.0
        return max(slow_s, polling.poll_due(self._memory, now) - now)

    def _note_services(self, services: tuple[Service, ...], now: float) -> None:
        memory = self._memory
        usable = {s.host for s in services if s.up and s.enabled and s.known}
        before = {s.host for s in memory.services if s.up and s.enabled and s.known}
        if memory.services_at and usable - before:
            memory.room_at = now
        memory.services, memory.services_at, memory.services_by = services, now, self._clock.now()
        memory.beats_every_s = max(memory.beats_every_s, self._beats_seen_s())

    def _beats_seen_s(self) -> float:
        """How seldom heartbeats come, by how old those of hosts are that are well: nothing is asked of Nova for that.

        One alone may be of a host that has just died, and while Nova's conductor is down all grow old: too long costs
        time, too short guests.
        """
        memory, dead = self._memory, {host.name for host in self._memory.hosts.values()}
        well = [s.updated_at for s in memory.services if s.up and s.enabled and s.known and s.host not in dead]
        ages = sorted(memory.services_at - at for at in well if at)[: -1 if len(well) > 2 else None]
        oldest = ages[-1] if ages else 0.0
        return oldest if self._policy.report_interval_s + BEATS_LATE_S < oldest < BEATS_SELDOM_S else 0.0

    def _list(self, host: HostMemory, now: float) -> None:
        """Everything of this host: what is on it, what left it, and what became of that."""
        # The servers first: one that another hand has just begun to move shows it by its task before its row is there.
        at = self._clock.now()
        on_it = self._nova.servers_on(host.name)
        moves_at = self._clock.now()
        moves = self._nova.moves_from(host.name, host.since)
        # The moves first: what a server is after a move says nothing of what its owner wanted before.
        self._note_moves(host, moves, moves_at)
        self._note_servers(host, on_it, now, at)
        host.listed = frozenset(server.id for server in on_it)
        # What becomes of a server after it was proved changes nothing.
        known = {server.id for server in host.servers.values() if not server.deleted}
        gone = ({m.server for m in moves if m.server not in host.servers} | known) - host.listed - set(host.proofs)
        young = now - host.since <= YOUNG_S and SERVERS not in self._memory.troubles
        if gone and (young or len(gone) > SINGLY):
            at = self._clock.now()
            changed = self._nova.servers_changed(host.since)
            self._note_servers(host, [s for s in changed if s.id in gone or s.host == host.name], now, at)
            for other in self._memory.hosts.values():
                if other is not host:
                    self._note_servers(other, [s for s in changed if s.id in other.servers], now, at, whole=False)
        else:  # in an old incident the list of what has changed since is that of the whole cloud
            self._read_again(host, gone)
        if host.returning.servers_before is not None:
            # What was proved, too: what had waited for the host is carried out now.
            at = self._clock.now()
            changed = self._nova.servers_changed(host.seen_to - 2.0)
            self._note_servers(host, [s for s in changed if s.id in host.servers], now, at)
        host.listed_at, host.listed_by, host.changes_at, host.list_again = now, self._clock.now(), now, False

    def _read_again(self, host: HostMemory, servers: Iterable[str]) -> None:
        for server in servers:
            host.servers.setdefault(server, Server(server, host="", vm_state="", known=False))
            host.reread.add(server)

    def _read_singly(self, now: float) -> None:
        """The servers that are to be read again, a few at once: what one of them costs the others is bounded."""
        memory, began = self._memory, self._clock.monotonic()
        wanted = dict.fromkeys(server for host in memory.hosts.values() for server in sorted(host.reread))
        due = [server for server in wanted if memory.may_read(f"server {server}", began)]
        for server in sorted(due, key=lambda server: memory.faults(f"server {server}"))[:SINGLY]:
            if self._clock.monotonic() - began > SINGLY_S:
                break
            hosts = [host for host in self._memory.hosts_of(server) if server in host.reread]
            self._read(f"server {server}", functools.partial(self._read_server, server, hosts, now))

    def _read_server(self, server: str, hosts: Iterable[HostMemory], now: float) -> None:
        """:raises NovaRefused: also when it is not there, as long as a list has not shown the same."""
        at = self._clock.now()
        found: Optional[Server] = None
        try:
            found = self._nova.server(server)
        except NovaRefused as exc:
            if exc.answer is not Answer.NOT_FOUND:
                raise
            for host in hosts:
                host.list_again = host.list_again or not host.listed_at or server in host.listed
            if any(host.list_again or host.doubted for host in hosts):
                raise
        for host in hosts:
            # What neither an answer of its own nor a list shows has been deleted.
            facts = found or replace(host.servers[server], deleted=True, known=True)
            self._note_servers(host, [facts], now, at, whole=False)
            host.reread.discard(server)

    def _servers_due(self, now: float) -> bool:
        memory = self._memory
        if memory.servers_due or now - memory.servers_at >= (SERVERS_CLOSE_S if memory.waiting else SERVERS_EVERY_S):
            return True
        return any(
            moves and moves[-1].status.arrived and host.servers[server].host != moves[-1].dest
            for host in memory.hosts.values()
            for server, moves in host.moves.items()
            if server in host.servers and server not in host.proofs
        )

    def _note_changed(self, now: float) -> None:
        memory = self._memory
        hosts = [host for host in memory.hosts.values() if host.listed_at]  # others are listed whole
        at = self._clock.now()
        changed = self._nova.servers_changed(min(host.seen_to for host in hosts) - 2.0, brief=True) if hosts else []
        for host in hosts:
            seen = [server for server in changed if server.id in host.servers]
            whole = [_completed(server, host.servers[server.id]) for server in seen]
            self._note_servers(host, filter(None, whole), now, at)
            host.list_again = host.list_again or None in whole
            host.changes_at = now
        memory.servers_at, memory.servers_due = now, False

    def _note_servers(
        self, host: HostMemory, servers: Iterable[Server], now: float, at: float, whole: bool = True
    ) -> None:
        """:param at: when they were asked for.
        :param whole: with all others of its servers that have changed.
        """
        moves_known = host.moves_read_at >= now  # else one may be at rest in a state that an evacuation brought
        for server in servers:
            known = host.servers.get(server.id)
            if not server.known and server.id in host.proofs:
                continue  # its cell is silent now; what was proved stays as it was
            host.read_at[server.id] = at
            if whole:
                host.newest = max(host.newest, server.updated)
            if known and known.vm_state != server.vm_state:
                host.logs.pop(server.id, None)  # its owner may have asked for it since
            host.servers[server.id] = server
            moves = host.moves.get(server.id, ())
            at_home = moves_known and not moves and server.host == host.name
            if at_home and wanted_now(server) is not Power.UNKNOWN:
                host.wanted[server.id] = wanted_now(server)
            if server.task_state in POWER_TASKS and server != known and not any(m.status.open for m in moves):
                # Its owner asked for it and the dead host will not do it: the action log knows.
                host.wanted.pop(server.id, None)
                host.logs.pop(server.id, None)

    def _note_moves(self, host: HostMemory, moves: Iterable[Move], now: float, whole: bool = True) -> None:
        # A silent cell leaves its evacuations out (facts.md N22): what was once seen has not gone away.
        shown = {m.id: m for m in moves}
        newest = {m.id: m for ms in host.moves.values() for m in ms} | shown
        found: dict[str, list[Move]] = {}
        for move in sorted(newest.values(), key=lambda m: (m.created, m.id)):
            found.setdefault(move.server, []).append(move)
        seen = {server: tuple(ms) for server, ms in found.items()}
        if seen != host.moves:
            self._memory.changed_at = now
        self._note_durations(host, newest.values(), now)
        seen_at = self._clock.now()
        host.ended_at = {m.id: host.ended_at.get(m.id, seen_at) for m in newest.values() if not m.status.open}
        for server in [server for server in host.logs if len(seen.get(server, ())) > 1]:
            if _ends({server: seen[server]}) != _ends({server: host.moves.get(server, ())}):
                del host.logs[server]
        if _ends(seen) != _ends(host.moves):
            self._memory.servers_due = True
        host.moves = seen
        host.dropped -= set(shown)
        if whole:  # from others nothing follows that is not in them
            host.moves_read_at, host.left_out = now, frozenset(set(newest) - set(shown))

    def _note_durations(self, host: HostMemory, moves: Iterable[Move], now: float) -> None:
        """When the next one ends is expected from how long the last ones took, and from when it began, by our clock."""
        open_ = {}
        for move in moves:
            if move.status.open:
                sent = host.sent.get(move.server)
                open_[move.id] = host.begun.get(move.id, sent.at if sent else now)
            elif move.id in host.begun and move.status.arrived:
                self._memory.took.append(polling.took_s(move.updated - move.created, now - host.begun[move.id]))
        host.begun = open_


def _completed(brief: Server, known: Server) -> Optional[Server]:
    """With the marks of its image; None when it was not known, or had another image."""
    if not brief.known:
        return brief
    same = known.known and known.image == brief.image
    return replace(brief, image_properties=known.image_properties) if same else None


def _ends(moves: dict[str, tuple[Move, ...]]) -> set[str]:
    return {f"{m.id} {m.status}" for ms in moves.values() for m in ms if not m.status.open}
