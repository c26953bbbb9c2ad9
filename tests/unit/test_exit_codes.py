# SPDX-License-Identifier: Apache-2.0
"""E21: each command ends as the one table says, and with nothing else."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

import pytest

from muster.cli import commands, status
from muster.cli.commands import COMMANDS, EXITS, Command
from muster.reporting.documents import Report, ServerEntry

CLI = Path(__file__).resolve().parents[2] / "src" / "muster" / "cli"
NAMES = ("OK", "ATTENTION", "TROUBLE", "UNKNOWN")
ELSEWHERE = {
    # where else what a module returns comes from
    "plan": ("plan", "plan_page"),
    "watch": ("status",),
}
FROM_MAIN = 3  # by an error that main() catches


def ends_with(module: str) -> set[int]:
    """The codes that are named in what the command runs."""
    found = set()
    for name in ELSEWHERE.get(module, (module,)):
        for item in ast.walk(ast.parse((CLI / f"{name}.py").read_text())):
            if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == "commands":
                found |= {NAMES.index(item.attr)} if item.attr in NAMES else set()
    return found


def test_the_codes_are_numbered_as_nagios_has_them() -> None:
    assert [getattr(commands, name) for name in NAMES] == [0, 1, 2, 3]


def test_every_command_has_its_row_and_no_row_is_left() -> None:
    assert [command.name for command in COMMANDS if len(command.exits) != 4] == []
    assert set(EXITS) == {command.name for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: it.name)
def test_ends_with_what_its_row_has_and_with_nothing_else(command: Command) -> None:
    told = {code for code, text in enumerate(command.exits) if text}
    assert ends_with(command.module) - {FROM_MAIN} == told - {FROM_MAIN}
    assert FROM_MAIN in told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: it.name)
def test_its_help_has_the_row(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.read([command.name, "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert [text for text in command.exits if f" {' '.join(text.split())}" not in shown] == []


HOSTS = [
    ("closed", (), False, 0),
    ("closed", ("evacuated", "skipped", "gone"), True, 0),
    ("closed", ("evacuated", "held"), False, 1),
    ("closed", ("unknown",), False, 1),
    ("evacuating", ("evacuated", "queued"), False, 1),
    ("settled", ("evacuated",), False, 1),
    ("settled", ("held",), False, 2),
    ("blocked", (), False, 2),
    ("evacuating", ("queued",), True, 2),
]


@pytest.mark.parametrize(("state", "verdicts", "nobody", "code"), HOSTS)
def test_of_one_host_it_tells_whether_a_person_is_needed_now(
    state: str, verdicts: tuple[str, ...], nobody: bool, code: int
) -> None:
    report = Report(node="cmp1", state=state, proofs=tuple(ServerEntry(v, verdict=v) for v in verdicts))
    assert status.exit_of_host(report, nobody) == code


def test_what_argparse_makes_of_a_long_row_stays_a_row() -> None:
    parser = argparse.ArgumentParser(
        prog="x", epilog="exit codes:\n  0  " + "word " * 40, formatter_class=commands._Help
    )
    lines = parser.format_help().partition("exit codes:")[2].splitlines()[1:]
    assert lines[0].lstrip().startswith("0")
    assert all(line.startswith("     word") for line in lines[1:])
