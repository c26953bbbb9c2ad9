# SPDX-License-Identifier: Apache-2.0
"""When the worker's process goes on, and when it ends."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from muster.agents import worker_process
from muster.agents.supervisor import Supervisor, ticks
from tests.fakes import LogLines


def test_ends_when_it_is_not_the_one_on_record_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C8: without its file nobody would ever stop it, and Pacemaker starts another one."""
    monkeypatch.setattr(worker_process, "LOOK_EVERY_S", 0.0)
    supervisor, log = Supervisor("muster", str(tmp_path)), LogLines()
    Path(supervisor.pid_file).write_text(f"{os.getpid()} {ticks(os.getpid())}\n")
    wait = worker_process.going(threading.Event(), supervisor, log)  # type: ignore[arg-type]
    assert wait(0.0)
    os.unlink(supervisor.pid_file)
    assert not wait(0.0)
    assert [event for _, event, _ in log.lines] == ["not the worker any more"]


def test_does_not_look_for_its_file_all_the_time(tmp_path: Path) -> None:
    wait = worker_process.going(threading.Event(), Supervisor("muster", str(tmp_path)), LogLines())  # type: ignore[arg-type]
    assert wait(0.0)


def test_ends_when_it_is_told_to(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert not worker_process.going(stop, Supervisor("muster", str(tmp_path)), LogLines())(1.0)  # type: ignore[arg-type]
