# SPDX-License-Identifier: Apache-2.0
"""The worker's process: started by the agent, one for each controller, told to stop by SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from muster import settings as settings_module
from muster.agents.supervisor import GO, Supervisor
from muster.core.errors import MusterError
from muster.log import Log
from muster.wiring.worker import wired

LOOK_EVERY_S = 1.0


def going(stop: threading.Event, supervisor: Supervisor, log: Log) -> Callable[[float], bool]:
    """What the worker waits by: until it is told to stop, or finds that it is not the one on record any more.

    Nobody would ever stop it then, for Pacemaker finds it by that file; and another one may have begun.
    """
    looked_at = time.monotonic()

    def wait(seconds: float) -> bool:
        nonlocal looked_at
        if stop.wait(seconds):
            return False
        if time.monotonic() - looked_at >= LOOK_EVERY_S:
            looked_at = time.monotonic()
            if not supervisor.is_me():
                log.error("not the worker any more", file=supervisor.pid_file, remedy="this process ends")
                return False
        return True

    return wait


def main() -> int:
    """:returns: 0 after SIGTERM, 1 when it could not run or had to give up."""
    if sys.stdin.buffer.read(1) != GO:
        return 1  # whoever started us died before our pid was on record: nobody would ever stop us
    log = Log("muster")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = settings_module.from_environment(os.environ)
        instance = os.environ.get("OCF_RESOURCE_INSTANCE", "muster")
        supervisor = Supervisor(instance, sys.argv[1])
        status_file, wait = Path(supervisor.status_file), going(stop, supervisor, log)
        with wired(settings, instance, status_file, supervisor.is_me, log, wait) as worker:
            log.info("worker started", instance=instance, pid=os.getpid())
            worker.run()
        log.info("worker stopped", instance=instance)
    except MusterError as exc:
        log.error("worker cannot run", reason=str(exc))
        return 1
    except Exception:
        log.exception("worker failed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
