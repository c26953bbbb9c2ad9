# SPDX-License-Identifier: Apache-2.0
"""The XML of our writes, and the XPath by which each is a compare-and-set.  Writes nothing itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from lxml import etree

from muster.core.errors import ClusterError
from muster.gateways.pacemaker import attributes
from muster.gateways.pacemaker.attributes import Element
from muster.gateways.pacemaker.cib_xml import HOLD, ORDERS, PAUSED, RECORD, nodes_named


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


def nodes_where(name: str, token: Optional[str]) -> str:
    """XPath of the ``nodes`` section, if there is quorum and the record is ``token`` (None: if there is no record)."""
    return f"{_recorded(name, token)}/configuration/nodes"


def nodes_where_away(name: str, token: Optional[str]) -> str:
    """The same only as long as the node is known to be out of the cluster (``Node.away``).

    What notes the return of a remote sets its node_fenced to 0 (daemons/controld/controld_remote_ra.c,
    remote_node_up(), 2.1.5 to 3.0.2).
    """
    out = "[@node_fenced > 0 or not(@remote_node='true')][not(@in_ccm='true' or @in_ccm > 0)]"
    away = f"[status/node_state[@uname={_literal(name)}]{out}]"
    return f"{_recorded(name, token)}{away}/configuration/nodes"


def _recorded(name: str, token: Optional[str]) -> str:
    pair = f"configuration/nodes/node[@uname={_literal(name)}]//nvpair[@name='{RECORD}']"
    condition = f"not({pair})" if token is None else f"{pair}[@value={_literal(token)}]"
    return f"/cib[@have-quorum='1'][{condition}]"


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


def note_fragment(name: str, ident: str, kind: str, attribute: str, token: str) -> str:
    """The ``nodes`` section with nothing but one note beside one node."""
    return _node_fragment(name, ident, kind, {attribute: token})


def note_nodes_where(name: str, attribute: str, note: Optional[str]) -> str:
    """XPath of the ``nodes`` section, if there is quorum and the note is this one (None: there is none)."""
    pair = f"configuration/nodes/node[@uname={_literal(name)}]//nvpair[@name='{attribute}']"
    same = f"not({pair})" if note is None else f"{pair}[@value={_literal(note)}]"
    return f"/cib[@have-quorum='1'][{same}]/configuration/nodes"


def note_where(name: str, attribute: str, note: str) -> str:
    """XPath of the note, if there is quorum and it is this one."""
    node = f"/cib[@have-quorum='1']/configuration/nodes/node[@uname={_literal(name)}]"
    return f"{node}//nvpair[@name='{attribute}'][@value={_literal(note)}]"


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
    for node in nodes_named(cib, name):
        for pair in node.iterfind(f"instance_attributes/nvpair[@name='{RECORD}']"):
            return str(pair.get("id"))
    return None


def hold_where(name: str) -> str:
    """XPath of the hold, if there is quorum and the record lets the host return: a new fencing in between keeps it."""
    node = f"/cib[@have-quorum='1']/configuration/nodes/node[@uname={_literal(name)}]"
    lets = f".//nvpair[@name='{RECORD}'][starts-with(@value,'returning:') or starts-with(@value,'closed:')]"
    return f"{node}[{lets}]//nvpair[@name='{HOLD}']"


def _parent_id(element: Element) -> str:
    parent = element.getparent()
    return "" if parent is None else str(parent.get("id"))


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
