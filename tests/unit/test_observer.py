# SPDX-License-Identifier: Apache-2.0
"""What is said of an incident by somebody who looks without a worker's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.errors import NovaUnavailable
from muster.core.findings import Verdict
from muster.core.nova_facts import ActionLog, Evacuation, EvacuationStatus, Power, Server, Service
from muster.core.ports import NovaPort
from muster.engine.observer import observe
from tests.fakes import FakeClock, FakeCluster, settings

STOPPED = {"arrived": ("cmp2", EvacuationStatus.DONE), "failed": ("cmp1", EvacuationStatus.FAILED)}


class Quiet:
    """A dead host; its one server, which its owner had stopped, was evacuated once."""

    def __init__(self, at: float, host: str, status: EvacuationStatus) -> None:
        self._server = Server("a", host, "stopped", updated=at)
        self._evacuation = Evacuation("1", "a", "cmp1", status, "cmp2", at - 60.0, at - 50.0)
        self.asked: list[str] = []

    def services(self) -> Sequence[Service]:
        return [Service("u1", "cmp1", forced_down=True, enabled=False, disabled_reason="muster: x")]

    def servers_on(self, host: str) -> Sequence[Server]:
        return [self._server] if self._server.host == host else []

    def servers_changed(self, since: float) -> Sequence[Server]:
        return [self._server]

    servers_changed_without_images = servers_changed

    def evacuations_from(self, host: str, since: float, page: int = 1000) -> Sequence[Evacuation]:
        return [self._evacuation]

    def action_log(self, server: str) -> ActionLog:
        self.asked.append(server)
        return ActionLog(Power.STOPPED)


def claimed(clock: FakeClock) -> FakeCluster:
    cluster = FakeCluster.of("cmp1", "cmp2")
    first = int(clock.now()) - 90
    cluster.change("cmp1", record=Record(Phase.EVACUATING, first, first), hold=True)
    return cluster


@pytest.mark.parametrize("case", STOPPED)
def test_an_action_log_that_it_has_read_counts_as_read(case: str) -> None:
    """D10: what is stopped, or may run elsewhere, is judged by a log that is newer than the end of its evacuation."""
    clock = FakeClock()
    nova = cast(NovaPort, Quiet(clock.now(), *STOPPED[case]))
    finding = observe(claimed(clock), nova, clock, settings()).incidents["cmp1"].findings["a"]
    assert finding.rule != "arrived-unread"
    assert not finding.queue_unread
    assert (finding.verdict is Verdict.EVACUATED) is (case == "arrived")


def test_no_action_log_is_asked_for_that_decides_nothing() -> None:
    """The server runs where it was evacuated to."""
    clock = FakeClock()
    nova = Quiet(clock.now(), *STOPPED["arrived"])
    nova._server = Server("a", "cmp1", "active", updated=clock.now())
    nova._evacuation = Evacuation("1", "b", "cmp1", EvacuationStatus.ERROR, "", clock.now(), clock.now())
    observe(claimed(clock), cast(NovaPort, nova), clock, settings())
    assert nova.asked == []


def test_an_action_log_that_cannot_be_read_is_said_to_be_unread() -> None:
    clock = FakeClock()
    nova = Quiet(clock.now(), *STOPPED["arrived"])

    def action_log(server: str) -> ActionLog:
        raise NovaUnavailable("HTTP 500", status=500)

    nova.action_log = action_log  # type: ignore[method-assign]
    finding = observe(claimed(clock), cast(NovaPort, nova), clock, settings()).incidents["cmp1"].findings["a"]
    assert (finding.verdict, finding.rule) == (Verdict.UNKNOWN, "arrived-unread")


def test_it_says_what_the_worker_would_wherever_it_stands() -> None:
    """D10: without quorum and beside a worker; and no earlier worker's calls are waited for, for nothing is sent."""
    clock = FakeClock()
    nova = Quiet(clock.now(), *STOPPED["arrived"])
    nova._server = Server("a", "cmp1", "active", updated=clock.now())
    nova._evacuation = Evacuation("1", "b", "cmp1", EvacuationStatus.ERROR, "", clock.now(), clock.now())
    cluster = claimed(clock)
    cluster.quorum, cluster.active_here = False, False
    decision = observe(cluster, cast(NovaPort, nova), clock, settings())
    assert decision.hindrance == ""
    assert decision.incidents["cmp1"].findings["a"].rule == "ready"
