# SPDX-License-Identifier: Apache-2.0
"""Servers that nobody had seen to when their host returned: the node attribute ``muster-left``.

It outlives the record and every worker.  Nothing is decided by it: it is there so that people do not forget.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Optional

SERVERS_LIMIT = 200
"""So many are named; of more than that each report has the rest."""

_SERVER = re.compile(r"[0-9A-Za-z-]{1,64}")
_TIME = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class LeftBehind:
    """:param at: when it was last noted.
    :param servers: their ids, sorted.
    """

    at: int
    servers: tuple[str, ...]

    @property
    def token(self) -> str:
        """The attribute's value: words with a space between, the time first."""
        return " ".join((str(self.at), *self.servers))

    @classmethod
    def parse(cls, token: str) -> LeftBehind:
        """:raises ValueError: for what muster does not write."""
        at, *servers = token.split(" ")
        if not _TIME.fullmatch(at) or not servers or not all(map(_SERVER.fullmatch, servers)):
            raise ValueError(f"{token!r} is no note of servers that were left")
        return cls(int(at), tuple(servers))


def noted(
    old: Optional[LeftBehind], left: Collection[str], seen_to: Collection[str], now: float
) -> Optional[LeftBehind]:
    """The note as it is to be; the same one where nothing has changed, None where nothing is left.

    :param left: are left, as it is known now.
    :param seen_to: are no longer; of every other one it is not known, and it stays.
    """
    before = old.servers if old else ()
    servers = tuple(sorted({*left, *before} - set(seen_to)))[:SERVERS_LIMIT]
    if servers == before:
        return old
    return LeftBehind(int(now), servers) if servers else None
