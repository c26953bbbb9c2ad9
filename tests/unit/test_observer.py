# SPDX-License-Identifier: Apache-2.0
"""What is said of an incident by somebody who looks without a worker's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from muster.core.cluster_facts import Phase, Record
from muster.core.nova_facts import Evacuation, EvacuationStatus, OwnerLog, Power, Server, Service
from muster.core.ports import NovaPort
from muster.core.server_case import Verdict
from muster.engine.observer import observe
from tests.fakes import FakeClock, FakeCluster, settings

STOPPED = {"arrived": ("cmp2", EvacuationStatus.DONE), "failed": ("cmp1", EvacuationStatus.FAILED)}


class Quiet:
    """A dead host; its one server, which its owner had stopped, was evacuated once."""

    def __init__(self, at: float, host: str, status: EvacuationStatus) -> None:
        self._server = Server("a", host, "stopped", updated=at)
        self._evacuation = Evacuation("1", "a", "cmp1", status, "cmp2", at - 60.0, at - 50.0)

    def services(self) -> Sequence[Service]:
        return [Service("u1", "cmp1", forced_down=True, enabled=False, disabled_reason="muster: x")]

    def servers_on(self, host: str) -> Sequence[Server]:
        return [self._server] if self._server.host == host else []

    def servers_changed(self, since: float, brief: bool = False) -> Sequence[Server]:
        return [self._server]

    def evacuations_from(self, host: str, since: float, page: int = 1000) -> Sequence[Evacuation]:
        return [self._evacuation]

    def owner_log(self, server: str) -> OwnerLog:
        return OwnerLog(Power.STOPPED)


@pytest.mark.parametrize("case", STOPPED)
def test_an_action_log_that_it_has_read_counts_as_read(case: str) -> None:
    """D10: what is stopped, or may run elsewhere, is judged by a log that is newer than the end of its evacuation."""
    clock, cluster = FakeClock(), FakeCluster.of("cmp1", "cmp2")
    first = int(clock.now()) - 90
    cluster.change("cmp1", record=Record(Phase.EVACUATING, first, first), hold=True)
    nova = cast(NovaPort, Quiet(clock.now(), *STOPPED[case]))
    finding = observe(cluster, nova, clock, settings()).incidents["cmp1"].findings["a"]
    assert finding.rule != "arrived-unread"
    assert not finding.queue_unread
    assert (finding.verdict is Verdict.EVACUATED) is (case == "arrived")
