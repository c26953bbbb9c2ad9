# SPDX-License-Identifier: Apache-2.0
"""doctor and setup on a real cluster: what they find, and that the commands they print mend it when they are typed."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

import pytest

from muster.parameters import version
from tests.bed.cloud import Cloud

HOLD = "pcs constraint location nova-compute-clone rule score=-INFINITY defined muster-hold"
OFF_REMOTES = (
    "pcs -f /root/muster.xml constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote"
)
HOSTS = "'pcmk_host_list=cmp1 cmp2 cmp3 cmp4'"
AGENT = "/usr/lib/ocf/resource.d/muster/ComputeRecovery"
HACLIENT = ("setpriv", "--reuid=nobody", "--regid=haclient", "--clear-groups")

NEW = ("setup", "--cloud", "bed", "--shared-storage", "yes")
COMPLETE = "# nothing is missing. To check the rest: muster doctor\n"

# What somebody types that is wrong, and the check that finds it, with its words.
MISTAKES = [
    ("pcs stonith level remove 1 target cmp2", "fencing levels", "trouble", "no fencing level of cmp2 names fence_muster"),
    ("pcs stonith update muster-fence pcmk_host_list='cmp1 cmp2 cmp3'", "fence devices", "trouble", "does not list cmp4"),
    ("pcs stonith update muster-fence pcmk_host_check=dynamic-list", "fence devices", "trouble", "accept this device alone as the fencing of any node"),
    ("pcs constraint remove nova-compute-held", "nova-compute is held", "trouble", "it would destroy guests there"),
    ("pcs constraint remove location-muster", "worker's place", "trouble", "may be started on a compute"),
    (
        "pcs constraint remove location-muster",
        "pcs constraint location muster rule score=-INFINITY '#kind' eq remote",
        "worker's place",
        "attention",
        "while a compute is off",
    ),
    ("attrd_updater --name muster-version --node ctl2 --update 0.0.1", "agents", "attention", "ctl2 has version 0.0.1"),
    ("pcs resource meta muster resource-stickiness=", "worker's place", "attention", "has no stickiness"),
    ("pcs property set no-quorum-policy=freeze", "no-quorum-policy", "trouble", "no-quorum-policy is freeze"),
    (
        "pcs stonith create fence-nova fence_compute auth_url=http://127.0.0.1:9 username=u password=p tenant_name=t"
        " pcmk_host_check=static-list pcmk_host_list=cmp1",
        "other evacuators",
        "trouble",
        "fence-nova (fence_compute) forces hosts down, enables them again and evacuates, beside muster",
    ),
    ("muster pause -y", "worker", "attention", "is paused by root"),
    ("pcs resource disable muster", "worker", "trouble", "is disabled"),
]  # fmt: skip


def run(cloud: Cloud, *words: str, node: str = "ctl1", as_user: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code, and what is printed on standard output."""
    done = cloud.cluster.exec(node, *as_user, "muster", *words, check=False)
    return done.returncode, done.stdout


def doctor(cloud: Cloud, **how: Any) -> dict[str, dict[str, Any]]:
    """Each check by its name."""
    return {check["check"]: check for check in json.loads(run(cloud, "doctor", "-o", "json", **how)[1])["checks"]}


def wrong(cloud: Cloud, **how: Any) -> dict[str, str]:
    return {name: check["result"] for name, check in doctor(cloud, **how).items() if check["result"] != "ok"}


def announced(cloud: Cloud) -> set[str]:
    """The nodes of which Pacemaker knows the version that is here."""
    reply = cloud.type("attrd_updater --name muster-version --query --all")
    return set(re.findall(f'host="([^"]*)" value="{re.escape(version())}"', reply))


def printed(cloud: Cloud) -> list[str]:
    """The commands that setup prints."""
    return [line for line in run(cloud, *NEW)[1].splitlines() if not line.startswith("#")]


def unquoted(lines: list[str]) -> list[str]:
    """A rule is one word for one pcs and several for another, and printed as the one that is there wants it."""
    return [" ".join(shlex.split(line)) for line in lines]


def test_finds_nothing_wrong_with_what_the_readme_installs(cloud: Cloud) -> None:
    """Also where computes do not have the agent, as they need not; and others are told what they may not see."""
    assert wrong(cloud) == {"rights in Nova": "unknown"}  # no server yet that the question could be about
    cloud.nova.boot("cmp1", count=1)
    cloud.ctl("mv", AGENT, f"{AGENT}.away", node="cmp3")
    try:
        cloud.type("crm_resource --refresh")
        cloud.calm("everything is probed again")
        cloud.after_a_full_look()  # the worker waits for no other one
        assert cloud.ctl("muster", "status").startswith("OK")
        assert wrong(cloud, node="ctl2") == {}
        code, text = run(cloud, "doctor", node="ctl3")
        assert (code, "TO DO" in text) == (0, False)
    finally:
        cloud.ctl("mv", f"{AGENT}.away", AGENT, node="cmp3")
    of_nova = dict.fromkeys(("rights in Nova", "names in Nova", "Placement", "clocks", "heartbeats"), "unknown")
    # rpm gives the folder that was there the mode of its own; dpkg leaves it.
    kept = {"credentials": "unknown"} if os.environ.get("MUSTER_PACKAGES") == "rpm" else {}
    assert wrong(cloud, as_user=HACLIENT) == {"Nova": "unknown", **of_nova, **kept}
    cloud.nova.ctl("http", service="compute", up=False)
    try:
        assert wrong(cloud) == {"Nova": "trouble", **of_nova}
    finally:
        cloud.nova.ctl("http", service="compute", up=True)
    cloud.nova.fault(path="/action$", status=403, own=True)
    try:
        assert wrong(cloud) == {"rights in Nova": "trouble"}
    finally:
        cloud.nova.clear_faults()
    assert cloud.nova.evacuations() == []


def test_each_mistake_is_named_and_the_printed_command_mends_it(cloud: Cloud) -> None:
    cloud.nova.boot("cmp1", count=1)
    for *mistake, name, result, words in MISTAKES:
        for line in mistake:
            cloud.type(line)
        checks = doctor(cloud)
        others = {n for n, check in checks.items() if check["result"] != "ok"} - {name}
        told = [f for f in checks[name]["findings"] if f["result"] == result]
        assert others == set(), mistake
        assert [words in f["what"] for f in told] == [True], (mistake, checks[name])
        for command in told[0]["commands"]:
            cloud.type(command + " --yes" * command.startswith("muster resume"))  # nobody is there to be asked
        cloud.until(lambda: announced(cloud) >= {"ctl1", "ctl2", "ctl3"}, 60, "every controller has been probed")
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    assert wrong(cloud) == {}
    cloud.ctl("chmod", "0644", "/etc/muster/clouds.yaml", node="ctl2")
    (finding,) = doctor(cloud, node="ctl2")["credentials"]["findings"]
    assert (finding["result"], finding["remedy"]) == ("trouble", "chmod 0600 /etc/muster/clouds.yaml")
    cloud.ctl(*finding["remedy"].split(), node="ctl2")


def remove_muster(cloud: Cloud) -> None:
    """All but a level of cmp2 that muster has to mend."""
    for line in (
        "pcs resource delete muster",
        "pcs stonith level clear",
        "pcs stonith delete muster-fence",
        "pcs constraint remove nova-compute-held",
        "pcs stonith level add 1 cmp2 power",
    ):
        cloud.type(line)


def test_setup_prints_what_is_missing_and_nothing_once_it_is_typed(cloud: Cloud) -> None:
    """From nothing: a part of it by hand, the rest by --apply, which stops where a command fails."""
    assert run(cloud, "setup") == (0, COMPLETE)
    remove_muster(cloud)
    assert run(cloud, "setup", "--cloud", "bed") == (3, "")
    lines = printed(cloud)
    expected = [
        f"pcs stonith create muster-fence fence_muster pcmk_host_check=static-list {HOSTS}",
        "pcs stonith level add 1 cmp1 power muster-fence",
        "pcs stonith level remove 1 target cmp2",
        "pcs stonith level add 1 cmp2 power muster-fence",
        "pcs stonith level add 1 cmp3 power muster-fence",
        "pcs stonith level add 1 cmp4 power muster-fence",
        HOLD,
        "pcs cluster cib /root/before.xml",
        "cp /root/before.xml /root/muster.xml",
        "pcs -f /root/muster.xml resource create muster ocf:muster:ComputeRecovery cloud=bed shared_storage=yes"
        " meta resource-stickiness=1000",
        OFF_REMOTES,
        "pcs cluster cib-push /root/muster.xml diff-against=/root/before.xml",
        "rm /root/before.xml /root/muster.xml",
    ]
    assert unquoted(lines) == unquoted(expected)
    for line in lines[:4]:
        cloud.type(line)
    assert printed(cloud) == lines[4:]
    cloud.ctl("mv", "/usr/sbin/pcs", "/usr/sbin/pcs.away")
    try:
        code, text = run(cloud, *NEW, "--format", "pcs", "--apply", "--yes")
    finally:
        cloud.ctl("mv", "/usr/sbin/pcs.away", "/usr/sbin/pcs")
    assert (code, "done" in text) == (2, False)
    code, text = run(cloud, *NEW, "--apply", "--yes")
    assert (code, "9/9 done: rm /root/before.xml /root/muster.xml" in text, text.endswith(COMPLETE)) == (0, True, True)
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    assert wrong(cloud) == {"rights in Nova": "unknown"}


@pytest.mark.parametrize("shell", ["crmsh", "cibadmin"])
def test_the_lines_of_each_format_end_with_doctor_saying_ok(cloud: Cloud, shell: str) -> None:
    """E14: Kolla's images have no pcs; Ubuntu and SUSE use crmsh."""
    remove_muster(cloud)
    cloud.calm("nothing of muster is left")
    code, text = run(cloud, *NEW, "--format", shell)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert (code, {line.split()[0] for line in lines}) == (1, {"cibadmin", "crm"} if shell == "crmsh" else {"cibadmin"})
    for line in lines:
        cloud.type(line)
    assert run(cloud, *NEW, "--format", shell) == (0, COMPLETE)
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    (server,) = cloud.nova.boot("cmp1", count=1)
    assert wrong(cloud) == {}
    cloud.calm("what was configured is done")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 90, "it is evacuated")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_an_agent_that_is_broken_on_computes_fences_none(cloud: Cloud) -> None:
    """C21: the worker comes together with the rule that keeps it off them: no probe, so no stop that fails."""
    cloud.type("pcs resource delete muster")
    cloud.calm("it is gone")  # pcs deletes its constraints first, so that it is probed once more
    broken = {"cmp3": "#!/bin/sh\nexec sleep 600\n", "cmp4": "#!/bin/sh\nexit 1\n"}
    for node, text in broken.items():
        cloud.ctl("mv", AGENT, f"{AGENT}.away", node=node)
        cloud.ctl("sh", "-c", f"printf '{text}' > {AGENT} && chmod 0755 {AGENT}", node=node)
    try:
        assert run(cloud, *NEW, "--apply", "--yes")[0] == 0
        cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
        cloud.calm("nothing is left to be done")
        for node in broken:
            seen = f"//node_state[@uname='{node}']//lrm_resource[@id='muster']"
            assert cloud.cluster.exec("ctl1", "cibadmin", "-Ql", "--xpath", seen, check=False).returncode == 105
            assert cloud.cluster.is_on(node)
        assert "muster_" not in cloud.type("pcs resource failcount show")
        assert wrong(cloud) == {"rights in Nova": "unknown"}
    finally:
        for node in broken:
            cloud.ctl("mv", f"{AGENT}.away", AGENT, node=node)
