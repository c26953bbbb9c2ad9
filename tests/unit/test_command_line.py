# SPDX-License-Identifier: Apache-2.0
"""E26: how a command is called: help, version, mistakes, orders without a terminal."""

from __future__ import annotations

import io
import logging
import os
import pty
import sys
import threading
from pathlib import Path

import pytest

from muster import log, parameters
from muster.cli import commands, main, terminal, watch


def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["muster", *words])
    try:
        code = main.main()
    except SystemExit as exc:
        code = int(exc.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("words", [("version",), ("-V",), ("--version",)])
def test_every_word_for_the_version_is_understood(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, capsys, *words) == (0, f"muster {parameters.version()}\n", "")


def test_help_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands.COMMANDS:
        code, out, _ = typed(monkeypatch, capsys, "help", command.name)
        assert (code, out) == (0, typed(monkeypatch, capsys, command.name, "--help")[1])
    assert typed(monkeypatch, capsys, "help")[1] == typed(monkeypatch, capsys, "--help")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stat",), "muster --help"),
        (("retry",), "muster retry --help"),
        (("status", "-f", "xml"), "muster status --help"),
        (("help", "stat"), "muster help"),
        (("plan",), "muster plan --all"),
        (("watch", "-n", "0"), "from 0.2 to 3600"),
        (("setup", "--power", "x"), "NODE=DEVICE"),
        ((), "usage: muster"),
    ],
)
def test_a_wrong_command_line_is_told_how_it_is_right(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(monkeypatch, capsys, *words)
    assert (code, out, said in err) == (commands.USAGE, "", True), err
    assert commands.USAGE == 2


def test_an_order_that_nobody_can_confirm_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that forgot ``--yes`` changes nothing; it used to."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys, "argv", ["muster", "retry", "cmp1"])
    with pytest.raises(commands.UsageError, match="muster retry cmp1 --yes$"):
        terminal.confirmed("Evacuate every failed server of cmp1 again?", False)
    assert terminal.confirmed("?", True)


def test_whoever_gives_an_order_sees_no_line_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where no syslog is; what has no people before it still writes there."""
    monkeypatch.setattr(log, "SYSLOG", str(tmp_path / "none"))
    log.Log("asked", people=True).info("order given", order="retry")
    log.Log("asked").warning("kept")
    for name in ("asked", "asked.people"):
        logging.getLogger(f"muster-lines.{name}").handlers.clear()
    err = capsys.readouterr().err
    assert ("order given" in err, "kept" in err) == (False, True)


def test_q_ends_the_watch_and_leaves_the_terminal_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import termios

    ours, theirs = pty.openpty()
    with open(theirs, closefd=False) as screen, open(os.dup(theirs), "w") as out:
        monkeypatch.setattr(sys, "stdin", screen)
        monkeypatch.setattr(sys, "stdout", out)
        before = termios.tcgetattr(theirs)
        with watch.Keys() as keys:
            keys.wait(0.01)
            assert not keys.quit
            os.write(ours, b"x")
            threading.Timer(0.05, os.write, (ours, b"q")).start()
            keys.wait(20)
            assert keys.quit
        monkeypatch.undo()
        assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
