# SPDX-License-Identifier: Apache-2.0
"""Operators who do as they are told: what muster says is to be done is done, as it says, a little later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Callable

from muster.core.cluster_facts import Phase
from muster.core.decide import Incident
from muster.core.findings import Finding
from tests.sim.parts import World

SOON_S = (3.0, 30.0)


class Advised:
    """For each rule whose words send a person, what that person does; once for each time that it is said."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._doing: set[tuple[str, str, str]] = set()

    def hear(self, incidents: Iterable[Incident]) -> None:
        for incident in incidents:
            if incident.rule == "half-finished":
                self._soon((incident.node, incident.rule, ""), lambda i=incident: self._start_again(i))  # type: ignore[misc]
            if incident.rule in ("start-waits", "queue-unknown"):
                self._soon((incident.node, incident.rule, ""), lambda i=incident: self._empty_queue(i))  # type: ignore[misc]
            for finding in incident.findings.values():
                if finding.rule == "guest-left":
                    key = (incident.node, finding.rule, finding.server.id)
                    self._soon(key, lambda i=incident, f=finding: self._remove_guest(i, f))  # type: ignore[misc]

    def _soon(self, key: tuple[str, str, str], what: Callable[[], None]) -> None:
        if key in self._doing:
            return
        self._doing.add(key)

        def do() -> None:
            self._doing.discard(key)
            what()

        self._world.after(self._world.rng.uniform(*SOON_S), do)

    def _start_again(self, incident: Incident) -> None:
        cloud, host = self._world.cloud, self._world.cloud.computes[incident.node]
        record = self._world.site.nodes[incident.node].record
        if host.running and record is not None and record.phase is Phase.RETURNING:
            self._world.faults.note("operator starts nova-compute once more")
            cloud.rebuild.stop_compute(incident.node)
            cloud.rebuild.start_compute(incident.node, resumes=False)

    def _empty_queue(self, incident: Incident) -> None:
        """``rabbitmqctl purge_queue``, then ``muster release --queue-emptied``."""
        node = self._world.site.nodes[incident.node]
        if node.record is None or node.record.first != incident.first:
            return
        self._world.faults.note("operator empties a queue")
        self._world.cloud.computes[incident.node].queue.clear()
        self._world.site.set_node(
            incident.node, orders=replace(node.standing_orders, released=True, queue_emptied=int(self._world.now))
        )

    def _remove_guest(self, incident: Incident, finding: Finding) -> None:
        """``virsh destroy`` there, then ``muster retry``."""
        inst, node = self._world.cloud.instances[finding.server.id], self._world.site.nodes[incident.node]
        if inst.host != finding.source or inst.task or inst.deleted:
            return  # it is under way meanwhile
        self._world.faults.note("operator removes a guest that was left")
        inst.guests.clear()
        back = node.record and node.record.phase in (Phase.RETURNING, Phase.CLOSED) and not node.away
        if node.record and not back:
            retried = node.standing_orders.retry(inst.id, int(self._world.now))
            self._world.site.give_orders(node.name, retried)
