# SPDX-License-Identifier: Apache-2.0
"""What the agents let be seen, and by whom."""

from __future__ import annotations

from pathlib import Path

from tests.bed.cloud import Cloud


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
