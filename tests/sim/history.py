# SPDX-License-Identifier: Apache-2.0
"""One history from one number: a small cloud, some hosts that die, and everything else that goes wrong meanwhile."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from muster.core.nova_facts import Power
from tests.sim import misfortunes
from tests.sim.cloud_state import Odds
from tests.sim.ending import run_to_the_end
from tests.sim.site import CONTROLLERS
from tests.sim.world import World

AHEAD_S = (0.0, 0.0, 0.0, -3.0, 2.0, 4.0, -20.0, 20.0, -62.0, 62.0, -3600.0, 3600.0)
WINDOW_S = (50.0, 160.0)
BREAKDOWNS = (ValueError, AttributeError, KeyError, TypeError, RecursionError)
"""What a broken engine raises."""


def parameters(rng: random.Random) -> dict[str, Any]:
    """Settings of muster as operators may choose them."""
    return {
        "shared_storage": rng.choices(("yes", "no"), (9, 1))[0],
        "in_flight": rng.choice((1, 2, 4, 10, 10)),
        "per_destination": rng.choice((0, 0, 1, 3, 5)),
        "attempts": rng.choice((1, 2, 3, 3, 5)),
        "max_failed_hosts": rng.choice((1, 2, 3, 3, 3, 3)),
        "evacuate": rng.choices(("all", "tagged"), (9, 1))[0],
        "reset_states": rng.choice(("", "", "paused", "paused suspended rescued")),
        "delay_s": rng.choices((0, 15, 30), (5, 1, 2))[0],
        "late_call_s": rng.choice((30, 30, 60)),
        "retry_delay_s": rng.choice((1, 5, 10, 30)),
        "stuck_after_s": rng.choice((60, 300, 900)),
    }


def server_facts(rng: random.Random) -> dict[str, Any]:
    """Most are plain; some are in each of the states that Nova knows."""
    facts: dict[str, Any] = {"metadata": {}}
    kind = rng.choices(
        ("active", "stopped", "error", "error-stopped", "odd", "deleting", "powering", "migrating", "unlaunched"),
        (60, 15, 5, 5, 6, 2, 3, 2, 2),
    )[0]
    facts["vm_state"] = {"error-stopped": "error", "odd": rng.choice(misfortunes.ODD_STATES)}.get(
        kind, kind if kind in ("active", "stopped", "error") else "active"
    )
    if kind == "error-stopped":
        facts["wanted"] = Power.STOPPED
    if kind == "unlaunched":
        facts.update(vm_state="error", launched=False)
    if kind in ("deleting", "migrating"):
        facts["task"] = kind
    if rng.random() < 0.3:
        facts["metadata"]["evacuate_priority"] = rng.choice(("900", "500", "x"))
    if rng.random() < 0.1:
        facts["mark"] = rng.choice(("true", "false"))
    if rng.random() < 0.3:
        facts["image"] = "image-1"
    return facts


def build(seed: int) -> World:
    """The world at its beginning, with everything that will happen to it already planned."""
    rng = random.Random(f"plan {seed}")
    hosts = [f"cmp{n}" for n in range(1, rng.choice((2, 3, 3, 3, 4)) + 1)]
    cells = {hosts[-1]: "cell2"} if len(hosts) == 4 and rng.random() < 0.3 else {}
    world = World(seed, hosts, cells, rng.choice(AHEAD_S), **parameters(rng))
    cloud = world.cloud
    beats_s = rng.choice((10.0, 10.0, 10.0, 10.0, 5.0, 30.0, 60.0))
    world.policy = replace(world.policy, report_interval_s=int(beats_s))
    for host in cloud.computes.values():
        host.beats_s = beats_s
    if rng.random() < 0.4:
        world.clocks.update({c: rng.uniform(-2.0, 2.0) for c in CONTROLLERS})
    world.site.ends_late = rng.choice((0.0, 0.0, 0.3))
    cloud.omits_silent = rng.random() < 0.5
    for n in range(rng.choice((2, 3, 4, 6, 8))):
        cloud.add_server(f"s{n}", rng.choice(hosts[:2] + hosts[:1]), **server_facts(rng))
    if rng.random() < 0.7:
        cloud.odds = Odds(fail=rng.choice((0.0, 0.0, 0.1, 0.4)), refuse=rng.choice((0.0, 0.0, 0.1, 0.4)))
        cloud.odds.hang = rng.choice((0.0, 0.0, 0.2))
        cloud.odds.fail_late = rng.choice((0.0, 0.0, 0.0, 0.2))
        cloud.odds.conductor = rng.choice((0.0, 0.0, 0.0, 0.2))
        cloud.odds.lose = rng.choice((0.0, 0.0, 0.0, 0.1))
        cloud.odds.slow = rng.choice((0.0, 0.2))
        cloud.shows_tracebacks = rng.choice((True, False))
    if rng.random() < 0.75:
        faults = world.faults
        faults.reads = rng.choice((0.0, 0.02, 0.1, 0.25))
        faults.writes = rng.choice((0.0, 0.05, 0.2, 0.4))
        faults.cluster_writes = rng.choice((0.0, 0.0, 0.1, 0.3))
        faults.halves = rng.choice((0.0, 0.0, 0.02, 0.1))
        faults.deaths = rng.choice((0.0, 0.0, 0.05, 0.15))
        if rng.random() < 0.5:
            faults.kinds_of_writes = tuple(k for k in faults.kinds_of_writes if k != "refused")
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        world.kill_at.add(rng.randrange(1, 250))
    misfortunes.plan(world, rng, rng.uniform(*WINDOW_S))
    if rng.random() < 0.05:
        world.faults.note("action log withheld")
        cloud.withheld.add(rng.choice(list(cloud.instances)))
    return world


def play(seed: int, verbose: bool = False) -> World:
    """The whole history; afterwards the judge has spoken."""
    world = build(seed)
    world.verbose = verbose
    world.start_worker()
    world.run_for(world.window_s)
    run_to_the_end(world)
    return world
