# SPDX-License-Identifier: Apache-2.0
"""Location constraints, read as Pacemaker does (lib/pacemaker/pcmk_sched_location.c, pcmk__unpack_location()).

What is not understood here keeps nothing away: doctor then asks for a plain rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lxml import etree

from muster.gateways.pacemaker import posix
from muster.gateways.pacemaker.attributes import Element, with_outer

NEVER = -1_000_000
"""From this score on Pacemaker means never."""
ANY_ROLE = ("", "started", "unpromoted", "slave")


def locations(cib: Element) -> Iterator[Element]:
    return cib.iterfind("configuration/constraints/rsc_location")


def located(cib: Element, location: Element) -> set[str]:
    """The ids of the resources that a constraint names: by one id, by a pattern, or by sets; those of a tag or a
    template stand for what has it.  With a set, only sets count; a pattern is held against outermost resources."""
    resources = cib.find("configuration/resources")
    if resources is None or location.find("lifetime") is not None:
        return set()
    named = [ref.get("id") for ref in location.iterfind("resource_set/resource_ref")]
    if location.find("resource_set") is None:
        named = [location.get("rsc")]
        pattern = location.get("rsc-pattern")
        if pattern is not None:
            outermost = [str(e.get("id")) for e in resources.iterchildren(etree.Element) if e.tag != "template"]
            named += posix.matching(pattern.removeprefix("!"), outermost, pattern.startswith("!")) or ()
    return {ident for name in named if name for ident in _meant(cib, name)}


def _meant(cib: Element, name: str) -> Iterator[str]:
    yield name
    for tag in cib.iterfind("configuration/tags/tag"):
        if tag.get("id") == name:
            yield from (str(e.get("id")) for e in tag.iterfind("obj_ref"))
    primitives = cib.iterfind("configuration/resources//primitive[@template]")
    yield from (str(e.get("id")) for e in primitives if e.get("template") == name)


def keeping_away(cib: Element, primitive: Element, fits: Callable[[Element], bool]) -> Iterator[Element]:
    """The location constraints of the resource, or of what it is in, that say never wherever the expression fits."""
    chain = {str(element.get("id")) for element in with_outer(primitive)}
    for location in locations(cib):
        # Since 3.0 a constraint has one rule.
        rule = location.find("rule")
        if rule is not None and says_never(rule, fits) and chain & located(cib, location):
            yield location


def is_never(score: str) -> bool:
    return score.upper() == "-INFINITY" or (re.fullmatch("-[0-9]{1,18}", score) is not None and int(score) <= NEVER)


def says_never(rule: Element, fits: Callable[[Element], bool]) -> bool:
    if not is_never(rule.get("score", "")) or rule.get("role", "").lower() not in ANY_ROLE:
        return False
    parts = [part for part in rule if isinstance(part.tag, str)]
    # One of several that must all fit would keep it away from fewer nodes.
    sufficient = len(parts) == 1 or rule.get("boolean-op", "and").lower() == "or"
    return sufficient and any(part.tag == "expression" and fits(part) for part in parts)
