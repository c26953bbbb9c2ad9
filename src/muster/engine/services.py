# SPDX-License-Identifier: Apache-2.0
"""Nova's compute services as they were last read, for all incidents."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from muster.core.nova_facts import Service

BEATS_LATE_S = 5.0
BEATS_SELDOM_S = 120.0
"""Older than that is a clock that could not be measured, not an interval."""


@dataclass
class Services:
    rows: tuple[Service, ...] = ()
    read_at: float = 0.0
    """When they were last asked for; 0.0: not for the incidents that there are."""
    read_by: float = 0.0
    """When the answer was there; never before ``read_at``."""
    outdated: bool = False
    """This worker has changed one since, or a host was fenced again: they are read before anything is said of them."""
    wanted: bool = False
    """An evacuation was not sent because they were read too long ago."""
    host_became_usable_at: float = 0.0
    beats_every_s: float = 0.0
    """How old the heartbeats of hosts that are up have been seen to become; 0.0: no older than is expected."""

    @property
    def known(self) -> bool:
        return bool(self.read_at)

    def due(self, every_s: float, now: float) -> bool:
        return self.outdated or now - self.read_at >= every_s

    def outdate(self) -> None:
        self.outdated = self.known

    def want(self) -> None:
        self.wanted = True

    def take_wanted(self) -> bool:
        """Whether they are wanted; once."""
        wanted, self.wanted = self.wanted, False
        return wanted

    def forget(self) -> None:
        """Nobody is dead: how often heartbeats come is measured anew the next time."""
        self.read_at, self.outdated, self.beats_every_s = 0.0, False, 0.0

    def note(
        self, rows: tuple[Service, ...], asked_at: float, now: float, dead: Collection[str], every_s: float
    ) -> None:
        """:param dead: Nova's names of hosts with an incident.
        :param every_s: how often heartbeats are expected.
        """
        usable = {row.host for row in rows if _is_usable(row)}
        if self.known and usable - {row.host for row in self.rows if _is_usable(row)}:
            self.host_became_usable_at = asked_at
        self.rows, self.read_at, self.read_by, self.outdated = rows, asked_at, now, False
        self.beats_every_s = max(self.beats_every_s, self._beats_seen_s(dead, every_s))

    def _beats_seen_s(self, dead: Collection[str], every_s: float) -> float:
        """How seldom heartbeats come, by how old those of hosts are that are well: nothing is asked of Nova for that.

        One alone may be of a host that has just died, and while Nova's conductor is down all grow old: too long costs
        time, too short guests.
        """
        well = [row.updated_at for row in self.rows if _is_usable(row) and row.host not in dead]
        ages = sorted(self.read_at - at for at in well if at)[: -1 if len(well) > 2 else None]
        oldest = ages[-1] if ages else 0.0
        return oldest if every_s + BEATS_LATE_S < oldest < BEATS_SELDOM_S else 0.0


def _is_usable(row: Service) -> bool:
    return row.up and row.enabled and row.known
