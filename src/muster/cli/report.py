# SPDX-License-Identifier: Apache-2.0
"""``muster report``: the incidents that are known, and what happened in one of them; for a terminal, a program, or as a
page to print and to mail."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from rich.console import Group, RenderableType
from rich.text import Text

from muster.cli import commands, formats, status, terminal
from muster.cli.incidents import Incidents, Known
from muster.cli.site import Site
from muster.cli.terminal import Cell
from muster.core.errors import ClusterError
from muster.reporting.history import ServerStory, Story
from muster.reporting.outlets.files import replace
from muster.reporting.times import clock, duration

PAGE_MODE = 0o640


def run(options: argparse.Namespace) -> int:
    try:
        incidents = Incidents(Site(options.resource))
    except ClusterError as exc:
        incidents = Incidents(None, str(exc))
    if not options.incident:
        known, missing = incidents.known()
        if options.output == "html":
            raise ClusterError("an HTML page shows one incident. Name one of this list: muster report")
        if formats.wanted(options):
            formats.show(options, list_table(known))
        else:
            _put(options, [asdict(one) for one in known], render_list(known, missing))
        return commands.UNKNOWN if missing and not known else commands.OK
    story = incidents.tell(options.incident)
    if options.output == "html":
        from muster.reporting.html_page import page

        _write(options.to, page(story))
        return commands.OK
    if formats.wanted(options):
        formats.show(options, servers_table(story))
        return commands.OK
    _put(options, {"checked": round(time.time(), 1), "counts": story.counts, **_data(story)}, render(story))
    return commands.OK


def _data(story: Story) -> dict[str, Any]:
    data = asdict(story)
    for server, written in zip(story.servers, data["servers"]):
        written["outage_seconds"] = story.outage_s(server)
    return {"headline": story.headline, **data}


def _put(options: argparse.Namespace, data: Any, text: RenderableType) -> None:
    if options.output == "json":
        _write(options.to, json.dumps(data, indent=2).encode() + b"\n")
    elif options.to:
        _write(options.to, terminal.for_a_file(text))
    else:
        terminal.console().print(text)


def _write(path: str, content: bytes) -> None:
    """:raises ClusterError: when the file cannot be written."""
    if not path:
        sys.stdout.buffer.write(content)
        return
    try:
        replace(Path(path), content, PAGE_MODE)
    except OSError as exc:
        raise ClusterError(f"{path}: {exc.strerror}") from exc


# ---------------------------------------------------------------------- text


def render_list(known: Sequence[Known], missing: Sequence[str]) -> RenderableType:
    """Every incident, newest first."""
    return Group(list_table(known) if known else Text("no incident is known"), *_missing(missing))


def list_table(known: Sequence[Known]) -> terminal.Table:
    rows = [
        (
            one.incident,
            terminal.styled(one.state),
            Cell(terminal.clock(one.first), clock(one.first)),
            Cell(status.counts(one.counts), dict(one.counts)),
            one.source,
        )
        for one in known
    ]
    return terminal.table(("INCIDENT", "STATE", "FENCED", "SERVERS", "KNOWN BY"), rows)


def render(story: Story) -> RenderableType:
    """One incident: its steps, what waits for a person, every server, and what is not known."""
    counts = status.counts(story.counts)
    head = Text()
    head.append_text(terminal.styled(story.state))
    head.append(f", {terminal.clean(story.reason)}" if story.reason else "")
    parts: list[RenderableType] = [Text(f"{terminal.clean(story.node)}: {story.headline}", style="bold"), head]
    parts += [] if status.says_no_more(story.reason, counts) else [counts]
    steps = []
    for change in story.steps:
        after = duration(change.at - story.fenced) if story.fenced and change.at != story.fenced else ""
        steps.append((terminal.clock(change.at), after, terminal.styled(change.word), change.what))
    if steps:
        parts += ["", terminal.table(("TIME", "AFTER", "STATE", "WHY"), steps)]
    if story.waiting:
        rows = [(server.name, server.id, server.reason) for server in story.waiting]
        parts += ["", terminal.table(("TO DO", "ID", "WHAT"), rows)]
    if story.servers:
        parts += ["", servers_table(story)]
    said = [f"{source.what}, as of {clock(source.at)}" for source in story.sources]
    return Group(*parts, "", *(Text(terminal.clean(what), style="dim") for what in said), *_missing(story.missing))


def servers_table(story: Story) -> terminal.Table:
    """A line for each server, whole for grep."""
    columns = ("SERVER", "ID", "VERDICT", "TO", "OUTAGE", "TOOK", "FROM", "STATE", "TRIES", "REQUESTS", "WHY")
    return terminal.table(columns, (_line(server, story.outage_s(server)) for server in story.servers))


def _line(server: ServerStory, outage_s: Optional[float]) -> Sequence[object]:
    return (
        server.name,
        server.id,
        terminal.styled(server.verdict),
        server.dest,
        Cell(duration(outage_s), outage_s),
        Cell(duration(server.seconds), server.seconds),
        server.source,
        server.state,
        Cell(str(server.tries or ""), server.tries),
        " ".join(server.request_ids),
        server.reason,
    )


def _missing(missing: Sequence[str]) -> list[RenderableType]:
    return [Text(f"not known: {terminal.clean(' '.join(what.split()))}", style="yellow") for what in missing]
