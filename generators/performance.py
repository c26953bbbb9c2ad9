# SPDX-License-Identifier: Apache-2.0
"""The tables and pictures of docs/performance.md, from bench/figures.json."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import figures
from bench.figures import Figures, Run, middle, of, spread
from generators import drawing

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance.md"
MARKS = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.S)
NAMES = {
    "muster": "muster, 200 in flight",
    "muster-installed": "muster as installed",
    "muster-ten": "muster, 10 in flight",
    "bare": "bare calls, 1 connection",
    "bare-4": "bare calls, 4 connections",
    "flow": "as NovaEvacuate",
    "smart": "as instanceha, smart",
    "window": "10 calls at once, told past the API",
}
ROUNDED = 2
BUSY = (
    "It had other work as well, so that everything took longer than it does alone, and muster, which asks by the clock, "
    "asked more often: only what is beside each other in one section can be compared."
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _subjects(runs: Sequence[Run]) -> list[str]:
    seen = {run["subject"] for run in runs}
    return [name for name in NAMES if name in seen]


def _maybe(runs: Sequence[Run], key: str) -> str:
    values = [run[key] for run in runs if run[key] is not None]
    return spread(values) if values else "never asks"


def _last_runs(runs: Sequence[Run]) -> str:
    """With how many never came: Nova failed at them, and nobody tried again."""
    lost = sum(run.get("lost", 0) for run in runs)
    return spread(run["running_s"] for run in runs) + (f"; {lost} lost" if lost else "")


def servers(runs: Sequence[Run]) -> str:
    """Of one number of servers: times since the fencing, and what they cost."""
    head = (
        "",
        "first call",
        "last one runs",
        "all proved",
        "says done",
        "of these not there yet",
        "Nova requests",
        "a server",
        "logins",
        "CPU s",
        "MB",
    )
    rows = []
    for name in _subjects(runs):
        found = of(runs, name)
        rows.append(
            (
                NAMES[name],
                spread((run["first_s"] for run in found), ROUNDED),
                _last_runs(found),
                _maybe(found, "proved_s"),
                _maybe(found, "done_s"),
                spread((run["left_when_done"] for run in found), 0),
                spread((run["nova"] for run in found), 0),
                f"{middle(run['nova'] / run['servers'] for run in found):.2f}",
                f"{middle(run['keystone'] for run in found):.0f}",
                f"{middle(run['cpu_s'] for run in found):.1f}",
                f"{max(run['peak_mb'] for run in found)}",
            )
        )
    return table(head, rows)


def ratios(found: Figures) -> str:
    """The median of muster's proof over the median of the others' end, of one section each."""
    rows = []
    for section in (name for name in ("small", "hundred", "large") if name in found):
        runs = [*found[section], *(found.get("patient", []) if section == "large" else [])]
        own = middle(run["proved_s"] for run in of(runs, "muster"))
        for name in _subjects(runs):
            if name.startswith("muster"):
                continue
            their = middle(run["proved_s"] or run["running_s"] for run in of(runs, name))
            what = "its proof" if name == "smart" else "its last one runs"
            rows.append(
                (
                    str(runs[0]["servers"]),
                    f"{NAMES[name]}: {what}",
                    f"{their:.1f} s",
                    f"{own:.1f} s",
                    f"{own / their:.2f}",
                )
            )
    return table(("servers", "compared with", "theirs", "muster: all proved", "muster / theirs"), rows)


def hosts(runs: Sequence[Run]) -> str:
    rows = []
    for dead in sorted({run["dead"] for run in runs}):
        found = of(runs, "muster", dead=dead)
        rows.append(
            (
                str(dead),
                spread((run["first_s"] for run in found), ROUNDED),
                _last_runs(found),
                spread(run["proved_s"] for run in found),
                spread((run["nova"] for run in found), 0),
            )
        )
    return table(("hosts dead together", "first call", "last one runs", "all proved", "Nova requests"), rows)


def spawns(runs: Sequence[Run]) -> str:
    rows = []
    for servers, name in dict.fromkeys((run["servers"], run["subject"]) for run in runs):
        found = of(runs, name, servers=servers)
        ideal = -(-servers // 10) * found[0]["spawn_s"]
        rows.append(
            (
                str(servers),
                NAMES[name],
                f"{ideal:.0f} s",
                _last_runs(found),
                _maybe(found, "proved_s"),
                f"{middle(run['proved_s'] or run['running_s'] for run in found) / ideal:.2f}",
                spread((run["nova"] for run in found), 0),
            )
        )
    return table(("servers", "", "ideal", "last one runs", "all proved", "end / ideal", "Nova requests"), rows)


def cluster(runs: Sequence[Run]) -> str:
    (found,) = runs
    off = [run["since_off_s"] for run in found["reactions"]]
    record = [run["since_record_s"] for run in found["reactions"]]
    idle, start, monitor = found["idle"], found["start"], found["monitor"]
    rows = [
        ("power known to be off, to the first evacuate at Nova", f"{spread(off, ROUNDED)} s", f"{len(off)} fencings"),
        ("record in the worker's copy of the CIB, to the same", f"{spread(record, ROUNDED)} s", "the same ones"),
        ("worker, idle: share of a core, its children included", f"{idle['percent']:.2f} %", "over a minute"),
        ("worker, idle: memory", f"{idle['mb']:.0f} MB", ""),
        ("worker, idle: queries of the CIB", f"{idle['looks']:.0f} a minute", ""),
        (
            "start, until the worker has looked for the first time",
            f"{spread(start['ms'], 0)} ms",
            f"{len(start['ms'])} times",
        ),
        ("monitor", f"{spread(monitor['ms'], 0)} ms", f"{len(monitor['ms'])} times"),
        ("monitor: memory", f"{monitor['mb']:.0f} MB", ""),
    ]
    return table(("", "median (least to most)", ""), rows)


def incidents(runs: Sequence[Run]) -> str:
    (found,) = runs
    rows = [
        (
            str(run["servers"]),
            f"{run['seconds']:.1f} s",
            str(run["nova"]),
            f"{run['nova'] / run['servers']:.2f}",
            f"{run['cpu_s']:.1f} s",
            f"{run['peak_mb']:.0f} MB",
        )
        for run in found["incidents"]
    ]
    return table(
        ("servers", "fenced to all proved", "Nova requests", "a server", "worker's CPU, children included", "its peak"),
        rows,
    )


def noise(found: Figures) -> str:
    rows, busiest = [], 0.0
    for section, runs in found.items():
        if section == "machine":
            continue
        if section == "cluster":
            (whole,) = runs
            runs = [whole, *whole["reactions"], *whole["incidents"]]
        busiest = max(busiest, *(run["load"] for run in runs))
        loads, loops = [run["load"] for run in runs], [run["loop_ms"] for run in runs]
        rows.append((section, str(len(runs)), spread(loads), spread(loops, 0)))
    machine = "{cores} cores, {system}, Python {python}.".format(**found["machine"])
    said = f"{machine} {BUSY}" if busiest > 2 * found["machine"]["cores"] else machine
    return f"{said}\n\n{table(('section', 'runs', 'load of the machine', 'a fixed loop, ms'), rows)}"


TABLES: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "ratios": ("hundred", ratios),
    "small": ("small", lambda found: servers(found["small"])),
    "hundred": ("hundred", lambda found: servers(found["hundred"])),
    "large": ("large", lambda found: servers([*found["large"], *found.get("patient", [])])),
    "hosts": ("hosts", lambda found: hosts(found["hosts"])),
    "spawns": ("spawns", lambda found: spawns(found["spawns"])),
    "cluster": ("cluster", lambda found: cluster(found["cluster"])),
    "incidents": ("cluster", lambda found: incidents(found["cluster"])),
    "noise": ("machine", noise),
}
"""By the mark in the page: the section without which there is none, and what makes it."""


def _table(name: str, found: Figures) -> str:
    section, write = TABLES[name]
    return write(found) if section in found else f"`{section}` has not been measured.\n"


def page(text: str, found: Figures) -> str:
    """The page with its tables as they should be."""
    return MARKS.sub(lambda mark: mark[1] + _table(mark[2], found) + mark[3], text)


def pictures(found: Figures) -> dict[str, str]:
    """By file name."""
    runs = found["hundred"]
    count = runs[0]["servers"]
    first = {name: next(r for r in of(runs, name) if "arrivals" in r) for name in _subjects(runs)}
    drawn = [drawing.Line(NAMES[name], run["arrivals"]) for name, run in first.items()]
    ends = [drawing.Bars(NAMES[name], _ends(of(runs, name))) for name in first]
    return {
        "performance-arrivals.svg": drawing.lines(f"servers that run again, of {count}, over seconds", count, drawn),
        "performance-ends.svg": drawing.bars(f"seconds until the end, {count} servers", "s", ends),
    }


def _ends(runs: Sequence[Run]) -> list[float]:
    """All proved; where nothing is proved, when the last one ran."""
    return [run["proved_s"] or run["running_s"] for run in runs]


def pages() -> dict[Path, str]:
    found = figures.read()
    drawn = {DOCS / name: picture for name, picture in pictures(found).items()}
    return {PAGE: page(PAGE.read_text(), found), **drawn}
