# SPDX-License-Identifier: Apache-2.0
"""What is left on the hosts that may be destinations, getting less with each server.  An estimate, and pure.

What is not known is never said to be there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional, Union

from muster.core.naming import Names
from muster.core.nova_facts import Server, Service, Size
from muster.core.printable import counted
from muster.core.unknown import Unknown

NOT_MODELLED = (
    "room is an estimate from CPU, memory and disk only, without server groups, availability zones, cells, aggregates,"
    " traits, PCI, NUMA, pinned CPUs and the largest server that a host takes"
)
_BINDING = (
    "hw:cpu_policy",
    "hw:mem_page_size",
    "hw:numa_",
    "hw:pci_numa",
    "pci_passthrough:",
    "aggregate_instance_extra_specs:",
    "trait",
    "resources",
    "accel:",
)
"""Extra specs that begin so bind a server to hosts in ways that are not modelled."""


class Room:
    """The next server goes to the host with most memory left, as by Nova's own weights, or to the one that is named.

    :param left: by Nova host; a text says why nobody knows.
    :param hosts: those in use.
    :param target: by ``target_map``; None: the scheduler decides.

    ``left`` is what is left by now, of the possible destinations only.
    """

    def __init__(self, left: Union[Mapping[str, Size], Unknown], hosts: Iterable[str], target: Optional[str]) -> None:
        self.target = target or ""
        self._unknown = isinstance(left, Unknown)
        hosts = [host for host in hosts if target in (None, host)]
        self.left = {} if isinstance(left, Unknown) else {host: left[host] for host in hosts if host in left}
        self._unseen = [host for host in hosts if host not in self.left]
        self._roomiest = [(-size.memory_mb, host) for host, size in self.left.items()]
        heapq.heapify(self._roomiest)
        self._refused: set[Size] = set()  # what is left only gets less, so they need not be tried again

    def take(self, server: Server) -> tuple[Optional[bool], str]:
        """Whether there is room for it, None if nobody knows, and why not; if there is, the next one finds less.

        :returns: no words where the same is true for every server.
        """
        size = server.size
        if self._unknown or size is None:
            return None, "" if self._unknown else "room unknown: Nova does not show its size"
        host = None if size in self._refused else self._roomiest_that_takes(size)
        if host is None:
            self._refused.add(size)
        if host is None and self._unseen:
            return None, f"room unknown: Placement does not show what {self._unseen[0]} has left"
        if host is None:
            return False, self._refusal(size)
        self.left[host] = self.left[host].without(size)
        heapq.heappush(self._roomiest, (-self.left[host].memory_mb, host))
        return True, ""

    def _roomiest_that_takes(self, size: Size) -> Optional[str]:
        """Taken out of the heap; the others stay in it."""
        passed, found = [], None
        while self._roomiest and found is None:
            entry = heapq.heappop(self._roomiest)
            if self.left[entry[1]].takes(size):
                found = entry[1]
            else:
                passed.append(entry)
        for entry in passed:
            heapq.heappush(self._roomiest, entry)
        return found

    def _refusal(self, size: Size) -> str:
        needs = f"needs {counted(size.vcpus, 'CPU')}, {size.memory_mb} MB and {size.disk_gb} GB of disk"
        if self.target:
            return f"{needs}; {self.target} (target_map) does not have that left, or is not in use"
        if not self.left:
            return f"{needs}; no other host is in use"
        return f"{needs}; no other host has that left at its turn"


def left_by_host(left: Mapping[str, Size], services: Sequence[Service]) -> dict[str, Size]:
    """From placement's names (of hypervisors) to Nova's (of services); what is in doubt is left out."""
    found = {}
    names = Names(left, services, {})
    for name, size in left.items():
        service = names.service_of(name)
        if isinstance(service, Service):
            found[service.host] = size
    return found


def asks_for_more(server: Server) -> list[str]:
    """The extra specs that bind it to hosts in ways that are not modelled."""
    return sorted(key for key in server.extra_specs if key.startswith(_BINDING))
