# SPDX-License-Identifier: Apache-2.0
"""One worker process for each resource on this controller: start it, find it, stop it.

The monitor goes through here every few seconds, so nothing is imported that it does not need.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sys
import time

from muster.reporting.watched import Watched

RUN_DIRECTORY = "/run/muster"
GO = b"g"
STOP_TERM_S = 5.0
"""For the call that is under way; being killed is harmless, so no longer."""
STOP_KILL_S = 5.0
POLL_S = 0.05
SETPRIV = "/usr/bin/setpriv"
DROP = (SETPRIV, "--bounding-set", "-all,+dac_override,+dac_read_search", "--inh-caps", "-all", "--")
"""Pacemaker's sockets and shared memory belong to hacluster, files of other users may have to be read."""
MAY_DROP = 1 << 8  # CAP_SETPCAP
KEPT_ENVIRONMENT = ("PATH", "LANG", "HOME", "OCF_RESOURCE_INSTANCE")


class Supervisor:
    """:param instance: the resource's id in Pacemaker.
    :raises ValueError: for an id that cannot be a file's name.
    """

    def __init__(self, instance: str, directory: str = RUN_DIRECTORY) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,200}", instance):
            raise ValueError(f"resource id {instance!r} cannot be used for a file name")
        self.directory = directory
        self.status_file = os.path.join(directory, f"{instance}.json")
        self.pid_file = os.path.join(directory, f"{instance}.pid")
        self._out_file = os.path.join(directory, f"{instance}.out")
        self._lock_file = os.path.join(directory, f"{instance}.lock")

    # ------------------------------------------------------------------ look

    def pid(self) -> int:
        """The worker's process id; 0 when there is none.  A number that was given to another process does not count."""
        identity = _read(self.pid_file).split()
        if len(identity) == 2 and identity[0].isdigit() and ticks(int(identity[0])) == identity[1]:
            return int(identity[0])
        return 0

    def is_me(self) -> bool:
        """This process is the worker that counts here."""
        return self.pid() == os.getpid()

    def watched(self) -> Watched:
        """What the worker's status file says of it; as of none without a readable one."""
        return Watched.read(_read(self.status_file))

    def silent_for_s(self) -> float:
        """How long the worker is overdue; 0.0 as long as it is inside the time that it announced."""
        return self.watched().overdue_s(time.monotonic())

    # ------------------------------------------------------------------ start

    def start(self, environment: dict[str, str], within_s: float) -> str:
        """Start the worker unless it runs, and wait until it has looked at the cluster once.

        :param environment: of the agent; only parameters and what a program needs is handed on.
        :returns: empty, or why it does not run.
        """
        os.makedirs(self.directory, exist_ok=True)
        if os.stat(self.directory).st_uid != os.geteuid():
            return f"{self.directory} belongs to another user: remove that directory"
        # People may read the status, whatever the umask of who starts us.
        os.chmod(self.directory, 0o755)  # noqa: S103
        with open(os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as lock:
            if not _locked(lock.fileno(), within_s):
                return "another start of the same resource is under way"
            if self.pid():
                return ""
            for stale in (self.status_file, self.pid_file, self._out_file):
                _unlink(stale)
            return self._await_first_look(self._spawn(environment), within_s)

    def _spawn(self, environment: dict[str, str]) -> object:
        """The process of a worker, which begins only once its pid is on record, and ends if we die before: no stray can
        exist."""
        import subprocess

        command = (sys.executable, "-I", "-m", "muster.agents.worker_process", self.directory)
        kept = {k: v for k, v in environment.items() if k in KEPT_ENVIRONMENT or k.startswith("OCF_RESKEY_")}
        out = os.open(self._out_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            worker = subprocess.Popen(
                [*_dropping(environment), *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd="/",
                env=kept,
                start_new_session=True,
            )
        finally:
            os.close(out)
        self._write_pid(worker.pid)
        assert worker.stdin is not None
        try:
            worker.stdin.write(GO)
            worker.stdin.close()
        except OSError:
            pass  # it is dead already; found by whoever waits for its first look
        return worker

    def _await_first_look(self, worker: object, within_s: float) -> str:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if worker.poll() is not None:  # type: ignore[attr-defined]
                _unlink(self.pid_file)
                words = _read(self._out_file)[-600:].strip().replace("\n", " | ")
                return f"the worker ended at once: {words or 'see syslog'}"
            if self.watched().first_look:
                return ""
            time.sleep(POLL_S)
        # It lives and may be waiting for something slow; the monitor judges from here on.
        return ""

    def _write_pid(self, pid: int) -> None:
        new = f"{self.pid_file}.new"
        _unlink(new)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
            file.write(f"{pid} {ticks(pid)}\n")
        os.replace(new, self.pid_file)

    # ------------------------------------------------------------------- stop

    def stop(self) -> bool:
        """End the worker, kindly first.  Needs no configuration; :returns: whether it is gone."""
        pid = self.pid()
        if pid:
            gone = _ended(pid, signal.SIGTERM, STOP_TERM_S) or _ended(pid, signal.SIGKILL, STOP_KILL_S)
            if not gone:
                return False
        for file in (self.status_file, self.pid_file):
            _unlink(file)
        return True


def running(directory: str = RUN_DIRECTORY) -> list[str]:
    """The resources whose worker runs on this controller."""
    found = sorted(name[: -len(".pid")] for name in _names(directory) if name.endswith(".pid"))
    return [name for name in found if Supervisor(name, directory).pid()]


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _dropping(environment: dict[str, str]) -> tuple[str, ...]:
    """What to start the worker by, so that of root's capabilities it has those that it needs.

    A hook is the operators' own program, and may need any.  Without the means to drop them it starts all the same.
    """
    if environment.get("OCF_RESKEY_hook") or not os.access(SETPRIV, os.X_OK) or not capabilities("self") & MAY_DROP:
        return ()
    return DROP


def capabilities(pid: int | str) -> int:
    """The effective ones of a process, as the kernel numbers them (capabilities(7)); 0 where it does not say."""
    lines = _read(f"/proc/{pid}/status").splitlines()
    return int(next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0"), 16)


def ticks(pid: int) -> str:
    """When a process began, in the kernel's own count; empty when there is none or it is a zombie."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""


def _ended(pid: int, number: int, within_s: float) -> bool:
    began = ticks(pid)
    try:
        os.kill(pid, number)
        if number == signal.SIGKILL:
            os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return True
    end = time.monotonic() + within_s
    while ticks(pid) == began and began:
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def _locked(descriptor: int, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        else:
            return True


def _read(path: str) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8", errors="replace") as file:
            return file.read(10_000_000)
    except OSError:
        return ""


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
