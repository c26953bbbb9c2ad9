# SPDX-License-Identifier: Apache-2.0
"""A14: one host with 2,500 servers of 40 projects, over every page; and how much Nova is asked for it."""

from __future__ import annotations

import pytest

from muster.core.findings import Verdict
from tests.sim.stage import Stage

SERVERS = 2500
PROJECTS = 40


@pytest.mark.slow
def test_evacuates_2500_servers_of_40_projects_and_asks_nova_little() -> None:
    it = Stage(hosts=12, servers=0, in_flight=100, per_destination=0)
    it.verbose = False
    for n in range(SERVERS):
        it.cloud.add_server(f"s{n:04}", "cmp1", "stopped" if n % 10 == 0 else "active", project=f"p{n % PROJECTS}")
    it.fence("cmp1")
    began = it.now
    it.until(it.settled("cmp1"), 3600.0)
    seconds = it.now - began

    assert it.current is not None
    findings = it.current.incidents["cmp1"].findings
    assert len(findings) == SERVERS
    assert {f.verdict for f in findings.values()} == {Verdict.EVACUATED}
    assert len({i.project for i in it.cloud.instances.values() if i.host != "cmp1"}) == PROJECTS
    it.fair()

    asked = it.asked
    print(f"\n{SERVERS} servers in {seconds:.0f} s of virtual time; requests to Nova, a page counting as one:")
    for kind, count in sorted(asked.items()):
        print(f"  {kind:16}{count:6}{count / SERVERS:8.3f} a server")
    assert asked["evacuate"] == SERVERS
    assert asked["stop"] == 0
    assert asked["action_log"] <= SERVERS / 10, "a start may wait for the dead host only of those that are stopped"
    assert sum(asked.values()) - asked["evacuate"] < 2 * SERVERS
