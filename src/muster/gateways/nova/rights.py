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
stop
    It has no body that could contradict itself.  So it is asked of a server that is in no state to be stopped, and on
    the way to none: 409 after the policy (nova/api/openstack/compute/servers.py, _stop_server).
reset a state
    Whatever Nova takes it does (nova/api/openstack/compute/admin_actions.py, _reset_state): it is not asked.

Of reads that another policy curtails (all projects, filters, hosts) the answer itself is looked at.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Optional

import openstack.exceptions
from keystoneauth1 import exceptions as ksa

from muster.core.errors import NovaError, NovaRefused, NovaUnavailable
from muster.core.nova_facts import Service
from muster.core.ports import ClockPort
from muster.gateways.nova.compute import (
    ACTION_EVENTS,
    ACTIONS,
    MIGRATIONS,
    SERVERS,
    SERVICES_BY_UUID,
    STOP,
)
from muster.gateways.nova.connection import Version
from muster.gateways.nova.login import READ_TIMEOUT_S, UNREADABLE
from muster.gateways.nova.needs import (
    ACTIONS_LISTED,
    ACTIONS_SEEN,
    AGGREGATES_SEEN,
    EVACUATED,
    FORCED_DOWN,
    GROUPS_SEEN,
    MIGRATION_HOSTS_SEEN,
    MIGRATIONS_LISTED,
    OF_ONE_HOST,
    ONE_SERVER,
    PORTS_SEEN,
    RESET,
    ROOM_SEEN,
    SERVERS_SEEN,
    SERVICES_LISTED,
    STOPPED,
    Need,
)
from muster.gateways.nova.scheduling import AGGREGATES, CANDIDATES, GROUPS, PROVIDERS, NovaScheduling
from muster.installation.installed import NovaAccess, Right

EVACUATE_FORCED: Version = (2, 67)  # the newest that takes a body with force
EVACUATE_FORCED_SINCE: Version = (2, 29)
HOST_OF_SERVER = "OS-EXT-SRV-ATTR:host"
SOME = 20
"""So many servers are looked at for one of another project, and for one that no stop could change."""
NOT_TO_BE_STOPPED = frozenset({"stopped", "shelved", "shelved_offloaded", "suspended", "rescued"})
MASAKARI = ("instance-ha", "ha", "masakari")
INSTANCEHA = "instanceha evacuation"
RUNNING = 1
"""nova.compute.power_state"""
SILENT = "Nova had stopped answering before"
NO_SERVER = "it sees no server, and the test call must name one"
NO_STOPPED = "muster can try it only on a stopped server, and Nova shows none"
NO_ROW = "Nova has no migration yet that would show it"
NO_ACTION = "the server that muster looked at has no actions"
NO_PORT = "it sees no server of another project with an address"
IRREVOCABLE = "muster cannot try it without doing it"
IN_PLACEMENT = (
    "give the user of clouds.yaml the role admin, or in Placement placement:allocation_candidates:list,"
    " placement:resource_providers:list, placement:resource_providers:inventories:list and"
    " placement:resource_providers:usages"
)
IN_NEUTRON = (
    "Nova asks Neutron with this user's token: give it the role service, or in Neutron's policy \"service_api\":"
    ' "role:service or role:muster" (before 2024.1 "context_is_advsvc": "role:advsvc or role:muster")'
)


class NovaRights(NovaScheduling):
    """The same connection as :class:`Nova`, asked what it may do."""

    def access(self, clock: ClockPort, reset_states: bool = False, thorough: bool = True) -> NovaAccess:
        """Everything; nothing is raised, for whatever fails is part of the answer.

        Once Nova has failed to answer it is not asked again, so that all of it takes about as long as one call.

        :param reset_states: states of servers are to be reset.
        :param thorough: also what only a write shows, and what has to be looked at on single servers.
        """
        try:
            self._connect()
            ahead_s = self._clock_ahead_s(clock)
        except NovaError as exc:
            return NovaAccess(trouble=str(exc))
        self._silent = False
        services: list[Service] = []
        listed = self._may(SERVICES_LISTED, lambda: services.extend(self.services()))
        services_at = self._clock.now()
        if thorough:
            reset = [_untold(RESET, IRREVOCABLE)] if reset_states else []
            told = (*self._of_servers(), *reset, *self._of_scheduling())
        else:
            told = tuple(self._of_lists([], 1))
        return NovaAccess(
            offered="{}.{}".format(*self._offered),
            rights=(listed, *told),
            services=tuple(services) if listed.may else None,
            services_at=services_at,
            evacuators=tuple(self._evacuators(services)),
            placement=self._placement(),
            clock_ahead_s=ahead_s,
        )

    def running_or_gone(self, idents: Collection[str]) -> frozenset[str]:
        """Those that nobody has to see to any more; of what cannot be read nothing is known."""
        found = set()
        for ident in idents:
            try:
                server = self._get(f"/servers/{ident}", {}, SERVERS).get("server") or {}
            except NovaRefused as exc:
                if exc.status == 404:
                    found.add(ident)
            except (NovaError, *UNREADABLE):
                break
            else:
                states = tuple(server.get(f"OS-EXT-STS:{key}") for key in ("vm_state", "task_state", "power_state"))
                found |= {ident} if states == ("active", None, RUNNING) else set()
        return frozenset(found)

    def _of_servers(self) -> Iterator[Right]:
        servers: list[Mapping[str, Any]] = []
        yield from self._of_lists(servers, SOME)
        yield self._may(FORCED_DOWN, self._force_nothing_down, refused_with=(404,))
        if not servers and not self._silent:
            with contextlib.suppress(NovaError, *UNREADABLE):
                servers = self._some_servers(False, SOME)  # at least one of its own project
        servers.sort(key=lambda server: str(server.get("tenant_id")) == self._own_project())
        yield from self._of_one_server(servers)
        yield self._may_stop(servers)
        yield self._may_see_ports(servers)

    def _of_lists(self, servers: list[Mapping[str, Any]], most: int) -> Iterator[Right]:
        """:param servers: gets those that are seen, so many at most."""
        evacuations: list[Mapping[str, Any]] = []
        yield self._may(SERVERS_SEEN, lambda: servers.extend(self._some_servers(True, most)))
        yield self._may(OF_ONE_HOST, self._no_servers_of_no_host)
        yield self._may(MIGRATIONS_LISTED, lambda: evacuations.extend(self._some_migrations()))
        if evacuations or self._silent:
            yield self._may(MIGRATION_HOSTS_SEEN, lambda: _hosts_shown(evacuations))
        else:
            yield _untold(MIGRATION_HOSTS_SEEN, NO_ROW)

    def _own_project(self) -> str:
        """Empty where that is not to be had now, which makes every project another one."""
        with contextlib.suppress(NovaError, ksa.ClientException, openstack.exceptions.SDKException):
            return str(self._connect().current_project_id or "")
        return ""

    def _of_one_server(self, servers: list[Mapping[str, Any]]) -> Iterator[Right]:
        needs = (ONE_SERVER, ACTIONS_LISTED, ACTIONS_SEEN, EVACUATED)
        if not servers:
            why, remedy = (SILENT, "") if self._silent else (NO_SERVER, "boot a server of any size, and ask again")
            yield from (Right(need.name, None, why, remedy) for need in needs)
            return
        ident = str(servers[0].get("id"))
        actions: list[str] = []
        yield self._may(ONE_SERVER, lambda: self._get(f"/servers/{ident}", {}, SERVERS))
        yield self._may(ACTIONS_LISTED, lambda: actions.extend(self._some_actions(ident)))
        if actions or self._silent:
            yield self._may(ACTIONS_SEEN, lambda: self._an_action(ident, actions[-1]))
        else:
            yield Right(ACTIONS_SEEN.name, None, NO_ACTION)
        yield self._may(EVACUATED, lambda: self._evacuate_nowhere(ident), refused_with=(400,))

    def _may_stop(self, servers: list[Mapping[str, Any]]) -> Right:
        still = [server for server in servers if _at_rest(server)]
        if not still and not self._silent:
            return _untold(STOPPED, NO_STOPPED)
        return self._may(STOPPED, lambda: self._stop_again(str(still[0].get("id"))), refused_with=(409,))

    def _may_see_ports(self, servers: list[Mapping[str, Any]]) -> Right:
        """Not only Nova: the nova-compute of the destination lists the ports of the server with the caller's token
        (nova/compute/manager.py, setup_networks_on_host in the rebuild; nova/network/neutron.py, list_ports), and
        Neutron shows those of other projects to admins and services only (neutron/db/db_base_plugin_v2.py,
        _port_filter_hook)."""
        own = self._own_project() if not self._silent else ""
        with_ports = [s for s in servers if s.get("addresses") and str(s.get("tenant_id")) != own]
        if not with_ports or self._silent:
            return Right(PORTS_SEEN, None, SILENT if self._silent else NO_PORT, moot=not self._silent)
        ident = str(with_ports[0].get("id"))
        try:
            if not self._connect().endpoint_for("network"):
                return Right(PORTS_SEEN, None, "the catalogue has no network", moot=True)
            found = self.login.get("network", "/ports", {"limit": "1", "fields": "id", "device_id": ident}, None)
        except NovaRefused as exc:
            return Right(PORTS_SEEN, False if exc.status == 403 else None, str(exc), IN_NEUTRON)
        except (NovaError, ksa.ClientException, openstack.exceptions.SDKException) as exc:
            return Right(PORTS_SEEN, None, str(exc))
        if not found.get("ports"):
            return Right(PORTS_SEEN, False, f"Neutron shows none of {ident}, which has addresses", IN_NEUTRON)
        return Right(PORTS_SEEN, True)

    def _of_scheduling(self) -> Iterator[Right]:
        """What only the capacity depends on."""
        yield replace(self._may(AGGREGATES_SEEN, lambda: self._get("/os-aggregates", {}, AGGREGATES)), lesser=True)
        yield replace(self._may(GROUPS_SEEN, self._some_groups), lesser=True)
        yield replace(self._may_see_room(), lesser=True)

    def _some_groups(self) -> None:
        if not self._is_admin():
            raise NovaRefused("Nova does not show those of other projects to who has no role admin", status=403)
        self._get("/os-server-groups", {"all_projects": "True", "limit": "1"}, GROUPS)

    def _may_see_room(self) -> Right:
        if self._silent:
            return Right(ROOM_SEEN, None, SILENT)
        try:
            if not self._connect().endpoint_for("placement"):
                return Right(ROOM_SEEN, None, "the catalogue has no placement", moot=True)
            self.login.get("placement", "/resource_providers", {"name": "none"}, PROVIDERS)
            query = {"resources": "MEMORY_MB:1", "limit": "1"}
            self.login.get("placement", "/allocation_candidates", query, CANDIDATES)
        except NovaRefused as exc:
            return Right(ROOM_SEEN, False if exc.status == 403 else None, str(exc), IN_PLACEMENT)
        except (NovaError, ksa.ClientException, openstack.exceptions.SDKException) as exc:
            return Right(ROOM_SEEN, None, str(exc))
        return Right(ROOM_SEEN, True)

    def _may(self, need: Need, call: Callable[[], object], refused_with: Collection[int] = ()) -> Right:
        """:param refused_with: the statuses with which Nova refuses a write to somebody who has the right."""
        name = need.name
        if self._silent:
            return Right(name, None, SILENT)
        try:
            call()
        except NovaRefused as exc:
            if exc.status in refused_with:
                return Right(name, True)
            if exc.status == 403:
                policies = f", or in Nova {need.rules}" if need.policies else ""
                return Right(name, False, str(exc), f"give the user of clouds.yaml the role admin{policies}")
            return Right(name, None, str(exc))
        except NovaError as exc:
            self._silent = not (exc.status or exc.others_status)
            return Right(name, None, str(exc))
        except UNREADABLE as exc:
            return Right(name, None, f"the reply is not one of Nova's ({type(exc).__name__}: {exc})")
        if refused_with:
            return Right(name, None, "Nova accepted a call that it must refuse")
        return Right(name, True)

    def _some_servers(self, of_all: bool, most: int) -> list[Mapping[str, Any]]:
        """Some servers, if there are any.

        :raises NovaRefused: also when their hosts are not shown, which Nova hides by another policy.
        """
        params = {"limit": str(most), **({"all_tenants": "1"} if of_all else {})}
        found = list(self._get("/servers/detail", params, SERVERS).get("servers") or ())
        if of_all and any(HOST_OF_SERVER not in server and server.get("status") != "UNKNOWN" for server in found):
            raise NovaRefused(f"Nova does not show {HOST_OF_SERVER}", status=403)
        return [server for server in found if server.get("status") != "UNKNOWN"]

    def _no_servers_of_no_host(self) -> None:
        """Whom it does not let filter Nova shows everything (nova/api/openstack/compute/servers.py,
        remove_invalid_options)."""
        params = {"all_tenants": "1", "host": f"none-{uuid.uuid4()}", "limit": "1"}
        if self._get("/servers/detail", params, SERVERS).get("servers"):
            raise NovaRefused("Nova does not look at the filter host", status=403)

    def _some_migrations(self) -> list[Mapping[str, Any]]:
        return list(self._get("/os-migrations", {"limit": "1"}, MIGRATIONS).get("migrations") or ())

    def _some_actions(self, ident: str) -> list[str]:
        rows = self._get(f"/servers/{ident}/os-instance-actions", {}, ACTIONS).get("instanceActions") or ()
        return [str(row["request_id"]) for row in rows if row.get("request_id")]

    def _an_action(self, ident: str, request_id: str) -> None:
        """:raises NovaRefused: also when its events do not show what Nova hides by another policy."""
        path = f"/servers/{ident}/os-instance-actions/{request_id}"
        action = self._get(path, {}, ACTION_EVENTS).get("instanceAction") or {}
        events = action.get("events")
        if events is None or any("traceback" not in event for event in events):
            raise NovaRefused("Nova does not show the events of an action, or not all of them", status=403)

    def _stop_again(self, ident: str) -> None:
        """Its owner may have begun to start it: it takes longer than from this look to the call."""
        if not _at_rest(self._get(f"/servers/{ident}", {}, SERVERS).get("server") or {}):
            raise NovaUnavailable(f"server {ident} changed just before muster asked about it")
        self._write("POST", f"/servers/{ident}/action", {"os-stop": None}, STOP)

    def _force_nothing_down(self) -> None:
        change = {"forced_down": True, "status": "disabled", "disabled_reason": "muster: asking"}
        if self._speak(SERVICES_BY_UUID) < SERVICES_BY_UUID:
            raise NovaRefused("only microversions from 2.53 have a call that shows it")
        self._write("PUT", f"/os-services/{uuid.uuid4()}", change, SERVICES_BY_UUID)

    def _evacuate_nowhere(self, server: str) -> None:
        if self._speak(EVACUATE_FORCED) < EVACUATE_FORCED_SINCE:
            raise NovaRefused("only microversions from 2.29 have a call that shows it")
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
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
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
        # 200 at its root, 401 there without a slash (placement/auth.py, __call__): all else is somebody else's.
        return f"placement at {url} answers HTTP {reply.status_code}" if reply.status_code not in (200, 401) else ""


def _at_rest(server: Mapping[str, Any]) -> bool:
    """In no state to be stopped, and on the way to none."""
    return server.get("OS-EXT-STS:vm_state") in NOT_TO_BE_STOPPED and not server.get("OS-EXT-STS:task_state")


def _untold(need: Need, why: str) -> Right:
    return Right(need.name, None, f"{why} ({need.rules})", moot=True)


def _hosts_shown(evacuations: Sequence[Mapping[str, Any]]) -> None:
    if not evacuations[0].get("source_compute"):
        raise NovaRefused("Nova does not show source_compute", status=403)
