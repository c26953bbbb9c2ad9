# SPDX-License-Identifier: Apache-2.0
"""Elements of a page: a tree built by lxml, never text put together; whatever is in a name stays text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union

from lxml import etree

from muster.core.printable import clean

VOID = frozenset({"meta", "br", "rect", "line", "path"})
"""Elements that may be written without an end tag; by HTML, and in SVG."""

Element = etree._Element


def element(tag: str, attributes: Mapping[str, object], *children: Union[str, Element]) -> Element:
    """One element; every text and every attribute is made printable."""
    made = etree.Element(tag, None, None)
    for name, value in attributes.items():
        made.set(name, clean(value))
    if tag not in VOID:
        made.text = ""  # or an empty one would be written <td/>, which HTML reads as never closed
    for child in children:
        if isinstance(child, str):
            _append(made, clean(child))
        else:
            made.append(child)
    return made


def _append(to: Element, text: str) -> None:
    if len(to):
        to[-1].tail = (to[-1].tail or "") + text
    else:
        to.text = (to.text or "") + text


def document(root: Element) -> bytes:
    """The page: HTML for a browser, and well-formed XML."""
    return etree.tostring(root, encoding="utf-8", xml_declaration=False, doctype="<!DOCTYPE html>") + b"\n"
