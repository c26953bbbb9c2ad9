# SPDX-License-Identifier: Apache-2.0
"""The number for Prometheus, its alerts, and the dashboard: nothing is shown that nobody writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from muster.cli.capacity import _write
from muster.core.errors import SettingsError
from muster.core.nova_facts import Server
from muster.planning.answer import Capacity, Unsaveable
from muster.planning.tolerance import Tolerance
from muster.reporting.capacity_file import known
from muster.reporting.documents import KnownCapacity

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = ROOT / "packaging" / "prometheus"
METRIC = re.compile(r"\bmuster_[a-z_]+")
PROMTOOL = shutil.which("promtool")


def made() -> KnownCapacity:
    lost = [Unsaveable(Server(str(n), "cmp1", "active"), "affinity") for n in range(2)]
    found = Capacity(Tolerance(1, 3, (), (), {}), (4, 9), None, lost, {"hw:numa_nodes": 2, "zone": 3})
    return known(found, 1_800_000_000.4, 49)


def test_writes_what_was_found_out(tmp_path: Path) -> None:
    file = tmp_path / "muster-capacity.prom"
    _write(file, made())
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    assert found == {
        ("muster_capacity_timestamp_seconds",): 1_800_000_000,
        ("muster_tolerated_host_failures", "at_least"): 1,
        ("muster_tolerated_host_failures", "at_most"): 3,
        ("muster_unsaveable_servers", "affinity"): 2,
        ("muster_unsaveable_servers", "anti-affinity"): 0,
        ("muster_unsaveable_servers", "room"): 0,
        ("muster_unsaveable_servers", "target_map"): 0,
        ("muster_unsaveable_servers", "zone"): 0,
        ("muster_unjudged_servers",): 5,
    }


def test_promises_nothing_where_no_server_can_be_judged(tmp_path: Path) -> None:
    """E24: it would be "all hosts may die": a user who is no admin is shown no server groups."""
    found = known(Capacity(Tolerance(4, 4, (), (), {}), (4, 9), unjudged={"groups": 8, "x": 1}), 5.0, 49)
    assert found == KnownCapacity(trouble="muster cannot say for any server: groups")
    _write(tmp_path / "x.prom", found)
    assert b"tolerated" not in (tmp_path / "x.prom").read_bytes()
    assert known(Capacity(Tolerance(4, 4, (), (), {}), (4, 0)), 5.0, 49).at_least == 4


def test_a_folder_that_is_not_there_is_the_operators_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        _write(tmp_path / "none" / "x.prom", made())


def panels() -> list[dict[str, Any]]:
    return list(json.loads((PACKAGED / "muster-dashboard.json").read_text())["panels"])


def test_the_dashboard_shows_only_what_is_written() -> None:
    known = set(METRIC.findall((ROOT / "docs" / "metrics.md").read_text()))
    shown = {name for panel in panels() for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    rules = yaml.safe_load((PACKAGED / "muster-capacity.rules.yml").read_text())["groups"][0]["rules"]
    assert shown | {name for rule in rules for name in METRIC.findall(rule["expr"])} <= known
    assert {"muster_tolerated_host_failures", "muster_incidents", "muster_servers", "muster_worker_up"} - shown <= {
        "muster_worker_up"
    }


def test_every_panel_is_one_that_grafana_can_place() -> None:
    """As its own schema wants them: an id, a type, a place on a grid of 24, a datasource that the reader chooses."""
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        assert panel["type"] in ("stat", "timeseries")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: ./check fetches it")
def test_prometheus_takes_the_rules_and_the_file(tmp_path: Path) -> None:
    assert PROMTOOL
    subprocess.run([PROMTOOL, "check", "rules", str(PACKAGED / "muster-capacity.rules.yml")], check=True)
    _write(tmp_path / "x.prom", made())
    subprocess.run([PROMTOOL, "check", "metrics"], input=(tmp_path / "x.prom").read_bytes(), check=True)
