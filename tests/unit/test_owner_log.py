# SPDX-License-Identifier: Apache-2.0
"""A2, A3: what a server's owner wants, by its action log."""

from __future__ import annotations

import pytest

from muster.core.nova_facts import Power
from muster.gateways.nova.parsing import action_log


@pytest.mark.parametrize(
    ("actions", "wanted"),
    [
        ("create", Power.RUNNING),
        ("create stop", Power.STOPPED),
        ("create stop evacuate", Power.STOPPED),
        ("create stop start", Power.RUNNING),
        ("create stop start resize", Power.RUNNING),
        ("create shelve", Power.STOPPED),
        ("create shelve unshelve", Power.RUNNING),
        ("create stop reboot", Power.RUNNING),
        ("evacuate", Power.UNKNOWN),
        ("", Power.UNKNOWN),
    ],
)
def test_the_last_word_about_power_counts(actions: str, wanted: Power) -> None:
    rows = [
        {"action": action, "start_time": f"2026-11-30T01:00:{number:02}.000000", "request_id": f"req-{action}"}
        for number, action in enumerate(actions.split())
    ]
    for given in (rows, rows[::-1]):
        log = action_log(given)
        assert log.wanted is wanted
        assert log.request_id == ("req-evacuate" if "evacuate" in actions else "")
