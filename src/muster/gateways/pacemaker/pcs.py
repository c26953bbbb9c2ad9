# SPDX-License-Identifier: Apache-2.0
"""Which shell of the cluster is on this controller: a pcs, and of which version, or crmsh."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence

from muster.core.errors import ClusterError
from muster.gateways.pacemaker.command import ENVIRONMENT, Result, run

TIMEOUT_S = 10.0


def version(runner: Callable[[Sequence[str], float], Result] = run) -> tuple[int, ...]:
    """Empty where there is none, or none that says."""
    try:
        done = runner(("pcs", "--version"), TIMEOUT_S)
    except ClusterError:
        return ()
    found = re.match(rb"\d+(\.\d+)*", done.output.strip()) if not done.code else None
    return tuple(map(int, found.group().split(b"."))) if found else ()


def crmsh() -> bool:
    """It is not asked: to start it takes half a second."""
    return shutil.which("crm", path=ENVIRONMENT["PATH"]) is not None
