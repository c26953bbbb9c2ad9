# SPDX-License-Identifier: Apache-2.0
"""What is true of guests, seen from outside: by the processes of the machine and by what they have written."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Optional

from tests.bed.cluster.node import Node

_DISK = re.compile(rb"instances/([0-9a-f-]{36})/disk")
LOOK_S = 0.2


@dataclass(frozen=True)
class Disk:
    """What a guest has written to its disk (guest.S)."""

    boots: int
    seconds: int


def written(path: Path) -> Optional[Disk]:
    """None without a disk."""
    with contextlib.suppress(OSError, struct.error), open(path, "rb") as file:
        file.seek(512)
        return Disk(*struct.unpack("<II", file.read(8)))
    return None


def guests() -> dict[str, list[int]]:
    """The QEMU processes of the machine by the server whose disk they were given."""
    found: dict[str, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if b"qemu-system" in command and (disk := _DISK.search(command)):
                found.setdefault(disk[1].decode(), []).append(int(entry.name))
    return found


class Watch:
    """Never two guests with one disk: looked at all the time, whatever anybody says."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.violations: list[str] = []
        self.looks = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(LOOK_S):
            for server, pids in guests().items():
                if len(pids) > 1:
                    self.violations.append(f"{server} runs {len(pids)} times: {[self._host(pid) for pid in pids]}")
            self.looks += 1

    def running_on(self, server: str) -> list[str]:
        return [self._host(pid) for pid in guests().get(server, [])]

    def on_host(self, host: str) -> list[str]:
        """The servers whose guests run there."""
        return [server for server in guests() if host in self.running_on(server)]

    def _host(self, pid: int) -> str:
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/pid")
            for name, node in self._nodes.items():
                if node.pid and os.readlink(f"/proc/{node.pid}/ns/pid") == namespace:
                    return name
        return "nowhere"
