# SPDX-License-Identifier: Apache-2.0
"""off: forces nova-compute down, disables it, sets ``evacuate``.  on: waits until that is over, and lifts both."""

from __future__ import annotations

import subprocess
import sys
import time

METADATA = """<?xml version="1.0"?>
<resource-agent name="fence_compute" shortdesc="stand-in">
<longdesc>Stand-in.</longdesc><vendor-url>urn:muster:bed</vendor-url>
<parameters>
<parameter name="action"><content type="string" default="off"/><shortdesc lang="en">action</shortdesc></parameter>
<parameter name="plug"><content type="string"/><shortdesc lang="en">host</shortdesc></parameter>
</parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="monitor"/><action name="metadata"/></actions>
</resource-agent>
"""
LIMIT_S = 100


def attribute(host: str, *change: str) -> str:
    command = ["attrd_updater", "-p", "-n", "evacuate", "-N", host, *(change or ["-Q"])]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=bool(change)).stdout


def services(host: str, down: bool) -> None:
    import openstack

    compute = openstack.connect(cloud="bed").compute
    service = {"host": host, "binary": "nova-compute"}
    for path, more in (("force-down", {"forced_down": down}), ("disable" if down else "enable", {})):
        answer = compute.put(f"/os-services/{path}", json={**service, **more}, microversion="2.11")
        answer.raise_for_status()


def main() -> None:
    given = dict(line.strip().split("=", 1) for line in sys.stdin if "=" in line) if len(sys.argv) == 1 else {}
    action = given.get("action", "metadata")
    if action == "metadata":
        print(METADATA)
    elif action in ("off", "reboot"):
        services(given["plug"], down=True)
        attribute(given["plug"], "-U", "yes")
    elif action == "on":
        end = time.monotonic() + LIMIT_S
        while 'value="yes"' in attribute(given["plug"]):
            if time.monotonic() > end:
                sys.exit(1)
            time.sleep(1)
        services(given["plug"], down=False)


main()
