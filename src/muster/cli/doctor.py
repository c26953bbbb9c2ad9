# SPDX-License-Identifier: Apache-2.0
"""``muster doctor``: one line a check; below, for whatever is wrong, the remedy and the command."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional

from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from muster import parameters
from muster.cli import commands, formats, terminal
from muster.cli.site import Site
from muster.cli.terminal import Cell
from muster.core.errors import ClusterError, SettingsError
from muster.engine.examiner import left_alone, with_settings
from muster.gateways import credentials, host_monitors
from muster.gateways.pacemaker import agents, installation, pcs
from muster.installation import checkup
from muster.installation.checks.examination import CheckResult, Examination, Examined, Result, worst
from muster.installation.installed import Controller, NovaAccess
from muster.installation.phrasing import phrased, spoken
from muster.settings import Settings

EXIT_OF_RESULT = {
    Result.OK: commands.OK,
    Result.UNKNOWN: commands.ATTENTION,
    Result.ATTENTION: commands.ATTENTION,
    Result.TROUBLE: commands.TROUBLE,
}


def run(options: argparse.Namespace) -> int:
    with terminal.console(stderr=True).status("asking Pacemaker and Nova"):
        facts = look(Site(options.resource))
    examined = [_as_typed_here(check, facts) for check in checkup.examine(facts)]
    result = worst(check.result for check in examined)
    if formats.wanted(options):
        formats.show(options, _table(examined))
    elif options.output == "json":
        whole = {"checked": round(time.time(), 1), "controller": facts.controller.name, "level": result.value}
        terminal.print_json({**whole, "checks": [_plain(check) for check in examined]})
    else:
        out = terminal.console()
        out.print(_table(examined))
        _say_remedies(out, examined)
    return EXIT_OF_RESULT[result]


def _as_typed_here(check: Examined, facts: Examination) -> Examined:
    me, levels = facts.controller, facts.here.every_level
    shell = spoken(me.pcs, me.crmsh)
    typed = (replace(f, commands=phrased(f.commands, me.pcs, shell, levels)) for f in check.findings)
    return replace(check, findings=tuple(typed))


# ----------------------------------------------------------------------- look


def look(site: Site) -> Examination:
    """:raises ClusterError: when Pacemaker does not answer; whatever else does not is part of the facts."""
    settings, faults = _settings(site)
    here = installation.installation(site.snapshot, left_alone(settings) if settings else ())
    worker = next((one for one in here.workers if one.id == site.wanted or len(here.workers) == 1), None)
    facts = Examination(here, _controller(site, settings), _nova(settings), worker, faults)
    if settings is None:
        return facts
    return with_settings(facts, settings, site.given)


def _settings(site: Site) -> tuple[Optional[Settings], tuple[str, ...]]:
    try:
        return site.settings, ()
    except SettingsError as exc:
        return None, exc.faults
    except ClusterError:
        return None, ()  # which resource it should be the checks of the resource say


def _controller(site: Site, settings: Optional[Settings]) -> Controller:
    return Controller(
        name=site.local,
        root=os.geteuid() == 0,
        version=parameters.version(),
        agents=agents.seen(),
        credentials=tuple(credentials.file_faults(settings.clouds_file)) if settings else None,
        worker_version=_worker_version(site),
        pcs=pcs.version(),
        crmsh=pcs.crmsh(),
        evacuators=host_monitors.seen(),
    )


def _worker_version(site: Site) -> str:
    try:
        heard = site.heard()
        return heard.other.version if heard.other else heard.shared.version
    except ClusterError:
        return ""


def _nova(settings: Optional[Settings]) -> NovaAccess:
    if settings is None:
        return NovaAccess(asked=False, trouble="muster did not ask it: no resource has valid parameters")
    if not os.access(settings.clouds_file, os.R_OK):
        hint = "" if os.geteuid() == 0 else ": run this as root"
        return NovaAccess(asked=False, trouble=f"muster did not ask it: it cannot read {settings.clouds_file}{hint}")
    from muster.wiring import connections

    logging.getLogger("keystoneauth").addHandler(logging.NullHandler())  # what it warns of is in its errors, too
    return connections.nova_access(settings)


# ----------------------------------------------------------------------- show


def _table(examined: Sequence[Examined]) -> terminal.Table:
    rows = [
        (Cell("" if number else check.name, check.name), terminal.styled(finding.result.value), finding.what)
        for check in examined
        for number, finding in enumerate(check.findings)
    ]
    return terminal.table(("CHECK", "RESULT", "WHAT"), rows)


def _say_remedies(out: Console, examined: Sequence[Examined]) -> None:
    """Commands are never wrapped: they are there to be copied."""
    for title, of_ok in (("TO DO", False), ("ADVICE", True)):
        told = [(check.name, [f for f in check.findings if _has_remedy(f, of_ok)]) for check in examined]
        if any(findings for _, findings in told):
            out.print(Group("", Text(title, style="bold")))
        for name, findings in told:
            if findings:
                out.print(Text(f"{name}:"))
            for finding in findings:
                if finding.remedy:
                    out.print(Padding(Text(terminal.clean(finding.remedy)), (0, 0, 0, 2), expand=False))
                for command in finding.commands:
                    print(f"    {terminal.shell(command)}")


def _has_remedy(finding: CheckResult, of_ok: bool) -> bool:
    return (finding.result is Result.OK) is of_ok and bool(finding.remedy or finding.commands)


def _plain(check: Examined) -> dict[str, Any]:
    return {
        "check": check.name,
        "result": check.result.value,
        "findings": [
            {
                "result": finding.result.value,
                "what": finding.what,
                "remedy": finding.remedy,
                "commands": [terminal.shell(command) for command in finding.commands],
            }
            for finding in check.findings
        ],
    }
