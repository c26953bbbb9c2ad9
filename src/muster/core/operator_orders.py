# SPDX-License-Identifier: Apache-2.0
"""What operators have said about one incident: the node attribute ``muster-orders``, as durable as the record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

SERVERS_LIMIT = 200
"""So many servers can be named in one incident: for more there is the tag."""

_SERVER = re.compile(r"[0-9A-Za-z-]{1,64}")
_TIME = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Orders:
    """:param first: the first fencing of the incident they were given for; they count in no other.
    :param approved: it may begin although more hosts are dead than ``max_failed_hosts``.
    :param released: what is not under way is left on the host, so that the host may return.
    :param queue_emptied: when nothing waited any more for the host's nova-compute; 0 = nobody said so.  ``released``
        does not say that: it may be older than what anybody knows of something that waits.
    :param skipped: ids of servers that are left where they are.
    :param retried: by server id, when an operator asked for another try: what failed before no longer counts.
    :param all_retried: the same for every server; 0 = never.
    """

    first: int
    approved: bool = False
    released: bool = False
    queue_emptied: int = 0
    skipped: frozenset[str] = frozenset()
    retried: Mapping[str, int] = field(default_factory=dict)
    all_retried: int = 0

    def __post_init__(self) -> None:
        named = self.skipped | set(self.retried)
        bad = [server for server in named if not _SERVER.fullmatch(server)]
        if bad:
            raise ValueError(f"{bad[0]!r} is no server id")
        if len(named) > SERVERS_LIMIT:
            raise ValueError(f"orders name {len(named)} servers, {SERVERS_LIMIT} at most: opt the others out by tag")
        object.__setattr__(self, "retried", MappingProxyType(dict(self.retried)))

    @property
    def token(self) -> str:
        """The attribute's value: words with a space between, the incident first."""
        words = [str(self.first)]
        words += ["approve"] * self.approved + ["release"] * self.released
        words += [f"queue-emptied={self.queue_emptied}"] if self.queue_emptied else []
        words += [f"skip={server}" for server in sorted(self.skipped)]
        words += [f"retry={self.all_retried}"] if self.all_retried else []
        words += [f"retry={server}@{at}" for server, at in sorted(self.retried.items())]
        return " ".join(words)

    @classmethod
    def parse(cls, token: str) -> Orders:
        """What is written is read as it is: a write compares with what :attr:`token` makes of it.

        :raises ValueError: naming the word that is none of ours, or what muster would not write so.
        """
        first, *words = token.split(" ")
        if not _TIME.fullmatch(first):
            raise ValueError(f"orders {token!r}: expected the time of the incident first")
        orders = cls(int(first))
        for word in words:
            orders = orders._with(word)
        if orders.token != token:
            raise ValueError(f"orders {token!r}: muster writes them as {orders.token!r}")
        return orders

    def _with(self, word: str) -> Orders:
        key, _, value = word.partition("=")
        server, _, at = value.rpartition("@")
        if word == "approve":
            return replace(self, approved=True)
        if word == "release":
            return replace(self, released=True)
        if key == "queue-emptied" and _TIME.fullmatch(value):
            return replace(self, queue_emptied=int(value))
        if key == "skip":
            return replace(self, skipped=self.skipped | {value})
        if key == "retry" and server and _TIME.fullmatch(at):
            return replace(self, retried={**self.retried, server: int(at)})
        if key == "retry" and _TIME.fullmatch(value):
            return replace(self, all_retried=int(value))
        raise ValueError(f"orders: {word!r} is no order")

    def skip(self, server: str) -> Orders:
        """Leave this one where it is; another try of it is no longer wanted."""
        retried = {other: at for other, at in self.retried.items() if other != server}
        return replace(self, skipped=self.skipped | {server}, retried=retried)

    def retry(self, server: str, at: int) -> Orders:
        """Try this one again, or all of them if it is empty; what was skipped or released is wanted again, and more may
        come to wait for the host meanwhile."""
        kept = replace(self, released=False, queue_emptied=0)
        if not server:
            return replace(kept, all_retried=at)
        return replace(kept, retried={**self.retried, server: at}, skipped=self.skipped - {server})

    def retried_at(self, server: str) -> float:
        """When an operator last asked for another try of this server; 0.0 = never."""
        return float(max(self.all_retried, self.retried.get(server, 0)))
