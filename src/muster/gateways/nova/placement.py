# SPDX-License-Identifier: Apache-2.0
"""What placement says is left on each compute host: two reads, however many hosts and servers there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muster.core.errors import NovaUnavailable
from muster.core.nova_facts import Size
from muster.gateways.nova.login import Login

SUMMARIES = "1.27"  # from here on a summary has every resource class, not only the one that was asked for
PROVIDERS = "1.14"  # the root of each provider


class Placement:
    """:param login: Nova's own: one token for both."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def left(self) -> Mapping[str, Size]:
        """By name of the resource provider (the hypervisor), what is left of CPUs, memory and disk.

        Asked is who has a megabyte of memory left, for nothing fits without.  Who has none is not in that answer, and
        has nothing left here.

        :raises NovaError: when placement does not answer, or forbids it.
        """
        query = {"resources": "MEMORY_MB:1"}
        summaries = _objects(
            self._login.get("placement", "/allocation_candidates", query, SUMMARIES), "provider_summaries"
        )
        body = self._login.get("placement", "/resource_providers", {}, PROVIDERS)
        roots = {row["uuid"]: row["name"] for row in _rows(body) if row.get("root_provider_uuid") == row["uuid"]}
        return {name: left(summaries.get(uuid, {})) for uuid, name in roots.items()}

    def claimed(self, consumer: str) -> Sequence[str]:
        """Names of the resource providers (hypervisors) on which a server has anything.

        :raises NovaError: when placement does not answer, or forbids it.
        """
        held = _objects(self._login.get("placement", f"/allocations/{consumer}", {}, PROVIDERS), "allocations")
        body = self._login.get("placement", "/resource_providers", {}, PROVIDERS)
        roots = {str(row.get("root_provider_uuid")) for row in _rows(body) if row["uuid"] in held}
        return sorted(row["name"] for row in _rows(body) if row["uuid"] in roots)


def left(summary: Mapping[str, Any]) -> Size:
    """From one of ``provider_summaries``; nothing where there is none.

    :raises NovaUnavailable: for numbers that are none.
    """
    try:
        resources = summary.get("resources", {}).items()
        free = {name: max(0, int(of["capacity"]) - int(of["used"])) for name, of in resources}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as exc:
        raise NovaUnavailable("the reply has no capacity where one belongs") from exc
    disk_gb = free.get("DISK_GB") if free else 0
    return Size(free.get("VCPU", 0), free.get("MEMORY_MB", 0), disk_gb)


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
