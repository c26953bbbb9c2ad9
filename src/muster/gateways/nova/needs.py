# SPDX-License-Identifier: Apache-2.0
"""What muster asks of Nova, and by which of its policies it may: the one list.

``muster doctor`` asks for each of them, ``./generate`` writes packaging/nova-policy.yaml and a table of docs/deploy.md
from it, and the tests on real Nova compare it with whatever they have seen asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """:param name: behind "to": what it is for.
    :param policies: without ``os_compute_api:`` before them; none where only an admin may, whatever they say.
    :param path: behind the endpoint, as a pattern for all of it.
    :param query: a pattern for a part of the query.
    :param action: of a server; the key of the body.
    :param only: when it is needed, unless always.
    """

    name: str
    policies: tuple[str, ...]
    method: str
    path: str
    query: str = ""
    action: str = ""
    only: str = ""

    def covers(self, method: str, path: str, query: str, body: str) -> bool:
        named = not self.action or f'"{self.action}"' in body
        fits = re.fullmatch(self.path, path) is not None and re.search(self.query, query) is not None
        return method == self.method and named and fits

    @property
    def rules(self) -> str:
        return " ".join(f"os_compute_api:{policy}" for policy in self.policies)


_ACTION = "/servers/[^/]+/action"
_LOG = "/servers/[^/]+/os-instance-actions"

SERVICES_LISTED = Need("list services", ("os-services:list",), "GET", "/os-services")
FORCED_DOWN = Need("force hosts down and disable them", ("os-services:update",), "PUT", "/os-services/.+")
SERVERS_SEEN = Need(
    "see every project's servers and their hosts",
    ("servers:detail", "servers:detail:get_all_tenants", "os-extended-server-attributes"),
    "GET",
    "/servers/detail",
    query="all_tenants=",
)
OF_ONE_HOST = Need(
    "list the servers of one host", ("servers:allow_all_filters",), "GET", "/servers/detail", query=r"\bhost="
)
ONE_SERVER = Need("see a single server", ("servers:show",), "GET", "/servers/(?!detail)[^/]+")
MIGRATIONS_LISTED = Need(
    "list migrations", ("os-migrations:index", "os-migrations:index:all_projects"), "GET", "/os-migrations"
)
MIGRATION_HOSTS_SEEN = Need("see the hosts of migrations", ("os-migrations:index:host",), "GET", "/os-migrations")
ACTIONS_LISTED = Need("list what was done to a server", ("os-instance-actions:list",), "GET", _LOG)
ACTIONS_SEEN = Need(
    "read the result of what was done to a server",
    ("os-instance-actions:show", "os-instance-actions:events"),
    "GET",
    f"{_LOG}/[^/]+",
)
EVACUATED = Need("evacuate", ("os-evacuate",), "POST", _ACTION, action="evacuate")
STOPPED = Need("stop servers", ("servers:stop",), "POST", _ACTION, action="os-stop")
RESET = Need(
    "reset states",
    ("os-admin-actions:reset_state",),
    "POST",
    _ACTION,
    action="os-resetState",
    only="with the parameter reset_states",
)
FOR_CAPACITY = "for the commands plan and capacity"
AGGREGATES_SEEN = Need("see host aggregates", ("os-aggregates:index",), "GET", "/os-aggregates", only=FOR_CAPACITY)
GROUPS_SEEN = Need(
    "see every project's server groups", (), "GET", "/os-server-groups", "all_projects=", "", FOR_CAPACITY
)
"""Whether the caller is an admin Nova asks itself, beside its policy (nova/api/openstack/compute/server_groups.py,
index)."""
BESIDE_NOVA = (
    ("network", "GET", "/v2.0/ports"),
    ("placement", "GET", "/allocation_candidates"),
    ("placement", "GET", "/allocations/*"),
    ("placement", "GET", "/resource_providers"),
    ("placement", "GET", "/resource_providers/*/inventories"),
    ("placement", "GET", "/resource_providers/*/usages"),
)
"""What doctor asks of Neutron, and plan, capacity and status of placement: service, method, path."""
ROOM_SEEN = "see in Placement what hosts have left"
PORTS_SEEN = "see the ports of other projects' servers in Neutron"

RICHER = {
    "servers:show:flavor-extra-specs": "see the marks in the extra specs of flavors",
    "os-instance-actions:events:details": "tell in muster report why an evacuation failed",
}
"""Policies that nothing is refused without: they make an answer richer.  For each what it is for."""
SINCE = {"os-migrations:index:all_projects": "Nova 32 (2025.2)", "os-migrations:index:host": "Nova 32 (2025.2)"}
"""Older ones do not know these policies."""
_READER, _MEMBER, ADMIN = "rule:project_reader_or_admin", "rule:project_member_or_admin", "rule:context_is_admin"
NOT_FOR_ADMINS_ALONE = {
    "servers:detail": _READER,
    "servers:show": _READER,
    "servers:show:flavor-extra-specs": _READER,
    "os-instance-actions:list": _READER,
    "os-instance-actions:show": _READER,
    "servers:stop": _MEMBER,
}
"""Who else may, by Nova's own default (nova/policies); everything else is for admins (``ADMIN``)."""

NEEDS = (
    SERVICES_LISTED,
    SERVERS_SEEN,
    OF_ONE_HOST,
    ONE_SERVER,
    MIGRATIONS_LISTED,
    MIGRATION_HOSTS_SEEN,
    ACTIONS_LISTED,
    ACTIONS_SEEN,
    FORCED_DOWN,
    EVACUATED,
    STOPPED,
    RESET,
    AGGREGATES_SEEN,
    GROUPS_SEEN,
)


def access_rules() -> list[dict[str, str]]:
    """All that muster asks for, as the access rules of an application credential: ``*`` is one part of a path
    (keystonemiddleware/auth_token/__init__.py, _path_matches)."""
    compute = {
        ("compute", need.method, "/v2.1" + re.sub(r"(?:\(.*\))?(?:\[\^/\]|\.)\+", "*", need.path)) for need in NEEDS
    }
    found = sorted(compute) + sorted(BESIDE_NOVA)
    return [{"service": service, "method": method, "path": path} for service, method, path in found]
