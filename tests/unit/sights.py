# SPDX-License-Identifier: Apache-2.0
"""A sight of one dead host, made up, and whom a decision sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import Decision
from muster.core.nova_facts import Evacuation, Power, Server, Service
from muster.core.sight import HostSight, ServerSight, Sight
from muster.core.steps import Evacuate

NOW = 1_800_000_000.0
FENCED = int(NOW) - 20
DOWN = Service(
    id="u1",
    host="cmp1",
    up=False,
    enabled=False,
    disabled_reason="muster: x",
    forced_down=True,
    updated_at=FENCED - 3,
)
LIVING = Record(Phase.EVACUATING, FENCED, FENCED, lives=True)
ELSEWHERE = Service(id="u2", host="cmp2", up=True)


def node(phase: Phase | None = Phase.EVACUATING, **facts: Any) -> Node:
    record = Record(phase, FENCED, FENCED) if phase else None
    facts.setdefault("hold", phase is not None and phase is not Phase.RETURNING)
    facts.setdefault("record", record)
    return Node("cmp1", remote=True, fenced_at=FENCED, **facts)


def server(ident: str, priority: str = "", created: float = 0.0, **facts: Any) -> Server:
    metadata = {"evacuate_priority": priority} if priority else {}
    return Server(
        ident, "cmp1", facts.pop("vm_state", "active"), name=ident, created=created, metadata=metadata, **facts
    )


def server_sights(
    servers: Iterable[Server], evacuations: Iterable[Evacuation] = (), **facts: Mapping[str, Any]
) -> dict[str, ServerSight]:
    """:param facts: fields of the record of each server, by its id."""
    evacuations = tuple(evacuations)
    return {
        s.id: ServerSight(
            s,
            tuple(m for m in evacuations if m.server == s.id),
            **{name: of_it[s.id] for name, of_it in facts.items() if s.id in of_it},
        )
        for s in servers
    }


OF_SERVERS = {f.name for f in fields(ServerSight)} - {"server", "evacuations", "read_at"}


def sight(
    it: Node, *servers: Server, service: Service = DOWN, evacuations: tuple[Evacuation, ...] = (), **facts: Any
) -> Sight:
    """:param facts: fields of the sight and of its host; those of servers by their ids."""
    of_servers = {name: facts.pop(name) for name in OF_SERVERS if name in facts}
    of_servers.setdefault("at_rest", {s.id: Power.RUNNING for s in servers})
    of_servers["read_at"] = {s.id: NOW - 1 for s in servers}
    known = server_sights(servers, evacuations, **of_servers)
    host = HostSight(
        services=(service, ELSEWHERE),
        servers=known,
        unshown={
            m.server: tuple(x for x in evacuations if x.server == m.server)
            for m in evacuations
            if m.server not in known
        },
        listed_at=NOW - 1,
        evacuations_at=NOW,
    )
    facts.setdefault("back_at", NOW - 20 if facts.get("compute_restarted") else 0.0)
    host = replace(host, **{f.name: facts.pop(f.name) for f in fields(HostSight) if f.name in facts})
    cluster = facts.pop("cluster", None) or Cluster(True, "ctl1", {"cmp1": it, "cmp2": Node("cmp2", True, member=True)})
    return Sight(NOW, cluster, {"cmp1": host}, **facts)


def sent(decision: Decision) -> list[str]:
    return [step.server for step in decision.steps if isinstance(step, Evacuate)]
