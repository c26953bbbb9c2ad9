# SPDX-License-Identifier: Apache-2.0
"""``muster watch``: the page of ``status`` with progress, rate, expected end and the last events, again and again."""

from __future__ import annotations

import argparse
import os
import select
import sys
import termios
import time
import tty
from dataclasses import replace
from typing import Union

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from muster.cli import status, terminal
from muster.cli.site import Site
from muster.cli.view import Shown, View
from muster.core.errors import ClusterError
from muster.reporting.documents import SharedEvent

SILENCE_LIMIT = 300
"""So many looks without an answer, and the command gives up."""
BAR_WIDTH = 24
LINES_BESIDE, LINES_OF_TODO = 14, 4
"""How much of a low screen TO DO may take: a row of 80 columns has four lines."""
STAYING = ("skipped", "gone")
UNDER_WAY = ("queued", "evacuating", "parked", "unknown")


def run(options: argparse.Namespace) -> int:
    interval = terminal.seconds("--interval", options.interval, 0.2, 3600)
    out = terminal.console()
    screen: Screen = Live(console=out, refresh_per_second=4, transient=False) if sys.stdout.isatty() else Lines()
    silent = 0
    level = "ok"
    with Keys() as keys, screen:
        while not keys.quit:
            try:
                shown = status.look(Site(options.resource))
            except ClusterError as exc:
                # The controller may be in the middle of a failover itself.
                silent += 1
                if silent >= SILENCE_LIMIT:
                    raise
                _say_silence(screen, str(exc))
                keys.wait(interval)
                continue
            silent, level = 0, shown.level
            if isinstance(screen, Live):
                screen.update(page(shown, time.time(), out.height))
            else:
                screen.say(shown)
            if options.until_settled and not _busy(shown):
                break
            keys.wait(interval)
    return status.EXIT_OF_LEVEL[level]


def _say_silence(screen: Screen, why: str) -> None:
    if isinstance(screen, Live):
        screen.update(Text(f"{terminal.clock(time.time())} {terminal.clean(why)}", style="yellow"))
    else:
        screen.silence(why)


def page(shown: View, now: float, height: int = 50) -> RenderableType:
    """Progress above, the newest event first: what does not fit on a low screen is cut off below.

    :param height: of the screen, in lines.
    """
    most = max(1, (height - LINES_BESIDE) // LINES_OF_TODO)
    left = len(shown.todo) - most
    first = replace(shown, todo=shown.todo[:most])
    bars = [progress(incident, shown.at or now) for incident in shown.incidents if incident.servers]
    parts: list[RenderableType] = [Text(terminal.clock(now), style="dim"), *bars]
    parts.append(status.render(first, now))
    if left > 0:
        parts.append(Text(f"and {left} more: muster status", style="bold"))
    if shown.events:
        parts += ["", status.render_events(shown.events[::-1])]
    return Group(*parts)


def progress(incident: Shown, at: float) -> Text:
    """``cmp1 [#####-----] 5 of 12 back, 1 held, 20 a minute, done in about 21 s``.

    :param at: when the worker counted them: every window shows the same rate.
    """
    servers = incident.servers
    total = sum(servers.values()) - sum(servers.get(verdict, 0) for verdict in STAYING)
    left = sum(servers.get(verdict, 0) for verdict in UNDER_WAY)
    back, held = servers.get("evacuated", 0), servers.get("held", 0)
    filled = BAR_WIDTH * back // total if total else 0
    text = Text(f"{terminal.clean(incident.node)} [{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {back} of {total} back")
    if held:
        text.append(f", {held} held")
    took = at - (incident.began or at)
    if left and back and took > 0:
        rate = back / took
        text.append(f", {rate * 60:.0f} a minute, done in about {terminal.age(left / rate)}")
    elif not left:
        text.append(", nothing under way")
    return text


class Keys:
    """What is typed meanwhile: q ends the watch."""

    def __init__(self) -> None:
        self.quit = False

    def __enter__(self) -> Keys:
        self._terminal = sys.stdin.fileno() if sys.stdin.isatty() and sys.stdout.isatty() else None
        if self._terminal is not None:
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)
        return self

    def wait(self, seconds: float) -> None:
        if self._terminal is None:
            time.sleep(seconds)
            return
        end = time.monotonic() + seconds
        while not self.quit and (left := end - time.monotonic()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                typed = os.read(self._terminal, 64)
                self.quit = not typed or b"q" in typed.lower()

    def __exit__(self, kind: object, exc: object, trace: object) -> bool:
        """An interrupt ends the watch as q does."""
        if self._terminal is not None:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
        return kind is KeyboardInterrupt


class Lines:
    """Without a terminal: each event once, and what waits for a person whenever it begins to, a line each."""

    def __init__(self) -> None:
        self._said: set[SharedEvent] = set()
        self._waiting: set[tuple[str, str]] = set()
        self._silence = ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

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


Screen = Union[Live, Lines]


def _print(at: float, about: object, what: object) -> None:
    print(f"{terminal.clock(at)} {terminal.clean(about)}: {terminal.clean(what)}", flush=True)


def _busy(shown: View) -> bool:
    return any(
        incident.state in ("fenced", "forcing-down", "evacuating")
        or any(incident.servers.get(verdict) for verdict in UNDER_WAY)
        for incident in shown.incidents
        if incident.state != "blocked"
    )
