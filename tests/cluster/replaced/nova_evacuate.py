# SPDX-License-Identifier: Apache-2.0
"""Evacuates, inside its monitor, each host whose attribute ``evacuate`` is "yes", and then says "no"."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

METADATA = """<?xml version="1.0"?>
<resource-agent name="NovaEvacuate" version="1.0">
<version>1.0</version><longdesc lang="en">Stand-in.</longdesc><shortdesc lang="en">stand-in</shortdesc>
<parameters/>
<actions><action name="start" timeout="20s"/><action name="stop" timeout="20s"/>
<action name="monitor" timeout="600s" interval="10s" depth="0"/><action name="meta-data" timeout="5s"/></actions>
</resource-agent>
"""
RUNS = Path("/run/nova-evacuate")
LIMIT_S = 100


def attrd(*argv: str) -> str:
    """In an agent's environment Pacemaker 2.1.5 would tell of the agent's own node alone."""
    command = ["attrd_updater", "-n", "evacuate", *argv]
    plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, timeout=20, env=plain).stdout


def evacuate(host: str) -> None:
    import openstack

    compute = openstack.connect(cloud="bed").compute

    def left() -> list[str]:
        answer = compute.get("/servers", params={"host": host, "all_tenants": "1"}, microversion="2.14")
        answer.raise_for_status()
        return [server["id"] for server in answer.json()["servers"]]

    for ident in left():
        compute.post(f"/servers/{ident}/action", json={"evacuate": {}}, microversion="2.14").raise_for_status()
    end = time.monotonic() + LIMIT_S
    while left() and time.monotonic() < end:
        time.sleep(1)


def main() -> None:
    action = sys.argv[1]
    if action == "meta-data":
        print(METADATA)
    elif action == "start":
        RUNS.touch()
    elif action == "stop":
        RUNS.unlink(missing_ok=True)
    elif action == "monitor":
        if not RUNS.exists():
            sys.exit(7)
        for host in re.findall(r'host="([^"]+)" value="yes"', attrd("-A")):
            evacuate(host)
            attrd("-p", "-N", host, "-U", "no")


main()
