# SPDX-License-Identifier: Apache-2.0
"""The agents' documents and the catalogue of parameters, read from ``ocf_meta``; what Pacemaker and people see of them.

Parameters exist there and nowhere else.  This module never judges a value: that is :mod:`muster.settings`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Optional

import muster.ocf_meta
from lxml import etree

OWN = "urn:muster:parameters:1"
DISTRIBUTION = "muster-ha"
OCF_DOCTYPE = '<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">'
_FOLDER = Path(next(iter(muster.ocf_meta.__path__)))


@dataclass(frozen=True)
class Parameter:
    """One parameter of an agent.

    :param kind: how its value is read: one of those that ``parameters.xml`` lists.
    :param default: None when there is none.
    :param comfort: no decision depends on it, so a wrong value keeps no worker from starting.
    """

    name: str
    kind: str
    required: bool
    default: Optional[str]
    shortdesc: str
    longdesc: str
    minimum: Optional[int] = None
    maximum: Optional[int] = None
    unit: str = ""
    values: tuple[str, ...] = ()
    short: str = ""
    comfort: bool = False


def version() -> str:
    return metadata.version(DISTRIBUTION)


@functools.cache
def parameters(agent: str) -> tuple[Parameter, ...]:
    """The parameters of an agent, in the order of the catalogue."""
    return tuple(_parameter(element) for element in _document(agent).iterfind("parameters/parameter"))


def agent_metadata() -> str:
    """What ``ComputeRecovery meta-data`` prints: OCF 1.1, valid by the DTD of resource-agents, too."""
    root = _document("ComputeRecovery")
    root.set("version", version())
    _strip_own(root)
    return _text(root, OCF_DOCTYPE)


def fence_metadata() -> str:
    """What ``fence_muster -o metadata`` prints: the grammar of FenceAgentAPI, ``getopt`` included."""
    root = _document("fence_muster")
    for element in root.iterfind("parameters/parameter"):
        parameter = _parameter(element)
        for longdesc in element.findall("longdesc"):
            element.remove(longdesc)
        # By both names at once Pacemaker would not know which one to send: port is the old one.
        if parameter.name == "port":
            element.set("deprecated", "1")
        if parameter.name == "plug":
            element.set("obsoletes", "port")
        shortdesc, content = element.find("shortdesc"), element.find("content")
        assert shortdesc is not None and content is not None
        element.append(shortdesc)
        option = "plug" if parameter.name == "port" else parameter.name
        element.insert(0, etree.Element("getopt", mixed=f"-{parameter.short}, --{option}=[{option}]"))
    _strip_own(root)
    return _text(root, None)


def _document(agent: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_blank_text=True)
    tree = etree.parse(str(_FOLDER / f"{agent}.xml"), parser)
    tree.xinclude()
    root = tree.getroot()
    for comment in [node for node in root.iter() if not isinstance(node.tag, str)]:
        parent = comment.getparent()
        if parent is not None:
            parent.remove(comment)
    return root


def _strip_own(root: etree._Element) -> None:
    for element in root.iter():
        for name in [str(key) for key in element.attrib if str(key).startswith(f"{{{OWN}}}")]:
            del element.attrib[name]
        # XInclude marks where a part came from.
        element.attrib.pop("{http://www.w3.org/XML/1998/namespace}base", None)
    etree.cleanup_namespaces(root)


def _text(root: etree._Element, doctype: Optional[str]) -> str:
    etree.indent(root, space="  ")
    head = ['<?xml version="1.0"?>', *([doctype] if doctype else [])]
    return "\n".join([*head, etree.tostring(root, encoding="unicode")]) + "\n"


def _own(element: etree._Element, name: str) -> Optional[str]:
    value = element.get(f"{{{OWN}}}{name}")
    return None if value is None else str(value)


def _parameter(element: etree._Element) -> Parameter:
    content = element.find("content")
    assert content is not None
    minimum, maximum = _own(element, "min"), _own(element, "max")
    return Parameter(
        name=str(element.get("name")),
        kind=_own(element, "kind") or "string",
        required=element.get("required") == "1",
        default=content.get("default"),
        shortdesc=_prose(element, "shortdesc"),
        longdesc=_prose(element, "longdesc"),
        minimum=None if minimum is None else int(minimum),
        maximum=None if maximum is None else int(maximum),
        unit=_own(element, "unit") or "",
        values=tuple((_own(element, "values") or "").split()),
        short=_own(element, "short") or "",
        comfort=_own(element, "comfort") == "1",
    )


def _prose(element: etree._Element, tag: str) -> str:
    return " ".join((element.findtext(tag) or "").split())


def names(agent: str) -> Iterator[str]:
    return (parameter.name for parameter in parameters(agent))
