# SPDX-License-Identifier: Apache-2.0
"""The metrics, read back as Prometheus reads them; and the rules that are made of them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from muster.core.decide import Incident
from muster.core.findings import Finding, State, Verdict
from muster.core.nova_facts import Server
from muster.reporting import capacity_file
from muster.reporting.documents import Doubt, KnownCapacity, Readiness
from muster.reporting.outlets.metrics import EVERY_S, Counted, Metrics
from tests.fakes import FakeClock, LogLines

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "packaging" / "prometheus").glob("*.rules.yml"))
PAGE = ROOT / "docs" / "metrics.md"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Bench:
    """A metrics file with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "muster.prom"
        self.clock, self.counted, self.lines = FakeClock(), Counted(), LogLines()
        self.metrics = Metrics(self.path, self.clock, lambda: self.counted, self.lines)  # type: ignore[arg-type]

    def read(self) -> Samples:
        families = text_string_to_metric_families(self.path.read_text())
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}

    def value(self, name: str, **labels: str) -> Optional[float]:
        return self.read().get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def incident(node: str = "cmp1", state: State = State.EVACUATING, *verdicts: Verdict, alarm: bool = False) -> Incident:
    findings = {
        f"{node}-{n}": Finding(Server(f"{n}", node, "active"), v, "r", "why", alarm=alarm)
        for n, v in enumerate(verdicts)
    }
    return Incident(node, node, state, "rule", "why", 1_800_000_000, 1_800_000_000, findings)


def test_says_how_far_the_clocks_are_apart(bench: Bench) -> None:
    bench.metrics.status("", [])
    bench.clock.nova.ahead_s, bench.clock.nova.apart_s = -62.04, 41.0
    bench.metrics.status("", [])
    assert bench.value("muster_nova_clock_ahead_seconds") == -62.0
    assert bench.value("muster_nova_clocks_apart_seconds") == 41.0


def test_says_what_is_the_case(bench: Bench) -> None:
    bench.counted = replace(bench.counted, sent=7)
    evacuated, held = Verdict.EVACUATED, Verdict.HELD
    cmp2 = incident("cmp2", State.BLOCKED, evacuated, held, alarm=True)
    bench.metrics.status("", [incident("cmp1", State.EVACUATING, evacuated, evacuated), cmp2])
    assert bench.value("muster_worker_up") == 1
    assert bench.value("muster_incidents", state="blocked") == 1
    assert bench.value("muster_incidents", state="settled") == 0
    assert bench.value("muster_incident_fenced_timestamp_seconds", node="cmp2") == 1_800_000_000
    assert bench.value("muster_servers", verdict="evacuated") == 3
    assert bench.value("muster_servers", verdict="parked") == 0
    assert bench.value("muster_servers_stuck") == 2
    assert bench.value("muster_evacuations_sent_total") == 7
    assert bench.value("muster_hindered") == 0
    assert bench.path.stat().st_mode & 0o777 == 0o644


def test_what_is_over_is_gone(bench: Bench) -> None:
    bench.metrics.status("", [incident("cmp1")])
    bench.metrics.status("", [])
    assert bench.value("muster_incident_fenced_timestamp_seconds", node="cmp1") is None
    assert bench.value("muster_incidents", state="evacuating") == 0
    bench.metrics.close()
    assert [name for (name, _), value in bench.read().items() if value == 0] == ["muster_worker_up"]


def test_a_silent_pacemaker_is_not_told_as_no_incident(bench: Bench) -> None:
    bench.metrics.status("", [incident()])
    bench.counted = replace(bench.counted, cluster_trouble="timed out")
    bench.metrics.status("Pacemaker does not answer: timed out", [])
    assert bench.value("muster_incidents", state="evacuating") is None
    assert bench.value("muster_hindered") == 1


def test_a_silent_nova_hinders_nobody_but_is_told(bench: Bench) -> None:
    bench.counted = replace(bench.counted, nova_trouble="refused")
    bench.metrics.status("Nova gives no usable answer: refused", [incident()])
    assert (bench.value("muster_nova_trouble"), bench.value("muster_hindered")) == (1, 0)


def test_is_written_when_something_changed_and_once_a_minute(bench: Bench) -> None:
    def written(reason: str = "") -> bool:
        before = bench.path.stat().st_ino if bench.path.exists() else 0
        bench.metrics.status(reason, [])
        return bench.path.stat().st_ino != before

    assert written()
    bench.clock.pass_by(EVERY_S / 2)
    assert not written()
    bench.counted = replace(bench.counted, nova_errors=bench.counted.nova_errors + 1)
    assert written()
    bench.clock.pass_by(EVERY_S)
    assert written()
    bench.clock.pass_by(-3600)
    assert written(), "the clock was set back"


def test_no_series_for_a_server(bench: Bench) -> None:
    """Ten thousand servers are as many series as none."""
    bench.metrics.status("", [incident("cmp1", State.EVACUATING, *[Verdict.QUEUED] * 3)])
    few = set(bench.read())
    bench.metrics.status("", [incident("cmp1", State.EVACUATING, *[Verdict.QUEUED] * 3000)])
    assert set(bench.read()) == few


def test_follows_no_symlink_and_survives_a_full_disk(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    bench.path.symlink_to(victim)
    bench.metrics.status("", [])
    assert victim.read_text() == "mine"
    assert not bench.path.is_symlink()
    nowhere = Metrics(tmp_path / "no" / "m.prom", bench.clock, Counted, bench.lines)  # type: ignore[arg-type]
    nowhere.status("", [])
    assert bench.lines.lines[-1][1] == "cannot write"


def every_metric(bench: Bench) -> set[str]:
    bench.counted = Counted(
        readiness=Readiness(1.0, 2, (Doubt("Nova", "trouble", "HTTP 401"),)),
        unfenced={"cmp2": 5},
        capacity=KnownCapacity(1.0),
    )
    bench.metrics.status("", [incident()])
    return {name for name, _ in bench.read()}


def test_the_worker_tells_of_the_capacity_what_the_command_does(bench: Bench) -> None:
    """E24: and nothing where it never looks; before the first answer only that there is none."""

    def told() -> Samples:
        return {
            key: value
            for key, value in bench.read().items()
            if "capacity" in key[0] or "tolerated" in key[0] or key[0].endswith("able_servers")
        }

    bench.metrics.status("", [])
    assert told() == {}
    bench.counted = Counted(capacity=KnownCapacity())
    bench.metrics.status("", [])
    assert told() == {("muster_capacity_timestamp_seconds", ()): 0}
    bench.counted = Counted(capacity=KnownCapacity(5.0, 1, 3, 9, {"room": 2}, 4))
    bench.metrics.status("", [])
    assert told()[("muster_tolerated_host_failures", (("bound", "at_most"),))] == 3
    families = text_string_to_metric_families(capacity_file.text(bench.counted.capacity).decode())  # type: ignore[arg-type]
    whole = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}
    assert whole.items() <= bench.read().items()
    assert whole.keys() >= told().keys()


def test_rules_and_page_speak_of_metrics_that_there_are(bench: Bench) -> None:
    there = every_metric(bench)
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    alerts = [rule for group in groups for rule in group["rules"]]
    used = {name for rule in alerts for name in re.findall(r"\bmuster_\w+", rule["expr"])}
    assert used
    assert used <= there
    for rule in alerts:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]
    told = set(re.findall(r"^\| `(muster_\w+)", PAGE.read_text(), re.M))
    assert told == there
    assert {rule["alert"] for rule in alerts} == set(re.findall(r"^\| `(Muster\w+)`", PAGE.read_text(), re.M))


def test_each_check_that_is_not_content_is_there_at_once_and_gone_with_its_cause(bench: Bench) -> None:
    """E16."""
    bench.metrics.status("", [])
    assert bench.value("muster_readiness_timestamp_seconds") == 0
    bench.counted = Counted(readiness=Readiness(1.0, 2, (Doubt("Nova", "trouble"), Doubt("clocks", "unknown"))))
    bench.metrics.status("", [])
    assert bench.value("muster_readiness_check", check="Nova") == 3
    assert bench.value("muster_readiness_check", check="clocks") == 1
    bench.counted = Counted(readiness=Readiness(2.0, 2))
    bench.metrics.status("", [])
    assert bench.value("muster_readiness_check", check="Nova") is None


def test_loads_its_library_only_where_it_is_wanted() -> None:
    code = "import sys, muster.reporting.outlets.metrics; print([m for m in sys.modules if m.startswith('prometheus_client')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
