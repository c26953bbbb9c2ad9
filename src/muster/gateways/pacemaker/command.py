# SPDX-License-Identifier: Apache-2.0
"""The one runner of Pacemaker's tools: an argv, no shell, a clean environment, a time-out."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.core.errors import ClusterError

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}
WORDS_LIMIT = 300
PACEMAKER_USER = "hacluster"


@dataclass(frozen=True)
class Result:
    code: int
    output: bytes
    errors: str


def run(argv: Sequence[str], timeout_s: float) -> Result:
    """Run a program to its end.

    :raises ClusterError: when it is not installed or does not end in time (it is killed then).
    """
    return _run(argv, timeout_s, ENVIRONMENT)


def run_as_pacemaker(argv: Sequence[str], timeout_s: float) -> Result:
    """The same as Pacemaker's controller asks an agent for its meta-data: as its own user, without any environment.

    As ourselves where we are not root, or there is no such user.
    """
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(PACEMAKER_USER)
            user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        except KeyError:
            pass
    return _run(argv, timeout_s, {}, **user)


def _run(argv: Sequence[str], timeout_s: float, environment: Mapping[str, str], **user: Any) -> Result:
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            env=environment,
            cwd="/",
            check=False,
            **user,
        )
    except subprocess.TimeoutExpired as exc:
        raise ClusterError(f"{argv[0]} did not answer within {timeout_s:.0f} s") from exc
    except OSError as exc:
        raise ClusterError(f"muster cannot run {argv[0]}: {exc.strerror}") from exc
    words = done.stderr.decode("utf-8", "replace").strip()[:WORDS_LIMIT]
    return Result(done.returncode, done.stdout, words)
