# SPDX-License-Identifier: Apache-2.0
"""Pacemaker's CIB, read into facts.  Asks nobody, writes nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from lxml import etree

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.errors import ClusterError
from muster.core.left_behind import LeftBehind
from muster.core.operator_orders import Orders
from muster.core.past_incidents import Past
from muster.gateways.pacemaker import attributes, constraints
from muster.gateways.pacemaker.attributes import pairs
from muster.gateways.pacemaker.cib_fencing import devices, levels, lives, noted, recorders_of
from muster.gateways.pacemaker.cib_operations import active, connected, found_running, lost_at
from muster.gateways.pacemaker.cib_xml import (
    ANSWERED,
    HOLD,
    LEFT,
    OPTIONS,
    ORDERS,
    PAST,
    PAUSED,
    RECORD,
    STATUS,
    Attribute,
    connections,
    names,
    nodes_named,
    primitives_of,
    read_value,
    remote_nodes,
    since,
    transient,
    values_of,
)
from muster.installation.fencing_topology import (
    MENDED,
    SAYS_UNPROVED,
    Device,
    only_refused,
    unproved,
    watchdog_fences,
)

SIZE_LIMIT = 64 * 1024 * 1024
"""Of a CIB: twenty remotes have 150 kB, so this is what nobody has."""

NEXT_LEVEL_S = 600
"""At most so long lies between what one level of a fencing has found and the end of the next one."""
Element = etree._Element


def parse(document: bytes) -> Element:
    """The root of a CIB, with what its templates and references stand for.

    :raises ClusterError: when it is none: too big, cut off, with a document type, or another document.
    """
    root = parse_reply(document)
    if root.tag != "cib" or root.getroottree().docinfo.doctype:
        raise ClusterError(f"this is not a CIB but {root.tag!r}")
    if b"id-ref" in document or b"template" in document:
        attributes.expand(root)
    return root


def parse_reply(document: bytes) -> Element:
    """The root of any XML that one of Pacemaker's tools printed.

    :raises ClusterError: when it cannot be read or is too big.
    """
    if len(document) > SIZE_LIMIT:
        raise ClusterError(f"the reply has {len(document)} bytes, more than {SIZE_LIMIT}")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError as exc:
        raise ClusterError(f"the reply cannot be read: {exc}") from exc


def cluster(cib: Element, local: str, resource: str) -> Cluster:
    """The snapshot as the worker needs it.

    :param local: this controller's node name.
    :param resource: the id of the worker's own resource.
    """
    named = names(cib)
    index = _Index.of(cib, named)
    nodes = {name: _node(index, name) for name in named}
    started = list(active(cib, resource))
    return Cluster(
        quorum=quorate(cib),
        local=local,
        nodes=nodes,
        active_here=local in started,
        active_elsewhere=tuple(name for name in started if name != local),
        paused=paused(cib, resource),
        resource=resource,
        nova_compute=_outermost(cib, index.held),
    )


def quorate(cib: Element) -> bool:
    return cib.get("have-quorum") == "1"


def node_record(cib: Element, name: str) -> Attribute[Record]:
    return read_value(nodes_named(cib, name), RECORD, Record.parse)


def node_left(cib: Element, name: str) -> Attribute[LeftBehind]:
    return read_value(nodes_named(cib, name), LEFT, LeftBehind.parse)


def node_past(cib: Element, name: str) -> Attribute[Past]:
    return read_value(nodes_named(cib, name), PAST, Past.parse)


def paused(cib: Element, resource: str) -> str:
    """Who told the worker to change nothing; empty if nobody did."""
    for primitive in cib.iterfind("configuration/resources//primitive"):
        if primitive.get("id") == resource:
            for pair in primitive.iterfind(f"meta_attributes/nvpair[@name='{PAUSED}']"):
                return pair.get("value") or "somebody"
    return ""


def node_id(cib: Element, name: str) -> Optional[tuple[str, str]]:
    """Id and type under which the CIB's ``nodes`` section has or would have this node; None if there is no such node.

    A wrong name would create a phantom node, so it has to be known to the CIB already.
    """
    for node in cib.iterfind("configuration/nodes/node"):
        if node.get("uname") == name:
            return str(node.get("id")), str(node.get("type", "member"))
    return (name, "remote") if name in remote_nodes(cib) else None


def remotes(cib: Element) -> list[str]:
    return sorted(remote_nodes(cib))


def announced(cib: Element, attribute: str) -> dict[str, str]:
    """By controller, what it has last said of itself."""
    said = ((str(state.get("uname")), transient(state, attribute)) for state in cib.iterfind("status/node_state"))
    return {name: value for name, value in said if value}


def options(cib: Element) -> dict[str, str]:
    """The cluster's; pcs's own set comes before all others (lib/pengine/unpack.c, unpack_config())."""
    return pairs(cib, OPTIONS, "cib-bootstrap-options")


def computes(cib: Element, named: Iterable[str]) -> set[str]:
    """Those of these nodes that muster is for: its fence devices list them.  Where one of these has no list, every
    remote node that is a machine of its own, no guest.  A node that host_map leaves alone is none."""
    recorders = recorders_of(cib)
    listed = {host.casefold() for recorder in recorders for host in recorder.hosts}
    found = {name for name in named if name.casefold() in listed}
    if not recorders or any(recorder.asked or recorder.host_check == "none" for recorder in recorders):
        found |= connections(cib)
    return found - left_alone(cib)


def strangers(cib: Element) -> set[str]:
    """Remote nodes that are no computes: guests, bundles, and whatever else Pacemaker manages beside them."""
    remotes = remote_nodes(cib)
    return remotes - computes(cib, remotes)


def unlisted(cib: Element) -> set[str]:
    """The remote nodes of which nobody has said whether they are computes."""
    remotes = connections(cib)
    return remotes - computes(cib, remotes) - left_alone(cib)


def left_alone(cib: Element) -> set[str]:
    """The nodes with nothing behind the colon in host_map, of every resource of the worker's."""
    workers = primitives_of(cib, "ocf", "muster", "ComputeRecovery")
    maps = [attributes.inherited(cib, p, "instance_attributes").get("host_map", "") for p in workers]
    found = [set(re.findall(r"(?:^|[;,\s])([\w.-]+)[:=](?=[;,\s]|$)", text)) for text in maps]
    return set.intersection(*found) if found else set()


def held_primitives(cib: Element) -> set[str]:
    """The primitives that a location rule keeps away where ``muster-hold`` is set: nova-compute."""
    rules = [r for r in constraints.locations(cib) if any(e.get("attribute") == HOLD for e in r.iter("expression"))]
    names = {name for rule in rules for name in constraints.located(cib, rule)}
    resources = cib.find("configuration/resources")
    found = (r for r in resources.iter() if r.get("id") in names) if resources is not None and names else ()
    return {str(primitive.get("id")) for resource in found for primitive in resource.iter("primitive")}


def _outermost(cib: Element, held: set[str]) -> str:
    """The one resource that all of these primitives are, or are in; empty where there is no such one."""
    primitives = (p for p in cib.iterfind("configuration/resources//primitive") if p.get("id") in held)
    found = {str(attributes.with_outer(primitive)[-1].get("id")) for primitive in primitives}
    return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True)
class _Index:
    """Elements by the name of their node, and connections by theirs: to search for each name would be quadratic."""

    cib: Element
    remotes: set[str]
    computes: set[str]
    held: set[str]
    nodes: Mapping[str, Sequence[Element]]
    states: Mapping[str, Sequence[Element]]
    histories: Mapping[str, Sequence[Element]]

    @functools.cached_property
    def answered(self) -> dict[str, int]:
        return noted(self.cib, ANSWERED)

    @functools.cached_property
    def devices(self) -> dict[str, Device]:
        return devices(self.cib)

    @classmethod
    def of(cls, cib: Element, named: Sequence[str]) -> _Index:
        return cls(
            cib,
            remote_nodes(cib),
            computes(cib, named),
            held_primitives(cib),
            _by("uname", cib.iterfind("configuration/nodes/node")),
            _by("uname", cib.iterfind("status/node_state")),
            _by("id", cib.iterfind("status/node_state/lrm/lrm_resources/lrm_resource")),
        )


def _by(key: str, elements: Iterable[Element]) -> dict[str, list[Element]]:
    found: dict[str, list[Element]] = {}
    for element in elements:
        found.setdefault(str(element.get(key)), []).append(element)
    return found


def _node(index: _Index, name: str) -> Node:
    nodes, states = index.nodes.get(name, ()), index.states.get(name, ())
    record, orders = read_value(nodes, RECORD, Record.parse), read_value(nodes, ORDERS, Orders.parse)
    state: Mapping[str, str] = {str(k): str(v) for k, v in states[0].attrib.items()} if states else {}
    histories = index.histories.get(name, ())  # a connection is called like its node
    remote, fenced_at = name in index.remotes, since(state.get("node_fenced", ""))
    member = since(state.get("in_ccm", "")) > 0 or (remote and connected(histories, fenced_at))
    shown = transient(states[0], STATUS) if states else ""
    open_record = record.value is not None and record.value.phase is not Phase.RETURNING
    return Node(
        name=name,
        remote=remote,
        record=record.value,
        unreadable_record=record.unreadable,
        hold=bool(values_of(nodes, HOLD)),
        member=member,
        fenced_at=fenced_at,
        lost_at=0 if member else lost_at(histories),
        found_running=found_running(states[0], index.held, ("monitor", "stop")) if states else 0,
        probed_running=found_running(states[0], index.held, ("monitor",)) if states else 0,
        orders=orders.value,
        unreadable_orders=orders.unreadable,
        shown=shown,
        # A member is a compute by whoever has put it on record.
        compute=name in index.computes or (not remote and record.value is not None),
        left=read_value(nodes, LEFT, LeftBehind.parse).value,
        past=read_value(nodes, PAST, Past.parse).value,
        unproved=_unproved(index, name, fenced_at, shown) if fenced_at and not member and not open_record else "",
    )


def _unproved(index: _Index, name: str, fenced_at: int, shown: str) -> str:
    """By the levels as they are now, and as a worker has found them at any time since that fencing."""
    given = options(index.cib)
    vouched = any("fence_watchdog" in device.power_agents for device in index.devices.values())
    watchdog = watchdog_fences(given) and not vouched
    applied = levels(index.cib, name)
    doubt = unproved(name, applied, index.devices, watchdog)
    if fenced_at - NEXT_LEVEL_S < index.answered.get(name, 0) <= fenced_at and only_refused(applied, index.devices):
        doubt = doubt or lives(name)
    before = MENDED if shown in SAYS_UNPROVED else ""
    return doubt or attributes.ruled(index.cib, OPTIONS) or before
