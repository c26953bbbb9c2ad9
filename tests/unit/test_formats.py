# SPDX-License-Identifier: Apache-2.0
"""E11: what one version of muster writes another one reads, or says that it cannot."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.cli import site
from muster.cli.incidents import Incidents
from muster.cli.view import Seen, view
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import Incident
from muster.core.findings import Finding, State, Verdict
from muster.core.nova_facts import Server
from muster.installation.installed import Resource
from muster.reporting import report
from muster.reporting.documents import (
    FORMAT,
    Doubt,
    Heard,
    KnownCapacity,
    OtherFormat,
    Readiness,
    Report,
    ReportEvent,
    ServerEntry,
    Shared,
    SharedEvent,
    StatusFile,
    Summary,
    WaitingServer,
    as_json,
    read,
)
from tests import told

FENCED = 1_800_000_000
INCIDENT = Summary(
    "cmp1",
    "cmp1.example",
    "evacuating",
    "working",
    "1 held",
    FENCED - 9,
    FENCED,
    FENCED + 1.5,
    {"held": 1},
    (WaitingServer("a", "web", "held", "paused", True, "cmp2", FENCED + 60.5),),
)
DOCUMENTS: list[Any] = [
    StatusFile(
        pid=7,
        version="1",
        first_look=True,
        incidents=(INCIDENT,),
        readiness=Readiness(5.5, 24, (Doubt("Nova", "trouble", "x", 1),)),
        capacity=KnownCapacity(5.5, 1, 2, 3, {"room": 1}, 4, 5, "x"),
        deadline=9.0,
        at=8.0,
    ),
    Shared(
        pid=7, version="1", incidents=(INCIDENT,), events=(SharedEvent(1.5, "cmp1", "held: x", "a", "web"),), at=8.0
    ),
    Report(
        node="cmp1",
        fenced=float(FENCED),
        servers={"held": 1},
        proofs=(ServerEntry("a", source="cmp1", dest="cmp2", attempts=2, began=1.5, seconds_since_fencing=4.5),),
        events=(ReportEvent(1.5, "held: x", "a"),),
        written=9.5,
    ),
]
BY_NAME = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda it: type(it).__name__)


@BY_NAME
def test_what_is_written_is_read_as_it_was(document: Any) -> None:
    assert read(type(document), json.dumps(as_json(document))) == document


def test_a_report_costs_few_calls_for_each_server() -> None:
    """It is written at every change, and a host may have thousands: counted, for this machine's time is nobody's."""
    servers = {f"{n:03}": Server(f"{n:03}", "cmp2", "active") for n in range(200)}
    findings = {key: Finding(one, Verdict.EVACUATED, "proved", "", ended=9.0) for key, one in servers.items()}
    incident = Incident("cmp1", "cmp1", State.SETTLED, "settled", "", 1, 1, findings)
    calls = Counter[str]()
    report.report(incident, findings)  # whatever is worked out once
    sys.setprofile(lambda frame, event, argument: calls.update((event,)))
    try:
        report.report(incident, findings)
    finally:
        sys.setprofile(None)
    assert calls["call"] + calls["c_call"] < 20 * len(servers)


@BY_NAME
def test_one_from_before_the_format_was_written_has_the_first(document: Any) -> None:
    """An upgrade in the middle of an incident finds such ones."""
    before = {key: value for key, value in as_json(document).items() if key != "format"}
    assert read(type(document), json.dumps(before)) == document
    assert read(type(document), json.dumps({**before, "format": 1})) == document


@BY_NAME
def test_what_calls_an_incident_blocked_is_no_document_of_the_first_format(document: Any) -> None:
    """There it was on-hold: a command of that version would take it for nothing special, and show no HOST LIVES."""
    assert as_json(document)["format"] == 2


def test_the_first_name_of_a_blocked_incident_is_understood() -> None:
    """In an upgrade the worker on another controller is the older one: what it says of a host that lives is not lost."""
    lives = {"node": "cmp1", "state": "on-hold", "reason": "HOST LIVES", "fenced": FENCED}
    heard = read(Shared, json.dumps({"at": float(FENCED), "incidents": [lives]}))
    assert isinstance(heard, Shared)
    node = Node("cmp1", True, record=Record(Phase.EVACUATING, FENCED, FENCED))
    cluster, resource = Cluster(True, "ctl1", {"cmp1": node}), Resource("muster", active_on=("ctl2",))
    (todo,) = view(Seen(FENCED, cluster, resource, heard=Heard(heard, "ctl2"))).todo
    assert (todo.level, todo.about, todo.what) == ("trouble", "cmp1", "HOST LIVES")
    event = {"at": 1.0, "what": "on-hold: HOST LIVES"}
    assert read(Report, json.dumps({**lives, "events": [event, {"what": 3}, 3]})) == Report(
        node="cmp1",
        state="blocked",
        reason="HOST LIVES",
        fenced=FENCED,
        events=(ReportEvent(1.0, "blocked: HOST LIVES"), ReportEvent(what="3")),
    )


def test_what_was_read_in_an_earlier_format_is_written_in_todays() -> None:
    """A new worker goes on with the report of an old one: each must be what its number says."""
    kept = read(Report, json.dumps({"format": 1, "node": "cmp1", "state": "on-hold"}))
    assert as_json(kept)["format"] == FORMAT
    assert as_json(kept)["state"] == "blocked"


@BY_NAME
@pytest.mark.parametrize(("number", "which"), [(FORMAT + 1, "a newer muster"), (0, "an older muster"), ("2", "")])
def test_another_format_is_said_and_not_understood_by_halves(document: Any, number: Any, which: str) -> None:
    found = read(type(document), json.dumps({**as_json(document), "format": number}))
    assert isinstance(found, OtherFormat)
    assert which in str(found)
    assert str(found).endswith("Install the same version on every controller")


@pytest.mark.parametrize("text", ["", "{", "3", "[1]", "null", "[" * 100_000])
def test_what_is_no_document_is_none(text: str) -> None:
    assert read(Report, text) is None


@given(
    st.sampled_from(DOCUMENTS),
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists),
)
def test_what_is_not_what_it_should_be_reads_as_empty(document: Any, odd: Any) -> None:
    """Each field in turn; nothing raises, and what comes out has the types that it should have."""
    for key in as_json(document):
        if key == "format":
            continue
        found = read(type(document), json.dumps({**as_json(document), key: odd}))
        assert isinstance(found, type(document))
        assert read(type(document), json.dumps(as_json(found))) == found


def test_status_says_that_it_cannot_read_what_the_worker_shares() -> None:
    heard = Heard(controller="ctl2", other=OtherFormat(FORMAT + 1, "9.1"))
    resource = Resource("muster", active_on=("ctl2",))
    (todo,) = view(Seen(FENCED, Cluster(True, "ctl1", {}), resource, heard=heard)).todo
    assert todo.level == "attention"
    assert "ctl2" in todo.what
    assert "a newer muster (9.1) wrote it in format 3, this one reads 1 to 2" in todo.what


def test_a_list_of_incidents_names_the_reports_that_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "REPORT_DIRECTORY", tmp_path)
    made = told.report(1)
    (tmp_path / "cmp1-1.json").write_text(json.dumps(made))
    (tmp_path / "cmp1-2.json").write_text(json.dumps({**made, "fenced": 2, "format": FORMAT + 1}))
    known, missing = Incidents(None, "Pacemaker is silent").known()
    assert [one.incident for one in known] == [f"cmp1-{told.FENCED}"]
    assert [why for why in missing if "cmp1-2.json" in why and "a newer muster" in why] != []
