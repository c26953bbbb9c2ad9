# SPDX-License-Identifier: Apache-2.0
"""A history in one line, the same for every tree in which it is played the same, whatever things are called there."""

from __future__ import annotations

import hashlib
from collections import Counter

from tests.sim.history import BREAKDOWNS, play
from tests.sim.world import World


def fingerprint(seed: int) -> str:
    """Seed, what the judge says, the last verdict of every server, and what was sent: by whom, when, of what.

    What was only read shows in the number of all calls and in the times of what was sent.
    """
    try:
        world = play(seed)
    except BREAKDOWNS as exc:
        return f"{seed} breaks down: {type(exc).__name__}"
    blamed = Counter(line.partition(":")[0] for line in world.judge.violations)
    judge = "fair" if not blamed else "unfair " + " ".join(f"{count}*{what}" for what, count in sorted(blamed.items()))
    sent = hashlib.sha256("\n".join(world.sent).encode()).hexdigest()[:16]
    amount = f"{world.passes} passes, {world.calls} calls, {len(world.sent)} sent"
    return f"{seed} {judge}; {_verdicts(world)}; {amount} {sent}"


def _verdicts(world: World) -> str:
    """At the release of each host, and what was said of it last."""
    released = [(node, findings) for (node, _), findings in sorted(world.judge.verdicts.items())]
    last = [(node, incident.findings) for node, incident in sorted(world.judge.states.items())]
    told = (
        " ".join((node, *(f"{ident}={finding.verdict.value}" for ident, finding in sorted(findings.items()))))
        for node, findings in (*released, *last)
        if findings
    )
    return ", ".join(dict.fromkeys(told)) or "nothing told"
