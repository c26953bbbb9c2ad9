# SPDX-License-Identifier: Apache-2.0
"""What the engine relies on when Nova fails: what was done for certain, what perhaps, and what is not said to be all."""

from __future__ import annotations

from typing import Callable

import pytest

from muster.core.errors import NovaUnavailable, NovaUncertain
from muster.core.nova_facts import EvacuationStatus, Power
from tests.contract.clouds import OTHERS, Cloud
from tests.contract.steps import MARK, at_rest, evacuations, hang, last_is, lose, service


def test_what_nobody_takes_has_certainly_not_been_done(cloud: Cloud) -> None:
    ident, it, nova = cloud.boot(), service(cloud), cloud.nova
    calls: dict[str, Callable[[], object]] = {
        "services": nova.services,
        "servers_on": lambda: nova.servers_on("cmp1"),
        "servers_changed": lambda: nova.servers_changed(0.0),
        "evacuations_from": lambda: nova.evacuations_from("cmp1", 0.0),
        "action_log": lambda: nova.action_log(ident),
        "force_down": lambda: nova.force_down(it.id, MARK),
        "force_up": lambda: nova.force_up(it.id, True, True),
        "evacuate": lambda: nova.evacuate(ident, None),
        "stop": lambda: nova.stop(ident),
        "reset_state": lambda: nova.reset_state(ident),
    }
    cloud.api(up=False)
    for call in calls.values():
        with pytest.raises(NovaUnavailable):
            call()
    cloud.api(up=True)
    assert at_rest(cloud, ident, "active")()
    assert not service(cloud).forced_down
    assert nova.action_log(ident).wanted is Power.RUNNING


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("call", ["evacuate", "force_down"])
def test_a_write_without_a_reply_may_have_been_carried_out_or_not(cloud: Cloud, call: str, done: bool) -> None:
    ident = cloud.boot()
    it = service(cloud)
    if call == "evacuate":
        lose(cloud)
    cloud.lose_reply(after=done)
    with pytest.raises(NovaUncertain):
        cloud.nova.evacuate(ident, None) if call == "evacuate" else cloud.nova.force_down(it.id, MARK)
    assert (len(evacuations(cloud, ident)) if call == "evacuate" else service(cloud).forced_down) == done


def test_nothing_that_a_silent_cell_hides_is_told_as_if_it_were_all(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    it = service(cloud)
    cloud.cell(answers=False)
    assert not service(cloud).known
    assert not any(s.known for s in cloud.nova.servers_on("cmp1"))
    assert not any(s.known for s in cloud.nova.servers_changed(0.0))
    assert cloud.nova.evacuations_from("cmp1", 0.0) == []
    with pytest.raises(NovaUncertain):
        cloud.nova.evacuate(ident, None)
    cloud.cell(answers=True)
    assert service(cloud) == it
    assert len(evacuations(cloud, ident)) == 1


@pytest.mark.parametrize("rows", ["server", "evacuations"])
def test_a_row_that_cannot_be_read_is_of_its_own_server_only(cloud: Cloud, rows: str) -> None:
    """B43."""
    one, two = cloud.boot(), cloud.boot()
    lose(cloud)
    for host in OTHERS:
        cloud.operator_disables(host, "full")
    for ident in (one, two):
        cloud.nova.evacuate(ident, None)
        cloud.until(last_is(cloud, ident, EvacuationStatus.ERROR))
    known = {s.id: s for s in cloud.nova.servers_on("cmp1")}
    cloud.garble(two, rows)
    servers = {s.id: s for s in cloud.nova.servers_on("cmp1")}
    assert servers[one] == known[one]
    assert (servers[two].known, bool(servers[two].unreadable)) == (rows != "server", rows == "server")
    assert [m.status for m in evacuations(cloud, one)] == [EvacuationStatus.ERROR]
    assert [(m.status.open, bool(m.unreadable)) for m in evacuations(cloud, two)] == [(rows == "evacuations",) * 2]
