# SPDX-License-Identifier: Apache-2.0
"""The machine room: what is outside the nodes.  Power switches, and the way from each node to services of the host.

``python -m tests.bed.cluster.room NAME``; one JSON object a line over ``room.sock``, one back:
    {"do": "on" | "off" | "status", "node": NODE}   the power switch, with its faults
    {"do": "crash", "node": NODE}                   the power is cut, whatever the switch thinks
    {"do": "fault", "action": ACTION, "node": NODE, "kind": "fail" | "lie" | "delay" | "", "seconds": S}
    {"do": "list"} {"do": "log"}
With a Nova bed behind it, the guests of a compute live and die with its power.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
import urllib.request
from typing import Any

from tests.bed.cluster.layout import BedError, Layout
from tests.bed.cluster.netns import inside
from tests.bed.cluster.node import Node


class Room:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._nodes = {name: Node(layout, name) for name in layout.nodes}
        self._locks = {name: threading.Lock() for name in layout.nodes}
        self._faults: dict[tuple[str, str], tuple[str, float]] = {}
        self._log: list[dict[str, Any]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        do, name = request.get("do"), str(request.get("node", ""))
        if do == "list":
            return {"nodes": self._layout.nodes}
        if do == "log":
            return {"log": self._log}
        if name not in self._nodes:
            return {"error": f"no node {name!r}"}
        if do == "fault":
            self._faults[str(request["action"]), name] = (str(request["kind"]), float(request.get("seconds", 0)))
            return {}
        if do in ("on", "off", "status", "crash"):
            begin = time.time()
            result = self._switch(str(do), name)
            self._log.append({"at": begin, "seconds": time.time() - begin, "do": do, "node": name, **result})
            return result
        return {"error": f"cannot {do!r}"}

    def _switch(self, action: str, name: str) -> dict[str, Any]:
        kind, seconds = self._faults.get((action, name), ("", 0.0))
        if kind == "delay":
            time.sleep(seconds)
        elif kind == "fail":
            return {"error": "injected fault"}
        node = self._nodes[name]
        if kind == "lie":
            # It says so from now on, too, like a board whose relay is stuck.
            self._faults["status", name] = ("says", float(action == "on"))
            return {"state": action}
        if kind == "says":
            return {"state": "on" if seconds else "off"}
        with self._locks[name]:
            if action in ("off", "crash") and node.pid:
                # The guests first: at no time the host may seem off while one of them runs.
                self._nova("power_off", name)
                node.power_off()
            elif action == "on" and not node.pid:
                self._nova("power_on", name, start=False)
                node.power_on()
            return {"state": "on" if node.pid else "off"}

    def _nova(self, op: str, name: str, **arguments: Any) -> None:
        if self._layout.nova and self._nodes[name].is_compute:
            body = json.dumps({"op": op, "host": name, **arguments}).encode()
            with urllib.request.urlopen(self._layout.nova, body, timeout=30) as reply:
                reply.read()


async def _power(room: Room, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        request = json.loads(await reader.readline())
        answer = await asyncio.get_running_loop().run_in_executor(None, room.answer, request)
    except (ValueError, KeyError, OSError, BedError) as exc:
        answer = {"error": str(exc)}
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()
    writer.close()


def _listen_in(netns: str, port: int) -> socket.socket:
    """A listening socket in another network namespace: it stays in the one it was made in."""
    with inside(netns):
        server = socket.create_server(("127.0.0.1", port), backlog=64)
        # asyncio does it only for sockets of its own; without it every other reply waits 40 ms for an acknowledgement.
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        return


async def _forward(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.transport.abort()  # refused on the host: a reset in the node
        return
    await asyncio.gather(_pipe(reader, outer), _pipe(inner, writer))
    for end in (writer, outer):
        end.close()


async def serve(layout: Layout) -> None:
    room = Room(layout)
    sockets = [(_listen_in(layout.netns(node), port), port) for node in layout.nodes for port in layout.ports]
    servers = [await asyncio.start_server(lambda r, w, p=port: _forward(p, r, w), sock=s) for s, port in sockets]
    servers.append(await asyncio.start_unix_server(lambda r, w: _power(room, r, w), str(layout.socket)))
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(Layout.load(sys.argv[1])))
