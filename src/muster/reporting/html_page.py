# SPDX-License-Identifier: Apache-2.0
"""The report of an incident as one page of HTML that needs nothing else: no script, no other file, no network.

Pure; every word in it that came from elsewhere goes through :mod:`muster.reporting.markup`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Union

from muster.core.findings import State
from muster.core.printable import counted
from muster.reporting.history import Attempt, ServerStory, Story
from muster.reporting.markup import Element, document, element
from muster.reporting.timeline import Kind, Timeline, timeline
from muster.reporting.timeline_svg import STYLE as PICTURE_STYLE
from muster.reporting.timeline_svg import picture
from muster.reporting.times import clock, duration

STYLE = (
    """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; color: #263238; background: #fff; margin: 0 auto; max-width: 80rem;
  padding: 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem }
p { margin: .3rem 0; overflow-wrap: anywhere }
.soft { color: #607d8b }
.small { font-size: .85rem }
.counts { display: flex; flex-wrap: wrap; gap: .5rem; margin: .8rem 0; padding: 0; list-style: none }
.counts li { border: 1px solid #cfd8dc; border-left-width: 5px; border-radius: 4px; padding: .2rem .7rem }
.counts b { font-size: 1.2rem }
li.evacuated { border-color: #2e7d32 } li.held { border-color: #c62828 }
li.parked, li.unknown { border-color: #ef6c00 }
b.evacuated { color: #2e7d32 } b.held, .alarm { color: #c62828 } b.parked, b.unknown { color: #b45309 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #eceff1 }
th { border-bottom: 2px solid #90a4ae; white-space: nowrap }
td { overflow-wrap: break-word; max-width: 19rem }
td[data-label^="w"] { max-width: none; min-width: 12rem }
td.tight { white-space: nowrap }
td div { overflow-wrap: anywhere; min-width: 9rem }
code { font: .75em ui-monospace, monospace; color: #455a64; white-space: nowrap }
.key { display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 .9em; vertical-align: -.1em }
.waiting { background: #cfd8dc } .scheduling { background: #90caf9 } .rebuilding { background: #1976d2 }
.under { background: #5aa2e0 }
ul.missing { padding-left: 1.2rem; margin: .3rem 0 }
@media screen and (max-width: 60rem) {
  body { padding: .7rem }
  thead { display: none }
  tr, td { display: block }
  tr { border-bottom: 2px solid #cfd8dc; padding: .4rem 0 }
  td, td.tight { border: 0; max-width: none; padding: .05rem 0 .05rem 6.2rem; white-space: normal; min-height: 1.3em;
    position: relative }
  td:empty { display: none }
  code { white-space: normal; overflow-wrap: anywhere }
  td::before { content: attr(data-label); position: absolute; left: 0; color: #607d8b }
}
@media print {
  @page { margin: 12mm }
  body { font-size: 11px; padding: 0; max-width: none; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  tr, section { break-inside: avoid }
  thead { display: table-header-group }
  h2 { break-after: avoid }
}
"""
    + PICTURE_STYLE
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
Cell = Union[str, Element]


def page(story: Story) -> bytes:
    """The whole page, in UTF-8; also well-formed XML."""
    title = f"{story.node}: {story.state}"
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", {}, f"{title} ({story.incident})"),
        _style(),
    )
    parts: list[Element] = [*_summary(story, title), *_held(story)]
    line = timeline(story)
    if line:
        parts.append(element("section", {}, *_timeline(line, len(story.servers))))
    parts += [*_steps(story), *_servers(story), *_sources(story)]
    return document(element("html", {"lang": "en"}, head, element("body", {}, *parts)))


def _style() -> Element:
    style = element("style", {})
    style.text = STYLE  # ours, and without a character that HTML and XML read differently
    return style


def _summary(story: Story, title: str) -> Iterator[Element]:
    yield element("h1", {}, title)
    yield element("p", {"class": "headline"}, story.headline)
    yield element("p", {}, story.reason)
    facts = [
        ("host", story.host if story.host != story.node else ""),
        ("lost", clock(story.lost)),
        ("fenced", clock(story.fenced)),
        ("settled", _since(story, State.SETTLED)),
        ("closed", _since(story, State.CLOSED)),
    ]
    yield element("p", {"class": "soft"}, "; ".join(f"{what} {when}" for what, when in facts if when))
    counts = [
        element("li", {"class": word}, element("b", {}, str(count)), f" {word}") for word, count in story.counts.items()
    ]
    yield element("ul", {"class": "counts"}, *(counts or [element("li", {}, "no server")]))


def _since(story: Story, state: State) -> str:
    at = story.first(state)
    if at is None:
        return ""
    return f"{duration(at - story.fenced)} after that" if story.fenced else clock(at)


def _held(story: Story) -> Iterator[Element]:
    if not story.waiting:
        return
    yield element("h2", {"class": "alarm"}, "What needs a person")
    rows = [(server.name, _code(server.id), server.reason) for server in story.waiting]
    yield _table(("server", "id", "what to do"), rows)


def _timeline(line: Timeline, servers: int) -> Iterator[Element]:
    yield element("h2", {}, "Timeline")
    drawn = {stretch.kind for bar in line.bars for stretch in bar.stretches}
    keys: list[Cell] = []
    for kind in Kind:
        if kind in drawn:
            keys += [element("span", {"class": f"key {kind.value.split(' ', 1)[0]}"}), kind.value]
    yield element("p", {"class": "small"}, *keys)
    yield picture(line)
    if line.left_out:
        said = (
            f"The picture leaves out {line.left_out} of {servers} servers: it shows those that need a person, and those"
            " that took longest. The table below has all."
        )
        yield element("p", {"class": "small soft"}, said)


def _steps(story: Story) -> Iterator[Element]:
    if not story.steps:
        return
    yield element("h2", {}, "The host")
    rows = [(clock(c.at), duration(c.at - story.fenced) if story.fenced else "", c.word, c.what) for c in story.steps]
    yield _table(("time", "after", "state", "why"), rows, tight=(0, 1, 2))


def _servers(story: Story) -> Iterator[Element]:
    yield element("h2", {}, counted(len(story.servers), "server"))
    columns = ("server", "verdict", "why", "from, to", "state", "tries", "took", "outage", "requests")
    yield _table(columns, (_row(story, server) for server in story.servers), tight=(1, 6, 7))


def _row(story: Story, server: ServerStory) -> Sequence[Cell]:
    name = element("div", {}, server.name, element("br", {}), _code(server.id))
    attempts: list[Element] = [_attempt(attempt) for attempt in server.attempts]
    if not attempts:
        attempts = [element("div", {}, _code(request_id)) for request_id in server.request_ids]
    return (
        name,
        element("b", {"class": server.verdict}, server.verdict),
        server.reason,
        " → ".join(filter(None, (server.source, server.dest))),
        server.state,
        str(server.tries or ""),
        duration(server.seconds),
        duration(story.outage_s(server)),
        element("div", {}, *attempts) if attempts else "",
    )


def _attempt(attempt: Attempt) -> Element:
    took = duration(attempt.ended - attempt.asked) if attempt.ended and attempt.asked else ""
    said = [attempt.status or "no migration", f"on {attempt.dest}" if attempt.dest else "", took, attempt.words]
    return element("div", {"class": "small"}, " ".join(filter(None, said)), " ", _code(attempt.request_id))


def _code(text: str) -> Element:
    return element("code", {}, text)


def _sources(story: Story) -> Iterator[Element]:
    yield element("h2", {}, "Sources")
    for source in story.sources:
        yield element("p", {"class": "small"}, f"{source.what}, as of {clock(source.at)}")
    if story.missing:
        yield element("p", {"class": "small"}, "Not known:")
        yield element("ul", {"class": "missing small"}, *(element("li", {}, what) for what in story.missing))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], tight: Sequence[int] = ()) -> Element:
    """:param tight: columns that do not wrap.

    On a narrow screen each row is a card, and each cell has its column's name beside it.
    """
    head = element("thead", {}, element("tr", {}, *(element("th", {}, column) for column in columns)))
    body = element("tbody", {})
    for row in rows:
        cells = []
        for number, (column, cell) in enumerate(zip(columns, row)):
            shown = {"data-label": column, **({"class": "tight"} if number in tight else {})}
            cells.append(element("td", shown, cell))
        body.append(element("tr", {}, *cells))
    return element("table", {}, head, body)
