# SPDX-License-Identifier: Apache-2.0
"""The simulated Pacemaker cluster: controllers, quorum, the CIB with its records, fencing, and the hold rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.errors import ClusterRefused
from muster.core.operator_orders import Orders
from tests.sim.cloud import Cloud

CONTROLLERS = ("ctl1", "ctl2", "ctl3")


class Site:
    """:ivar active: the controller on which Pacemaker runs the worker's resource; empty for none.
    :ivar paused: the operator who told muster to change nothing.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.timeline = cloud.timeline
        self.rng = cloud.rng
        self.nodes: dict[str, Node] = {}
        self.alive = dict.fromkeys(CONTROLLERS, True)
        self.cut_off: dict[str, dict[str, Node]] = {}
        self.lost_quorum_at = 0.0
        self.active = "ctl1"
        self.paused = ""
        self.silent_until = 0.0
        self.revision = 0
        self.victims: dict[str, set[str]] = {}
        self.fenced: set[str] = set()
        self.forgotten: set[str] = set()
        self.ends_late = 0.0
        self.clocks: dict[str, float] = {}
        self.clocks_were_apart_s = 0.0
        self.fenced_at: dict[str, float] = {}
        self.changed: Callable[[], None] = lambda: None
        for name in cloud.computes:
            self.nodes[name] = Node(name, remote=True, member=True)

    # ----------------------------------------------------------------- quorum

    def quorum(self, controller: str) -> bool:
        """Enough of the controllers are on its side."""
        if not self.alive[controller]:
            return False
        side = controller in self.cut_off
        return sum(up and (name in self.cut_off) is side for name, up in self.alive.items()) >= 2

    def cut(self, controller: str) -> None:
        """It loses the others, and goes on with its own copy of the CIB."""
        self.cut_off[controller] = dict(self.nodes)

    def heal(self) -> None:
        self.cut_off.clear()

    def seen_by(self, controller: str) -> Cluster:
        nodes = dict(self.cut_off.get(controller, self.nodes))
        for name in self.forgotten:
            nodes[name] = replace(nodes[name], member=False, lost_at=0)
        active = controller in self.cut_off or self.active == controller
        return Cluster(self.quorum(controller), controller, nodes, active, paused=self.paused)

    @property
    def silent(self) -> bool:
        return self.timeline.now < self.silent_until

    # ------------------------------------------------------------------ nodes

    def set_node(self, name: str, **facts: Any) -> None:
        self.nodes[name] = replace(self.nodes[name], **facts)
        self.revision += 1
        self.changed()

    def fence(self, name: str, with_record: bool = True, lies: bool = False, unproved: str = "") -> None:
        """The power device says off; with ``lies`` nothing happens to the host.

        :param unproved: why Pacemaker's word for it proves nothing: no power device has done it.
        """
        now = self.timeline.now
        if not lies:
            if self.cloud.computes[name].powered:
                self.cloud.rebuild.power_cut(name)
        elif self.cloud.computes[name].running:
            self.cloud.computes[name].lives_since = now
        self.fenced.add(name)
        old = self.nodes[name].record
        if with_record or old is None or old.phase in (Phase.RETURNING, Phase.CLOSED):
            self.fenced_at[name] = now  # one more in the middle of an incident, without a record, dates nothing anew
        if old is None or old.phase in (Phase.RETURNING, Phase.CLOSED):
            self.victims[name] = {i.id for i in self.cloud.instances.values() if i.host == name and not i.deleted}
        late_s = self.rng.uniform(0.0, 2.0)
        word = {"unproved": unproved, "confirmed_at": 0}
        if with_record and self.ends_late and self.rng.random() < self.ends_late:
            # Its power-on part times out, and Pacemaker's time of a fencing is that of its end.
            self.set_node(name, member=False, **word)
            self.timeline.after(self.rng.uniform(61.0, 150.0), lambda: self._fencing_ends(name))
        else:
            self.set_node(name, member=False, fenced_at=int(late_s + self.stamp()), **word)
        if with_record:
            at = self.stamp()
            record = old.fenced_again(at) if old else Record(Phase.FENCED, at, at)
            self.set_node(name, record=record, hold=True)
            self._apply_hold(name)
        self.cloud.say(f"{name} is fenced{' (the device lies)' * lies}{'' if with_record else ', without a record'}")

    def _fencing_ends(self, name: str) -> None:
        if not self.nodes[name].member:
            self.set_node(name, fenced_at=self.stamp())

    def confirm(self, name: str) -> None:
        """``muster confirm``: an operator says that it is off."""
        old = self.nodes[name].record
        if old is not None and old.phase not in (Phase.RETURNING, Phase.CLOSED) and self.nodes[name].away:
            self.fenced_at[name] = self.timeline.now
            self.set_node(name, record=old.fenced_again(self.stamp()), hold=True)

    def stamp(self) -> int:
        """The clock of whichever controller does it."""
        if not any(self.clocks.values()):
            return int(self.timeline.now)
        able = [c for c in CONTROLLERS if self.quorum(c)] or list(CONTROLLERS)
        return int(self.timeline.now + self.clocks.get(self.rng.choice(able), 0.0))

    def confirm_to_pacemaker(self, name: str) -> None:
        """``pcs stonith confirm``: the history has it, and no agent is called."""
        self.fenced.add(name)
        self.set_node(name, confirmed_at=self.stamp())

    def leave(self, name: str) -> None:
        """A clean shutdown, or a loss of connection that fencing has not answered yet."""
        self.set_node(name, member=False)

    def rejoin(self, name: str) -> None:
        found = self.stamp() if self.cloud.computes[name].running else 0
        back = {"fenced_at": 0, "unproved": "", "confirmed_at": 0}
        self.set_node(name, member=True, found_running=found, probed_running=found, **back)
        if self.nodes[name].hold:
            self._apply_hold(name)
        self.cloud.say(f"{name} joins the cluster")
        self._start_allowed(name)

    def _start_allowed(self, name: str) -> None:
        def start() -> None:
            node, host = self.nodes[name], self.cloud.computes[name]
            if node.member and not node.hold and host.powered and not host.running and not host.broken:
                if node.record is None:
                    self.fenced.discard(name)
                self.cloud.rebuild.start_compute(name)

        self.timeline.after(self.rng.uniform(0.3, 4.0), start)

    def _apply_hold(self, name: str) -> None:
        """The location rule: where the hold is, Pacemaker stops nova-compute, if it reaches the node."""

        def stop() -> None:
            node, host = self.nodes[name], self.cloud.computes[name]
            if node.hold and node.member and host.running:
                self.set_node(name, found_running=self.stamp())
                self.cloud.rebuild.stop_compute(name)

        self.timeline.after(self.rng.uniform(0.3, 2.0), stop)

    def forget(self, name: str, seconds: float) -> None:
        """``crm_resource --refresh``, in Pacemaker 3: until a probe has found its connection, nothing says whether a remote
        is in the cluster, and only its fencing that it is not."""

        def found() -> None:
            self.forgotten.discard(name)
            self.revision += 1
            self.changed()

        self.forgotten.add(name)
        self.revision += 1
        self.changed()
        self.timeline.after(seconds, found)

    # ---------------------------------------------------- what an operator says

    def give_orders(self, name: str, orders: Orders) -> None:
        self.set_node(name, orders=orders)
        self.cloud.say(f"an operator orders for {name}: {orders.token}")

    def pause(self, who: str) -> None:
        self.paused = who
        self.revision += 1
        self.changed()
        self.cloud.say(f"paused by {who}" if who else "resumed")

    # ------------------------------------------------------- what a worker does

    def guard(self, controller: str) -> None:
        if not self.quorum(controller):
            raise ClusterRefused("no quorum: nothing was written")

    def write_record(self, controller: str, name: str, old: Optional[Record], record: Record) -> None:
        self.guard(controller)
        if name not in self.nodes:
            raise ClusterRefused(f"the cluster has no node {name!r}")
        if self.nodes[name].record != old or self.nodes[name].unreadable_record:
            raise ClusterRefused(f"{name}: another record is there")
        if record != old and not self.nodes[name].away:
            raise ClusterRefused(f"{name} is not known to be away")
        if name not in self.victims or (old and old.first != record.first):
            self.victims[name] = {i.id for i in self.cloud.instances.values() if i.host == name and not i.deleted}
        self.cloud.judge.record_written(name, self.nodes[name].record, record)
        self.set_node(name, record=record, hold=True)
        self._apply_hold(name)

    def swap_record(self, controller: str, name: str, old: Record, new: Record) -> None:
        self.guard(controller)
        if self.nodes[name].record != old:
            raise ClusterRefused(f"{name}: the record is not {old.token} any more")
        self.cloud.judge.record_written(name, self.nodes[name].record, new)
        self.set_node(name, record=new)

    def drop_record(self, controller: str, name: str, closing: Record) -> None:
        if self.quorum(controller) and self.nodes[name].record == closing:
            self.set_node(name, record=None, orders=None)
            self.victims.pop(name, None)
            if self.nodes[name].member:
                self.fenced.discard(name)

    def drop_hold(self, controller: str, name: str) -> None:
        record = self.nodes[name].record
        if self.quorum(controller) and record and record.phase in (Phase.RETURNING, Phase.CLOSED):
            self.set_node(name, hold=False)
            self._start_allowed(name)
