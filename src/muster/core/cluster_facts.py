# SPDX-License-Identifier: Apache-2.0
"""What was seen of the cluster.  Frozen values in our own words; impossible ones cannot be constructed.

Nothing here asks, waits or decides.  Times are Unix seconds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from muster.core.left_behind import LeftBehind
from muster.core.operator_orders import Orders
from muster.core.past_incidents import Past


class Phase(enum.Enum):
    """How far the incident of a host has come, as far as it must outlive every process."""

    FENCED = "fenced"  # powered off behind a power device; no worker has asked Nova for anything yet
    CONFIRMED = "confirmed"  # the same, but known from Pacemaker's own fencing state (an operator's word, maybe)
    EVACUATING = "evacuating"  # a worker has begun: whoever comes next must expect calls under way
    RETURNING = "returning"  # settled, no evacuation open: nova-compute may start again
    CLOSED = "closed"  # to be deleted


LATEST = 253_402_300_799
"""The end of the year 9999: what is later cannot be asked of Nova, nor shown to anybody."""

UNTOUCHED = (Phase.FENCED, Phase.CONFIRMED)
"""Until a worker has claimed the incident nobody can have asked Nova for anything."""

_TOKEN = re.compile(
    r"(?P<phase>[a-z]+):(?P<first>\d{1,12}):(?P<last>\d{1,12})(?P<mark>:kept|:forced)?(?P<lives>:lives)?"
)


@dataclass(frozen=True)
class Record:
    """The durable record of one dead host: the node attribute ``muster``.

    :param first: when the incident's first fencing was recorded; evacuations since then belong to it.
    :param last: its latest fencing; a heartbeat after it refutes the fencing.
    :param kept: the service was already forced down by an operator before muster touched it, and stays so.
    :param forced: it may still be forced down by muster, from an incident whose return was cut short by this one; and
        what that had sent to lift it may come late.
    :param lives: it was seen to live after its last fencing.  Only one that began later takes that back: the next
        ``off`` of fence_muster, or an operator's ``muster confirm``.  Pacemaker's time of a fencing is that of its end,
        which may come minutes after the off (fenced_remote.c, finalize_op), and proves nothing new.
    """

    phase: Phase
    first: int
    last: int
    kept: bool = False
    forced: bool = False
    lives: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.last:
            raise ValueError(f"record: first fencing {self.first} must be positive and not after the last {self.last}")
        if self.last > LATEST:
            raise ValueError(f"record: {self.last} is after the year 9999, and no time")
        if self.kept and self.forced:
            raise ValueError("record: a force-down is an operator's or muster's, not both")

    @property
    def token(self) -> str:
        """The attribute's value: ``phase:first:last``, ``:kept`` or ``:forced``, and ``:lives``."""
        mark = ":kept" if self.kept else ":forced" if self.forced else ""
        return f"{self.phase.value}:{self.first}:{self.last}{mark}{':lives' * self.lives}"

    @classmethod
    def parse(cls, token: str) -> Record:
        """:raises ValueError: naming the token, if it is none of ours."""
        found = _TOKEN.fullmatch(token)
        if not found:
            raise ValueError(f"record {token!r}: expected phase:first:last, with times in Unix seconds")
        kept, forced = found["mark"] == ":kept", found["mark"] == ":forced"
        return cls(Phase(found["phase"]), int(found["first"]), int(found["last"]), kept, forced, bool(found["lives"]))

    def fenced_again(self, at: int) -> Record:
        """The record after one more fencing of the same host.

        An incident that is under way goes on (its evacuations since ``first`` stay known); one that had let the
        host return begins anew.
        """
        at = min(max(at, self.last + 1), LATEST)  # not the same again, by whatever clock: it is another fencing
        if self.phase is Phase.CLOSED:
            return Record(Phase.FENCED, at, at)
        if self.phase is Phase.RETURNING:
            return Record(Phase.FENCED, at, at, self.kept, not self.kept)
        return Record(self.phase, self.first, at, self.kept, self.forced)


@dataclass(frozen=True)
class Node:
    """A node as Pacemaker knows it.

    :param record: None without one; a string is a value that cannot be read, which is never taken for "none".
    :param hold: nova-compute is kept away from it (``muster-hold``).
    :param member: the node is known to be in the cluster now; see :attr:`away`.
    :param fenced_at: Pacemaker's own word that it was fenced and has not come back (0: no).
    :param lost_at: when Pacemaker's connection to a remote broke, as long as it is away (0: not known).
    :param found_running: when an operation last found there what muster-hold keeps away, or stopped it (0: never).
    :param probed_running: the same by a probe alone: what muster has let start again may be stopped, too.
    :param orders: what operators have said, about whichever incident; see :attr:`standing_orders`.
    :param unreadable_orders: a value that cannot be read, which is never taken for "none".
    :param shown: what muster has it show to crm_mon; Pacemaker forgets it whenever the node joins.
    :param compute: one of this cloud's computes; bundles and other guests are remotes, too.
    :param unproved: why Pacemaker's own word that it was fenced does not prove that it is off; empty where it does.
    :param left: servers that nobody had seen to when it returned; nothing is decided by it.
    :param past: its last incidents: whether it returns by itself is decided by when they began.
    :param confirmed_at: when an operator has given his word for it instead, to Pacemaker (0: not).
    """

    name: str
    remote: bool
    record: Optional[Record] = None
    unreadable_record: str = ""
    hold: bool = False
    member: bool = False
    fenced_at: int = 0
    lost_at: int = 0
    found_running: int = 0
    probed_running: int = 0
    orders: Optional[Orders] = None
    unreadable_orders: str = ""
    shown: str = ""
    compute: bool = True
    unproved: str = ""
    confirmed_at: int = 0
    left: Optional[LeftBehind] = None
    past: Optional[Past] = None

    @property
    def away(self) -> bool:
        """It is known to be out of the cluster: of a remote, fenced and not back since.

        What is neither a member nor away nobody knows of: it left and was not fenced, or somebody had Pacemaker forget
        its history a moment ago.  Then the fencing on record proves nothing any more.
        """
        return not self.member and (bool(self.fenced_at) or not self.remote)

    @property
    def known_off(self) -> bool:
        """Away, and nobody has seen it since its fencing.  Of a full member that is away nothing tells that it has not
        been there since."""
        return self.remote and self.away

    @property
    def standing_orders(self) -> Orders:
        """Those given for the incident on record: an order of an earlier incident means nothing."""
        first = self.record.first if self.record else 0
        return self.orders if self.orders and self.orders.first == first else Orders(first)


@dataclass(frozen=True)
class Cluster:
    """One snapshot of the CIB, seen from this controller.

    :param active_here: the worker's resource is started here, in the last known operation.
    :param resource: its id.
    :param nova_compute: the id of the one that muster-hold keeps away; empty where it is not exactly one.
    :param active_elsewhere: controllers on which the same resource is started, too.
    :param paused: who told muster to change nothing for now; empty if nobody did.
    """

    quorum: bool
    local: str
    nodes: Mapping[str, Node]
    active_here: bool = True
    active_elsewhere: tuple[str, ...] = ()
    paused: str = ""
    resource: str = "muster"
    nova_compute: str = ""
