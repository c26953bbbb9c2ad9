# SPDX-License-Identifier: Apache-2.0
"""Reports as the worker leaves them, of any size, for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.reporting import history
from muster.reporting.documents import Report, from_json
from muster.reporting.history import Story

FENCED = 1_800_000_000


def from_worker(told: Mapping[str, Any], who: str) -> Story:
    """What is made of it once it has been written and read."""
    report = from_json(Report, told)
    assert isinstance(report, Report)
    return history.from_worker(report, who)


def server_id(number: int) -> str:
    return f"{number:08d}-0f3c-4d1a-9b7e-5a1c2d3e4f50"


def report(servers: int, held: int = 0, failed_once: int = 0, in_flight: int = 10) -> dict[str, Any]:
    """An incident that is over: ``servers`` in all, the first ``held`` of them held, the next ones tried twice."""
    events: list[dict[str, Any]] = [
        {"at": FENCED + 0.3, "what": "fenced: asking Nova"},
        {"at": FENCED + 0.6, "what": "forcing-down: forcing nova-compute down"},
        {"at": FENCED + 1.1, "what": f"evacuating: {servers} queued"},
    ]
    proofs = []
    end = FENCED + 1.2
    for number in range(servers):
        ident, name = server_id(number), f"web-{number:03d}.prod.example.org"
        about = {"server": ident, "name": name}
        events.append({"at": FENCED + 1.1, "what": "queued: waiting for its turn", **about})
        entry: dict[str, Any] = {"id": ident, "name": name, "project": "p", "from": "cmp1", "state": "active"}
        if number < held:
            reason = f"paused: openstack server set --state active --auto-approve {ident}, then muster retry {ident}"
            events.append({"at": FENCED + 1.2, "what": f"held: {reason}", **about})
            proofs.append({**entry, "verdict": "held", "reason": reason, "state": "paused", "attempts": 0})
            continue
        begin = FENCED + 1.5 + max(0, number - held - in_flight) * 1.7
        tries = 2 if number < held + failed_once else 1
        for n in range(tries):
            asked = begin + n * 30.0
            call = {**about, "request_id": f"req-{n}-{ident}"}
            landed, ended = asked + 1.5, asked + 12.0 + number % 7
            events.append({"at": asked, "what": "evacuating: asked Nova 0 s ago", **call})
            events.append({"at": landed, "what": "evacuating: on its way to cmp2 for 1 s", **call, "dest": "cmp2"})
            if n + 1 < tries:
                events.append({"at": ended, "what": "parked: 1 of 3 tries failed: no reason given", **call})
            else:
                events.append({"at": ended, "what": "evacuated: active on cmp2", **call, "dest": "cmp2"})
        end = max(end, ended)
        proved = {"to": "cmp2", "began": asked, "ended": ended, "seconds": ended - asked, "attempts": tries}
        request_id = f"req-{tries - 1}-{ident}"
        reason = "active on cmp2, migration done"
        proofs.append({**entry, **proved, "verdict": "evacuated", "reason": reason, "request_id": request_id})
    events.append({"at": end + 0.2, "what": f"settled: {servers - held} evacuated, {held} held"})
    events.append({"at": end + 400, "what": "returning: nova-compute is back"})
    events.append({"at": end + 420, "what": "closed: back in service"})
    return {
        "node": "cmp1",
        "host": "cmp1.example.org",
        "state": "closed",
        "reason": "back in service",
        "fenced": FENCED,
        "proofs": proofs,
        "events": sorted(events, key=lambda e: float(e["at"])),
        "written": end + 420,
    }
