# SPDX-License-Identifier: Apache-2.0
"""What muster's user may do in Nova, found out without doing it.

Nova has no call that says so.  A write that it has to refuse tells: a user without the right gets 403, one with it the
reason why this very call is impossible.  It has to be a call whose policy is checked before anything else fails, and
which could not be carried out whatever is true of servers and hosts (Nova's source, and measured on Nova 34):

force down, disable
    ``PUT /os-services/{id}`` of a service that does not exist: the policy is checked first, so 403 or 404.
evacuate
    Of a server that does not exist it is 404 for everybody: Nova looks for the server before it checks the policy.  So
    it is asked of a server that exists, with a body that contradicts itself: ``force`` without the host to force it to,
    which the microversions 2.29 to 2.67 take as a body and refuse as a wish with 400, after the policy.  Without any
    server the right cannot be found out.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Optional

import openstack.exceptions
from keystoneauth1 import exceptions as ksa

from muster.errors import NovaError, NovaRefused
from muster.facts import Service
from muster.gateways.login import READ_TIMEOUT_S
from muster.gateways.nova import MIGRATIONS, SERVERS, SERVICES_BY_UUID, Nova, Version
from muster.installed import NovaAccess, Right
from muster.ports import ClockPort

EVACUATE_FORCED: Version = (2, 67)  # the newest that takes a body with force
EVACUATE_FORCED_SINCE: Version = (2, 29)
HOST_OF_SERVER = "OS-EXT-SRV-ATTR:host"
MASAKARI = ("instance-ha", "ha", "masakari")
INSTANCEHA = "instanceha evacuation"
SILENT = "Nova had stopped answering before"
NO_SERVER = "it sees no server, and the call that tells has to name one"


class NovaRights(Nova):
    """The same connection as :class:`Nova`, asked what it may do."""

    def access(self, clock: ClockPort) -> NovaAccess:
        """Everything; nothing is raised, for whatever fails is part of the answer.

        Once Nova has failed to answer it is not asked again, so that all of it takes about as long as one call.
        """
        try:
            self._connect()
            ahead_s = self._clock_ahead_s(clock)
        except NovaError as exc:
            return NovaAccess(trouble=str(exc))
        self._silent = False
        services: list[Service] = []
        servers: list[Mapping[str, Any]] = []
        rights = (
            self._may("list services", lambda: services.extend(self.services())),
            self._may("see every project's servers and their hosts", lambda: servers.extend(self._any_server(True))),
            self._may("list migrations", self._any_migration),
            self._may("force hosts down and disable them", self._force_nothing_down, refused_with=(404,)),
            self._may_evacuate(servers),
        )
        return NovaAccess(
            offered="{}.{}".format(*self._offered),
            rights=rights,
            services=tuple(services) if rights[0].may else None,
            evacuators=tuple(self._evacuators(services)),
            placement=self._placement(),
            clock_ahead_s=ahead_s,
        )

    def _may(self, name: str, call: Callable[[], object], refused_with: Collection[int] = ()) -> Right:
        """:param refused_with: the statuses with which Nova refuses a write to somebody who has the right."""
        if self._silent:
            return Right(name, None, SILENT)
        try:
            call()
        except NovaRefused as exc:
            if exc.status in refused_with:
                return Right(name, True)
            return Right(name, False if exc.status == 403 else None, str(exc))
        except NovaError as exc:
            self._silent = not exc.status
            return Right(name, None, str(exc))
        if refused_with:
            return Right(name, None, "Nova took a call that it has to refuse")
        return Right(name, True)

    def _may_evacuate(self, servers: list[Mapping[str, Any]]) -> Right:
        name = "evacuate"
        if not servers and not self._silent:
            with contextlib.suppress(NovaError):
                servers = self._any_server(False)  # at least one of its own project
        if not servers:
            why, remedy = (SILENT, "") if self._silent else (NO_SERVER, "boot a server of any size, and ask again")
            return Right(name, None, why, remedy)
        return self._may(name, lambda: self._evacuate_nowhere(str(servers[0].get("id"))), refused_with=(400,))

    def _any_server(self, of_all: bool) -> list[Mapping[str, Any]]:
        """One server, if there is any.

        :raises NovaRefused: also when its host is not shown, which Nova hides by another policy.
        """
        params = {"limit": "1", **({"all_tenants": "1"} if of_all else {})}
        found = list(self._get("/servers/detail", params, SERVERS).get("servers") or ())
        if of_all and any(HOST_OF_SERVER not in server and server.get("status") != "UNKNOWN" for server in found):
            raise NovaRefused(f"Nova does not show {HOST_OF_SERVER}", status=403)
        return found

    def _any_migration(self) -> None:
        self._get("/os-migrations", {"migration_type": "evacuation", "limit": "1"}, MIGRATIONS)

    def _force_nothing_down(self) -> None:
        change = {"forced_down": True, "status": "disabled", "disabled_reason": "muster: asking"}
        if self._speak(SERVICES_BY_UUID) < SERVICES_BY_UUID:
            raise NovaRefused("only microversions from 2.53 have a call that tells")
        self._write("PUT", f"/os-services/{uuid.uuid4()}", change, SERVICES_BY_UUID)

    def _evacuate_nowhere(self, server: str) -> None:
        if self._speak(EVACUATE_FORCED) < EVACUATE_FORCED_SINCE:
            raise NovaRefused("only microversions from 2.29 have a call that tells")
        self._write("POST", f"/servers/{server}/action", {"evacuate": {"force": True}}, EVACUATE_FORCED)

    def _clock_ahead_s(self, clock: ClockPort) -> Optional[float]:
        """By Nova's header Date, which has whole seconds: half a second more is the middle of what it may mean."""
        began = clock.now()
        try:
            compute = self._connect().compute
            reply = compute.get("/", timeout=READ_TIMEOUT_S, connect_retries=0, status_code_retries=0)
            theirs = parsedate_to_datetime(reply.headers["Date"]).timestamp() + 0.5
        except (ksa.ClientException, openstack.exceptions.SDKException) as exc:
            raise self.login.read_trouble("/", exc) from exc
        except (KeyError, TypeError, ValueError):
            return None
        return theirs - (began + clock.now()) / 2

    def _evacuators(self, services: Collection[Service]) -> Iterator[str]:
        """Masakari by what it is called in a catalogue, instanceha by what it writes as reason (their own sources)."""
        for kind in MASAKARI:
            with contextlib.suppress(NovaError, ksa.ClientException, openstack.exceptions.SDKException):
                url = self._connect().endpoint_for(kind)
                if url:
                    yield f"Keystone's catalogue has Masakari ({kind}, {url})"
                    break
        left = sorted(service.host for service in services if service.disabled_reason.startswith(INSTANCEHA))
        if left:
            yield f"instanceha has disabled {', '.join(left)}"

    def _placement(self) -> Optional[str]:
        """Why Placement cannot be reached by the catalogue; empty if it answers, None if Nova does not, either."""
        if self._silent:
            return None
        try:
            connection = self._connect()
            url = connection.endpoint_for("placement")
            if not url:
                return "the catalogue has no placement"
            reply = connection.session.get(url, authenticated=False, raise_exc=False, timeout=READ_TIMEOUT_S)
        except (NovaError, ksa.ClientException, openstack.exceptions.SDKException) as exc:
            return f"placement: {type(exc).__name__}: {exc}"
        return f"placement at {url} answers HTTP {reply.status_code}" if reply.status_code >= 500 else ""
