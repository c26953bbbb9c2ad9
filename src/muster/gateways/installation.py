# SPDX-License-Identifier: Apache-2.0
"""How muster is installed in this cluster, as its CIB says.  Asks nobody, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from muster.errors import ClusterError
from muster.gateways import cib
from muster.gateways.cib import Element

WORKER = ("ocf", "muster", "ComputeRecovery")


@dataclass(frozen=True)
class Resource:
    """A resource of the agent ComputeRecovery.

    :param parameters: as they stand in the CIB; credentials are not among them.
    :param active_on: controllers on which it is started, by the last known operation.
    :param disabled: an operator keeps it stopped (``target-role``), or the whole cluster is in maintenance.
    :param paused: who told it to change nothing; empty if nobody did.
    :param failures: by controller, what Pacemaker says of its last failed operation.
    """

    id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    active_on: tuple[str, ...] = ()
    paused: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def disabled(self) -> bool:
        return self.meta.get("target-role", "").lower() == "stopped"

    @property
    def unmanaged(self) -> bool:
        return self.meta.get("is-managed", "").lower() in ("false", "no", "off", "0")


def resources(snapshot: Element) -> list[Resource]:
    """Every resource of the agent in the cluster."""
    found = []
    for primitive in snapshot.iterfind("configuration/resources//primitive"):
        if (primitive.get("class"), primitive.get("provider"), primitive.get("type")) == WORKER:
            name = str(primitive.get("id"))
            found.append(
                Resource(
                    id=name,
                    parameters=pairs(primitive, "instance_attributes"),
                    meta=pairs(primitive, "meta_attributes"),
                    active_on=tuple(cib.active(snapshot, name)),
                    paused=cib.paused(snapshot, name),
                    failures=dict(_failures(snapshot, name)),
                )
            )
    return found


def resource(snapshot: Element, wanted: str) -> Resource:
    """The resource of that id; with an empty id, the only one.

    :raises ClusterError: when there is none, or more than one to choose from.
    """
    found = resources(snapshot)
    chosen = [one for one in found if one.id == wanted] if wanted else found
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(one.id for one in found)
    if not found:
        raise ClusterError("this cluster has no resource ocf:muster:ComputeRecovery: see muster setup")
    if wanted:
        raise ClusterError(f"there is no resource {wanted!r} of ocf:muster:ComputeRecovery: there is {names}")
    raise ClusterError(f"there is more than one resource of ocf:muster:ComputeRecovery: say --resource, one of {names}")


def options(snapshot: Element) -> dict[str, str]:
    """The cluster's options, the first of each name."""
    found: dict[str, str] = {}
    for pair in snapshot.iterfind("configuration/crm_config/cluster_property_set/nvpair"):
        found.setdefault(str(pair.get("name")), pair.get("value") or "")
    return found


def pairs(element: Element, kind: str) -> dict[str, str]:
    """The name-value pairs of an element's sets of that kind, the first of each name."""
    found: dict[str, str] = {}
    for pair in element.iterfind(f"{kind}/nvpair"):
        found.setdefault(str(pair.get("name")), pair.get("value") or "")
    return found


def _failures(snapshot: Element, name: str) -> Iterator[tuple[str, str]]:
    for state in snapshot.iterfind("status/node_state"):
        for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
            if history.get("id") != name:
                continue
            for operation in history.iterfind("lrm_rsc_op"):
                if str(operation.get("id")).endswith("_last_failure_0"):
                    reason = operation.get("exit-reason") or f"exit {operation.get('rc-code')}"
                    yield str(state.get("uname")), f"{operation.get('operation')}: {reason}"
