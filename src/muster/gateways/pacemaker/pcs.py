# SPDX-License-Identifier: Apache-2.0
"""Which pcs is on this controller."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from muster.core.errors import ClusterError
from muster.gateways.pacemaker.command import Result, run

TIMEOUT_S = 10.0


def version(runner: Callable[[Sequence[str], float], Result] = run) -> tuple[int, ...]:
    """Empty where there is none, or none that says."""
    try:
        done = runner(("pcs", "--version"), TIMEOUT_S)
    except ClusterError:
        return ()
    found = re.match(rb"\d+(\.\d+)*", done.output.strip()) if not done.code else None
    return tuple(map(int, found.group().split(b"."))) if found else ()
