# SPDX-License-Identifier: Apache-2.0
"""Asks Nova for what it has on record about an incident, within bounds.  Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional, Protocol

from muster.core.errors import Answer, NovaError, NovaRefused
from muster.core.naming import service_of
from muster.core.nova_facts import CallTrace, Evacuation, Server, Service
from muster.core.ports import ClockPort
from muster.core.unknown import Unknown
from muster.reporting.nova_history import Records, groups

SERVERS_LIMIT = 500
TIME_LIMIT_S = 60.0
"""Two or three requests for each server; Nova has better to do."""


class RecordsPort(Protocol):
    """Nova, as far as a report needs it.  Raises NovaUnavailable, or NovaRefused where it knows no such server."""

    def services(self) -> Sequence[Service]: ...
    def evacuations_from(self, host: str, since: float) -> Sequence[Evacuation]: ...
    def evacuations_of_all(self, since: float) -> Sequence[Evacuation]: ...
    def server(self, ident: str) -> Server: ...
    def traces(self, server: str, since: float) -> Sequence[CallTrace]: ...


def host_of(node: str, nodes: Iterable[str], services: Sequence[Service], host_map: Mapping[str, str]) -> str:
    """Nova's host of a node; a name that is no node's, or of a host that is gone, stands for itself."""
    service = service_of(node, nodes, services, host_map)
    return node if isinstance(service, Unknown) else service.host


def evacuations(
    nova: RecordsPort, nodes: Sequence[str], host_map: Mapping[str, str], since: float
) -> tuple[Mapping[str, str], Sequence[Evacuation]]:
    """The node of each Nova host, and every evacuation since then.

    :raises NovaError: when Nova does not answer.
    """
    services = nova.services()
    return {host_of(node, nodes, services, host_map): node for node in nodes}, nova.evacuations_of_all(since)


def node_of_server(nova: RecordsPort, nodes: Sequence[str], host_map: Mapping[str, str], server: str) -> Optional[str]:
    """The node whose Nova host has this server; None if Nova does not know the server, or no node has its host.

    :raises NovaError: when Nova does not answer.
    """
    services = tuple(nova.services())
    try:
        host = nova.server(server).host
    except NovaRefused:
        return None
    for node in nodes:
        service = service_of(node, nodes, services, host_map)
        if not isinstance(service, Unknown) and service.host == host:
            return node
    return None


@dataclass(frozen=True)
class Wanted:
    """Which evacuations of a host belong to the incident.

    :param since: those created from then on, and before ``until``.
    :param group: which of their groups: 0 the first, -1 the newest; None for all.
    :param told: servers of which the worker has said the last word already.
    """

    since: float
    until: Optional[float] = None
    group: Optional[int] = None
    told: frozenset[str] = frozenset()


def gather(nova: RecordsPort, clock: ClockPort, host: str, wanted: Wanted) -> Records:
    """:raises NovaError: when Nova does not tell the evacuations; what it does not tell later, the records name."""
    evacuations = [
        m for m in nova.evacuations_from(host, wanted.since) if wanted.until is None or m.created < wanted.until
    ]
    found = groups(evacuations)
    if wanted.group is not None and found:
        evacuations = [*(m for m in evacuations if not m.created), *found[wanted.group]]
    return _look_up(nova, clock, Records(host, clock.now(), evacuations), wanted.since, wanted.told)


def _look_up(nova: RecordsPort, clock: ClockPort, records: Records, since: float, told: frozenset[str]) -> Records:
    """The records with what Nova says of each of their servers, as far as the limits go."""
    end = clock.monotonic() + TIME_LIMIT_S
    asked = list(dict.fromkeys(evacuation.server for evacuation in records.evacuations))
    traces: dict[str, Sequence[CallTrace]] = {}
    servers: dict[str, Server] = {}
    why = ""
    for ident in asked[:SERVERS_LIMIT]:
        if clock.monotonic() > end:
            why = f"Nova took longer than {TIME_LIMIT_S:.0f} s"
            break
        try:
            if ident not in told:
                servers[ident] = _server(nova, ident)
            traces[ident] = _traces(nova, ident, since)
        except NovaError as exc:
            why = f"Nova gives no usable answer: {exc}"
            break
    else:
        why = f"muster asks about {SERVERS_LIMIT} at most" if len(asked) > SERVERS_LIMIT else ""
    left = len(asked) - len(traces)
    said = f"the actions of {left} of {len(asked)} servers, with their request ids and times: {why}"
    return replace(records, traces=traces, servers=servers, missing=(said,) if left else ())


def _server(nova: RecordsPort, ident: str) -> Server:
    try:
        return nova.server(ident)
    except NovaRefused as exc:
        if exc.answer is not Answer.NOT_FOUND:
            raise
        return Server(ident, host="", vm_state="deleted", deleted=True)


def _traces(nova: RecordsPort, ident: str, since: float) -> Sequence[CallTrace]:
    try:
        return nova.traces(ident, since)
    except NovaRefused as exc:
        if exc.answer is not Answer.NOT_FOUND:
            raise
        return ()
