# SPDX-License-Identifier: Apache-2.0
"""E9: what doctor finds: nothing in an installation as the README has it, and every single thing that is taken out of it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from muster.checks.finding import Examined, Facts, Result
from muster.checkup import CHECKS, examine, option_faults
from muster.facts import Service
from muster.installed import AgentSeen, NovaAccess, Right
from tests import installation as made
from tests.installation import device, facts, level, location, pairs, resource, state, worker

OK, UNKNOWN, ATTENTION, TROUBLE = Result.OK, Result.UNKNOWN, Result.ATTENTION, Result.TROUBLE
HEALTHY = facts()
FAILED = (
    '<lrm_rsc_op id="muster_last_failure_0" operation="monitor" interval="0" rc-code="5" op-status="7"'
    ' exit-reason="no agent" call-id="1"/>'
)


def found(given: Facts, check: str) -> tuple[Result, str]:
    """The worst result of a check, and all of its words and commands."""
    examined = next(e for e in examine(given) if e.name == check)
    words = [(f.what, f.remedy, *(shlex.join(command) for command in f.commands)) for f in examined.findings]
    return examined.result, " | ".join(" ~ ".join(filter(None, w)) for w in words)


def others(given: Facts, check: str) -> set[str]:
    """The other checks that are not content."""
    return {e.name for e in examine(given) if e.result is not OK} - {check}


def test_finds_nothing_in_an_installation_as_the_readme_has_it() -> None:
    assert {e.name: [f.what for f in e.findings] for e in examine(HEALTHY) if e.result is not OK} == {}


def test_every_check_finds_something_at_all_times() -> None:
    nothing = facts(
        {"nova": NovaAccess(asked=False, trouble="not asked"), "worker": None}, **dict.fromkeys(made.PARTS, "")
    )
    for given in (HEALTHY, nothing):
        assert [e.name for e in examine(given) if not e.findings] == []
    assert {e.name for e in examine(nothing) if e.result is OK} <= {
        "stonith-enabled", "no-quorum-policy", "maintenance", "concurrent-fencing", "agents",
        "shared storage", "fencing of controllers", "credentials", "quorum", "other evacuators",
    }  # fmt: skip


CLUSTER = [
    ("stonith-enabled", TROUBLE, {'options': pairs({"stonith-enabled": "FALSE"})}, "pcs property set stonith-enabled=true"),
    ("stonith-enabled", TROUBLE, {'options': pairs({"fencing-enabled": "no"})}, "pcs property set fencing-enabled=true"),
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
        "power-cmp2 (fence_ipmilan) is one host's controller and is to fence cmp1, cmp2: each needs its own",
    ),
    (
        "fencing of controllers",
        ATTENTION,
        {'power': made.PARTS["power"].replace('"power-ctl" class="stonith" type="fence_apc"', '"power-ctl" class="stonith" type="fence_mine"')},
        "ctl1, ctl2: no other device lists them than one that is not known ~ power-ctl (fence_mine) is not known",
    ),
    ("no-quorum-policy", TROUBLE, {'options': pairs({"no-quorum-policy": "ignore"})}, "set no-quorum-policy=stop"),
    ("no-quorum-policy", TROUBLE, {'options': pairs({"no-quorum-policy": "freeze"})}, "set no-quorum-policy=stop"),
    ("maintenance", ATTENTION, {'options': pairs({"maintenance-mode": "true"})}, "set maintenance-mode=false"),
    (
        "fencing levels",
        TROUBLE,
        {'levels': level("cmp1", "power-cmp1,muster-fence")},
        "no fencing level of cmp2 names fence_muster, so nobody cuts its power before it is called"
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
    ("nova-compute is held", UNKNOWN, {'nova_compute': "", 'hold': ""}, "drop-in muster-hold.conf"),
    ("worker's place", TROUBLE, {'off_remotes': ""}, "pcs constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote"),
    (
        "worker's place",
        ATTENTION,
        {'off_remotes': location("muster", made.OFF_REMOTES)},
        "after a stop, as long as a compute is off: its rule lacks resource-discovery=never"
        " ~ pcs constraint delete location-muster ~ pcs constraint location muster rule resource-discovery=never",
    ),
    (
        "agents",
        UNKNOWN,
        {'status': state("ctl1", made.STARTED) + made.announced("ctl1")},
        "no version is known of ctl2: it is away, or Pacemaker has not found the agent there yet ~ see on ctl2: muster doctor; then have Pacemaker look again"
        " ~ crm_resource --refresh --resource muster --node ctl2",
    ),
    (
        "agents",
        ATTENTION,
        {'status': state("ctl1", made.STARTED) + made.announced("ctl2", "0.9")},
        "ctl2 has version 0.9, this controller 1.0",
    ),
    ("worker's place", ATTENTION, {'worker': worker(meta={})}, "pcs resource meta muster resource-stickiness=1000"),
    ("worker's place", TROUBLE, {'worker': worker(monitor="")}, "pcs resource op add muster monitor interval=10s timeout=20s"),
    (
        "worker's place",
        TROUBLE,
        {'worker': worker(monitor='<op name="monitor" interval="0s"/>')},
        "a worker that hangs is never replaced",
    ),
    ("worker", TROUBLE, {'status': ""}, "runs on no controller ~ see why ~ pcs resource debug-start muster"),
    ("worker", TROUBLE, {'status': state("ctl2", FAILED)}, "muster runs on no controller (on ctl2: monitor: no agent)"),
    ("worker", ATTENTION, {'status': state("ctl1", made.STARTED) + state("ctl2", FAILED)}, "pcs resource cleanup muster"),
    ("worker", TROUBLE, {'status': state("ctl1", made.STARTED) + state("ctl2", made.STARTED)}, "ctl1 and ctl2 at once"),
    ("worker", TROUBLE, {'worker': worker({"target-role": "Stopped", "resource-stickiness": "1"}), 'status': ""}, "resource enable muster"),
    ("worker", ATTENTION, {'worker': worker({"is-managed": "false", "resource-stickiness": "1"})}, "pcs resource manage muster"),
    ("worker", ATTENTION, {'worker': worker({"muster-paused": "joe", "resource-stickiness": "1"})}, "by joe: nothing is changed ~ muster resume"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "result", "changed", "words"), CLUSTER, ids=lambda v: v if isinstance(v, str) else ""
)
def test_names_what_is_missing_in_the_cluster(check: str, result: Result, changed: dict[str, str], words: str) -> None:
    assert found(HEALTHY, check)[0] is OK
    given = facts(**changed)
    seen, text = found(given, check)
    assert (seen, words in text) == (result, True), text


NOVA = [
    ("Nova", TROUBLE, {'trouble': "GET /: ConnectFailure"}, "ConnectFailure ~ see /etc/muster/clouds.yaml"),
    ("Nova", UNKNOWN, {'asked': False, 'trouble': "it was not asked: run this as root"}, "as root"),
    ("Nova", TROUBLE, {'offered': "2.8"}, "2.11"),
    ("rights in Nova", TROUBLE, {'rights': (Right("evacuate", False, "HTTP 403: os-evacuate"),)}, "may not evacuate: HTTP 403"),
    ("rights in Nova", UNKNOWN, {'rights': (Right("evacuate", None, "no server", "boot"),)}, "whether it may evacuate: no server ~ boot"),
    ("rights in Nova", UNKNOWN, {'trouble': "silent"}, "not asked"),
    ("names in Nova", TROUBLE, {'services': (Service("1", "cmp1"),)}, "pcs resource update muster host_map=cmp2:HOST"),
    ("names in Nova", TROUBLE, {'services': ()}, "no nova-compute service at all"),
    ("names in Nova", UNKNOWN, {'services': None}, "cannot be listed"),
    ("other evacuators", ATTENTION, {'evacuators': ("instanceha has disabled cmp1",)}, "cmp1 ~ make sure that it evacuates"),
    ("Placement", ATTENTION, {'placement': "the catalogue has no placement"}, "no destination"),
    ("Placement", UNKNOWN, {'placement': None}, "not asked"),
    ("clocks", ATTENTION, {'clock_ahead_s': 31.0}, "31 s ahead"),
    ("clocks", TROUBLE, {'clock_ahead_s': -61.0}, "61 s behind ~ NTP"),
    ("clocks", UNKNOWN, {'clock_ahead_s': None}, "no date"),
    ("clocks", TROUBLE, {'services_at': 80.0}, "20 s in the future"),
    ("heartbeats", TROUBLE, {'services_at': 157.0}, "report_interval_s=60"),
    ("heartbeats", UNKNOWN, {'services': ()}, "no nova-compute is up"),
    ("heartbeats", UNKNOWN, {'services': None, 'trouble': "silent"}, "not asked"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "result", "changed", "words"), NOVA)
def test_names_what_is_wrong_in_nova(check: str, result: Result, changed: dict[str, Any], words: str) -> None:
    seen, text = found(facts({"nova": replace(HEALTHY.nova, **changed)}), check)
    assert (seen, words in text) == (result, True), text


HERE = [
    ("parameters", TROUBLE, {'settings_faults': ("in_flight='x': use a whole number",)}, "pcs resource update muster in_flight=VALUE"),
    ("parameters", TROUBLE, {'settings_faults': ("host_map: 'a' stands twice",)}, "host_map=VALUE"),
    ("shared storage", UNKNOWN, {'shared_storage': None}, "cannot be read"),
    ("credentials", UNKNOWN, {'controller': replace(HEALTHY.controller, credentials=None)}, "which file"),
    ("credentials", TROUBLE, {'controller': replace(HEALTHY.controller, credentials=("x: chmod 0600 x",))}, "x ~ chmod 0600 x"),
    ("credentials", UNKNOWN, {'controller': replace(HEALTHY.controller, credentials=("x: y",), root=False)}, "run this as root"),
    ("agents", TROUBLE, {'controller': replace(HEALTHY.controller, agents={"/a": AgentSeen(fault="No such file")})}, "/a: No such file"),
    ("agents", TROUBLE, {'controller': replace(HEALTHY.controller, agents={"/a": AgentSeen("0.9")})}, "/a is of version 0.9"),
    ("agents", ATTENTION, {'controller': replace(HEALTHY.controller, worker_version="0.9")}, "pcs resource restart muster"),
    ("Nova", ATTENTION, {'nova_api_version': "2.60"}, "a silent cell looks empty ~ pcs resource update muster nova_api_version="),
]  # fmt: skip


@pytest.mark.parametrize(("check", "result", "told", "words"), HERE)
def test_names_what_is_wrong_on_this_controller(check: str, result: Result, told: dict[str, Any], words: str) -> None:
    seen, text = found(facts(told), check)
    assert (seen, words in text) == (result, True), text


def test_a_right_that_nobody_could_look_at_is_none_that_it_has() -> None:
    rights = (Right("evacuate", True), Right("stop", None, "no server to look at", "boot one"))
    findings = next(
        e for e in examine(facts({"nova": replace(HEALTHY.nova, rights=rights)})) if e.name == "rights in Nova"
    ).findings
    assert [f.result for f in findings] == [UNKNOWN]


def test_a_controller_without_quorum_may_know_old_things() -> None:
    root = made.document()
    root.set("have-quorum", "0")
    lost = replace(HEALTHY, here=made.installation(root))
    assert found(lost, "quorum") == (
        TROUBLE,
        "this controller has none: what is said here of the cluster may be old ~ pcs quorum status",
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
        "ctl1, ctl2: whether it can fence them only power-cmp1 and power-cmp2 and power-ctl could say ~ ask it"
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


def test_says_that_there_is_no_worker_or_more_than_one() -> None:
    none = facts(worker="", status="", off_remotes="")
    assert found(none, "worker")[0] is TROUBLE
    assert "muster setup --cloud NAME" in found(none, "worker")[1]
    two = worker() + worker(name="second")
    seen, text = found(facts(worker=two), "worker")
    assert (seen, "muster, second: more than one worker" in text) == (TROUBLE, True)


def test_one_mistake_is_found_by_one_check() -> None:
    """Nobody reads four findings of one cause."""
    assert others(facts(hold=""), "nova-compute is held") == set()
    assert others(facts(levels=level("cmp1", "power-cmp1,muster-fence")), "fencing levels") == set()
    assert others(facts(off_remotes=""), "worker's place") == set()


def test_a_power_device_that_is_disabled_fences_nobody() -> None:
    stopped = f"<meta_attributes>{pairs({'target-role': 'Stopped'})}</meta_attributes>"
    power = made.PARTS["power"].replace(
        "</instance_attributes></primitive>", f"</instance_attributes>{stopped}</primitive>"
    )
    assert found(facts(power=power), "fencing of controllers")[0] is TROUBLE
    assert "pcs stonith enable power-cmp1" in found(facts(power=power), "fence devices")[1]


def test_a_check_that_says_nothing_is_not_content() -> None:
    assert Examined("nothing", ()).result is UNKNOWN


def test_advice_is_no_finding() -> None:
    given = facts(options=pairs({}))
    seen, text = found(given, "concurrent-fencing")
    assert (seen, "pcs property set concurrent-fencing=true" in text) == (OK, True)


def test_names_the_host_map_that_keeps_what_stands_there() -> None:
    nova = replace(HEALTHY.nova, services=(Service("1", "nova7"),))
    told = {"nova": nova, "host_map": {"cmp1": "nova7"}}
    assert "pcs resource update muster 'host_map=cmp1:nova7;cmp2:HOST'" in found(facts(told), "names in Nova")[1]


@pytest.mark.parametrize("policy", ["stop", "Stop", "suicide", "fence", "demote"])
def test_a_policy_that_stops_the_worker_without_quorum_is_sound(policy: str) -> None:
    assert found(facts(options=pairs({"no-quorum-policy": policy})), "no-quorum-policy")[0] is OK


def test_the_agent_refuses_the_options_that_doctor_finds() -> None:
    assert option_faults(HEALTHY) == []
    wrong = facts(options=pairs({"stonith-enabled": "no", "no-quorum-policy": "ignore"}))
    assert [f.commands for f in option_faults(wrong)] == [
        (("pcs", "property", "set", "stonith-enabled=true"),),
        (("pcs", "property", "set", "no-quorum-policy=stop"),),
    ]


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


def test_no_two_checks_have_one_name() -> None:
    assert len({name for name, _ in CHECKS}) == len(CHECKS)


# ------------------------------------------------------------- other evacuators

STOPPED = {"target-role": "Stopped"}
OLD_DEVICE = device("fence-nova", "fence_compute", {"record_only": "1"})
OLD_LEVELS = level("cmp1", "power-cmp1,fence-nova") + level("cmp2", "power-cmp2,muster-fence")
DISABLED = {"worker": worker({**STOPPED, "resource-stickiness": "1"}), "status": ""}


@pytest.mark.parametrize(
    ("rivals", "words"),
    [
        (OLD_DEVICE, "fence-nova (fence_compute) forces hosts down, enables them again and evacuates, beside muster"),
        (device("x", "fence_evacuate", {}), "pcs stonith delete x"),
        (resource("nova-evacuate", "ocf:openstack:NovaEvacuate"), "pcs resource disable nova-evacuate --wait=660"),
        (resource("e", "ocf:heartbeat:NovaEvacuate"), "e (ocf:heartbeat:NovaEvacuate) evacuates, beside muster"),
        (f'<clone id="c">{resource("w", "ocf:openstack:nova-compute-wait")}</clone>', "c (ocf:openstack:nova-compute-wait)"),
        (f'<clone id="t-clone">{resource("compute-unfence-trigger", "ocf:pacemaker:Dummy")}</clone>', "disable t-clone"),
        (resource("mon", "systemd:openstack-masakari-hostmonitor"), "mon (systemd:openstack-masakari-hostmonitor) reports"),
        (resource("masakari_hostmonitor-1", "ocf:heartbeat:podman"), "which evacuates, beside muster"),
        (resource("instanceha", "ocf:heartbeat:podman"), "instanceha (ocf:heartbeat:podman) evacuates, beside muster"),
    ],
)  # fmt: skip
def test_two_evacuators_are_trouble_and_the_remedy_is_to_end_one(rivals: str, words: str) -> None:
    seen, text = found(facts(rivals=rivals), "other evacuators")
    assert seen is TROUBLE
    assert words in text
    assert "may come up on two hosts, now: never two at once; docs/migrate.md" in text


def test_what_merely_sounds_like_another_evacuator_is_none() -> None:
    harmless = resource("masakari-engine", "systemd:openstack-masakari-engine") + resource("api", "systemd:nova-api")
    assert others(facts(rivals=harmless), "") == set()


def test_before_the_switch_no_command_starts_a_second_evacuator_or_ends_the_only_one() -> None:
    given = facts(
        rivals=OLD_DEVICE + resource("ne", "ocf:openstack:NovaEvacuate"), fence="", levels=OLD_LEVELS, **DISABLED
    )
    said = {name: found(given, name) for name in ("other evacuators", "worker", "fencing levels", "fence devices")}
    assert {name: result for name, (result, _) in said.items()} == dict.fromkeys(said, TROUBLE)
    assert [name for name, (_, text) in said.items() if "pcs " in text] == []
    assert "docs/migrate.md" in said["other evacuators"][1]
    assert "fence_compute) forces hosts down, enables them again and evacuates, in the fencing levels of cmp1" in str(
        said
    )


def test_a_device_of_the_old_tool_that_is_disabled_is_in_charge_as_long_as_a_level_has_it() -> None:
    stopped = OLD_DEVICE.replace("</primitive>", f"<meta_attributes>{pairs(STOPPED)}</meta_attributes></primitive>")
    assert found(facts(rivals=stopped, levels=OLD_LEVELS), "other evacuators")[0] is TROUBLE
    seen, text = found(facts(rivals=stopped), "other evacuators")
    assert (seen, "(disabled) ~ once you know" in text, "pcs stonith delete fence-nova" in text) == (
        ATTENTION,
        True,
        True,
    )


def test_an_evacuator_that_is_disabled_by_its_clone_only_has_to_be_removed_one_day() -> None:
    inner = resource("compute-unfence-trigger", "ocf:pacemaker:Dummy")
    clone = f'<clone id="c"><meta_attributes>{pairs(STOPPED)}</meta_attributes>{inner}</clone>'
    given = facts(rivals=clone + resource("nova-evacuate", "ocf:openstack:NovaEvacuate", STOPPED))
    seen, text = found(given, "other evacuators")
    assert (seen, "pcs resource delete c" in text, "pcs resource delete nova-evacuate" in text) == (
        ATTENTION,
        True,
        True,
    )
    assert others(given, "other evacuators") == set()
