# SPDX-License-Identifier: Apache-2.0
"""What operators have ordered, and what the settings allow, as the judge holds the workers to it.

A worker has to obey what its last look at Pacemaker showed: nobody can know what was ordered since.
"""

from __future__ import annotations

from muster.core.cluster_facts import Node
from muster.core.findings import Finding
from muster.core.operator_orders import Orders
from tests.sim.claims import Claims
from tests.sim.inventory import Instance
from tests.sim.parts import Process

RESETS = 3
"""So often a state is reset at most, before it is called what Nova refuses."""


class Obedience(Claims):
    """:ivar seen: the host whose verdicts are compared, as its worker has seen it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Node("", True)

    def orders_seen(self, process: Process, node: str) -> Orders:
        seen = process.looked.get(node)
        return seen.standing_orders if seen else Orders(0)

    def obeys(self, process: Process, what: str, allowed: bool = False) -> None:
        """While it is paused nothing is changed but what Pacemaker knows of fencings.

        :param allowed: it is one of these.
        """
        if process.saw_paused and not allowed:
            self.blame("D8", f"{what} from {process.controller}, which had seen that it is paused")

    def moves_what_it_may(self, process: Process, inst: Instance, what: str) -> None:
        """Before an evacuation, and before a reset that is to end in one."""
        orders = self.orders_seen(process, inst.host)
        if inst.id in orders.skipped:
            self.blame("D8", f"{what} of {inst.id}, which is to be skipped")
        if orders.released:
            self.blame("D8", f"{what} of {inst.id}, whose host is released")
        if inst.mark == "false":
            self.blame("A10", f"{what} of {inst.id}, which is opted out")

    def reset_sent(self, process: Process, ident: str) -> None:
        """A4."""
        world = self.world
        inst = world.cloud.instances[ident]
        if inst.deleted or process.knows_of_elsewhere(inst):
            return
        self.moves_what_it_may(process, inst, "reset")
        node, host = world.site.nodes[inst.host], world.cloud.computes[inst.host]
        if node.record is None or host.name not in world.site.fenced:
            self.blame("1", f"reset of {ident} on {host.name} without a record of its fencing")
        if inst.vm_state not in world.policy.reset_states and process.knew("servers_changed", inst.state_since):
            self.blame("A4", f"reset of {ident}, which is {inst.vm_state}: reset_states does not name that")
        inst.resets += 1

    def failures_since(self, inst: Instance, source: str, retried_at: float) -> tuple[int, int]:
        """Those that count after an operator's retry, and how often there was no room.

        By true time; Nova's clock dates what failed at the moment of the order either way.
        """
        since = retried_at - 1.0 - self._dated_s() if retried_at else 0.0
        cloud = self.world.cloud
        own = [r for r in cloud.rows_of[inst.id] if r.source == source and r.accepted_at >= since]
        rows = [r.status for r in own if not cloud.row_alive(r)]
        refused = sum(at >= since for at in self.refusals.get(inst.id, ()))
        return rows.count("failed") + rows.count("accepted") + refused, rows.count("error")

    def _true_exhausted(self, inst: Instance, finding: Finding) -> bool:
        retried_at = self.seen.standing_orders.retried_at(inst.id)
        failed, no_room = self.failures_since(inst, finding.source, retried_at)
        return failed + no_room * self.seen.member >= self.world.policy.attempts

    def _true_skipped_by_order(self, inst: Instance, finding: Finding) -> bool:
        return inst.id in self.seen.standing_orders.skipped

    def _true_released(self, inst: Instance, finding: Finding) -> bool:
        return self.seen.standing_orders.released

    def _true_state_refused(self, inst: Instance, finding: Finding) -> bool:
        given_up = inst.vm_state not in self.world.policy.reset_states or inst.resets >= RESETS
        return inst.vm_state not in ("active", "stopped", "error") and given_up
