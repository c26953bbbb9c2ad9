# SPDX-License-Identifier: Apache-2.0
"""``muster help [COMMAND]`` and ``muster version``."""

from __future__ import annotations

import argparse

from muster.cli import commands


def run(options: argparse.Namespace) -> int:
    if options.command == "version":
        return version()
    names = [command.name for command in commands.COMMANDS]
    if options.topic and options.topic not in names:
        raise commands.UsageError(f"there is no command {options.topic!r}. To see all: muster help")
    if options.topic:
        commands.read([options.topic, "--help"])  # prints it and ends the program
    commands.parser().print_help()
    return commands.OK


def version() -> int:
    from muster import parameters

    print(f"muster {parameters.version()}")
    return commands.OK
