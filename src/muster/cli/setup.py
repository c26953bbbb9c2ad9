# SPDX-License-Identifier: Apache-2.0
"""``muster setup``: what this cluster lacks, as commands that can be pasted; with ``--apply`` they are run.

The commands are of pcs, of crmsh, or of Pacemaker's own tools.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from muster.cli import commands, terminal
from muster.cli.site import Site
from muster.core.errors import ClusterError, SettingsError
from muster.gateways.pacemaker import command, installation, pcs
from muster.installation.installed import Installation
from muster.installation.missing import Argv, Choices, SetupStep, missing
from muster.installation.other_shells import Shell
from muster.installation.phrasing import Version, phrased, spoken
from muster.log import Log

COMMAND_TIMEOUT_S = 120.0
"""``pcs`` validates a new resource by its agent, and waits for Pacemaker."""
COMPLETE = "nothing is missing. To check the rest: muster doctor"


def run(options: argparse.Namespace) -> int:
    choices = Choices(options.cloud, options.shared_storage, options.nova_resource, _power(options.power))
    version = pcs.version()
    shell = Shell(options.format) if options.format else spoken(version, pcs.crmsh())

    def steps_left() -> list[SetupStep]:
        return _steps(options.resource, choices, version, shell)

    steps = steps_left()
    _print(steps)
    lines = [argv for step in steps for argv in step.commands]
    if not (options.apply and lines):
        return commands.ATTENTION if steps else commands.OK
    if not _apply(lines, options.yes):
        return commands.TROUBLE
    left = steps_left()
    if left:
        print("# done, but this is still missing:")
    _print(left)
    return commands.TROUBLE if left else commands.OK


def _steps(resource: str, choices: Choices, version: Version, shell: Shell) -> list[SetupStep]:
    """:param version: of the pcs that is to take them.
    :param shell: that is to take them."""
    found = missing(here(resource), choices)
    return [replace(step, commands=phrased(step.commands, version, shell)) for step in found]


def here(resource: str) -> Installation:
    """:raises ClusterError: when Pacemaker does not answer."""
    site = Site(resource)
    try:
        left_alone = {node for node, host in site.settings.host_map.items() if not host}
    except (ClusterError, SettingsError):
        left_alone = set()  # there is no resource yet, or its host_map cannot be read
    return installation.installation(site.snapshot, left_alone)


def _power(pairs: Sequence[str]) -> dict[str, str]:
    chosen = {}
    for pair in pairs:
        node, separator, device = pair.partition("=")
        if not (node and separator and device):
            raise commands.UsageError(f"--power {pair!r}: use NODE=DEVICE")
        chosen[node] = device
    return chosen


def _print(steps: Sequence[SetupStep]) -> None:
    for step in steps:
        print(f"# {terminal.clean(step.why)}")
        for argv in step.commands:
            print(terminal.shell(argv))
    if not steps:
        print(f"# {COMPLETE}")


def _apply(lines: Sequence[Argv], yes: bool) -> bool:
    """One after another, up to the first that fails."""
    what = "this command" if len(lines) == 1 else f"these {len(lines)} commands"
    if not terminal.confirmed(f"Run {what}?", yes):
        print("nothing changed")
        return False
    return all(_ran(argv, f"{number}/{len(lines)}") for number, argv in enumerate(lines, 1))


def _ran(argv: Argv, count: str) -> bool:
    line = terminal.shell(argv)
    try:
        done = command.run(argv, COMMAND_TIMEOUT_S)
    except ClusterError as exc:
        print(f"muster: {count} failed: {line}: {terminal.clean(exc)}", file=sys.stderr)
        return False
    if done.code:
        words = terminal.clean(done.errors or f"exit {done.code}")
        print(f"muster: {count} failed, the commands after it did not run: {line}: {words}", file=sys.stderr)
        return False
    Log("muster", people=True).info("set up", command=line)
    print(f"{count} done: {line}", flush=True)
    return True
