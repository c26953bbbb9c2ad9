# SPDX-License-Identifier: Apache-2.0
"""``muster capacity``: how many hosts may die together, and who would stay down.  Asks, and changes nothing."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from muster.cli import commands, terminal
from muster.cli.plan import hindrances, without_collector
from muster.cli.site import Site
from muster.core.decide import has_incident
from muster.core.errors import ClusterError, SettingsError
from muster.core.printable import counted, tolerated
from muster.planning.answer import Capacity, Outcome, capacity, outcomes
from muster.planning.hosts import Host, find
from muster.planning.inquiry import ASSUMED, Inquiry
from muster.planning.packing import Fate
from muster.planning.tolerance import Tolerance
from muster.reporting.capacity_file import known, text
from muster.reporting.documents import KnownCapacity
from muster.reporting.outlets.files import replace
from muster.settings import Settings
from muster.wiring import lookups

WORDS = {commands.OK: "ok", commands.ATTENTION: "attention", commands.TROUBLE: "trouble"}
LEVEL_OF_FATE = {
    Fate.SAVED: commands.OK,
    Fate.DEPENDS: commands.ATTENTION,
    Fate.UNJUDGED: commands.ATTENTION,
    Fate.LOST: commands.TROUBLE,
}
SHOWN = 10
"""So many hosts and servers are shown; -o json has all."""


def run(options: argparse.Namespace) -> int:
    with without_collector():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    wanted = _wanted(options.failures)
    site = Site(options.resource)
    settings = site.settings
    asked = lookups.inquiry(settings, site.cluster, site.snapshot)
    if options.host:
        return _together(options, [*_found(asked.known, options.host)], asked, settings)
    made = capacity(asked.fleet, asked.known, asked.terms, settings, wanted)
    dead = [node.name for node in site.cluster.nodes.values() if has_incident(node)]
    hindered = [*hindrances(site.resource), *_restrictions(made, dead)]
    level = max([_level(made.number, wanted or 1), *(code for code, _ in hindered)])
    notes = [note for _, note in hindered]
    if options.metrics:
        _write(Path(options.metrics), known(made, time.time(), asked.requests))
    if options.output == "json":
        terminal.print_json({**data(made), "requests": asked.requests, "notes": notes, "basis": [ASSUMED]})
        return level
    out = terminal.console()
    out.print(page(made, level))
    out.print("")
    for line in [*notes, ASSUMED, f"{asked.requests} requests, nothing changed"]:
        out.print(Text(terminal.clean(line), style="dim"))
    return level


def _write(path: Path, found: KnownCapacity) -> None:
    try:
        replace(path, text(found), 0o644)
    except OSError as exc:
        raise SettingsError([f"--metrics {path}: cannot be written: {exc.strerror}"]) from exc


def _found(all_: Sequence[Host], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        host = find(all_, name)
        if host is None:
            raise ClusterError(f"no compute host {name!r}. Hosts: {', '.join(one.name for one in all_)}")
        yield host.name


def _together(options: argparse.Namespace, dead: Sequence[str], asked: Inquiry, settings: Settings) -> int:
    made = outcomes(asked.fleet, asked.known, asked.terms, settings, dead)
    level = max((LEVEL_OF_FATE[one.fate] for one in made), default=commands.OK)
    left = [name for name in dead if name not in asked.fleet.mortal]
    notes = [f"{name}: muster would evacuate nothing, see muster plan {name}" for name in left]
    level = max(level, commands.TROUBLE if left else commands.OK)
    if options.output == "json":
        servers = [each(one) for one in made]
        terminal.print_json({"hosts": dead, "servers": servers, "notes": notes, "requests": asked.requests})
        return level
    out = terminal.console()
    out.print(together(made, dead, level))
    out.print("")
    for line in [*notes, ASSUMED, f"{asked.requests} requests, nothing changed"]:
        out.print(Text(terminal.clean(line), style="dim"))
    return level


def _wanted(given: str) -> int:
    if given and not given.isdigit():
        raise SettingsError([f"--failures {given}: name a number of hosts"])
    return int(given or 0)


def _level(number: Tolerance, wanted: int) -> int:
    if number.at_least >= wanted:
        return commands.OK
    return commands.TROUBLE if number.at_most < wanted else commands.ATTENTION


def _restrictions(made: Capacity, dead: Sequence[str]) -> Iterator[tuple[int, str]]:
    for reason, count in made.unjudged.items():
        yield commands.ATTENTION, f"muster cannot say for {counted(count, 'server')}: {reason}"
    if made.unguarded:
        yield commands.ATTENTION, f"{counted(made.unguarded, 'host')} not counted, see muster plan --all"
    if dead:
        yield commands.ATTENTION, f"dead now, and not counted: {', '.join(dead)}"


# ------------------------------------------------------------------------ text


def together(made: Sequence[Outcome], dead: Sequence[str], level: int) -> RenderableType:
    """Each server of hosts that die together."""
    word, count = WORDS[level], Counter(one.fate for one in made)
    said = ", ".join(f"{count[fate]} {fate.value}" for fate in Fate if count[fate]) or "no servers"
    head = Text.assemble((word.upper(), terminal.STYLES[word]), f"  if {_named(dead)} died: {said}")
    rows = [
        (one.server.name or one.server.id, one.server.id, one.server.host, one.fate.value, one.likely, one.why)
        for one in made
    ]
    columns = ("SERVER", "ID", "HOST", "WOULD BE", "LIKELY ON", "WHY")
    return Group(head, "", terminal.table(columns, rows, wide="WHY")) if rows else head


def page(made: Capacity, level: int) -> RenderableType:
    word = WORDS[level]
    said = known(made, 0.0, 0).trouble or sentence(made.number, made.counted[0])
    head = Text.assemble((word.upper(), terminal.STYLES[word]), f"  {terminal.clean(said)}")
    parts: list[RenderableType] = [head, *(Text(f"  {terminal.clean(line)}") for line in _details(made))]
    hosts_ = [(host, *_fates(found)) for host, found in list(made.number.singles.items())[:SHOWN]]
    if hosts_:
        parts += ["", terminal.table(("IF THIS HOST DIES", "STAY DOWN", "MAY STAY DOWN"), hosts_, wide=False)]
    servers = [
        (one.server.name or one.server.id, one.server.id, one.server.host, one.reason)
        for one in made.unsaveable[:SHOWN]
    ]
    if servers:
        parts += ["", terminal.table(("NO HOST TAKES", "ID", "HOST", "WHY"), servers)]
    return Group(*parts)


def sentence(number: Tolerance, hosts: int) -> str:
    """The number in words."""
    return tolerated(number.at_least, number.at_most, hosts)


def _details(made: Capacity) -> Iterator[str]:
    number = made.number
    if number.breaks:
        together = " together" if len(number.breaks) > 1 else ""
        yield f"servers stay down if {_named(number.breaks)} die{'' if together else 's'}{together}"
    if number.at_least < number.at_most and number.doubtful:
        yield f"not proved for {_named(number.doubtful)}: it depends on which hosts Nova chooses"
    if made.others is not None:
        yield f"without the servers whose affinity lets no host take them: {sentence(made.others, made.counted[0])}"
    if made.remedies:
        one_more = (made.others or number).at_least + 1
        yield f"to bear {one_more}: {', or '.join(made.remedies)}"


def _named(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    if len(names) > SHOWN:
        return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _fates(found: Mapping[str, Fate]) -> tuple[str, str]:
    count = Counter(found.values())
    return str(count[Fate.LOST]), str(count[Fate.DEPENDS])


# ------------------------------------------------------------------------ json


def data(made: Capacity) -> dict[str, Any]:
    """For machines."""
    return {
        "hosts": made.counted[0],
        "servers": made.counted[1],
        **_number(made.number),
        "without_unsaveable": _number(made.others) if made.others else None,
        "hosts_whose_death_costs": {
            host: {fate.value: count for fate, count in Counter(found.values()).items()}
            for host, found in made.number.singles.items()
        },
        "unsaveable": [
            {"id": one.server.id, "name": one.server.name, "host": one.server.host, "reason": one.reason}
            for one in made.unsaveable
        ],
        "cannot_say": dict(made.unjudged),
        "hosts_not_counted": made.unguarded,
        "remedies": list(made.remedies),
    }


def each(one: Outcome) -> dict[str, Any]:
    return {
        "id": one.server.id,
        "name": one.server.name,
        "host": one.server.host,
        "fate": one.fate.value,
        "likely": one.likely or None,
        "reason": one.why or None,
    }


def _number(number: Tolerance) -> dict[str, Any]:
    return {
        "at_least": number.at_least,
        "at_most": number.at_most,
        "breaks": list(number.breaks),
        "not_proved": list(number.doubtful),
    }
