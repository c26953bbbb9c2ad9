# SPDX-License-Identifier: Apache-2.0
"""What each part of a simulated world may use of the whole.  The world makes and imports its parts, none imports it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional, Protocol, runtime_checkable

from muster.core.cluster_facts import Node
from muster.core.decide import Incident
from muster.settings import Settings
from tests.sim.cloud import Cloud
from tests.sim.faults import Faults
from tests.sim.inventory import Instance
from tests.sim.site import Site
from tests.sim.timeline import Clock, Timeline


@runtime_checkable
class World(Protocol):
    """:class:`tests.sim.world.World`, which says what each of these is."""

    now: float
    rng: random.Random
    verbose: bool
    timeline: Timeline
    judge: Any
    advised: Any
    policy: Settings
    cloud: Cloud
    site: Site
    clocks: dict[str, float]
    faults: Faults
    nova_down: bool
    policy_hides_hosts: bool
    broken: set[str]
    shown: dict[tuple[object, ...], tuple[float, Any]]
    asked: Counter[str]
    reports: dict[str, dict[str, Any]]
    released: dict[str, float]
    liars: set[str]
    lived_by_hand: set[str]
    by_hand: str
    calm: bool
    passes: int
    kill_at: set[int]
    patience_s: float
    disturbed_until: float
    current: Optional[Process]

    def say(self, text: str) -> None: ...
    def after(self, delay_s: float, what: Callable[[], None]) -> None: ...
    def run_for(self, seconds: float) -> None: ...
    def bury(self, process: Process) -> None: ...
    def call(self, process: Process, kind: str, moment: str, write: bool = False) -> None: ...
    def note_call(self, process: Process, kind: str, *what: str) -> None: ...
    def note_state(self, incidents: Iterable[Incident]) -> int: ...


@runtime_checkable
class Process(Protocol):
    """:class:`tests.sim.process.Process`, which says what each of these is."""

    world: World
    controller: str
    alive: bool
    clock: Clock
    knew_quorum: bool
    knew_current: bool
    read_at: dict[str, float]
    first_read_at: dict[str, float]
    incidents: dict[str, Incident]
    beats: dict[str, float]
    hidden: dict[str, tuple[float, float]]
    looked: Mapping[str, Node]
    fenced_at: Mapping[str, float]
    saw_paused: bool
    sent_this_pass: dict[str, str]
    sent_since_told: set[str]
    believed: set[tuple[str, str]]

    def check(self) -> None: ...
    def sent(self, ident: str, target: Optional[str]) -> None: ...
    def knew(self, kind: str, since: float) -> bool: ...
    def knows_of_elsewhere(self, inst: Instance) -> bool: ...
