# SPDX-License-Identifier: Apache-2.0
"""The manual pages, from where commands and parameters are written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from muster import parameters
from muster.cli import commands
from muster.cli.commands import COMMANDS, Argument, Command
from muster.parameters import Parameter

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "man"
DATE = "2026-11-25"

VERDICTS = """queued, evacuating|It waits for its turn; Nova is at it.
evacuated|Proved: on another host, its migration finished, in the power state its owner wants.
parked|Failed for now; says why, and tries again by itself.
held|You must decide; says what is wrong and what to do.
skipped, gone|Policy or an order leaves it; deleted meanwhile.
unknown|Cannot be proved now; says why."""


def roff(text: str) -> str:
    """Text in which nothing is a request or an escape of roff's."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def prose(text: str) -> str:
    """The same for running text, in short lines, as roff wants it."""
    return roff(textwrap.fill(" ".join(text.split()), 72, break_long_words=False, break_on_hyphens=False))


def head(name: str, section: int, what: str) -> Iterator[str]:
    yield '.\\" SPDX-License-Identifier: Apache-2.0'
    yield f'.TH {name.upper()} {section} {DATE} "muster {parameters.version()}" "muster"'
    yield ".SH NAME"
    yield f"{roff(name)} \\- {roff(what)}"


def item(name: str, *text: str) -> Iterator[str]:
    yield ".TP"
    yield name
    yield from map(prose, text)


def muster() -> Iterator[str]:
    yield from head("muster", 8, "servers of dead compute hosts: what became of them, what to do")
    yield ".SH SYNOPSIS"
    yield ".B muster\n[\\fB\\-\\-resource\\fR \\fIID\\fR]\n.I COMMAND\n[\\fIARGUMENT\\fR ...]"
    yield ".SH DESCRIPTION"
    yield prose(
        "When a compute host dies, Pacemaker fences it, and the resource ocf:muster:ComputeRecovery evacuates its servers"
        " and proves the outcome of each. This command shows what it does and why, and takes orders. It runs on every"
        " controller, as root or as a member of the group haclient; only root may ask Nova."
    )
    yield ".SH COMMANDS"
    for command in COMMANDS:
        yield from _command(command)
    yield ".SH VERDICTS"
    for line in VERDICTS.splitlines():
        name, _, text = line.partition("|")
        yield from item(f".B {roff(name)}", text)
    yield ".SH EXIT STATUS"
    for line in commands.EXIT_CODES.splitlines()[1:]:
        code, _, text = line.strip().partition("  ")
        yield from item(f".B {code}", text[0].upper() + text[1:] + ".")
    yield ".SH FILES"
    yield from item(".I /etc/muster/clouds.yaml", "The credentials, on every controller, for root only.")
    yield from item(".I /run/muster", "What the worker on this controller shows.")
    yield from item(".I /var/lib/muster", "Reports of incidents, on the controller whose worker wrote them.")
    yield ".SH SEE ALSO"
    yield ".BR ocf_muster_ComputeRecovery (7),\n.BR fence_muster (8),\n.BR pcs (8),\n.BR crm_mon (8)"


def _command(command: Command) -> Iterator[str]:
    words = " ".join(_usage(argument) for argument in command.arguments)
    yield f".SS muster {command.name}" + (f" {words}" if words else "")
    yield prose(command.description)
    for argument in command.arguments:
        if argument.names[0].startswith("-"):
            names = ", ".join(f"\\fB{roff(name)}\\fR" for name in argument.names)
            value = "" if argument.flag else f" \\fI{roff(_value(argument))}\\fR"
            yield from item(f"{names}{value}", argument.help[0].upper() + argument.help[1:] + ".")
    yield ".PP"
    told = (f"{code}: {text}" for code, text in enumerate(command.exits) if text)
    yield prose(f"Exit status {'. '.join(told)}.")


def _usage(argument: Argument) -> str:
    name = argument.names[0]
    if name.startswith("-"):
        return f"[\\fB{roff(name)}\\fR" + ("" if argument.flag else f" \\fI{roff(_value(argument))}\\fR") + "]"
    text = f"\\fI{roff(argument.metavar or name)}\\fR"
    return f"[{text}]" if argument.nargs == "?" else text


def _value(argument: Argument) -> str:
    return argument.metavar or "|".join(argument.choices or ("VALUE",))


def agent() -> Iterator[str]:
    document = parameters._document("ComputeRecovery")
    yield from head("ocf_muster_ComputeRecovery", 7, parameters._prose(document, "shortdesc"))
    yield ".SH SYNOPSIS"
    yield ".B ComputeRecovery\n{start|stop|monitor|validate\\-all|meta\\-data}"
    yield ".SH DESCRIPTION"
    paragraphs = (document.findtext("longdesc") or "").split("\n\n")
    yield "\n.PP\n".join(prose(text) for text in paragraphs)
    yield ".SH PARAMETERS"
    for parameter in parameters.parameters("ComputeRecovery"):
        yield from item(f"\\fB{roff(parameter.name)}\\fR{_bounds(parameter)}", parameter.longdesc)
    yield ".SH EXAMPLE"
    yield ".EX"
    yield roff("muster setup --cloud mycloud --shared-storage yes")
    yield ".EE"
    yield prose(
        "It prints the commands of pcs that create the resource together with the rule that keeps it off computes."
    )
    yield ".SH SEE ALSO"
    yield ".BR muster (8),\n.BR fence_muster (8),\n.BR pcs (8)"


def _bounds(parameter: Parameter) -> str:
    facts = [parameter.kind]
    facts += ["required"] if parameter.required else [f"default {parameter.default}"] if parameter.default else []
    unit = f" {parameter.unit}" if parameter.unit else ""
    facts += [f"{parameter.minimum} to {parameter.maximum}{unit}"] if parameter.maximum is not None else []
    return f" ({roff(', '.join(facts))})"


def fence() -> Iterator[str]:
    document = parameters._document("fence_muster")
    yield from head("fence_muster", 8, str(document.get("shortdesc")))
    yield ".SH SYNOPSIS"
    yield ".B fence_muster\n\\fB\\-o\\fR \\fIACTION\\fR [\\fB\\-n\\fR \\fINODE\\fR]"
    yield ".SH DESCRIPTION"
    paragraphs = (document.findtext("longdesc") or "").split("\n\n")
    yield "\n.PP\n".join(prose(text) for text in paragraphs)
    yield ".SH OPTIONS"
    for parameter in parameters.parameters("fence_muster"):
        names = f"\\fB\\-{parameter.short}\\fR, \\fB\\-\\-{roff(parameter.name)}\\fR"
        text = parameter.longdesc + (f" One of: {', '.join(parameter.values)}." if parameter.values else "")
        yield from item(f"{names}=\\fI{roff(parameter.name)}\\fR", text)
    yield ".SH EXAMPLE"
    yield ".EX"
    yield roff(
        'pcs stonith create muster-fence fence_muster pcmk_host_check=static-list pcmk_host_list="cmp1 cmp2"\n'
        "pcs stonith level add 1 cmp1 power-cmp1 muster-fence"
    )
    yield ".EE"
    yield ".SH EXIT STATUS"
    yield from item(".B 0", "It was done; for status: the node is not on record as fenced.")
    yield from item(".B 1", "It failed; the reason is on standard error.")
    yield from item(".B 2", "For status: the node is on record as fenced.")
    yield ".SH SEE ALSO"
    yield ".BR muster (8),\n.BR ocf_muster_ComputeRecovery (7),\n.BR pcs (8)"


def pages() -> dict[Path, str]:
    man = {"muster.8": muster, "ocf_muster_ComputeRecovery.7": agent, "fence_muster.8": fence}
    return {FOLDER / name: "\n".join(lines()) + "\n" for name, lines in man.items()}
