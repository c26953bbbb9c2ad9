# SPDX-License-Identifier: Apache-2.0
"""Which nova-compute service belongs to a Pacemaker node.

Exact name, then short name where that leaves no doubt, or the operator's map.  Doubt is refused: forcing down the
wrong host would evacuate guests that run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Callable, Union

from muster.core.nova_facts import Service
from muster.core.unknown import Unknown


class Names:
    """Every name of a cluster and of Nova, sorted once, so that a host costs the same among ten or a thousand.

    :param nodes: every node name of the cluster: two of them must not share a service by their short names.
    :param host_map: node name to Nova host, exact; it wins over every rule.
    """

    def __init__(self, nodes: Iterable[str], services: Sequence[Service], host_map: Mapping[str, str]) -> None:
        self._host_map = host_map
        self._any = bool(services)
        mapped = set(host_map.values())
        # What the map gives to another node is nobody else's, whatever it is called.
        free = [s for s in services if s.host not in mapped]
        self._mapped = _sorted([s for s in services if s.host in mapped], lambda s: s.host)
        self._exact = _sorted(free, lambda s: s.host.casefold())
        self._short = _sorted(free, lambda s: _short(s.host))
        self._nodes: dict[str, list[str]] = {}
        for node in nodes:
            self._nodes.setdefault(_short(node), []).append(node)

    def service_of(self, node: str) -> Union[Service, Unknown]:
        """The service of ``node``, or the reason why none can be named."""
        if not self._any:
            return Unknown("Nova lists no nova-compute service at all")
        if node in self._host_map:
            host = self._host_map[node]
            return _one(self._mapped.get(host, ()), node, f"host_map names {host!r}")
        exact = self._exact.get(node.casefold(), ())
        if exact:
            return _one(exact, node, "its name")
        short = _short(node)
        alike = [s for s in self._short.get(short, ()) if "." not in node or "." not in s.host]
        twins = sorted(n for n in self._nodes.get(short, ()) if n != node)
        if alike and twins:
            return Unknown(
                f"{alike[0].host!r} could belong to {node!r} or to {', '.join(map(repr, twins))}: name it in host_map"
            )
        return _one(alike, node, "its short name")


def service_of(
    node: str, nodes: Iterable[str], services: Sequence[Service], host_map: Mapping[str, str]
) -> Union[Service, Unknown]:
    """The same for one node."""
    return Names(nodes, services, host_map).service_of(node)


def _sorted(services: Iterable[Service], name: Callable[[Service], str]) -> dict[str, list[Service]]:
    found: dict[str, list[Service]] = {}
    for service in services:
        found.setdefault(name(service), []).append(service)
    return found


def _short(name: str) -> str:
    return name.split(".", 1)[0].casefold()


def _one(found: Sequence[Service], node: str, by: str) -> Union[Service, Unknown]:
    if len(found) == 1:
        return found[0]
    if not found:
        return Unknown(f"Nova has no nova-compute service for node {node!r} (by {by}): name it in host_map")
    hosts = ", ".join(service.host for service in found)
    return Unknown(f"node {node!r} fits several services by {by}: {hosts}: name one in host_map")
