# SPDX-License-Identifier: Apache-2.0
"""The sequence: priority, then age, then id; one queue over all dead hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from muster.core.nova_facts import Server

_WHOLE = re.compile(r"[+-]?\d{1,9}")


def priority(server: Server, key: str) -> int:
    """The whole number that the server's metadata names under ``key``; 0 without one or with anything else."""
    text = server.metadata.get(key, "").strip()
    return int(text) if _WHOLE.fullmatch(text) else 0


def sequence(servers: Iterable[Server], key: str) -> list[Server]:
    """Higher priority first, then the older server, then by id, so that every worker finds the same order."""
    return sorted(servers, key=lambda server: (-priority(server, key), server.created, server.id))
