# SPDX-License-Identifier: Apache-2.0
"""Worlds in which one thing happens at the one moment that matters: histories come upon it once in thousands."""

from __future__ import annotations

from tests.sim.process import Process
from tests.sim.stage import Stage


def fenced_while_it_looks_at_nova() -> Stage:
    """The host is fenced once more after the worker has read its record, and before it claims it."""
    it = Stage()

    def again(process: Process, kind: str, moment: str) -> None:
        record = it.site.nodes["cmp1"].record
        if record and record.first == record.last and (kind, moment) == ("services", "after"):
            it.run_for(2.0)
            it.fence("cmp1")

    it.on_call = again
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    return it
