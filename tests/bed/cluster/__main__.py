# SPDX-License-Identifier: Apache-2.0
"""A Pacemaker cluster in network namespaces on this machine, by hand.  Needs root.

For instance ``python -m tests.bed.cluster up --name mine``, then ``... exec --name mine ctl1 pcs status``.  To stop the
cluster: ``python -m tests.bed.cluster down --name mine``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from tests.bed.cluster.cluster import BedError, Cluster, prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bed.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("prepare", help="fetch pacemaker-remote, which cannot be installed beside Pacemaker")
    for verb, text in (
        ("up", "start a cluster and leave it running"),
        ("down", "stop the cluster and remove its files"),
        ("status", "show which nodes are on"),
        ("exec", "run a command on a node"),
        ("power", "switch a node on or off, or show whether it is on"),
        ("crash", "cut the power of a node"),
        ("cut", "unplug the network cable of a node"),
        ("heal", "plug the network cable in again"),
    ):
        sub = verbs.add_parser(verb, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.add_argument("--name", default="bed", help="name of the cluster [%(default)s]")
        if verb == "up":
            sub.add_argument("--controllers", type=int, default=3, help="how many [%(default)s]")
            sub.add_argument("--computes", type=int, default=3, help="how many [%(default)s]")
        elif verb not in ("down", "status"):
            sub.add_argument("node", help="for instance ctl1 or cmp1")
            if verb in ("exec", "power"):
                said = "the command with its arguments" if verb == "exec" else "on, off or status"
                sub.add_argument("argv", nargs=argparse.REMAINDER, help=said)
    options = parser.parse_args()
    try:
        return run(options)
    except BedError as exc:
        print(exc, file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    if options.verb == "prepare":
        prepare()
    elif options.verb == "up":
        Cluster.start(options.name, options.controllers, options.computes)
    else:
        cluster = Cluster.attach(options.name)
        if options.verb == "down":
            cluster.stop()
        elif options.verb == "status":
            for name, node in cluster.nodes.items():
                print(f"{name} {'on' if node.pid else 'off'}")
        elif options.verb == "exec":
            return subprocess.run(cluster.nodes[options.node].command(options.argv), check=False).returncode
        elif options.verb == "power":
            print(cluster.power(options.node, options.argv[0]))
        else:
            getattr(cluster, options.verb)(options.node)
    return 0


if __name__ == "__main__":
    sys.exit(main())
