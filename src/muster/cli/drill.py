# SPDX-License-Identifier: Apache-2.0
"""``muster drill``: fences a host that holds only servers marked for it, and compares what happens with the plan.

The chain is the one of an accident: Pacemaker, the fence devices, the worker, Nova.  This command only asks Pacemaker
for the fencing, and looks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from rich.console import Console, Group, RenderableType
from rich.text import Text

from muster.cli import commands, doctor, plan, terminal
from muster.cli.incidents import Incidents
from muster.cli.orders import who
from muster.cli.site import REPORT_DIRECTORY, Site
from muster.core.cluster_facts import Record
from muster.core.errors import ClusterError
from muster.core.printable import counted
from muster.gateways.pacemaker import cib_operations
from muster.installation import checkup
from muster.log import Log
from muster.planning.hosts import find
from muster.planning.plan import Plan, plans
from muster.reporting.drill import Before, Condition, conditions, links, surprises
from muster.reporting.history import Story, incident_name
from muster.reporting.outlets.files import replace
from muster.reporting.times import clock, duration

FENCING_S = 600.0
"""So long Pacemaker may take for the fencing, its power-on part included."""
LOOK_EVERY_S = 1.0
REPORT_MODE = 0o640


def run(options: argparse.Namespace) -> int:
    within_s = terminal.seconds("--within", options.within, 60, 86400)
    site = Site(options.resource)
    with terminal.console(stderr=True).status("asking Pacemaker, Nova and Placement"):
        before = look(site, options.host)
    out = terminal.console()
    asked = conditions(before)
    out.print(_table(asked))
    made, node = before.plan, before.plan.host.node
    if any(condition.objections for condition in asked):
        out.print(f"\nno drill on {made.host.name}: muster changed nothing")
        return commands.TROUBLE
    if options.dry_run:
        out.print(f"\ndry run: muster changed nothing. To fence the host: muster drill {node}")
        return commands.OK
    count = counted(len(made.turns), "server")
    if not terminal.confirmed(f"Cut the power of {node} now? Its {count} stop and start elsewhere.", options.yes):
        print("nothing changed")
        return commands.TROUBLE
    try:
        return _carry_out(site, made, within_s, out)
    except KeyboardInterrupt:
        print(f"muster goes on without this command. To see it: muster status {node}")
        raise


def look(site: Site, host: str) -> Before:
    """:raises ClusterError: when Pacemaker does not answer, or there is no such host.
    :raises NovaError: when Nova does not answer."""
    survey, known = plan.ask(site, host)
    (made,) = plans([one for one in [find(known, host)] if one], survey, site.settings)
    return Before(
        examined=checkup.examine(doctor.look(site)),
        hindrances=[words for _, words in plan.hindrances(site.resource)],
        plan=made,
        cluster=survey.cluster,
        unclean=site.pacemaker().unclean(),
        alone=cib_operations.alone_on(site.snapshot, made.host.node),
    )


def _table(asked: Sequence[Condition]) -> RenderableType:
    rows = [
        ("" if number else condition.name, terminal.styled("trouble" if condition.objections else "ok"), what)
        for condition in asked
        for number, what in enumerate(condition.objections or (condition.fine,))
    ]
    return terminal.table(("CHECK", "RESULT", "WHAT"), rows)


# ---------------------------------------------------------------------- drill


def _carry_out(site: Site, made: Plan, within_s: float, out: Console) -> int:
    node, ends_at = made.host.node, time.monotonic() + within_s
    Log("muster").info("drill", node=node, by=who(), servers=len(made.turns))
    asked_at = time.time()
    out.print(f"{terminal.clock(asked_at)}  {node}: asking Pacemaker to fence it")
    try:
        site.pacemaker().fence(node, FENCING_S)
    except ClusterError as exc:
        # Its power may be cut all the same: it is the power-on part that fails most often.
        out.print(f"{terminal.clock(time.time())}  Pacemaker reports: {terminal.clean(exc)}")
    first = _watch(site, node, ends_at, out)
    if first is None:
        print(
            f"nothing recorded a fencing of {node}: muster did nothing. To see why:"
            f" muster status, and pcs stonith history show {node}"
        )
        return commands.TROUBLE
    story = Incidents(Site(site.wanted)).tell(incident_name(node, first.first))
    page = _page(made, story, asked_at)
    out.print(page)
    _keep(page, node)
    return commands.TROUBLE if surprises(made, story) else commands.OK


def _watch(site: Site, node: str, ends_at: float, out: Console) -> Optional[Record]:
    """Until the host's incident is over, or the time is; what changes is said.

    :returns: the last record of the incident; None if there was none.
    """
    known: Optional[Record] = None
    said = ""
    while time.monotonic() < ends_at:
        try:
            record = site.pacemaker().look().nodes[node].record
            told = next((i for i in site.heard().shared.incidents if i.node == node), None)
        except ClusterError as exc:
            record, told = known, None
            out.print(f"{terminal.clock(time.time())}  {terminal.clean(exc)}")
        if known and record is None:
            return known
        known = record or known
        now = f"{told.state}, {told.reason}" if told else ""
        if now and now != said:
            said = now
            out.print(f"{terminal.clock(time.time())}  {node}: {terminal.clean(now)}")
        time.sleep(LOOK_EVERY_S)
    return known


# ---------------------------------------------------------------------- report


def _page(made: Plan, story: Story, asked_at: float) -> Group:
    rows = [
        (link.name, clock(link.at) or "not known", duration(link.at - asked_at) if link.at else "")
        for link in links(story, asked_at)
    ]
    return Group("", terminal.table(("LINK", "TIME", "AFTER"), rows, wide=False), "", *_compared(made, story))


def _compared(made: Plan, story: Story) -> Iterator[Text]:
    foretold = f" within {duration(made.seconds)}" if made.seconds else ""
    yield Text(f"the plan had foretold: {counted(len(made.turns), 'server')} evacuated{foretold} of the fencing")
    ended = [server.ended for server in story.servers if server.ended]
    took = f"; the last one {duration(max(ended) - story.fenced)} after the fencing" if ended and story.fenced else ""
    yield Text(f"it came as: {', '.join(f'{n} {word}' for word, n in story.counts.items()) or 'nothing'}{took}")
    found = surprises(made, story)
    yield Text("as foretold" if not found else "not as foretold:", style="green" if not found else "bold red")
    for line in found:
        yield Text(f"  {terminal.clean(line)}")


def _keep(page: RenderableType, node: str) -> None:
    """One file for each host: the next drill of it writes over it."""
    path = Path(REPORT_DIRECTORY) / f"drill-{incident_name(node, 0).rpartition('-')[0]}.txt"
    try:
        replace(path, terminal.for_a_file(page), REPORT_MODE)
    except OSError as exc:
        print(f"muster did not keep this report: {path}: {exc.strerror}")
    else:
        print(f"kept in {path}")
