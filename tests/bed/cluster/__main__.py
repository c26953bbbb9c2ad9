# SPDX-License-Identifier: Apache-2.0
"""The bed by hand: ``python -m tests.bed.cluster up|down|exec|power|crash|cut|heal|status|prepare --name NAME ...``."""

from __future__ import annotations

import argparse
import subprocess
import sys

from tests.bed.cluster.cluster import BedError, Cluster, prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bed.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("prepare", help="fetch what cannot be installed")
    for verb, text in (
        ("up", "start a cluster and leave it running"),
        ("down", "stop it and remove its files"),
        ("status", "which nodes are on"),
        ("exec", "run a command in a node"),
        ("power", "NODE on|off|status"),
        ("crash", "cut the power of a node"),
        ("cut", "pull a node's network cable"),
        ("heal", "put it back"),
    ):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("--name", default="bed")
        if verb == "up":
            sub.add_argument("--controllers", type=int, default=3)
            sub.add_argument("--computes", type=int, default=3)
        elif verb not in ("down", "status"):
            sub.add_argument("node")
            if verb in ("exec", "power"):
                sub.add_argument("argv", nargs=argparse.REMAINDER)
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
