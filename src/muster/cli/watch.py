# SPDX-License-Identifier: Apache-2.0
"""``muster watch``: the page of ``status`` with progress, rate, expected end and the last events, again and again."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from muster.cli import status, terminal
from muster.cli.site import Site
from muster.cli.view import Shown, View
from muster.core.errors import ClusterError, SettingsError
from muster.reporting.documents import SharedEvent

SILENCE_LIMIT = 300
"""So many looks without an answer, and the command gives up."""
BAR_WIDTH = 24
LINES_BESIDE, LINES_OF_TODO = 14, 4
"""How much of a low screen TO DO may take: a row of 80 columns has four lines."""
UNDER_WAY = ("queued", "evacuating", "parked", "unknown")


def run(options: argparse.Namespace) -> int:
    interval = _interval(options.interval)
    live = sys.stdout.isatty()
    out = terminal.console()
    lines = Lines()
    silent = 0
    level = "ok"
    screen = Live(console=out, refresh_per_second=4, transient=False) if live else None
    if screen:
        screen.start()
    try:
        while True:
            try:
                shown = status.look(Site(options.resource))
            except ClusterError as exc:
                # The controller may be in the middle of a failover itself.
                silent += 1
                if silent >= SILENCE_LIMIT:
                    raise
                if screen:
                    screen.update(Text(f"{terminal.clock(time.time())} {terminal.clean(exc)}", style="yellow"))
                else:
                    lines.silence(str(exc))
                time.sleep(interval)
                continue
            silent, level = 0, shown.level
            if screen:
                screen.update(page(shown, time.time(), out.width < status.NARROW_TODO, out.height))
            else:
                lines.say(shown)
            if options.until_settled and not _busy(shown):
                break
            time.sleep(interval)
    except KeyboardInterrupt:
        pass
    finally:
        if screen:
            screen.stop()
    return status.EXIT_OF_LEVEL[level]


def page(shown: View, now: float, narrow: bool = False, height: int = 50) -> RenderableType:
    """Progress above, the newest event first: what does not fit on a low screen is cut off below.

    :param height: of the screen, in lines.
    """
    most = max(1, (height - LINES_BESIDE) // LINES_OF_TODO)
    left = len(shown.todo) - most
    first = replace(shown, todo=shown.todo[:most])
    bars = [progress(incident, now) for incident in shown.incidents if incident.servers]
    parts: list[RenderableType] = [Text(terminal.clock(now), style="dim"), *bars]
    parts.append(status.render(first, now, narrow))
    if left > 0:
        parts.append(Text(f"and {left} more: muster status", style="bold"))
    if shown.events:
        parts += ["", status.render_events(shown.events[::-1])]
    return Group(*parts)


def progress(incident: Shown, now: float) -> Text:
    """``cmp1 [#####-----] 5/12, 20 a minute, done in about 21 s``."""
    servers = incident.servers
    total = sum(servers.values())
    left = sum(servers.get(verdict, 0) for verdict in UNDER_WAY)
    done = total - left
    filled = BAR_WIDTH * done // total if total else 0
    text = Text(f"{terminal.clean(incident.node)} [{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {done}/{total}")
    took = now - (incident.began or now)
    moved = servers.get("evacuated", 0)
    if left and moved and took > 0:
        rate = moved / took
        text.append(f", {rate * 60:.0f} a minute, done in about {terminal.age(left / rate)}")
    elif not left:
        text.append(", nothing under way")
    return text


class Lines:
    """Without a terminal: each event once, and what waits for a person whenever it begins to, a line each."""

    def __init__(self) -> None:
        self._said: set[SharedEvent] = set()
        self._waiting: set[tuple[str, str]] = set()
        self._silence = ""

    def say(self, shown: View) -> None:
        self._silence = ""
        for event in shown.events:
            if event not in self._said:
                self._said.add(event)
                _print(event.at, f"{event.node} {event.name or event.server}".strip(), event.what)
        # What is said of it may change with every second that it waits.
        for todo in shown.todo:
            if (todo.level, todo.about) not in self._waiting:
                _print(time.time(), f"{todo.level} {todo.about}", todo.what)
        self._waiting = {(todo.level, todo.about) for todo in shown.todo}

    def silence(self, why: str) -> None:
        if why != self._silence:
            print(f"muster: {why}", file=sys.stderr)
        self._silence = why


def _print(at: float, about: object, what: object) -> None:
    print(f"{terminal.clock(at)} {terminal.clean(about)}: {terminal.clean(what)}", flush=True)


def _busy(shown: View) -> bool:
    return any(
        incident.state in ("fenced", "forcing-down", "evacuating")
        or any(incident.servers.get(verdict) for verdict in UNDER_WAY)
        for incident in shown.incidents
        if incident.state != "blocked"
    )


def _interval(text: str) -> float:
    try:
        interval = float(text)
    except ValueError:
        interval = 0.0
    if not 0.2 <= interval <= 3600:
        raise SettingsError([f"--interval {text!r}: use seconds from 0.2 to 3600"])
    return interval
