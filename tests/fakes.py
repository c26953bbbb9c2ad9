# SPDX-License-Identifier: Apache-2.0
"""Stand-ins with behaviour: a cluster in memory, a clock that only moves when told, settings with sane values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional

from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.errors import ClusterError, ClusterRefused
from muster.settings import Settings, from_environment


def settings(**values: object) -> Settings:
    """Settings as the agent reads them; ``values`` are parameters by name."""
    given = {
        "cloud": "bed",
        "clouds_file": "/nowhere/clouds.yaml",
        "shared_storage": "yes",
        "late_call_s": 30,
        **values,
    }
    return from_environment({f"OCF_RESKEY_{name}": str(value) for name, value in given.items()})


@dataclass
class FakeCluster:
    """Pacemaker's side as the worker sees it: nodes, records under compare-and-set, quorum.

    It refuses what Pacemaker refuses: tests/contract.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    quorum: bool = True
    silent: bool = False
    active_here: bool = True
    paused: str = ""
    published: dict[str, str] = field(default_factory=dict)
    revision: int = 0

    @classmethod
    def of(cls, *computes: str) -> FakeCluster:
        return cls({name: Node(name, remote=True, member=True) for name in computes})

    # what happens to it

    def change(self, name: str, **facts: Any) -> None:
        self.nodes[name] = replace(self.nodes[name], **facts)
        self.revision += 1

    def fence(self, name: str, at: float, record: bool = True, unproved: str = "") -> None:
        """Power off, behind a power device; with the fence agent in the level also the record.

        :param unproved: why it proves nothing: by no power device, and without the fence agent.
        """
        old = self.nodes[name].record
        self.change(name, member=False, fenced_at=int(at), unproved=unproved, confirmed_at=0)
        if record:
            new = old.fenced_again(int(at)) if old else Record(Phase.FENCED, int(at), int(at))
            self.change(name, record=new, hold=True)

    def confirm(self, name: str, at: float) -> None:
        """``pcs stonith confirm``: Pacemaker's history has it."""
        self.change(name, member=False, fenced_at=int(at), confirmed_at=int(at))

    def rejoin(self, name: str) -> None:
        self.change(name, member=True, fenced_at=0, unproved="", confirmed_at=0)
        self.published.pop(name, None)

    # what the worker does with it

    def look(self) -> Cluster:
        self._answer()
        nodes = {name: replace(node, shown=self.published.get(name, "")) for name, node in self.nodes.items()}
        return Cluster(self.quorum, "ctl1", nodes, self.active_here, paused=self.paused)

    def quorate(self) -> bool:
        return self.quorum and not self.silent

    def cib_changed(self) -> object:
        return self.revision

    def _answer(self) -> None:
        if self.silent:
            raise ClusterError("cibadmin: timed out after 10 s")

    def _guard(self, node: str, old: Optional[Record]) -> None:
        self._answer()
        if not self.quorum:
            raise ClusterRefused("no quorum")
        if node not in self.nodes:
            raise ClusterRefused(f"the cluster has no node {node!r}")
        if self.nodes[node].record != old or self.nodes[node].unreadable_record:
            raise ClusterRefused(f"{node}: another record is there")

    def write_record(self, node: str, old: Optional[Record], record: Record) -> None:
        self._guard(node, old)
        if record != old and not self.nodes[node].away:
            raise ClusterRefused(f"{node} is not known to be away")
        self.change(node, record=record, hold=True)

    def swap_record(self, node: str, old: Record, new: Record) -> None:
        self._guard(node, old)
        self.change(node, record=new)

    def drop_record(self, node: str, closing: Record) -> None:
        self._answer()
        if self.quorum and self.nodes[node].record == closing:
            self.change(node, record=None)

    def drop_hold(self, node: str) -> None:
        self._answer()
        record = self.nodes[node].record
        if self.quorum and record and record.phase in (Phase.RETURNING, Phase.CLOSED):
            self.change(node, hold=False)

    def publish(self, node: str, text: str) -> None:
        self.published[node] = text


@dataclass
class FakeNovaClock:
    ahead_s: float = 0.0
    apart_s: float = 0.0


@dataclass
class FakeClock:
    at: float = 1_800_000_000.0
    nova: FakeNovaClock = field(default_factory=FakeNovaClock)

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def anchor(self) -> None: ...

    def pass_by(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class LogLines:
    """Keeps what was logged: ``(level, event, fields)``."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    echo: Optional[Callable[[str], None]] = None

    def _add(self, level: str, event: str, fields: dict[str, object]) -> None:
        self.lines.append((level, event, fields))
        if self.echo:
            self.echo(f"{level:7} {event} " + " ".join(f"{k}={v}" for k, v in fields.items()))

    def info(self, event: str, **fields: object) -> None:
        self._add("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._add("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._add("error", event, fields)


class NoOutlet:
    """Keeps the last reports, by node."""

    def __init__(self) -> None:
        self.reports: dict[str, dict[str, Any]] = {}
        self.reason = ""

    def announce(self, silence_s: float) -> None:
        pass

    def status(self, reason: str, incidents: list[Any]) -> None:
        self.reason = reason

    def event(self, event: Any) -> None: ...

    def share(self) -> None: ...

    def report(self, incident: Any, data: dict[str, Any]) -> None:
        self.reports[incident.node] = data
