# SPDX-License-Identifier: Apache-2.0
"""C8, E5: one worker a resource, found by pid and start time; a real process, without a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.agents import ocf
from muster.agents.supervisor import MAY_DROP, Supervisor, capabilities, running, ticks
from muster.reporting.documents import StatusFile, as_json, read
from muster.reporting.watched import Watched

TWO = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "OCF_RESOURCE_INSTANCE": "m",
    "OCF_RESKEY_cloud": "bed",
    "OCF_RESKEY_clouds_file": "/nowhere/clouds.yaml",
    "OCF_RESKEY_shared_storage": "yes",
    "OCF_RESKEY_CRM_meta_on_node": "ctl1",
    "SOMETHING_ELSE": "not for the worker",
}


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    it = Supervisor("m", str(tmp_path))
    yield it
    if it.is_me():  # to stop it would end pytest
        os.unlink(it.pid_file)
    assert it.stop()


def test_starts_once_and_stops_without_a_trace(supervisor: Supervisor) -> None:
    assert supervisor.pid() == 0
    assert supervisor.start(ENVIRONMENT, 30) == ""
    pid = supervisor.pid()
    # There is no cluster here: it says so, and goes on looking.
    assert supervisor.watched().first_look is True
    status = read(StatusFile, Path(supervisor.status_file).read_text())
    assert isinstance(status, StatusFile)
    assert "Pacemaker does not answer" in status.reason
    assert supervisor.silent_for_s() == 0.0
    assert supervisor.start(ENVIRONMENT, 30) == ""
    assert supervisor.pid() == pid
    assert running(supervisor.directory) == ["m"]
    assert capabilities(pid) == (TWO if capabilities("self") & MAY_DROP else capabilities("self"))
    assert b"SOMETHING_ELSE" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getsid(pid) == pid
    assert supervisor.stop()
    assert (supervisor.pid(), ticks(pid)) == (0, "")
    assert running(supervisor.directory) == running(f"{supervisor.directory}/nowhere") == []
    assert supervisor.stop()


def test_what_has_a_hook_keeps_the_capabilities_that_the_hook_may_need(supervisor: Supervisor) -> None:
    assert supervisor.start({**ENVIRONMENT, "OCF_RESKEY_hook": "/usr/bin/true"}, 30) == ""
    assert capabilities(supervisor.pid()) == capabilities("self")


def test_a_worker_that_was_killed_is_not_there(supervisor: Supervisor) -> None:
    assert supervisor.start(ENVIRONMENT, 30) == ""
    pid = supervisor.pid()
    os.kill(pid, signal.SIGKILL)
    while ticks(pid):
        time.sleep(0.01)
    assert supervisor.pid() == 0
    assert ocf.run("monitor", ENVIRONMENT, supervisor.directory) == ocf.NOT_RUNNING
    assert supervisor.start(ENVIRONMENT, 30) == ""
    assert supervisor.pid() not in (0, pid)


def test_a_worker_that_hangs_is_killed_all_the_same(supervisor: Supervisor) -> None:
    assert supervisor.start(ENVIRONMENT, 30) == ""
    pid = supervisor.pid()
    os.kill(pid, signal.SIGSTOP)
    assert supervisor.stop()
    assert ticks(pid) == ""


def test_a_pid_that_was_given_anew_is_nobody(supervisor: Supervisor) -> None:
    Path(supervisor.pid_file).write_text(f"{os.getpid()} 1\n")
    assert supervisor.pid() == 0
    assert not supervisor.is_me()
    Path(supervisor.pid_file).write_text(f"{os.getpid()} {ticks(os.getpid())}\n")
    assert supervisor.is_me()


def test_a_worker_whose_starter_died_before_its_pid_was_on_record_ends(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "muster.agents.worker_process", str(tmp_path)]
    orphan = subprocess.run(argv, stdin=subprocess.DEVNULL, env=ENVIRONMENT, timeout=30, check=False)
    assert orphan.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_says_why_a_worker_does_not_come_up(supervisor: Supervisor) -> None:
    wrong = {**ENVIRONMENT, "OCF_RESKEY_in_flight": "none"}
    assert "in_flight='none'" in supervisor.start(wrong, 30)
    assert supervisor.pid() == 0


def test_the_monitor_tells_slow_from_hung(supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    Path(supervisor.pid_file).write_text(f"{os.getpid()} {ticks(os.getpid())}\n")
    for late_s, code in ((-60.0, ocf.SUCCESS), (5.0, ocf.GENERIC)):
        Path(supervisor.status_file).write_text(json.dumps({"deadline": time.monotonic() - late_s}))
        assert ocf.run("monitor", ENVIRONMENT, supervisor.directory) == code
    assert "has been silent 5 s" in capsys.readouterr().err


def test_the_monitor_reads_what_the_worker_writes() -> None:
    """The same two fields, read once without the library that reads the whole document, and at what it costs."""
    text = json.dumps(as_json(StatusFile(first_look=True, deadline=9.5)))
    assert (Watched.read(text).first_look, Watched.read(text).deadline) == (True, 9.5)
    assert (Watched.read(text).overdue_s(8.0), Watched.read(text).overdue_s(10.0)) == (0.0, 0.5)


@pytest.mark.parametrize("deadline", ["null", "true", '"x"', "-1", "NaN", "Infinity", "1" + "0" * 400, "[]"])
def test_a_deadline_that_is_none_makes_no_worker_overdue(deadline: str) -> None:
    assert Watched.read(f'{{"deadline": {deadline}}}').overdue_s(1e9) == 0.0


@pytest.mark.parametrize("text", ["", "{", "3", "[1]", "null", "[" * 100_000])
def test_what_is_no_status_file_says_nothing(text: str) -> None:
    assert (Watched.read(text).first_look, Watched.read(text).deadline) == (False, 0.0)


@pytest.mark.parametrize("file", ["pid_file", "status_file"])
def test_follows_no_symlink(supervisor: Supervisor, tmp_path: Path, file: str) -> None:
    target = tmp_path / "target"
    target.write_text(f"{os.getpid()} {ticks(os.getpid())}\n" if file == "pid_file" else '{"first_look": true}')
    os.symlink(target, getattr(supervisor, file))
    assert (supervisor.pid(), supervisor.watched().first_look) == (0, False)


def test_makes_no_file_through_a_symlink(supervisor: Supervisor, tmp_path: Path) -> None:
    """Of the lock; what else it writes is made anew."""
    target = tmp_path / "target"
    os.symlink(target, tmp_path / "m.lock")
    with pytest.raises(OSError, match="symbolic links"):
        supervisor.start(ENVIRONMENT, 30)
    assert not target.exists()
    assert supervisor.pid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_starts_nothing_in_a_folder_of_another_user(supervisor: Supervisor) -> None:
    os.chown(supervisor.directory, 12345, 0)
    assert "belongs to another user" in supervisor.start(ENVIRONMENT, 30)
    assert list(Path(supervisor.directory).iterdir()) == []


@pytest.mark.parametrize("name", ["../m", "a/b", "", ".", "a\nb"])
def test_refuses_a_name_that_is_no_file(name: str) -> None:
    with pytest.raises(ValueError, match="resource id"):
        Supervisor(name)
