# SPDX-License-Identifier: Apache-2.0
"""``fence_muster``: records, behind a power device, that a host is off.  Switches nothing, never asks Nova.

It runs while other nodes may be waiting to be fenced: it reads and writes the CIB once, and tries to connect to the
host, which takes 2.5 seconds for each address where nothing answers.  A host that goes on accepting connections for 6
seconds is not off, whatever the power device says: fence_muster refuses "off" then.
Exit codes by FenceAgentAPI: 0 success (status: on), 1 failure, 2 status: off.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import NoReturn, Optional, TextIO

from muster.core.cluster_facts import Phase
from muster.core.errors import ClusterError
from muster.gateways import remote_port
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.cluster import Pacemaker, StaysUp

ON, FAILED, OFF = 0, 1, 2
ANSWERS = {True: "accepts connections", False: "none", None: "nobody knows where it is"}
TIMEOUT_S = 8.0
STDIN_LIMIT = 1_000_000


def main() -> int:
    try:
        options = read_options(sys.argv[1:], sys.stdin)
        return run(options, Pacemaker(local="", timeout_s=TIMEOUT_S), remote_port.stays_up)
    except ClusterError as exc:
        return _fail(str(exc))
    except Exception:
        from muster.log import Log

        Log("fence_muster").exception("agent failed")
        return _fail("the agent failed. The log has the details: journalctl -t fence_muster")


def read_options(argv: Sequence[str], stdin: TextIO) -> dict[str, str]:
    """``action`` and ``plug`` from options, or without any from ``key=value`` lines, where unknown keys are ignored."""
    if argv:
        given = {key: value for key, value in vars(_parser().parse_args(argv)).items() if value}
    else:
        lines = stdin.read(STDIN_LIMIT).splitlines()
        pairs = [line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#")]
        given = {key.strip(): value.strip() for key, value in pairs}
    # Pacemaker always sends nodename; port or plug, whichever it takes from the metadata, is what pcmk_host_map makes
    # of it (lib/fencing/st_actions.c, make_args()).
    plug = given.get("nodename") or given.get("plug") or given.get("port") or ""
    return {"action": given.get("action") or given.get("option") or "off", "plug": plug}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse would exit with 2, which for a fence agent's status means "off".
        self.exit(FAILED, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fence_muster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--action", default="off", help="off, on, reboot, status, list, monitor, metadata ...")
    parser.add_argument("-n", "--plug", "--port", help="the node, by its name in Pacemaker")
    for short, name in (("-p", "--power_agents"), ("-k", "--ask_hosts")):
        parser.add_argument(short, name, help="ignored: fence_muster reads it from the CIB")
    return parser


def run(options: dict[str, str], cluster: Pacemaker, stays_up: StaysUp) -> int:
    """:raises ClusterError: when Pacemaker does not answer or the record is refused."""
    action, plug = options["action"], options["plug"]
    if action == "metadata":
        from muster import parameters

        sys.stdout.write(parameters.fence_metadata())
        return ON
    if action in ("off", "reboot", "on", "status") and not plug:
        return _fail(f"action {action} needs a node: --plug NODE")
    if action in ("off", "reboot"):
        return _off(plug, cluster, stays_up)
    if action == "on":
        # The way back is the worker's: a host that waits here would hold up the fencing of others.
        return ON
    if action == "status":
        return _status(plug, cluster)
    if action in ("list", "list-status"):
        for name in cib.remotes(cluster.snapshot()):
            print(f"{name},")
        return ON
    if action in ("monitor", "validate-all"):
        cluster.snapshot()
        return ON
    return _fail(f"action {action!r} is not known: use off, on, status, list, monitor, metadata or validate-all")


def _off(node: str, cluster: Pacemaker, stays_up: StaysUp) -> int:
    from muster.log import Log

    log = Log("fence_muster")

    def ask(server: str, port: int) -> Optional[bool]:
        found = stays_up(server, port)
        log.info("host asked", node=node, server=server, port=port, answer=ANSWERS[found])
        return found

    try:
        record = cluster.record_fencing(node, time.time, ask)
    except ClusterError as exc:
        log.error("fencing not recorded", node=node, reason=str(exc))
        raise
    if record is None:
        log.info("nothing to record", node=node, reason="no compute by the list of muster's fence device and host_map")
    else:
        log.info("fencing recorded", node=node, record=record.token)
    return ON


def _status(node: str, cluster: Pacemaker) -> int:
    """On, unless it is on record as fenced and not yet back."""
    snapshot = cluster.snapshot()
    if cib.node_id(snapshot, node) is None:
        return _fail(f"the cluster has no node {node!r}")
    record = cib.node_record(snapshot, node)
    back = record.value.phase is Phase.CLOSED if record.value else not record.unreadable
    return ON if back else OFF


def _fail(reason: str) -> int:
    print(f"fence_muster: {' '.join(reason.split())}", file=sys.stderr)
    return FAILED
