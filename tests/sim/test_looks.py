# SPDX-License-Identifier: Apache-2.0
"""E16: beside the real engine in a simulated world, a worker that looks whether it is ready disturbs no incident."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from muster.core.decide import Incident
from muster.core.findings import State
from muster.installation.checks.examination import Examined, ok
from muster.reporting.outlets.readiness import EVERY_S, ReadinessLooks
from tests.fakes import LogLines
from tests.sim.process import Process
from tests.sim.stage import Stage

BUSY = {State.FENCED, State.FORCING_DOWN, State.EVACUATING}
FINE = [Examined("all", (ok("fine"),))]


class Looking:
    """Every worker of a world looks; when, and at which incidents it was then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], None]], None]) -> None:
        self.made: list[tuple[float, set[State]]] = []
        self.incidents: list[Incident] = []
        self.looks: dict[Process, ReadinessLooks] = {}
        told = Process.status

        def status(process: Process, reason: str, incidents: list[Incident]) -> None:
            told(process, reason, incidents)
            world = process.world
            clock = SimpleNamespace(now=lambda: world.now, monotonic=lambda: world.now)
            if process not in self.looks:
                self.looks[process] = ReadinessLooks(
                    lambda: FINE, lambda: None, lambda: True, clock, LogLines(), begin=self._begin(world, ends)  # type: ignore[arg-type]
                )  # fmt: skip
            self.incidents = incidents
            self.looks[process].status(reason, incidents)

        monkeypatch.setattr(Process, "status", status)

    def _begin(self, world: object, ends: Callable[[Callable[[], None]], None]) -> Callable[[Callable[[], None]], None]:
        def begin(work: Callable[[], None]) -> None:
            self.made.append((world.now, {it.state for it in self.incidents}))  # type: ignore[attr-defined]
            ends(work)

        return begin


def whole_incident() -> Iterator[Stage]:
    """Half an hour of rest, a host that dies, is repaired and returns, and a quarter of an hour of rest."""
    it = Stage(servers=4, in_flight=1)
    it.run_for(1800.0)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    yield it
    it.run_for(900.0)
    it.power_on("cmp1")
    it.until(it.over("cmp1"), 900.0)
    it.run_for(900.0)
    it.fair()
    yield it


def test_looks_at_rest_and_while_a_host_waits_for_its_repair_and_never_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looking = Looking(monkeypatch, lambda work: work())
    *_, it = whole_incident()
    assert [at for at, states in looking.made if states & BUSY] == []
    assert any(states == {State.SETTLED} or states == {State.RETURNING} for _, states in looking.made)
    gaps = [after - before for (before, _), (after, _) in zip(looking.made, looking.made[1:])]
    assert sum(gap < EVERY_S for gap in gaps) == 0
    assert len(looking.made) >= 0.8 * (it.now - looking.made[0][0]) / (EVERY_S + 10)


def test_a_look_that_never_ends_changes_nothing_of_an_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same calls at the same moments."""

    def told(it: Stage) -> list[str]:
        return [line for line in it.story if "nova" in line or "record" in line or "evacuat" in line]

    *_, plain = whole_incident()
    looking = Looking(monkeypatch, lambda work: None)
    *_, beside = whole_incident()
    assert len(looking.made) == len(looking.looks) == 1
    assert told(beside) == told(plain)
    assert len(told(plain)) > 20
