# SPDX-License-Identifier: Apache-2.0
"""What an incident costs in passes, calls and requests: numbers that no machine's speed changes."""

from __future__ import annotations

import pytest

from tests.sim.inventory import Compute, Instance, Row
from tests.sim.stage import Stage

HOSTS = 12
WIDTH = 50


def played(dead: int, servers: int) -> Stage:
    """So many hosts die together, with so many servers in all, until the last one may return."""
    it = Stage(hosts=HOSTS, servers=0, in_flight=WIDTH, max_failed_hosts=dead)
    it.verbose = False
    for n in range(servers):
        it.cloud.add_server(f"s{n:04}", f"cmp{n % dead + 1}")
    for n in range(dead):
        it.fence(f"cmp{n + 1}")
    for n in range(dead):
        it.until(it.settled(f"cmp{n + 1}"), 3600.0)
    it.fair()
    return it


@pytest.mark.parametrize("servers", [100, 200, 400])
@pytest.mark.parametrize("dead", [1, 5])
def test_an_incident_costs_one_call_a_server_and_few_reads(dead: int, servers: int) -> None:
    it = played(dead, servers)
    asked, waves = it.asked, servers // WIDTH
    print(dead, servers, it.passes, it.calls, dict(asked))
    assert asked["evacuate"] == servers
    assert asked["force_down"] == dead
    assert asked["action_log"] == asked["stop"] == asked["reset_state"] == 0
    assert asked["servers_on"] <= 2 * dead, "a host is listed when it dies, and before it is settled"
    # A poll is one list of evacuations and at most one of changed servers, however many hosts are dead.
    polls = asked["evacuations_of_all"] + asked["evacuations_from"] - 2 * dead * (dead > 1)
    assert polls <= 20 + 4 * waves
    assert asked["servers_changed"] <= polls + 1
    assert asked["services"] <= 5 + dead + 2 * waves, "one of them shows that a host's last list is all there is"
    assert it.passes <= 28 + 8 * waves
    # Before and after its request a call to Nova counts twice, and each effect is behind a look at the quorum.
    assert it.calls <= 3 * servers + 10 * it.passes


@pytest.mark.parametrize(
    ("harmless", "reads", "measured"),
    [(False, {"action_log": 20}, 171), (True, {"action_log": 20, "trace": 20}, 171)],
    ids=["in its driver", "before its driver was asked"],
)
def test_what_fails_once_costs_no_more_reads_than_it_raises_questions(
    harmless: bool, reads: dict[str, int], measured: int
) -> None:
    """D10, A17: what its owner wants is one request; where it failed another one, unless its fault says that.

    :param measured: requests of the version that docs/performance.md shows, which did not ask where something failed.
    """
    it = Stage(hosts=HOSTS, servers=100, in_flight=200, per_destination=0)
    it.verbose = False
    failing, spawned = {f"s{n}" for n in range(20)}, it.cloud.rebuild.spawned

    def fails_once(inst: Instance, row: Row, dest: Compute) -> None:
        if inst.id in failing:
            it.cloud.rebuild._fail(inst, row, dest, "boom", harmless)
        else:
            spawned(inst, row, dest)
        failing.discard(inst.id)

    it.cloud.rebuild.spawned = fails_once  # type: ignore[method-assign]
    it.fence("cmp1")
    it.until(it.settled(), 3600.0)
    it.fair()
    print(dict(it.asked))
    assert it.asked["evacuate"] == 120
    assert {kind: it.asked[kind] for kind in ("action_log", "trace") if it.asked[kind]} == reads
    assert sum(it.asked.values()) <= 1.05 * measured + reads.get("trace", 0)
