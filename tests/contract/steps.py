# SPDX-License-Identifier: Apache-2.0
"""What befalls a cloud and what Nova shows of it, in one word each, through the port alone."""

from __future__ import annotations

from typing import Callable

import pytest

from muster.core.errors import NovaRefused
from muster.core.nova_facts import Evacuation, EvacuationStatus, Server, Service
from tests.contract.clouds import Cloud

MARK = "muster: fenced"


def service(cloud: Cloud, host: str = "cmp1") -> Service:
    (found,) = (s for s in cloud.nova.services() if s.host == host)
    return found


def server(cloud: Cloud, ident: str) -> Server:
    """As the list of what has changed shows it, wherever it is and deleted or not."""
    (found,) = (s for s in cloud.nova.servers_changed(0.0) if s.id == ident)
    return found


def evacuations(cloud: Cloud, ident: str, source: str = "cmp1") -> list[Evacuation]:
    return [m for m in cloud.nova.evacuations_from(source, 0.0) if m.server == ident]


def ids(servers: object) -> set[str]:
    return {s.id for s in servers}  # type: ignore[attr-defined]


def lose(cloud: Cloud, host: str = "cmp1") -> None:
    """It is powered off, and Nova is told."""
    cloud.power_off(host)
    cloud.nova.force_down(service(cloud, host).id, MARK)


def at_rest(cloud: Cloud, ident: str, vm_state: str) -> Callable[[], bool]:
    def is_so() -> bool:
        it = server(cloud, ident)
        return (it.vm_state, it.task_state) == (vm_state, "")

    return is_so


def last_is(cloud: Cloud, ident: str, status: EvacuationStatus) -> Callable[[], bool]:
    return lambda: bool(evacuations(cloud, ident)) and evacuations(cloud, ident)[-1].status is status


def hang(cloud: Cloud, ident: str) -> None:
    """Evacuate it, and leave it where the hypervisor is asked to start it.

    A row becomes pre-migrating a little earlier.  A second evacuation taken between the two sets the task state back, and the
    first one ends in error with it.
    """
    cloud.rebuilds("hang")
    cloud.nova.evacuate(ident, None)
    cloud.until(last_is(cloud, ident, EvacuationStatus.PRE_MIGRATING))
    cloud.until(lambda: server(cloud, ident).task_state == "rebuild_spawning")


def arrive(cloud: Cloud, ident: str, vm_state: str = "active") -> Evacuation:
    """Wait until the last evacuation of the server is done, and the server at rest."""
    cloud.until(last_is(cloud, ident, EvacuationStatus.DONE))
    cloud.until(at_rest(cloud, ident, vm_state))
    return evacuations(cloud, ident)[-1]


def refusal(call: Callable[[], object]) -> NovaRefused:
    with pytest.raises(NovaRefused) as caught:
        call()
    assert str(caught.value)
    return caught.value
