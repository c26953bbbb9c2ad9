# SPDX-License-Identifier: Apache-2.0
"""The operator's program: called once for each step, bounded, reaped, and of no consequence to the worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest

from muster.core.decide import Incident
from muster.core.findings import State
from muster.reporting.outlets.hook import AT_ONCE, Hook
from tests.fakes import LogLines

ROOT = Path(__file__).resolve().parents[2]


def incident(state: State = State.EVACUATING, node: str = "cmp1", first: int = 100) -> Incident:
    return Incident(node, "host", state, "rule", "why", first, first)


def test_what_others_could_change_is_not_run_and_what_is_mended_is(tmp_path: Path) -> None:
    """E17: the worker begins without it, and runs as root."""
    said = tmp_path / "said"
    path = program(tmp_path, f"echo $1 >>{said}")
    it, lines = hook(path)
    Path(path).chmod(0o777)
    it.report(incident(), {})
    assert [(line[1], "chmod go-w" in str(line[2])) for line in lines.lines] == [("hook not called", True)]
    Path(path).chmod(0o755)
    it.report(incident(State.SETTLED), {})
    until(reaped(it))
    assert said.read_text() == "settled\n"


def program(tmp_path: Path, body: str) -> str:
    path = tmp_path / "hook"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def hook(path: str, timeout_s: float = 20.0) -> tuple[Hook, LogLines]:
    lines = LogLines()
    return Hook(path, lines, timeout_s), lines  # type: ignore[arg-type]


def reaped(it: Hook) -> Callable[[], bool]:
    def done() -> bool:
        it.announce(1.0)
        return not it._running

    return done


def gone(pid: str) -> bool:
    """Nothing of it runs; whether somebody has reaped what was orphaned is not ours."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def children() -> list[str]:
    """Of this process, zombies included."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_is_called_at_each_step_of_note_once(tmp_path: Path) -> None:
    """With the step as its argument and the incident on its standard input."""
    told = tmp_path / "told"
    it, lines = hook(program(tmp_path, f'cat > {told}.$1.$$; echo "$#" >> {told}.$1.$$'))
    states = [State.FENCED, State.EVACUATING, State.BLOCKED, State.BLOCKED, State.EVACUATING, State.SETTLED]
    for state in [*states, State.SETTLED, State.RETURNING, State.CLOSED]:
        it.report(incident(state), {"node": "cmp1", "state": state.value, "name": "\ud800<"})
        until(reaped(it))
    files = sorted(tmp_path.glob("told.*"), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name.split(".")[1] for path in files] == ["began", "blocked", "settled", "closed"]
    given, count = files[0].read_text().rsplit("}", 1)
    assert json.loads(given + "}") == {"event": "began", "node": "cmp1", "state": "fenced", "name": "\ud800<"}
    assert count.strip() == "1"
    assert lines.lines == []
    it.report(incident(State.FENCED, first=200), {})
    until(reaped(it))
    assert len(list(tmp_path.glob("told.began.*"))) == 2


def test_is_killed_with_its_children_when_its_time_is_over_and_reaped(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    it, lines = hook(program(tmp_path, f"sleep 300 & echo $! $$ > {pids}; echo still at it; sleep 300"), timeout_s=0.5)
    others = set(children())
    begin = time.monotonic()
    it.report(incident(), {})
    assert time.monotonic() - begin < 0.4, "the worker has waited for it"
    until(reaped(it))
    until(lambda: all(map(gone, pids.read_text().split())), 2)
    assert set(children()) <= others
    ((_, event, fields),) = lines.lines
    assert (event, fields["reason"], fields["said"]) == ("hook failed", "killed after 0.5 s", "still at it")


def test_has_a_session_of_its_own(tmp_path: Path) -> None:
    """A signal for the worker's session, a terminal's for instance, is none of its business."""
    sid = tmp_path / "sid"
    it, _ = hook(program(tmp_path, f"cut -d' ' -f6 /proc/$$/stat > {sid}.new; mv {sid}.new {sid}; sleep 300"), 1.0)
    it.report(incident(), {})
    until(sid.exists)
    assert int(sid.read_text()) not in (os.getsid(0), 0)
    until(reaped(it))


def test_a_failure_is_told_with_its_last_words(tmp_path: Path) -> None:
    it, lines = hook(program(tmp_path, "head -c 100000 /dev/zero | tr '\\0' x; echo no route >&2; exit 3"))
    it.report(incident(), {})
    until(reaped(it))
    ((level, event, fields),) = lines.lines
    assert (level, event, fields["reason"]) == ("warning", "hook failed", "exit 3")
    assert str(fields["said"]).endswith("no route")
    assert len(str(fields["said"])) <= 300


def test_a_missing_program_is_told(tmp_path: Path) -> None:
    it, lines = hook(str(tmp_path / "nothing"))
    it.report(incident(), {})
    assert [(line[1], "put it on every controller" in str(line[2])) for line in lines.lines] == [
        ("hook not called", True)
    ]


def test_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    it, lines = hook(program(tmp_path, "sleep 300"), timeout_s=1.5)
    others = set(children())
    for number in range(AT_ONCE + 2):
        it.report(incident(node=f"cmp{number}"), {})
    assert [line[1] for line in lines.lines] == ["hook not called"] * 2
    assert len(set(children()) - others) == AT_ONCE
    until(reaped(it))
    assert set(children()) <= others


def test_sees_nothing_of_the_workers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "secret")
    monkeypatch.setenv("OCF_RESKEY_cloud", "bed")
    seen = tmp_path / "seen"
    it, _ = hook(program(tmp_path, f"env > {seen}; ls /proc/self/fd >> {seen}.fds"))
    it.report(incident(), {})
    until(reaped(it))
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert names <= {"PATH", "LANG", "HOME", "PWD", "SHLVL", "_", "OLDPWD"}
    assert len(Path(f"{seen}.fds").read_text().split()) <= 5


def test_ends_well_or_by_its_bound_when_the_worker_is_killed(tmp_path: Path) -> None:
    """kill -9: what runs is neither stalled nor cut off, and what hangs does not stay."""
    quick, slow = tmp_path / "quick", tmp_path / "slow"
    for folder in (quick, slow):
        folder.mkdir()
    good = program(quick, f"cat > /dev/null; sleep 1; echo said; touch {quick}/done")
    bad = program(slow, f"echo $$ > {slow}/pid; exec sleep 300")
    code = (
        "import os, signal, time; from tests.unit.test_hook import *;"
        f" a = Hook({good!r}, LogLines(), 20); b = Hook({bad!r}, LogLines(), 2);"
        f" a.report(incident(), {{'x': 'y' * 1000000}}); b.report(incident(), {{}});"
        f" until(lambda: os.path.exists('{slow}/pid') and open('{slow}/pid').read().strip());"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    until(lambda: (quick / "done").exists())
    pid = (slow / "pid").read_text().strip()
    assert not gone(pid)
    until(lambda: gone(pid))
