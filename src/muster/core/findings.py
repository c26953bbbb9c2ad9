# SPDX-License-Identifier: Apache-2.0
"""What is said of a server and of an incident: verdicts, states, and one server's finding.  Frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from muster.core.nova_facts import Server


class Verdict(enum.Enum):
    QUEUED = "queued"
    EVACUATING = "evacuating"
    EVACUATED = "evacuated"
    PARKED = "parked"
    HELD = "held"
    SKIPPED = "skipped"
    GONE = "gone"
    UNKNOWN = "unknown"

    @property
    def open(self) -> bool:
        """An incident is not settled while one of its servers has such a verdict."""
        return self in (Verdict.QUEUED, Verdict.EVACUATING, Verdict.PARKED, Verdict.UNKNOWN)


class State(enum.Enum):
    """The state of an incident."""

    FENCED = "fenced"
    FORCING_DOWN = "forcing-down"
    EVACUATING = "evacuating"
    SETTLED = "settled"
    RETURNING = "returning"
    CLOSED = "closed"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Finding:
    """The verdict of one server and the row that gave it.

    :param due: for a parked one, when it is tried next.
    :param dest: where it is, or is on its way to.
    :param under_way: Nova has been asked to evacuate it and may be at work, even where its cell does not say so now.
        What does not say when it began is none, nor is what takes longer than it may: it would hold up the others for
        good.
    :param alarm: it is seen to be on its way, and takes longer than it may.
    :param queued_start: what waits for the dead host's nova-compute and would start it there: "start" or "rescue".
    :param may_run: its guest may run elsewhere, where a rebuild failed.
    :param target: the only host that it may be sent to; empty where any will do.
    :param queue_unread: nobody has read which orders of it wait for the dead host's nova-compute; a start among them
        would be a second guest.
    :param waits_for: the host in whose queue its evacuation waits, by what placement says.
    :param attempts: evacuations of it that Nova has on record in this incident.
    """

    server: Server
    verdict: Verdict
    rule: str
    reason: str
    source: str = ""
    dest: str = ""
    request_id: str = ""
    due: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    under_way: bool = False
    alarm: bool = False
    attempts: int = 0
    target: str = ""
    queued_start: str = ""
    may_run: bool = False
    queue_unread: bool = False
    waits_for: str = ""
