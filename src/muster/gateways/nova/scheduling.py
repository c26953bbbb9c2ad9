# SPDX-License-Identifier: Apache-2.0
"""What Nova's scheduler goes by, as far as Nova and Placement show it.  Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from muster.core.errors import NovaUnavailable
from muster.gateways.nova.compute import SERVERS, Nova
from muster.gateways.nova.connection import Version
from muster.gateways.nova.login import FAILURES, Login
from muster.planning.request import Ask
from muster.planning.terms import Aggregate, Offer, Provider, ServerGroup

AGGREGATES: Version = (2, 41)  # from here on they have the UUID that Placement knows them by
GROUPS: Version = (2, 64)  # from here on a policy has rules
GROUPS_PAGES = 100
FULL = 5
CANDIDATES = "1.29"  # nested providers; 1.22 traits that are forbidden, 1.27 every resource class in a summary
PROVIDERS = "1.14"  # the root of each provider; 1.3 member_of


class NovaScheduling(Nova):
    """The same connection as :class:`Nova`, asked for what the scheduler goes by."""

    def images_shown(self) -> bool:
        """Whether servers come with the properties of their image."""
        return self._speak(SERVERS) >= SERVERS

    def aggregates(self) -> Sequence[Aggregate]:
        return [_aggregate(row) for row in _rows(self._get("/os-aggregates", {}, AGGREGATES), "aggregates")]

    def groups(self) -> Sequence[ServerGroup]:
        """Of all projects.  Nova pages them by number, and each page is no longer than it likes (``max_limit``).

        To who is no admin it shows those of their own project, and says nothing (nova/api/openstack/compute/
        server_groups.py, index): a group that is not seen would be no group.
        """
        if not self._is_admin():
            raise NovaUnavailable("only a user with the role admin is shown those of every project")
        found: list[ServerGroup] = []
        for _ in range(GROUPS_PAGES):
            query = {"all_projects": "True", "limit": "1000", "offset": str(len(found))}
            page = _rows(self._get("/os-server-groups", query, GROUPS), "server_groups")
            if not page:
                return found
            found += map(_group, page)
        raise NovaUnavailable(f"GET /os-server-groups: more than {GROUPS_PAGES} pages")

    def _is_admin(self) -> bool:
        """By Nova's default (nova/policies/base.py, context_is_admin)."""
        session = self._connect().session
        access = getattr(session.auth, "get_access", None)
        try:
            return access is not None and "admin" in access(session).role_names
        except FAILURES as exc:
            raise self.login.read_trouble("/", exc) from exc


class PlacementOffers:
    """What Placement has, by name of the hypervisor.  Raises NovaError.

    :param login: Nova's own: one token for both.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._roots: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def providers(self) -> Mapping[str, Provider]:
        """What every one has; the traits not of those that have neither a megabyte of memory nor a CPU left.

        Those are asked for one by one, up to ``FULL``: of the others nothing is known.
        """
        for row in _rows(self._login.get("placement", "/resource_providers", {}, PROVIDERS), "resource_providers"):
            self._roots[_text(row, "uuid")] = _text(row, "root_provider_uuid")
            self._names[_text(row, "uuid")] = _text(row, "name")
        hosts = [uuid for uuid, root in self._roots.items() if uuid == root]
        found = {self._names[uuid]: Provider(over=None) for uuid in hosts}
        for resources in ("MEMORY_MB:1", "VCPU:1"):
            summaries = self._candidates({"resources": resources})["provider_summaries"]
            for uuid in summaries.keys() & set(hosts):
                found[self._names[uuid]] = _provider(summaries[uuid], summaries[uuid].get("traits", 0))
            full = [uuid for uuid in hosts if found[self._names[uuid]].over is None]
            if not full:
                return found
        found.update({self._names[uuid]: self._full(uuid) for uuid in full[:FULL]})
        return found

    def _full(self, uuid: str) -> Provider:
        where = f"/resource_providers/{uuid}"
        has = self._login.get("placement", f"{where}/inventories", {}, PROVIDERS).get("inventories")
        used = self._login.get("placement", f"{where}/usages", {}, PROVIDERS).get("usages")
        try:
            return _provider(
                {
                    "resources": {
                        name: {
                            "capacity": int((of["total"] - of["reserved"]) * of["allocation_ratio"]),
                            "used": used[name],  # type: ignore[index]
                        }
                        for name, of in has.items()  # type: ignore[union-attr]
                    },
                },
                None,
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as exc:
            raise NovaUnavailable("the reply has no inventory where one belongs") from exc

    def offer(self, ask: Ask) -> Offer:
        query = {"resources": ",".join(f"{name}:{amount}" for name, amount in ask.resources)}
        traits = sorted(ask.required) + [f"!{trait}" for trait in sorted(ask.forbidden)]
        if traits:
            query["required"] = ",".join(traits)
        alone: set[str] = set()
        jointly: set[str] = set()
        for one in _rows(self._candidates(query), "allocation_requests"):
            givers = one.get("allocations")
            if not isinstance(givers, dict):
                raise NovaUnavailable("the reply has an allocation request without allocations")
            roots = {self._roots.get(uuid, uuid) for uuid in givers}
            names = {self._names[root] for root in roots if root in self._names}
            (alone if len(givers) == 1 and set(givers) == roots else jointly).update(names)
        return Offer(frozenset(alone), frozenset(jointly))

    def members(self, aggregates: Collection[str]) -> frozenset[str]:
        query = {"member_of": f"in:{','.join(sorted(aggregates))}"}
        body = self._login.get("placement", "/resource_providers", query, PROVIDERS)
        return frozenset(_text(row, "name") for row in _rows(body, "resource_providers"))

    def _candidates(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        body = self._login.get("placement", "/allocation_candidates", query, CANDIDATES)
        summaries = body.get("provider_summaries")
        if not isinstance(summaries, dict) or not all(isinstance(one, dict) for one in summaries.values()):
            raise NovaUnavailable("the reply has no object 'provider_summaries'")
        return body


def _aggregate(row: Mapping[str, Any]) -> Aggregate:
    metadata, hosts = row.get("metadata"), row.get("hosts")
    if not isinstance(metadata, dict) or not isinstance(hosts, list):
        raise NovaUnavailable("the reply has an aggregate without hosts or metadata")
    told = {str(key): str(value) for key, value in metadata.items()}
    uuid = row.get("uuid")
    if not isinstance(uuid, str):
        raise NovaUnavailable("Nova shows no UUIDs of aggregates (before 2.41)")
    return Aggregate(uuid, told.get("availability_zone", ""), frozenset(map(str, hosts)), told)


def _group(row: Mapping[str, Any]) -> ServerGroup:
    members, rules, policies = row.get("members"), row.get("rules") or {}, row.get("policies")
    policy = row.get("policy") or (policies[0] if isinstance(policies, list) and policies else "")
    if not isinstance(members, list) or not isinstance(policy, str) or not isinstance(rules, dict):
        raise NovaUnavailable("the reply has a server group that cannot be read")
    most = rules.get("max_server_per_host", 1)
    if isinstance(most, bool) or not isinstance(most, int):
        raise NovaUnavailable(f"the reply has {most!r:.50} where max_server_per_host belongs")
    return ServerGroup(_text(row, "id"), policy, frozenset(map(str, members)), most)


def _provider(summary: Mapping[str, Any], traits: object) -> Provider:
    resources = summary.get("resources")
    try:
        whole = {str(name): int(of["capacity"]) for name, of in resources.items()}  # type: ignore[union-attr]
        left = {name: max(0, whole[name] - int(of["used"])) for name, of in resources.items()}  # type: ignore[union-attr]
        over = any(int(of["used"]) > whole[name] for name, of in resources.items())  # type: ignore[union-attr]
        known = None if traits is None else frozenset(map(str, traits))  # type: ignore[call-overload]
        return Provider(left, whole, known, over)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as exc:
        raise NovaUnavailable("the reply has no capacity where one belongs") from exc


def _rows(body: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = body.get(key)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise NovaUnavailable(f"the reply has no list {key!r}")
    return found


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise NovaUnavailable(f"the reply has a row without {key!r}")
    return value
