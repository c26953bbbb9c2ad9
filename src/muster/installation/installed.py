# SPDX-License-Identifier: Apache-2.0
"""How muster is installed in a cluster, on this controller and in Nova: frozen values, seen by gateways.

Nothing here asks, waits or judges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from muster.core.nova_facts import Service
from muster.installation.fencing_topology import Device, Level

STICKINESS = "resource-stickiness"
CANNOT_START, DOES_WITHOUT = "cannot start: ", "does without: "
"""How what a controller says that it lacks begins."""


@dataclass(frozen=True)
class Resource:
    """A resource of the agent ComputeRecovery.

    :param parameters: as they stand in the CIB; credentials are not among them.
    :param active_on: controllers on which it is started, by the last known operation.
    :param unasked: members of which Pacemaker has yet to find out whether it runs there, for it asks them anew.
    :param active_since: when it was started there, or found by a probe.
    :param started_at: when it was last started there; 0 where Pacemaker does not know any more.
    :param disabled: an operator keeps it stopped (``target-role``), or the whole cluster is in maintenance.
    :param paused: who told it to change nothing; empty if nobody did.
    :param failures: by controller, what Pacemaker says of its last failed operation.
    :param stickiness: its own, or the cluster's default; empty for Pacemaker's, which is none.
    :param monitored: it has a recurring monitor.
    :param off_remotes: a rule keeps it away from remote nodes.
    :param asking: ids of the constraints that do so and yet have Pacemaker ask every remote whether it runs there.
    :param avoids: nodes that it is kept away from by their names.
    """

    id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    active_on: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    active_since: int = 0
    started_at: int = 0
    paused: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)
    stickiness: str = ""
    monitored: bool = False
    off_remotes: bool = False
    asking: tuple[str, ...] = ()
    avoids: frozenset[str] = frozenset()

    @property
    def sought(self) -> bool:
        """Pacemaker does not know where it runs, so nobody can say that it does not."""
        return bool(self.unasked) and not self.active_on

    @property
    def disabled(self) -> bool:
        return self.meta.get("target-role", "").lower() == "stopped"

    @property
    def unmanaged(self) -> bool:
        return self.meta.get("is-managed", "").lower() in ("false", "no", "off", "0")

    @property
    def sticks(self) -> bool:
        return self.stickiness.upper().lstrip("+") == "INFINITY" or (
            self.stickiness.lstrip("+").isdecimal() and int(self.stickiness) > 0
        )


@dataclass(frozen=True)
class Rival:
    """Something else in the cluster that evacuates, or that lifts what muster sets.

    :param id: of the outermost resource, to name it to ``pcs``.
    :param agent: as Pacemaker calls it.
    :param does: what it does, after the agent's name.
    :param fences: it is a fence device.
    :param disabled: an operator keeps it stopped.
    :param levels: nodes that have it in a fencing level.
    """

    id: str
    agent: str
    does: str
    fences: bool = False
    disabled: bool = False
    levels: tuple[str, ...] = ()

    @property
    def in_charge(self) -> bool:
        """It may act; a level with a disabled device fails, and that is no way to leave it either."""
        return not self.disabled or bool(self.levels)


@dataclass(frozen=True)
class Installation:
    """The configuration in the CIB, as far as muster depends on it.

    :param quorum: whether this controller has it; without, all of this may be old.
    :param options: the cluster's.
    :param options_unclear: why they cannot be told; empty where they can.
    :param computes: the remote nodes, and the members that a device of fence_muster lists, unless host_map leaves them
        alone.
    :param remotes: those of the computes that are remote nodes.
    :param levels: by node, the fencing levels that apply to it.
    :param workers: every resource of the agent ComputeRecovery.
    :param nova_compute: what runs nova-compute, by the id to put a rule on: whether muster-hold keeps it away.
    :param stops: by primitive that runs nova-compute, how many seconds Pacemaker gives its stop before it fences the
        host; None where that cannot be read.
    :param rivals: whatever else evacuates here, or lifts what muster sets.
    :param versions: by controller, of the agent that Pacemaker last found there, or that was installed since.
    :param lacks: by controller, what the worker would lack there, by what Pacemaker last found.
    :param ids: of all resources.
    """

    quorum: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    options_unclear: str = ""
    controllers: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()
    remotes: frozenset[str] = frozenset()
    devices: Mapping[str, Device] = field(default_factory=dict)
    levels: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    workers: tuple[Resource, ...] = ()
    nova_compute: Mapping[str, bool] = field(default_factory=dict)
    stops: Mapping[str, Optional[float]] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()

    @property
    def pacemaker(self) -> tuple[int, ...]:
        """The version of the controller that decides (DC); empty where the cluster does not say."""
        found = re.match(r"\d+(\.\d+)*", self.options.get("dc-version", ""))
        return tuple(map(int, found.group().split("."))) if found else ()

    @property
    def every_level(self) -> tuple[Level, ...]:
        """Each once, also one that applies to several nodes."""
        found = {level.id: level for mine in self.levels.values() for level in mine}
        return tuple(found.values())

    @property
    def in_charge(self) -> tuple[Rival, ...]:
        """The rivals that may act."""
        return tuple(rival for rival in self.rivals if rival.in_charge)


@dataclass(frozen=True)
class Controller:
    """What only the controller itself knows.

    :param name: empty if Pacemaker does not say.
    :param root: whether whoever looks may see everything.
    :param version: of muster here.
    :param agents: by path, the version that the agent names, or why it names none.
    :param credentials: what is wrong with the file of the credentials; None if nobody says which it is.
    :param worker_version: of the worker that Pacemaker runs, wherever; empty if it does not say.
    :param pcs: its version; empty if it is not there.
    :param crmsh: whether that is there.
    :param evacuators: what runs here, not by Pacemaker, and has hosts evacuated.
    """

    name: str = ""
    root: bool = True
    version: str = ""
    agents: Mapping[str, AgentSeen] = field(default_factory=dict)
    credentials: Optional[tuple[str, ...]] = None
    worker_version: str = ""
    pcs: tuple[int, ...] = ()
    crmsh: bool = False
    evacuators: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgentSeen:
    """:param version: that it names; empty if it names none.
    :param fault: why it does not run; empty if it does.
    """

    version: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Right:
    """Whether muster's user may do something in Nova.

    :param may: None where it could not be found out.
    :param words: Nova's, or why it is not known.
    :param remedy: how to get it, or to find it out.
    :param moot: there is nothing now that it could be asked about without harm.
    :param lesser: no evacuation depends on it, only what muster says of the capacity.
    """

    name: str
    may: Optional[bool]
    words: str = ""
    remedy: str = ""
    moot: bool = False
    lesser: bool = False


@dataclass(frozen=True)
class NovaAccess:
    """What muster's user finds in Nova.

    :param asked: whether it could be asked at all.
    :param trouble: why it did not answer, or was not asked; nothing else is known then.
    :param offered: the newest microversion.
    :param services: None if they cannot be listed.
    :param evacuators: what else, by Keystone's catalogue and by the services' reasons, evacuates in this cloud.
    :param placement: why Placement cannot be reached; empty if it answers, None if it was not asked.
    :param services_at: when they were listed, by the clock that their times are told by.
    :param clock_ahead_s: by how much the API's host is ahead of this controller; None if it does not say.
    """

    asked: bool = True
    trouble: str = ""
    offered: str = ""
    rights: tuple[Right, ...] = ()
    services: Optional[tuple[Service, ...]] = None
    services_at: float = 0.0
    evacuators: tuple[str, ...] = ()
    placement: Optional[str] = None
    clock_ahead_s: Optional[float] = None
