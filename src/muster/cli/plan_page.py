# SPDX-License-Identifier: Apache-2.0
"""The pages of ``muster plan``: one host server by server, or all hosts line by line.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from muster.cli import commands, terminal
from muster.cli.terminal import Cell
from muster.core.printable import counted
from muster.planning.plan import ATTENTION, LEFT_ALONE, NOT_READY, READY, Outlook, Plan, Turn, worst

EXIT_OF_VERDICT = {
    READY: commands.OK,
    LEFT_ALONE: commands.OK,
    ATTENTION: commands.ATTENTION,
    NOT_READY: commands.TROUBLE,
}
SHOWN_HOSTS = 3
"""So many are named where the same is the matter with more."""


def hindrance(code: int, why: str) -> RenderableType:
    """Above everything else: why no host at all would be evacuated now."""
    word = "trouble" if code == commands.TROUBLE else "attention"
    return Text.assemble((word.upper(), terminal.STYLES[word]), f"  {terminal.clean(why)}\nAfter the repair:\n")


# -------------------------------------------------------------------- one host


def one_host(made: Plan) -> RenderableType:
    """The sequence, and who is not in it."""
    head = Text()
    head.append_text(Text(made.verdict.upper(), style=terminal.STYLES[made.verdict]))
    head.append(f"  {terminal.clean(made.host.name)}: ")
    head.append(f"muster would evacuate nothing: {terminal.clean(made.blocked)}" if made.blocked else _summary(made))
    parts: list[RenderableType] = [head]
    parts += [Text(f"  {terminal.clean(line)}") for line in (*made.trouble, *made.attention)]
    if made.host.ignored or not made.turns:
        return Group(*parts)
    if made.blocked:
        parts += ["", Text("After the repair:", style="dim")]
    return Group(*parts, "", turns_table(made))


def turns_table(made: Plan) -> terminal.Table:
    return terminal.table(("WAVE", "SERVER", "ID", "WOULD BE", "WHY"), map(_row, made.turns))


def _summary(made: Plan) -> str:
    if not made.turns:
        return "no servers"
    text = ", ".join(f"{count} {outlook.value}" for outlook, count in _counted(made.counts))
    if made.waves:
        text += f"; {counted(made.waves, 'wave')} of up to {made.width}, {_time(made, 'time unknown')}"
    return text


def _row(turn: Turn) -> Sequence[object]:
    server = turn.server
    reason = turn.reason or (f"to {turn.dest}, by target_map" if turn.dest else "")
    wave = Cell(str(turn.wave or "-").rjust(4), turn.wave or None)
    return (wave, server.name or server.id, server.id, terminal.styled(turn.outlook.value), reason)


def _counted(counts: Mapping[Outlook, int]) -> list[tuple[Outlook, int]]:
    return [(outlook, counts[outlook]) for outlook in Outlook if counts.get(outlook)]


def _time(made: Plan, unknown: str) -> str:
    return unknown if made.seconds is None else f"about {terminal.age(made.seconds)}"


# ------------------------------------------------------------------- all hosts


def cloud(made: Sequence[Plan], wide: bool) -> RenderableType:
    """One line a host; below it what is to be looked at, and the host that would cost most.

    :param wide: there is room for long names of hosts; else their domains are left out, if that leaves no doubt.
    """
    total = totals(made)
    verdicts = [f"{total['hosts'][name]} {name}" for name in (READY, ATTENTION, NOT_READY, LEFT_ALONE)]
    verdicts = [text for text in verdicts if not text.startswith("0 ")]
    level = max((one.verdict for one in made), key=lambda verdict: EXIT_OF_VERDICT[verdict], default=READY)
    head = Text()
    head.append_text(Text(level.upper(), style=terminal.STYLES[level]))
    head.append(f"  {counted(len(made), 'host')}: {', '.join(verdicts)}")
    parts: list[RenderableType] = [head, "", hosts_table(made, wide)]
    looks = list(_looks(made))
    if looks:
        parts += ["", terminal.table(("LOOK AT", "WHY"), looks)]
    outcome = ", ".join(f"{count} {name}" for name, count in total["outlook"].items() if count)
    parts += [
        "",
        Text(f"total: {counted(total['servers'], 'server')} on hosts that muster looks after: {outcome or 'none'}"),
    ]
    costly = worst(made)
    if costly:
        parts.append(Text(f"worst: {terminal.clean(costly.host.name)}: {_summary(costly)}"))
    return Group(*parts)


def hosts_table(made: Sequence[Plan], wide: bool) -> terminal.Table:
    columns = ("HOST", "VERDICT", "SERVERS", "EVAC", "HELD", "SKIP", "NO ROOM", "WAVES", "TIME", "NOVA")
    names = [one.host.name for one in made]
    short = [name.partition(".")[0] for name in names]
    shown = names if wide or len(set(short)) < len(short) else short
    rows = [(Cell(head, one.host.name), *_line(one, columns)) for head, one in zip(shown, made)]
    return terminal.table(columns, rows, wide=False)


def _looks(made: Sequence[Plan]) -> Iterator[tuple[str, str]]:
    """What is to be looked at, each once: the host, or how many, and why."""
    about: dict[str, list[str]] = {}
    for one in made:
        for why in filter(None, () if one.host.ignored else (one.blocked, *one.trouble, *one.attention)):
            about.setdefault(why, []).append(one.host.name)
    for why, names in about.items():
        more = " ..." if len(names) > SHOWN_HOSTS else ""
        several = f"{why}: {', '.join(names[:SHOWN_HOSTS])}{more}"
        yield (names[0], why) if len(names) == 1 else (f"{len(names)} hosts", several)


def _line(made: Plan, columns: Sequence[str]) -> Sequence[object]:
    counts = made.counts
    unsure, open_ones = counts[Outlook.ROOM_UNKNOWN], counts[Outlook.UNKNOWN]
    numbers = [
        f"{counts[Outlook.EVACUATED] + unsure}{'?' * bool(unsure)}",
        f"{counts[Outlook.HELD]}+{open_ones}?" if open_ones else str(counts[Outlook.HELD]),
        str(counts[Outlook.SKIPPED]),
        f"{counts[Outlook.NO_ROOM] or ''}?" if unsure else str(counts[Outlook.NO_ROOM]),
        str(made.waves),
        (terminal.age(made.seconds) if made.seconds is not None else "?") if made.waves else "-",
    ]
    if made.blocked:
        numbers = ["-"] * len(numbers)
    unseen = made.host.service is None or not made.host.service.known
    numbers = ["?" if unseen else str(len(made.turns)), *numbers]
    cells = [Cell(it.rjust(len(column)), int(it) if it.isdecimal() else it) for it, column in zip(numbers, columns[2:])]
    cells[-1] = replace(cells[-1], value=None if made.blocked else made.seconds)
    return (terminal.styled(made.verdict), *cells, _nova(made))


def _nova(made: Plan) -> str:
    service = made.host.service
    if service is None or not service.known:
        return "?"
    words = ["down"] * (not service.up) + ["disabled"] * (not service.enabled)
    return ", ".join(words) or "up"


def totals(made: Sequence[Plan]) -> dict[str, Any]:
    """``{hosts: {verdict: count}, servers, outlook: {outlook: count}}``; servers of hosts that would be evacuated."""
    verdicts = Counter(one.verdict for one in made)
    outlooks: Counter[Outlook] = sum((one.counts for one in made if not one.blocked), Counter())
    return {
        "hosts": {name: verdicts[name] for name in (READY, ATTENTION, NOT_READY, LEFT_ALONE)},
        "servers": sum(outlooks.values()),
        "outlook": {outlook.value: outlooks[outlook] for outlook in Outlook},
    }
