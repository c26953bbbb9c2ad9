# SPDX-License-Identifier: Apache-2.0
"""What is left of an incident on the real cluster: the report on every controller, the hook, the metrics."""

from __future__ import annotations

import json
from typing import Any, Optional

from lxml import etree
from prometheus_client.parser import text_string_to_metric_families

from tests.bed.cloud import Cloud

HOOK = "/etc/muster/hook"
CALLS = "/etc/muster/calls"
METRICS = "/etc/muster/muster.prom"
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def told(cloud: Cloud, node: str, *words: str) -> dict[str, Any]:
    return dict(json.loads(cloud.ctl("muster", "report", *words, "-o", "json", node=node)))


def moved(story: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Where each evacuated server went, and by which request."""
    done = [server for server in story["servers"] if server["verdict"] == "evacuated"]
    return {server["id"]: (server["dest"], server["request_ids"][-1]) for server in done}


def metric(cloud: Cloud, controller: str, name: str, **labels: str) -> Optional[float]:
    text = (cloud.cluster.files(controller, "/etc/muster") / "muster.prom").read_text()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return next((s.value for s in samples if s.name == name and s.labels == labels), None)


def test_every_controller_tells_the_same_incident(cloud: Cloud) -> None:
    """E22: the one with the worker's report and the others by Nova's records, between begin and end as they are noted; and
    to nobody else than root."""
    servers = cloud.nova.boot("cmp1", count=4)
    worker = cloud.worker_node()
    assert worker
    other = next(node for node in cloud.controllers if node != worker)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.report("cmp1").get("state") == "closed", 150, "the host has been away and is back")
    assert cloud.back_in_service("cmp1")
    own, alone = told(cloud, worker, "cmp1"), told(cloud, other, "cmp1")
    assert set(moved(own)) == set(servers)
    assert moved(own) == moved(alone)
    assert (own["missing"], own["fenced"] - 60 < own["lost"] <= own["fenced"]) == ([], True)
    assert (alone["incident"], alone["fenced"]) == (own["incident"], own["fenced"])
    assert "Nova's records between begin and end" in alone["missing"][0]
    assert [change["word"] for change in own["changes"]][-1] == "closed"
    assert own["incident"] in cloud.ctl("muster", "report", node=worker)
    assert "Nova's records" in cloud.ctl("muster", "report", node=other)
    assert all(server in cloud.ctl("muster", "report", own["incident"], node=worker) for server in servers[:1])
    cloud.ctl("muster", "report", "cmp1", "-o", "html", "--to", "/etc/muster/mine.html", node=other)
    folder = cloud.cluster.files(other, "/etc/muster")
    assert etree.parse(str(folder / "mine.html")).getroot().tag == "html"
    left = cloud.cluster.files(worker, "/var/lib/muster") / f"{own['incident']}.html"
    assert all(server in left.read_text() for server in servers)
    refused = cloud.cluster.exec(worker, *NOBODY, "muster", "report", "cmp1", check=False)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "this controller has no report" in refused.stderr


def test_the_hook_and_the_metrics_follow_an_incident(cloud: Cloud) -> None:
    """E4: a program that hangs holds nobody up, and sees no secret."""
    for node in cloud.controllers:
        path = cloud.cluster.files(node, "/etc/muster") / "hook"
        path.write_text(f'#!/bin/sh\n{{ echo "$1"; cat; echo; env; }} >>{CALLS}\nexec sleep 600\n')
        path.chmod(0o755)
    cloud.change(f"pcs resource update muster hook={HOOK} metrics_file={METRICS}")
    worker = cloud.worker_node()
    assert worker
    servers = cloud.nova.boot("cmp1", count=2)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 2, 60, "all are evacuated")
    fenced = float(cloud.report("cmp1")["fenced"])
    cloud.until(lambda: metric(cloud, worker, "muster_servers", verdict="evacuated") == 2, 10, "the metrics say so")
    assert metric(cloud, worker, "muster_incident_fenced_timestamp_seconds", node="cmp1") == fenced
    assert metric(cloud, worker, "muster_evacuations_sent_total") == 2
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
    calls = cloud.cluster.files(worker, "/etc/muster") / "calls"
    cloud.until(lambda: "\nclosed\n" in f"\n{calls.read_text()}", 20, "the program was called at the end")
    lines = calls.read_text().splitlines()
    assert [line for line in lines if line in ("began", "blocked", "settled", "closed")] == [
        "began",
        "settled",
        "closed",
    ]
    assert {json.loads(line)["fenced"] for line in lines if line.startswith("{")} == {fenced}
    assert not any(line.startswith(("OCF_", "OS_")) or "password" in line for line in lines)
    cloud.until(
        lambda: not cloud.cluster.exec(worker, "pgrep", "-f", "sleep 600", check=False).stdout, 45, "it is dead"
    )
    assert metric(cloud, worker, "muster_incidents", state="evacuating") == 0
    cloud.type("pcs resource disable muster")
    cloud.until(lambda: metric(cloud, worker, "muster_worker_up") == 0, 30, "the metrics say that it was stopped")
    cloud.type("pcs resource enable muster")


def test_a_program_that_others_may_change_is_refused_where_it_is_typed(cloud: Cloud) -> None:
    agent = "/usr/lib/ocf/resource.d/muster/ComputeRecovery"
    given = ["env", "OCF_RESKEY_cloud=bed", "OCF_RESKEY_shared_storage=yes", "OCF_RESKEY_hook=/tmp"]
    done = cloud.cluster.exec("ctl1", *given, agent, "validate-all", check=False)
    assert (done.returncode, "is no program" in done.stderr) == (5, True)
