# SPDX-License-Identifier: Apache-2.0
"""The judge: watches the invariants of the product from outside, by what is true in the simulated world.

It never asks muster what it did.  What muster says is taken as a claim and compared with the truth.  Where an order
of events cannot be known to any client (a fact that changed after it was read), it grants a bounded grace and no more.
"""

from __future__ import annotations

from collections import Counter
from typing import Optional

from muster.core.cluster_facts import Phase, Record
from muster.core.findings import Finding
from muster.core.nova_facts import Power
from muster.core.operator_orders import Orders
from muster.core.sequence import priority
from tests.sim.claims import SERVER_GRACE_S
from tests.sim.inventory import OPEN, Compute, Instance, Row
from tests.sim.obedience import Obedience
from tests.sim.parts import Process
from tests.sim.site import CONTROLLERS

LOOKED_AFTER_S = 12.0
"""A heartbeat comes every interval and services are read every 10 s: who has read them so much later has seen it."""
HEARTBEAT_SKEW_S = 5.0
"""A heartbeat so shortly after the fencing may be one from before it, by another clock."""
HIDDEN_S = 3.0
"""From the last look before a force-down to the force-down itself: that hides the heartbeat that came in between."""
STAMP_S = 1.0
"""Nova's times are whole seconds."""
OPERATOR_GRACE_S = 3.0
"""What an operator did to a service that short before the claim cannot be known to it."""
REDATED_S = 6.0
"""A record that is further from the truth than that is dated anew by who claims it."""
ON_ITS_WAY_S = 1.0
"""From the worker's call until Nova has taken it."""
SAFE_DELAY_S = 22
"""With this delay or more a lying device must be found out in time (README, dangerous misconfigurations)."""


class Judge(Obedience):
    """:ivar violations: one line each, beginning with the invariant's number."""

    def __init__(self) -> None:
        super().__init__()
        self.verdicts: dict[tuple[str, int], dict[str, Finding]] = {}
        self.claimed: dict[tuple[str, int], float] = {}

    # ------------------------------------------------------- effects on Nova

    def may_change(self, process: Process, what: str, allowed: bool = False) -> None:
        """Invariant 4, at the moment something is sent: its own question has been asked before, and the answer was yes."""
        if not process.knew_quorum:
            self.blame("4", f"{what} from {process.controller} without asking for quorum")
        if not process.knew_current:
            self.blame("4", f"{what} from {process.controller} without asking whether it is the current worker")
        process.knew_quorum = process.knew_current = False
        self.obeys(process, what, allowed)

    def evacuate_sent(self, process: Process, ident: str, target: Optional[str] = None) -> bool:
        """Invariants 1 and 2, at the moment it is sent.

        :returns: whether a danger was there that nobody could know yet.
        """
        world = self.world
        inst = world.cloud.instances[ident]
        host = world.cloud.computes[inst.host]
        node = world.site.nodes[host.name]
        if inst.deleted or not any(n.record for n in world.site.nodes.values()):
            process.sent(ident, target)
            return False
        self._sent_from_where_it_is(process, inst)
        if process.knows_of_elsewhere(inst):
            return False
        record = node.record
        self._rules_of_sending(process, inst, target)
        if record is None or record.phase is not Phase.EVACUATING or host.name not in world.site.fenced:
            self.blame("1", f"evacuate of {ident} from {host.name} without a record of its fencing")
        elif world.now < self._fenced_last(process, host.name) + world.policy.delay_s - self._record_s(
            process, host.name
        ):
            self.blame("1", f"evacuate of {ident} from {host.name} before its storage leases have run out")
        if host.up(world.now) and not world.cloud.silent(host.name):
            self.blame("2", f"evacuate of {ident} while Nova calls {host.name} up")
        if inst.task == "deleting" and process.knew("servers_changed", inst.task_since):
            self.blame("A6", f"evacuate of {ident}, which its owner is deleting")
        for row in world.cloud.rows_of[ident]:
            known = row.by == "muster" or process.knew(f"evacuations_from {row.source}", row.began_at)
            if self._thought_dead(process, row):
                row.excused = True
            elif known and world.cloud.row_alive(row) and self._awaited(process, row):
                self.blame("3", f"evacuate of {ident} sent while migration {row.id} by {row.by} is {row.status}")
        if not host.running:
            return False
        if self._seen_alive(process, host):
            self.blame("1", f"evacuate of {ident} although {host.name} lives and was seen to")
            return False
        # An operator has started it past the hold, and the worker has neither seen it beat nor Pacemaker find it.
        seen = process.looked.get(host.name)
        by_hand = host.name in world.lived_by_hand and seen is not None and not seen.found_running
        return host.name in world.liars or by_hand

    def _sent_from_where_it_is(self, process: Process, inst: Instance) -> None:
        """Invariant 3: not by what was read before it arrived elsewhere, though Nova may refuse that (facts.md N2).  Its
        own evacuation a worker has to wait for; what another hand did it has to have seen, and what died with a
        destination."""
        told = (i.findings.get(inst.id) for i in process.incidents.values())
        sources = {f.source for f in told if f and f.rule == "ready"}
        if not sources or inst.host in sources:
            return
        arrived = sorted((r for r in self.world.cloud.rows_of[inst.id] if r.arrived_at), key=lambda r: r.arrived_at)
        there = max((r.arrived_at for r in arrived if r.dest in sources), default=0.0)
        left = next(r for r in arrived if r.arrived_at > there)  # which the conductor may have moved by an older row
        answers = ["servers_changed", f"trace {inst.id}", f"server {inst.id}"]
        answers += [f"evacuations_from {left.source}"] * (left.source in sources)
        seen = any(process.read_at.get(kind, 0.0) > left.arrived_at for kind in answers)
        own = left.by == "muster" and not left.excused and self.world.site.nodes[left.dest].record is None
        if seen or own:
            since_s = self.world.now - left.arrived_at
            self.blame("3", f"evacuate of {inst.id}, which left {' and '.join(sources)} {since_s:.0f} s ago")

    def _awaited(self, process: Process, row: Row) -> bool:
        """By the incident of the host that the server is on, or was on when it was evacuated: the conductor takes the
        row of either (facts.md N32).  Until an operator who has looked into that has it tried again."""
        inst, source = self.world.cloud.instances[row.server], row.source
        if source == inst.host:
            return True
        node = process.looked.get(source)
        looked_into = self.orders_seen(process, inst.host).retried.get(row.server, 0)
        return node is not None and bool(node.record or node.unreadable_record) and not looked_into

    def _thought_dead(self, process: Process, row: Row) -> bool:
        """Its destination was fenced by a device that lied, and nothing that tells of it could have been read yet."""
        dest, node = self.world.cloud.computes.get(row.dest), process.looked.get(row.dest)
        if dest is None or node is None or node.record is None or node.record.phase is not Phase.EVACUATING:
            return False
        return dest.name in self.world.liars and not self._seen_alive(process, dest)

    def _clocks_s(self) -> float:
        """Whole seconds, and what the controllers' clocks are apart: who has not seen it come knows no better."""
        off = [self.world.clocks.get(controller, 0.0) for controller in CONTROLLERS]
        return 1.0 + max(off) - min(off)

    def _dated_s(self) -> float:
        """What was read while a clock was wrong stays dated by that clock: beside an order a try may count as one of
        before it, or of after it."""
        return max(self._clocks_s(), 1.0 + self.world.site.clocks_were_apart_s)

    def _record_s(self, process: Process, name: str) -> float:
        """Who has seen the fencing come dates its record by its own clock.  Whoever begins later knows no more than that
        record, and a clock that was wrong then may be right by now."""
        if process.began_at < process.fenced_at.get(name, 0.0):
            return self._clocks_s()
        return self._dated_s()

    def _fenced_last(self, process: Process, name: str) -> float:
        """When the latest fencing was that it has seen: in truth, for the record may be by another clock."""
        node = process.looked.get(name)
        if not node or not node.record:
            return 0.0
        truth = process.fenced_at.get(name, 0.0)
        return min(truth, node.record.last) if not self.world.site.clocks else truth

    def _rules_of_sending(self, process: Process, inst: Instance, target: Optional[str]) -> None:
        """What settings and sequence promise: A8, A10, A15, attempts and in_flight."""
        policy, ident = self.world.policy, inst.id
        rows = [r for r in self.world.cloud.rows_of[ident] if r.source == inst.host]
        self.moves_what_it_may(process, inst, "evacuate")
        if inst.image and not policy.shared_storage:
            self.blame("A8", f"evacuate of {ident}, which will be empty")
        record = self.world.site.nodes[inst.host].record
        ours = [r for r in rows if record and r.status == "failed" and r.accepted_at >= record.first]
        orders = self.orders_seen(process, inst.host)
        since = orders.retried_at(ident) + 1.0 + self._dated_s() if orders.retried_at(ident) else 0.0
        ours = [r for r in ours if r.accepted_at >= since]
        failed = sum(process.knew(f"evacuations_from {r.source}", r.ended_at) for r in ours)
        if failed >= policy.attempts:
            self.blame("8", f"evacuate of {ident} after {failed} failures, attempts is {policy.attempts}")
        place = priority(inst.server(), policy.priority_key)
        sending = [i for i in process.incidents.values() if i.rule == "working"]
        for incident in sending:
            for other, finding in incident.findings.items():
                waits = finding.rule == "ready" and other not in process.sent_since_told
                if waits and priority(finding.server, policy.priority_key) > place:
                    self.blame("A15", f"evacuate of {ident} before {other}, whose priority is higher")
        # A server is under way once, however many of its rows the conductor has left `accepted`.
        open_rows = (r for r in self.world.cloud.rows if r.status in OPEN)
        rows_known = sorted((r for r in open_rows if self._in_flight(process, r)), key=lambda r: bool(r.dest))
        known = list({r.server: r for r in rows_known}.values())
        if len(known) + len(process.sent_this_pass) >= policy.in_flight:
            self.blame("8", f"evacuate of {ident} while {len(known)} are in flight, in_flight is {policy.in_flight}")
        self._one_more_fits(process, ident, known, target)
        process.sent(ident, target)

    def _one_more_fits(self, process: Process, ident: str, known: list[Row], target: Optional[str]) -> None:
        """One that nobody has named a destination of may go to any."""
        limit, bound = self.world.policy.per_destination, Counter(row.dest for row in known)
        bound.update(process.sent_this_pass.values())
        unnamed = bound.pop("", 0)
        most = bound[target] if target else max(bound.values(), default=0)
        if limit and unnamed + most >= limit:
            told = f"{dict(bound)} and {unnamed} unnamed are in flight, per_destination is {limit}"
            self.blame("8", f"evacuate of {ident} while {told}")

    def _in_flight(self, process: Process, row: Row) -> bool:
        cloud = self.world.cloud
        fresh = (
            process.read_at.get(f"evacuations_from {row.source}", 0.0) > row.began_at
            and row.server not in process.sent_this_pass
        )
        node = self.world.site.nodes[row.source]
        ours = node.record is not None and node.record.phase is Phase.EVACUATING
        young = self.world.now - row.accepted_at < self.world.policy.stuck_after_s - SERVER_GRACE_S
        inst = cloud.instances[row.server]
        if self._thought_dead(process, row):
            return False
        return ours and fresh and young and cloud.row_alive(row) and not inst.deleted and inst.host == row.source

    def _life_grace_s(self) -> float:
        """By the interval that muster was told, or can see."""
        return max(host.beats_s for host in self.world.cloud.computes.values()) + LOOKED_AFTER_S

    def _seen_alive(self, process: Process, host: Compute) -> bool:
        safe = self.world.policy.delay_s >= SAFE_DELAY_S and host.name in self.world.liars
        seen = safe or process.knew("services", host.lives_since + self._life_grace_s())
        return seen and not self._watched_in_vain(process, host)

    def _watched_in_vain(self, process: Process, host: Compute) -> bool:
        """No heartbeat was written while this worker watched, for as long as it has to (conductor down, for example)."""
        beat, cloud = process.beats.get(host.name, 0.0), self.world.cloud
        # Without a conductor no heartbeat is written; what an earlier worker has seen of them is lost with it.
        silent = not cloud.conductor_up or self.world.now - cloud.conductor_back_at < self._life_grace_s()
        if silent or beat <= host.lives_since + HEARTBEAT_SKEW_S:
            return True
        read_at, forced_at = process.hidden.get(host.name, (0.0, 0.0))
        if read_at < beat <= forced_at <= read_at + HIDDEN_S:
            return True
        since = process.first_read_at.get("services", 0.0)
        return 0.0 < since < self.world.now - self._life_grace_s() and beat <= since

    def evacuation_taken(self, inst: Instance, by: str) -> None:
        """Invariant 3, at the moment Nova takes it."""
        if by != "muster":
            return
        for row in self.world.cloud.rows_of[inst.id]:
            if row.dest in self.world.liars:  # its sending was judged by what could be seen of that host
                continue
            if row.source == inst.host and self.world.cloud.row_alive(row) and row.by == "muster":
                self.blame("3", f"second evacuation of {inst.id} while migration {row.id} is {row.status}")

    def guest_started(self, inst: Instance, row: Optional[Row]) -> None:
        """Invariant 3: no guest runs twice, unless a power device has lied and nobody could have seen it in time."""
        if len(inst.guests) < 2:
            return
        if any(r.excused for r in self.world.cloud.rows_of[inst.id]):
            return
        # Sent before an operator started its source past the hold, where a start of its owner's had waited (facts.md N19, N51).
        for name in self.world.lived_by_hand & inst.guests:
            if row and (row.endless or row.accepted_at < self.world.cloud.computes[name].lives_since + ON_ITS_WAY_S):
                return
        # An operator was told that Nova may still begin it.  Where the server was evacuated again since, Nova itself would
        # refuse it by its task (facts.md N30), which the simulated one does not look at.
        if row and row.let_go:
            return
        self.blame("3", f"guest of {inst.id} runs on {' and '.join(sorted(inst.guests))}")

    def order_carried_out(self, inst: Instance, host: Compute, state: str) -> None:
        """D10: one that had waited for a dead host starts a guest there, though its server is elsewhere by then."""
        if state == "active" and inst.host != host.name and host.name not in self.world.lived_by_hand:
            self.blame("D10", f"{host.name} starts the guest of {inst.id}, which is on {inst.host}")

    def lift_sent(self, process: Process, name: str, unforce: bool, enable: bool) -> None:
        """Invariant 5."""
        host = self.world.cloud.computes[name]
        if unforce:
            for row in self.world.cloud.rows:
                # One that had been given up, or nobody knew of, may begin at the return.
                unseen = row.crossed and not process.knew(f"evacuations_from {name}", row.began_at)
                if row.source == name and self.world.cloud.row_alive(row) and self._matters(row) and not unseen:
                    self.blame("5", f"{name} un-forced while migration {row.id} is {row.status}")
            record = self.world.site.nodes[name].record
            claimed_at = self.claimed.get((name, record.first), 0.0) if record else 0.0
            if host.forced_by == "operator" and claimed_at - host.touched_at > OPERATOR_GRACE_S:
                self.blame("5", f"{name} was forced down by an operator, and un-forced")
        if enable and host.disabled_by == "operator" and process.knew("services", host.touched_at):
            self.blame("5", f"{name} was disabled by an operator, and enabled")

    def _matters(self, row: Row) -> bool:
        inst = self.world.cloud.instances[row.server]
        return not inst.deleted and inst.host == row.source

    def compute_starts(self, host: Compute) -> None:
        """facts.md N16: it destroys what has not arrived elsewhere."""
        released_at = self.world.released.get(host.name, 0.0)
        if self.world.by_hand == host.name or not released_at:
            return
        for row in self.world.cloud.rows:
            if (
                row.source == host.name
                and row.accepted_at < released_at
                and not row.crossed
                and self.world.cloud.row_alive(row)
                and self._matters(row)
            ):
                self.blame("5", f"nova-compute of {host.name} let start while migration {row.id} is {row.status}")

    def stop_taken(self, inst: Instance, by: str) -> None:
        if by == "muster" and inst.wanted is Power.RUNNING and self.world.now - inst.asked_at > SERVER_GRACE_S:
            self.blame("A2", f"{inst.id} stopped although its owner wants it running")

    # ------------------------------------------------------ effects on the CIB

    def record_swapped(self, process: Process, name: str, new: Record) -> None:
        """Invariant 7: when a host is released every server that was on it has its verdict."""
        key = (name, new.first)
        if new.phase is Phase.EVACUATING and self.claimed.setdefault(key, self.world.now) == self.world.now:
            self._count_dead(process, name)
        if new.phase is Phase.CLOSED:
            host = self.world.cloud.computes[name]
            self.claimed.pop(key, None)
            if host.started_at < min(new.last, process.fenced_at.get(name, new.last)):
                self.blame("5", f"incident of {name} closed, and its nova-compute has not run since")
        if new.phase is not Phase.RETURNING:
            return
        self.world.released[name] = self.world.now
        for row in self.world.cloud.rows:
            # What an operator begins by hand after the last look at Nova nobody can know at the release.
            row.crossed = row.by == "operator" and not process.knew(f"evacuations_from {row.source}", row.accepted_at)
            row.let_go = row.let_go or self._let_go(row)
            row.crossed = row.crossed or row.let_go
        self.seen = process.looked[name]
        incident = process.incidents.get(name)
        findings = incident.findings if incident else {}
        on_it = {i.id for i in self.world.cloud.instances.values() if i.host == name and not i.deleted}
        for ident in sorted(self.world.site.victims.get(name, set()) | on_it):
            inst = self.world.cloud.instances[ident]
            if ident in findings:
                self._compare(inst, findings[ident])
            elif not inst.deleted and self.world.now - inst.asked_at > SERVER_GRACE_S:
                self.blame("7", f"{ident} of {name} has no verdict at its release")
        self.verdicts[name, new.first] = dict(findings)

    def _let_go(self, row: Row) -> bool:
        """An operator no longer waits for it, and it has taken as long as it may."""
        node = self.world.site.nodes.get(row.source)
        orders = node.standing_orders if node else Orders(0)
        late = self.world.now - row.accepted_at > self.world.policy.stuck_after_s - STAMP_S
        return late and row.status == "accepted" and (orders.released or row.server in orders.skipped)

    def record_written(self, name: str, old: Optional[Record], new: Record) -> None:
        """Whoever writes it may not undo a fencing that was recorded meanwhile."""
        set_ = self.world.faults.injected["controller's clock set"] > 0
        dated_anew = old is not None and (set_ or abs(old.last - self.world.now) > REDATED_S)
        if old is not None and old.last > new.last and not dated_anew:
            self.blame("4", f"record of {name} {old.token} overwritten by {new.token}")

    def _count_dead(self, process: Process, name: str) -> None:
        """C12: more hosts are dead than allowed, and this worker has seen it."""
        nodes = process.looked.values()
        dead = [n for n in nodes if n.record and n.record.phase not in (Phase.RETURNING, Phase.CLOSED)]
        limit = self.world.policy.max_failed_hosts.hosts(len(self.world.site.nodes))
        if len(dead) > limit and not self.orders_seen(process, name).approved:
            self.blame("C12", f"{name} begun while {len(dead)} hosts are dead, max_failed_hosts is {limit}")
