# SPDX-License-Identifier: Apache-2.0
"""``muster``: what an operator types."""

from __future__ import annotations

import importlib
import os
import sys

from muster.cli import about, commands, complete
from muster.core.errors import MusterError


def main() -> int:
    """:returns: one of the exit codes in :mod:`muster.cli.commands`."""
    if sys.argv[1:2] == [complete.WORD]:
        return complete.run(sys.argv[2:])
    options = commands.read(sys.argv[1:])
    try:
        if options.version:
            return about.version()
        if not options.command:
            commands.parser().print_help(sys.stderr)
            return commands.USAGE
        code: int = importlib.import_module(f"muster.cli.{commands.module_of(options.command)}").run(options)
    except commands.UsageError as exc:
        print(f"muster: {exc}", file=sys.stderr)
        return commands.USAGE
    except MusterError as exc:
        print(f"muster: {exc}", file=sys.stderr)
        return commands.UNKNOWN
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough (| head); nothing may be written at exit any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return commands.OK
    except Exception:
        from muster.log import Log

        Log("muster").exception("command failed", command=options.command)
        print("muster: the command failed. The log has the details: journalctl -t muster", file=sys.stderr)
        return commands.UNKNOWN
    return code
