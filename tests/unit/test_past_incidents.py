# SPDX-License-Identifier: Apache-2.0
"""E22: what is told of an incident that is over where there is no report of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import pytest

from muster.cli import incidents, site
from muster.cli.incidents import Incidents
from muster.core.cluster_facts import Cluster, Node
from muster.core.nova_facts import CallTrace, Evacuation, EvacuationStatus, Server, Service
from muster.core.past_incidents import Past, PastIncident
from tests.fakes import settings

FIRST, SECOND = 1_800_000_000, 1_800_001_800
"""Half an hour apart: by Nova's records alone they are one."""
DONE, FAILED = EvacuationStatus.COMPLETED, EvacuationStatus.FAILED


class Nova:
    """Two incidents of cmp1, what somebody evacuated by hand between them, and an incident of another host."""

    rows = (
        Evacuation("1", "a", "cmp1", DONE, "cmp2", FIRST + 5.0, FIRST + 15.0),
        Evacuation("2", "b", "cmp1", FAILED, "", FIRST + 6.0, FIRST + 16.0),
        Evacuation("3", "c", "cmp1", DONE, "cmp3", SECOND + 5.0, SECOND + 15.0),
        Evacuation("5", "h", "cmp1", DONE, "cmp3", FIRST + 1200.0, FIRST + 1215.0),
        Evacuation("4", "x", "cmp2", DONE, "cmp3", FIRST + 7.0, FIRST + 15.0),
    )

    def services(self) -> Sequence[Service]:
        return tuple(Service(f"u{n}", f"cmp{n}", up=True) for n in (1, 2, 3))

    def evacuations_from(self, host: str, since: float) -> Sequence[Evacuation]:
        return [row for row in self.rows if row.source == host and row.created >= since]

    def evacuations_of_all(self, since: float) -> Sequence[Evacuation]:
        return [row for row in self.rows if row.created >= since]

    def server(self, ident: str) -> Server:
        return Server(ident, {"a": "cmp2", "c": "cmp3", "h": "cmp3"}.get(ident, "cmp1"), "active", name=f"name-{ident}")

    def traces(self, server: str, since: float) -> Sequence[CallTrace]:
        return ()


class Site:
    local = "ctl3"
    settings = settings()

    def __init__(self, past: Optional[Past]) -> None:
        nodes = {f"cmp{n}": Node(f"cmp{n}", True, member=True) for n in (2, 3)}
        self.cluster = Cluster(True, "ctl3", {"cmp1": Node("cmp1", True, member=True, past=past), **nodes})


@pytest.fixture(autouse=True)
def no_reports(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "REPORT_DIRECTORY", tmp_path)
    monkeypatch.setattr(incidents.connections, "nova", lambda settings: Nova())
    monkeypatch.setattr(incidents.time, "time", lambda: SECOND + 90_000.0)


def told(past: Optional[Past], wanted: str) -> dict[str, str]:
    return {s.id: s.verdict for s in Incidents(Site(past)).tell(wanted).servers}  # type: ignore[arg-type]


NOTED = Past((PastIncident(SECOND, SECOND + 600), PastIncident(FIRST, FIRST + 900, ("b", "d"))))


def test_each_incident_has_its_own_servers_wherever_it_is_asked_for() -> None:
    assert told(NOTED, f"cmp1-{FIRST}") == {"a": "evacuated", "b": "held", "d": "held"}
    assert told(NOTED, f"cmp1-{SECOND}") == told(NOTED, "cmp1") == {"c": "evacuated"}
    story = Incidents(Site(NOTED)).tell(f"cmp1-{FIRST}")  # type: ignore[arg-type]
    assert (story.incident, story.fenced) == (f"cmp1-{FIRST}", float(FIRST))
    assert "Pacemaker's configuration" in story.missing[0]


def test_the_end_of_one_that_nobody_saw_close_is_the_begin_of_the_next() -> None:
    past = Past((PastIncident(SECOND), PastIncident(FIRST, 0, ("b",))))
    assert told(past, f"cmp1-{FIRST}") == {"a": "evacuated", "b": "held", "h": "evacuated"}


def test_without_a_note_it_is_as_nova_has_it() -> None:
    assert told(None, "cmp1") == {"a": "evacuated", "b": "unknown", "c": "evacuated", "h": "evacuated"}


def test_one_of_which_nothing_was_sent_is_told_all_the_same() -> None:
    past = Past((PastIncident(SECOND + 3600, SECOND + 7200, ("z",)),))
    assert told(past, f"cmp1-{SECOND + 3600}") == {"z": "held"}


def test_the_list_has_each_once_and_says_where_it_is_from() -> None:
    known, _ = Incidents(Site(NOTED)).known()  # type: ignore[arg-type]
    assert [(one.incident, one.state) for one in known if one.node == "cmp1"] == [
        (f"cmp1-{SECOND}", "closed"),
        (f"cmp1-{FIRST}", "closed"),
    ]
    assert all("noted in Pacemaker's configuration" in one.source for one in known if one.node == "cmp1")
