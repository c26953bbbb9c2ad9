# SPDX-License-Identifier: Apache-2.0
"""One HTTP port that can be closed and opened again.  Binds 127.0.0.1 only."""

import logging
import socket
import threading

from cheroot import wsgi

LOG = logging.getLogger(__name__)
HOST = "127.0.0.1"


_reserved = {}


def reserve_ports(count):
    """Different free ports; nobody else on this machine gets one of them before its listener opens."""
    for _ in range(count):
        placeholder = socket.socket()
        placeholder.bind((HOST, 0))
        _reserved[placeholder.getsockname()[1]] = placeholder
    return list(_reserved)[-count:]


class Listener:
    def __init__(self, name, app, port, threads):
        self._name, self._app, self._port, self._threads = name, app, port, threads
        self._server = None

    def open(self):
        if self._server:
            return
        server = wsgi.Server(
            (HOST, self._port),
            self._app,
            numthreads=self._threads,
            timeout=30,
            shutdown_timeout=1,
            request_queue_size=128,
        )
        if self._port in _reserved:
            _reserved.pop(self._port).close()
        server.error_log = lambda msg="", level=20, traceback=False: LOG.debug("%s %s", self._name, msg)
        server.prepare()
        self._server = server
        threading.Thread(target=server.serve, daemon=True, name="http-" + self._name).start()

    def close(self):
        """From now on the port refuses connections."""
        if self._server:
            self._server.stop()
            self._server = None
