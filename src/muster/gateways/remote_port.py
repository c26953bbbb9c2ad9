# SPDX-License-Identifier: Apache-2.0
"""Whether a host still accepts connections where Pacemaker reaches it: without power it accepts none."""

from __future__ import annotations

import queue
import select
import socket
import threading
from collections.abc import Sequence
from typing import Any, Optional

from muster.gateways.clock import Clock

LOOK_UP_S = 5.0
CONNECT_S = 2.5
"""Linux repeats a lost attempt after one second."""
ADDRESSES = 3
SWITCHED_WITHIN_S = 6.0
"""A board may report off before the power is gone."""
AGAIN_S = 0.5
KEEPALIVE = ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3))
"""So a host that loses its power is known to be gone after 4 seconds."""

Address = tuple[socket.AddressFamily, Any]


def stays_up(server: str, port: int) -> Optional[bool]:
    """Something accepts connections there, and goes on doing so.

    One connection is held as long as it lasts: a program that hangs takes few, and the kernel is silent after those.
    :returns: False where nothing does, which proves nothing: the network may be down.  None where the name is unknown.
    """
    addresses = _look_up(server, port)
    if not addresses:
        return None
    clock = Clock()
    end = clock.monotonic() + SWITCHED_WITHIN_S
    while True:
        connection = _connect(addresses)
        if connection is None:
            return False
        with connection:
            if _lasts(connection, end - clock.monotonic()):
                return True
        select.select([], [], [], AGAIN_S)


def _look_up(server: str, port: int) -> Sequence[Address]:
    found: queue.SimpleQueue[Sequence[Address]] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            each = socket.getaddrinfo(server, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError, OverflowError):
            each = []
        found.put([(one[0], one[4]) for one in each])

    # It has no bound of its own.
    threading.Thread(target=look_up, daemon=True).start()
    try:
        return found.get(timeout=LOOK_UP_S)
    except queue.Empty:
        return []


def _connect(addresses: Sequence[Address]) -> Optional[socket.socket]:
    for family, where in addresses[:ADDRESSES]:
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue
        connection.settimeout(CONNECT_S)
        try:
            connection.connect(where)
        except OSError:
            connection.close()
        else:
            return connection
    return None


def _lasts(connection: socket.socket, for_s: float) -> bool:
    """Whatever ends it before: a program that takes nobody, or a power that is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    return for_s <= 0 or not select.select([connection], [], [], for_s)[0]
