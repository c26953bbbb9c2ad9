# SPDX-License-Identifier: Apache-2.0
"""The one runner of Pacemaker's tools: an argv, no shell, a clean environment, a time-out."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from muster.errors import ClusterError

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}
WORDS_LIMIT = 300


@dataclass(frozen=True)
class Result:
    code: int
    output: bytes
    errors: str


def run(argv: Sequence[str], timeout_s: float) -> Result:
    """Run a program to its end.

    :raises ClusterError: when it is not installed or does not end in time (it is killed then).
    """
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            env=ENVIRONMENT,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ClusterError(f"{argv[0]} did not answer within {timeout_s:.0f} s") from exc
    except OSError as exc:
        raise ClusterError(f"{argv[0]} cannot be run: {exc.strerror}") from exc
    words = done.stderr.decode("utf-8", "replace").strip()[:WORDS_LIMIT]
    return Result(done.returncode, done.stdout, words)
