# SPDX-License-Identifier: Apache-2.0
"""E3: what may be in a name cannot leave its place in a log line or a file."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster import log
from muster.core.decide import Incident
from muster.core.errors import ClusterError
from muster.core.findings import Finding, State, Verdict
from muster.core.nova_facts import Server
from muster.reporting.documents import Shared, SharedEvent
from muster.reporting.outlets import Outlets, Quiet
from muster.reporting.outlets.reports import Reports
from muster.reporting.outlets.status import Status, _short
from muster.reporting.report import Event
from tests import told as report
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
def reports(tmp_path: Path) -> Reports:
    return Reports(FakeClock(), LogLines(), tmp_path / "reports")  # type: ignore[arg-type]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_status_has_a_deadline_from_the_first_announcement_on(tmp_path: Path) -> None:
    files = Status(tmp_path / "m.json", FakeClock(), LogLines())  # type: ignore[arg-type]
    files.announce(30.0)
    status = read(tmp_path / "m.json")
    assert (status["first_look"], status["deadline"]) == (False, FakeClock().at + 30.0)
    files.status("", [incident()])
    status = read(tmp_path / "m.json")
    assert status["first_look"] is True
    assert status["incidents"][0]["state"] == "evacuating"


def test_a_nodes_name_cannot_leave_the_folder(reports: Reports, tmp_path: Path) -> None:
    reports.report(incident(node="../../etc/x y"), {"state": "evacuating"})
    (report,) = (tmp_path / "reports").iterdir()
    assert report.name == ".._.._etc_x_y-100.json"
    assert report.stat().st_mode & 0o007 == 0


def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    lines = LogLines()
    (tmp_path / "reports").write_text("a file where the folder should be")
    reports = Reports(FakeClock(), lines, tmp_path / "reports")  # type: ignore[arg-type]
    reports.report(incident(), {})
    assert [line[1] for line in lines.lines] == ["cannot write"]


# ------------------------------------------------------------------- reports


def told(state: str = "closed") -> dict[str, Any]:
    made = report.report(12, held=2)
    return {key: value for key, value in made.items() if key not in ("events", "written")} | {"state": state}


def over(state: State = State.CLOSED) -> Incident:
    return Incident("cmp1", "host", state, "rule", "why", report.FENCED, report.FENCED)


@pytest.mark.parametrize(("state", "there"), [(State.EVACUATING, False), (State.SETTLED, True), (State.CLOSED, True)])
def test_a_page_lies_beside_the_report_when_there_is_something_to_read(
    reports: Reports, tmp_path: Path, state: State, there: bool
) -> None:
    reports.report(over(state), told())
    pages = list((tmp_path / "reports").glob("*.html"))
    assert [page.name for page in pages] == ["cmp1-1800000000.html"] * there
    assert all(page.stat().st_mode & 0o777 == 0o640 for page in pages)
    assert all(b"10</b> evacuated" in page.read_bytes() for page in pages)


def test_a_page_that_cannot_be_written_is_said_and_the_report_is_there(tmp_path: Path) -> None:
    lines = LogLines()
    reports = Reports(FakeClock(), lines, tmp_path)  # type: ignore[arg-type]
    (tmp_path / "cmp1-1800000000.html").mkdir()
    reports.report(over(), told())
    assert [line[1] for line in lines.lines] == ["cannot write"]
    assert read(tmp_path / "cmp1-1800000000.json")["state"] == "closed"


def test_a_page_follows_no_symlink(reports: Reports, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "reports").mkdir()
    for suffix in ("html", "json"):
        (tmp_path / "reports" / f"cmp1-1800000000.{suffix}").symlink_to(victim)
    reports.report(over(), told())
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("silent", [{}, {"proofs": [], "servers": {}}])
def test_a_proof_is_not_taken_back_by_a_worker_that_begins_with_nova_silent(
    tmp_path: Path, silent: dict[str, Any]
) -> None:
    """E20: it knows of no server, or of none how it is."""
    first = Reports(FakeClock(), LogLines(), tmp_path)  # type: ignore[arg-type]
    proved = told("settled")
    first.report(over(State.SETTLED), proved)
    unknown = [{**entry, "verdict": "unknown", "dest": "", "reason": "Nova is silent"} for entry in proved["proofs"]]
    second = Reports(FakeClock(), LogLines(), tmp_path)  # type: ignore[arg-type]
    second.report(over(), {**proved, "state": "closed", "proofs": unknown, "servers": {"unknown": 12}, **silent})
    kept = read(tmp_path / "cmp1-1800000000.json")
    evacuated, there = (
        [(it["id"], it["to"]) for it in of["proofs"] if it["verdict"] == "evacuated"] for of in (proved, kept)
    )
    assert there == evacuated
    assert kept["servers"]["evacuated"] == len(evacuated) == 10
    assert b"10</b> evacuated" in (tmp_path / "cmp1-1800000000.html").read_bytes()


def test_what_became_of_a_server_after_its_proof_counts(tmp_path: Path) -> None:
    """E20: it was seen by the later worker."""
    proved = told("settled")
    Reports(FakeClock(), LogLines(), tmp_path).report(over(State.SETTLED), proved)  # type: ignore[arg-type]
    gone = [{**entry, "verdict": "gone"} for entry in proved["proofs"]]
    Reports(FakeClock(), LogLines(), tmp_path).report(over(), {**proved, "proofs": gone})  # type: ignore[arg-type]
    assert read(tmp_path / "cmp1-1800000000.json")["servers"] == {"gone": 12}


def test_a_new_worker_goes_on_with_the_events_of_the_last_one(tmp_path: Path) -> None:
    for what in ("evacuating: 3 queued", "closed: back in service"):
        reports = Reports(FakeClock(), LogLines(), tmp_path)  # type: ignore[arg-type]
        reports.event(Event(report.FENCED + 1.0, "cmp1", what))
        reports.report(over(State.SETTLED), told())
        reports.report(over(State.SETTLED), told())
    events = [event["what"] for event in read(tmp_path / "cmp1-1800000000.json")["events"]]
    assert events == ["evacuating: 3 queued", "closed: back in service"]


def test_when_the_host_was_lost_stays_known_once_pacemaker_has_forgotten_it(tmp_path: Path) -> None:
    """Also to the next worker here; of another incident of that host it says nothing."""
    for lost in (0, 1_799_999_990, 0):
        reports = Reports(FakeClock(), LogLines(), tmp_path)  # type: ignore[arg-type]
        reports.report(replace(over(State.SETTLED), lost=lost), told())
        reports.report(over(State.SETTLED), told())
    assert read(tmp_path / "cmp1-1800000000.json")["lost"] == 1_799_999_990
    reports.report(replace(over(), first=1_800_009_000), told())
    assert read(tmp_path / "cmp1-1800009000.json")["lost"] is None


def test_a_thousand_servers_do_not_crowd_out_how_it_began(
    reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.reporting.outlets.reports.EVENTS_KEPT", 10)
    reports.event(Event(report.FENCED + 1.0, "cmp1", "fenced: asking Nova"))
    for number in range(50):
        reports.event(Event(report.FENCED + 2.0 + number, "cmp1", "queued: waits", server=str(number)))
    reports.event(Event(report.FENCED + 99.0, "cmp1", "settled: all"))
    reports.report(over(State.SETTLED), told())
    events = [event["what"] for event in read(tmp_path / "reports" / "cmp1-1800000000.json")["events"]]
    assert (events[0], len(events), events[-1]) == ("fenced: asking Nova", 12, "settled: all")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"events": 3}', '{"events": [1, null]}'])
def test_a_broken_report_of_an_earlier_worker_harms_nobody(tmp_path: Path, text: str) -> None:
    lines = LogLines()
    (tmp_path / "cmp1-1800000000.json").write_text(text)
    Reports(FakeClock(), lines, tmp_path).report(over(), told())  # type: ignore[arg-type]
    assert lines.lines == []
    assert read(tmp_path / "cmp1-1800000000.json")["events"] == []


def test_old_reports_go_with_their_pages(reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.reporting.outlets.reports.KEPT", 2)
    folder = tmp_path / "reports"
    for first in (1, 2, 3):
        reports.report(Incident("cmp1", "host", State.CLOSED, "rule", "why", first, first), told())
        os.utime(folder / f"cmp1-{first}.json", (first, first))
    reports.report(over(), told())
    assert sorted(path.name for path in folder.iterdir()) == [
        "cmp1-1800000000.html",
        "cmp1-1800000000.json",
        "cmp1-3.html",
        "cmp1-3.json",
    ]


# ------------------------------------------------------------------ together


class Broken(Quiet):
    def __init__(self) -> None:
        self.calls = 0

    def status(self, reason: str, incidents: list[Incident]) -> None:
        self.calls += 1
        raise ZeroDivisionError


class Heard(Quiet):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def status(self, reason: str, incidents: list[Incident]) -> None:
        self.heard.append(reason)


class Log(LogLines):
    def exception(self, event: str, **fields: object) -> None:
        self._add("error", event, fields)


def test_a_flaw_in_one_outlet_is_told_once_and_stops_nothing() -> None:
    lines, broken, status, last = Log(), Broken(), Heard(), Heard()
    outlets = Outlets(status, [broken, last], lines)  # type: ignore[arg-type]
    for reason in ("a", "b"):
        outlets.status(reason, [])
        outlets.announce(1.0)
    assert (broken.calls, status.heard, last.heard) == (1, ["a", "b"], ["a", "b"])
    assert [fields["outlet"] for _, _, fields in lines.lines] == ["Broken"]


def test_what_the_monitor_lives_on_may_fail_the_worker() -> None:
    with pytest.raises(ZeroDivisionError):
        Outlets(Broken(), [], Log()).status("", [])  # type: ignore[arg-type]


def _many(hosts: int, waiting: int) -> list[Incident]:
    def finding(n: int, k: int) -> Finding:
        server = Server(
            f"{n:08d}-0f3c-4d1a-9b7e-{k:012d}", f"compute-{n}.example.org", "active", name=f"customer-web-{n}-{k}"
        )
        return Finding(server, Verdict.PARKED if k < waiting else Verdict.EVACUATED, "rule", "no room in 4 tries: " * 5)

    return [
        Incident(
            f"compute-{n:04d}.example.org",
            "host",
            State.BLOCKED if n == hosts - 1 else State.EVACUATING,
            "rule",
            "14 evacuated, 6 parked" * 8,
            1_800_000_000,
            1_800_000_000,
            {str(k): finding(n, k) for k in range(20)},
        )
        for n in range(hosts)
    ]


@pytest.mark.parametrize("waiting", [0, 6])
@pytest.mark.parametrize("hosts", [3, 100, 500, 3000])
def test_what_is_shared_is_never_longer_than_one_argument_may_be(tmp_path: Path, hosts: int, waiting: int) -> None:
    """A hundred dead hosts with servers that wait were more than Linux takes, and nobody was told."""
    shared: list[str] = []
    status = Status(tmp_path / "m.json", FakeClock(), LogLines(), shared.append)  # type: ignore[arg-type]
    status.status("", _many(hosts, waiting))
    status.share()
    (text,) = shared
    subprocess.run(["/bin/true", text], check=True)
    told = json.loads(text)
    assert told.get("shortened", False) == (hosts > 100 or (hosts, waiting) == (100, 6))
    nodes = [incident["node"] for incident in told["incidents"]]
    assert len(nodes) == len(set(nodes)) == hosts or hosts > 100
    assert f"compute-{hosts - 1:04d}.example.org" in nodes, "one that waits for a person is never left out"


def test_what_is_cut_to_nothing_still_says_when_the_next_comes() -> None:
    """Without that, a worker that shares was called silent."""
    events = tuple(SharedEvent(1.0, f"compute-{n:04d}.example.org" * 9) for n in range(3000))
    told = json.loads(_short(Shared(pid=7, version="1", events=events, reason="x" * 999, at=5.0, again_s=60.0)))
    assert (told["at"], told["again_s"], told["shortened"]) == (5.0, 60.0, True)
    assert (told["pid"], told["version"], told["events"], len(told["reason"])) == (7, "1", [], 300)


def test_a_busy_worker_is_heard_of_without_news_and_ever_more_seldom(tmp_path: Path) -> None:
    """C8: whoever asks on another controller can tell that it hangs; and the log is not filled for days."""
    clock, shared = FakeClock(), list[Any]()
    status = Status(tmp_path / "m.json", clock, LogLines(), lambda text: shared.append(json.loads(text)))  # type: ignore[arg-type]

    def shares(seconds: int, *incidents: Incident) -> list[tuple[float, float]]:
        """When, from now on, and within how many seconds it says that it will share again."""
        began = clock.now()
        shared.clear()
        for _ in range(seconds):
            status.status("", list(incidents))
            status.share()
            clock.pass_by(1.0)
        return [(told["at"] - began, told["again_s"]) for told in shared]

    assert shares(3600) == [(0.0, 0.0)], "a quiet cluster is silent"
    assert shares(1000, incident(State.EVACUATING)) == [
        (0.0, 60.0), (60.0, 60.0), (120.0, 120.0), (240.0, 240.0), (480.0, 480.0), (960.0, 900.0),
    ]  # fmt: skip
    assert shares(100, replace(incident(State.EVACUATING), reason="1 left")) == [(0.0, 60.0), (60.0, 60.0)]
    assert shares(3600, incident(State.RETURNING)) == [(0.0, 0.0)], "for days, maybe, nothing is left to do"


def test_a_status_that_cannot_be_shared_is_told(tmp_path: Path) -> None:
    def refuse(text: str) -> None:
        raise ClusterError("attrd_updater: exit 1")

    lines = LogLines()
    status = Status(tmp_path / "m.json", FakeClock(), lines, refuse)  # type: ignore[arg-type]
    status.status("", [incident()])
    status.share()
    assert [event for _, event, _ in lines.lines] == ["status not shared"]


def test_what_could_not_be_shared_is_shared_once_it_can_be(tmp_path: Path) -> None:
    """C8: the last news of an incident was lost for good, and the worker taken for one that hangs."""
    clock, tried, broken = FakeClock(), list[float](), True
    began, shared = clock.now(), list[Any]()

    def share(text: str) -> None:
        tried.append(clock.now() - began)
        if broken:
            raise ClusterError("attrd_updater: timed out")
        shared.append(json.loads(text))

    status = Status(tmp_path / "m.json", clock, LogLines(), share)  # type: ignore[arg-type]
    for second in range(1200):
        broken = second < 300
        status.status("", [incident(State.SETTLED)])
        status.share()
        clock.pass_by(1.0)
    assert tried == [0.0, 60.0, 120.0, 240.0, 480.0], "not in each pass"
    assert [(told["incidents"][0]["state"], told["again_s"]) for told in shared] == [("settled", 0.0)]


def test_what_a_killed_worker_has_left_is_written_over(reports: Reports, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    name = "cmp1-100.json"
    (tmp_path / "reports" / f".{name}.new").write_text("half of it")
    reports.report(incident(), {})
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [name]


def test_a_host_that_is_fenced_again_and_again_is_remembered_once(reports: Reports) -> None:
    """Each fencing during a return begins a new incident, and the last one is never closed."""
    for first in range(100, 150):
        reports.report(replace(incident(), first=first, last=first), {})
    assert len(reports._earlier) == 1
