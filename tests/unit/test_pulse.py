# SPDX-License-Identifier: Apache-2.0
"""C3, D3: what counts for a sign of life: a heartbeat, and no admin's change, before the claim, after it and on the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from muster.core.facts import Node, Phase, Record, Service
from muster.engine.liveness import feel
from muster.engine.memory import HostMemory

FENCED = 1_800_000_000
UP = Service(id="u1", host="cmp1", up=True, updated_at=FENCED - 3.0)
DOWN = replace(UP, up=False, forced_down=True, enabled=False, disabled_reason="muster: x")
GONE = Node("cmp1", remote=True)
BACK = Node("cmp1", remote=True, member=True)


def host(phase: Phase, ours: bool = True) -> HostMemory:
    it = HostMemory(Record(phase, FENCED, FENCED), ours=ours)
    it.forced_at = it.felt_at = FENCED + 20.0
    return it


def read(it: HostMemory, *services: Service, node: Node = GONE, every_s: float = 10.0) -> HostMemory:
    """The service as it is read one time after the other."""
    for number, service in enumerate(services):
        feel(it, node, service, FENCED + 20.0 + number * every_s)
    return it


@pytest.mark.parametrize(
    ("phase", "service"),
    [(Phase.FENCED, UP), (Phase.CONFIRMED, UP), (Phase.EVACUATING, DOWN)],
    ids=lambda x: str(x)[:16],
)
def test_what_beats_after_its_fencing_lives(phase: Phase, service: Service) -> None:
    beating = [replace(service, updated_at=FENCED + at) for at in (7.0, 17.0)]
    assert read(host(phase), *beating).heartbeat_moved
    assert not read(host(phase), service, service).heartbeat_moved


@pytest.mark.parametrize("phase", [Phase.FENCED, Phase.EVACUATING])
def test_what_an_admin_changes_is_no_heartbeat(phase: Phase) -> None:
    before = UP if phase is Phase.FENCED else DOWN
    changed = replace(before, disabled_reason="theirs", updated_at=FENCED + 30.0)
    it = read(host(phase), before, changed)
    assert not it.heartbeat_moved
    assert read(it, changed, replace(changed, updated_at=FENCED + 40.0)).heartbeat_moved


def test_a_heartbeat_of_before_the_fencing_says_nothing() -> None:
    """Nova's clock may be ahead, and what was written then is read late."""
    early = replace(UP, updated_at=FENCED + 1.0)
    assert not read(host(Phase.FENCED), UP, early).heartbeat_moved


def test_only_a_heartbeat_of_a_host_that_has_joined_is_a_return() -> None:
    beats = [replace(DOWN, updated_at=FENCED + at) for at in (60.0, 70.0)]
    assert not read(host(Phase.RETURNING), *beats, node=GONE).alive_again
    assert not read(host(Phase.RETURNING), beats[0], node=BACK).alive_again, "one reading shows no change"
    assert read(host(Phase.RETURNING), *beats, node=BACK).alive_again


def test_who_takes_over_waits_for_heartbeats_anew() -> None:
    """C6: what the worker before had seen of them is lost with it."""
    assert read(host(Phase.EVACUATING), DOWN).resumed_at == 0.0
    assert read(host(Phase.EVACUATING, ours=False), DOWN).resumed_at == FENCED + 20.0
