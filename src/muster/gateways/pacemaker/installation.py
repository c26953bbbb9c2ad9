# SPDX-License-Identifier: Apache-2.0
"""How muster is installed in this cluster, as its CIB says.  Asks nobody, writes nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Optional

from muster.core.errors import ClusterError
from muster.gateways.pacemaker import cib, cib_fencing, cib_operations, cib_xml
from muster.gateways.pacemaker.attributes import Element, inherited, pairs, ruled, with_outer
from muster.gateways.pacemaker.constraints import is_never, keeping_away, located, locations
from muster.installation.fencing_topology import AGENT, EVACUATORS
from muster.installation.installed import STICKINESS, Installation, Resource, Rival

WORKER = ("ocf", "muster", "ComputeRecovery")
REMOTE = ("ocf", "pacemaker", "remote")
RIVALS = {
    "NovaEvacuate": "evacuates",
    "nova-compute-wait": "lifts the force-down of a host whenever its nova-compute starts",
}
"""Agents of openstack-resource-agents, whichever provider they are packaged under."""
RIVAL_NAMES = {"masakarihostmonitor": "reports dead hosts to Masakari, which evacuates", "instanceha": "evacuates"}
"""In the id or the type of a resource, letters only: services and containers have no agent of their own."""
TRIGGER = "computeunfencetrigger"
STOP_TIMEOUT = "20s"
DEVICE_TIMEOUT = "60s"
"""Where the CIB says nothing (2.1.5 to 3.0.2: PCMK_DEFAULT_ACTION_TIMEOUT_MS)."""
UNITS = {
    "": 1,
    "s": 1,
    "sec": 1,
    "ms": 1e-3,
    "msec": 1e-3,
    "us": 1e-6,
    "usec": 1e-6,
    "m": 60,
    "min": 60,
    "h": 3600,
    "hr": 3600,
}
"""As in crm_get_msec() (lib/common/utils.c, strings.c)."""


def installation(snapshot: Element, left_alone: Collection[str] = ()) -> Installation:
    """:param left_alone: remote nodes that are none of muster's."""
    remotes = {str(p.get("id")) for p in _primitives(snapshot) if _agent(p) == REMOTE}
    nodes = [n for n in snapshot.iterfind("configuration/nodes/node") if n.get("type", "member") == "member"]
    members = {str(node.get("uname")) for node in nodes}
    recorders = [device for device in cib_fencing.devices(snapshot).values() if device.agent == AGENT]
    listed = {member for member in members if any(member in device.hosts for device in recorders)}
    controllers = tuple(sorted(members - listed))
    computes = tuple(sorted((remotes | listed) - set(left_alone)))
    section = snapshot.find("configuration/resources")
    return Installation(
        quorum=cib.quorate(snapshot),
        options=options(snapshot),
        options_unclear=ruled(snapshot, cib_xml.OPTIONS),
        controllers=controllers,
        computes=computes,
        remotes=frozenset(computes) & remotes,
        devices=cib_fencing.devices(snapshot),
        levels={node: tuple(cib_fencing.levels(snapshot, node)) for node in (*controllers, *computes)},
        workers=tuple(resources(snapshot)),
        nova_compute=_nova_compute(snapshot),
        stops={str(p.get("id")): _stop_s(snapshot, p) for p, _ in _running_nova_compute(snapshot)},
        rivals=tuple(sorted(rivals(snapshot), key=lambda rival: rival.fences)),
        versions=cib.announced(snapshot, cib_xml.VERSION),
        lacks=cib.announced(snapshot, cib_xml.LACKS),
        ids=frozenset(str(e.get("id")) for e in section.iter() if e.get("id")) if section is not None else frozenset(),
    )


def resources(snapshot: Element) -> list[Resource]:
    """Every resource of the agent in the cluster."""
    found = []
    for primitive in _primitives(snapshot):
        if _agent(primitive) == WORKER:
            name = str(primitive.get("id"))
            meta = inherited(snapshot, primitive, "meta_attributes")
            off_remotes = list(keeping_away(snapshot, primitive, _is_of_remotes))
            active = cib_operations.active(snapshot, name)
            found.append(
                Resource(
                    id=name,
                    parameters=inherited(snapshot, primitive, "instance_attributes"),
                    meta=meta,
                    active_on=tuple(active),
                    unasked=tuple(cib_operations.unasked(snapshot, name)),
                    active_since=max(active.values(), default=0),
                    started_at=cib_operations.started(snapshot, name, active),
                    paused=cib.paused(snapshot, name),
                    failures=dict(_failures(snapshot, name)),
                    stickiness=meta.get(STICKINESS, ""),
                    monitored=any(_recurs(op) for op in primitive.iterfind("operations/op[@name='monitor']")),
                    off_remotes=bool(off_remotes),
                    asking=tuple(_asking(off_remotes)),
                    avoids=frozenset(_avoided(snapshot, primitive)),
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
        raise ClusterError("this cluster has no resource ocf:muster:ComputeRecovery. To create one: muster setup")
    if wanted:
        raise ClusterError(f"there is no resource {wanted!r} of ocf:muster:ComputeRecovery: there is {names}")
    raise ClusterError(f"there are several resources of ocf:muster:ComputeRecovery. Choose one by --resource: {names}")


def options(snapshot: Element) -> dict[str, str]:
    """The cluster's."""
    return cib.options(snapshot)


# --------------------------------------------------------------- other tools


def rivals(snapshot: Element) -> Iterator[Rival]:
    """What else evacuates in this cluster, or lifts what muster sets, as far as the CIB shows it."""
    targets = {str(level.get("target")) for level in snapshot.iterfind("configuration/fencing-topology/fencing-level")}
    nodes = sorted({*cib_xml.names(snapshot), *targets} - {"None"})
    for primitive in _primitives(snapshot):
        does = _does(primitive)
        if does:
            name, kind = str(primitive.get("id")), [str(word) for word in _agent(primitive) if word]
            fences = primitive.get("class") == "stonith"
            concerned = (n for n in nodes if any(name in level.devices for level in cib_fencing.levels(snapshot, n)))
            yield Rival(
                id=_chain(primitive)[-1],
                agent=kind[-1] if fences else ":".join(kind),
                does=does,
                fences=fences,
                disabled=inherited(snapshot, primitive, "meta_attributes").get("target-role", "").lower() == "stopped",
                levels=tuple(concerned) if fences else (),
            )


def _does(primitive: Element) -> str:
    kind, names = str(primitive.get("type")), [_letters(primitive.get("type")), _letters(primitive.get("id"))]
    if primitive.get("class") == "stonith":
        return "forces hosts down, enables them again and evacuates" if kind in EVACUATORS else ""
    if any(name.endswith(TRIGGER) for name in names):
        return "has every host unfenced by the old device when it joins"
    found = (does for word, does in RIVAL_NAMES.items() if any(word in name for name in names))
    return RIVALS.get(kind) or next(found, "")


def _letters(name: object) -> str:
    return re.sub("[^a-z]", "", str(name).lower())


# ---------------------------------------------------------------------- rules


def _nova_compute(snapshot: Element) -> dict[str, bool]:
    """What runs nova-compute, by its agent, its name or its rule: the outermost resource, and whether it is held."""
    return {_chain(primitive)[-1]: held for primitive, held in _running_nova_compute(snapshot)}


def _running_nova_compute(snapshot: Element) -> Iterator[tuple[Element, bool]]:
    for primitive in _primitives(snapshot):
        held = next(keeping_away(snapshot, primitive, _is_hold), None) is not None
        if held or _is_nova_compute(primitive):
            yield primitive, held


def _stop_s(snapshot: Element, primitive: Element) -> Optional[float]:
    """The time-out of its stop: its own, that of all operations, or Pacemaker's."""
    own = [op.get("timeout") for op in primitive.iterfind("operations/op[@name='stop']")]
    defaults = snapshot.find("configuration/op_defaults")
    of_all = pairs(defaults, "meta_attributes").get("timeout") if defaults is not None else None
    return _seconds(next(filter(None, (*own, of_all)), STOP_TIMEOUT))


def fencing_timeout_s(snapshot: Element, node: str) -> float:
    """How long the fencing of a node may take, roughly: each device of its levels has the time-out of the cluster."""
    devices = sum(len(level.devices) for level in cib_fencing.levels(snapshot, node)) or 1
    given = cib.options(snapshot)
    text = given.get("stonith-timeout") or given.get("fencing-timeout") or DEVICE_TIMEOUT
    return devices * (_seconds(text) or 60.0)


def _seconds(text: str) -> Optional[float]:
    found = re.fullmatch(r"\s*(\d+)\s*([a-z]*)\s*", text.lower())
    return int(found.group(1)) * UNITS[found.group(2)] if found and found.group(2) in UNITS else None


def _is_nova_compute(primitive: Element) -> bool:
    if primitive.get("class") == "stonith" or _agent(primitive) == REMOTE:
        return False
    names = (str(primitive.get("type")).split(".service")[0], str(primitive.get("id")))
    return any(_letters(name).endswith("novacompute") for name in names)


def _asking(locations: Collection[Element]) -> Iterator[str]:
    """One that says never to ask is enough: Pacemaker takes it for all of them."""
    if not any(location.get("resource-discovery") == "never" for location in locations):
        yield from (str(location.get("id")) for location in locations)


def _avoided(snapshot: Element, primitive: Element) -> Iterator[str]:
    chain = set(_chain(primitive))
    for location in locations(snapshot):
        node = location.get("node")
        if node and is_never(location.get("score", "")) and chain & located(snapshot, location):
            yield node


def _is_hold(expression: Element) -> bool:
    return (expression.get("attribute"), expression.get("operation")) == (cib_xml.HOLD, "defined")


def _is_of_remotes(expression: Element) -> bool:
    asked = (expression.get("operation"), expression.get("value"))
    return expression.get("attribute") == "#kind" and asked in (("eq", "remote"), ("ne", "cluster"))


# -------------------------------------------------------------------- details


def _primitives(snapshot: Element) -> Iterator[Element]:
    return snapshot.iterfind("configuration/resources//primitive")


def _agent(primitive: Element) -> tuple[object, ...]:
    return primitive.get("class"), primitive.get("provider"), primitive.get("type")


def _chain(primitive: Element) -> list[str]:
    """Its id, and those of what it is in."""
    return [str(element.get("id")) for element in with_outer(primitive)]


def _recurs(operation: Element) -> bool:
    off = operation.get("enabled", "true").lower() in ("false", "no", "off", "0")
    return not off and re.fullmatch("0*[a-z]*", operation.get("interval", "0").lower()) is None


def _failures(snapshot: Element, name: str) -> Iterator[tuple[str, str]]:
    for state in snapshot.iterfind("status/node_state"):
        if state.get("remote_node") == "true":
            continue  # it is never to run there, and a compute need not even have the agent
        for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
            if history.get("id") != name:
                continue
            for operation in history.iterfind("lrm_rsc_op"):
                # A probe that finds it running is kept as a failure, too.
                if str(operation.get("id")).endswith("_last_failure_0") and operation.get("rc-code") != "0":
                    reason = operation.get("exit-reason") or f"exit {operation.get('rc-code')}"
                    yield str(state.get("uname")), f"{operation.get('operation')}: {reason}"
