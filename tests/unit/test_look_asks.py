# SPDX-License-Identifier: Apache-2.0
"""What a look asks of Nova, and when: by what is going on, and by what has just been read or could not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.errors import NovaUnavailable
from muster.core.nova_facts import Evacuation, EvacuationStatus, Service
from muster.engine.polling import POLL_MAX_S
from muster.engine.troubles import SERVERS
from tests.unit.watched import Watched


def _evacuating(answer_s: float = 0.0, **facts: Any) -> Watched:
    """Claimed and listed."""
    it = Watched(answer_s)
    at = int(it.clock.at) - 20
    it.cluster.change("cmp1", record=Record(Phase.EVACUATING, at, at), **facts)
    it.look.sight()
    return it


def _fail(*args: object, **more: object) -> Sequence[Any]:
    raise NovaUnavailable("HTTP 500", status=500)


def test_it_logs_in_while_nothing_is_urgent_and_a_silent_nova_matters_only_later() -> None:
    it = Watched(answer_s=0.0)
    it.look.warm_up()
    assert it.nova.read == ["services"]
    it.nova.services = _fail  # type: ignore[method-assign]
    it.look.warm_up()
    assert it.memory.troubles.message == ""


@pytest.mark.parametrize(
    ("phase", "facts", "every_s"),
    [
        (Phase.FENCED, {}, 2),
        (Phase.EVACUATING, {}, 10),
        (Phase.RETURNING, {"hold": False}, 10),
        (Phase.RETURNING, {"hold": False, "member": True}, 2),
    ],
    ids=["before the first change", "forced down", "away", "on the way back"],
)
def test_services_are_read_as_often_as_somebody_may_change_them(
    phase: Phase, facts: dict[str, Any], every_s: int
) -> None:
    it = Watched(answer_s=0.0)
    at = int(it.clock.at) - 20
    it.cluster.change("cmp1", record=Record(phase, at, at), **facts)
    read: list[int] = []
    for second in range(60):
        it.nova.read.clear()
        it.look.sight()
        read += [second] * ("services" in it.nova.read)
        it.clock.pass_by(1.0)
    read = [second for second in read if second > 10]
    assert {later - sooner for sooner, later in zip(read, read[1:])} == {every_s}


def test_a_service_that_is_to_be_lifted_is_read_each_time() -> None:
    """D4: what is lifted must be ours as it is now; once it is lifted there is time."""
    it = _evacuating(member=True, hold=False)
    first = it.cluster.nodes["cmp1"].record
    it.cluster.change("cmp1", record=replace(first, phase=Phase.RETURNING))
    counted = []
    for lifted in (False, True):
        reason = "" if lifted else "muster: x"
        row = Service("u1", "cmp1", forced_down=not lifted, enabled=lifted, disabled_reason=reason)

        def services(row: Service = row) -> Sequence[Service]:
            it.nova.read.append("services")
            return [replace(row, updated_at=it.clock.at)]

        it.nova.services = services  # type: ignore[method-assign]
        for _ in range(15):
            it.clock.pass_by(1.0)
            it.look.sight()
            if it.clock.at % 15 == 3.0:  # by then a heartbeat has shown that it is back
                it.nova.read.clear()
        counted.append(it.nova.read.count("services"))
    assert it.memory.hosts["cmp1"].returning.first_beat_at
    assert counted == [12, 6]


@pytest.mark.parametrize("row", [[], [Service("u1", "cmp1", known=False)]], ids=["no service", "a silent cell"])
def test_a_silent_cell_is_asked_for_often_and_all_is_listed_once_it_answers(row: list[Service]) -> None:
    """B13."""
    it = _evacuating()
    it.clock.pass_by(1.0)
    it.look.sight()
    answering = it.nova.services
    it.nova.services = lambda: it.nova.read.append("services") or row  # type: ignore[method-assign,assignment,func-returns-value]
    it.clock.pass_by(10.0)
    it.nova.read.clear()
    for _ in range(10):
        it.look.sight()
        it.clock.pass_by(1.0)
    assert it.memory.hosts["cmp1"].inventory.silent
    assert (it.nova.read.count("services"), it.nova.read.count("servers_on")) == (5, 0)
    it.nova.services = answering  # type: ignore[method-assign]
    it.look.sight()
    assert it.nova.read[-3:] == ["services", "servers_on", "evacuations_from"]


def test_places_come_first_and_the_servers_that_arrived_a_little_later() -> None:
    """Where others wait for their places: what is known of the servers is two seconds old at most."""
    it = _evacuating()
    at = it.clock.at
    row = Evacuation("1", "a", "cmp1", EvacuationStatus.ACCEPTED, "", at, at)
    it.nova.evacuations = [row]
    it.clock.pass_by(5.0)
    it.look.sight()
    it.nova.evacuations = [replace(row, status=EvacuationStatus.DONE, dest="cmp2", updated=at + 6.0)]
    it.memory.polling.note_decided(sending=False, waiting=True)
    it.memory.polling.note_servers_read(it.clock.at)
    it.clock.pass_by(1.0)
    it.memory.polling.note_polled(0.0)
    it.nova.read.clear()
    half = it.look.sight()
    assert half.arrivals_unread
    assert half.hosts["cmp1"].evacuations["a"][0].status is EvacuationStatus.DONE
    assert it.nova.read == ["evacuations_from"]
    it.clock.pass_by(2.0)
    assert not it.look.sight().arrivals_unread
    assert it.nova.read == ["evacuations_from", "evacuations_from", "servers_changed"]


def test_where_the_lists_for_all_fail_each_host_is_listed_by_itself() -> None:
    """B41: what stands in their way may be another cell's."""
    it = _evacuating()
    it.clock.pass_by(1.0)
    it.look.sight()
    it.memory.troubles.note_failed_read(SERVERS, NovaUnavailable("HTTP 500", status=500), it.clock.at)
    it.nova.read.clear()
    it.clock.pass_by(5.0)
    it.look.sight()
    assert "servers_on" not in it.nova.read
    it.clock.pass_by(6.0)
    it.look.sight()
    assert "servers_on" in it.nova.read


def test_a_cell_that_falls_silent_during_a_look_shows_no_sign_of_life() -> None:
    """B13, C3."""
    it = Watched()
    it.look.sight()
    known, rows = it.nova.services, []
    rows += [known()[0], replace(known()[0], known=False, updated_at=it.clock.at + 30.0)]
    it.nova.services = lambda: it.nova.read.append("services") or [rows.pop(0)]  # type: ignore[method-assign,assignment,func-returns-value]
    it.memory.hosts["cmp1"].inventory.want_list()
    it.clock.pass_by(10.0)
    sight = it.look.sight()
    assert (rows, sight.hosts["cmp1"].heartbeat_after_fencing) == ([], False)


def test_a_slow_nova_is_left_alone_for_as_long_as_it_took() -> None:
    it = Watched(answer_s=0.0)
    it.look.sight()
    assert it.look.rest_s() == POLL_MAX_S, "nothing is under way"
    it = Watched()
    began = it.clock.at
    it.look.sight()
    assert it.look.rest_s() == it.clock.at - began


def test_another_incident_of_the_same_host_begins_with_nothing() -> None:
    it = _evacuating()
    assert set(it.memory.hosts["cmp1"].inventory.servers) == {"a"}
    it.nova.servers_on = lambda host: []  # type: ignore[method-assign,assignment]
    later = int(it.clock.at) + 500
    it.clock.pass_by(510.0)
    it.cluster.change("cmp1", record=Record(Phase.EVACUATING, later, later))
    assert it.look.sight().hosts["cmp1"].servers == {}
