# SPDX-License-Identifier: Apache-2.0
"""Incidents as plain data for people and programs: the status file, the incident reports, one short line for crm_mon.

Lost without harm: it can be made again from Nova.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from muster.decide import Incident
from muster.verdict import Finding, Verdict


def with_proofs(incident: Incident, proofs: Mapping[str, Finding]) -> dict[str, Finding]:
    """The findings, each as it was when it was proved: what happens to a server afterwards is not our story."""
    return {server: proofs.get(server, finding) for server, finding in incident.findings.items()}


def summary(incident: Incident) -> dict[str, Any]:
    """``{node, host, state, reason, fenced, servers: {verdict: count}}``."""
    counts = Counter(finding.verdict.value for finding in incident.findings.values())
    return {
        "node": incident.node,
        "host": incident.host,
        "state": incident.state.value,
        "reason": incident.reason,
        "fenced": incident.first,
        "servers": dict(sorted(counts.items())),
    }


def report(incident: Incident, findings: Mapping[str, Finding]) -> dict[str, Any]:
    """The summary and, under ``proofs``, one entry for each server."""
    return {**summary(incident), "proofs": [_entry(incident, findings[key]) for key in sorted(findings)]}


def line(incident: Incident) -> str:
    """``evacuating 5/12``: what crm_mon shows beside the node."""
    done = sum(not finding.verdict.open for finding in incident.findings.values())
    held = sum(finding.verdict is Verdict.HELD for finding in incident.findings.values())
    total = len(incident.findings)
    return f"{incident.state.value} {done}/{total}" + (f" {held} held" if held else "")


def _entry(incident: Incident, finding: Finding) -> dict[str, Any]:
    server = finding.server
    return {
        "id": server.id,
        "name": server.name,
        "project": server.project,
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "rule": finding.rule,
        "from": finding.source,
        "to": finding.dest,
        "state": server.vm_state,
        "seconds": round(max(0.0, finding.ended - finding.began), 1) if finding.ended else None,
        "seconds_since_fencing": round(max(0.0, finding.ended - incident.first), 1) if finding.ended else None,
        "request_id": finding.request_id,
        "next_try": finding.due or None,
    }
