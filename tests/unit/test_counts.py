# SPDX-License-Identifier: Apache-2.0
"""How often Pacemaker and Nova are asked while nothing happens, and what the monitor touches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muster.agents.supervisor import Supervisor
from muster.engine.act import Act
from muster.engine.look import Look
from muster.engine.memory import Memory
from muster.engine.worker import WAKE_POLL_S, Worker
from muster.gateways.pacemaker import cib, cib_xml, cluster
from muster.gateways.pacemaker.cluster import Pacemaker
from muster.gateways.pacemaker.command import Result
from tests.fakes import FakeClock, FakeCluster, LogLines, NoOutlet, settings

MONITOR = """
import sys
seen = []
def note(event, args):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.system", "socket.connect"):
        seen.append(event)
    if event == "open" and str(args[0]).startswith(({directory!r}, "/proc")):
        seen.append(str(args[0]))
from muster.agents import ocf
sys.addaudithook(note)
print(ocf.run("monitor", {{}}, {directory!r}), *seen)
"""


class Counted:
    """A port, or none, of which every call is counted."""

    def __init__(self, port: object, calls: Counter[str]) -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> Any:
        def call(*args: object) -> Any:
            self._calls[name] += 1
            return getattr(self._port, name)(*args) if self._port else []

        return call


def test_an_idle_worker_reads_the_cib_twelve_times_a_minute_and_never_asks_nova() -> None:
    calls: Counter[str] = Counter()
    clock, memory, policy, log = FakeClock(), Memory(), settings(), LogLines()
    cluster: Any = Counted(FakeCluster.of("cmp1", "cmp2"), calls)
    nova: Any = Counted(None, calls)
    end = clock.at + 60.0

    def wait(seconds: float) -> bool:
        clock.pass_by(max(seconds, 0.001))
        return clock.at < end

    act = Act(cluster, nova, clock, memory, log, lambda: True, lambda s: None)  # type: ignore[arg-type]
    look = Look(cluster, nova, clock, policy, memory)
    Worker(look, act, cluster, clock, policy, memory, log, NoOutlet(), wait).run()  # type: ignore[arg-type]
    assert calls.pop("cib_changed") <= 60 / WAKE_POLL_S + 30, "a stat of a file each time"
    assert calls.pop("look") <= 13
    assert calls == {"services": 1}, "the login, and nothing that changes anything"


def test_the_file_of_the_cib_is_read_only_when_it_was_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty times a second somebody asks whether it has changed."""
    calls: Counter[str] = Counter()
    file, new = tmp_path / "cib.xml", tmp_path / "cib.new"
    monkeypatch.setattr(cluster, "CIB_FILE", str(file))
    monkeypatch.setattr(cluster, "_epochs", counted("read", cluster._epochs, calls))
    pacemaker = Pacemaker("ctl1", "muster")
    assert pacemaker.cib_changed() is None
    seen = []
    for text in ('<cib admin_epoch="0" epoch="7">', '<cib admin_epoch="1" epoch="7">', "<cib>", "<cib >"):
        new.write_text(text)
        new.rename(file)
        seen += [{pacemaker.cib_changed() for _ in range(20)}]
    assert [len(values) for values in seen] == [1] * 4
    assert len(set.union(*seen)) == 4, "without epochs each rewriting counts"
    assert calls["read"] == 4


def test_an_attribute_of_another_agent_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E19: from Pacemaker 2.1.7 each rewrites cib.xml."""
    file, new = tmp_path / "cib.xml", tmp_path / "cib.new"
    monkeypatch.setattr(cluster, "CIB_FILE", str(file))
    pacemaker = Pacemaker("ctl1", "muster")
    seen = []
    for epoch, updates in ((7, 1), (7, 2), (7, 3), (8, 0)):
        new.write_text(f'<cib admin_epoch="0" epoch="{epoch}" num_updates="{updates}">')
        new.rename(file)
        seen += [pacemaker.cib_changed()]
    assert seen[0] == seen[1] == seen[2] != seen[3]


def test_a_cib_is_read_once_and_its_nodes_are_looked_up_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """To search the whole of it for each node took 120 ms with 200 computes; a pass of an idle worker is one look."""
    calls: Counter[str] = Counter()
    for name in ("parse", "remote_nodes", "held_primitives", "_by"):
        for module in (cib, cib_xml):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counted(name, getattr(module, name), calls))
    remotes = "".join(f'<primitive id="cmp{n}" class="ocf" provider="pacemaker" type="remote"/>' for n in range(200))
    text = f"<cib have-quorum='1'><configuration><resources>{remotes}</resources></configuration><status/></cib>"
    said = [text.encode()]
    pacemaker = Pacemaker("ctl1", "muster", lambda argv, timeout_s: Result(0, said[-1], ""))
    first = pacemaker.look()
    assert len(first.nodes) == 200
    assert calls == {"parse": 1, "remote_nodes": 2, "held_primitives": 1, "_by": 3}
    assert pacemaker.look() is first
    assert calls["parse"] == 1
    said.append(text.replace("have-quorum='1'", "have-quorum='0'").encode())
    assert pacemaker.look().quorum is False


def counted(name: str, function: Callable[..., Any], calls: Counter[str]) -> Callable[..., Any]:
    def call(*args: object) -> Any:
        calls[name] += 1
        return function(*args)

    return call


def test_the_monitor_reads_two_files_and_starts_nothing(tmp_path: Path) -> None:
    supervisor = Supervisor("muster", str(tmp_path))
    supervisor._write_pid(os.getpid())
    Path(supervisor.status_file).write_text('{"deadline": 1e12}')
    code = MONITOR.format(directory=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid, status, stat = supervisor.pid_file, supervisor.status_file, f"/proc/{os.getpid()}/stat"
    assert done.stdout.split()[0] == "0"
    assert set(done.stdout.split()[1:]) == {pid, status, stat}, done.stdout
