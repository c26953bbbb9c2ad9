# SPDX-License-Identifier: Apache-2.0
"""Where placement has room claimed for a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muster.core.errors import NovaUnavailable
from muster.gateways.nova.login import Login

PROVIDERS = "1.14"  # the root of each provider


class Placement:
    """:param login: Nova's own: one token for both."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def claimed(self, consumer: str) -> Sequence[str]:
        """Names of the resource providers (hypervisors) on which a server has anything.

        :raises NovaError: when placement does not answer, or forbids it.
        """
        held = _objects(self._login.get("placement", f"/allocations/{consumer}", {}, PROVIDERS), "allocations")
        body = self._login.get("placement", "/resource_providers", {}, PROVIDERS)
        roots = {str(row.get("root_provider_uuid")) for row in _rows(body) if row["uuid"] in held}
        return sorted(row["name"] for row in _rows(body) if row["uuid"] in roots)


def _objects(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = body.get(key)
    if not isinstance(found, dict):
        raise NovaUnavailable(f"the reply has no object {key!r}")
    return found


def _rows(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = body.get("resource_providers")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and _named(row) for row in rows):
        raise NovaUnavailable("the reply has no list of resource providers")
    return rows


def _named(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("uuid"), str) and isinstance(row.get("name"), str)
