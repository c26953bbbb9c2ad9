# SPDX-License-Identifier: Apache-2.0
"""What waits for a person, and the remedy: of a host that failed, of one that is settled, of one server.  Pure.

The remedy stands last, with real names, and works as it is typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from muster.core.printable import counted
from muster.installation.installed import Resource
from muster.reporting.documents import WaitingServer
from muster.reporting.times import duration


@dataclass(frozen=True)
class Todo:
    """Something that waits for a person.

    :param level: "attention" or "trouble".
    :param about: the node, the server or the part of the cluster.
    :param what: what is the matter, and what to do.
    """

    level: str
    about: str
    what: str


@dataclass(frozen=True)
class Failed:
    """A node that has failed and that Pacemaker has not fenced yet.

    :param last: what Pacemaker's history has of it last: ``pending``, ``failed``; empty where it does not say.
    :param timeout_s: so long its fencing may take.
    :param lost_s: how long ago Pacemaker lost it; None where it does not say.
    :param refusal: why muster's fence agent refuses it; empty where it does not.
    """

    node: str
    last: str = ""
    timeout_s: float = 60.0
    lost_s: Optional[float] = None
    refusal: str = ""

    @property
    def under_way(self) -> bool:
        """Nobody has to do anything yet.  A fencing that has no end, or none in time, is none."""
        late = self.lost_s is not None and self.lost_s > self.timeout_s
        return not (self.refusal or late) and (self.last == "pending" or (not self.last and self.lost_s is not None))


def of_failed(it: Failed) -> Todo:
    """``pcs stonith confirm`` of a host that runs corrupts its guests' disks: it is named only after the fencing."""
    node, lost_s = it.node, it.lost_s
    since = "" if lost_s is None else f"{lost_s:.0f} s" if lost_s < 120 else duration(lost_s)
    if it.under_way:
        began = f"Pacemaker lost it {since} ago, and its" if since else "it has failed, and its"
        return Todo("attention", node, f"{began} fencing is under way. muster evacuates its servers once it is fenced")
    begin = f"Pacemaker lost it {since} ago and has not fenced it" if since else "it has failed and is not fenced"
    why = f"fence_muster refuses it: {it.refusal}" if it.refusal else f"See: pcs stonith history show {node}"
    confirm = (
        "If no device can cut its power: cut it by hand, and make sure that the machine is off. A host that still runs"
        f" would write to the same disks. Only then: pcs stonith confirm {node}"
    )
    return Todo("trouble", node, f"{begin}: muster evacuates nothing before that. {why}. {confirm}")


def of_settled(node: str, held: int, resource: Resource) -> Todo:
    """It is off, and nothing of it is under way: what comes before its power."""
    first = "every server is settled."
    if held:
        whom = "the held server" if held == 1 else f"the {counted(held, 'held server')}"
        first = f"decide about {whom} first: muster evacuates nothing from a host that is back."
    if resource.disabled:
        last = "Before you power it on, start the worker, which returns it to service"
        return Todo("attention", node, f"{first} Repair the host. {last}: pcs resource enable {resource.id}")
    if not resource.active_on:
        return Todo("attention", node, f"{first} Repair the host. A worker has to run before you power it on")
    if resource.paused:
        last = "Before you power it on, end the pause, or it does not return to service: muster resume"
        return Todo("attention", node, f"{first} Repair the host. {last}")
    return Todo(
        "attention",
        node,
        f"{first} Repair the host and power it on; it returns to service once it has joined the cluster",
    )


def of_server(server: WaitingServer, node: str, now: float) -> Optional[Todo]:
    """:param node: its destination, by Pacemaker's name; empty where that is not known."""
    name, ident = server.name, server.id
    about = f"{name} ({ident})" if name else ident
    reason = server.reason
    host = node or server.dest
    if server.alarm and (server.waits_for or not host):
        return Todo("trouble", about, reason)  # of what no host has begun that ends with the remedy
    if server.alarm:
        return Todo(
            "trouble",
            about,
            f"{reason}: it hangs. Look at nova-compute's log on {host}. If {host} is dead, fence it; muster then"
            " continues" + (f": pcs stonith fence {node}" if node else ""),
        )
    if server.verdict == "held":
        return Todo("trouble", about, f"held: {reason}")
    if server.verdict == "parked":
        due = server.next_try
        when = f" in {max(0, int(due - now))} s" if due else ""
        return Todo("attention", about, f"{reason}. muster tries again{when}. To try now: muster retry {ident}")
    return Todo("attention", about, f"{reason}. muster continues by itself when this is over")
