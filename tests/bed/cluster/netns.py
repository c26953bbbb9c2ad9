# SPDX-License-Identifier: Apache-2.0
"""A moment in another network namespace: what is opened there stays there."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

from tests.bed.cluster.layout import BedError

CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def inside(netns: str) -> Iterator[None]:
    """Only this thread; start no process meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET):
            raise BedError(f"setns {netns}: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET):
                os._exit(1)
    finally:
        os.close(there)
        os.close(home)
