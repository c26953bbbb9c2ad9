# SPDX-License-Identifier: Apache-2.0
"""Templates, references and sets of name-value pairs, read as Pacemaker reads them.  Its sources, 2.1.5 to 3.0.2:

- a primitive's own sets come behind its template's (lib/pengine/complex.c, unpack_template(): one level, templates are
  direct children of ``resources``);
- ``id-ref`` stands for the element of that tag and id (lib/common/xml.c, expand_idref()); a pair may take only its
  value from there (lib/pengine/rules.c, populate_hash());
- of several sets that with the higher score wins, of equal ones the later, and a set that is named comes before all
  (make_pairs() and sort_pairs() there, since 2.1.8 lib/common/nvpair.c);
- what a resource does not say, the group, clone or bundle around it does, then the defaults (get_rsc_attributes()).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Optional

from lxml import etree

Element = etree._Element

INFINITY = 1_000_000
COPIED = "muster-copied"
"""Marks what stands in our copy of a CIB and not in the CIB itself."""
_REFERRING = (
    "configuration/crm_config/cluster_property_set[@id-ref]",
    "configuration/rsc_defaults/meta_attributes[@id-ref]",
    "configuration/resources//instance_attributes[@id-ref]",
    "configuration/resources//meta_attributes[@id-ref]",
    "configuration/constraints//resource_set[@id-ref]",
    "configuration/constraints//rule[@id-ref]",
)
_PAIRS = ("configuration/crm_config//nvpair[@id-ref]", "configuration/resources//nvpair[@id-ref]")


def expand(cib: Element) -> None:
    """Put in, where they are used, what templates and references stand for.  Nodes have none that Pacemaker reads."""
    referring = [element for path in _REFERRING for element in cib.iterfind(path)]
    named: dict[tuple[str, str], Element] = {}
    for element in cib.iter(etree.Element):
        named.setdefault((str(element.tag), str(element.get("id"))), element)
    for element in referring:
        _replace(element, named.get(_meant(element)))
    for path in _PAIRS:
        for pair in cib.iterfind(path):
            meant = named.get(_meant(pair))
            for key in ("name", "value"):
                if meant is not None and pair.get(key) is None and meant.get(key) is not None:
                    pair.set(key, str(meant.get(key)))
    templates = {str(t.get("id")): t for t in cib.iterfind("configuration/resources/template")}
    for primitive in cib.iterfind("configuration/resources//primitive[@template]") if templates else ():
        template = templates.get(str(primitive.get("template")))
        if template is not None:
            for key, value in template.attrib.items():
                if key not in primitive.attrib:
                    primitive.set(key, value)
            for position, child in enumerate(template.iterchildren(tag=etree.Element)):
                primitive.insert(position, _copied(child))


def _meant(element: Element) -> tuple[str, str]:
    """What a reference stands for: the first of its tag with that id."""
    return str(element.tag), str(element.get("id-ref"))


def _replace(element: Element, meant: Optional[Element]) -> None:
    parent = element.getparent()
    assert parent is not None
    if meant is None:
        parent.remove(element)  # Pacemaker ignores it
    else:
        parent.replace(element, _copied(meant))


def _copied(element: Element) -> Element:
    found = copy.deepcopy(element)
    found.tail = None
    found.set(COPIED, "1")
    return found


def pairs(element: Element, kind: str, first: str = "") -> dict[str, str]:
    """The name-value pairs of an element's sets of that kind, but for those that depend on a rule.

    :param first: the id of the set that comes before all others.
    """
    found: dict[str, str] = {}
    for each in _sorted([s for s in element.iterfind(kind) if s.find("rule") is None], first):
        for pair in each.iterfind("nvpair"):
            name, value = pair.get("name"), pair.get("value")
            if name is None or value is None:
                continue
            if value.lower() == "#default":
                found.pop(name, None)
            else:
                found.setdefault(name, value)
    return found


def ruled(element: Element, kind: str) -> str:
    """Why the pairs of these sets cannot be told; empty where they can."""
    sets = (str(s.get("id")) for s in element.iterfind(kind) if s.find("rule") is not None)
    return "".join(f"a rule decides about its {kind.rpartition('/')[2]} {name}" for name in [*sets][:1])


def with_outer(resource: Element) -> list[Element]:
    """Itself, and the group, clone or bundle that it is in, outwards."""
    return [resource, *(e for e in resource.iterancestors() if e.tag in ("group", "clone", "master", "bundle"))]


def inherited(cib: Element, resource: Element, kind: str) -> dict[str, str]:
    """A resource's pairs with those that it has from what it is in, and from the defaults."""
    found: dict[str, str] = {}
    for each in (*with_outer(resource), *cib.iterfind("configuration/rsc_defaults")):
        found = {**pairs(each, kind), **found}
    return found


def unclear(cib: Element, resource: Element, kind: str) -> str:
    """Why :func:`inherited` may not be what Pacemaker finds; empty where it is."""
    each = (ruled(one, kind) for one in (*with_outer(resource), *cib.iterfind("configuration/rsc_defaults")))
    return next(filter(None, each), "")


def score(text: str) -> int:
    """As Pacemaker takes it; what is none counts as 0."""
    if re.fullmatch(r"[+-]?infinity", text.lower()):
        return -INFINITY if text.startswith("-") else INFINITY
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return 0
    return max(-INFINITY, min(INFINITY, int(text)))


def _sorted(sets: Sequence[Element], first: str) -> Iterator[Element]:
    def place(position: int) -> tuple[bool, int, int]:
        each = sets[position]
        return not (first and each.get("id") == first), -score(each.get("score", "")), -position

    return (sets[position] for position in sorted(range(len(sets)), key=place))
