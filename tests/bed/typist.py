# SPDX-License-Identifier: Apache-2.0
"""Types commands of pcs against a CIB file, on the pcs of this machine, where no cluster can be reached.

Run by the interpreter that pcs runs on.  pcs is imported once and each command is a fork of that: it takes 0.7 s to start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

AGENTS = {"/usr/lib/ocf/resource.d": "muster/ComputeRecovery", "/usr/sbin": "fence_muster"}
PYTHON = "/usr/bin/python3"


def available() -> str:
    """Why it cannot be tried here; empty where it can."""
    if os.geteuid():
        return "to hide the cluster of this machine needs root"
    if subprocess.run([PYTHON, "-c", "import pcs.app"], capture_output=True, check=False).returncode:
        return "there is no pcs"
    if not all(map(os.path.isdir, AGENTS)):
        return "there is no resource agent"
    return ""


class Typist:
    """:param folder: for what it needs; the agents of muster are taken from the environment of these tests.
    :ivar version: of pcs.
    """

    def __init__(self, folder: Path) -> None:
        mounts = ["mount -t tmpfs tmpfs /run", "mount -t tmpfs tmpfs /dev/shm"]
        for place, agent in AGENTS.items():
            upper = folder / place.replace("/", "_")
            link = upper / agent
            link.parent.mkdir(parents=True)
            link.symlink_to(Path(sys.executable).parent / link.name)
            mounts.append(f"mount -t overlay overlay -o lowerdir={upper}:{place} {place}")
        script = f"{' && '.join(mounts)} && exec {PYTHON} -Es {Path(__file__).resolve()}"
        # The abstract sockets of a cluster that runs here are those of its network namespace.
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"},
        )
        self.version = self.type("pcs", "--version")[1].strip()

    def type(self, *argv: str) -> tuple[int, str]:
        """A command of pcs, or any other; its exit code, and all that it says."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(argv) + "\n")
        self._process.stdin.flush()
        code, said = json.loads(self._process.stdout.readline())
        return int(code), str(said)

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def _main() -> None:
    from pcs import app  # type: ignore[import-not-found, unused-ignore]

    bus = _bus()
    for line in sys.stdin:
        argv = json.loads(line)
        print(json.dumps(_typed(argv, app) if argv[0] == "pcs" else _run(argv)), flush=True)
    if bus:
        bus.terminate()
        bus.wait(10)


def _bus() -> Optional[subprocess.Popen[bytes]]:
    """crm_resource of 3.0.3, with which pcs has an agent validate parameters, aborts where there is no D-Bus."""
    if not shutil.which("dbus-daemon"):
        return None
    os.mkdir("/run/dbus")
    return subprocess.Popen(
        ["dbus-daemon", "--system", "--nofork", "--nopidfile"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def _run(argv: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def _typed(argv: Sequence[str], app: object) -> tuple[int, str]:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(read)
        code = 1
        try:
            app.main(list(argv[1:]))  # type: ignore[attr-defined]
            code = 0
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    with open(read, "rb") as said:
        text = said.read().decode("utf-8", "replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


if __name__ == "__main__":
    _main()
