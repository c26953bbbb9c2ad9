# SPDX-License-Identifier: Apache-2.0
"""E18: each alert fires on what the worker wrote when that happened, when it should, and for nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from muster.cli.view import Seen, view
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import Incident
from muster.core.findings import Finding, State, Verdict
from muster.core.nova_facts import Server
from muster.engine.memory import Memory
from muster.installation.installed import Resource
from muster.reporting.documents import Doubt, Heard, Readiness, Shared, Summary, WaitingServer
from muster.reporting.outlets.metrics import Counted, Metrics
from tests.fakes import FakeClock, LogLines

RULES = Path(__file__).resolve().parents[2] / "packaging" / "prometheus" / "muster.rules.yml"
PROMTOOL = shutil.which("promtool")
STEP_S = 15
SCRAPES = 280
LONG_AGO = -86400
Told = tuple[str, Sequence[Incident], Counted]
READY = Counted(readiness=Readiness(1.0, 24))


def incident(state: State, *verdicts: Verdict, alarm: bool = False) -> Incident:
    findings = {
        str(n): Finding(Server(str(n), "cmp1", "active"), v, "r", "why", alarm=alarm) for n, v in enumerate(verdicts)
    }
    return Incident("cmp1", "cmp1", state, "rule", "why", 1, 1, findings)


def not_ready(result: str) -> Counted:
    return Counted(readiness=Readiness(1.0, 24, (Doubt("credentials", result, "x"),)))


EVACUATING = [incident(State.EVACUATING, Verdict.EVACUATING)]
KINDS: dict[str, tuple[Told, dict[str, int]]] = {
    # what the worker sees from minute 0 on, and the alerts that there are, with the minute by which each is there
    "nothing": (("", [], READY), {}),
    "a host is being evacuated": (("", EVACUATING, READY), {"MusterHostDead": 1}),
    "a failed host is not fenced": (("", [], replace(READY, unfenced={"cmp1": 0})), {"MusterHostUnfenced": 3}),
    "servers are parked": (
        ("", [incident(State.EVACUATING, Verdict.PARKED)], READY),
        {"MusterHostDead": 1, "MusterServersWait": 16},
    ),
    "servers are unknown": (
        ("", [incident(State.EVACUATING, Verdict.UNKNOWN)], READY),
        {"MusterHostDead": 1, "MusterServersWait": 16},
    ),
    "servers are held": (
        ("", [incident(State.SETTLED, Verdict.HELD)], READY),
        {"MusterHostDead": 1, "MusterServersHeld": 1},
    ),
    "an evacuation hangs": (
        ("", [incident(State.EVACUATING, Verdict.EVACUATING, alarm=True)], READY),
        {"MusterHostDead": 1, "MusterEvacuationStuck": 1},
    ),
    "a guard has stopped it": (
        ("", [incident(State.BLOCKED, Verdict.QUEUED)], READY),
        {"MusterHostDead": 1, "MusterBlocked": 1},
    ),
    "the worker may change nothing": (("no quorum", [], READY), {"MusterHindered": 6}),
    "Nova is silent in an incident": (
        ("Nova gives no usable answer: 503", EVACUATING, replace(READY, nova_trouble="503")),
        {"MusterHostDead": 1, "MusterNovaSilent": 3},
    ),
    "the credentials are refused": (("", [], not_ready("trouble")), {"MusterNotReady": 2}),
    "something may be wrong": (("", [], not_ready("attention")), {"MusterReadinessDoubtful": 2}),
    "something cannot be told": (("", [], not_ready("unknown")), {"MusterReadinessDoubtful": 2}),
    "nobody looks any more": (
        ("", [], Counted(readiness=Readiness(float(LONG_AGO), 24))),
        {"MusterReadinessUnknown": 6},
    ),
}  # fmt: skip


def written(path: Path, told: Told, at: float) -> dict[str, float]:
    """The samples of the file that the worker leaves, by series."""
    reason, incidents, counted = told
    clock = FakeClock()
    clock.at = at
    Metrics(path, clock, lambda: counted, LogLines()).status(reason, list(incidents))  # type: ignore[arg-type]
    samples = [sample for it in text_string_to_metric_families(path.read_text()) for sample in it.samples]
    return {f"{it.name}{_labels({**it.labels, 'instance': 'ctl1'})}": it.value for it in samples}


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def series(path: Path, at: Callable[[float], Told], first: int = 0, scrapes: int = SCRAPES) -> dict[str, str]:
    """What Prometheus has scraped, where what the worker sees stays as it is and only times go on."""
    begin, then = (written(path, at(float(second)), float(second)) for second in (first, first + STEP_S))
    return {name: f"{begin[name]:g}+{then[name] - begin[name]:g}x{scrapes}" for name in begin}


def firing(folder: Path, given: dict[str, str], minutes: Iterable[int]) -> dict[int, set[str]]:
    """By minute, the alerts that fire then, by promtool."""
    alerts = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    checks = [{"eval_time": f"{m}m", "alertname": name, "exp_alerts": []} for m in minutes for name in alerts]
    told = [{"series": name, "values": values} for name, values in given.items()]
    test: dict[str, Any] = {"interval": f"{STEP_S}s", "input_series": told, "alert_rule_test": checks}
    whole = {"rule_files": [str(RULES)], "evaluation_interval": f"{STEP_S}s", "tests": [test]}
    (folder / "test.yml").write_text(yaml.safe_dump(whole))
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, "test", "rules", str(folder / "test.yml")], capture_output=True, text=True)
    words = done.stdout + done.stderr
    found = re.findall(r"alertname: (\w+), time: (\d+)m", words)
    assert bool(found) == bool(done.returncode), words
    return {minute: {name for name, when in found if int(when) == minute} for minute in minutes}


needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool: ./check fetches it")


@needs_promtool
@pytest.mark.parametrize("kind", KINDS)
def test_fires_for_what_the_worker_wrote_when_it_happened(kind: str, tmp_path: Path) -> None:
    told, expected = KINDS[kind]
    fresh = "MusterReadinessUnknown" not in expected

    def at(second: float) -> Told:
        looked = replace(told[2].readiness, at=second - 100) if fresh else told[2].readiness
        return told[0], told[1], replace(told[2], readiness=looked)

    given = series(tmp_path / "m.prom", at)
    minutes = sorted({1, *expected.values(), 30})
    due = {minute: {name for name, when in expected.items() if when <= minute} for minute in minutes}
    assert firing(tmp_path, given, minutes) == due


@needs_promtool
def test_a_worker_that_is_gone_and_metrics_that_are_stale_are_the_first_thing_told(tmp_path: Path) -> None:
    """What it said last counts no more: after kill -9 the file stays as it was."""
    given = {name: f"{values} {_last(values)}x{SCRAPES}" for name, values in
             series(tmp_path / "m.prom", lambda at: ("", EVACUATING, READY), scrapes=4).items()}  # fmt: skip
    assert firing(tmp_path, given, [8]) == {8: {"MusterNoWorker"}}
    assert firing(tmp_path, {}, [4]) == {4: {"MusterNoWorker"}}


def _last(values: str) -> str:
    begin, _, more = values.partition("+")
    step, _, times = more.partition("x")
    return f"{float(begin) + float(step) * int(times):g}"


@needs_promtool
def test_an_hour_of_rest_in_which_the_worker_moves_fires_nothing(tmp_path: Path) -> None:
    def at(second: float) -> Told:
        return "", [], Counted(readiness=Readiness(second, 24))

    first = series(tmp_path / "m.prom", at, scrapes=80)
    stale = {name: f"{values} {_last(values)}x{SCRAPES}" for name, values in first.items()}
    then = {
        name.replace('"ctl1"', '"ctl2"'): f"_x84 {values}"
        for name, values in series(tmp_path / "m.prom", at, first=84 * STEP_S).items()
    }
    minutes = [5, 19, 20, 21, 22, 25, 35, 60]
    assert firing(tmp_path, {**stale, **then}, minutes) == {minute: set() for minute in minutes}


def test_every_alert_has_its_kind() -> None:
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    shown = {name for _, expected in KINDS.values() for name in expected} | {"MusterNoWorker"}
    assert alerts - shown == {"MusterHostStillDead"}  # hours


@pytest.mark.parametrize(
    ("changed", "unfenced"),
    [
        ({}, {"cmp1": 7}),
        ({"lost_at": 0}, {}),
        ({"member": True}, {}),
        ({"fenced_at": 9}, {}),
        ({"record": Record(Phase.FENCED, 9, 9)}, {}),
        ({"compute": False}, {}),
    ],
)
def test_a_host_that_failed_is_unfenced_until_it_is_fenced_or_back(
    changed: dict[str, Any], unfenced: dict[str, int]
) -> None:
    memory = Memory()
    memory.note_unfenced([replace(Node("cmp1", True, lost_at=7), **changed)])
    assert memory.unfenced == unfenced


@pytest.mark.parametrize("verdict", ["parked", "unknown"])
@pytest.mark.parametrize(("minutes", "level"), [(14, "attention"), (16, "trouble")])
def test_a_server_that_is_down_and_waits_is_trouble_after_a_quarter_of_an_hour(
    verdict: str, minutes: int, level: str
) -> None:
    summary = Summary("cmp1", state="evacuating", fenced=100, waiting=(WaitingServer("a", "web", verdict, "no room"),))
    nodes = {"cmp1": Node("cmp1", True, record=Record(Phase.EVACUATING, 100, 100))}
    heard = Heard(Shared(incidents=(summary,), at=100.0 + 60 * minutes), "ctl2")
    seen = Seen(
        100.0 + 60 * minutes, Cluster(True, "ctl1", nodes), Resource("muster", active_on=("ctl2",)), heard=heard
    )
    assert view(seen).level == level
