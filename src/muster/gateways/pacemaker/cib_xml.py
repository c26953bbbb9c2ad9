# SPDX-License-Identifier: Apache-2.0
"""Where what we need stands in a CIB: its nodes, its primitives, its attributes, and how muster's own are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Optional, TypeVar

from muster.core.cluster_facts import LATEST
from muster.gateways.pacemaker.attributes import Element, pairs

RECORD = "muster"
HOLD = "muster-hold"
ORDERS = "muster-orders"
LEFT, PAST = "muster-left", "muster-past"
STATUS, VERSION, LACKS = "muster-status", "muster-version", "muster-lacks"
"""Transient attributes: of a dead host, of each controller, of each on which something is missing."""
REFUSED, ANSWERED = "muster-refused-", "muster-answered-"
"""With a node's name behind it: transient attributes of each controller."""
PAUSED = "muster-paused"
"""A meta attribute of the worker's resource: to change one restarts nothing."""
Value = TypeVar("Value")


def names(cib: Element) -> list[str]:
    """Of every node."""
    named = {str(node.get("uname")) for node in cib.iterfind("configuration/nodes/node") if node.get("uname")}
    return sorted(named | remote_nodes(cib))


OPTIONS = "configuration/crm_config/cluster_property_set"


def remote_nodes(cib: Element) -> set[str]:
    """Remote nodes by their resources, guest nodes by the resource that makes them, and what the status shows."""
    found = connections(cib)
    guests = cib.iterfind("configuration/resources//primitive/meta_attributes/nvpair[@name='remote-node']")
    found |= {str(pair.get("value")) for pair in guests}
    found |= {str(s.get("uname")) for s in cib.iterfind("status/node_state[@remote_node='true']")}
    return found


def connections(cib: Element) -> set[str]:
    """The remote nodes that are a resource of their own."""
    return {str(p.get("id")) for p in primitives_of(cib, "ocf", "pacemaker", "remote")}


def primitives_of(cib: Element, kind: str, provider: str, agent: str) -> Iterator[Element]:
    """Walked, for there may be hundreds: a path with conditions takes five times as long."""
    resources, wanted = cib.find("configuration/resources"), (kind, provider, agent)
    for primitive in resources.iter("primitive") if resources is not None else ():
        if (primitive.get("class"), primitive.get("provider", ""), primitive.get("type")) == wanted:
            yield primitive


def nodes_named(cib: Element, name: str) -> Iterator[Element]:
    return (node for node in cib.iterfind("configuration/nodes/node") if node.get("uname") == name)


def values_of(nodes: Iterable[Element], attribute: str) -> set[str]:
    """Every value of a permanent node attribute: more than one only if somebody wrote it by hand in two places."""
    return {
        str(pair.get("value"))
        for node in nodes
        for pair in node.iterfind("instance_attributes/nvpair")
        if pair.get("name") == attribute
    }


@dataclass(frozen=True)
class Attribute(Generic[Value]):
    """What a permanent attribute of a node says.

    :param value: None without the attribute, and where it cannot be read.
    :param unreadable: its text where it cannot be read, which is never taken for "none".
    """

    value: Optional[Value] = None
    unreadable: str = ""


def read_value(nodes: Iterable[Element], attribute: str, parse: Callable[[str], Value]) -> Attribute[Value]:
    values = values_of(nodes, attribute)
    if not values:
        return Attribute()
    text = " and ".join(sorted(values))
    try:
        return Attribute(parse(text))
    except ValueError:
        return Attribute(unreadable=text or "empty")


def transient(state: Element, attribute: str) -> str:
    return pairs(state, "transient_attributes/instance_attributes").get(attribute, "")


def since(text: str) -> int:
    """true/false up to Pacemaker 2.1.6, afterwards the time since when; 0 for no."""
    if text == "true":
        return 1
    return min(int(text), LATEST) if re.fullmatch(r"[0-9]{1,12}", text) else 0
