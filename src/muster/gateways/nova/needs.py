# SPDX-License-Identifier: Apache-2.0
"""What muster asks of Nova, and by which of its policies it may: the one list.

``muster doctor`` asks for each of them, packaging/nova-policy.yaml grants them, and the tests on real Nova compare the
list with whatever they have seen asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """:param policies: without ``os_compute_api:`` before them.
    :param path: behind the endpoint, as a pattern for all of it.
    :param query: a pattern for a part of the query.
    :param action: of a server; the key of the body.
    """

    name: str
    policies: tuple[str, ...]
    method: str
    path: str
    query: str = ""
    action: str = ""

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
MOVES_LISTED = Need(
    "list migrations", ("os-migrations:index", "os-migrations:index:all_projects"), "GET", "/os-migrations"
)
MOVES_HOSTS = Need("see the hosts of migrations", ("os-migrations:index:host",), "GET", "/os-migrations")
ACTIONS_LISTED = Need("list what was done to a server", ("os-instance-actions:list",), "GET", _LOG)
ACTIONS_SEEN = Need(
    "see how that went", ("os-instance-actions:show", "os-instance-actions:events"), "GET", f"{_LOG}/[^/]+"
)
EVACUATED = Need("evacuate", ("os-evacuate",), "POST", _ACTION, action="evacuate")
STOPPED = Need("stop servers", ("servers:stop",), "POST", _ACTION, action="os-stop")
RESET = Need("reset states", ("os-admin-actions:reset_state",), "POST", _ACTION, action="os-resetState")
PORTS_SEEN = "see the ports of other projects' servers in Neutron"

NEEDS = (
    SERVICES_LISTED,
    SERVERS_SEEN,
    OF_ONE_HOST,
    ONE_SERVER,
    MOVES_LISTED,
    MOVES_HOSTS,
    ACTIONS_LISTED,
    ACTIONS_SEEN,
    FORCED_DOWN,
    EVACUATED,
    STOPPED,
    RESET,
)
