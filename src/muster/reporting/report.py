# SPDX-License-Identifier: Apache-2.0
"""Incidents as plain data for people and programs: the status, the incident reports, one short line for crm_mon.

Lost without harm: it can be made again from Nova.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.core.decide import Incident
from muster.core.findings import Finding, State, Verdict
from muster.core.server_rules import AFTER_PROOF, UNREADABLE
from muster.installation.fencing_topology import UNPROVED
from muster.reporting.documents import Report, ServerEntry, Summary, WaitingServer, as_json


def with_proofs(incident: Incident, proofs: Mapping[str, Finding]) -> dict[str, Finding]:
    """The findings, each as it was when it was proved: what happens to a server afterwards is not our story, but for
    what its host did to it as it came back."""
    return {
        server: finding if finding.rule in AFTER_PROOF else proofs.get(server, finding)
        for server, finding in incident.findings.items()
    }


SHOWN_SERVERS = 6
REASON_LIMIT = 400
"""A command at the end of a reason is whole; of Nova's own words before it the middle is left out."""
PAUSED_BY = "paused by "
BUSY = (State.FENCED.value, State.FORCING_DOWN.value, State.EVACUATING.value)
"""In these the worker has work to do.  In the others nothing may be new for days, and nobody misses it."""
_WAITING = (Verdict.HELD, Verdict.UNKNOWN, Verdict.PARKED)


@dataclass(frozen=True)
class Event:
    """Something that changed, for the timeline of an incident.

    :param what: the new state or verdict, and after a colon its reason.
    :param server: its id; empty if it concerns the whole host.
    """

    at: float
    node: str
    what: str
    server: str = ""
    name: str = ""
    dest: str = ""
    request_id: str = ""


def summary(incident: Incident) -> Summary:
    """Those that wait for a person, or for something else, are six at most, those for a person first."""
    counts = Counter(finding.verdict.value for finding in incident.findings.values())
    began = [finding.began for finding in incident.findings.values() if finding.began]
    return Summary(
        node=incident.node,
        host=incident.host,
        state=incident.state.value,
        rule=incident.rule,
        reason=incident.reason,
        lost=incident.lost or None,
        fenced=incident.first,
        began=min(began, default=None),
        servers=dict(sorted(counts.items())),
        waiting=_waiting(incident),
    )


def _waiting(incident: Incident) -> tuple[WaitingServer, ...]:
    line = [f for f in incident.findings.values() if f.alarm or (f.verdict in _WAITING and not _passing(f))]
    line.sort(key=lambda f: (not f.alarm, _WAITING.index(f.verdict) if f.verdict in _WAITING else -1, f.server.id))
    return tuple(
        WaitingServer(
            id=f.server.id,
            name=f.server.name[:64],
            verdict=f.verdict.value,
            reason=short(f.reason, REASON_LIMIT, f"all of it: muster status {incident.node}"),
            alarm=f.alarm,
            waits_for=f.waits_for,
            dest=f.dest if f.alarm else "",
            next_try=f.due or None,
        )
        for f in line[:SHOWN_SERVERS]
    )


def _passing(finding: Finding) -> bool:
    """muster reads something of it, or waits for Nova to show it: nobody has to do anything."""
    return finding.verdict is Verdict.UNKNOWN and finding.rule not in UNREADABLE


def short(text: str, limit: int, where: str) -> str:
    """Without its middle: a command stands at the end.

    :param where: the whole is, in words.
    """
    if len(text) <= limit:
        return text
    left = limit - len(where) - 8
    end = " ".join(text[-left * 2 // 3 :].split(" ")[1:])
    return f"{text[: left // 3].rstrip()} (... {where}) {end}"


def report(incident: Incident, findings: Mapping[str, Finding]) -> dict[str, Any]:
    """The report as it is written, but for its events, which are added where it is kept."""
    return without_events(make_report(incident, findings))


def without_events(made: Report) -> dict[str, Any]:
    return {key: value for key, value in as_json(made).items() if key not in ("events", "written")}


def make_report(incident: Incident, findings: Mapping[str, Finding]) -> Report:
    told = summary(incident)
    return Report(
        node=told.node,
        host=told.host,
        state=told.state,
        rule=told.rule,
        reason=told.reason,
        lost=told.lost,
        fenced=told.fenced,
        began=told.began,
        servers=dict(Counter(finding.verdict.value for finding in findings.values())),
        proofs=tuple(_entry(incident, findings[key]) for key in sorted(findings)),
    )


def paused(who: str) -> str:
    """Why nothing is changed, as the worker shares it; empty if nobody paused it."""
    return f"{PAUSED_BY}{who}" if who else ""


def line(incident: Incident) -> str:
    """``evacuating 5/12``: what crm_mon shows beside the node.  Only what is proved counts."""
    if incident.rule == "fencing-unproved":
        return UNPROVED
    counts = Counter(finding.verdict for finding in incident.findings.values())
    back, held = counts[Verdict.EVACUATED], counts[Verdict.HELD]
    total = len(incident.findings) - counts[Verdict.SKIPPED] - counts[Verdict.GONE]
    return f"{incident.state.value} {back}/{total}" + (f", {held} held" if held else "")


def _entry(incident: Incident, finding: Finding) -> ServerEntry:
    server = finding.server
    return ServerEntry(
        id=server.id,
        name=server.name,
        project=server.project,
        verdict=finding.verdict.value,
        reason=finding.reason,
        rule=finding.rule,
        source=finding.source,
        dest=finding.dest,
        state=server.vm_state,
        attempts=finding.attempts,
        began=finding.began or None,
        ended=finding.ended or None,
        seconds=round(max(0.0, finding.ended - finding.began), 1) if finding.ended else None,
        seconds_since_fencing=round(max(0.0, finding.ended - incident.first), 1) if finding.ended else None,
        request_id=finding.request_id,
        next_try=finding.due or None,
    )
