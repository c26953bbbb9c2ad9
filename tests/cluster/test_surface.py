# SPDX-License-Identifier: Apache-2.0
"""What the cluster's own tools say of the two agents, and what the agents cost."""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path

import pytest

from tests.bed import meter
from tests.bed.cloud import Cloud

pytestmark = pytest.mark.measured
MONITOR_RATIO, MONITOR_KB = 6.0, 20_000
IDLE_CPU, IDLE_KB = 0.01, 70_000
OFF_RATIO = 20.0
FIRST_EVACUATE_S = 2.0
"""Times are told in milliseconds and bounded by what something simpler takes on the same machine in the same minute."""


def test_passes_ocf_tester(cloud: Cloud) -> None:
    done = cloud.cluster.exec(
        "ctl1",
        "env",
        "OCF_ROOT=/usr/lib/ocf",
        "ocf-tester",
        "-n",
        "tested",
        *("-o", "cloud=bed", "-o", "shared_storage=yes"),
        "/usr/lib/ocf/resource.d/muster/ComputeRecovery",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed all tests" in done.stdout


def test_pcs_describes_both_agents(cloud: Cloud) -> None:
    agent = cloud.type("pcs resource describe ocf:muster:ComputeRecovery")
    assert "shared_storage (required)" in agent
    assert "Records the fencing" in cloud.type("pcs stonith describe fence_muster")


def test_validate_all_asks_nova_when_told_to(cloud: Cloud) -> None:
    def validate(*parameters: str) -> subprocess.CompletedProcess[str]:
        given = ["OCF_CHECK_LEVEL=10", "OCF_RESKEY_cloud=bed", "OCF_RESKEY_shared_storage=no", *parameters]
        program = "/usr/lib/ocf/resource.d/muster/ComputeRecovery"
        return cloud.cluster.exec("ctl1", "env", *given, program, "validate-all", check=False)

    assert validate().returncode == 0, validate().stderr
    wrong = validate("OCF_RESKEY_cloud=elsewhere")
    assert (wrong.returncode, "elsewhere" in wrong.stderr) == (1, True)
    cloud.type("pcs property set no-quorum-policy=freeze")
    try:
        assert "pcs property set no-quorum-policy=stop" in validate().stderr
    finally:
        cloud.type("pcs property set no-quorum-policy=stop")


def test_the_monitor_is_cheap(cloud: Cloud) -> None:
    costs, bare = [], []
    for _ in range(11):
        bare.append(meter.cost(cloud, "/usr/bin/python3", "-I", "-c", "").seconds)
        costs.append(meter.monitor(cloud))
    seconds, kb = statistics.median(cost.seconds for cost in costs), max(cost.kb for cost in costs)
    ratio = seconds / statistics.median(bare)
    print(f"monitor: median {seconds * 1000:.0f} ms, {ratio:.1f} times a Python that does nothing; {kb} kB")
    assert ratio < MONITOR_RATIO
    assert kb < MONITOR_KB


def test_the_worker_costs_next_to_nothing_while_nothing_happens(cloud: Cloud) -> None:
    idle = meter.idle(cloud)
    print(f"idle worker: {idle.share * 100:.2f} % of a core with its children, {idle.kb} kB")
    assert idle.share < IDLE_CPU
    assert idle.kb < IDLE_KB


def test_off_holds_nobody_up(cloud: Cloud) -> None:
    """Fencing of other nodes may wait for it."""
    times, queries = [], []
    for _ in range(5):
        queries.append(meter.cost(cloud, "cibadmin", "--query", "--local").seconds)
        times.append(meter.cost(cloud, "fence_muster", "-o", "off", "-n", "cmp1").seconds)
    ratio = statistics.median(times) / statistics.median(queries)
    print(f"fence_muster off: median {statistics.median(times) * 1000:.0f} ms, {ratio:.1f} queries of the CIB")
    assert ratio < OFF_RATIO


def test_the_first_evacuation_follows_the_fencing_at_once(cloud: Cloud) -> None:
    """From the end of the power-off (before the record is written) to the first evacuate that reaches Nova."""
    delays = []
    for host in ("cmp1", "cmp2", "cmp3", "cmp4", "cmp1"):
        cloud.nova.boot(host, count=1)
        delays.append(meter.reaction(cloud, host).since_off)
        cloud.until(lambda host=host: cloud.back_in_service(host), 120, "the host is back in service")
    print(f"fencing to first evacuate: {', '.join(f'{d:.2f}' for d in delays)} s")
    assert statistics.median(delays) < FIRST_EVACUATE_S


def test_no_secret_is_to_be_seen_anywhere(cloud: Cloud) -> None:
    """E4: not in argv, environment, CIB, log, status or report."""
    clouds = cloud.cluster.files("ctl1", "/etc/muster") / "clouds.yaml"
    assert '"password"' in clouds.read_text()
    secret = clouds.read_text().partition('"password": "')[2].partition('"')[0]
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 60, "it is evacuated")
    node, pid = cloud.worker_node(), cloud.worker_pid()
    seen = {
        "argv": Path(f"/proc/{pid}/cmdline").read_text(),
        "environment": Path(f"/proc/{pid}/environ").read_text(),
        "CIB": cloud.ctl("cibadmin", "--query"),
        "status and log": cloud.ctl("sh", "-c", "cat /run/muster/*", node=node),
        "reports": "".join(p.read_text() for p in cloud.cluster.files(node, "/var/lib/muster").glob("*")),
        "Pacemaker's log": (cloud.cluster.files(node, "/var/log/pacemaker") / "pacemaker.log").read_text(),
    }
    assert [place for place, text in seen.items() if secret in text or not text] == []


def test_who_is_not_root_can_change_nothing(cloud: Cloud) -> None:
    """E5, E7: what is known is readable where Pacemaker lets it; no agent acts for anybody else."""
    node = cloud.worker_node()
    assert node
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    refused = cloud.cluster.exec(node, *nobody, "fence_muster", "-o", "off", "-n", "cmp1", check=False)
    assert refused.returncode == 1
    assert cloud.record("cmp1") is None
    agent = "/usr/lib/ocf/resource.d/muster/ComputeRecovery"
    pid = cloud.worker_pid()
    for action in ("stop", "start"):
        given = ["env", "OCF_RESOURCE_INSTANCE=muster", "OCF_RESKEY_cloud=bed", "OCF_RESKEY_shared_storage=yes"]
        done = cloud.cluster.exec(node, *nobody, *given, agent, action, check=False)
        assert done.returncode not in (0, 7), (action, done.stderr)
        assert "ocf-exit-reason" in done.stderr
    assert cloud.worker_pid() == pid
    listing = cloud.ctl("stat", "-c", "%U %a %n", "/run/muster", "/etc/muster/clouds.yaml", node=node)
    assert listing.splitlines() == ["root 755 /run/muster", "root 600 /etc/muster/clouds.yaml"]
    metadata = cloud.cluster.exec(node, "env", "-i", *nobody, agent, "meta-data")
    assert "ComputeRecovery" in metadata.stdout
