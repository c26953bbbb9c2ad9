# SPDX-License-Identifier: Apache-2.0
"""What was seen of Nova.  Frozen values in our own words; impossible ones cannot be constructed.

Nothing here asks, waits or decides.  Times are Unix seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True)
class Service:
    """A nova-compute service.

    :param known: False when its cell does not answer (status UNKNOWN).
    :param unreadable: what Nova showed of it that cannot be read; it is not known then.
    """

    id: str
    host: str
    up: bool = False
    enabled: bool = True
    disabled_reason: str = ""
    forced_down: bool = False
    updated_at: float = 0.0
    known: bool = True
    unreadable: str = ""


class Power(enum.Enum):
    """The power state the owner last asked for."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Size:
    """What a server takes of a host, or what a host has left.

    :param disk_gb: None for a host whose disk is not its own (a shared provider has it): it is not counted.
    """

    vcpus: int
    memory_mb: int
    disk_gb: Optional[int]

    def __post_init__(self) -> None:
        if min(self.vcpus, self.memory_mb, self.disk_gb or 0) < 0:
            raise ValueError(f"{self} is negative")


@dataclass(frozen=True)
class Server:
    """A server as Nova shows it to an admin.

    :param launched_at: when Nova last started its guest anew: a rebuild sets that, too (facts.md N44); 0.0: never.
    :param image: image id, empty when it boots from a volume; None when unknown.
    :param size: what Nova claims for it on a host; None when unknown.
    :param metadata: like extra specs and image properties, may opt it out or in, by exact key.
    :param spawn_failed_at: when a rebuild of it failed in a way that may have left its guest running, where Nova shows
        that of its newest fault; 0.0: it does not.
    :param tags: what Nova calls so; not the setting ``tag``.
    :param unreadable: what Nova showed of it that cannot be read; nothing else is known of it then.
    :param zone: its availability zone now.
    :param pinned_zone: the one that binds it, empty if none does; None where Nova does not show it (below 2.96).
    """

    id: str
    host: str
    vm_state: str
    name: str = ""
    task_state: str = ""
    status: str = ""
    project: str = ""
    created: float = 0.0
    updated: float = 0.0
    launched: bool = True
    launched_at: float = 0.0
    image: Optional[str] = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    fault: str = ""
    spawn_failed_at: float = 0.0
    deleted: bool = False
    known: bool = True
    size: Optional[Size] = None
    unreadable: str = ""
    zone: str = field(default="", compare=False)
    pinned_zone: Optional[str] = field(default=None, compare=False)


class EvacuationStatus(enum.Enum):
    """The statuses of an evacuation in Nova, as far as they mean different things to us."""

    ACCEPTED = "accepted"
    PRE_MIGRATING = "pre-migrating"
    DONE = "done"
    COMPLETED = "completed"
    FAILED = "failed"
    ERROR = "error"
    OTHER = "other"

    @property
    def open(self) -> bool:
        """Not terminal: a guest may still come up from it.  What we do not know counts as open."""
        return self in (EvacuationStatus.ACCEPTED, EvacuationStatus.PRE_MIGRATING, EvacuationStatus.OTHER)

    @property
    def arrived(self) -> bool:
        return self in (EvacuationStatus.DONE, EvacuationStatus.COMPLETED)


@dataclass(frozen=True)
class Evacuation:
    """One evacuation of one server: a migration of type evacuation.

    :param dest: empty as long as the scheduler has not decided.
    :param created: 0.0 where that cannot be read: it may belong to any incident.
    :param unreadable: what Nova showed of it that cannot be read; it counts as under way then.
    """

    id: str
    server: str
    source: str
    status: EvacuationStatus
    dest: str = ""
    created: float = 0.0
    updated: float = 0.0
    unreadable: str = ""


@dataclass(frozen=True)
class CallTrace:
    """What one evacuate call left in a server's action log.  0.0: it does not say.

    :param at: when Nova took the call.
    :param landed: when the rebuild began on the destination; before that the scheduler had it.
    :param ended: when it was over, well or not.
    :param words: Nova's own about a failure; empty if none is on record.
    :param failed: it ended with a failure.
    :param over: Nova is done with it: whatever was to come of it has come.
    :param harmless: it failed before its destination began to start the guest.
    :param met_guest: its destination refused it because the guest is there already.
    """

    request_id: str
    at: float
    dest: str = ""
    landed: float = 0.0
    ended: float = 0.0
    words: str = ""
    failed: bool = False
    over: bool = False
    harmless: bool = False
    met_guest: bool = False


@dataclass(frozen=True)
class ActionLog:
    """What a server's action log says.

    :param wanted: the power state its owner last asked for.
    :param request_id: of the newest evacuate in it, empty without one.
    :param read_at: when it was asked for.
    :param failed_at: when the first evacuate in it was asked for that failed; 0.0: none did.
    :param waits: what starts its guest and no nova-compute has begun: "start" or "rescue"; empty without one.
    :param waits_at: when that was asked for.
    :param calls: what its evacuates left in it, as far as that was asked for, oldest first.
    """

    wanted: Power
    request_id: str = ""
    read_at: float = 0.0
    waits: str = ""
    waits_at: float = 0.0
    failed_at: float = 0.0
    calls: tuple[CallTrace, ...] = ()
