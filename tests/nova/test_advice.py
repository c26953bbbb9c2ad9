# SPDX-License-Identifier: Apache-2.0
"""What muster advises is typed as it is printed, with the client that operators have, and looked at for its effect."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot, disable, nova_row
from tests.rig import Rig

CLIENT = shutil.which("openstack", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
pytestmark = pytest.mark.skipif(not CLIENT, reason="needs python-openstackclient")

Type = Callable[[str], str]


@pytest.fixture
def types(bed: NovaBed, tmp_path: Path) -> Type:
    """An operator: types a command, and gives what it prints."""
    clouds = bed.clouds_yaml(tmp_path / "operators-clouds.yaml")
    assert CLIENT
    environment = {
        "PATH": f"{Path(CLIENT).parent}{os.pathsep}/usr/bin",
        "OS_CLIENT_CONFIG_FILE": str(clouds),
        "OS_CLOUD": "bed",
        "HOME": str(tmp_path),
    }

    def type_(command: str) -> str:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        bed.requests(clear=True)  # they are not muster's
        return done.stdout

    return type_


def advised(it: Rig, uuid: str) -> list[str]:
    """The commands for Nova in what is said of a server."""
    return re.findall(rf"openstack [-a-z0-9. ]*?{uuid}", str(it.entry(uuid)["reason"]))


def test_a_resize_is_confirmed_and_reverted_as_advised_once_its_host_is_back(
    bed: NovaBed, rig: MakeRig, types: Type
) -> None:
    """A5."""
    confirmed, reverted = bed.boot("cmp2", count=2)
    disable(bed, "cmp3")
    for uuid in (confirmed, reverted):
        assert bed.action(uuid, "resize", {"flavorRef": "2"}).status == 202
        bed.wait_until(lambda uuid=uuid: nova_row(bed, uuid)["vm_state"] == "resized", 40)
        assert nova_row(bed, uuid)["host"] == "cmp1"
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    advice = {uuid: advised(it, uuid) for uuid in (confirmed, reverted)}
    it.power_on("cmp1")
    it.run_until(it.closed("cmp1"))
    types(advice[confirmed][0])
    types(advice[reverted][1])
    bed.wait_until(lambda: nova_row(bed, confirmed) == {"host": "cmp1", "vm_state": "active", "task_state": None}, 30)
    bed.wait_until(lambda: nova_row(bed, reverted) == {"host": "cmp2", "vm_state": "active", "task_state": None}, 30)


def test_what_the_documents_name_beside_it_is_taken(bed: NovaBed, types: Type) -> None:
    """docs/migrate.md and docs/runbook.md."""
    (uuid,) = boot(bed)
    types(f"openstack server set --property evacuable=true {uuid}")
    assert "evacuable" in types(f"openstack server show {uuid}")
    types("openstack server migration list")
    bed.update_service("cmp1", status="disabled", forced_down=True)
    types("openstack compute service set --up cmp1 nova-compute")
    types("openstack compute service set --enable cmp1 nova-compute")
    service = bed.service("cmp1")
    assert (service["status"], service["forced_down"]) == ("enabled", False)
    assert "cmp1" in types("openstack compute service list --long")
