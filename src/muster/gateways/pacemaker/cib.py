# SPDX-License-Identifier: Apache-2.0
"""Pacemaker's CIB, read into facts, and the XML and XPath of our writes.  Asks nobody, writes nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, TypeVar, Union

from lxml import etree

from muster.core.cluster_facts import LATEST, Cluster, Node, Phase, Record
from muster.core.errors import ClusterError
from muster.core.operator_orders import Orders
from muster.gateways.pacemaker import attributes, constraints, posix
from muster.gateways.pacemaker.attributes import pairs
from muster.installation.fencing_topology import (
    AGENT,
    MENDED,
    ONE_HOST,
    POWER_AGENTS,
    UNPROVED,
    Device,
    Level,
    unproved,
    watchdog_fences,
)

RECORD = "muster"
HOLD = "muster-hold"
ORDERS = "muster-orders"
STATUS, VERSION = "muster-status", "muster-version"
"""Transient attributes: of a dead host, of each controller."""
REFUSED = "muster-refused-"
"""With a node's name behind it: a transient attribute of each controller."""
PAUSED = "muster-paused"
"""A meta attribute of the worker's resource: to change one restarts nothing."""
CONNECTED = ("start", "monitor", "migrate_from")
"""What succeeds for a remote's connection only where there is one; a stop does also after its loss."""
SIZE_LIMIT = 64 * 1024 * 1024
"""Of a CIB: twenty remotes have 150 kB, so this is what nobody has."""

Element = etree._Element
Said = TypeVar("Said")


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


def node_record(cib: Element, name: str) -> Union[Record, str, None]:
    """The record of a node; a string if the attribute is there and cannot be read; None without one."""
    return _read(_nodes_named(cib, name), RECORD, Record.parse)


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
    return (name, "remote") if name in _remotes(cib) else None


def names(cib: Element) -> list[str]:
    """Of every node."""
    named = {str(node.get("uname")) for node in cib.iterfind("configuration/nodes/node") if node.get("uname")}
    return sorted(named | _remotes(cib))


def remotes(cib: Element) -> list[str]:
    return sorted(_remotes(cib))


def refused_at(cib: Element, node: str) -> int:
    """When a controller's fence agent last refused ``off`` of this node (0: not in anybody's memory)."""
    states = cib.iterfind("status/node_state")
    return max((_since(_transient(state, f"{REFUSED}{node}")) for state in states), default=0)


def versions(cib: Element) -> dict[str, str]:
    """By controller, the version of the agent that it last announced."""
    found = {}
    for state in cib.iterfind("status/node_state"):
        announced = _transient(state, VERSION)
        if announced:
            found[str(state.get("uname"))] = announced
    return found


OPTIONS = "configuration/crm_config/cluster_property_set"


def options(cib: Element) -> dict[str, str]:
    """The cluster's; pcs's own set comes before all others (lib/pengine/unpack.c, unpack_config())."""
    return pairs(cib, OPTIONS, "cib-bootstrap-options")


def computes(cib: Element, named: Iterable[str]) -> set[str]:
    """Those of these nodes that muster is for: its fence devices list them.  Where one of these has no list, every
    remote node that is a machine of its own, no guest.  A node that host_map leaves alone is none."""
    recorders = [_device(cib, primitive, frozenset()) for primitive in _primitives(cib, "stonith", "", AGENT)]
    listed = {host.casefold() for recorder in recorders for host in recorder.hosts}
    found = {name for name in named if name.casefold() in listed}
    if not recorders or any(recorder.asked or recorder.host_check == "none" for recorder in recorders):
        found |= _connections(cib)
    return found - left_alone(cib)


def strangers(cib: Element) -> set[str]:
    """Remote nodes that are no computes: guests, bundles, and whatever else Pacemaker manages beside them."""
    remotes = _remotes(cib)
    return remotes - computes(cib, remotes)


def unlisted(cib: Element) -> set[str]:
    """The remote nodes of which nobody has said whether they are computes."""
    remotes = _connections(cib)
    return remotes - computes(cib, remotes) - left_alone(cib)


def left_alone(cib: Element) -> set[str]:
    """The nodes with nothing behind the colon in host_map, of every resource of the worker's."""
    workers = _primitives(cib, "ocf", "muster", "ComputeRecovery")
    maps = [attributes.inherited(cib, p, "instance_attributes").get("host_map", "") for p in workers]
    found = [set(re.findall(r"(?:^|[;,\s])([\w.-]+)[:=](?=[;,\s]|$)", text)) for text in maps]
    return set.intersection(*found) if found else set()


# ------------------------------------------------------------------- topology


def levels(cib: Element, name: str) -> list[Level]:
    """Every fencing level that applies to a node: by its name, by a pattern, by one of its attributes.

    Those whose index is not 1 to 9 Pacemaker ignores (daemons/fenced/fenced_commands.c, fenced_register_level()).
    """
    found = []
    for level in cib.iterfind("configuration/fencing-topology/fencing-level"):
        applies = _applies(cib, level, name) if re.fullmatch("[1-9]", level.get("index", "")) else False
        if applies is not False:
            devices = tuple(filter(None, level.get("devices", "").split(",")))
            unclear = "" if applies else f"whether its pattern matches {name!r} cannot be told here"
            found.append(Level(int(level.get("index", "")), devices, _target(level), unclear))
    return sorted(found, key=lambda level: level.index)


def devices(cib: Element) -> dict[str, Device]:
    """The fence devices by id."""
    primitives = list(cib.iterfind("configuration/resources//primitive[@class='stonith']"))
    recorders = [_device(cib, primitive, frozenset()) for primitive in primitives if primitive.get("type") == AGENT]
    vouched = frozenset(agent for recorder in recorders for agent in recorder.power_agents)
    nodes = names(cib)
    return {str(primitive.get("id")): _device(cib, primitive, vouched, nodes) for primitive in primitives}


def _device(cib: Element, primitive: Element, vouched: frozenset[str], nodes: Collection[str] = ()) -> Device:
    agent = str(primitive.get("type"))
    given = attributes.inherited(cib, primitive, "instance_attributes")
    meta = attributes.inherited(cib, primitive, "meta_attributes")
    # Whatever they say: the agents ask only whether they are there (fence_azure_arm, set_power_status(); fence_virsh,
    # get_power_status()).
    network = bool(given.get("network-fencing") or given.get("network_fencing"))
    return Device(
        str(primitive.get("id")),
        agent,
        _off_action(given),
        _hosts(given),
        given.get("pcmk_host_check", ""),
        disabled=meta.get("target-role", "").lower() == "stopped",
        vouched=agent in vouched,
        network=network,
        forgiving=_forgiving(given),
        shared=_shared(agent, given, nodes),
        unclear=attributes.unclear(cib, primitive, "instance_attributes"),
        power_agents=_words(given.get(POWER_AGENTS, "")),
        reboot_action=given.get("pcmk_reboot_action", given.get("action") or "reboot"),
    )


def _forgiving(given: Mapping[str, str]) -> str:
    """Of VMware Server 1 only guests that run are listed (fence_vmware, get_power_status())."""
    if given.get("vmware_type", given.get("vmware-type", "")).lower() == "server1":
        return "vmware_type=server1"
    return "missing_as_off" if given.get("missing_as_off") or given.get("missing-as-off") else ""


def _shared(agent: str, given: Mapping[str, str], nodes: Collection[str]) -> tuple[str, ...]:
    """Several nodes that the controller of one host is to fence.  Asked for a status, it has one for any node."""
    if agent not in ONE_HOST or given.get("port_as_ip") or given.get("port-as-ip"):
        return ()
    anybody = given.get("pcmk_host_check") in ("none", "status")
    listed = {host.casefold() for host in _hosts(given)}
    found = tuple(node for node in nodes if anybody or node.casefold() in listed)
    return found if len(found) > 1 else ()


def _off_action(given: Mapping[str, str]) -> str:
    """What is called where ``off`` is meant.  Pacemaker takes a device's ``action`` for that, too, unless it is empty
    or a reboot (daemons/fenced/fenced_commands.c, xml2device_params())."""
    action = given.get("action", "")
    return given.get("pcmk_off_action", action if action not in ("", "reboot") else "off")


def _hosts(given: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes of a device: a list of names, and a map of names to plugs ("node:plug;node=plug,plug")."""
    mapped = (re.split("[:=]", entry)[0] for entry in re.split(r"[;\s]+", given.get("pcmk_host_map", "")))
    return tuple(dict.fromkeys(filter(None, (*_words(given.get("pcmk_host_list", "")), *mapped))))


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[,;\s]+", text)))


def _target(level: Element) -> str:
    if level.get("target") is not None:
        return str(level.get("target"))
    if level.get("target-pattern") is not None:
        return f"regexp%{level.get('target-pattern')}"
    return f"attrib%{level.get('target-attribute')}={level.get('target-value')}"


def _applies(cib: Element, level: Element, name: str) -> Optional[bool]:
    """As Pacemaker matches it (daemons/fenced/fenced_remote.c, topology_matches()); None where that cannot be told."""
    target, pattern, attribute = level.get("target"), level.get("target-pattern"), level.get("target-attribute")
    if target is not None:
        return target.casefold() == name.casefold()
    if pattern is not None:
        return posix.matches(pattern, name)
    if attribute is not None:
        return level.get("target-value") in _values(_nodes_named(cib, name), attribute)
    return False


# --------------------------------------------------------------------- writes


def record_fragment(name: str, ident: str, kind: str, token: str) -> str:
    """The ``nodes`` section with nothing but record and hold of one node: what ``off`` writes at once."""
    return _node_fragment(name, ident, kind, {RECORD: token, HOLD: "1"})


def _node_fragment(name: str, ident: str, kind: str, pairs: Mapping[str, str]) -> str:
    nodes = etree.Element("nodes")
    node = etree.SubElement(nodes, "node", id=ident, uname=name, type=kind)
    attributes = etree.SubElement(node, "instance_attributes", id=_xml_id(f"nodes-{ident}"))
    for key, value in pairs.items():
        etree.SubElement(attributes, "nvpair", id=_xml_id(f"nodes-{ident}-{key}"), name=key, value=value)
    return etree.tostring(nodes, encoding="unicode")


def nodes_where(name: str, token: Optional[str], away: bool = False) -> str:
    """XPath of the ``nodes`` section, if there is quorum and the record is ``token`` (None: if there is no record).

    :param away: and only as long as the node has not joined the cluster.
    """
    pair = f"configuration/nodes/node[@uname={_literal(name)}]//nvpair[@name='{RECORD}']"
    condition = f"not({pair})" if token is None else f"{pair}[@value={_literal(token)}]"
    joined = f"status/node_state[@uname={_literal(name)}][@in_ccm!='false' and @in_ccm!='0' and @in_ccm!='']"
    return f"/cib[@have-quorum='1'][{condition}]{f'[not({joined})]' * away}/configuration/nodes"


def record_where(name: str, token: str) -> str:
    """XPath of the record itself, if there is quorum and it is ``token``."""
    node = f"/cib[@have-quorum='1']/configuration/nodes/node[@uname={_literal(name)}]"
    return f"{node}//nvpair[@name='{RECORD}'][@value={_literal(token)}]"


def orders_fragment(name: str, ident: str, kind: str, token: str) -> str:
    """The ``nodes`` section with nothing but the orders of one node."""
    return _node_fragment(name, ident, kind, {ORDERS: token})


def orders_nodes_where(name: str, record: str, orders: Optional[str]) -> str:
    """XPath of the ``nodes`` section, if there is quorum, the record is this one and so are the orders."""
    node = f"configuration/nodes/node[@uname={_literal(name)}]"
    pair = f"{node}//nvpair[@name='{ORDERS}']"
    same = f"not({pair})" if orders is None else f"{pair}[@value={_literal(orders)}]"
    kept = f"{node}//nvpair[@name='{RECORD}'][@value={_literal(record)}]"
    return f"/cib[@have-quorum='1'][{kept}][{same}]/configuration/nodes"


def orders_where(name: str, token: str) -> str:
    """XPath of the orders, if there is quorum and the record is ``token``."""
    node = f"/cib[@have-quorum='1']/configuration/nodes/node[@uname={_literal(name)}]"
    return f"{node}[.//nvpair[@name='{RECORD}'][@value={_literal(token)}]]//nvpair[@name='{ORDERS}']"


def resources_where(resource: str, who: str) -> str:
    """XPath of the worker's resource, if there is quorum and it is paused by ``who`` (empty: by nobody)."""
    pair = f"meta_attributes/nvpair[@name='{PAUSED}']"
    same = f"{pair}[@value={_literal(who)}]" if who else f"not({pair})"
    return f"/cib[@have-quorum='1']/configuration/resources//primitive[@id={_literal(resource)}][{same}]"


def paused_fragment(cib: Element, resource: str, who: str) -> str:
    """The worker's resource with nothing but who paused it."""
    primitive = etree.Element("primitive", id=resource)
    sets = cib.iterfind("configuration/resources//primitive/meta_attributes")
    own = (str(s.get("id")) for s in sets if _parent_id(s) == resource and s.get(attributes.COPIED) is None)
    ident = next(own, f"{resource}-meta_attributes")
    inner = etree.SubElement(primitive, "meta_attributes", id=ident)
    etree.SubElement(inner, "nvpair", id=_xml_id(f"{resource}-{PAUSED}"), name=PAUSED, value=who)
    return etree.tostring(primitive, encoding="unicode")


def record_pair(ident: str, token: str) -> str:
    pair = etree.Element("nvpair", id=ident, name=RECORD, value=token)
    return etree.tostring(pair, encoding="unicode")


def record_pair_id(cib: Element, name: str) -> Optional[str]:
    for node in _nodes_named(cib, name):
        for pair in node.iterfind(f"instance_attributes/nvpair[@name='{RECORD}']"):
            return str(pair.get("id"))
    return None


def hold_where(name: str) -> str:
    """XPath of the hold, if there is quorum and the record lets the host return: a new fencing in between keeps it."""
    node = f"/cib[@have-quorum='1']/configuration/nodes/node[@uname={_literal(name)}]"
    lets = f".//nvpair[@name='{RECORD}'][starts-with(@value,'returning:') or starts-with(@value,'closed:')]"
    return f"{node}[{lets}]//nvpair[@name='{HOLD}']"


# -------------------------------------------------------------------- details


def _remotes(cib: Element) -> set[str]:
    """Remote nodes by their resources, guest nodes by the resource that makes them, and what the status shows."""
    found = _connections(cib)
    guests = cib.iterfind("configuration/resources//primitive/meta_attributes/nvpair[@name='remote-node']")
    found |= {str(pair.get("value")) for pair in guests}
    found |= {str(s.get("uname")) for s in cib.iterfind("status/node_state[@remote_node='true']")}
    return found


def _connections(cib: Element) -> set[str]:
    """The remote nodes that are a resource of their own."""
    return {str(p.get("id")) for p in _primitives(cib, "ocf", "pacemaker", "remote")}


def _primitives(cib: Element, kind: str, provider: str, agent: str) -> Iterator[Element]:
    """Walked, for there may be hundreds: a path with conditions takes five times as long."""
    resources, wanted = cib.find("configuration/resources"), (kind, provider, agent)
    for primitive in resources.iter("primitive") if resources is not None else ():
        if (primitive.get("class"), primitive.get("provider", ""), primitive.get("type")) == wanted:
            yield primitive


def _nodes_named(cib: Element, name: str) -> Iterator[Element]:
    return (node for node in cib.iterfind("configuration/nodes/node") if node.get("uname") == name)


def _values(nodes: Iterable[Element], attribute: str) -> set[str]:
    """Every value of a permanent node attribute: more than one only if somebody wrote it by hand in two places."""
    return {
        str(pair.get("value"))
        for node in nodes
        for pair in node.iterfind("instance_attributes/nvpair")
        if pair.get("name") == attribute
    }


def _read(nodes: Iterable[Element], attribute: str, parse: Callable[[str], Said]) -> Union[Said, str, None]:
    """What an attribute says; a string if it is there and cannot be read; None without one."""
    values = _values(nodes, attribute)
    if not values:
        return None
    value = " and ".join(sorted(values))
    try:
        return parse(value)
    except ValueError:
        return value or "empty"


def _transient(state: Element, attribute: str) -> str:
    return pairs(state, "transient_attributes/instance_attributes").get(attribute, "")


def _parent_id(element: Element) -> str:
    parent = element.getparent()
    return "" if parent is None else str(parent.get("id"))


def _held(cib: Element) -> set[str]:
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


def _found_running(state: Element, held: set[str], kinds: tuple[str, ...]) -> int:
    """When a probe last found one of these active, or the node was able to stop it: after a fencing neither can be."""
    operations = (
        operation
        for resource in state.iterfind("lrm/lrm_resources/lrm_resource")
        if str(resource.get("id")).partition(":")[0] in held
        for operation in resource.iterfind("lrm_rsc_op[@interval='0'][@rc-code='0'][@op-status='0']")
        if operation.get("operation") in kinds
    )
    return max((_since(operation.get("last-rc-change", "")) for operation in operations), default=0)


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
    def devices(self) -> dict[str, Device]:
        return devices(self.cib)

    @classmethod
    def of(cls, cib: Element, named: Sequence[str]) -> _Index:
        return cls(
            cib,
            _remotes(cib),
            computes(cib, named),
            _held(cib),
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
    record, orders = _read(nodes, RECORD, Record.parse), _read(nodes, ORDERS, Orders.parse)
    state: Mapping[str, str] = {str(k): str(v) for k, v in states[0].attrib.items()} if states else {}
    member, fenced_at = _since(state.get("in_ccm", "")) > 0, _since(state.get("node_fenced", ""))
    shown = _transient(states[0], STATUS) if states else ""
    open_record = isinstance(record, Record) and record.phase is not Phase.RETURNING
    return Node(
        name=name,
        remote=name in index.remotes,
        record=record if isinstance(record, Record) else None,
        unreadable_record=record if isinstance(record, str) else "",
        hold=bool(_values(nodes, HOLD)),
        member=member,
        fenced_at=fenced_at,
        lost_at=0 if member else _lost_at(index.histories.get(name, ())),  # a connection is called like its node
        found_running=_found_running(states[0], index.held, ("monitor", "stop")) if states else 0,
        probed_running=_found_running(states[0], index.held, ("monitor",)) if states else 0,
        orders=orders if isinstance(orders, Orders) else None,
        unreadable_orders=orders if isinstance(orders, str) else "",
        shown=shown,
        # A member is a compute by whoever has put it on record.
        compute=name in index.computes or (name not in index.remotes and isinstance(record, Record)),
        unproved=_unproved(index, name, shown) if fenced_at and not member and not open_record else "",
    )


def _unproved(index: _Index, name: str, shown: str) -> str:
    """By the levels as they are now, and as a worker has found them at any time since that fencing."""
    given = options(index.cib)
    vouched = any("fence_watchdog" in device.power_agents for device in index.devices.values())
    watchdog = watchdog_fences(given) and not vouched
    doubt = unproved(name, levels(index.cib, name), index.devices, watchdog)
    before = MENDED if shown == UNPROVED else ""
    return doubt or attributes.ruled(index.cib, OPTIONS) or before


def _lost_at(histories: Iterable[Element]) -> int:
    """When the monitor of a remote's connection last failed, on whichever controller held it; 0 if it came back since.

    Pacemaker forgets it when the remote joins again, and with the controller's own history.
    """
    operations = [operation for history in histories for operation in history.iterfind("lrm_rsc_op")]
    operations = [operation for operation in operations if operation.get("op-status") != "-1"]  # under way
    recurring = [operation for operation in operations if operation.get("interval") != "0"]
    lost = max((_changed(op) for op in recurring if op.get("rc-code") != "0"), default=0)
    joined = [operation for operation in operations if operation.get("operation") in CONNECTED]
    back = max((_changed(operation) for operation in joined if operation.get("rc-code") == "0"), default=0)
    return lost if lost >= back else 0


def _changed(operation: Element) -> int:
    return _since(operation.get("last-rc-change", ""))


def _since(text: str) -> int:
    """true/false up to Pacemaker 2.1.6, afterwards the time since when; 0 for no."""
    if text == "true":
        return 1
    return min(int(text), LATEST) if re.fullmatch(r"[0-9]{1,12}", text) else 0


def active(cib: Element, resource: str) -> dict[str, int]:
    """Members on which the resource is active by its last known operation; one that is under way counts as active.

    :returns: since when: the time of its start there, or of a probe that has found it.
    """
    found = {}
    for state in cib.iterfind("status/node_state"):
        if _since(state.get("in_ccm", "")) == 0:
            continue
        for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
            if history.get("id") != resource:
                continue
            operations = [op for op in history.iterfind("lrm_rsc_op") if not _is_probe_under_way(op)]
            pending = [op for op in operations if op.get("op-status") == "-1"]
            last = max(operations, key=_call_id, default=None)
            if any(op.get("operation") == "start" for op in pending) or (last is not None and not _is_stopped(last)):
                begins = (
                    _changed(op) for op in operations if op.get("interval") == "0" and op.get("operation") != "stop"
                )
                found[str(state.get("uname"))] = max(begins, default=0)
    return found


def under_way(cib: Element) -> list[str]:
    """What Pacemaker is starting, stopping or moving now, in words."""
    return [
        f"{operation.get('operation')} of {history.get('id')} on {state.get('uname')}"
        for state in cib.iterfind("status/node_state")
        for history in state.iterfind("lrm/lrm_resources/lrm_resource")
        for operation in history.iterfind("lrm_rsc_op[@op-status='-1']")
        if operation.get("operation") != "monitor"
    ]


def _call_id(operation: Element) -> int:
    text = operation.get("call-id", "")
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else 0


def _is_probe_under_way(operation: Element) -> bool:
    return operation.get("operation") == "monitor" and operation.get("op-status") == "-1"


def _is_stopped(operation: Element) -> bool:
    code, status = operation.get("rc-code"), operation.get("op-status")
    if operation.get("operation") == "stop":
        return status == "0" and code == "0"
    # Computes do not have the agent, and Pacemaker probes them all the same.
    without_agent = code == "5" and operation.get("interval") == "0"
    return operation.get("operation") == "monitor" and (code == "7" or without_agent)


def _xml_id(text: str) -> str:
    return re.sub(r"[^\w.-]", ".", text)


def _literal(text: str) -> str:
    """A string of XPath 1.0, which knows no escapes.

    :raises ClusterError: for a text with both kinds of quotes, which no node has.
    """
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    raise ClusterError(f"{text!r} cannot be the name of a node")
