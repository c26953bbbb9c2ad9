# SPDX-License-Identifier: Apache-2.0
"""A program that runs beside us: in a session of its own, with a bound that holds even when we are killed.

The bound is kept by coreutils' ``timeout``, not by us, and nothing that the program reads or writes is a pipe to us:
whatever becomes of this process, the program neither stalls nor stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
WORDS_LIMIT = 300


@dataclass(frozen=True)
class Ended:
    """:param killed: it had not ended in time.
    :param words: the last that it said.
    """

    code: int
    killed: bool
    words: str


class Detached:
    """Starts it.

    :param given: what it finds on its standard input.
    :param timeout_s: after so many seconds it is killed, with what it has started and not sent elsewhere.
    :param words_limit: so much is kept of what it says, in bytes.
    :raises OSError: when it cannot be started.
    """

    def __init__(self, argv: Sequence[str], given: bytes, timeout_s: float, words_limit: int = WORDS_LIMIT) -> None:
        self._words_limit = words_limit
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            with tempfile.TemporaryFile() as file:
                file.write(given)
                file.seek(0)
                self._process = subprocess.Popen(
                    ["timeout", "--signal=KILL", f"{timeout_s:g}", *argv],
                    stdin=file,
                    stdout=self._said,
                    stderr=self._said,
                    env=ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException:
            self._said.close()
            raise

    def ended(self) -> Optional[Ended]:
        """How it ended, once; None as long as it runs.  Does not wait."""
        code = self._process.poll()
        if code is None:
            return None
        with self._said:
            self._said.seek(max(0, self._said.seek(0, 2) - self._words_limit))
            words = self._said.read().decode("utf-8", "replace").strip()
        return Ended(code, code in (-signal.SIGKILL, 128 + signal.SIGKILL), words)

    def kill(self) -> None:
        """It ends soon, with what it has started and not sent elsewhere; :meth:`ended` tells when."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
