# SPDX-License-Identifier: Apache-2.0
"""Every command and option of ``muster``, once: the parser, the manual page and the shell's completion come from here.

Light: what a command needs is imported only when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Optional

OK, ATTENTION, TROUBLE, UNKNOWN = 0, 1, 2, 3
"""Exit codes, as Nagios reads them: nothing to do; work is under way or something to be looked at; it does not go on
without a person; it could not be found out, or the command line is wrong."""

EXIT_CODES = """exit codes:
  0  ok: nothing to do; an order was carried out
  1  attention: work is under way, or there is something to look at
  2  trouble: it does not go on without you; an order was refused
  3  unknown: it could not be found out, or the command line is wrong"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse's own 2 would read as trouble.
        self.print_usage(sys.stderr)
        self.exit(UNKNOWN, f"{self.prog}: {message}\n")


@dataclass(frozen=True)
class Argument:
    """One argument or option, as argparse takes it."""

    names: tuple[str, ...]
    help: str
    metavar: Optional[str] = None
    nargs: Optional[str] = None
    flag: bool = False
    default: object = None
    choices: Optional[tuple[str, ...]] = None
    repeated: bool = False


@dataclass(frozen=True)
class Command:
    """:param module: below ``muster.cli``; its ``run(options)`` carries the command out and returns the exit code."""

    name: str
    module: str
    summary: str
    description: str
    arguments: tuple[Argument, ...] = ()


OUTPUT = Argument(("-o", "--output"), "how to print it", choices=("text", "json"), default="text")
YES = Argument(("-y", "--yes"), "do not ask", flag=True)
HOST = Argument(("host",), "the compute host, by its name in Pacemaker or in Nova", metavar="HOST")

COMMANDS: tuple[Command, ...] = (
    Command(
        "status",
        "status",
        "what happened, what is under way, what you have to do",
        "Shows every dead host with the counts of its servers by verdict, and under TO DO what waits for a person, with"
        " the remedy. Works on every controller and asks Pacemaker only; with HOST it lists every server, and where the"
        " worker's own report is not at hand asks Nova. The exit code suits Nagios.",
        (
            Argument(("host",), "list every server of this host", metavar="HOST", nargs="?"),
            OUTPUT,
        ),
    ),
    Command(
        "watch",
        "watch",
        "the same, live",
        "Shows progress, rate, expected end and the last events until it is interrupted. Goes on over a failover.",
        (
            Argument(("--interval",), "seconds between two looks (default 1)", metavar="S", default="1"),
            Argument(("--until-settled",), "end when nothing is under way any more", flag=True),
        ),
    ),
    Command(
        "plan",
        "plan",
        "what would happen if a host died now",
        "Shows in which sequence and waves the servers of a host would be evacuated, who would be held, skipped or find"
        " no room, and how long it would take. With --all, for every host in turn, whether the cloud could bear to lose"
        " it; the exit code is that of the worst one. Asks Pacemaker, Nova and placement, and changes nothing.",
        (
            Argument(("host",), HOST.help, metavar="HOST", nargs="?"),
            Argument(("--all",), "every compute host, one line each", flag=True),
            OUTPUT,
        ),
    ),
    Command(
        "report",
        "report",
        "what happened in an incident, as text, JSON or a page of HTML",
        "Without INCIDENT lists those that are known, newest first. With a host tells its newest incident, with"
        " HOST-TIME that one: its steps, and of each server from where, to where, in how many tries, by which requests."
        " Takes what the worker wrote here, and asks Nova about each attempt; where the worker's report is"
        " on another controller, Nova's records alone. What is not known is named. The worker itself leaves the same"
        " page beside its report in /var/lib/muster when an incident is settled and when it is over.",
        (
            Argument(("incident",), "a host, or HOST-TIME as in the list", metavar="INCIDENT", nargs="?"),
            Argument(("-o", "--output"), "how to tell it", choices=("text", "json", "html"), default="text"),
            Argument(("--to",), "write it into this file", metavar="FILE"),
        ),
    ),
    Command(
        "retry",
        "orders",
        "try a server, or all of a host, again",
        "What failed before no longer counts: a server that is held after its last try, or parked, is sent again. What"
        " was skipped or released is wanted again.",
        (Argument(("target",), "a server's id, or a host for all of its servers", metavar="SERVER|HOST"), YES),
    ),
    Command(
        "skip",
        "orders",
        "leave a server where it is",
        "The server is no longer evacuated in this incident. What is under way already is not called back.",
        (Argument(("target",), "the server's id", metavar="SERVER"), YES),
    ),
    Command(
        "approve",
        "orders",
        "begin with a host although max_failed_hosts forbids it",
        "Lets one dead host past the guard against storms. It does not overrule a host that is seen to live.",
        (Argument(("target",), HOST.help, metavar="HOST"), YES),
    ),
    Command(
        "confirm",
        "orders",
        "say that a host that was seen to live is off now",
        "For HOST LIVES where no power device can cut the power: switch the host off by hand, make sure of it, then"
        " confirm. The evacuation goes on as after a new fencing. Refused for a host that is in the cluster."
        " pcs stonith confirm does not do it: that cannot be told from the late end of the fencing that did nothing.",
        (Argument(("target",), HOST.help, metavar="HOST"), YES),
    ),
    Command(
        "release",
        "orders",
        "let a host return with what is left on it",
        "Servers that are queued or parked are left on the host, where they start again when it is back. What is under"
        " way is still waited for: nova-compute must not start before.",
        (Argument(("target",), HOST.help, metavar="HOST"), YES),
    ),
    Command(
        "pause",
        "orders",
        "change nothing until resume",
        "Nothing is asked of Nova and no host is released; fencings are still recorded, and what Nova has begun goes on"
        " and is proved.",
        (YES,),
    ),
    Command("resume", "orders", "end a pause", "Goes on from what is the case then.", (YES,)),
    Command(
        "doctor",
        "doctor",
        "what is wrong before a host dies",
        "Checks for other tools that evacuate, fencing levels and devices, the rule that keeps nova-compute away, the"
        " worker, its parameters, the agents and the credentials on this controller, and what its user may do in Nova;"
        " for whatever is wrong it says the remedy and the command. Changes nothing. Run it as root, on every"
        " controller.",
        (OUTPUT,),
    ),
    Command(
        "setup",
        "setup",
        "what this cluster lacks, as commands of pcs",
        "Prints the commands that add what is missing, for this cluster: the fence device, the fencing levels, the"
        " resource and its rules. Runs none of them without --apply. Prints no command when nothing is missing, nor"
        " beside another tool that evacuates.",
        (
            Argument(("--cloud",), "the cloud of clouds.yaml, for a new resource", metavar="NAME", default=""),
            Argument(
                ("--shared-storage",),
                "whether the servers' disks are on storage that every compute reaches, for a new resource",
                choices=("yes", "no"),
                default="",
            ),
            Argument(("--nova-resource",), "what runs nova-compute, if it is not recognised", metavar="ID", default=""),
            Argument(
                ("--power",),
                "what cuts the power of a node, where that is not clear; once for each node",
                metavar="NODE=DEVICE",
                repeated=True,
            ),
            Argument(("--apply",), "run the commands, one after another, up to the first that fails", flag=True),
            YES,
        ),
    ),
    Command(
        "register",
        "register",
        "link the agents to where Pacemaker looks, after pip",
        "Links ComputeRecovery and fence_muster of this installation into Pacemaker's directories, on this node."
        " Refuses where anything else is there already. Packages do not need it.",
        (
            Argument(("--undo",), "remove the links again, and nothing else", flag=True),
            Argument(("--dry-run",), "only say what would be done", flag=True),
            Argument(("--root",), "do it below this directory", metavar="DIR", default="/"),
        ),
    ),
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = Parser(
        prog="muster",
        description="What became of the servers of dead compute hosts, and what you can do about it.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="store_true", help="print the version")
    whole.add_argument("--resource", default="", metavar="ID", help="the resource, if the cluster has more than one")
    parsers = whole.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        one = parsers.add_parser(command.name, help=command.summary, description=command.description)
        for argument in command.arguments:
            _add(one, argument)
    return whole


def _add(to: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.flag:
        to.add_argument(*argument.names, action="store_true", help=argument.help)
        return
    options: dict[str, object] = {"help": argument.help, "default": argument.default}
    if argument.repeated:
        options.update(action="append", default=[])
    if argument.choices:
        options["choices"] = argument.choices
    if argument.nargs:
        options["nargs"] = argument.nargs
    if argument.metavar:
        options["metavar"] = argument.metavar
    to.add_argument(*argument.names, **options)  # type: ignore[arg-type]


def read(argv: Sequence[str]) -> argparse.Namespace:
    return parser().parse_args(argv)


def module_of(name: str) -> str:
    return next(command.module for command in COMMANDS if command.name == name)
