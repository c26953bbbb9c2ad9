# SPDX-License-Identifier: Apache-2.0
"""The effects that a decision may ask for: values, carried out by :mod:`muster.engine.act`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from muster.core.cluster_facts import Record


@dataclass(frozen=True)
class WriteRecord:
    """Record a fencing that only Pacemaker knows of, and keep nova-compute away: a compare-and-set, too, and nothing
    new is written of a node that has joined meanwhile.

    :param old: None if there is to be no record yet.
    """

    node: str
    old: Optional[Record]
    record: Record


@dataclass(frozen=True)
class SwapRecord:
    """Compare-and-set of the record: exactly one worker gets through."""

    node: str
    old: Record
    new: Record


@dataclass(frozen=True)
class DropHold:
    """Let nova-compute start on the node again."""

    node: str


@dataclass(frozen=True)
class StopCompute:
    """Keep nova-compute away for a moment, so that Pacemaker stops it and starts it anew."""

    node: str
    record: Record


@dataclass(frozen=True)
class DropRecord:
    """Remove the closed record."""

    node: str
    record: Record


@dataclass(frozen=True)
class ForceDown:
    """Force the service down; with a reason also disable it, in one request."""

    node: str
    service: str
    host: str
    disable_reason: Optional[str]


@dataclass(frozen=True)
class ForceUp:
    """Undo what muster did to the service, and nothing else.

    :param disable_reason: it stays disabled, and this becomes the reason.
    """

    node: str
    service: str
    host: str
    unforce: bool
    enable: bool
    disable_reason: Optional[str] = None


@dataclass(frozen=True)
class ReadLog:
    """Read what the server's owner last asked for."""

    server: str


@dataclass(frozen=True)
class ReadServer:
    """Read the server itself: what is known of it is older than what it is to be judged by."""

    server: str


@dataclass(frozen=True)
class ReadCalls:
    """Read what Nova says of the server's evacuate calls: how far each came, and where it failed."""

    node: str
    server: str


@dataclass(frozen=True)
class ListAgain:
    """List the host's servers completely before it is called settled."""

    node: str


@dataclass(frozen=True)
class Stop:
    server: str


@dataclass(frozen=True)
class Reset:
    """Have Nova take the server for active, so that it can be evacuated.

    :param vm_state: what it is now, for the log.
    """

    server: str
    name: str
    vm_state: str


@dataclass(frozen=True)
class Evacuate:
    """Ask Nova to rebuild the server elsewhere.

    :param evacuations_before: evacuations of it that are known, so that the one more can be recognised as this one.
    """

    node: str
    server: str
    name: str
    source: str
    target: Optional[str]
    evacuations_before: int


Step = Union[
    WriteRecord,
    SwapRecord,
    DropHold,
    StopCompute,
    DropRecord,
    ForceDown,
    ForceUp,
    ReadLog,
    ReadServer,
    ReadCalls,
    ListAgain,
    Stop,
    Reset,
    Evacuate,
]
