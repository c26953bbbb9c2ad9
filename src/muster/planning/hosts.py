# SPDX-License-Identifier: Apache-2.0
"""The compute hosts of the cloud, as the cluster and Nova know them together.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from muster.core.cluster_facts import Cluster
from muster.core.naming import Names
from muster.core.nova_facts import Server, Service


@dataclass(frozen=True)
class Host:
    """A compute host as the cluster and Nova know it together.

    :param node: empty when no node of the cluster is this host.
    :param service: None when Nova has none, or when it is in doubt which.
    :param fault: why the two do not come together.
    :param ignored: ``host_map`` leaves it alone.
    """

    node: str
    service: Optional[Service]
    fault: str = ""
    ignored: bool = False

    @property
    def name(self) -> str:
        return self.service.host if self.service else self.node


def hosts(
    cluster: Cluster, services: Sequence[Service], host_map: Mapping[str, str], doubts: Mapping[str, str]
) -> list[Host]:
    """Every compute host once, by name: each nova-compute service of Nova, and each remote node that ought to be one.

    :param doubts: by node, why a fencing of it would prove nothing: those of bundles and other guests, for instance.
    """
    found = []
    mapped = {node: host for node, host in host_map.items() if host}
    names = Names(cluster.nodes, services, mapped)
    for node in cluster.nodes.values():
        ignored = host_map.get(node.name) == ""
        service = names.service_of(node.name)
        if isinstance(service, Service):
            found.append(Host(node.name, service, _unknown(service), ignored))
        elif node.remote and node.compute and node.name not in doubts:
            found.append(Host(node.name, None, service.why, ignored))
    taken = {host.service.host for host in found if host.service}
    nobody = "no node of this cluster is this host, so nothing fences it"
    found += [Host("", service, nobody) for service in services if service.host not in taken]
    return sorted(found, key=lambda host: _natural(host.name))


def _unknown(service: Service) -> str:
    if service.unreadable:
        return f"what Nova shows of its nova-compute cannot be read: {service.unreadable}"
    return "" if service.known else "its Nova cell does not answer"


def find(known: Sequence[Host], name: str) -> Optional[Host]:
    """The host of that name, in the cluster or in Nova; by its short name where that leaves no doubt."""
    exact = [host for host in known if name in (host.name, host.node)]
    short = [host for host in known if name in (host.name.partition(".")[0], host.node.partition(".")[0])]
    return exact[0] if exact else short[0] if len(short) == 1 else None


def _natural(name: str) -> list[tuple[int, str]]:
    """cmp9 before cmp10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", name)]


def astray(known: Sequence[Host], servers: Iterable[Server]) -> int:
    """How many servers belong to no known host: their cell is silent, or their host has no service any more."""
    names = {host.service.host for host in known if host.service} | {""}
    return sum(not (server.known or server.host) or server.host not in names for server in servers)
