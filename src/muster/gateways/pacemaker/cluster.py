# SPDX-License-Identifier: Apache-2.0
"""Pacemaker through its own tools: one snapshot to read; writes that are compare-and-set under quorum, in one call."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Optional

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.errors import ClusterError, ClusterRefused
from muster.core.left_behind import LeftBehind
from muster.core.operator_orders import Orders
from muster.core.past_incidents import Past
from muster.gateways.pacemaker import cib, cib_fencing, cib_writes, cib_xml
from muster.gateways.pacemaker.command import Result, run
from muster.installation.fencing_topology import MENDED, objection

CIB_FILE = "/var/lib/pacemaker/cib/cib.xml"
"""Rewritten on every controller when the configuration changes, our records included; of it only the head is read."""
HEAD_BYTES = 4096
EPOCHS = re.compile(rb'\s(?:admin_)?epoch="\d+"')
"""One of them grows with each change of the configuration (lib/common/patchset.c xml_create_patchset)."""
TIMEOUT_S = 10.0
NOTHING_MATCHED = 105  # CRM_EX_NOSUCH: the xpath of a guarded write found nothing, so nothing was written
RECORD_TRIES = 5
QUORATE = re.compile(rb"^Quorate:\s+Yes\s*$", re.MULTILINE)
SHARED = "muster-shared"
ANNOUNCE_TIMEOUT_S = 3.0
BY_HAND = "a human"
"""Who has fenced a node that an operator confirmed, by Pacemaker's history."""
SAME_FENCING_S = 60
"""The history has the time of whoever fenced, node_fenced that of the DC."""

Runner = Callable[[Sequence[str], float], Result]
StaysUp = Callable[[str, int], Optional[bool]]
"""Whether a host accepts connections at this address and port, and goes on doing so; None where nobody can ask."""
REMOTE_PORT = "PCMK_remote_port"


class Pacemaker:
    """:param local: name of this node.
    :param resource: id of the worker's own resource; empty for the fence agent, which has none.
    """

    def __init__(self, local: str, resource: str = "", runner: Runner = run, timeout_s: float = TIMEOUT_S) -> None:
        self._local = local
        self._resource = resource
        self._run = runner
        self._timeout_s = timeout_s
        self._seen: Optional[tuple[bytes, Cluster]] = None
        self._doubted: dict[str, int] = {}
        self._written: tuple[int, int] = (0, 0)
        self._epochs: object = None

    def look(self) -> Cluster:
        """The same object as before where nothing has changed: to read a CIB costs more than to compare it."""
        text = self._query()
        if self._seen is None or self._seen[0] != text:
            self._seen = text, cib.cluster(cib.parse(text), self._local, self._resource)
        return self.with_words(self._seen[1])

    def with_words(self, seen: Cluster) -> Cluster:
        """With what only Pacemaker's history tells: whether an operator has given his word for a host.  It is asked
        only where a fencing by a device would prove nothing."""
        doubtful = list(self._doubtful(seen))
        asked = {node.name: replace(node, confirmed_at=self._confirmed_at(node)) for node in doubtful}
        return replace(seen, nodes={**seen.nodes, **asked}) if asked else seen

    def _doubtful(self, seen: Cluster) -> Iterator[Node]:
        """Those whose fencing proves nothing, by what fences them now or was to at any look since that fencing: what is
        shown beside a node for whoever comes next is not in the CIB at once."""
        for node in seen.nodes.values():
            if node.unproved:
                self._doubted[node.name] = node.fenced_at
                yield node
                continue
            same = node.fenced_at and self._doubted.get(node.name) == node.fenced_at and not node.member
            if same and (node.record is None or node.record.phase is Phase.RETURNING):
                yield replace(node, unproved=MENDED)

    def _confirmed_at(self, node: Node) -> int:
        """When an operator confirmed the latest fencing of a node that has succeeded; 0 if a device did it, or if that
        cannot be told (daemons/fenced/fenced_remote.c, stonith_manual_ack()).  Newest first; without -V the oldest."""
        try:
            output = self._done("stonith_admin", "--history", node.name, "-V", "--output-as=xml").output
            events = list(cib.parse_reply(output).iterfind(".//fence_event"))
        except ClusterError:
            return 0
        done = (e for e in events if e.get("status") == "success" and e.get("action") in ("off", "reboot"))
        last = next(done, None)
        if last is None or last.get("delegate") != BY_HAND:
            return 0
        at = _seconds(last.get("completed", ""))
        return at if at > node.fenced_at - SAME_FENCING_S else 0

    def snapshot(self) -> cib.Element:
        """The local copy of the CIB: the same on all controllers with quorum, readable without."""
        return cib.parse(self._query())

    def _query(self) -> bytes:
        return self._done("cibadmin", "--query", "--local").output

    def quorate(self) -> bool:
        """Cheaper than a look, to be asked before each effect.  No answer is no quorum.

        Of corosync, which tells Pacemaker.  ``crm_node --quorum`` asks Pacemaker's controller, and that of the DC
        answers nobody for up to a second after it has lost a node: just when the first evacuation is to be sent.
        """
        try:
            return QUORATE.search(self._done("corosync-quorumtool", "-s").output) is not None
        except ClusterError:
            return False

    def cib_changed(self) -> object:
        """A value that is another one once the configuration has been changed.

        That the file is another one does not tell: from 2.1.7 each attribute of each agent rewrites it (facts.md V2).
        """
        try:
            stat = os.stat(CIB_FILE)
            written = stat.st_mtime_ns, stat.st_ino
            if written != self._written:
                self._epochs, self._written = _epochs(CIB_FILE) or written, written
        except OSError:
            return None
        return self._epochs

    # ---------------------------------------------------------------- record

    def write_record(self, node: str, old: Optional[Record], record: Record) -> None:
        """Write record and hold together, over ``old``; None: there is none yet.

        :raises ClusterRefused: without quorum, for an unknown node, or when another record is there; a new one is
            refused, too, once the node has joined: its nova-compute may run, and would be stopped.
        """
        where = cib_writes.nodes_where if record == old else cib_writes.nodes_where_away
        self._write_where(self.snapshot(), node, where(node, old.token if old else None), record)

    def record_fencing(self, node: str, clock: Callable[[], float], stays_up: StaysUp) -> Optional[Record]:
        """What ``fence_muster off`` does: record that the power of a node was cut.

        :param clock: Unix seconds.
        :returns: None where there is nothing to record: it is no compute.
        :raises ClusterRefused: if the record would prove nothing, or cannot be written.
        """
        for attempt in range(RECORD_TRIES):
            snapshot = self.snapshot()
            doubt = objection(node, cib_fencing.levels(snapshot, node), cib_fencing.devices(snapshot))
            if doubt:
                self._note(cib_xml.REFUSED, node, clock())
            if doubt := doubt or cib_fencing.still_refused(snapshot, node, int(clock())):
                raise ClusterRefused(doubt)
            if node in cib.strangers(snapshot):
                return None
            old = cib.node_record(snapshot, node)
            if old.unreadable:
                raise ClusterRefused(
                    f"attribute {cib_xml.RECORD} of {node} is {old.unreadable!r}, which is no record. To remove it:"
                    f" crm_attribute -t nodes -N {node} -n {cib_xml.RECORD} -D"
                )
            if attempt == 0 and cib.quorate(snapshot):  # without quorum nothing is recorded anyway
                self._refuse_if_up(snapshot, node, clock, stays_up)
            at = int(clock())
            record = old.value.fenced_again(at) if old.value else Record.parse(f"fenced:{at}:{at}")
            try:
                guard = cib_writes.nodes_where(node, old.value.token if old.value else None)
                self._write_where(snapshot, node, guard, record)
            except ClusterRefused:
                # The worker changed it in between: read it again, and record the fencing in what is there now.
                if attempt == RECORD_TRIES - 1 or not cib.quorate(snapshot):
                    raise
            else:
                for controller in cib_fencing.noted_by(snapshot, cib_xml.ANSWERED, node):
                    self._take_back(cib_xml.ANSWERED, node, controller)
                return record
        raise ClusterRefused(f"the record of {node} kept changing")

    def _refuse_if_up(self, snapshot: cib.Element, node: str, clock: Callable[[], float], stays_up: StaysUp) -> None:
        where = cib_fencing.reached_at(snapshot, node, os.environ.get(REMOTE_PORT, ""))
        if where and stays_up(*where):
            self._note(cib_xml.ANSWERED, node, clock())
            raise ClusterRefused(f"{cib_fencing.lives(node)}, at {where[0]}, port {where[1]}: it is not off")

    def _note(self, attribute: str, node: str, at: float) -> None:
        with contextlib.suppress(ClusterError):
            self._done("attrd_updater", "--name", f"{attribute}{node}", "--update", str(int(at)))

    def _take_back(self, attribute: str, node: str, controller: str) -> None:
        with contextlib.suppress(ClusterError):
            self._done("attrd_updater", "--name", f"{attribute}{node}", "--delete", "--node", controller)

    def _write_where(self, snapshot: cib.Element, node: str, where: str, record: Record) -> None:
        if not cib.quorate(snapshot):
            raise ClusterRefused("this controller has no quorum: it records nothing")
        known = cib.node_id(snapshot, node)
        if known is None:
            raise ClusterRefused(f"the cluster has no node {node!r}")
        self._guarded("--modify", "--allow-create", where, cib_writes.record_fragment(node, *known, record.token))

    def swap_record(self, node: str, old: Record, new: Record) -> None:
        # The id may be from the last look: the record itself is compared where it is written.
        ident = cib_writes.record_pair_id(cib.parse(self._seen[0]) if self._seen else self.snapshot(), node)
        if ident is None:
            raise ClusterRefused(f"{node} has no record any more")
        self._guarded(
            "--modify", "", cib_writes.record_where(node, old.token), cib_writes.record_pair(ident, new.token)
        )

    def drop_record(self, node: str, closing: Record) -> None:
        self._done("cibadmin", "--delete", "--xpath", cib_writes.orders_where(node, closing.token))
        # -D is content when nothing matches; the closing value was set by compare-and-set, so this is the one's.
        self._done("cibadmin", "--delete", "--xpath", cib_writes.record_where(node, closing.token))

    def give_orders(self, node: str, record: Record, old: Optional[Orders], new: Orders) -> None:
        """Compare-and-set of what operators have said about the incident on record."""
        known = cib.node_id(self.snapshot(), node)
        if known is None:
            raise ClusterRefused(f"the cluster has no node {node!r}")
        where = cib_writes.orders_nodes_where(node, record.token, old.token if old else None)
        self._guarded("--modify", "--allow-create", where, cib_writes.orders_fragment(node, *known, new.token))

    def change_left(self, node: str, change: Callable[[Optional[LeftBehind]], Optional[LeftBehind]]) -> None:
        """Compare-and-set of what a host has left when it returned.

        :raises ClusterRefused: when it changed meanwhile, without quorum, or for an unknown node.
        """
        snapshot = self.snapshot()
        old = cib.node_left(snapshot, node)
        new = change(old.value)
        written = old.value.token if old.value else old.unreadable
        self._change_note(snapshot, node, cib_xml.LEFT, written, new.token if new else "")

    def change_past(self, node: str, change: Callable[[Optional[Past]], Past]) -> None:
        """The same of its last incidents."""
        snapshot = self.snapshot()
        old = cib.node_past(snapshot, node)
        written = old.value.token if old.value else old.unreadable
        self._change_note(snapshot, node, cib_xml.PAST, written, change(old.value).token)

    def _change_note(self, snapshot: cib.Element, node: str, attribute: str, old: str, new: str) -> None:
        """:param old: empty for none; so is ``new``."""
        known = cib.node_id(snapshot, node)
        if known is None:
            raise ClusterRefused(f"the cluster has no node {node!r}")
        if new == old:
            return
        if not cib.quorate(snapshot):
            raise ClusterRefused("this controller has no quorum: it notes nothing")
        if not new:
            self._done("cibadmin", "--delete", "--xpath", cib_writes.note_where(node, attribute, old))
            return
        where = cib_writes.note_nodes_where(node, attribute, old or None)
        self._guarded("--modify", "--allow-create", where, cib_writes.note_fragment(node, *known, attribute, new))

    def pause(self, who: str) -> None:
        """Have the worker change nothing until :meth:`resume`, if nobody has done so already."""
        fragment = cib_writes.paused_fragment(self.snapshot(), self._resource, who)
        self._guarded("--modify", "--allow-create", cib_writes.resources_where(self._resource, ""), fragment)

    def resume(self, who: str) -> None:
        """End the pause that ``who`` began."""
        where = cib_writes.resources_where(self._resource, who)
        self._done("cibadmin", "--delete", "--xpath", f"{where}/meta_attributes/nvpair[@name='{cib_xml.PAUSED}']")

    def drop_hold(self, node: str) -> None:
        self._done("cibadmin", "--delete", "--xpath", cib_writes.hold_where(node))

    def publish(self, node: str, text: str) -> None:
        """A transient attribute for ``crm_mon -A``; empty removes it.  Its loss harms nobody, so nothing is raised."""
        change = ("--update", text) if text else ("--delete",)
        try:
            self._done("attrd_updater", "--name", cib_xml.STATUS, "--node", node, *change)
        except ClusterError:
            return

    @classmethod
    def announce(cls, version: str, lacks: str, runner: Runner = run) -> None:
        """Which version this controller has and what is missing on it, for all of them.  Its loss harms nobody."""
        here = cls("", "", runner, ANNOUNCE_TIMEOUT_S)
        with contextlib.suppress(ClusterError):
            here._done("attrd_updater", "--name", cib_xml.VERSION, "--update", version)
            change = ("--update", lacks) if lacks else ("--delete",)
            here._done("attrd_updater", "--name", cib_xml.LACKS, *change)

    def share(self, text: str) -> None:
        """What this worker shows, for commands on other controllers: in Pacemaker's memory, not in the CIB.

        :raises ClusterError: when it was not taken.
        """
        self._done("attrd_updater", "--name", SHARED, "--private", "--update", text)

    def shared(self) -> Mapping[str, str]:
        """By controller, what its worker last shared."""
        output = self._done("attrd_updater", "--name", SHARED, "--query", "--all", "--output-as=xml").output
        rows = cib.parse_reply(output).iterfind(".//attribute")
        return {str(row.get("host")): row.get("value", "") for row in rows if row.get("value")}

    def unclean(self) -> list[str]:
        """Nodes that have failed and are not fenced yet; by crm_mon, for the CIB does not say it in one place."""
        output = self._done("crm_mon", "--one-shot", "--output-as=xml", "--include=none,nodes").output
        nodes = cib.parse_reply(output).iterfind("nodes/node[@unclean='true']")
        return sorted(str(node.get("name")) for node in nodes)

    def last_fencing(self, node: str) -> str:
        """What Pacemaker's history has of a node first, the newest: ``pending``, ``failed``, ``success``; empty for
        nothing, and where it does not answer.  What has not ended stands before the rest (lib/fencing/st_client.c,
        stonith__sort_history), and its status is no other than pending (st_output.c, stonith_event_xml)."""
        try:
            output = self._done("stonith_admin", "--history", node, "-V", "--output-as=xml").output
            event = next(cib.parse_reply(output).iterfind(".//fence_event"), None)
        except ClusterError:
            return ""
        return "" if event is None else event.get("status", "")

    def fencings(self) -> list[tuple[float, str, str]]:
        """Those that have ended, by Pacemaker's history, which is the same on every controller: when, which node, and
        in words what became of it.

        :raises ClusterError: when the fencer does not answer.
        """
        output = self._done("stonith_admin", "--history", "*", "-V", "--output-as=xml").output
        events = (dict(event.items()) for event in cib.parse_reply(output).iterfind(".//fence_event"))
        return [
            (float(at), str(event.get("target")), _fencing_words(event))
            for event in events
            if (at := _seconds(str(event.get("completed"))))
        ]

    def fence(self, node: str, timeout_s: float) -> None:
        """Have Pacemaker cut the power of a node and switch it on again, as ``pcs stonith fence`` does; waits for it.

        :raises ClusterError: when it reports a failure; its power may be cut all the same.
        """
        argv = ("stonith_admin", "--reboot", node, "--timeout", str(int(timeout_s)))
        _check(argv, self._run(argv, timeout_s + self._timeout_s))

    # ----------------------------------------------------------------- calls

    def _guarded(self, verb: str, flag: str, xpath: str, xml: str) -> None:
        argv = ["cibadmin", verb, *([flag] if flag else []), "--xpath", xpath, "--xml-text", xml]
        result = self._run(argv, self._timeout_s)
        if result.code == NOTHING_MATCHED:
            raise ClusterRefused("no quorum, or the record changed meanwhile: muster wrote nothing")
        _check(argv, result)

    def _done(self, *argv: str) -> Result:
        result = self._run(argv, self._timeout_s)
        _check(argv, result)
        return result


def _fencing_words(event: Mapping[str, str]) -> str:
    """``fencing (off) done by ctl1``, ``fencing (off) failed: no route``."""
    done = event.get("status") == "success"
    by = f" by {event['delegate']}" if event.get("delegate") else ""
    why = f": {event['exit-reason']}" if event.get("exit-reason") else ""
    return f"fencing ({event.get('action')}) {f'done{by}' if done else f'failed{why}'}"


def _epochs(path: str) -> tuple[bytes, ...]:
    """Of the CIB in a file; empty where its head does not tell them."""
    with open(path, "rb") as file:
        return tuple(EPOCHS.findall(file.read(HEAD_BYTES).partition(b">")[0]))


def _seconds(text: str) -> int:
    """Of a time as Pacemaker's tools print it; 0 if it cannot be told."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:\d\d)", text)
    if not found:
        return 0
    zone = "+00:00" if found[3] == "Z" else found[3]
    try:
        return int(datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}").timestamp())
    except ValueError:  # a leap second, or a month that no year has
        return 0


def _check(argv: Sequence[str], result: Result) -> None:
    if result.code:
        raise ClusterError(f"{argv[0]} {argv[1]}: exit {result.code}: {result.errors or 'no message'}")


def local_node(runner: Runner = run) -> str:
    """The name of this node.

    :raises ClusterError: when Pacemaker does not say.
    """
    argv = ("crm_node", "--name")
    result = runner(argv, TIMEOUT_S)
    _check(argv, result)
    return result.output.decode("utf-8", "replace").strip()
