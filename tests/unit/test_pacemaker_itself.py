# SPDX-License-Identifier: Apache-2.0
"""What Pacemaker itself does, as far as muster rests on it and no port shows it (docs/robustness.md).

Its scheduler is asked about a CIB, and its fencer runs alone: both are those that are installed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from lxml import etree

FENCED = Path("/usr/lib/pacemaker/pacemaker-fenced")

# ------------------------------------------------------------------------------------------------------ scheduler

KEY = "1:1:0:4a1e5d0e-8f8e-4b8b-9d9b-9c8f0f3d0a11"
CIB = """<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0" have-quorum="{quorum}" dc-uuid="1">
<configuration>
 <crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="true"/></cluster_property_set></crm_config>
 <nodes><node id="1" uname="ctl1"/><node id="2" uname="ctl2"/></nodes>
 <resources>
  <primitive id="power" class="stonith" type="fence_dummy"/>
  <primitive id="cmp1" class="ocf" provider="pacemaker" type="remote"/>
  <primitive id="muster" class="ocf" provider="muster" type="ComputeRecovery"><meta_attributes id="m">
   <nvpair id="m1" name="target-role" value="Stopped"/></meta_attributes></primitive>
 </resources>
 <constraints>{constraints}</constraints>
</configuration>
<status>
 <node_state id="1" uname="ctl1" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="1"><lrm_resources>
  <lrm_resource id="cmp1" class="ocf" provider="pacemaker" type="remote"><lrm_rsc_op id="cmp1_last_0" operation="start"
   operation_key="cmp1_start_0" transition-key="{key}" transition-magic="0:0;{key}" call-id="1" rc-code="0" op-status="0"
   interval="0"/></lrm_resource></lrm_resources></lrm></node_state>
 <node_state id="2" uname="ctl2" {second} expected="member"><lrm id="2"><lrm_resources/></lrm></node_state>
 <node_state id="cmp1" uname="cmp1" remote_node="true" in_ccm="true"><lrm id="cmp1"><lrm_resources/></lrm></node_state>
</status></cib>"""
THERE, LOST = 'in_ccm="true" crmd="online" join="member"', 'in_ccm="false" crmd="offline" join="down"'
RULE = (
    '<rsc_location id="l" rsc="muster" {}><rule id="r" score="-INFINITY">'
    '<expression id="e" attribute="#kind" operation="eq" value="remote"/></rule></rsc_location>'
)


def graph(folder: Path, constraints: str = "", second: str = THERE, quorum: int = 1) -> etree._Element:
    """What the scheduler would have done."""
    cib, found = folder / "cib.xml", folder / "graph.xml"
    cib.write_text(CIB.format(constraints=constraints, second=second, quorum=quorum, key=KEY))
    done = subprocess.run(
        ["crm_simulate", "-R", "-x", cib, "-G", found], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return etree.parse(str(found)).getroot()


def probed(root: etree._Element) -> set[str]:
    return {str(op.get("on_node")) for op in root.iter("rsc_op") if op.get("operation_key") == "muster_monitor_0"}


scheduler = pytest.mark.skipif(not shutil.which("crm_simulate"), reason="needs Pacemaker's command line")


@scheduler
@pytest.mark.parametrize(
    ("constraints", "nodes"),
    [
        ("", {"ctl1", "ctl2", "cmp1"}),
        (RULE.format(""), {"ctl1", "ctl2", "cmp1"}),
        (RULE.format('resource-discovery="never"'), {"ctl1", "ctl2"}),
    ],
)
def test_a_resource_is_probed_wherever_no_rule_says_never(tmp_path: Path, constraints: str, nodes: set[str]) -> None:
    """C21: also where it may never run, and also one that is switched off."""
    assert probed(graph(tmp_path, constraints)) == nodes


@scheduler
@pytest.mark.parametrize(("quorum", "fenced"), [(1, ["ctl2"]), (0, [])])
def test_what_is_lost_is_fenced_with_quorum_only(tmp_path: Path, quorum: int, fenced: list[str]) -> None:
    root = graph(tmp_path, second=LOST, quorum=quorum)
    assert [op.get("on_node") for op in root.iterfind("synapse/action_set/crm_event[@operation='stonith']")] == fenced


# --------------------------------------------------------------------------------------------------------- fencer

Admin = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def fencer(tmp_path: Path) -> Iterator[Admin]:
    """The fencer without a cluster, in a network of its own; ``stonith_admin`` that speaks to it."""
    log = tmp_path / "fenced.log"
    running = subprocess.Popen(["unshare", "--net", FENCED, "-s", "-l", log], stderr=subprocess.DEVNULL)

    def admin(*given: str) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", "-t", str(running.pid), "-n", "stonith_admin", *given]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    try:
        end = time.monotonic() + 20.0
        while "accepting connections" not in (log.read_text() if log.exists() else "") or admin("-L").returncode:
            if running.poll() is not None and "Cluster connection failed" in log.read_text():
                pytest.skip("the fencer of this Pacemaker (3.0.3) does not run without a cluster")
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield admin
    finally:
        running.terminate()
        running.wait(20)


def device(admin: Admin, name: str, state: Path, **given: str) -> None:
    """A host that is on; what is done to it shows in a file."""
    state.write_text("on")
    options = {"pcmk_host_list": "cmp1", "pcmk_host_check": "static-list", "status_file": str(state), **given}
    done = admin(
        "-R", name, "-a", "fence_dummy", *(word for pair in options.items() for word in ("-o", "=".join(pair)))
    )
    assert done.returncode == 0, done.stderr


alone = pytest.mark.skipif(
    os.geteuid() != 0 or not FENCED.exists() or not shutil.which("fence_dummy"), reason="needs Pacemaker, and root"
)


@alone
@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "asked", "left"),
    [
        ("status", "--fence", "on"),
        ("status", "--reboot", "on"),
        ("off", "--fence", "off"),
        ("off", "--reboot", "off"),
        ("reboot", "--fence", "off"),
        ("reboot", "--reboot", "on"),
    ],
)
def test_a_devices_action_stands_for_off_and_for_reboot(
    fencer: Admin, tmp_path: Path, action: str, asked: str, left: str
) -> None:
    """C13: and Pacemaker calls the host fenced, whatever was done."""
    state = tmp_path / "power"
    device(fencer, "power", state, action=action)
    assert fencer(asked, "cmp1", "-t", "20").returncode == 0
    assert state.read_text() == left
