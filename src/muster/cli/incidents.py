# SPDX-License-Identifier: Apache-2.0
"""What is known of incidents where a command is typed, by reports, CIB and Nova; and the story of one of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from muster.cli.site import Site, kept_reports
from muster.core.bounds import SKEW_S
from muster.core.cluster_facts import Node
from muster.core.errors import ClusterError, MusterError
from muster.core.findings import State, Verdict
from muster.core.past_incidents import PastIncident
from muster.gateways.clock import Clock
from muster.reporting import nova_history, nova_records
from muster.reporting.documents import Report
from muster.reporting.history import ServerStory, Story, from_worker, in_order, incident_name
from muster.reporting.nova_records import Wanted
from muster.reporting.report import make_report
from muster.wiring import connections, lookups

BACK_S = 90 * 86400.0
"""How far back evacuations are looked for that no report and no record speaks of."""
CLOSED_LATE_S = 60.0
NOT_SEEN_TO = "held, parked or unknown when the host returned; the worker's report says why"
NOTED_ONLY = (
    "the steps of the host, and servers that were skipped: the worker's report is on another controller, so this page"
    " has Nova's records between begin and end of the incident, as Pacemaker's configuration has them"
)
_NAME = re.compile(r"(?P<host>.+)-(?P<first>\d{9,11})")


@dataclass(frozen=True)
class Known:
    """An incident in the list.

    :param first: when it was fenced; by Nova's records only, the first evacuation.
    :param counts: servers by verdict; empty where nobody here knows them.
    """

    incident: str
    node: str
    first: float
    state: str
    counts: Mapping[str, int]
    source: str


class Incidents:
    """:param site: None where Pacemaker does not answer; ``why`` says why."""

    def __init__(self, site: Optional[Site], why: str = "") -> None:
        self._site = site
        self._why = why
        self._kept, self._unread = kept_reports()

    # ------------------------------------------------------------------ all

    def known(self) -> tuple[list[Known], list[str]]:
        """All of them, newest first, and why there may be more."""
        missing = [f"incidents under way: {self._why}"] if self._why else []
        missing += self._unread
        found = {one.incident: one for one in self._on_record()}
        found.update((one.incident, one) for one in self._noted())
        found.update((one.incident, one) for one in map(_of_report, self._kept))
        try:
            for one in self._by_nova(list(found.values())):
                found.setdefault(one.incident, one)
        except MusterError as exc:
            missing.append(f"incidents that only Nova has on record: {exc}")
        return sorted(found.values(), key=lambda one: one.first, reverse=True), missing

    def _noted(self) -> Iterator[Known]:
        for node in self._nodes().values():
            for past in node.past.incidents if node.past else ():
                if not (node.record and node.record.first == past.first):
                    name = incident_name(node.name, past.first)
                    source = "Nova's records; begin and end are noted in Pacemaker's configuration"
                    yield Known(name, node.name, past.first, State.CLOSED.value, {}, source)

    def _on_record(self) -> Iterator[Known]:
        for node in self._nodes().values():
            record = node.record
            if record:
                name = incident_name(node.name, record.first)
                yield Known(name, node.name, record.first, record.phase.value, {}, "Pacemaker's record")

    def _by_nova(self, known: Sequence[Known]) -> Iterator[Known]:
        """Groups of evacuations that begin in no incident known otherwise."""
        site = self._reachable()
        nova, nodes = connections.nova(site.settings), list(site.cluster.nodes)
        hosts, evacuations = nova_records.evacuations(nova, nodes, site.settings.host_map, time.time() - BACK_S)
        for host in sorted({evacuation.source for evacuation in evacuations}):
            node = hosts.get(host, host)
            ours = [one.first for one in known if one.node == node]
            for group in nova_history.groups(evacuation for evacuation in evacuations if evacuation.source == host):
                first = group[0].created
                if not any(at - SKEW_S <= first < at + nova_history.GAP_S for at in ours):
                    source = "Nova's records; the time is that of the first evacuation"
                    yield Known(incident_name(node, first), node, first, State.CLOSED.value, {}, source)

    # ------------------------------------------------------------------ one

    def tell(self, wanted: str) -> Story:
        """The story of ``HOST``, its newest incident, or of ``HOST-TIME``.

        :raises ClusterError: when nothing is known of it.
        """
        name, first = self._read(wanted)
        reports = [report for report in self._kept if name in (report.node, report.host)]
        node = self._node(name, reports)
        first = first or self._newest(node, reports)
        report = next((r for r in reports if r.fenced == first), None)
        node_name = node.name if node else report.node if report else name
        open_ = bool(node and node.record and node.record.first == first)
        story = self._worker_story(node_name, report, open_)
        last_said = open_ or _is_over(report)
        told = frozenset(s.id for s in story.servers if last_said or s.verdict not in _OPEN) if story else frozenset()
        past = _past(node, first)
        try:
            whole = self._with_nova(node_name, first, _end(story, first, node, reports), story, told, past)
            return _as_noted(whole, past) if story is None and past else whole
        except MusterError as exc:
            if story is None:
                raise ClusterError(f"this controller has no report of {wanted!r}, and Nova: {exc}") from exc
            return replace(story, missing=(*story.missing, f"each attempt by Nova's records: {exc}"))

    def _worker_story(self, name: str, report: Optional[Report], open_: bool) -> Optional[Story]:
        """What a worker said; of an incident that another controller's is at, what it would say."""
        site = self._site
        if open_ and site is not None and not (report and site.local in site.resource.active_on):
            observed = self._observed(site, name, report)
            if observed:
                return observed
        if report is None:
            return None
        story = from_worker(report, f"the report of the worker on {site.local if site else 'this controller'}")
        if open_ or _is_over(report):
            return story
        said = f"later events: the worker here wrote last in the state {story.state}; another worker continued"
        return replace(story, missing=(*story.missing, said))

    def _observed(self, site: Site, name: str, report: Optional[Report]) -> Optional[Story]:
        try:
            incident = lookups.observe(site.settings, site.pacemaker()).incidents.get(name)
        except MusterError:
            return None
        if incident is None:
            return None
        events = report.events if report else ()
        told = replace(make_report(incident, incident.findings), events=events, written=time.time())
        missing = "the times of the changes: the worker's report is on another controller"
        return replace(from_worker(told, "this command, by what it sees now"), missing=(missing,))

    def _with_nova(
        self,
        node: str,
        first: Optional[float],
        until: Optional[float],
        story: Optional[Story],
        told: frozenset[str],
        past: Optional[PastIncident],
    ) -> Story:
        site = self._reachable()
        wanted = Wanted((first - SKEW_S) if first else time.time() - BACK_S, until, told=told)
        if story is None and not past:
            wanted = replace(wanted, group=0 if first else -1)
        nova = connections.nova(site.settings)
        host = nova_records.host_of(node, list(site.cluster.nodes), nova.services(), site.settings.host_map)
        records = nova_records.gather(nova, Clock(), host, wanted)
        if story is not None:
            return nova_history.with_nova(story, records, told)
        if not records.evacuations and not past:
            raise ClusterError("it shows no evacuation from there in that time")
        return nova_history.from_nova(node, records)

    # ------------------------------------------------------------- who is who

    def _reachable(self) -> Site:
        if self._site is None:
            raise ClusterError(self._why)
        return self._site

    def _nodes(self) -> Mapping[str, Node]:
        """By Pacemaker; none where it does not say which resource is ours."""
        try:
            return self._site.cluster.nodes if self._site else {}
        except ClusterError:
            return {}

    def _node(self, name: str, reports: Sequence[Report]) -> Optional[Node]:
        nodes = self._nodes()
        by_file = [node for node in nodes if incident_name(node, 0) == incident_name(name, 0)]
        short = [node for node in nodes if node.partition(".")[0] == name]
        by_host = [report.node for report in reports]
        return next((nodes[n] for n in (name, *by_file, *short, *by_host) if n in nodes), None)

    def _read(self, wanted: str) -> tuple[str, Optional[float]]:
        for report in self._kept:
            if incident_name(report.node, report.fenced or 0) == wanted:
                return report.node, report.fenced
        named = _NAME.fullmatch(wanted)
        if named and wanted not in self._nodes():
            return named["host"], float(named["first"])
        return wanted, None

    @staticmethod
    def _newest(node: Optional[Node], reports: Sequence[Report]) -> Optional[float]:
        firsts = [report.fenced for report in reports if report.fenced]
        if node and node.record:
            firsts.append(node.record.first)
        firsts += [float(past.first) for past in node.past.incidents] if node and node.past else []
        return max(firsts, default=None)


def _end(
    story: Optional[Story], first: Optional[float], node: Optional[Node], reports: Sequence[Report]
) -> Optional[float]:
    """When the next incident of the host began, or this one was over; None if neither is known."""
    if first is None:
        return None
    begins = [report.fenced for report in reports if report.fenced]
    if node and node.record:
        begins.append(float(node.record.first))
    begins += [float(past.first) for past in node.past.incidents] if node and node.past else []
    ends = [begin - SKEW_S for begin in begins if begin > first]
    noted = _past(node, first)
    closed = story.first(State.CLOSED) if story else float(noted.closed) if noted and noted.closed else None
    if closed is not None:
        ends.append(closed + CLOSED_LATE_S)
    return min(ends, default=None)


def _past(node: Optional[Node], first: Optional[float]) -> Optional[PastIncident]:
    """What is noted of this incident beside the node."""
    incidents = node.past.incidents if node and node.past else ()
    return next((past for past in incidents if past.first == first), None)


def _as_noted(story: Story, past: PastIncident) -> Story:
    """What Nova has on record of an incident, with what it does not know: where it begins, who was not evacuated."""
    known = {server.id: server for server in story.servers}
    left = {}
    for ident in past.left:
        server = known.get(ident, ServerStory(ident))
        if server.verdict == Verdict.UNKNOWN.value:
            words = f": {server.reason}" if server.reason else ""
            left[ident] = replace(server, verdict=Verdict.HELD.value, reason=f"{NOT_SEEN_TO}{words}")
    return replace(
        story,
        incident=incident_name(story.node, past.first),
        fenced=float(past.first),
        servers=in_order([*{**known, **left}.values()]),
        missing=(NOTED_ONLY, *(it for it in story.missing if it != nova_history.FROM_NOVA)),
    )


_OPEN = frozenset(verdict.value for verdict in Verdict if verdict.open)


def _is_over(report: Optional[Report]) -> bool:
    return report is not None and report.state == State.CLOSED.value


def _of_report(report: Report) -> Known:
    story = from_worker(report, "")
    first = story.fenced or 0.0
    return Known(story.incident, story.node, first, story.state, story.counts, "a report on this controller")
