# SPDX-License-Identifier: Apache-2.0
"""The fencing that a CIB configures: levels and devices, as Pacemaker reads them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Optional

from muster.gateways.pacemaker import attributes, posix
from muster.gateways.pacemaker.attributes import Element
from muster.gateways.pacemaker.cib_xml import (
    REFUSED,
    names,
    nodes_named,
    primitives_of,
    since,
    transient,
    values_of,
)
from muster.installation.fencing_topology import (
    AGENT,
    ASK_HOSTS,
    BY_SNMP,
    ONE_HOST,
    POWER_AGENTS,
    Device,
    Level,
    leave_it_off,
)

REMOTE_PORT = 3121
SAME_OPERATION_S = 60
"""A fencing that was under way at a refusal is over by then, and so is a next one that began with what was refused."""


def levels(cib: Element, name: str) -> list[Level]:
    """Every fencing level that applies to a node: by its name, by a pattern, by one of its attributes.

    Those whose index is not 1 to 9 Pacemaker ignores (daemons/fenced/fenced_commands.c, fenced_register_level()).
    """
    found = []
    for level in cib.iterfind("configuration/fencing-topology/fencing-level"):
        applies = _applies(cib, level, name) if re.fullmatch("[1-9]", level.get("index", "")) else False
        if applies is not False:
            devices = tuple(filter(None, level.get("devices", "").split(",")))
            unclear = "" if applies else f"whether its pattern matches {name!r} cannot be told here"
            found.append(Level(int(level.get("index", "")), devices, _target(level), unclear, level.get("id", "")))
    return sorted(found, key=lambda level: level.index)


def devices(cib: Element) -> dict[str, Device]:
    """The fence devices by id."""
    primitives = list(cib.iterfind("configuration/resources//primitive[@class='stonith']"))
    recorders = [_device(cib, primitive, frozenset()) for primitive in primitives if primitive.get("type") == AGENT]
    vouched = frozenset(agent for recorder in recorders for agent in recorder.power_agents)
    nodes = names(cib)
    leveled = functools.cache(lambda: _by_device(cib, nodes))
    return {str(primitive.get("id")): _device(cib, primitive, vouched, nodes, leveled) for primitive in primitives}


def reached_at(cib: Element, node: str, default_port: str) -> Optional[tuple[str, int]]:
    """Where Pacemaker connects to a remote that its levels leave off: by name or address, and the port
    (controld_remote_ra.c, handle_remote_ra_start(); lib/common/remote.c, crm_default_remote_port()).

    :param default_port: ``PCMK_remote_port`` of this controller.
    :returns: None for any other node, and where nobody is to ask.
    """
    connection = next((p for p in primitives_of(cib, "ocf", "pacemaker", "remote") if p.get("id") == node), None)
    if connection is None or attributes.unclear(cib, connection, "instance_attributes"):
        return None
    known = devices(cib)
    if not leave_it_off(levels(cib, node), known) or not all(device.asks_hosts for device in known.values()):
        return None
    given = attributes.inherited(cib, connection, "instance_attributes")
    ports = (int(port) for port in (given.get("port", ""), default_port) if port.isdecimal() and int(port))
    return given.get("server") or given.get("addr") or node, next(ports, REMOTE_PORT)


def lives(node: str) -> str:
    return f"a power device called {node} off, but {node} or another machine at its address still accepted connections"


def still_refused(cib: Element, node: str, now: int) -> Optional[str]:
    """Why ``off`` is refused although the configuration is sound now: it may have been mended since this fencing began.

    Measured: a level was mended while Pacemaker was at it, what stood before fence_muster had been called as the old
    configuration said, and the record was written with the power on.  Which operation a call is part of it is not told.
    """
    at = noted(cib, REFUSED).get(node, 0)
    if not at or abs(now - at) >= SAME_OPERATION_S:
        return None
    return (
        f"fence_muster refused {node} {abs(now - at)} s ago, and this may be the same fencing, begun before its devices"
        f" were repaired. It refuses until {SAME_OPERATION_S} s after its last refusal. If Pacemaker does not fence the"
        f" host again then: pcs stonith fence {node}"
    )


def noted(cib: Element, attribute: str) -> dict[str, int]:
    """When a fence agent last noted this, by node; what is gone with its controller nobody knows."""
    found: dict[str, int] = {}
    for pair in cib.iterfind("status/node_state/transient_attributes/instance_attributes/nvpair"):
        name = pair.get("name", "")
        if name.startswith(attribute):
            node = name[len(attribute) :]
            found[node] = max(found.get(node, 0), since(pair.get("value", "")))
    return found


def noted_by(cib: Element, attribute: str, node: str) -> list[str]:
    """The controllers whose agents noted this of a node."""
    states = cib.iterfind("status/node_state")
    return [str(state.get("uname")) for state in states if transient(state, f"{attribute}{node}")]


def _by_device(cib: Element, nodes: Iterable[str]) -> dict[str, list[str]]:
    """By fence device, the nodes whose levels name it."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        for device in {device for level in levels(cib, node) for device in level.devices}:
            found.setdefault(device, []).append(node)
    return found


def recorders_of(cib: Element) -> list[Device]:
    """The devices of muster's own agent; what vouches for others is left out."""
    return [_device(cib, primitive, frozenset()) for primitive in primitives_of(cib, "stonith", "", AGENT)]


def _device(
    cib: Element,
    primitive: Element,
    vouched: frozenset[str],
    nodes: Collection[str] = (),
    leveled: Callable[[], Mapping[str, Sequence[str]]] = dict,
) -> Device:
    ident, agent = str(primitive.get("id")), str(primitive.get("type"))
    given = attributes.inherited(cib, primitive, "instance_attributes")
    meta = attributes.inherited(cib, primitive, "meta_attributes")
    # Whatever they say: the agents ask only whether they are there (fence_azure_arm, set_power_status(); fence_virsh,
    # get_power_status()).
    network = bool(given.get("network-fencing") or given.get("network_fencing"))
    return Device(
        ident,
        agent,
        _off_action(given),
        _hosts(given),
        given.get("pcmk_host_check", ""),
        disabled=meta.get("target-role", "").lower() == "stopped",
        vouched=agent in vouched,
        network=network,
        forgiving=_forgiving(given),
        unlisted=agent in BY_SNMP and given.get("snmp_version", given.get("snmp-version", BY_SNMP[agent])) != "1",
        shared=_shared(agent, given, nodes, lambda: leveled().get(ident, ())),
        unclear=attributes.unclear(cib, primitive, "instance_attributes"),
        power_agents=words(given.get(POWER_AGENTS, "")),
        asks_hosts=given.get(ASK_HOSTS, "").lower() not in ("no", "false", "off", "0"),
        reboot_action=given.get("pcmk_reboot_action", given.get("action") or "reboot"),
    )


def _forgiving(given: Mapping[str, str]) -> str:
    """Of VMware Server 1 only guests that run are listed (fence_vmware, get_power_status())."""
    if given.get("vmware_type", given.get("vmware-type", "")).lower() == "server1":
        return "vmware_type=server1"
    return "missing_as_off" if given.get("missing_as_off") or given.get("missing-as-off") else ""


def _shared(
    agent: str, given: Mapping[str, str], nodes: Collection[str], leveled: Callable[[], Sequence[str]]
) -> tuple[str, ...]:
    """Several nodes that the controller of one host is to fence.  Asked for a status, it has one for any node; where
    it lists none, Pacemaker asks for that (fenced_commands.c, target_list_type()), of those whose levels name it.

    :param leveled: gives the nodes whose levels name the device.
    """
    if agent not in ONE_HOST or given.get("port_as_ip") or given.get("port-as-ip"):
        return ()
    check, listed = given.get("pcmk_host_check"), {host.casefold() for host in _hosts(given)}
    if check in ("none", "status"):
        found = tuple(nodes)
    elif listed or check:
        found = tuple(node for node in nodes if node.casefold() in listed)
    else:
        found = tuple(leveled())
    return found if len(found) > 1 else ()


def _off_action(given: Mapping[str, str]) -> str:
    """What is called where ``off`` is meant.  Pacemaker takes a device's ``action`` for that, too, unless it is empty
    or a reboot (daemons/fenced/fenced_commands.c, xml2device_params())."""
    action = given.get("action", "")
    return given.get("pcmk_off_action", action if action not in ("", "reboot") else "off")


def _hosts(given: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes of a device: a list of names, and a map of names to plugs ("node:plug;node=plug,plug")."""
    mapped = (re.split("[:=]", entry)[0] for entry in re.split(r"[;\s]+", given.get("pcmk_host_map", "")))
    return tuple(dict.fromkeys(filter(None, (*words(given.get("pcmk_host_list", "")), *mapped))))


def words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[,;\s]+", text)))


def _target(level: Element) -> str:
    if level.get("target") is not None:
        return str(level.get("target"))
    if level.get("target-pattern") is not None:
        return f"regexp%{level.get('target-pattern')}"
    return f"attrib%{level.get('target-attribute')}={level.get('target-value')}"


def _applies(cib: Element, level: Element, name: str) -> Optional[bool]:
    """As Pacemaker matches it (daemons/fenced/fenced_remote.c, topology_matches()); None where that cannot be told."""
    target, pattern, attribute = level.get("target"), level.get("target-pattern"), level.get("target-attribute")
    if target is not None:
        return target.casefold() == name.casefold()
    if pattern is not None:
        return posix.matches(pattern, name)
    if attribute is not None:
        return level.get("target-value") in values_of(nodes_named(cib, name), attribute)
    return False
