# SPDX-License-Identifier: Apache-2.0
"""Which nova-compute service belongs to a Pacemaker node.

Exact name, then short name where that leaves no doubt, or the operator's map.  Doubt is refused: forcing down the
wrong host would evacuate guests that run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Union

from muster.facts import Service


def service_of(
    node: str, nodes: Iterable[str], services: Sequence[Service], host_map: Mapping[str, str]
) -> Union[Service, str]:
    """The service of ``node``, or the reason why none can be named.

    :param nodes: every node name of the cluster: two of them must not share a service by their short names.
    :param host_map: node name to Nova host, exact; it wins over every rule.
    """
    if not services:
        return "Nova lists no nova-compute service at all"
    if node in host_map:
        return _one([s for s in services if s.host == host_map[node]], node, f"host_map names {host_map[node]!r}")
    # What the map gives to another node is nobody else's, whatever it is called.
    services = [s for s in services if s.host not in host_map.values()]
    exact = [s for s in services if s.host.casefold() == node.casefold()]
    if exact:
        return _one(exact, node, "its name")
    twins = sorted(n for n in nodes if n != node and _short(n) == _short(node))
    alike = [s for s in services if _short(s.host) == _short(node) and ("." not in node or "." not in s.host)]
    if alike and twins:
        return f"{alike[0].host!r} could belong to {node!r} or to {', '.join(map(repr, twins))}: name it in host_map"
    return _one(alike, node, "its short name")


def _short(name: str) -> str:
    return name.split(".", 1)[0].casefold()


def _one(found: Sequence[Service], node: str, by: str) -> Union[Service, str]:
    if len(found) == 1:
        return found[0]
    if not found:
        return f"Nova has no nova-compute service for node {node!r} (by {by}): name it in host_map"
    return f"node {node!r} fits several services by {by}: {', '.join(s.host for s in found)}: name one in host_map"
