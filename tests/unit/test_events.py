# SPDX-License-Identifier: Apache-2.0
"""``muster events``: once each, in their order, from wherever they are known; and what is not known here is said."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Optional

import pytest

from muster.cli import commands, events, site
from muster.cli.events import begin, in_order
from muster.core.cluster_facts import Cluster, Node
from muster.core.errors import ClusterError, NovaUnavailable
from muster.core.nova_facts import Evacuation, EvacuationStatus, Service
from muster.gateways.pacemaker.cluster import Pacemaker
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, Shared, SharedEvent
from muster.wiring import connections
from tests import told
from tests.fakes import settings
from tests.unit.test_computes import AT, SECONDS, Tools, document, recorder

T = float(told.FENCED)
ROW = Evacuation("7", "s-9", "cmp9", EvacuationStatus.DONE, "cmp2", T + 1000, T + 1009)


class Nova:
    def __init__(self, rows: Optional[list[Evacuation]]) -> None:
        self.rows = rows

    def services(self) -> list[Service]:
        return [Service("u9", "cmp9"), Service("u1", "cmp1")]

    def evacuations_of_all(self, since: float) -> list[Evacuation]:
        if self.rows is None:
            raise NovaUnavailable("connection refused")
        return self.rows


class Here:
    """A controller; the worker is on another one."""

    def __init__(self, history: Any = ()) -> None:
        self.cluster = Cluster(True, "ctl1", {name: Node(name, True) for name in ("cmp1", "cmp9")})
        self.local, self.resource, self.settings = "ctl1", Resource("muster", active_on=("ctl2",)), settings()
        self.history = history

    def pacemaker(self) -> Here:
        return self

    def fencings(self) -> list[tuple[float, str, str]]:
        if self.history is None:
            raise ClusterError("no fencer")
        return list(self.history)

    def heard(self) -> Heard:
        return Heard(Shared(events=(SharedEvent(T + 1.1, "cmp1", "evacuating: 2 queued"),)), "ctl2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(site, "REPORT_DIRECTORY", tmp_path)
    monkeypatch.setattr(events.time, "time", lambda: T + 2000)
    monkeypatch.setattr(connections, "nova", lambda settings: Nova([ROW]))
    return tmp_path


def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Here, *words: str
) -> tuple[str, str]:
    monkeypatch.setattr(events, "Site", lambda resource: here)
    assert events.run(commands.read(["events", *words])) == commands.OK
    out, err = capsys.readouterr()
    return out, err


def test_what_is_known_in_several_places_is_told_once_and_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / f"cmp1-{told.FENCED}.json").write_text(json.dumps(told.report(2)))
    here = Here([(T, "cmp1", "fencing (off) done by ctl2")])
    out, err = typed(monkeypatch, capsys, here, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    said = [row["WHAT"] for row in rows]
    assert said[0] == "fencing (off) done by ctl2"
    assert said.count("evacuating: 2 queued") == 1
    assert said[-2:] == ["evacuating: Nova took the call", "its migration to cmp2 is done"]
    assert [row["TIME"] for row in rows] == sorted(row["TIME"] for row in rows)
    assert {row["HOST"] for row in rows} == {"cmp1", "cmp9"}


def test_nova_tells_nothing_that_a_report_tells_better(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / f"cmp1-{told.FENCED}.json").write_text(json.dumps(told.report(1)))
    theirs = Evacuation("1", told.server_id(0), "cmp1", EvacuationStatus.DONE, "cmp2", T + 1.5, T + 13)
    monkeypatch.setattr(connections, "nova", lambda settings: Nova([theirs]))
    assert "Nova took the call" not in typed(monkeypatch, capsys, Here())[0]


@pytest.mark.parametrize(("nova", "history"), [([], ()), (None, None)])
def test_what_is_not_known_here_is_said(
    nova: Any, history: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connections, "nova", lambda settings: Nova(nova))
    out, err = typed(monkeypatch, capsys, Here(history))
    assert "evacuating: 2 queued" in out
    assert "not known: all that the worker on ctl2 has seen. There: muster events" in err
    assert ("connection refused" in err, "no fencer" in err) == (nova is None, history is None)
    out, _ = typed(monkeypatch, capsys, Here(history), "--since", "5min")
    assert out.startswith("nothing happened since")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30min", T - 1800),
        ("90 s", T - 90),
        ("12h", T - 43200),
        ("7d", T - 604800),
        ("2027-01-15T08:00+00:00", 1_800_000_000.0),
    ],
)
def test_since_is_a_duration_or_a_time(text: str, at: float) -> None:
    assert begin(text, T) == at


@pytest.mark.parametrize("text", ["", "yesterday", "12", "-3h", "99999-01-01"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(commands.UsageError, match="30min"):
        begin(text, T)


def test_whoever_follows_is_told_what_is_new_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, looks = Here(), []

    class Typed:
        quit = False

        def __enter__(self) -> Typed:
            return self

        def __exit__(self, *exc: object) -> None:
            pass

        def wait(self, seconds: float) -> None:
            looks.append(seconds)
            here.history = [(T + 60, "cmp9", "fencing (off) done by ctl2")] if len(looks) < 3 else None
            self.quit = len(looks) == 4

    monkeypatch.setattr(events, "Keys", Typed)
    out, _ = typed(monkeypatch, capsys, here, "--follow")
    assert [out.count(text) for text in ("evacuating: 2 queued", "cmp9: fencing (off) done by ctl2")] == [1, 1]


def test_each_event_stands_for_itself() -> None:
    twice = [SharedEvent(5.01, "cmp1", "x"), SharedEvent(5.04, "cmp1", "x"), SharedEvent(4.0, "cmp1", "x")]
    assert [event.at for event in in_order(twice)] == [4.0, 5.01]


def test_a_fencing_is_told_with_who_did_it_and_why_it_failed() -> None:
    history = (
        f'<fence_event action="off" target="cmp1" status="success" delegate="ctl2" completed="{AT}"/>'
        f'<fence_event action="off" target="cmp2" status="failed" exit-reason="no route" completed="{AT}"/>'
        '<fence_event action="off" target="cmp3" status="pending"/>'
    )
    pacemaker = Pacemaker("ctl1", "muster", Tools(document(recorder()), history))
    assert pacemaker.fencings() == [
        (float(SECONDS), "cmp1", "fencing (off) done by ctl2"),
        (float(SECONDS), "cmp2", "fencing (off) failed: no route"),
    ]
    assert Pacemaker("ctl1", "muster", Tools(document(recorder()), history)).last_fencing("cmp1") == "success"
    assert Pacemaker("ctl1", "muster", Tools(document(recorder()), None)).last_fencing("cmp1") == ""
