# SPDX-License-Identifier: Apache-2.0
"""What a shell offers behind a command: hosts, servers and incidents.  Asks Nova nothing: somebody waits for a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from muster.cli import names
from muster.cli.site import Site, kept_reports
from muster.core.errors import MusterError
from muster.reporting.history import incident_name

WORD = "__complete"
"""Followed by one of :data:`KINDS`."""


def run(words: Sequence[str]) -> int:
    """Quiet about what cannot be asked."""
    kind = KINDS.get(words[0] if words else "")
    try:
        found = sorted(set(kind(Site("")))) if kind else []
    except MusterError:
        return 0
    for word in found:
        if word.isprintable() and not set(word) & set(" '\"$`\\;&|<>()"):
            print(word)
    return 0


def _hosts(site: Site) -> Iterable[str]:
    return (node.name for node in site.cluster.nodes.values() if node.remote or node.record)


def _dead(site: Site) -> Iterable[str]:
    return (node.name for node in site.cluster.nodes.values() if node.record)


def _servers(site: Site) -> Iterable[str]:
    for report in kept_reports()[0]:
        node = site.cluster.nodes.get(report.node)
        if node and node.record and node.record.first == report.fenced:
            for entry in report.proofs:
                yield from (entry.name, entry.id)
    for named in names.shared(site):
        yield from (named.name, named.id)


def _incidents(site: Site) -> Iterable[str]:
    yield from _hosts(site)
    for report in kept_reports()[0]:
        yield incident_name(report.node, report.fenced or 0)


KINDS: Mapping[str, Callable[[Site], Iterable[str]]] = {
    "hosts": _hosts,
    "dead": _dead,
    "servers": _servers,
    "servers-and-dead": lambda site: [*_servers(site), *_dead(site)],
    "incidents": _incidents,
}
