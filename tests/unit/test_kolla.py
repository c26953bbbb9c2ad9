# SPDX-License-Identifier: Apache-2.0
"""E15: what Kolla-Ansible's role hacluster leaves, as doctor and setup see it; and who is asked whether a host is held where
Pacemaker's tools are in a container.  tests/cluster/test_kolla.py goes the whole road.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.installation import installation
from muster.installation.checkup import examine
from muster.installation.installed import Installation
from muster.installation.missing import Choices, missing
from muster.installation.phrasing import phrased, spoken
from tests.documents import ROOT
from tests.installation import facts

REMOTE = (
    '<primitive id="{0}" class="ocf" provider="pacemaker" type="remote"><instance_attributes><nvpair name="server"'
    ' value="192.0.2.1"/></instance_attributes><operations><op name="monitor" interval="60" timeout="30"/></operations>'
    "</primitive>"
)
POWER = (
    '<primitive id="power" class="stonith" type="fence_xvm"><instance_attributes><nvpair name="pcmk_host_check"'
    ' value="static-list"/><nvpair name="pcmk_host_list" value="ctl1 cmp1 cmp2"/></instance_attributes></primitive>'
)


def left_by_the_role(power: str = "") -> Installation:
    remotes = "".join(map(REMOTE.format, ("cmp1", "cmp2")))
    return installation(
        cib.parse(
            f"""<cib have-quorum="1"><configuration><crm_config><cluster_property_set>
            <nvpair name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
            <nodes><node id="1" uname="ctl1"/></nodes><resources>{remotes}{power}</resources><constraints/>
            </configuration><status/></cib>""".encode()
        )
    )


def test_what_the_role_left_off_is_trouble_with_a_command_that_needs_no_pcs() -> None:
    seen = facts({"here": left_by_the_role()})
    (off,) = [check.findings[0] for check in examine(seen) if check.name == "stonith-enabled"]
    assert (off.result.value, off.what) == ("trouble", "stonith-enabled is off: nothing proves that a host is off")
    assert phrased(off.commands, (), spoken((), False)) == (
        ("crm_attribute", "--type", "crm_config", "--name", "stonith-enabled", "--delete"),
    )


def test_without_a_power_device_a_person_is_asked_for_one() -> None:
    steps = missing(left_by_the_role(), Choices("mycloud", "yes"))
    assert [step.why for step in steps if not step.commands and "create one (IPMI, Redfish, PDU)" in step.why] != []
    with_one = missing(left_by_the_role(POWER), Choices("mycloud", "yes"))
    unsaid = [step.why for step in with_one if not step.commands]
    assert len(unsaid) == 1
    assert unsaid[0].startswith("no resource runs nova-compute")


@pytest.mark.parametrize("engine", ["docker", "podman"])
@pytest.mark.parametrize(("said", "code"), [("", 0), ("1", 75), (None, 75)])
def test_the_container_is_asked_where_the_host_has_no_tools(
    engine: str, said: str | None, code: int, tmp_path: Path
) -> None:
    """``said``: the value of muster-hold; empty for none, None where the container does not run."""
    done, asked = waits(tmp_path, {engine: said})
    assert done.returncode == code, done.stderr
    assert asked[0] == f"{engine} exec hacluster_pacemaker_remote crm_node --name"
    assert len(asked) == (1 if said is None else 2)


@pytest.mark.parametrize(
    ("docker", "podman", "code"), [(None, "", 0), (None, "1", 75), ("", None, 0), ("1", None, 75), (None, None, 75), ("", "1", 75)]
)  # fmt: skip
def test_each_engine_that_is_there_is_asked(docker: str | None, podman: str | None, code: int, tmp_path: Path) -> None:
    """Both are installed, and one of them has the container."""
    done, asked = waits(tmp_path, {"docker": docker, "podman": podman})
    assert done.returncode == code, done.stderr
    assert {line.split()[0] for line in asked} == ({"docker"} if docker else {"docker", "podman"})


def waits(folder: Path, engines: dict[str, str | None]) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """By engine what its container says of muster-hold: empty for none, None where the container does not run."""
    for tool in ("sh", "date", "sleep", "timeout"):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    for engine, said in engines.items():
        answer = {None: "exit 1", "": "exit 6"}.get(said, f"echo {said}")
        name = "exit 1" if said is None else "echo cmp1"
        stub = f'#!/bin/sh\necho "{engine} $*" >>{folder}/asked\ncase $3 in crm_node) {name} ;; *) {answer} ;; esac\n'
        (folder / engine).write_text(stub)
        (folder / engine).chmod(0o755)
    limits = {"MUSTER_HOLD_LIMIT_S": "0", "MUSTER_HOLD_POLL_S": "0", "PATH": str(folder)}
    script = ROOT / "packaging/compute/wait-for-release"
    done = subprocess.run(
        ["/bin/sh", script], env={**os.environ, **limits}, capture_output=True, text=True, check=False
    )
    return done, (folder / "asked").read_text().splitlines()
