# SPDX-License-Identifier: Apache-2.0
"""``muster events``: what happened, the newest last.

From what every controller knows: Pacemaker's fencings, Nova's evacuations, and the worker's last events. What workers
of this controller have seen stands in their reports here, and takes the place of Nova's records.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Optional

from muster.cli import commands, formats, status, terminal
from muster.cli.site import Site, kept_reports
from muster.cli.watch import Keys
from muster.core.bounds import SKEW_S
from muster.core.errors import ClusterError, MusterError
from muster.core.nova_facts import Evacuation
from muster.reporting.documents import Report, SharedEvent

UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
FOLLOW_EVERY_S = 2.0


def run(options: argparse.Namespace) -> int:
    since = begin(options.since, time.time())
    told, missing = events(Site(options.resource), since)
    if formats.wanted(options):
        formats.show(options, status.render_events(told))
        return commands.OK
    if not options.follow:
        out = terminal.console()
        out.print(status.render_events(told) if told else f"nothing happened since {terminal.clock(since)}")
        for why in missing:
            print(f"not known: {terminal.clean(' '.join(why.split()))}", file=sys.stderr)
        return commands.OK
    return follow(options.resource, told)


def begin(text: str, now: float) -> float:
    """:raises UsageError: for what is neither a duration nor a time."""
    found = re.fullmatch(r"(\d{1,9}) ?(s|min|m|h|d)", text.strip())
    if found:
        return now - int(found[1]) * UNITS[found[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise commands.UsageError(f"--since {text!r}: use 30min, 12h, 7d or 2026-11-30T12:00") from None


def events(site: Site, since: float) -> tuple[list[SharedEvent], list[str]]:
    """In their order, and what is missing."""
    reports, missing = kept_reports()
    found = [event for report in reports for event in _of_report(report)]
    found += [*_fencings(site, missing), *site.heard().shared.events, *_of_nova(site, since, reports, missing)]
    elsewhere = [node for node in site.resource.active_on if node != site.local]
    if elsewhere:
        missing.append(f"all that the worker on {elsewhere[0]} has seen. There: muster events")
    return in_order(event for event in found if event.at >= since), missing


def in_order(found: Iterable[SharedEvent]) -> list[SharedEvent]:
    """Each once: the worker's last events are in its report, too."""
    known: dict[tuple[float, str, str, str], SharedEvent] = {}
    for event in found:
        known.setdefault((round(event.at, 1), event.node, event.server, event.what), event)
    return sorted(known.values(), key=lambda event: event.at)


def _of_report(report: Report) -> Iterable[SharedEvent]:
    return (SharedEvent(event.at, report.node, event.what, event.server, event.name) for event in report.events)


def _fencings(site: Site, missing: list[str]) -> Iterable[SharedEvent]:
    try:
        return [SharedEvent(at, node, what) for at, node, what in site.pacemaker().fencings()]
    except ClusterError as exc:
        missing.append(f"Pacemaker's fencings: {exc}")
        return ()


def _of_nova(site: Site, since: float, reports: Sequence[Report], missing: list[str]) -> list[SharedEvent]:
    """What no report here tells better."""
    from muster.reporting import nova_records
    from muster.wiring import connections

    try:
        nova, settings = connections.nova(site.settings), site.settings
        hosts, rows = nova_records.evacuations(nova, list(site.cluster.nodes), settings.host_map, since)
    except MusterError as exc:
        missing.append(f"evacuations by Nova's records: {exc}")
        return []
    named = [(hosts.get(row.source, row.source), row) for row in rows if row.created]
    return [event for node, row in named if not _told(node, row, reports) for event in of_row(node, row)]


def _told(node: str, row: Evacuation, reports: Sequence[Report]) -> bool:
    spans = ((r.fenced or 0.0, r.written) for r in reports if r.node == node)
    return any(first - SKEW_S <= row.created <= last + SKEW_S for first, last in spans)


def of_row(node: str, row: Evacuation) -> Iterable[SharedEvent]:
    to = f" to {row.dest}" if row.dest else ""
    yield SharedEvent(row.created, node, "evacuating: Nova took the call", row.server)
    if not row.status.open:
        yield SharedEvent(row.updated or row.created, node, f"its migration{to} is {row.status.value}", row.server)


def follow(resource: str, told: Sequence[SharedEvent]) -> int:
    """Each event as a line, until q or an interrupt."""
    last: Optional[str] = None
    known = {(round(event.at, 1), event.node, event.server, event.what) for event in told}
    for event in told:
        _print(event)
    with Keys() as keys:
        while not keys.quit:
            try:
                news = in_order([*_fresh(Site(resource))])
                last = None
            except ClusterError as exc:
                if str(exc) != last:
                    print(f"muster: {terminal.clean(exc)}", file=sys.stderr)
                last, news = str(exc), []
            for event in news:
                key = (round(event.at, 1), event.node, event.server, event.what)
                if key not in known:
                    known.add(key)
                    _print(event)
            keys.wait(FOLLOW_EVERY_S)
    return commands.OK


def _fresh(site: Site) -> Iterable[SharedEvent]:
    """What can be new, without a request to Nova: reports of this controller, fencings, the worker's last events."""
    yield from (event for report in kept_reports()[0] for event in _of_report(report))
    yield from _fencings(site, [])
    yield from site.heard().shared.events


def _print(event: SharedEvent) -> None:
    about = f"{event.node} {event.name or event.server}".strip()
    print(f"{terminal.clock(event.at)} {terminal.clean(about)}: {terminal.clean(event.what)}", flush=True)
