# SPDX-License-Identifier: Apache-2.0
"""E15: from what Kolla-Ansible's role hacluster leaves to a proved evacuation, by the lines that muster prints.

Its cluster has remotes and no fencing; its images have neither pcs nor crmsh; systemd starts the container nova_compute.
What an operator has to bring is a power device.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from tests.bed.cloud import ROOT, Cloud

WAIT = ROOT / "packaging/compute/wait-for-release"
SHELLS = ("/usr/sbin/pcs", "/usr/sbin/crm")
ENGINES = "/usr/local/kolla"
"""Of a compute: where it has its container engine, and none of Pacemaker's tools."""
ENGINE = """#!/bin/sh
[ "$1 $2" = "exec hacluster_pacemaker_remote" ] || exit 125
shift 2
PATH=/usr/sbin:/usr/bin exec "$@"
"""
REMOTE = """
      <resources>
        <primitive id="{node}" class="ocf" provider="pacemaker" type="remote">
          <instance_attributes id="{node}-instance_attributes">
            <nvpair id="{node}-instance_attributes-server" name="server" value="{address}"/>
          </instance_attributes>
          <operations>
            <op id="{node}-monitor" name="monitor" interval="60" timeout="30"/>
          </operations>
        </primitive>
      </resources>
    """
"""As ansible/roles/hacluster/tasks/bootstrap_service.yml has it (1a68181, 2026-08)."""
EMPTY = {"constraints": "", "fencing-topology": "", "resources": ""}
BED_ONLY = ("stonith-enabled", "no-quorum-policy")


def kolla(cloud: Cloud) -> None:
    """The configuration as the role leaves it, whatever there was before."""
    cloud.type("pcs property set stonith-enabled=false")
    cloud.type("pcs resource disable nova-compute-clone")
    cloud.calm("nova-compute has stopped")
    for section in EMPTY:
        cloud.type(f"cibadmin --replace --scope {section} --xml-text '<{section}/>'")
    cloud.calm("nothing is left")
    # Only now: with fencing on and no device left Pacemaker would stop nothing that it has to fence for.
    for option in BED_ONLY:
        cloud.type(f"crm_attribute --type crm_config --name {option} --delete")
    cloud.type("crm_attribute --type crm_config --name stonith-enabled --update false")
    for host in cloud.hosts:
        text = REMOTE.format(node=host, address=cloud.cluster.layout.address(host))
        cloud.type(f"cibadmin --modify --scope resources -X {shlex.quote(text)}")
    cloud.until(cloud.cluster.all_online, 60, "every remote is connected")
    for node in cloud.controllers:
        cloud.ctl(
            "sh", "-c", f"for shell in {' '.join(SHELLS)}; do [ ! -e $shell ] || mv $shell $shell.away; done", node=node
        )
    for host in cloud.hosts:
        put = f"mkdir -p {ENGINES} && cat >{ENGINES}/docker && chmod 755 {ENGINES}/docker"
        cloud.cluster.exec(host, "sh", "-c", put, stdin=ENGINE)
        assert unit_starts(cloud, host)


def unit_starts(cloud: Cloud, host: str) -> bool:
    """What systemd does: the drop-in's line, then the container; whether it came to that."""
    limits = ("MUSTER_HOLD_LIMIT_S=1", "MUSTER_HOLD_POLL_S=1", f"PATH={ENGINES}:/usr/bin")
    code = cloud.cluster.exec(host, "env", *limits, str(WAIT), check=False).returncode
    if code == 0:
        agent = "/usr/lib/ocf/resource.d/bed/NovaCompute"
        cloud.ctl("env", f"OCF_RESKEY_control={cloud.cluster.layout.nova}", agent, "start", node=host)
    return code == 0


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(os.environ.get("MUSTER_BED", "") + "kolla", computes=3) as one:
        kolla(one)
        yield one
        assert one.nova.violations() == []


def power_device(cloud: Cloud) -> str:
    """What an operator brings: there is one of these for every rack, and only its owner knows how to reach it."""
    given = {
        "socket": str(cloud.cluster.layout.socket),
        "pcmk_host_check": "static-list",
        "pcmk_host_list": " ".join(cloud.cluster.nodes),
    }
    pairs = "".join(f"<nvpair id='power-{k}' name='{k}' value={quoteattr(v)}/>" for k, v in given.items())
    inner = f"<instance_attributes id='power-attributes'>{pairs}</instance_attributes>"
    primitive = f"<primitive id='power' class='stonith' type='fence_xvm'>{inner}</primitive>"
    return f"cibadmin --modify --allow-create --scope resources --xml-text {shlex.quote(primitive)}"


def checks(cloud: Cloud) -> dict[str, dict[str, Any]]:
    done = cloud.cluster.exec("ctl1", "muster", "doctor", "-o", "json", check=False)
    return {check["check"]: check for check in json.loads(done.stdout)["checks"]}


def results(cloud: Cloud) -> dict[str, str]:
    return {name: check["result"] for name, check in checks(cloud).items() if check["result"] != "ok"}


def test_from_what_the_role_leaves_to_a_proved_evacuation(cloud: Cloud) -> None:
    (finding,) = checks(cloud)["stonith-enabled"]["findings"]
    assert (finding["result"], "stonith-enabled is off" in finding["what"]) == ("trouble", True)
    cloud.type(power_device(cloud))
    setup = ("muster", "setup", "--cloud", "bed", "--shared-storage", "yes")
    printed = cloud.cluster.exec("ctl1", *setup, check=False).stdout.splitlines()
    lines = [line for line in printed if not line.startswith("#")]
    lines += finding["commands"]
    assert {line.split()[0] for line in lines} == {"cibadmin", "crm_attribute"}
    for line in lines:
        cloud.type(line)
    cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
    cloud.calm("what was configured is done")
    servers = cloud.nova.boot("cmp1", count=3)
    unseen = {"nova-compute is held": "unknown", "nova-compute's stop": "unknown"}  # Pacemaker does not run it
    cloud.until(lambda: results(cloud) == unseen, 60, "doctor finds nothing else")
    for host in ("cmp2", "cmp3"):
        cloud.nova.hypervisor(host, spawn_delay=2)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.held("cmp1"), 150, "it is fenced")  # the role has remotes looked at once a minute
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 3, 120, "all are evacuated")
    cloud.until(lambda: cloud.cluster.is_on("cmp1") and unit_starts(cloud, "cmp1"), 180, "systemd starts the container")
    assert cloud.settled("cmp1")
    assert not cloud.held("cmp1")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_container_waits_while_its_host_is_held(cloud: Cloud, engine: str) -> None:
    cloud.ctl(
        "sh", "-c", f"cd {ENGINES} && for one in *; do [ $one = {engine} ] || mv $one {engine}; done", node="cmp2"
    )
    assert unit_starts(cloud, "cmp2")
    cloud.type("crm_attribute -t nodes -N cmp2 -n muster-hold -v 1")
    assert not unit_starts(cloud, "cmp2")
    cloud.type("crm_attribute -t nodes -N cmp2 -n muster-hold -D")
    assert unit_starts(cloud, "cmp2")
    cloud.ctl("mv", f"{ENGINES}/{engine}", f"{ENGINES}/away", node="cmp2")
    try:
        assert not unit_starts(cloud, "cmp2"), "who cannot be asked has not said that it is free"
    finally:
        cloud.ctl("mv", f"{ENGINES}/away", f"{ENGINES}/{engine}", node="cmp2")
