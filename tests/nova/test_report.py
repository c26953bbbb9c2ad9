# SPDX-License-Identifier: Apache-2.0
"""What ``muster report`` tells of an incident on real Nova: the worker's own report, and Nova's records, agree."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree

from muster.cli import site
from muster.cli.incidents import Incidents
from muster.core.errors import ClusterError
from muster.gateways.clock import Clock
from muster.reporting.history import WHEN_LOST, Story
from muster.reporting.outlets.reports import Reports
from muster.reporting.timeline import Kind, timeline
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, act_on, boot, fail_spawns
from tests.rig import Rig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the worker leaves its reports."""
    monkeypatch.setattr(site, "REPORT_DIRECTORY", tmp_path / "reports")
    return tmp_path / "reports"


def leave_reports(it: Rig, folder: Path) -> None:
    """The worker of this rig writes its reports, as the real one does."""
    reports = Reports(Clock(), it.log, folder)  # type: ignore[arg-type]
    kept = it.outlet.report

    def report(incident: Any, data: dict[str, Any]) -> None:
        kept(incident, data)
        reports.report(incident, data)

    it.outlet.event = reports.event  # type: ignore[method-assign]
    it.outlet.report = report  # type: ignore[method-assign]


def seen_from(it: Rig, local: str = "ctl1") -> Incidents:
    """The command as it is typed on a controller; the worker is on ctl1."""
    resource = SimpleNamespace(active_on=("ctl1",), id="muster")
    here = SimpleNamespace(
        settings=it.policy,
        cluster=it.cluster.look(),
        resource=resource,
        local=local,
        pacemaker=lambda: it.cluster,
    )
    return Incidents(here)  # type: ignore[arg-type]


def without_reports(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def moved(story: Story) -> dict[str, tuple[str, str]]:
    """Where each evacuated server went, and by which request at last."""
    return {s.id: (s.dest, s.request_ids[-1]) for s in story.servers if s.verdict == "evacuated"}


def run_incident(bed: NovaBed, it: Rig, folder: Path) -> tuple[str, list[str]]:
    """One held, one tried twice, two plain; to the end, by somebody who has the least rights."""
    bed.clouds_yaml(it.clouds_file, username="muster", password="musterpw")
    held, *others = boot(bed, 4)
    act_on(bed, held, "pause", "paused")
    fail_spawns(bed, times=1)
    leave_reports(it, folder)
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    it.step()
    return held, others


def test_novas_records_alone_agree_with_the_workers_own(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    it = rig()
    held, others = run_incident(bed, it, folder)
    own = seen_from(it).tell("cmp1")
    (page,) = folder.glob("cmp1-*.html")
    assert held in page.read_text()
    without_reports(folder)
    alone = seen_from(it, "ctl2").tell("cmp1")
    assert moved(own) == moved(alone)
    assert set(moved(own)) == set(others)
    sent = {f["server"]: f["request_id"] for _, event, f in it.log.lines if event == "evacuate sent"}
    assert {server: request_id for server, (_, request_id) in moved(own).items()} == sent
    # What failed first is in both, with Nova's own word for it and its own request.
    for story in (own, alone):
        first = [s.attempts[0] for s in story.servers if len(s.attempts) > 1]
        assert first
        assert all(a.status == "failed" and a.request_id and "injected" in a.words for a in first), first
        assert all(len(s.attempts) == s.tries == len(s.request_ids) for s in story.servers), story.servers
    # What was never sent, only the worker knows; and the one without its report says so.
    assert [server.id for server in own.waiting] == [held]
    assert held not in {server.id for server in alone.servers}
    assert "held" in alone.missing[0]
    assert own.missing == (WHEN_LOST,)


def test_novas_times_draw_every_stretch(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    it = rig()
    run_incident(bed, it, folder)
    line = timeline(seen_from(it).tell("cmp1"))
    assert line is not None
    for bar in line.bars:
        kinds = [s.kind for s in bar.stretches if s.kind is not Kind.WAITING]
        assert bar.server.verdict == "held" or set(kinds) == {Kind.SCHEDULING, Kind.REBUILDING}, bar
        assert all(a.end <= b.begin + 0.001 for a, b in zip(bar.stretches, bar.stretches[1:])), bar


def test_lists_what_reports_records_and_nova_know(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    """Each incident once, newest first."""
    it = rig()
    run_incident(bed, it, folder)
    known, missing = seen_from(it).known()
    assert ([one.source for one in known], missing) == (["a report on this controller"], [])
    without_reports(folder)
    known, missing = seen_from(it, "ctl2").known()
    assert ([one.node for one in known], missing) == (["cmp1"], [])
    (by_nova,) = known
    assert by_nova.source.startswith("Nova's records")
    assert len(seen_from(it, "ctl2").tell(by_nova.incident).servers) == 3
    boot(bed, 1)
    it.fence("cmp1")
    known, _ = seen_from(it, "ctl2").known()
    assert known[0].source == "Pacemaker's record"


def test_the_incident_of_another_controllers_worker_is_told_while_it_is_open(
    bed: NovaBed, rig: MakeRig, folder: Path
) -> None:
    held, plain = boot(bed, 2)
    act_on(bed, held, "pause", "paused")
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    story = seen_from(it, "ctl2").tell("cmp1")
    assert {s.id: s.verdict for s in story.servers} == {held: "held", plain: "evacuated"}
    assert story.fenced == it.cluster.nodes["cmp1"].record.first
    assert "another controller" in story.missing[0]
    (done,) = [s for s in story.servers if s.id == plain]
    assert done.attempts[0].landed


def test_a_silent_nova_is_named_and_nothing_is_made_up(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    it = rig()
    held, others = run_incident(bed, it, folder)
    bed.fault(method="GET", path="os-migrations", status=503)
    story = seen_from(it).tell("cmp1")
    assert set(moved(story)) == set(others)
    assert all(server.attempts == () for server in story.servers)
    assert "503" in story.missing[-1]
    known, missing = seen_from(it).known()
    assert (len(known), "503" in missing[0]) == (1, True)
    without_reports(folder)
    with pytest.raises(ClusterError, match="503"):
        seen_from(it).tell("cmp1")


def test_what_nova_stops_telling_in_the_middle_is_counted(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    it = rig()
    run_incident(bed, it, folder)
    bed.fault(method="GET", path="os-instance-actions", status=503)
    story = seen_from(it).tell("cmp1")
    assert "of 3 of 3 servers" in story.missing[-1]
    attempts = [attempt for server in story.servers for attempt in server.attempts]
    assert len(attempts) > 3
    assert not any(attempt.request_id or attempt.landed for attempt in attempts)


def test_nothing_is_known_of_a_host_that_never_died(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    it = rig()
    for name in ("cmp2", "elsewhere", f"cmp2-{int(time.time())}"):
        with pytest.raises(ClusterError, match="no evacuation"):
            seen_from(it).tell(name)


def test_the_page_of_real_servers_is_well_formed(bed: NovaBed, rig: MakeRig, folder: Path) -> None:
    """E3: with names that Nova lets through."""
    boot(bed, 1, name='<script>alert("x")</script>&amp;')
    it = rig()
    leave_reports(it, folder)
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    it.step()
    (page,) = folder.glob("*.html")
    root = etree.fromstring(page.read_bytes())
    assert '<script>alert("x")</script>&amp;' in "".join(root.itertext())
    assert root.findall(".//script") == []
