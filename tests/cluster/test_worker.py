# SPDX-License-Identifier: Apache-2.0
"""C6, C8: the worker and its controller die, hang or are stopped; the work goes on and nothing is sent twice."""

from __future__ import annotations

import os
import signal

import pytest

from tests.bed.cloud import Cloud

SERVERS = 8


def in_the_middle(cloud: Cloud) -> list[str]:
    """Servers of a dead host, of which some are proved and some still wait."""
    servers = cloud.nova.boot("cmp1", count=SERVERS)
    for host in ("cmp2", "cmp3", "cmp4"):
        cloud.nova.hypervisor(host, spawn_delay=1.5)
    cloud.change("pcs resource update muster in_flight=2")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "evacuated" in cloud.verdicts("cmp1", servers), 60, "one is evacuated")
    assert len(cloud.nova.evacuations()) < SERVERS
    return servers


def expect_all_saved_once(cloud: Cloud, servers: list[str]) -> None:
    """Each was sent away from cmp1 once.  Where Pacemaker lost another host meanwhile, by the load of a busy machine and
    with no quorum to reach it again, what had arrived there goes on."""
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * SERVERS, 180, "all are evacuated")
    assert sorted(e["server"] for e in cloud.nova.evacuations() if e["source"] == "cmp1") == sorted(servers)
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_a_worker_killed_in_the_middle_is_replaced(cloud: Cloud) -> None:
    servers = in_the_middle(cloud)
    os.kill(cloud.worker_pid(), signal.SIGKILL)
    expect_all_saved_once(cloud, servers)


def test_a_controller_killed_in_the_middle_is_taken_over_from(cloud: Cloud) -> None:
    servers = in_the_middle(cloud)
    first, pid = cloud.worker_node(), cloud.worker_pid()
    assert first
    cloud.cluster.crash(first)
    # Another one, or the same once it is fenced and back: wherever Pacemaker starts it.
    cloud.until(lambda: cloud.worker_pid() not in (0, pid), 90, "another worker has taken over")
    expect_all_saved_once(cloud, servers)


def test_a_worker_that_hangs_is_replaced(cloud: Cloud) -> None:
    """C8: the process is there, but it does not do what it announced."""
    (server,) = cloud.nova.boot("cmp1", count=1)
    hung = cloud.worker_pid()
    os.kill(hung, signal.SIGSTOP)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.worker_pid() not in (0, hung), 90, "the monitor has replaced it")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 60, "it is evacuated")
    assert len(cloud.nova.evacuations()) == 1


@pytest.mark.parametrize("how", ["disable", "move"])
def test_goes_on_after_the_resource_was_stopped_or_moved(cloud: Cloud, how: str) -> None:
    """C9: what an operator does to the resource in the middle."""
    servers = in_the_middle(cloud)
    if how == "disable":
        cloud.type("pcs resource disable muster")
        cloud.until(lambda: cloud.worker_node() is None, 60, "the worker has stopped")
        cloud.type("pcs resource enable muster")
    else:
        cloud.ctl("crm_resource", "--resource", "muster", "--move", "--lifetime", "PT5M")
        cloud.until(lambda: cloud.worker_node() is not None, 60, "it runs elsewhere")
        cloud.ctl("crm_resource", "--resource", "muster", "--clear")
    expect_all_saved_once(cloud, servers)


def test_nothing_is_left_when_it_is_stopped(cloud: Cloud) -> None:
    node, pid = cloud.worker_node(), cloud.worker_pid()
    cloud.stop_worker()
    assert not os.path.exists(f"/proc/{pid}")
    left = cloud.ctl("ls", "/run/muster", node=node).split()
    assert set(left) <= {"muster.lock", "muster.out"}


def test_a_worker_is_started_while_pacemaker_tries_to_reach_a_host_that_stays_off(cloud: Cloud) -> None:
    """Its start does not wait for a probe on that host: with one it took minutes, a failed connection after the other."""
    cloud.change("pcs property set stonith-action=off")
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 90, "it is evacuated")
    cloud.until(
        lambda: "cmp1_start_0" in cloud.ctl("cibadmin", "--query", "--local"), 60, "Pacemaker tries to reach it"
    )
    cloud.type("pcs resource disable muster")
    cloud.until(lambda: cloud.worker_node() is None, 60, "the worker has stopped")
    cloud.type("pcs resource enable muster")
    cloud.until(lambda: cloud.worker_node() is not None, 75, "it runs again")
    assert not cloud.is_member("cmp1")
