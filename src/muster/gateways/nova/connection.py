# SPDX-License-Identifier: Apache-2.0
"""One cloud's Nova, reached: its endpoint, and the newest microversion that it, the operator and a call agree upon."""

from __future__ import annotations

from typing import Any, Optional

import novaclient.client
import openstack.connection

from muster.core.errors import NovaError, NovaUnavailable
from muster.gateways.nova import login
from muster.gateways.nova.faults import refusal

Version = tuple[int, int]


def version_of(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)


def spelled(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


class NovaConnection:
    """:param ceiling: no call speaks a newer microversion than this, e.g. ``"2.98"``."""

    def __init__(self, way_in: login.Login, ceiling: str) -> None:
        self.login = way_in
        self._ceiling = version_of(ceiling)
        self._discovered: Optional[openstack.connection.Connection] = None
        self._offered: Version = (2, 1)

    def _connect(self) -> openstack.connection.Connection:
        connection = self.login.connection()
        if connection is not self._discovered:
            self._offered = self._discover(connection)
            self._discovered = connection
        return connection

    def _discover_anew(self) -> None:
        """What any of them has not is spoken no more as long as this connection lasts."""
        before = self._offered
        self.login.forget()
        self._connect()
        self._offered = min(before, self._offered)

    def _discover(self, connection: openstack.connection.Connection) -> Version:
        self.login.check_region("compute")
        try:
            data = connection.compute.get_endpoint_data()
        except login.FAILURES as exc:
            self.login.forget()
            raise self.login.read_trouble("/", exc) from exc
        offered = data.max_microversion if data else None
        if not offered:
            # keystoneauth takes a silent endpoint for one without versions: that is not what Nova offers.
            self.login.forget()
            raise self._without_versions(connection, data.url if data else None)
        return offered[0], offered[1]

    def _without_versions(self, connection: openstack.connection.Connection, url: Optional[str]) -> NovaError:
        """Why no versions came, which keystoneauth keeps to itself: no connection, a certificate, a status."""
        nothing = NovaUnavailable("Nova does not say which microversions it speaks")
        if not url:
            return nothing
        try:
            reply = connection.session.get(url, authenticated=False, raise_exc=False, timeout=login.READ_TIMEOUT_S)
        except login.FAILURES as exc:
            return self.login.read_trouble(url, exc)
        return refusal(reply, f"GET {url}", write=False) if reply.status_code >= 300 else nothing

    def _nova_client(self, version: Version) -> Any:
        connection = self._connect()
        self.login.authenticate()
        try:
            endpoint = connection.compute.get_endpoint()
        except login.FAILURES as exc:
            raise self.login.read_trouble("/", exc) from exc
        return novaclient.client.Client(spelled(version), session=connection.session, endpoint_override=endpoint)

    def _speak(self, pinned: Version) -> Version:
        self._connect()
        return min(pinned, self._ceiling, self._offered)
