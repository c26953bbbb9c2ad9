# SPDX-License-Identifier: Apache-2.0
"""Which server is meant: by its id, the beginning of its id, or its name, among the servers of the incidents."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muster.cli.site import Site
from muster.core.errors import MusterError
from muster.core.printable import clean, counted, first_three

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BEGINNING = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,31}")


@dataclass(frozen=True)
class Named:
    """A server of an incident."""

    id: str
    name: str
    node: str


def of_incidents(site: Site) -> list[Named]:
    """Every server of every incident that is not over: by the worker's reports where they are, else by asking Nova.

    :raises MusterError: when Nova does not answer.
    """
    found, unread = [], []
    for node in site.cluster.nodes.values():
        if node.record is None:
            continue
        kept = [report for report in site.reports(node.name) if report.fenced == node.record.first]
        if kept and site.local in site.resource.active_on:
            found += [Named(entry.id, entry.name, node.name) for entry in kept[0].proofs]
        else:
            unread.append(node.name)
    return found + list(_observed(site, unread)) if unread else found


def _observed(site: Site, nodes: Sequence[str]) -> Iterator[Named]:
    from muster.wiring import lookups

    seen = lookups.observe(site.settings, site.pacemaker()).incidents
    for name in nodes:
        for finding in seen[name].findings.values() if name in seen else ():
            yield Named(finding.server.id, finding.server.name, name)


def shared(site: Site) -> list[Named]:
    """Those that every controller knows of, without asking anybody: they wait for a person."""
    told = site.heard().shared.incidents
    return [Named(entry.id, entry.name, incident.node) for incident in told for entry in incident.waiting]


def find(wanted: str, known: Sequence[Named], command: str, hosts: Sequence[str] = ()) -> Named:
    """:param command: that asks, for the advice.
    :param hosts: that may be meant as well.
    :raises NotClear: saying what may be meant.
    """
    text = wanted.lower()
    found = [it for it in known if it.id == text] or [it for it in known if it.name == wanted]
    if not found and _BEGINNING.fullmatch(text):
        found = [it for it in known if it.id.startswith(text)]
    found = list({it.id: it for it in found}.values())  # one that is in several incidents is one server
    if len(found) == 1:
        return found[0]
    if found:
        which = first_three([f"{it.id} on {it.node}" for it in found])
        raise NotClear(
            f"{wanted!r} may be any of {counted(len(found), 'server')}: {which}. Name it by its id: muster"
            f" {command} {found[0].id}"
        )
    near = difflib.get_close_matches(wanted, [*(it.name for it in known), *hosts], 1)
    meant = f". Did you mean {clean(near[0])}?" if near else ""
    raise NotClear(f"no incident has a server{' or host' if hosts else ''} {wanted!r}{meant}")


class NotClear(MusterError):
    """What is meant cannot be told; says what may be."""
