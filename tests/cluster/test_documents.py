# SPDX-License-Identifier: Apache-2.0
"""Every command that README and the documents print, typed in a cluster as they describe it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed.cloud import Cloud
from tests.cluster import replaced
from tests.documents import commands

NAMES = {r"\bpower-cmp[0-9]\b": "power", r"\bmycloud\b": "bed", r"/root/": "/run/"}
"""What is called otherwise in the bed: one power switch for all computes, its cloud, a directory of the node's own."""
SAYS_HOW_IT_IS = {"muster": (0, 1, 2), "crm_mon": (0, 1, 2), "attrd_updater": (0, 78)}
"""Their exit codes tell of the cluster, not of themselves; 78: there is no such attribute."""


@pytest.fixture(scope="module")
def bare(installed: dict[str, Any]) -> Iterator[Cloud]:
    """Controllers, computes, a power device, nova-compute; nothing of muster is configured."""
    with Cloud(os.environ.get("MUSTER_BED", "") + "doc", computes=3, **installed) as cloud:
        cloud.type("pcs constraint remove nova-compute-held")
        cloud.type("pcs stonith level clear")
        cloud.remember()
        yield cloud
        assert cloud.nova.violations() == []


@pytest.fixture
def cloud(bare: Cloud) -> Iterator[Cloud]:
    for host in bare.hosts:
        bare.nova.hypervisor(host, spawn_mode="ok")
    yield bare
    bare.type("pcs resource disable muster")
    bare.until(lambda: bare.worker_node() is None, 60, "the worker has stopped")
    bare.forget()


def type_all(cloud: Cloud, document: str, under: str = "") -> list[str]:
    """Type every command of a document or a section of it; those that failed, with what they said."""
    failed = []
    for line in commands(document, under):
        for name, ours in NAMES.items():
            line = re.sub(name, ours, line)
        done = cloud.cluster.exec("ctl1", *shlex.split(line), check=False, timeout=90)
        allowed = SAYS_HOW_IT_IS.get(line.split()[0], (0,)) if "--yes" not in line else (0,)
        if done.returncode not in allowed:
            failed.append(f"{line}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return failed


def expect_an_evacuation(cloud: Cloud) -> None:
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.calm("what was configured is done")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 90, "it is evacuated")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
    cloud.calm("everything is done")


@pytest.mark.parametrize("document", ["README.md", "docs/deploy.md"])
def test_the_lines_of_the_document_make_a_cluster_that_evacuates(cloud: Cloud, document: str) -> None:
    assert type_all(cloud, document) == []
    assert len(list(commands(document))) >= 7
    expect_an_evacuation(cloud)


def test_the_commands_of_the_runbook_work_in_the_middle_of_an_incident(cloud: Cloud) -> None:
    assert type_all(cloud, "README.md") == []
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    servers = cloud.nova.boot("cmp1", count=2)
    for host in ("cmp2", "cmp3"):
        cloud.nova.hypervisor(host, spawn_mode="fail")
    cloud.calm("what was configured is done")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "parked" in cloud.verdicts("cmp1", servers), 90, "they have failed once")
    assert type_all(cloud, "docs/runbook.md") == []
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the released host is back in service")
    cloud.until(lambda: cloud.back_in_service("cmp2"), 120, "the fenced one, too")
    cloud.calm("everything is done")


MIGRATE = "docs/migrate.md"
OLD = "From fence_compute and NovaEvacuate"
IN_THIS_ORDER = ("Prepare", OLD, "Check", "Go back")


def test_every_command_of_the_migration_is_in_a_section_that_is_typed() -> None:
    typed = [line for section in IN_THIS_ORDER for line in commands(MIGRATE, section)]
    assert sorted(typed) == sorted(commands(MIGRATE))


def test_the_lines_of_the_migration_lead_from_the_old_tool_to_muster_and_back(cloud: Cloud) -> None:
    replaced.install(cloud)
    assert type_all(cloud, MIGRATE, "Prepare") == []
    assert type_all(cloud, MIGRATE, OLD) == []
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    servers = cloud.nova.boot("cmp3", count=2)
    cloud.calm("what was configured is done")
    assert type_all(cloud, MIGRATE, "Check") == []
    cloud.until(lambda: cloud.verdicts("cmp3", servers) == ["evacuated"] * 2, 90, "muster has evacuated both")
    cloud.until(lambda: cloud.back_in_service("cmp3"), 120, "the host is back in service")
    assert sorted(e["server"] for e in cloud.nova.evacuations() if e["server"] in servers) == sorted(servers)
    assert type_all(cloud, MIGRATE, "Go back") == []
    assert cloud.worker_node() is None
    expect_the_old_tool_to_evacuate(cloud)


def expect_the_old_tool_to_evacuate(cloud: Cloud) -> None:
    """That it lifts its force-down Nova refuses (400) as long as nova-compute has not finished the evacuations' rows."""
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.calm("the configuration is the old one")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.nova.running_on(server) in (["cmp2"], ["cmp3"]), 90, "the old tool has evacuated it")
    assert (cloud.record("cmp1"), cloud.verdicts("cmp1", [server])) == (None, [""])
