# SPDX-License-Identifier: Apache-2.0
"""A user with nothing but the role and the policy of packaging/nova-policy.yaml does the whole job."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster.core.errors import NovaRefused
from muster.gateways.nova.compute import Nova
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, act_on, boot, nova_row


def test_an_incident_from_the_fencing_to_the_return(bed: NovaBed, rig: MakeRig, tmp_path: Path) -> None:
    it = rig(reset_states="paused")
    bed.clouds_yaml(it.clouds_file, username="muster", password="musterpw")
    running, stopped, paused = boot(bed, 3)
    act_on(bed, stopped, "os-stop", "stopped")
    act_on(bed, paused, "pause", "paused")
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"), 60)
    assert set(it.memory.hosts["cmp1"].proofs) == {running, stopped, paused}
    states = [nova_row(bed, uuid)["vm_state"] for uuid in (running, stopped, paused)]
    assert states == ["active", "stopped", "active"]
    it.power_on("cmp1")
    it.run_until(lambda: bed.service("cmp1")["forced_down"] is False, 60)
    assert bed.service("cmp1")["status"] == "enabled"


@pytest.mark.parametrize("user", ["demo"])
def test_who_has_not_the_role_is_told_so(bed: NovaBed, tmp_path: Path, user: str) -> None:
    clouds = bed.clouds_yaml(tmp_path / "clouds.yaml", username=user, password=f"{user}pw")
    (server,) = boot(bed)
    nova = Nova("bed", str(clouds), True, "2.98")
    with pytest.raises(NovaRefused, match="403|[Pp]olicy"):
        nova.evacuate(server, None)
