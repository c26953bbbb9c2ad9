# SPDX-License-Identifier: Apache-2.0
"""``muster status``: one line a host, what waits for a person, what happened last; with a host every server of it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

from rich.console import Group, RenderableType
from rich.text import Text

from muster.cli import commands, formats, terminal
from muster.cli.remedies import Failed
from muster.cli.site import Site
from muster.cli.terminal import Cell
from muster.cli.view import Seen, Shown, View, view
from muster.core.errors import ClusterError
from muster.core.findings import Verdict
from muster.core.printable import counted, tolerated
from muster.gateways.pacemaker import cib, cib_fencing, cib_operations, installation
from muster.gateways.pacemaker.cib_xml import ANSWERED
from muster.installation.fencing_topology import objection
from muster.reporting.documents import KnownCapacity, Readiness, Report, ServerEntry, SharedEvent, as_json
from muster.reporting.history import after_return
from muster.reporting.report import make_report, without_events
from muster.reporting.times import clock, duration

EXIT_OF_LEVEL = {"ok": commands.OK, "attention": commands.ATTENTION, "trouble": commands.TROUBLE}
SEEN_UP_S = 3600
VERDICTS = ("evacuated", "evacuating", "queued", "parked", "held", "unknown", "skipped", "gone")


def run(options: argparse.Namespace) -> int:
    site = Site(options.resource)
    if options.host:
        return _host(site, options)
    shown = look(site, options.incidents_only)
    if formats.wanted(options):
        formats.show(options, incidents_table(shown.incidents, time.time()))
    elif options.output == "json":
        terminal.print_json({"checked": round(time.time(), 1), **asdict(shown)})
    else:
        terminal.console().print(render(shown, time.time()))
    return EXIT_OF_LEVEL[shown.level]


def look(site: Site, incidents_only: bool = False) -> View:
    """What is the case now, by Pacemaker and by what the worker has shared."""
    others = [rival.id for rival in installation.rivals(site.snapshot) if rival.in_charge]
    told = (failed(site), site.heard(), others, cib_operations.under_way(site.snapshot), cib.unlisted(site.snapshot))
    return view(Seen(time.time(), site.cluster, site.resource, *told, stayed_on(site), incidents_only))


def failed(site: Site) -> list[Failed]:
    """The nodes that Pacemaker has lost and not fenced yet, and how far it is."""
    pacemaker, now = site.pacemaker(), time.time()
    unclean = pacemaker.unclean()
    refused = refusals(site, unclean)
    found = []
    for name in unclean:
        node = site.cluster.nodes.get(name)
        lost_s = now - node.lost_at if node and node.lost_at else None
        timeout_s = installation.fencing_timeout_s(site.snapshot, name)
        found.append(Failed(name, pacemaker.last_fencing(name), timeout_s, lost_s, refused.get(name, "")))
    return found


def answered(site: Site) -> dict[str, int]:
    """By compute, when it was found up although a power device had called it off; not where it was fenced since."""
    found = {}
    for name, at in cib_fencing.noted(site.snapshot, ANSWERED).items():
        node = site.cluster.nodes.get(name)
        if node is None or not node.compute:
            continue
        past = node.past.incidents[0].first if node.past else 0
        if at > max(node.fenced_at, node.record.last if node.record else 0, past):
            found[name] = at
    return found


def stayed_on(site: Site) -> dict[str, str]:
    """By compute, what to do about a power device that was found to lie within the last hour."""
    found = {}
    for name, at in answered(site).items():
        if abs(time.time() - at) < SEEN_UP_S:
            controllers = cib_fencing.noted_by(site.snapshot, ANSWERED, name)
            commands = (f"attrd_updater --name {ANSWERED}{name} --delete --node {one}" for one in controllers)
            found[name] = (
                f"{cib_fencing.lives(name)}, at {clock(at)}. Repair the power device or its wiring before this host"
                f" fails. Then take the note back: {'; '.join(commands)}"
            )
    return found


def refusals(site: Site, nodes: Sequence[str]) -> dict[str, str]:
    """By node, why fence_muster refuses ``off``: what it says itself goes into the log of whichever controller."""
    known = {name: node for name, node in site.cluster.nodes.items() if name in nodes and node.compute}
    devices = cib_fencing.devices(site.snapshot) if known else {}
    now, up = int(time.time()), answered(site)
    lies = {
        name: f"{cib_fencing.lives(name)}, {duration(now - at)} ago. Repair the power device or its wiring, then:"
        f" pcs stonith fence {name}"
        for name, at in up.items()
    }
    found = {
        name: objection(name, cib_fencing.levels(site.snapshot, name), devices)
        or cib_fencing.still_refused(site.snapshot, name, now)
        or lies.get(name)
        for name in known
    }
    return {name: said for name, said in found.items() if said}


def render(shown: View, now: float) -> RenderableType:
    """The whole page."""
    dead = len(shown.incidents)
    head = Text()
    head.append(shown.level.upper(), style=terminal.STYLES[shown.level])
    head.append(f"  {_hosts(dead, len(shown.failed))}")
    head.append(f", {shown.worker}, {'quorum' if shown.quorum else 'NO QUORUM'}")
    if shown.paused:
        head.append(f", PAUSED by {terminal.clean(shown.paused)}", style="yellow")
    parts: list[RenderableType] = [head]
    if shown.readiness:
        parts.append(_readiness(shown.readiness, now))
    if shown.capacity and (shown.capacity.at or shown.capacity.trouble):
        parts.append(_capacity(shown.capacity, now))
    if shown.incidents:
        parts += ["", incidents_table(shown.incidents, now)]
    if shown.todo:
        rows = [(terminal.styled(t.level), t.about, t.what) for t in shown.todo]
        parts += ["", terminal.table(("TO DO", "ABOUT", "WHAT"), rows)]
    return Group(*parts)


def _readiness(found: Readiness, now: float) -> Text:
    """``readiness: trouble (credentials, Nova), 2 min ago``."""
    if not found.at:
        return Text("readiness: not looked at yet", style="dim")
    worst = found.doubts[0].result if found.doubts else "ok"
    line = Text("readiness: ")
    line.append_text(terminal.styled(worst))
    named = ", ".join(doubt.check for doubt in found.doubts) or f"{found.checks} checks"
    line.append(f" ({terminal.clean(named)}), {terminal.age(now - found.at)} ago")
    return line


def _capacity(found: KnownCapacity, now: float) -> Text:
    """``capacity: any 2 of 12 hosts may die together, 5 min ago``."""
    said = []
    if found.at:
        number = tolerated(found.at_least, found.at_most, found.hosts)
        lost = sum(found.unsaveable.values())
        alone = f"; no other host takes {counted(lost, 'server')}" if lost else ""
        unsure = f"; muster cannot say for {counted(found.unjudged, 'server')}" if found.unjudged else ""
        said.append(f"{number}{alone}{unsure}, {terminal.age(now - found.at)} ago")
    if found.trouble:
        said.append(f"not known {'now' if found.at else 'yet'}: {terminal.clean(found.trouble)}")
    return Text(f"capacity: {'. '.join(said)}", style="" if found.at_least and not found.trouble else "yellow")


def _hosts(dead: int, failed: int) -> str:
    unfenced = f"{counted(failed, 'failed host')} not fenced yet" if failed else ""
    return ", ".join(filter(None, (counted(dead, "dead host") if dead else "", unfenced))) or "no dead host"


def render_events(events: Sequence[SharedEvent]) -> terminal.Table:
    """Events, in the order given."""
    rows = [
        (
            Cell(terminal.clock(e.at), clock(e.at)),
            e.node,
            e.name or e.server,
            e.what,
        )
        for e in events
    ]
    return terminal.table(("TIME", "HOST", "SERVER", "WHAT"), rows)


def incidents_table(incidents: Sequence[Shown], now: float) -> terminal.Table:
    return terminal.table(("HOST", "STATE", "FENCED", "SERVERS", "NOW"), (_row(one, now) for one in incidents))


def _row(incident: Shown, now: float) -> Sequence[object]:
    ago = terminal.age(now - incident.fenced) + " ago"
    servers, reason = counts(incident.servers), incident.reason
    below = incident.state == "blocked" or incident.rule.startswith("nova-silent")
    said = "" if says_no_more(reason, servers) else "see below" if below else reason
    return (
        incident.node,
        terminal.styled(incident.state),
        Cell(ago, clock(incident.fenced)),
        Cell(servers, dict(incident.servers)),
        Cell(said, reason),
    )


def says_no_more(reason: str, servers: Text) -> bool:
    """The reason is the counts, in another order maybe."""
    return sorted(reason.split(", ")) == sorted(servers.plain.split(", "))


def counts(servers: Mapping[str, int]) -> Text:
    """``5 evacuated, 1 held``, each in its colour."""
    text = Text()
    for verdict in VERDICTS:
        if servers.get(verdict):
            text.append(", " if text else "")
            text.append(f"{servers[verdict]} {verdict}", style=terminal.STYLES[verdict])
    return text or Text("-")


# ------------------------------------------------------------------- one host


def _host(site: Site, options: argparse.Namespace) -> int:
    page = _page(site, options.host)
    if page is None:
        if formats.wanted(options):
            formats.show(options, servers_table(()))
        elif options.output == "json":
            terminal.print_json({"node": options.host, "state": "", "proofs": []})
        else:
            print(f"{terminal.clean(options.host)}: not dead, and this controller has no report of an earlier incident")
        return commands.OK
    report = page.report
    nobody = report.state != "closed" and not site.resource.active_on
    if formats.wanted(options):
        formats.show(options, servers_table(_current(report)))
    elif options.output == "json":
        terminal.print_json(page.json)
    else:
        out = terminal.console()
        head = Text(f"{terminal.clean(report.node)}: ")
        head.append_text(terminal.styled(report.state))
        head.append(f", fenced {terminal.clock(report.fenced or 0.0)}: {terminal.clean(report.reason)}")
        out.print(head)
        out.print(Text(f"as {terminal.clean(page.source)}", style="dim"))
        if nobody:
            out.print(Text("no worker is running. To see why: muster status", style=terminal.STYLES["trouble"]))
        if report.proofs:
            out.print("")
            out.print(servers_table(_current(report)))
    return exit_of_host(report, nobody)


def exit_of_host(report: Report, nobody: bool) -> int:
    """:param nobody: no worker runs that would go on with it."""
    verdicts = {entry.verdict for entry in report.proofs}
    if report.state == "closed":  # what it left is a reminder, not a dead host
        return commands.ATTENTION if verdicts & {"held", "unknown", "parked"} else commands.OK
    return commands.TROUBLE if nobody or report.state == "blocked" or "held" in verdicts else commands.ATTENTION


def _current(report: Report) -> Sequence[ServerEntry]:
    """With what is left to do by now."""
    if not report.host_is_back:
        return report.proofs
    held = Verdict.HELD.value
    return [e._replace(reason=after_return(e.reason, e.id)) if e.verdict == held else e for e in report.proofs]


def servers_table(entries: Sequence[ServerEntry]) -> terminal.Table:
    """One row a server."""
    rows = [(e.name, e.id, terminal.styled(e.verdict), e.dest, e.state, e.reason) for e in entries]
    return terminal.table(("SERVER", "ID", "VERDICT", "TO", "STATE", "WHY"), rows)


@dataclass(frozen=True)
class Page:
    """A report, and who says so."""

    report: Report
    source: str

    @property
    def json(self) -> dict[str, Any]:
        told = as_json(self.report) if self.report.written else without_events(self.report)
        return {**told, "source": self.source}


def _page(site: Site, name: str) -> Optional[Page]:
    """The worker's own report where it is at hand; else what Nova says now; else the last incident known here.

    :returns: None for a host of which no incident is known.
    :raises ClusterError: when there is no such host.
    """
    node = next((n for n in site.cluster.nodes.values() if name in (n.name, n.name.partition(".")[0])), None)
    kept = site.reports(node.name if node else name)
    record = node.record if node else None
    here = site.local in site.resource.active_on
    if node and (record or node.fenced_at) and not (here and kept and record and kept[0].fenced == record.first):
        found = _observed(site, node.name)
        if found:
            return found
    if kept:
        when = terminal.clock(kept[0].written)
        return Page(kept[0], f"the worker on {site.local or 'this controller'} reported at {when}")
    if node is None:
        known = ", ".join(n.name for n in site.cluster.nodes.values() if n.compute)
        raise ClusterError(f"the cluster has no host {name!r}. It has: {known}")
    return None


def _observed(site: Site, node: str) -> Optional[Page]:
    from muster.wiring import lookups

    incident = lookups.observe(site.settings, site.pacemaker()).incidents.get(node)
    if incident is None:
        return None
    made = make_report(incident, incident.findings)
    return Page(made, "this command sees it in Nova now; the worker knows more")
