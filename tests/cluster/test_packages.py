# SPDX-License-Identifier: Apache-2.0
"""The RPMs, installed on the nodes: the main job, an upgrade and a removal in the middle of an incident."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.cloud import PRODUCT, Cloud

SERVERS = 6
PACKAGES = ("muster", "muster-resource-agent", "fence-agents-muster")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    rpms = Cloud.built(tmp_path_factory.mktemp("rpms"))
    with Cloud(os.environ.get("MUSTER_BED", "") + "pack", computes=3, rpms=rpms) as cloud:
        cloud.install()
        yield cloud
        assert cloud.nova.violations() == []


@pytest.fixture
def cloud(packed: Cloud) -> Cloud:
    packed.reset()
    return packed


def in_the_middle(cloud: Cloud) -> list[str]:
    servers = cloud.nova.boot("cmp1", count=SERVERS)
    for host in ("cmp2", "cmp3"):
        cloud.nova.hypervisor(host, spawn_delay=1.5)
    cloud.change("pcs resource update muster in_flight=1")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "evacuated" in cloud.verdicts("cmp1", servers), 60, "one is evacuated")
    return servers


def test_the_main_job_is_done_by_what_was_installed(cloud: Cloud) -> None:
    assert cloud.ctl("rpm", "--dbpath", "/var/lib/rpm", "-q", *PACKAGES).count("0.1.0-1.noarch") == 3
    command = Path(f"/proc/{cloud.worker_pid()}/cmdline").read_text()
    interpreter, isolated, _, module, *_ = command.split("\0")
    where = f"import {module}; print({module}.__file__)"
    assert re.match(r"/usr/lib/python3\.\d+/site-packages/muster/", cloud.ctl(interpreter, isolated, "-c", where))
    for hidden in PRODUCT:
        assert Path(hidden).is_dir()
        assert cloud.ctl("ls", "-A", hidden, node=str(cloud.worker_node())) == ""
    assert cloud.ctl("muster", "status").startswith("OK")
    servers = cloud.nova.boot("cmp1", count=2)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 2, 90, "both are evacuated")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_an_upgrade_in_the_middle_harms_nothing(cloud: Cloud, tmp_path: Path) -> None:
    servers = in_the_middle(cloud)
    said = cloud.rpm(
        "--upgrade", [p for p in Cloud.built(tmp_path, 2) if "compute" not in p.name], on=cloud.controllers
    )
    assert "goes on with the version before" in said
    assert "pcs resource restart muster" in said
    cloud.type("pcs resource restart muster")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * SERVERS, 120, "all are evacuated")
    assert sorted(row["server"] for row in cloud.nova.evacuations()) == sorted(servers)
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_a_removal_in_the_middle_says_what_is_left(cloud: Cloud, tmp_path: Path) -> None:
    servers = in_the_middle(cloud)
    said = cloud.rpm("--erase", PACKAGES, on=cloud.controllers)
    assert "removed while hosts are on record: cmp1" in said
    assert "crm_attribute -t nodes -N HOST -n muster-hold -D" in said
    assert cloud.record("cmp1")
    assert cloud.held("cmp1")
    cloud.rpm("--install", [p for p in Cloud.built(tmp_path, 3) if "compute" not in p.name], on=cloud.controllers)
    cloud.type("pcs resource cleanup muster")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * SERVERS, 120, "all are evacuated")
    assert sorted(row["server"] for row in cloud.nova.evacuations()) == sorted(servers)


def test_nova_compute_waits_while_its_host_is_held(cloud: Cloud) -> None:
    """Where systemd runs it: what the drop-in calls before the start."""
    script = ("env", "MUSTER_HOLD_LIMIT_S=3", "MUSTER_HOLD_POLL_S=1", "/usr/libexec/muster/wait-for-release")
    free = cloud.cluster.exec("cmp2", *script, check=False)
    assert (free.returncode, free.stderr) == (0, "")
    cloud.ctl("crm_attribute", "-t", "nodes", "-N", "cmp2", "-n", "muster-hold", "-v", "1")
    held = cloud.cluster.exec("cmp2", *script, check=False)
    assert (held.returncode, held.stderr.count("nova-compute waits: cmp2 is held")) == (75, 1)
    cloud.ctl("crm_attribute", "-t", "nodes", "-N", "cmp2", "-n", "muster-hold", "-D")
    assert cloud.cluster.exec("cmp2", *script, check=False).returncode == 0
    for node in cloud.controllers:
        cloud.cluster.cut(node)
    unknown = cloud.cluster.exec("cmp2", *script, check=False)
    assert (unknown.returncode, "cannot find out" in unknown.stderr) == (75, True)
