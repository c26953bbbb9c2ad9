# SPDX-License-Identifier: Apache-2.0
"""``muster plan``: what would happen if a host died now, or any one of them.  Asks, and changes nothing."""

from __future__ import annotations

import argparse
import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from muster.cli import commands, formats, terminal
from muster.cli.plan_page import EXIT_OF_VERDICT, cloud, hindrance, hosts_table, one_host, totals, turns_table
from muster.cli.site import Site
from muster.core.printable import counted
from muster.core.unknown import Unknown
from muster.installation.installed import Resource
from muster.planning.hosts import Host, astray, find, hosts
from muster.planning.inquiry import ASSUMED
from muster.planning.plan import Outlook, Pace, Plan, Survey, Turn, plans, worst
from muster.wiring import lookups

WIDE = 120
"""On a narrower terminal domains of hosts are left out: ``-f value`` has them."""


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """A hundred thousand servers hold no cycles: to look for some while they are read takes half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def run(options: argparse.Namespace) -> int:
    with without_collector():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    if bool(options.host) == options.all:
        raise commands.UsageError("name a host, or ask for all: muster plan --all")
    site = Site(options.resource)
    settings = site.settings
    survey, known = ask(site, options.host or "")
    chosen = known if options.all else [host for host in [find(known, options.host)] if host]
    made = plans(chosen, survey, settings)
    hindered, strays = list(hindrances(site.resource)), list(_strays(astray(known, survey.servers)))
    codes = [EXIT_OF_VERDICT[one.verdict] for one in made] + [code for code, _ in (*hindered, *strays)]
    level = max(codes, default=commands.UNKNOWN)
    notes = [note for _, note in (*hindered, *strays)]
    rests_on = list(basis(survey, settings.delay_s))
    if formats.wanted(options):
        formats.show(options, hosts_table(made, True) if options.all else turns_table(made[0]))
        return level
    if options.output == "json":
        terminal.print_json({**data(made, survey, details=not options.all), "notes": notes, "basis": rests_on})
        return level
    out = terminal.console()
    for code, note in hindered:
        out.print(hindrance(code, note))
    out.print(cloud(made, out.width >= WIDE) if options.all else one_host(made[0]))
    out.print("")
    for line in [*(note for _, note in strays), *rests_on, f"{survey.requests} requests, nothing changed"]:
        out.print(Text(terminal.clean(line), style="dim"))
    return level


def ask(site: Site, host: str) -> tuple[Survey, list[Host]]:
    """Everything that a plan depends on, and the hosts that there are.

    :param host: the one whose servers are wanted; empty for all.
    :raises ClusterError: when there is no such host.
    """
    settings = site.settings
    survey = lookups.survey(settings, site.cluster, site.snapshot, host)
    return survey, hosts(survey.cluster, survey.services, settings.host_map, survey.doubts)


def hindrances(resource: Resource) -> Iterator[tuple[int, str]]:
    """Why no host at all would be evacuated, with the exit code for it."""
    if resource.paused:
        yield commands.ATTENTION, f"{resource.paused} has paused muster: it would evacuate nothing before muster resume"
    if not resource.active_on:
        nowhere = "is not known to run anywhere: muster status" if resource.sought else "runs nowhere: muster status"
        why = f"is disabled: pcs resource enable {resource.id}" if resource.disabled else nowhere
        yield commands.TROUBLE, f"muster would evacuate nothing: {resource.id} {why}"


def _strays(count: int) -> Iterator[tuple[int, str]]:
    if count:
        words = f"{counted(count, 'server')} on no host that Nova shows: a cell may be silent, or a host removed"
        yield commands.ATTENTION, words


def basis(survey: Survey, delay_s: int) -> Iterator[str]:
    """What all of this rests on, and what it does not."""
    yield f"room unknown: {survey.terms}" if isinstance(survey.terms, Unknown) else ASSUMED
    if isinstance(survey.pace, Pace):
        delay = f"{delay_s} s (delay_s), then " if delay_s else ""
        last = f"the median of the last {survey.pace.count}" if survey.pace.count > 1 else "as the last one took"
        yield f"time after the fencing: {delay}{survey.pace.seconds:.1f} s a wave, {last}"
    else:
        yield f"time {survey.pace}"


def data(made: Sequence[Plan], survey: Survey, details: bool) -> dict[str, Any]:
    """For machines.

    :param details: each server, too.
    """
    costly = worst(made)
    return {
        "checked": round(survey.now, 1),
        "requests": survey.requests,
        "room": "unknown" if isinstance(survey.terms, Unknown) else "estimated",
        "seconds_a_wave": survey.pace.seconds if isinstance(survey.pace, Pace) else None,
        "totals": totals(made),
        "worst": costly.host.name if costly else None,
        "hosts": [_host_data(one, details) for one in made],
    }


def _host_data(made: Plan, details: bool) -> dict[str, Any]:
    service = made.host.service
    known = service is not None and service.known
    told = {
        "host": made.host.name,
        "node": made.host.node or None,
        "verdict": made.verdict,
        "blocked": made.blocked or None,
        "trouble": list(made.trouble),
        "attention": list(made.attention),
        "service_up": service.up if service and known else None,
        "service_enabled": service.enabled if service and known else None,
        "servers": len(made.turns) if known else None,
        "outlook": {outlook.value: made.counts[outlook] for outlook in Outlook},
        "at_once": made.width,
        "waves": made.waves,
        "seconds": made.seconds,
    }
    return {**told, "sequence": [_turn_data(turn) for turn in made.turns]} if details else told


def _turn_data(turn: Turn) -> dict[str, Any]:
    size = turn.server.size
    return {
        "id": turn.server.id,
        "name": turn.server.name,
        "project": turn.server.project,
        "state": turn.server.vm_state,
        "wave": turn.wave or None,
        "outlook": turn.outlook.value,
        "verdict": turn.finding.verdict.value,
        "rule": turn.finding.rule,
        "reason": turn.reason,
        "to": turn.dest or None,
        "vcpus": size.vcpus if size else None,
        "memory_mb": size.memory_mb if size else None,
        "disk_gb": size.disk_gb if size else None,
    }
