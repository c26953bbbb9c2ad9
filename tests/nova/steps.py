# SPDX-License-Identifier: Apache-2.0
"""What the tests on real Nova do and look at, each under one name.  Examination come from Nova's database, not from us."""

from __future__ import annotations

import re
from typing import Any, Callable, Protocol

from tests.bed.nova.client import NovaBed
from tests.rig import Rig

MakeRig = Callable[..., Rig]


class Type(Protocol):
    """An operator: types a command as it stands, without a terminal or on one, and gives what it prints."""

    def __call__(self, command: str, terminal: bool = False) -> str: ...


EVACUATE = {"method": "POST", "path": "/action$", "body": "evacuate"}
"""The rule of a fault that hits evacuate calls."""


def boot(bed: NovaBed, count: int = 1, **extra: Any) -> list[str]:
    return bed.boot("cmp1", count=count, **extra)


def nova_row(bed: NovaBed, uuid: str) -> dict[str, Any]:
    rows = bed.ctl("sql", query=f"select host, vm_state, task_state from instances where uuid='{uuid}'")
    return dict(rows[0])


def advised(it: Rig, uuid: str) -> list[str]:
    """The commands for Nova in what is said of a server."""
    return re.findall(rf"openstack [-a-z0-9. ]*?{uuid}", str(it.entry(uuid)["reason"]))


def act_on(bed: NovaBed, uuid: str, action: str, vm_state: str) -> None:
    assert bed.action(uuid, action).status in (200, 202)  # a rescue is answered with a password
    bed.wait_until(lambda: nova_row(bed, uuid)["vm_state"] == vm_state, 30)


def evacuations(bed: NovaBed, uuid: str) -> list[str]:
    """The statuses of the server's evacuations, oldest first."""
    query = f"select status from migrations where instance_uuid='{uuid}' and migration_type='evacuation' order by id"
    return [row["status"] for row in bed.ctl("sql", query=query)]


def expect(bed: NovaBed, uuid: str, vm_state: str) -> None:
    row = nova_row(bed, uuid)
    assert row["host"] not in ("cmp1", None)
    assert (row["vm_state"], row["task_state"]) == (vm_state, None)
    assert evacuations(bed, uuid)[-1] in ("done", "completed")


def fail_spawns(bed: NovaBed, mode: str = "fail", times: int = -1) -> None:
    for host in ("cmp2", "cmp3"):
        bed.ctl("hypervisor", host=host, spawn_mode=mode, spawn_fail_times=times)


def disable(bed: NovaBed, host: str, status: str = "disabled") -> None:
    assert bed.update_service(host, status=status).status == 200


def posts(bed: NovaBed, uuid: str) -> int:
    """How many evacuate calls for the server reached the API."""
    path = f"/servers/{uuid}/action"
    return sum(r["path"].endswith(path) and "evacuate" in r.get("body", "") for r in bed.requests(service="compute"))
