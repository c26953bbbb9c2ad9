# SPDX-License-Identifier: Apache-2.0
"""Nova over openstacksdk and novaclient, one keystoneauth session for both.

Every call pins its microversion and has a time-out; reads are repeated when the connection broke, writes never.  Policy
is not here: a reply is turned into facts, a failure into one of three errors.  How to get in, and how to read, is in
:mod:`muster.gateways.nova.login`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

import novaclient.exceptions

from muster.core.errors import NovaRefused, NovaUnavailable
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, Server, Service
from muster.gateways.clock import Clock, Fact
from muster.gateways.nova import login
from muster.gateways.nova import parsing as facts
from muster.gateways.nova.connection import NovaConnection, Version, spelled
from muster.gateways.nova.faults import Reply, refusal, request_id
from muster.gateways.nova.patience import PAGE, PAGE_MIN, Patience
from muster.gateways.nova.placement import Placement

PAGES_LIMIT = 200
NOT_OFFERED = 406
PAGE_TIMEOUT_S = 90.0
"""A full page of servers keeps nova-api busy for ten seconds and more."""
TRACES_LIMIT = 50
"""More than a worker that takes over finds of an incident that waits for room for hours."""
ACTIONS_PAGE = 100

SERVICES: Version = (2, 69)  # from 2.53 services have UUIDs; from 2.69 those of a silent cell are listed as UNKNOWN
SERVICES_BY_UUID: Version = (2, 53)
SERVERS: Version = (2, 98)  # 2.47 embeds the flavor's extra specs, 2.98 the image's properties
SERVERS_WITHOUT_IMAGES: Version = (2, 95)  # without those, and without what 2.96 adds: three quarters of the time
MIGRATIONS: Version = (2, 59)  # paging and changes-since
ACTIONS: Version = (2, 58)  # 2.21 has the actions of deleted servers, 2.58 pages, and when one was last heard of
ACTION_EVENTS: Version = (2, 84)  # 2.62 names the host of an event, 2.84 says why it failed
EVACUATE: Version = (2, 94)  # from 2.95 every evacuated server ends SHUTOFF
ON_SHARED_STORAGE: Version = (2, 13)  # up to here Nova wants to be told
LEGACY_FORCE_DOWN: Version = (2, 11)
STOP: Version = (2, 1)
RESET_STATE: Version = (2, 1)


class Nova(NovaConnection):
    """Nova of one cloud of clouds.yaml.

    :param ceiling: no call speaks a newer microversion than this, e.g. ``"2.98"``.
    :param announce: told before each request how many seconds may pass until it has ended.
    :param clock: every time of Nova's is turned into one of this, and back in what Nova is asked.
    """

    def __init__(
        self,
        cloud: str,
        clouds_file: str,
        shared_storage: bool,
        ceiling: str,
        announce: Callable[[float], None] = lambda silence_s: None,
        clock: Optional[Clock] = None,
    ) -> None:
        self._clock = clock or Clock()
        super().__init__(login.Login(cloud, clouds_file, announce, self._clock), ceiling)
        self._shared_storage = shared_storage
        self._hosts_of_services: dict[str, str] = {}
        self._patience = Patience()

    # ----------------------------------------------------------------- reads

    def services(self) -> Sequence[Service]:
        """All nova-compute services of all cells."""
        query = {"binary": "nova-compute"}
        body = self._list("/os-services", "services", query, SERVICES, login.READ_TIMEOUT_S)
        rows = [row for row in _rows(body, "services") if row.get("binary") == "nova-compute"]
        found = [self._ours(facts.service(row)) for row in rows]
        self._hosts_of_services = {service.id: service.host for service in found}
        return found

    def servers_on(self, host: str) -> Sequence[Server]:
        """Every server that Nova places on ``host``, of all projects and over all pages."""
        params = {"all_tenants": "1", "host": host}
        return [self._ours(facts.server(row)) for row in self._pages("/servers/detail", "servers", params, SERVERS)]

    def server(self, ident: str) -> Server:
        """One server, whatever its project.

        :raises NovaRefused: status 404 when Nova does not know it.
        """
        row = self._get(f"/servers/{ident}", {}, SERVERS).get("server")
        if not isinstance(row, dict):
            raise NovaUnavailable(f"GET /servers/{ident}: no server in the reply")
        return self._ours(facts.server(row))

    def servers_changed(self, since: float) -> Sequence[Server]:
        """Every server changed since then (Unix seconds), deleted ones included."""
        return self._servers_changed(since, SERVERS)

    def servers_changed_without_images(self, since: float) -> Sequence[Server]:
        """The same without the image's properties: they are the same as long as the image is, and dear."""
        return self._servers_changed(since, SERVERS_WITHOUT_IMAGES)

    def _servers_changed(self, since: float, version: Version) -> Sequence[Server]:
        params = {"all_tenants": "1", "changes-since": facts.iso(self._clock.nova.theirs(since))}
        return [self._ours(facts.server(row)) for row in self._pages("/servers/detail", "servers", params, version)]

    def evacuations_from(self, host: str, since: float, page: int = PAGE) -> Sequence[Evacuation]:
        """Evacuations from ``host`` created since then, oldest first.

        :param page: Nova is asked for so many at once; where few are expected few cost it less.

        Not by ``changes-since``: Nova compares updated_at, which a row that nobody has touched yet does not have, so
        the evacuations of a conductor that is down would be missing (nova.db.main.api, migration_get_all_by_filters).
        The list is newest first, so it is read until it gets older than ``since``.
        """
        return self._evacuations({"migration_type": "evacuation", "source_compute": host}, since, page)

    def evacuations_of_all(self, since: float, page: int = PAGE) -> Sequence[Evacuation]:
        """The same from every host."""
        return self._evacuations({"migration_type": "evacuation"}, since, page)

    def _evacuations(self, params: Mapping[str, str], since: float, page: int) -> Sequence[Evacuation]:
        if self._speak(MIGRATIONS) >= MIGRATIONS:
            rows = self._pages("/os-migrations", "migrations", params, MIGRATIONS, page=page)
        else:  # the whole list in one page: older Nova does not page it
            rows = iter(_rows(self._get("/os-migrations", params, MIGRATIONS), "migrations"))
        evacuations = []
        for evacuation in (self._ours(facts.evacuation(row, params.get("source_compute", ""))) for row in rows):
            old = 0.0 < evacuation.created < since
            if old and self._speak(MIGRATIONS) >= MIGRATIONS:
                break
            if not old:
                evacuations.append(evacuation)
        return sorted(evacuations, key=lambda m: (m.created, m.id))

    def servers(self) -> Sequence[Server]:
        """Every server of the cloud, of all projects and over all pages."""
        rows = self._pages("/servers/detail", "servers", {"all_tenants": "1"}, SERVERS, PAGE_TIMEOUT_S)
        return [self._ours(facts.server(row)) for row in rows]

    def arrivals(self, limit: int) -> Sequence[Evacuation]:
        """The finished ones among the last ``limit`` evacuations of the cloud, newest first; one request."""
        params = {"migration_type": "evacuation", "limit": str(limit)}
        rows = _rows(self._get("/os-migrations", params, MIGRATIONS), "migrations")
        evacuations = map(self._ours, map(facts.evacuation, rows))
        return sorted((m for m in evacuations if m.status.arrived), key=lambda m: m.created, reverse=True)

    def evacuation_s(self, server: str) -> Optional[float]:
        """How long the newest evacuation of a server took, by its action log; None if that does not say."""
        return facts.evacuation_s(list(itertools.islice(self._actions(server), ACTIONS_PAGE)))

    def action_log(self, server: str, calls_since: float = math.inf, known: Collection[str] = ()) -> ActionLog:
        """What the action log of a server says, from one listing of it.

        :param calls_since: its evacuates since then are read as well, the last fifty, each by a request of its own.
        :param known: request ids of those that need not be read.
        """
        began = self._clock.nova.theirs(calls_since)
        rows = self._actions_to(server, began)
        return replace(self._ours(facts.action_log(rows)), calls=tuple(self._traces(server, rows, began, known)))

    def traces(self, server: str, since: float) -> Sequence[CallTrace]:
        """What the evacuates of a server since then left in its action log, oldest first; the last fifty."""
        began = self._clock.nova.theirs(since)
        rows = itertools.takewhile(lambda row: facts.timestamp(row.get("start_time")) >= began, self._actions(server))
        return self._traces(server, list(rows), began, ())

    def trace(self, server: str, request_id: str) -> CallTrace:
        """What one evacuate left in the action log."""
        path = f"/servers/{server}/os-instance-actions/{request_id}"
        row = self._get(path, {}, ACTION_EVENTS).get("instanceAction")
        if not isinstance(row, dict):
            raise NovaUnavailable(f"GET {path}: no action in the reply")
        return self._ours(facts.trace(row))

    def _traces(
        self, server: str, rows: Sequence[Mapping[str, Any]], began: float, known: Collection[str]
    ) -> list[CallTrace]:
        calls = [request for request in facts.evacuate_calls(rows, began) if request not in known]
        return [self.trace(server, request_id) for request_id in calls[-TRACES_LIMIT:]]

    def _actions_to(self, server: str, began: float) -> list[Mapping[str, Any]]:
        """As many pages of what was done to a server as show its owner's last wish, and all since then."""
        rows: list[Mapping[str, Any]] = []
        for row in self._actions(server):
            rows.append(row)
            page_ends = len(rows) % ACTIONS_PAGE == 0 and facts.timestamp(row.get("start_time")) < began
            if page_ends and any(row.get("action") in facts.POWER_OF_ACTION for row in rows):
                break  # newest first
        return rows

    def _actions(self, server: str) -> Iterator[Mapping[str, Any]]:
        """What was done to a server, newest first (nova/db/main/api.py, actions_get), as far as it is read."""
        path, query = f"/servers/{server}/os-instance-actions", {}
        if self._speak(ACTIONS) >= ACTIONS:  # older Nova has them in one piece
            query = {"limit": str(ACTIONS_PAGE)}
        for _ in range(PAGES_LIMIT):
            body = self._get(path, query, ACTIONS)
            yield from _rows(body, "instanceActions")
            following = facts.next_marker(body.get("links"))
            if not following:
                return
            if following == query.get("marker"):
                raise NovaUnavailable(f"GET {path}: Nova names the page {following} as the one after itself")
            query = {**query, "marker": following}
        raise NovaUnavailable(f"GET {path}: more than {PAGES_LIMIT} pages")

    def requests_made(self) -> int:
        """By this object, to whichever service."""
        return self.login.requests

    def claimed(self, server: str) -> Sequence[str]:
        """The hypervisors on which placement holds room for a server: of one that is evacuated also the destination,
        from the scheduling on (nova/scheduler/client/report.py, claim_resources)."""
        return Placement(self.login).claimed(server)

    # ---------------------------------------------------------------- writes

    def force_down(self, service: str, disable_reason: Optional[str]) -> str:
        """Force a service down and, with a reason, disable it: one request, no RPC to the dead host (facts.md N21)."""
        change: dict[str, Any] = {"forced_down": True}
        if disable_reason is not None:
            change.update(status="disabled", disabled_reason=disable_reason)
        return self._update_service(service, change)

    def force_up(self, service: str, unforce: bool, enable: bool, disable_reason: Optional[str] = None) -> str:
        """Undo it; with a reason the host stays disabled.  Nova refuses with 400 as long as the returning host has not
        finished its rows (facts.md N17)."""
        change: dict[str, Any] = {}
        if unforce:
            change["forced_down"] = False
        if enable:
            change["status"] = "enabled"
        elif disable_reason is not None:
            change.update(status="disabled", disabled_reason=disable_reason)
        return self._update_service(service, change)

    def evacuate(self, server: str, target: Optional[str]) -> str:
        """Ask Nova to rebuild the server elsewhere; returning only means that Nova took it."""
        version = self._speak(EVACUATE)
        extra = {"on_shared_storage": self._shared_storage} if version <= ON_SHARED_STORAGE else {}
        client = self._nova_client(version)
        try:
            client.servers.evacuate(server, host=target, **extra)
        except novaclient.exceptions.ClientException:
            pass  # it keeps neither the body nor the headers: the reply is looked at as any other
        except login.FAILURES as exc:
            raise self.login.write_trouble(exc) from exc
        assert self.login.reply is not None
        return self._taken(self.login.reply, f"evacuate {server}")

    def stop(self, server: str) -> str:
        """Shut a server down as its owner would."""
        return self._write("POST", f"/servers/{server}/action", {"os-stop": None}, STOP)

    def reset_state(self, server: str) -> str:
        """Have Nova's database call a server active; nothing is asked of its host."""
        body = {"os-resetState": {"state": "active"}}
        return self._write("POST", f"/servers/{server}/action", body, RESET_STATE)

    # ------------------------------------------------------------ inner calls

    def _update_service(self, service: str, change: Mapping[str, Any]) -> str:
        if self._speak(SERVICES_BY_UUID) >= SERVICES_BY_UUID:
            return self._write("PUT", f"/os-services/{service}", change, SERVICES_BY_UUID)
        if service not in self._hosts_of_services:
            self.services()
        host = self._hosts_of_services.get(service)
        if host is None:
            raise NovaUnavailable(f"Nova has no service {service!r} any more")
        named = {"host": host, "binary": "nova-compute"}
        request_id = ""
        # Forced down first: disabling a host that Nova takes for alive waits 60 s for it (facts.md N21).
        if "forced_down" in change:
            body = {**named, "forced_down": change["forced_down"]}
            request_id = self._write("PUT", "/os-services/force-down", body, LEGACY_FORCE_DOWN)
        if change.get("status") == "disabled":
            body = {**named, "disabled_reason": change["disabled_reason"]}
            request_id = self._write("PUT", "/os-services/disable-log-reason", body, LEGACY_FORCE_DOWN)
        elif change.get("status") == "enabled":
            request_id = self._write("PUT", "/os-services/enable", named, LEGACY_FORCE_DOWN)
        return request_id

    def _pages(
        self,
        path: str,
        key: str,
        params: Mapping[str, str],
        version: Version,
        timeout_s: Optional[float] = None,
        page: int = PAGE,
    ) -> Iterator[Mapping[str, Any]]:
        query = dict(params)
        for _ in range(PAGES_LIMIT * PAGE // PAGE_MIN):
            body = self._list(path, key, query, version, timeout_s or login.READ_TIMEOUT_S, page)
            yield from _rows(body, key)
            marker = facts.next_marker(body.get(f"{key}_links"))
            if not marker:
                return
            if marker == query.get("marker"):
                raise NovaUnavailable(f"GET {path}: Nova names the page {marker} as the one after itself")
            query["marker"] = marker
        raise NovaUnavailable(f"GET {path}: more than {PAGES_LIMIT} pages of {PAGE}")

    def _list(
        self, path: str, key: str, query: Mapping[str, str], version: Version, timeout_s: float, page: int = 0
    ) -> Mapping[str, Any]:
        """One answer of a list, with as much patience as it needs."""

        def ask(size: int, seconds: float) -> Mapping[str, Any]:
            limited = {**query, "limit": str(size)} if size else query
            return self._get(path, limited, version, seconds, retries=0)

        body = self._patience.read(path, page, timeout_s, ask)
        rows = len(_rows(body, key))
        if self.login.reply is not None:
            self._patience.note(path, rows if page else 0, self.login.reply.elapsed.total_seconds(), timeout_s)
        return body

    def _get(
        self,
        path: str,
        params: Mapping[str, str],
        version: Version,
        timeout_s: Optional[float] = None,
        retries: int = login.READ_RETRIES,
    ) -> Mapping[str, Any]:
        try:
            return self.login.get("compute", path, params, spelled(self._speak(version)), timeout_s, retries)
        except NovaUnavailable as exc:
            if exc.status != NOT_OFFERED:
                raise
        # It offers less than when it was asked: it was rolled back, or one of several has another release.
        self._discover_anew()
        return self.login.get("compute", path, params, spelled(self._speak(version)), timeout_s, retries)

    def _ours(self, fact: Fact) -> Fact:
        return self._clock.nova.translated(fact)

    def _write(self, method: str, path: str, body: Mapping[str, Any], version: Version) -> str:
        connection = self._connect()
        self.login.authenticate()
        try:
            reply = connection.compute.request(
                path,
                method,
                json=dict(body),
                microversion=spelled(self._speak(version)),
                timeout=login.WRITE_TIMEOUT_S,
                connect_retries=0,
                status_code_retries=0,
            )
        except login.FAILURES as exc:
            raise self.login.write_trouble(exc) from exc
        return self._taken(reply, f"{method} {path}")

    def _taken(self, reply: Reply, what: str) -> str:
        """The request id of a write that Nova has taken.

        :raises NovaError: for every other reply, a success that is not Nova's own included.
        """
        ident = request_id(reply)
        if reply.status_code >= 300 or not ident:
            self.login.forget_if_unauthorized(reply.status_code)
            trouble = refusal(reply, what, write=True)
            if trouble.status == NOT_OFFERED:
                self.login.forget()
            raise trouble
        return ident


def _rows(body: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = body.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        # Half a reply is no reply: an empty list would read as "nothing to do".
        raise NovaUnavailable(f"the reply has no list {key!r}")
    return rows


__all__ = ["Nova", "NovaRefused"]
