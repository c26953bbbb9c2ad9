# SPDX-License-Identifier: Apache-2.0
"""The last incidents of a host: the node attribute ``muster-past``, the same on every controller.

When each began and ended, and which of its servers were not evacuated: the rest Nova has on record, and without this
nobody could tell which of its records belong to which incident.  By when they began it is decided whether a host that
was fenced again and again returns by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Optional

KEPT = 5
SERVERS_LIMIT = 50
"""So many are named of each incident."""

_SERVER = re.compile(r"[0-9A-Za-z-]{1,64}")
_SPAN = re.compile(r"([0-9]{1,12})-([0-9]{1,12})")


@dataclass(frozen=True)
class PastIncident:
    """:param first: when the host was first fenced.
    :param closed: when it was back in service; 0: nobody has seen that.
    :param left: ids of servers that were held, parked or unknown then, sorted.
    """

    first: int
    closed: int = 0
    left: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        return ",".join((f"{self.first}-{self.closed}", *self.left))

    @classmethod
    def parse(cls, token: str) -> PastIncident:
        """:raises ValueError: for what muster does not write."""
        span, *left = token.split(",")
        found = _SPAN.fullmatch(span)
        if not found or not all(map(_SERVER.fullmatch, left)):
            raise ValueError(f"{token!r} is no incident")
        return cls(int(found[1]), int(found[2]), tuple(left))


@dataclass(frozen=True)
class Past:
    """:param incidents: newest first; at least one."""

    incidents: tuple[PastIncident, ...]

    @property
    def token(self) -> str:
        """The attribute's value: words with a space between."""
        return " ".join(incident.token for incident in self.incidents)

    @classmethod
    def parse(cls, token: str) -> Past:
        """:raises ValueError: for what muster does not write."""
        return cls(tuple(map(PastIncident.parse, token.split(" "))))


def with_incident(old: Optional[Past], first: int, closed: int, left: Collection[str]) -> Past:
    """The note with this incident as it is known now."""
    others = [it for it in (old.incidents if old else ()) if it.first != first]
    this = PastIncident(first, closed, tuple(sorted(left))[:SERVERS_LIMIT])
    newest_first = sorted([this, *others], key=lambda it: it.first, reverse=True)
    return Past(tuple(newest_first[:KEPT]))
