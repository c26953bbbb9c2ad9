# SPDX-License-Identifier: Apache-2.0
"""``muster watch``: the page of ``status`` with progress, rate, expected end and the last events, again and again."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from muster.cli import status, terminal
from muster.cli.site import Site
from muster.cli.view import View
from muster.errors import ClusterError, SettingsError

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
    said: set[tuple[Any, ...]] = set()
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
                time.sleep(interval)
                continue
            silent, level = 0, shown.level
            if screen:
                screen.update(page(shown, time.time(), out.width < status.NARROW_TODO, out.height))
            else:
                _lines(shown, said)
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
    bars = [progress(incident, now) for incident in shown.incidents if incident.get("servers")]
    parts: list[RenderableType] = [Text(terminal.clock(now), style="dim"), *bars]
    parts.append(status.render(first, now, narrow))
    if left > 0:
        parts.append(Text(f"and {left} more: muster status", style="bold"))
    if shown.events:
        parts += ["", status.render_events(shown.events[::-1])]
    return Group(*parts)


def progress(incident: Mapping[str, Any], now: float) -> Text:
    """``cmp1 [#####-----] 5/12, 20 a minute, done in about 21 s``."""
    servers = incident["servers"]
    total = sum(servers.values())
    left = sum(servers.get(verdict, 0) for verdict in UNDER_WAY)
    done = total - left
    filled = BAR_WIDTH * done // total if total else 0
    text = Text(f"{terminal.clean(incident['node'])} [{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {done}/{total}")
    took = now - float(incident.get("began") or now)
    moved = servers.get("evacuated", 0)
    if left and moved and took > 0:
        rate = moved / took
        text.append(f", {rate * 60:.0f} a minute, done in about {terminal.age(left / rate)}")
    elif not left:
        text.append(", nothing under way")
    return text


def _lines(shown: View, said: set[tuple[Any, ...]]) -> None:
    """Without a terminal: each event once, a line each."""
    for event in shown.events:
        key = (event.get("at"), event.get("node"), event.get("server"), event.get("what"))
        if key not in said:
            said.add(key)
            who = terminal.clean(event.get("name") or event.get("server") or "")
            what = terminal.clean(event.get("what"))
            place = f"{terminal.clean(event.get('node'))} {who}".strip()
            print(f"{terminal.clock(float(event.get('at', 0)))} {place}: {what}", flush=True)


def _busy(shown: View) -> bool:
    return any(
        incident["state"] in ("fenced", "forcing-down", "evacuating")
        or any(incident["servers"].get(verdict) for verdict in UNDER_WAY)
        for incident in shown.incidents
        if incident["state"] != "on-hold"
    )


def _interval(text: str) -> float:
    try:
        interval = float(text)
    except ValueError:
        interval = 0.0
    if not 0.2 <= interval <= 3600:
        raise SettingsError([f"--interval {text!r}: use seconds from 0.2 to 3600"])
    return interval
