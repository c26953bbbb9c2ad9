# SPDX-License-Identifier: Apache-2.0
"""Every command that README and the documents print, typed in a cluster as they describe it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.bed.cloud import Cloud
from tests.documents import commands

NAMES = {r"\bpower-cmp[0-9]\b": "power", r"\bmycloud\b": "bed"}
"""What is called otherwise in the bed: one power switch for all computes, and its cloud."""
SAYS_HOW_IT_IS = ("muster", "crm_mon")
"""Their exit codes tell of the cluster, not of themselves."""


@pytest.fixture(scope="module")
def bare() -> Iterator[Cloud]:
    """Controllers, computes, a power device, nova-compute; nothing of muster is configured."""
    with Cloud("documents", computes=3) as cloud:
        cloud.type("pcs constraint remove nova-compute-held")
        cloud.type("pcs stonith level clear")
        cloud.remember()
        yield cloud
        assert cloud.nova.violations() == []


@pytest.fixture
def cloud(bare: Cloud) -> Iterator[Cloud]:
    yield bare
    bare.type("pcs resource disable muster")
    bare.until(lambda: bare.worker_node() is None, 60, "the worker has stopped")
    bare.forget()


def type_all(cloud: Cloud, document: str) -> list[str]:
    """Type every command of a document; those that failed, with what they said."""
    failed = []
    for line in commands(document):
        for name, ours in NAMES.items():
            line = re.sub(name, ours, line)
        done = cloud.cluster.exec("ctl1", *shlex.split(line), check=False, timeout=90)
        allowed = (0, 1, 2) if line.split()[0] in SAYS_HOW_IT_IS and "--yes" not in line else (0,)
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
