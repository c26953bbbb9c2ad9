# SPDX-License-Identifier: Apache-2.0
"""E9: what doctor finds in the cluster: every single thing that is taken out of an installation as the README has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from muster.installation.checks.examination import Result
from muster.installation.fencing_topology import watchdog_fences
from tests import installation as made
from tests.installation import device, facts, level, location, pairs, state, worker
from tests.unit.examined import ATTENTION, FAILED, HEALTHY, OK, TROUBLE, UNKNOWN, found, others

CLUSTER = [
    ("stonith-enabled", TROUBLE, {'options': pairs({"stonith-enabled": "FALSE"})}, "pcs property unset stonith-enabled"),
    ("stonith-enabled", TROUBLE, {'options': pairs({"fencing-enabled": "no"})}, "pcs property unset fencing-enabled"),
    ("stonith-enabled", TROUBLE, {'options': pairs({"fencing-enabled": "false", "stonith-enabled": "true"})}, "fencing-enabled is off"),
    (
        "stonith-enabled",
        TROUBLE,
        {'options': pairs({"fencing-enabled": "false", "stonith-enabled": "false"})},
        "fencing-enabled is off: nothing proves that a host is off ~ pcs property unset fencing-enabled ~ pcs property unset stonith-enabled",
    ),
    (
        "stonith-enabled",
        ATTENTION,
        {'options': pairs({"fencing-enabled": "true", "stonith-enabled": "false", "dc-version": "3.0.2-1"})},
        "stonith-enabled is off: this Pacemaker does not read it, another version would ~ pcs property unset stonith-enabled",
    ),
    (
        "stonith-enabled",
        TROUBLE,
        {'options': pairs({"stonith-enabled": "false", "dc-version": "3.0.3"})},
        "stonith-enabled is off: nothing proves",
    ),
    (
        "stonith-enabled",
        TROUBLE,
        {'options': pairs({"fencing-enabled": "true", "stonith-enabled": "false", "dc-version": "2.1.5-a3f44794f94"})},
        "stonith-enabled is off: nothing proves",
    ),
    (
        "stonith-enabled",
        ATTENTION,
        {'options': pairs({"fencing-enabled": "off", "dc-version": "3.0.1"})},
        "fencing-enabled is off: this Pacemaker does not read it",
    ),
    ("stonith-enabled", UNKNOWN, {'options': '<rule id="r"/>'}, "a rule decides about its cluster_property_set"),
    (
        "stonith-enabled",
        TROUBLE,
        {
            'options': pairs({"stonith-enabled": "true"}) + '</cluster_property_set><cluster_property_set id="b" score="10">'
            + pairs({"stonith-enabled": "false"})
        },
        "stonith-enabled is off",
    ),
    (
        "fencing levels",
        TROUBLE,
        {'levels': made.PARTS["levels"].replace("power-cmp2", "mine"), 'power': made.PARTS["power"] + device("mine", "fence_mine", {})},
        "stands before muster-fence (mine (fence_mine) is not known to cut power) ~ mine (fence_mine) is not known to cut"
        " power: if fence_mine does cut it, pcs stonith update muster-fence power_agents=fence_mine; else",
    ),
    (
        "fencing levels",
        TROUBLE,
        {'power': made.PARTS["power"].replace('name="pcmk_host_list" value="cmp2"', 'name="pcmk_host_list" value="cmp1 cmp2"')},
        "power-cmp2 (fence_ipmilan) is the controller of one host, but lists cmp1, cmp2: each needs its own",
    ),
    (
        "fencing of controllers",
        ATTENTION,
        {'power': made.PARTS["power"].replace('"power-ctl" class="stonith" type="fence_apc"', '"power-ctl" class="stonith" type="fence_mine"')},
        "ctl1, ctl2: only a device that may not cut power lists them ~ power-ctl (fence_mine) is not known",
    ),
    ("no-quorum-policy", TROUBLE, {'options': pairs({"no-quorum-policy": "ignore"})}, "set no-quorum-policy=stop"),
    ("no-quorum-policy", TROUBLE, {'options': pairs({"no-quorum-policy": "freeze"})}, "set no-quorum-policy=stop"),
    ("maintenance", ATTENTION, {'options': pairs({"maintenance-mode": "true"})}, "set maintenance-mode=false"),
    (
        "fencing levels",
        TROUBLE,
        {'levels': level("cmp1", "power-cmp1,muster-fence")},
        "no fencing level of cmp2 names fence_muster, so no power device runs before it"
        " ~ pcs stonith level add 1 cmp2 power-cmp2 muster-fence",
    ),
    (
        "fencing levels",
        TROUBLE,
        {'levels': level("cmp1", "power-cmp1,muster-fence") + level("cmp2", "muster-fence,power-cmp2")},
        "stands before muster-fence ~ pcs stonith level remove 1 target cmp2"
        " ~ pcs stonith level add 1 cmp2 power-cmp2 muster-fence",
    ),
    (
        "fencing levels",
        TROUBLE,
        {'levels': level("cmp1", "power-cmp1,muster-fence") + level("cmp2", "power-cmp2,old,muster-fence")},
        "a fencing level of cmp2 names old, which is not there, so the level fails"
        " ~ pcs stonith level remove 1 target cmp2 ~ pcs stonith level add 1 cmp2 power-cmp2 muster-fence",
    ),
    (
        "fencing levels",
        ATTENTION,
        {'levels': made.PARTS["levels"] + level("cmp2", "power-ctl", 2)},
        "level 2 of cmp2 cuts its power and records nothing ~ pcs stonith level remove 2 target cmp2"
        " ~ pcs stonith level add 2 cmp2 power-ctl muster-fence",
    ),
    ("fence devices", TROUBLE, {'fence': ""}, "create muster-fence fence_muster pcmk_host_check=static-list"),
    (
        "fence devices",
        TROUBLE,
        {'fence': device("muster-fence", "fence_muster", {**made.MUSTER_FENCE, "pcmk_host_list": "cmp1"})},
        "muster-fence does not list cmp2, so it cannot fence it"
        " ~ pcs stonith update muster-fence pcmk_host_check=static-list 'pcmk_host_list=cmp1 cmp2'",
    ),
    (
        "fence devices",
        TROUBLE,
        {'fence': device("muster-fence", "fence_muster", {**made.MUSTER_FENCE, "pcmk_host_check": "none"})},
        "update muster-fence pcmk_host_check=static-list",
    ),
    (
        "fence devices",
        ATTENTION,
        {'fence': device("muster-fence", "fence_muster", {})},
        "ask muster-fence which hosts it can fence; one late answer delays a fencing by minutes"
        " ~ pcs stonith update muster-fence pcmk_host_check=static-list 'pcmk_host_list=cmp1 cmp2'",
    ),
    (
        "fence devices",
        ATTENTION,
        {'power': made.PARTS["power"].replace("static-list", "dynamic-list", 1)},
        "stonith_admin --list-targets power-cmp1 ~ pcs stonith update power-cmp1 pcmk_host_check=static-list"
        " pcmk_host_list=HOSTS",
    ),
    (
        "fence devices",
        TROUBLE,
        {'power': made.PARTS["power"].replace('"cmp2"', '"cmp7"')},
        "power-cmp2 does not list cmp2, so it cannot fence it ~ pcs stonith update power-cmp2"
        " pcmk_host_check=static-list 'pcmk_host_list=cmp7 cmp2'",
    ),
    (
        "fence devices",
        TROUBLE,
        {
            'fence': device(
                "muster-fence",
                "fence_muster",
                made.MUSTER_FENCE,
                f"<meta_attributes>{pairs({'target-role': 'Stopped'})}</meta_attributes>",
            )
        },
        "pcs stonith enable muster-fence",
    ),
    (
        "fencing of controllers",
        TROUBLE,
        {'power': made.PARTS["power"].replace("ctl1 ctl2", "ctl1")},
        "ctl2: no power device lists them",
    ),
    ("nova-compute is held", TROUBLE, {'hold': ""}, "location nova-compute-clone rule score=-INFINITY defined muster-hold"),
    ("nova-compute's stop", ATTENTION, {'nova_compute': made.NOVA_COMPUTE.replace("200s", "60s")}, "pcs resource update nova-compute op stop timeout=200s"),
    ("nova-compute's stop", ATTENTION, {'nova_compute': made.NOVA_COMPUTE.replace(' timeout="200s"', "")}, "takes more than 20 s; nova-compute of 2026.1 takes up to 180 s"),
    ("nova-compute's stop", UNKNOWN, {'nova_compute': made.NOVA_COMPUTE.replace("200s", "PT4M")}, "pcs resource config nova-compute"),
    ("nova-compute is held", UNKNOWN, {'nova_compute': "", 'hold': ""}, "drop-in muster-hold.conf"),
    ("worker's place", TROUBLE, {'off_remotes': ""}, "pcs constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote"),
    (
        "worker's place",
        ATTENTION,
        {'off_remotes': location("muster", made.OFF_REMOTES)},
        "after a stop Pacemaker cannot restart muster while a compute is off; add to its rule: resource-discovery=never"
        " ~ pcs constraint delete location-muster ~ pcs constraint location muster rule resource-discovery=never",
    ),
    (
        "agents",
        UNKNOWN,
        {'status': state("ctl1", made.STARTED) + made.announced("ctl1")},
        "version on ctl2 not known: it is away, or Pacemaker has not found the agent there yet ~ on ctl2: muster doctor. Then let Pacemaker look again"
        " ~ crm_resource --refresh --resource muster --node ctl2",
    ),
    (
        "agents",
        ATTENTION,
        {'status': state("ctl1", made.STARTED) + made.announced("ctl2", "0.9")},
        "ctl2 has version 0.9, this controller 1.0",
    ),
    ("worker's place", ATTENTION, {'worker': worker(meta={})}, "pcs resource meta muster resource-stickiness=1000"),
    ("worker's place", TROUBLE, {'worker': worker(monitor="")}, "pcs resource update muster op monitor interval=10s timeout=20s enabled=true"),
    (
        "worker's place",
        TROUBLE,
        {'worker': worker(monitor='<op name="monitor" interval="0s"/>')},
        "a worker that hangs is never replaced",
    ),
    ("worker", TROUBLE, {'status': ""}, "runs on no controller ~ see why ~ pcs resource debug-start muster"),
    ("worker", TROUBLE, {'status': state("ctl2", FAILED)}, "muster runs on no controller (on ctl2: monitor: no agent)"),
    (
        "worker",
        UNKNOWN,
        {'status': state("ctl1", made.PROBED) + state("ctl2", made.FOUND_STOPPED)},
        "Pacemaker is finding out whether muster runs on ctl1 ~ look again in some seconds. If that stays, see why ~ pcs status --full",
    ),
    ("worker", ATTENTION, {'status': state("ctl1", made.STARTED) + state("ctl2", FAILED)}, "pcs resource cleanup muster"),
    ("worker", TROUBLE, {'status': state("ctl1", made.STARTED) + state("ctl2", made.STARTED)}, "ctl1 and ctl2 at once"),
    ("worker", TROUBLE, {'worker': worker({"target-role": "Stopped", "resource-stickiness": "1"}), 'status': ""}, "resource enable muster"),
    ("worker", ATTENTION, {'worker': worker({"is-managed": "false", "resource-stickiness": "1"})}, "pcs resource manage muster"),
    ("worker", ATTENTION, {'worker': worker({"muster-paused": "joe", "resource-stickiness": "1"})}, "by joe: muster changes nothing ~ muster resume"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "result", "changed", "words"), CLUSTER, ids=lambda v: v if isinstance(v, str) else ""
)
def test_names_what_is_missing_in_the_cluster(check: str, result: Result, changed: dict[str, str], words: str) -> None:
    assert found(HEALTHY, check)[0] is OK
    given = facts(**changed)
    seen, text = found(given, check)
    assert (seen, words in text) == (result, True), text


def test_a_controller_without_quorum_may_know_old_things() -> None:
    root = made.document()
    root.set("have-quorum", "0")
    lost = replace(HEALTHY, here=made.installation(root))
    assert found(lost, "quorum") == (
        TROUBLE,
        "this controller has no quorum: what it shows of the cluster may be out of date ~ pcs quorum status",
    )
    assert others(lost, "quorum") == set()


def test_a_worker_that_is_being_stopped_is_not_said_to_run() -> None:
    stopping = facts(worker=worker({"target-role": "Stopped", "resource-stickiness": "1"}))
    assert found(stopping, "worker")[1].startswith("muster is disabled")
    assert "runs on" not in found(stopping, "worker")[1]
    unmanaged = facts(worker=worker({"is-managed": "no", "resource-stickiness": "1"}), status="")
    assert found(unmanaged, "worker")[0] is TROUBLE


def test_what_only_the_device_knows_is_unknown() -> None:
    power = made.PARTS["power"].replace("ctl1 ctl2", "").replace("static-list", "dynamic-list")
    assert found(facts(power=power), "fencing of controllers") == (
        UNKNOWN,
        "ctl1, ctl2: only power-cmp1 and power-cmp2 and power-ctl can tell whether Pacemaker could fence them ~ to ask"
        " ~ stonith_admin --list ctl1 ~ stonith_admin --list ctl2",
    )


@pytest.mark.parametrize(("timeout", "result"), [("10", OK), ("-1", OK), ("0s", TROUBLE), ("", TROUBLE)])
def test_controllers_may_be_fenced_by_their_watchdog(timeout: str, result: Result) -> None:
    options = pairs({"have-watchdog": "true", "stonith-watchdog-timeout": timeout})
    given = facts(power=made.PARTS["power"].replace("ctl1 ctl2", "ctl1"), options=options)
    assert found(given, "fencing of controllers")[0] is result
    since_3_0_2 = options.replace("stonith-watchdog", "fencing-watchdog")
    given = facts(power=made.PARTS["power"].replace("ctl1 ctl2", "ctl1"), options=since_3_0_2)
    assert found(given, "fencing of controllers")[0] is result


@pytest.mark.parametrize("timeouts", [("0", "10"), ("10", "0"), ("", "10"), ("10", "")])
def test_one_watchdog_timeout_is_enough_whichever_name_this_pacemaker_reads(timeouts: tuple[str, str]) -> None:
    names = ("fencing-watchdog-timeout", "stonith-watchdog-timeout")
    assert watchdog_fences({"have-watchdog": "true", **dict(zip(names, timeouts))})
    assert not watchdog_fences({"have-watchdog": "true", names[0]: "0", names[1]: "0s"})


def test_says_that_there_is_no_worker_or_more_than_one() -> None:
    none = facts(worker="", status="", off_remotes="")
    assert found(none, "worker")[0] is TROUBLE
    assert "muster setup --cloud NAME" in found(none, "worker")[1]
    two = worker() + worker(name="second")
    seen, text = found(facts(worker=two), "worker")
    assert (seen, "muster, second: more than one worker" in text) == (TROUBLE, True)


def test_a_power_device_that_is_disabled_fences_nobody() -> None:
    stopped = f"<meta_attributes>{pairs({'target-role': 'Stopped'})}</meta_attributes>"
    power = made.PARTS["power"].replace(
        "</instance_attributes></primitive>", f"</instance_attributes>{stopped}</primitive>"
    )
    assert found(facts(power=power), "fencing of controllers")[0] is TROUBLE
    assert "pcs stonith enable power-cmp1" in found(facts(power=power), "fence devices")[1]


@pytest.mark.parametrize("policy", ["stop", "Stop", "suicide", "fence", "demote"])
def test_a_policy_that_stops_the_worker_without_quorum_is_sound(policy: str) -> None:
    assert found(facts(options=pairs({"no-quorum-policy": policy})), "no-quorum-policy")[0] is OK


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        (made.HOLD, True),
        (made.HOLD.replace("-INFINITY", "-1000000"), True),
        (made.HOLD.replace("-INFINITY", "-1000"), False),
        (made.HOLD.replace("defined", "not_defined"), False),
        (made.HOLD.replace("muster-hold", "muster"), False),
        (made.HOLD.replace("</rule>", '<expression attribute="rack" operation="defined"/></rule>'), False),
        (
            made.HOLD.replace('score="', 'boolean-op="or" score="').replace(
                "</rule>", '<expression attribute="rack" operation="defined"/></rule>'
            ),
            True,
        ),
    ],
)
def test_a_rule_counts_only_if_it_holds_whenever_muster_says_so(rule: str, held: bool) -> None:
    for name in ("nova-compute-clone", "nova-compute"):
        here = made.here(hold=location(name, rule))
        assert here.nova_compute == {"nova-compute-clone": held}


@pytest.mark.parametrize(
    ("kind", "name", "recognised"),
    [
        ("openstack-nova-compute", "x", True),
        ("nova-compute", "x", True),
        ("NovaCompute", "x", True),
        ("nova-compute.service", "x", True),
        ("podman", "nova_compute", True),
        ("nova-compute-wait", "x", False),
        ("libvirtd", "x", False),
    ],
)
def test_recognises_what_runs_nova_compute(kind: str, name: str, recognised: bool) -> None:
    primitive = f'<primitive id="{name}" class="systemd" type="{kind}"/>'
    assert (name in made.here(nova_compute=primitive, hold="").nova_compute) is recognised
    held = made.here(nova_compute=primitive, hold=location(name, made.HOLD)).nova_compute
    assert held == {name: True}  # whatever has the rule is taken for it


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("200", 200),
        ("4min", 240),
        ("1h", 3600),
        ("200000ms", 200),
        ("20s", 20),
        ("PT4M", None),
        ("", 20),
        ("soon", None),
    ],
)
def test_reads_how_long_a_stop_may_take(timeout: str, seconds: Optional[float]) -> None:
    """E12"""
    own = made.NOVA_COMPUTE.replace("200s", timeout)
    assert made.here(nova_compute=own).stops == {"nova-compute": seconds}


def test_a_stop_time_out_of_a_minute_fences_hosts_that_live() -> None:
    """E12: nova-compute of 2026.1 takes longer."""
    seen, text = found(facts(nova_compute=made.NOVA_COMPUTE.replace("200s", "60s")), "nova-compute's stop")
    assert (seen, text.endswith("~ pcs resource update nova-compute op stop timeout=200s")) == (ATTENTION, True)


def test_the_default_of_all_operations_counts_for_a_stop_that_says_nothing() -> None:
    """E12"""
    silent = made.NOVA_COMPUTE.replace(' timeout="200s"', "")
    defaults = pairs({"timeout": "240"})
    assert found(facts(nova_compute=silent, op_defaults=defaults), "nova-compute's stop")[0] is OK
    assert found(facts(op_defaults=pairs({"timeout": "20"})), "nova-compute's stop")[0] is OK
    assert found(facts(nova_compute="", hold=""), "nova-compute's stop") == (
        UNKNOWN,
        "no resource of Pacemaker is known to run nova-compute",
    )


def test_reads_the_hosts_of_a_device() -> None:
    given = {"pcmk_host_list": "cmp1, CMP2;cmp3", "pcmk_host_map": "cmp4:1,2;cmp5=7 cmp6:3"}
    read = made.here(power=device("pdu", "fence_apc", given)).devices["pdu"]
    assert read.hosts == ("cmp1", "CMP2", "cmp3", "cmp4", "cmp5", "cmp6")
    assert (read.covers("cmp2"), read.covers("cmp7"), read.asked) == (True, False, False)
    assert made.here(power=device("pdu", "fence_apc", {})).devices["pdu"].covers("cmp1") is None


def test_stickiness_may_be_the_clusters_default() -> None:
    assert found(facts(worker=worker({}), defaults=pairs({"resource-stickiness": "100"})), "worker's place")[0] is OK
    assert (
        found(facts(worker=worker({}), defaults=pairs({"resource-stickiness": "0"})), "worker's place")[0] is ATTENTION
    )


def test_a_probe_that_found_it_running_is_no_failure_and_neither_is_a_compute_without_the_agent() -> None:
    probe = FAILED.replace('rc-code="5"', 'rc-code="0"')
    status = state("ctl1", made.STARTED + probe) + state("cmp1", FAILED, remote=True)
    assert found(facts(status=status), "worker") == (OK, "muster runs on ctl1")


def test_one_rule_that_says_never_to_ask_a_remote_is_enough() -> None:
    both = location("muster", made.OFF_REMOTES) + made.PARTS["off_remotes"]
    assert found(facts(off_remotes=both), "worker's place")[0] is OK
