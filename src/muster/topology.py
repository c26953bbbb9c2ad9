# SPDX-License-Identifier: Apache-2.0
"""Whether a call of ``off`` proves that the power was cut: only behind a power device in the same fencing level.

Alone in a level, first in it or without any level, Pacemaker takes the recording device for the whole fencing, and
nobody cuts the power (measured: FACTS P6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

AGENT = "fence_muster"
EVACUATORS = frozenset({"fence_compute", "fence_evacuate"})
"""Fence agents that force hosts down, enable them again and evacuate, by themselves or for NovaEvacuate."""
NO_POWER = frozenset({AGENT, "fence_kdump", "fence_dummy", "fence_heuristics_ping"}) | EVACUATORS
"""Agents that succeed without cutting anybody's power."""


@dataclass(frozen=True)
class Device:
    """A fence device.

    :param off_action: what it is called with where ``off`` is meant (``pcmk_off_action``).
    :param hosts: the nodes in ``pcmk_host_list`` and ``pcmk_host_map``.
    :param host_check: ``pcmk_host_check`` as it stands; empty for Pacemaker's default.
    :param disabled: an operator keeps it stopped.
    """

    id: str
    agent: str
    off_action: str = "off"
    hosts: tuple[str, ...] = ()
    host_check: str = ""
    disabled: bool = False

    @property
    def cuts_power(self) -> bool:
        return self.agent not in NO_POWER and self.off_action == "off"

    @property
    def asked(self) -> bool:
        """Whether Pacemaker has to ask the device which nodes it can fence."""
        return self.host_check not in ("static-list", "none") if self.host_check else not self.hosts

    def covers(self, node: str) -> Optional[bool]:
        """Whether Pacemaker takes it for able to fence the node; None where only the device itself knows."""
        if self.host_check == "none":
            return True
        return None if self.asked else node.casefold() in {host.casefold() for host in self.hosts}


@dataclass(frozen=True)
class Level:
    """:param target: which nodes it applies to, as ``pcs stonith level`` takes it."""

    index: int
    devices: tuple[str, ...]
    target: str = ""


class Doubt(NamedTuple):
    what: str
    remedy: str


def objection(target: str, levels: Sequence[Level], devices: Mapping[str, Device]) -> Optional[str]:
    """:func:`doubt` in one sentence."""
    found = doubt(target, levels, devices)
    return found and f"{found.what}: {found.remedy}"


def doubt(target: str, levels: Sequence[Level], devices: Mapping[str, Device]) -> Optional[Doubt]:
    """Why a record of this node's fencing would prove nothing; None when it is sound.

    :param levels: all levels that apply to the node; which one is being carried out Pacemaker does not tell.
    """
    ours = {name for name, device in devices.items() if device.agent == AGENT}
    concerned = [level for level in levels if ours & set(level.devices)]
    if not concerned:
        return Doubt(
            f"no fencing level of {target} names {AGENT}, so nobody cuts its power before it is called",
            f"pcs stonith level add 1 {target} POWER-DEVICE MUSTER-DEVICE",
        )
    for level in concerned:
        first = next(i for i, name in enumerate(level.devices) if name in ours)
        before = level.devices[:first]
        if not any(name in devices and devices[name].cuts_power for name in before):
            return Doubt(
                f"fencing level {level.index} of {target} is {','.join(level.devices)}: no device that cuts the power"
                f" stands before {level.devices[first]}",
                f"remove the level and add it again as POWER-DEVICE {level.devices[first]}",
            )
    return None
