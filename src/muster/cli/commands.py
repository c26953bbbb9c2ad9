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

from muster.cli.exit_rows import EXITS as EXITS
from muster.cli.exit_rows import Exits
from muster.core.errors import MusterError

OK, ATTENTION, TROUBLE, UNKNOWN = 0, 1, 2, 3
"""Exit codes, as Nagios reads them: nothing to do; work is under way or something to be looked at; muster needs a
person; the command could not find out."""
USAGE = TROUBLE
"""A wrong command line, as of every other command here."""

EXIT_CODES = """exit codes:
  0  ok: nothing to do; an order was carried out
  1  attention: work is under way, or there is something to look at
  2  trouble: muster needs you; an order was refused; the command line is wrong
  3  unknown: the command could not find out"""


class UsageError(MusterError):
    """The command line is wrong; says how."""


class _Help(argparse.HelpFormatter):
    """Fills what is prose, and leaves lines that begin with spaces as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.startswith("exit codes:"):
            return super()._fill_text(text, width, indent)
        head, *rows = text.splitlines()
        filled = (super(_Help, self)._fill_text(row, width - 5, "") for row in rows)
        return "\n".join([head, *("  " + row.replace(" ", "  ", 1).replace("\n", "\n     ") for row in filled)])


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}. To see what it takes: {self.prog} --help\n")


@dataclass(frozen=True)
class Argument:
    """One argument or option, as argparse takes it.

    :param offers: what a shell completes: one of :data:`muster.cli.complete.KINDS`.
    """

    names: tuple[str, ...]
    help: str
    metavar: Optional[str] = None
    nargs: Optional[str] = None
    flag: bool = False
    default: object = None
    choices: Optional[tuple[str, ...]] = None
    repeated: bool = False
    offers: str = ""


@dataclass(frozen=True)
class Command:
    """:param module: below ``muster.cli``; its ``run(options)`` carries the command out and returns the exit code."""

    name: str
    module: str
    summary: str
    description: str
    arguments: tuple[Argument, ...] = ()

    @property
    def exits(self) -> Exits:
        """When it ends with 0, 1, 2 and 3; empty for a code that it does not end with."""
        return EXITS[self.name]


OUTPUT = Argument(("-o", "--output"), "all that is known, as text or as JSON", choices=("text", "json"), default="text")
FORMATS = ("table", "json", "yaml", "csv", "value")
TABLE = (
    Argument(("-f", "--format"), "only the table, in this format", choices=FORMATS),
    Argument(("-c", "--column"), "only this column of the table; once for each", metavar="COLUMN", repeated=True),
    Argument(("--sort-column",), "sort the table by this column; once for each", metavar="COLUMN", repeated=True),
)
"""As the client of OpenStack has them."""
YES = Argument(("-y", "--yes"), "do not ask", flag=True)
SERVER = "a server's name, id, or the beginning of its id"
INCIDENT = Argument(
    ("incident",), "a host, or HOST-TIME as in the list", metavar="INCIDENT", nargs="?", offers="incidents"
)
RETRIED = Argument(
    ("target",), f"{SERVER}, or a host for all of its servers", metavar="SERVER|HOST", offers="servers-and-dead"
)
HOST = Argument(("host",), "the compute host, by its name in Pacemaker or in Nova", metavar="HOST", offers="hosts")
OF_HOST = Argument(
    ("--host",), "the dead host, if the server is in the incidents of several", metavar="HOST", default=""
)

COMMANDS: tuple[Command, ...] = (
    Command(
        "status",
        "status",
        "what happened, what is under way, what you have to do",
        "Shows every dead host with the number of its servers by verdict, and whether muster is ready for the next one:"
        " the worker makes doctor's checks every few minutes, and finds out how many hosts may die. TO DO lists what"
        " needs you, with the remedy. Works on every controller and asks Pacemaker only. With HOST it lists each server"
        " of that host; if the worker's report is not on this controller, it asks Nova. The exit code suits Nagios.",
        (
            Argument(("host",), "list every server of this host", metavar="HOST", nargs="?", offers="hosts"),
            Argument(("--incidents-only",), "leave out whether muster is ready, also in the exit code", flag=True),
            OUTPUT,
            *TABLE,
        ),
    ),
    Command(
        "watch",
        "watch",
        "the status, updated live",
        "Shows progress, rate, expected end and the last events until you press q. Continues after a failover.",
        (
            Argument(("-n", "--interval"), "seconds between two updates (default 1)", metavar="S", default="1"),
            Argument(("--until-settled",), "end when nothing is under way", flag=True),
        ),
    ),
    Command(
        "plan",
        "plan",
        "what would happen if a host died now",
        "Shows in which sequence and waves muster would evacuate the servers of a host, and how long that would take."
        " Names the servers that muster would hold or skip, and those that by Nova's rules would or may find no room."
        " With --all it shows for every host whether the cloud can bear to lose it; the exit code is that of the worst"
        " host. Asks Pacemaker, Nova and Placement. Changes nothing.",
        (
            Argument(("host",), HOST.help, metavar="HOST", nargs="?", offers="hosts"),
            Argument(("--all",), "every compute host, one line each", flag=True),
            OUTPUT,
            *TABLE,
        ),
    ),
    Command(
        "capacity",
        "capacity",
        "how many hosts may die together",
        "Shows how many hosts may die together without a server staying down: at least so many, whichever they are and"
        " whatever Nova chooses; and at most so many, with the hosts whose death would be too much. It goes by Nova's"
        " own rules: flavors, traits, availability zones, server groups, and what Placement has left. Names the servers"
        " that no host takes, those that it cannot say anything about, and what would mend it. With HOSTS it shows what"
        " becomes of each of their servers if they die together. Asks Pacemaker, Nova and Placement. Changes nothing."
        " The exit code suits Nagios.",
        (
            Argument(("host",), "show each server of these hosts, which die together", metavar="HOST", nargs="*"),
            Argument(
                ("--failures",),
                "trouble if not so many hosts may die, attention if that is not proved (default 1)",
                metavar="N",
                default="",
            ),
            Argument(
                ("--metrics",),
                "also write the number into this file, for node_exporter's textfile collector",
                metavar="FILE",
                default="",
            ),
            OUTPUT,
        ),
    ),
    Command(
        "report",
        "report",
        "what happened in an incident, as text, JSON or a page of HTML",
        "Without INCIDENT it lists the known incidents, newest first. With a host it shows the newest incident of that"
        " host, with HOST-TIME that incident: the steps of the host, and for each server its source, destination, tries"
        " and request ids. It reads the worker's report on this controller, and asks Nova about each attempt. If the"
        " worker's report is on another controller, Nova's records are the only source. The report names what is not"
        " known. The worker saves the same page in /var/lib/muster when an incident is settled and when it is closed.",
        (
            INCIDENT,
            Argument(("-o", "--output"), "output format", choices=("text", "json", "html"), default="text"),
            Argument(("--to",), "write to this file", metavar="FILE"),
            *TABLE,
        ),
    ),
    Command(
        "events",
        "events",
        "what happened, the newest last",
        "Shows fencings by Pacemaker's history, evacuations by Nova's records, and the last events of the worker: these"
        " are the same on every controller. Where the worker ran on this controller, its reports tell each change of a"
        " server. Says what is not known here, and where it is.",
        (
            Argument(("--since",), "a duration (30min, 12h, 7d) or a time; default 24h", metavar="TIME", default="24h"),
            Argument(("--follow",), "go on with what happens next, until you press q", flag=True),
            *TABLE,
        ),
    ),
    Command(
        "retry",
        "orders",
        "try a server, or all servers of a host, again",
        "muster forgets earlier failures: it sends a server again that is parked, or held after its last try. It also"
        " evacuates a server again that was skipped or released. If Nova refuses a server in its state, the command"
        " says what has to be done first, orders nothing, and ends with 1.",
        (RETRIED, OF_HOST, YES),
    ),
    Command(
        "skip",
        "orders",
        "leave a server where it is",
        "muster does not evacuate the server in this incident. It does not call back an evacuation that is under way.",
        (Argument(("target",), SERVER, metavar="SERVER", offers="servers"), OF_HOST, YES),
    ),
    Command(
        "approve",
        "orders",
        "evacuate a host although max_failed_hosts forbids it",
        "Lets one dead host pass the guard max_failed_hosts. Does not overrule HOST LIVES.",
        (Argument(("target",), HOST.help, metavar="HOST", offers="dead"), YES),
    ),
    Command(
        "confirm",
        "orders",
        "after HOST LIVES: say that the host is off now",
        "For HOST LIVES when no power device can cut the power. Switch the host off by hand, make sure that it is off,"
        " and confirm. muster then continues as after a new fencing. It refuses this for a host that is in the cluster."
        " pcs stonith confirm is not enough: muster cannot tell it from the late end of the fencing that did nothing.",
        (Argument(("target",), HOST.help, metavar="HOST", offers="dead"), YES),
    ),
    Command(
        "release",
        "orders",
        "let a host return with its remaining servers",
        "Queued and parked servers stay on the host and start there when it is back. muster still waits for evacuations"
        " that are under way: nova-compute must not start before they end. If a start or a rescue waits in the host's"
        " message queue, muster names it, and lets the host return once you have emptied the queue and say so.",
        (
            Argument(("target",), HOST.help, metavar="HOST", offers="dead"),
            Argument(("--queue-emptied",), "nothing waits in the queue of the host's nova-compute any more", flag=True),
            YES,
        ),
    ),
    Command(
        "acknowledge",
        "orders",
        "you have seen to servers that a host had left when it returned",
        "status reminds you of servers that were held, parked or unknown when their host returned, until they run, are"
        " gone or are acknowledged: all of a host, or one by its id.",
        (Argument(("target",), "a host for all of its servers, or a server's id", metavar="HOST|SERVER"),),
    ),
    Command(
        "pause",
        "orders",
        "change nothing until resume",
        "muster changes nothing in Nova and lets no host return. It still records fencings, and it still proves the"
        " evacuations that Nova has begun.",
        (YES,),
    ),
    Command("resume", "orders", "end a pause", "muster continues from the present state.", (YES,)),
    Command(
        "doctor",
        "doctor",
        "find faults before a host dies",
        "Checks for other tools that evacuate, the fencing levels and devices, the rule that keeps nova-compute"
        " stopped, the worker and its parameters, the agents and the credentials on this controller, and the rights of"
        " its user in Nova. For every fault it shows the remedy and the command. Changes nothing. Run it as root, on"
        " every controller.",
        (OUTPUT, *TABLE),
    ),
    Command(
        "drill",
        "drill",
        "fence a host on purpose, and compare with the plan",
        "Proves the whole chain without an accident. Refuses unless doctor finds no trouble, no host has failed,"
        " and the host holds only servers with muster_drill=true. Has Pacemaker fence the host, watches until it"
        " is back in service, and compares what happened with the plan.",
        (
            Argument(("host",), HOST.help, metavar="HOST"),
            Argument(("--dry-run",), "check everything that can be checked without a fencing", flag=True),
            Argument(
                ("--within",), "give up watching after so many seconds (default 1800)", metavar="S", default="1800"
            ),
            YES,
        ),
    ),
    Command(
        "setup",
        "setup",
        "print the commands that this cluster lacks",
        "Prints the commands that add what this cluster lacks: the fence device, the fencing levels, the resource and"
        " its rules. Runs them only with --apply. Prints no command when nothing is missing, and none beside another"
        " tool that evacuates.",
        (
            Argument(("--cloud",), "the cloud of clouds.yaml, for a new resource", metavar="NAME", default=""),
            Argument(
                ("--shared-storage",),
                "whether the servers' disks are on storage that every compute reaches, for a new resource",
                choices=("yes", "no"),
                default="",
            ),
            Argument(("--nova-resource",), "what runs nova-compute, if not recognised", metavar="ID", default=""),
            Argument(
                ("--power",),
                "the device that cuts the power of a node, if not clear; once for each node",
                metavar="NODE=DEVICE",
                repeated=True,
            ),
            Argument(
                ("--format",),
                "whose words the commands are in; cibadmin stands for Pacemaker's own tools. The default is what is on"
                " this controller: pcs, else crmsh, else cibadmin",
                choices=("cibadmin", "crmsh", "pcs"),
                default="",
            ),
            Argument(("--apply",), "run the commands in order, until one fails", flag=True),
            YES,
        ),
    ),
    Command(
        "register",
        "register",
        "after pip: link the agents where Pacemaker looks",
        "Links ComputeRecovery and fence_muster of this installation into Pacemaker's directories, on this node."
        " Refuses if another file is there. Also links muster, its manual pages and its completion below /usr/local."
        " Packages do not need it.",
        (
            Argument(("--undo",), "remove the links again, and nothing else", flag=True),
            Argument(("--dry-run",), "only show what it would do", flag=True),
            Argument(("--root",), "use this directory instead of /", metavar="DIR", default="/"),
        ),
    ),
    Command(
        "help",
        "about",
        "what a command does and takes",
        "Without COMMAND it lists all commands.",
        (Argument(("topic",), "a command", metavar="COMMAND", nargs="?"),),
    ),
    Command("version", "about", "print the version", "Prints the version of muster on this controller."),
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = Parser(
        prog="muster",
        description="Shows what happened to the servers of dead compute hosts, and takes your orders.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("-V", "--version", action="store_true", help="print the version")
    whole.add_argument("--resource", default="", metavar="ID", help="the resource, if the cluster has more than one")
    parsers = whole.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        one = parsers.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog="\n".join(
                ["exit codes:", *(f"  {code}  {text}" for code, text in enumerate(command.exits) if text)]
            ),
            formatter_class=_Help,
        )
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
    made = to.add_argument(*argument.names, **options)  # type: ignore[arg-type]
    if argument.offers:
        function = f"_muster_{argument.offers.replace('-', '_')}"
        made.complete = {"bash": function, "zsh": function}  # type: ignore[attr-defined]  # for shtab


def read(argv: Sequence[str]) -> argparse.Namespace:
    return parser().parse_args(argv)


def module_of(name: str) -> str:
    return next(command.module for command in COMMANDS if command.name == name)
