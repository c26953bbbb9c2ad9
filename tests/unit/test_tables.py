# SPDX-License-Identifier: Apache-2.0
"""E26: tables for people and for programs: nothing is cut on any terminal, formats are those of the client of OpenStack."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from muster.cli import commands, formats, report, terminal
from muster.cli.terminal import Cell, Table
from muster.reporting.documents import Report, from_json
from muster.reporting.history import from_worker
from tests import told

IDENT = "6f3c0de1-0f3c-4d1a-9b7e-5a1c2d3e4f50"
REASON = f"paused: Nova cannot unpause it. To evacuate it: openstack server set --state active --auto-approve {IDENT}"
TABLE = terminal.table(
    ("SERVER", "ID", "VERDICT", "TOOK", "WHY"),
    [
        ("build-7", IDENT, terminal.styled("held"), Cell("", None), REASON),
        (
            "db-of-the-accounting-department-in-the-second-region",
            IDENT,
            terminal.styled("evacuated"),
            Cell("9 s", 9.2),
            "",
        ),
        ("a", IDENT, terminal.styled("evacuated"), Cell("10 s", 10.4), "active on cmp2"),
    ],
)


def screen(table: Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(table)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200, 400, terminal.PIPE_WIDTH])
def test_no_head_and_no_id_is_in_two_on_any_terminal(width: int) -> None:
    lines = screen(TABLE, width)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []
    words = " ".join(lines).split()
    verdict = "VERDICT" in words or words.count("VERDICT:") == 3
    assert ([words.count(word) for word in (IDENT, "SERVER", "--auto-approve")], verdict) == ([4, 1, 1], True)
    assert set(REASON.split()) <= set(words)


def test_a_row_is_a_line_in_a_pipe() -> None:
    assert len(screen(TABLE, terminal.PIPE_WIDTH)) == 4


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(st.lists(st.tuples(WORDS, WORDS, st.lists(WORDS, max_size=30).map(" ".join)), max_size=4), st.integers(24, 130))
def test_whatever_the_width_every_word_is_there_whole(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = screen(terminal.table(("ONE", "TWO", "WHY"), rows), width)
    assert all(len(line) <= width for line in lines)
    said = set(" ".join(lines).split())
    assert {word for row in rows for cell in row for word in cell.split()} <= said


def asked(*words: str) -> object:
    return commands.read(["report", "cmp1", *words])


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    formats.show(asked(*words), TABLE)  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_every_format_has_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    objects = json.loads(printed(capsys, "-f", "json"))
    assert objects[1]["TOOK"] == 9.2
    assert (objects[0]["TOOK"], objects[0]["WHY"]) == (None, REASON)
    assert yaml.safe_load(printed(capsys, "-f", "yaml")) == objects
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "-f", "csv"))))
    assert [(row["ID"], row["TOOK"]) for row in rows] == [(IDENT, ""), (IDENT, "9.2"), (IDENT, "10.4")]
    assert printed(capsys, "-f", "value", "-c", "id", "-c", "verdict").splitlines()[0] == f"{IDENT} held"


def test_columns_are_chosen_and_sorted_by_their_value(capsys: pytest.CaptureFixture[str]) -> None:
    by_time = printed(capsys, "-f", "value", "--sort-column", "TOOK", "-c", "took").split()
    assert by_time == ["9.2", "10.4"]
    assert printed(capsys, "-c", "verdict", "--sort-column", "server").split() == [
        "VERDICT",
        "evacuated",
        "held",
        "evacuated",
    ]
    with pytest.raises(commands.UsageError, match="'size'. Its columns: SERVER, ID, VERDICT, TOOK, WHY"):
        formats.show(asked("-c", "size"), TABLE)  # type: ignore[arg-type]


def test_a_name_breaks_no_line_of_values(capsys: pytest.CaptureFixture[str]) -> None:
    """E3."""
    evil = terminal.table(("A", "B"), [("x\ny\x1b[2J", "b")])
    for form in ("value", "csv", "table"):
        formats.show(asked("-f", form), evil)  # type: ignore[arg-type]
        assert capsys.readouterr().out.replace("\n", "").isprintable()


@pytest.mark.parametrize("width", [80, 120])
def test_the_report_of_an_incident_is_whole_on_a_terminal(width: int) -> None:
    made = from_json(Report, told.report(3, held=1))
    assert isinstance(made, Report)
    story = from_worker(made, "the worker")
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(report.render(story))
    said = out.getvalue()
    assert [server.id for server in story.servers if server.id not in said] == []
    assert not re.search(r"\bVERDIC\b|\bSERV\b", said)
