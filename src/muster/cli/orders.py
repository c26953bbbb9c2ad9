# SPDX-License-Identifier: Apache-2.0
"""``muster retry | skip | approve | confirm | release | pause | resume``: what an operator decides.

Written into the CIB by a compare-and-set under quorum like every write of muster's; the worker acts upon it next.
"""

from __future__ import annotations

import argparse
import difflib
import getpass
import os
import pwd
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Optional

from muster.cli import commands, names, terminal
from muster.cli.site import Site
from muster.core.cluster_facts import Node, Phase
from muster.core.errors import ClusterError, ClusterRefused, MusterError
from muster.core.findings import Verdict
from muster.core.left_behind import noted
from muster.core.operator_orders import Orders
from muster.core.printable import counted
from muster.core.server_rules import REFUSED_STATES, RESETTABLE_STATES
from muster.log import Log

TRIES = 5


class Refused(Exception):
    """The order makes no sense here; says why."""


def run(options: argparse.Namespace) -> int:
    site = Site(options.resource)
    try:
        if options.command in ("pause", "resume"):
            return _pause_or_resume(site, options)
        if options.command == "acknowledge":
            return _acknowledge(site, options.target.strip())
        return _of_incident(site, options)
    except (Refused, names.NotClear, ClusterRefused) as exc:
        print(f"muster: {terminal.clean(exc)}", file=sys.stderr)
        return commands.TROUBLE


def who() -> str:
    """Who types this, also behind sudo."""
    login = _login_user()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    name = login if login and login != user else os.environ.get("SUDO_USER") or user
    return re.sub(r"[^A-Za-z0-9_.@-]", "_", name)[:64]


def _login_user() -> str:
    """The user that logged in, which su and sudo do not change; empty where the kernel does not know."""
    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            return pwd.getpwuid(int(file.read())).pw_name
    except (OSError, ValueError, KeyError, OverflowError):
        return ""


# -------------------------------------------------------------- one incident


def _of_incident(site: Site, options: argparse.Namespace) -> int:
    target = options.target.strip()
    if options.command == "confirm":
        return _confirm(site, options, _node(site, target).name)
    node, server = _meant(site, target, options.command, getattr(options, "host", "").strip())
    first = _first(site, server) if server and options.command == "retry" else ""
    if first:
        print(f"nothing ordered: {terminal.clean(first)}")
        return commands.ATTENTION
    question = _question(options, node.name, server)
    if not terminal.confirmed(question, options.yes):
        print("nothing changed")
        return commands.TROUBLE
    _give(site, options, node.name, _change(options, server), server)
    return commands.OK


def _acknowledge(site: Site, target: str) -> int:
    """:raises Refused: when nobody is reminded of that host or server."""
    noted_of = {node.name: node.left.servers for node in site.cluster.nodes.values() if node.left}
    of_host = {name: noted_of[name] for name in noted_of if target in (name, name.partition(".")[0])}
    of_server = {name: (target.lower(),) for name, servers in noted_of.items() if target.lower() in servers}
    if not (of_host or of_server):
        known = ", ".join(sorted(noted_of)) or "none"
        raise Refused(f"{target!r} is no host that has returned with servers left, nor such a server. Hosts: {known}")
    for name, servers in (of_host or of_server).items():
        site.pacemaker().change_left(name, partial(noted, left=(), seen_to=servers, now=time.time()))
        _say("acknowledge", node=name, servers=" ".join(servers))
        print(f"{name}: acknowledged, nobody is reminded of {counted(len(servers), 'server')} any more")
    return commands.OK


def _meant(site: Site, target: str, command: str, of_host: str) -> tuple[Node, str]:
    """The node, and the server's id; empty for all servers of the node.

    :param of_host: in whose incident the server is meant; empty if nobody says.
    :raises Refused: unless it is clear which.
    """
    if names.UUID.fullmatch(target.lower()):
        return _node_of_server(site, command, target.lower(), of_host), target.lower()
    host = _host(site, target)
    if of_host and host:
        raise Refused(f"--host says in which incident a server is meant, and {target!r} is no server id")
    if command in ("approve", "release") or (host and command == "retry"):
        return host or _node(site, target), ""
    if host:
        raise Refused(f"{target} is a host. To let it return with its servers: muster release {target}")
    dead = [node.name for node in site.cluster.nodes.values() if node.record]
    if not dead:
        raise Refused("no host has an incident: nothing to order")
    found = names.find(target, names.of_incidents(site), command, dead if command == "retry" else ())
    return _node_of_server(site, command, found.id, of_host), found.id


def _first(site: Site, server: str) -> str:
    """What has to be done before another try can do anything: Nova refuses the server in its state.

    Empty where it does not, and where nobody says.
    """
    from muster.wiring import connections

    try:
        seen = connections.nova(site.settings).server(server)
    except MusterError:
        return ""
    state = seen.vm_state
    if state not in REFUSED_STATES or (state in RESETTABLE_STATES and state in site.settings.reset_states):
        return ""
    return f"{seen.name or server} is still {state}: {REFUSED_STATES[state].format(id=server)}"


def _confirm(site: Site, options: argparse.Namespace, name: str) -> int:
    """By compare-and-set, so what has been noted since this command looked is not overwritten.

    :raises Refused: unless there is something to confirm, and the host is not in the cluster.
    """
    node = site.cluster.nodes[name]
    if node.record is None or node.record.phase in (Phase.RETURNING, Phase.CLOSED):
        raise Refused(f"{name} has no incident that waits for a confirmation: nothing to confirm")
    if node.member:
        raise Refused(f"{name} is in the cluster, so it is not off. To fence it: pcs stonith fence {name}")
    if not node.away:
        raise Refused(
            f"Pacemaker does not count {name} as fenced, so it may be in the cluster. If its power is off, tell"
            f" Pacemaker first: pcs stonith confirm {name}"
        )
    if not terminal.confirmed(
        f"Is the power of {name} off, and will it stay off? muster starts its guests elsewhere.", options.yes
    ):
        print("nothing changed")
        return commands.TROUBLE
    record = node.record.fenced_again(int(time.time()))
    site.pacemaker().write_record(name, node.record, record)
    _say(options.command, node=name, record=record.token)
    print(f"{name}: recorded as off. To see what follows: muster status {name}")
    return commands.OK


def _not_away(node: Node) -> str:
    """Why nothing more is evacuated from a host that was let return."""
    if node.away:
        return (
            f"{node.name} was let return, and of a full member nothing tells whether it has been back since. To have"
            f" its servers evacuated again: pcs stonith fence {node.name}"
        )
    if node.member:
        return (
            f"{node.name} is back in the cluster, so muster evacuates nothing from it. A server on it runs there again"
            " when nova-compute does, or you move it"
        )
    return (
        f"{node.name} may be back: Pacemaker does not count it as fenced any more, so muster evacuates nothing from it."
        f" If its power is off: pcs stonith confirm {node.name}"
    )


def _change(options: argparse.Namespace, server: str) -> Callable[[Orders], Orders]:
    if options.command == "approve":
        return lambda orders: replace(orders, approved=True)
    if options.command == "release":
        emptied = int(time.time()) if options.queue_emptied else 0
        return lambda orders: replace(orders, released=True, queue_emptied=emptied or orders.queue_emptied)
    if options.command == "skip":
        return lambda orders: orders.skip(server)
    return lambda orders: orders.retry(server, int(time.time()))


def _question(options: argparse.Namespace, node: str, server: str) -> str:
    if options.command == "release" and options.queue_emptied:
        return f"Is the queue of {node}'s nova-compute empty? A start that still waits there makes a second guest."
    return {
        "approve": f"Evacuate {node} although max_failed_hosts forbids it? Make sure that it is really dead.",
        "release": f"Let {node} return, and leave on it every server that is not under way?",
        "skip": f"Leave server {server} on {node} in this incident?",
        "retry": f"Evacuate {f'server {server}' if server else 'every failed server'} of {node} again?",
    }[options.command]


def _give(site: Site, options: argparse.Namespace, name: str, change: Callable[[Orders], Orders], server: str) -> None:
    """Compare-and-set, again if the worker changed the record in between.

    :raises Refused: when there is nothing to order about.
    """
    pacemaker = site.pacemaker()
    for attempt in range(TRIES):
        node = site.cluster.nodes[name] if attempt == 0 else pacemaker.look().nodes[name]
        record = node.record
        if record is None:
            raise Refused(f"{name} has no incident: nothing to {options.command}")
        if options.command == "retry" and record.phase in (Phase.RETURNING, Phase.CLOSED) and not node.known_off:
            raise Refused(_not_away(node))
        if node.unreadable_orders:
            raise Refused(
                f"muster cannot read the orders for {name}. To remove them:"
                f" crm_attribute -t nodes -N {name} -n muster-orders -D"
            )
        try:
            new = change(node.standing_orders)
        except ValueError as exc:
            raise Refused(str(exc)) from exc
        if node.orders == new:
            print(f"{name}: already ordered, nothing changed")
            return
        try:
            pacemaker.give_orders(name, record, node.orders, new)
        except ClusterRefused:
            if attempt == TRIES - 1:
                raise
        else:
            _say(options.command, node=name, server=server, orders=new.token)
            print(f"{name}: ordered. To see what follows: muster status {name}")
            return


def _host(site: Site, name: str) -> Optional[Node]:
    """The node that is called so by Pacemaker or by Nova."""
    nodes = site.cluster.nodes
    told = {incident.host: incident.node for incident in site.heard().shared.incidents if incident.host}
    return nodes.get(name) or nodes.get(told.get(name, ""))


def _node(site: Site, name: str) -> Node:
    """:raises Refused: unless there is such a node."""
    found = _host(site, name)
    if found is None:
        dead = sorted(node.name for node in site.cluster.nodes.values() if node.record)
        near = difflib.get_close_matches(name, dead, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(dead) or "none"
        raise Refused(f"{name!r} is no host with an incident. Hosts with one: {known}.{meant}")
    return found


def _node_of_server(site: Site, command: str, server: str, of_host: str) -> Node:
    """The node whose incident has this server, by the reports here, what the worker shares, and Nova.

    :param of_host: the one that the operator names; empty if none.
    :raises Refused: when no incident knows it, another one does, or several do: where it arrived, a host may have died.
    """
    nodes = site.cluster.nodes
    dead = [node for node in nodes.values() if node.record]
    if not dead:
        raise Refused("no host has an incident: nothing to order")
    told = _incidents_with(site, server)
    if of_host:
        node = _node(site, of_host)
        if told and node.name not in told:
            raise Refused(f"server {server} is not in the incident of {node.name}, but in that of {_and(told)}")
        return node
    # Where it has come to its end there is nothing to order about.
    open_in = [name for name, verdict in told.items() if verdict not in _ENDED] or list(told)
    if len(open_in) > 1:
        raise Refused(
            f"server {server} is in the incidents of {_and(open_in)}. Name the host that you mean:"
            f" muster {command} {server} --host {open_in[0]}"
        )
    if open_in:
        return nodes[open_in[0]]
    from muster.reporting.nova_records import node_of_server
    from muster.wiring import connections

    name = node_of_server(connections.nova(site.settings), list(nodes), site.settings.host_map, server)
    if name and nodes[name].record:
        return nodes[name]
    raise Refused(f"server {server} belongs to no host with an incident ({', '.join(n.name for n in dead)})")


_ENDED = (Verdict.EVACUATED.value, Verdict.GONE.value)


def _and(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


def _incidents_with(site: Site, server: str) -> dict[str, str]:
    """By the reports on this controller and by what the worker shares: the nodes whose incidents have this server, and
    its verdict there."""
    records = {name: node.record.first for name, node in sorted(site.cluster.nodes.items()) if node.record}
    kept = [r for r in site.reports() if records.get(r.node) == r.fenced]
    found = {r.node: entry.verdict for r in reversed(kept) for entry in r.proofs if entry.id == server}
    shared = [one for one in site.heard().shared.incidents if one.node in records]
    found.update((one.node, entry.verdict) for one in shared for entry in one.waiting if entry.id == server)
    return {name: found[name] for name in records if name in found}


# ------------------------------------------------------------- the whole muster


def _pause_or_resume(site: Site, options: argparse.Namespace) -> int:
    paused = site.resource.paused
    if options.command == "pause":
        if paused:
            raise Refused(f"{paused} has already paused muster. To continue: muster resume")
        question = "Change nothing in Nova, and let no host return, until muster resume?"
    else:
        if not paused:
            print("muster is not paused")
            return commands.OK
        question = f"Continue? {paused} has paused muster."
    if not terminal.confirmed(question, options.yes):
        print("nothing changed")
        return commands.TROUBLE
    if options.command == "pause":
        site.pacemaker().pause(who())
    else:
        site.pacemaker().resume(paused)
        if site.pacemaker().look().paused:
            raise ClusterError("muster is still paused: this controller may have no quorum. See: pcs quorum status")
    _say(options.command)
    print("paused" if options.command == "pause" else "resumed")
    return commands.OK


def _say(command: str, **fields: object) -> None:
    Log("muster", people=True).info("order given", order=command, by=who(), **fields)
