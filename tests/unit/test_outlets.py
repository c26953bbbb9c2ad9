# SPDX-License-Identifier: Apache-2.0
"""E3: what may be in a name cannot leave its place in a log line or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster import log
from muster.decide import Incident
from muster.outlet import Files
from muster.verdict import State
from tests.fakes import FakeClock, LogLines


@given(st.text())
def test_a_value_stays_one_printable_word_of_one_line(text: str) -> None:
    line = log.line("server", {"name": text, "verdict": "held"})
    assert line.isascii()
    assert line.isprintable()
    assert line.endswith(" verdict=held")
    if text and len(text) <= log.VALUE_LIMIT:
        value = line.removeprefix("event=server name=").removesuffix(" verdict=held")
        assert (json.loads(value) if value.startswith('"') else value) == text


def test_a_long_value_is_cut() -> None:
    assert len(log.value("x" * 10_000)) < 700


def incident(state: State = State.EVACUATING, node: str = "cmp1") -> Incident:
    return Incident(node, "host", state, "rule", "why", 100, 100)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "m.json", FakeClock(), LogLines(), tmp_path / "reports")  # type: ignore[arg-type]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_status_has_a_deadline_from_the_first_announcement_on(files: Files, tmp_path: Path) -> None:
    files.announce(30.0)
    status = read(tmp_path / "m.json")
    assert (status["first_look"], status["deadline"]) == (False, FakeClock().at + 30.0)
    files.status("", [incident()])
    status = read(tmp_path / "m.json")
    assert status["first_look"] is True
    assert status["incidents"][0]["state"] == "evacuating"


def test_a_nodes_name_cannot_leave_the_folder(files: Files, tmp_path: Path) -> None:
    files.report(incident(node="../../etc/x y"), {"state": "evacuating"})
    (report,) = (tmp_path / "reports").iterdir()
    assert report.name == ".._.._etc_x_y-100.json"
    assert report.stat().st_mode & 0o007 == 0


def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    lines = LogLines()
    (tmp_path / "reports").write_text("a file where the folder should be")
    files = Files(tmp_path / "m.json", FakeClock(), lines, tmp_path / "reports")  # type: ignore[arg-type]
    files.report(incident(), {})
    assert [line[1] for line in lines.lines] == ["cannot write"]
