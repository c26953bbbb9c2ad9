# SPDX-License-Identifier: Apache-2.0
"""C1, C2, C4, C5, C13, D1, D3: what happens to computes, on a real cluster with real Nova."""

from __future__ import annotations

import pytest

from tests.bed.cloud import Cloud

LOSSES = ["power cut", "cable pulled", "kernel frozen"]


def lose(cloud: Cloud, host: str, how: str) -> None:
    if how == "power cut":
        cloud.cluster.crash(host)
    elif how == "cable pulled":
        cloud.cluster.cut(host)
    else:
        cloud.cluster.freeze(host)


@pytest.mark.parametrize("how", LOSSES)
def test_evacuates_a_lost_host_and_takes_it_back(cloud: Cloud, how: str) -> None:
    """C1: whatever took it away, it is fenced, its servers are proved elsewhere, and it returns by itself."""
    servers = cloud.nova.boot("cmp1", count=3)
    lose(cloud, "cmp1", how)
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 3, 90, "all are evacuated")
    for server in servers:
        assert cloud.nova.running_on(server) == [cloud.nova.server(server)["host"]] != ["cmp1"]
    assert len(cloud.nova.evacuations()) == 3
    cloud.cluster.heal("cmp1")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
    cloud.until(lambda: cloud.report("cmp1")["state"] == "closed", 20, "the report says so, too")


def test_proves_the_whole_chain_in_a_drill(cloud: Cloud) -> None:
    """E27, C1: fenced through Pacemaker as by an operator; the host comes back by itself."""

    def drill(*words: str) -> tuple[int, str]:
        done = cloud.cluster.exec(cloud.worker_node(), "muster", "drill", *words, timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    def cuts() -> int:
        return sum(entry["do"] == "off" for entry in cloud.cluster.bmc_log())

    cloud.nova.boot("cmp2", count=1)
    servers = cloud.nova.boot("cmp1", count=2, metadata={"muster_drill": "true"})
    before = cuts()
    code, said = drill("cmp2", "--yes")
    assert (code, said.count("is not marked for drills. If it may be stopped and started:")) == (2, 1)
    code, said = drill("cmp1", "--dry-run")
    assert (code, cuts()) == (0, before), said
    code, said = drill("cmp1", "--yes")
    assert (code, "as foretold" in said.splitlines()) == (0, True), said
    assert "not known" not in said.partition("LINK")[2]
    assert cloud.verdicts("cmp1", servers) == ["evacuated"] * 2
    assert cloud.back_in_service("cmp1")


def test_does_nothing_until_an_operator_confirms_a_failed_fencing(cloud: Cloud) -> None:
    """C2: manual confirmation calls no agent; the worker sees it in Pacemaker's own state."""
    servers = cloud.nova.boot("cmp1", count=2)
    for action in ("off", "status"):
        cloud.cluster.bmc_fault("cmp1", action, "fail")
    cloud.cluster.crash("cmp1")
    failed = lambda: sum("error" in e and e["node"] == "cmp1" for e in cloud.cluster.bmc_log()) >= 2  # noqa: E731
    cloud.until(failed, 60, "the fencing failed twice")
    assert cloud.nova.evacuations() == []
    assert cloud.record("cmp1") is None
    cloud.ctl("stonith_admin", "--confirm", "cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 2, 60, "all are evacuated")


@pytest.mark.parametrize("how", ["switched off in order", "disabled", "standby", "maintenance"])
def test_leaves_a_host_alone_that_nobody_fenced(cloud: Cloud, how: str) -> None:
    """C4: a host that went away in order is not dead."""
    cloud.nova.boot("cmp1", count=1)
    if how in ("standby", "maintenance"):
        cloud.type(f"pcs node {how} cmp1")
    else:
        # Not by SIGTERM to pacemaker_remoted: Pacemaker 2.1.5 drops its connection at once then, and may fence the node.
        cloud.type("pcs resource disable cmp1")
        cloud.until(lambda: not cloud.is_member("cmp1"), 60, "cmp1 has left")
    if how == "switched off in order":
        cloud.cluster.crash("cmp1")
    cloud.after_a_full_look()
    assert cloud.record("cmp1") is None
    assert cloud.nova.evacuations() == []
    assert cloud.nova.service("cmp1")["forced_down"] is False
    cloud.type("pcs resource enable cmp1")


def test_two_hosts_at_once_and_a_third_meanwhile_are_one_queue(cloud: Cloud) -> None:
    """C5, A15: limits and priority are shared by all dead hosts."""
    first = cloud.nova.boot("cmp1", count=3) + cloud.nova.boot("cmp2", count=3)
    (urgent,) = cloud.nova.boot("cmp2", count=1, metadata={"evacuate_priority": "900"})
    third = cloud.nova.boot("cmp3", count=3)
    cloud.change("pcs resource update muster in_flight=2 per_destination=0 max_failed_hosts=3")
    for host in ("cmp3", "cmp4"):
        cloud.nova.hypervisor(host, spawn_delay=1.0)
    cloud.cluster.crash("cmp1")
    cloud.cluster.crash("cmp2")
    cloud.until(lambda: cloud.nova.evacuations(), 60, "the first evacuation is sent")
    cloud.until(lambda: "evacuated" in cloud.verdicts("cmp1", first) + cloud.verdicts("cmp2", first), 60, "one is done")
    cloud.cluster.crash("cmp3")
    cloud.until(
        lambda: (
            all(cloud.nova.server(s)["host"] in ("cmp1", "cmp2", "cmp4") for s in [*first, urgent, *third])
            and cloud.settled("cmp1", "cmp2", "cmp3")
        ),
        240,
        "all servers of three hosts are elsewhere",
    )
    both = {row["server"] for row in cloud.nova.evacuations()[:7]}
    assert urgent in both
    for server in [*first, urgent, *third]:
        assert len(cloud.nova.running_on(server)) == 1


def test_the_fence_agent_refuses_to_record_without_a_power_device_before_it(cloud: Cloud) -> None:
    """C13: nobody is evacuated on the word of a level that cuts nobody's power; mended, it goes on."""
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.levels("muster-fence power", "cmp1")
    refused = cloud.cluster.exec("ctl2", "fence_muster", "-o", "off", "-n", "cmp1", check=False)
    assert refused.returncode == 1
    assert "no device that cuts the power stands before muster-fence" in refused.stderr
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "stands before" in cloud.pacemaker_says("cmp1"), 60, "Pacemaker has seen the refusal")
    assert cloud.record("cmp1") is None
    assert cloud.nova.evacuations() == []
    # In one push: without any level for a moment Pacemaker takes the power device alone for enough.
    cloud.type("pcs cluster cib /run/level.xml")
    cloud.type("pcs -f /run/level.xml stonith level remove 1 target cmp1")
    cloud.type("pcs -f /run/level.xml stonith level add 1 cmp1 power muster-fence")
    cloud.type("pcs cluster cib-push /run/level.xml --config")
    # Not by the fencing that is under way: nobody knows how far it has come.
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 240, "it is evacuated")


def test_a_level_counts_where_pacemaker_applies_it(cloud: Cloud) -> None:
    """C13: by patterns as Pacemaker reads them, and with plugs that are not called like their nodes."""
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.type("pcs stonith level remove 1 target cmp1")
    cloud.type("pcs stonith level add 1 'regexp%^CMP[0-9]$' power muster-fence")
    refused = cloud.cluster.exec("ctl2", "fence_muster", "-o", "off", "-n", "cmp1", check=False)
    assert (refused.returncode, "no fencing level of cmp1" in refused.stderr) == (1, True)
    assert cloud.record("cmp1") is None
    cloud.type("pcs stonith level remove 1 target 'regexp%^CMP[0-9]$'")
    cloud.type("pcs stonith level add 1 'regexp%^cmp[[:digit:]]$' power muster-fence")
    cloud.change("pcs stonith update muster-fence 'pcmk_host_map=cmp1:1;cmp2:2;cmp3:3;cmp4:4'")
    cloud.type("attrd_updater --name muster-refused-cmp1 --node ctl2 --delete")
    cloud.cluster.cut("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 90, "it is evacuated")
    assert (cloud.record("cmp1") or "").partition(":")[0] in ("evacuating", "returning")


def test_a_power_device_that_is_called_with_something_else_than_off_proves_nothing(cloud: Cloud) -> None:
    """C13: its parameter ``action`` may be what Pacemaker calls it with.  Whether it does (2.1) or not (3.0), muster
    refuses, and status says why.
    """
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.change("crm_resource --resource power --set-parameter action --parameter-value status")
    before = len(cloud.cluster.bmc_log())
    cloud.cluster.cut("cmp1")
    cloud.until(lambda: "instead of off" in cloud.pacemaker_says("cmp1"), 60, "Pacemaker has seen the refusal")
    said = cloud.cluster.exec("ctl1", "muster", "status", check=False).stdout
    assert "fence_muster refuses it: fencing level 1 of cmp1 is power,muster-fence" in " ".join(said.split())
    assert (cloud.record("cmp1"), cloud.nova.evacuations()) == (None, [])
    called = {entry["do"] for entry in cloud.cluster.bmc_log()[before:] if entry["node"] == "cmp1"}
    assert cloud.cluster.is_on("cmp1") is not bool(called & {"off", "reboot"})
    cloud.type("crm_resource --resource power --delete-parameter action")
    # The fencing that is under way has perhaps not called the device with off.
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 240, "it is evacuated")


def test_the_word_of_a_fabric_device_is_not_enough(cloud: Cloud) -> None:
    """C20: Pacemaker counts the host as fenced, and it runs on."""
    (server,) = cloud.nova.boot("cmp1", count=1)
    cloud.type(
        "pcs stonith create fabric fence_dummy type=file pcmk_host_check=static-list pcmk_host_list=cmp1 --force"
    )
    cloud.levels("fabric", "cmp1")
    cloud.cluster.cut("cmp1")
    cloud.until(lambda: "nothing proves" in str(cloud.report("cmp1").get("reason")), 90, "it is blocked")
    assert (cloud.record("cmp1"), cloud.nova.evacuations()) == (None, [])
    cloud.cluster.power("cmp1", "off")
    cloud.type("pcs stonith confirm cmp1 --force")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 90, "it is evacuated")


def test_the_fence_agent_refuses_what_it_cannot_know(cloud: Cloud) -> None:
    """C13: an unknown node, and a CIB that cannot be read."""
    unknown = cloud.cluster.exec("ctl1", "fence_muster", "--action=off", "--plug=cmp99", check=False)
    assert (unknown.returncode, "cmp99" in unknown.stderr) == (1, True)
    assert cloud.cluster.cib().find("configuration/nodes/node[@uname='cmp99']") is None
    cloud.cluster.stop_stack("ctl3")
    silent = cloud.cluster.exec("ctl3", "fence_muster", "-o", "off", "-n", "cmp1", check=False)
    assert (silent.returncode, "cibadmin" in silent.stderr) == (1, True)
    cloud.cluster.start_stack("ctl3")
    cloud.until(lambda: cloud.cluster.online("ctl3"), 60, "ctl3 is back")


def test_keeps_nova_compute_away_while_evacuations_are_open(cloud: Cloud) -> None:
    """D1: started too early it would destroy guests that have not arrived."""
    servers = cloud.nova.boot("cmp1", count=2)
    for host in ("cmp2", "cmp3", "cmp4"):
        cloud.nova.hypervisor(host, spawn_mode="hang")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: len(cloud.nova.evacuations()) == 2, 60, "both are sent")
    cloud.until(lambda: cloud.is_member("cmp1"), 60, "the host is back in the cluster")
    cloud.after_a_full_look()
    assert cloud.held("cmp1")
    assert "cmp1" not in cloud.nova.ctl("info")["computes"]
    for host in ("cmp2", "cmp3", "cmp4"):
        cloud.nova.hypervisor(host, spawn_mode="ok", release=True)
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
    assert cloud.verdicts("cmp1", servers) == ["evacuated"] * 2
    assert cloud.nova.migrations(servers[0])[-1]["status"] == "completed"


def test_stays_forced_down_as_long_as_nova_compute_does_not_start(cloud: Cloud) -> None:
    """D3: the incident stays open and says what it waits for."""
    cloud.nova.boot("cmp1", count=1)
    with cloud.returning_without_compute("cmp1"):
        cloud.after_a_full_look()
        assert "nova-compute to start" in cloud.report("cmp1")["reason"]
        assert cloud.nova.service("cmp1")["forced_down"] is True
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


@pytest.mark.parametrize(("fault", "seconds"), [("delay", 15.0), ("fail", 0.0)])
def test_pacemakers_time_of_a_fencing_is_that_of_its_end_whatever_became_of_the_power_on(
    cloud: Cloud, fault: str, seconds: float
) -> None:
    """C3: it is no second fencing that would prove the host off once more."""
    cloud.nova.boot("cmp1", count=1)
    cloud.cluster.bmc_fault("cmp1", "on", fault, seconds)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.record("cmp1"), 60, "its fencing is recorded")
    recorded = int((cloud.record("cmp1") or "").split(":")[2])
    state = "status/node_state[@uname='cmp1']"

    def fenced_at() -> int:
        found = cloud.cluster.cib().find(state)
        return int(found.get("node_fenced", "0")) if found is not None else 0

    cloud.until(lambda: fenced_at() >= recorded, 90, "Pacemaker has it on record, too")
    assert seconds - 1.0 <= fenced_at() - recorded <= seconds + 10.0
    assert "succ" in cloud.ctl("stonith_admin", "--history", "cmp1", "-V").lower()
    cloud.cluster.bmc_fault("cmp1", "on", "")
    cloud.cluster.power("cmp1", "on")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 180, "the host is back in service")
