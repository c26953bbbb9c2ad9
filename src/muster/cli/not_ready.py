# SPDX-License-Identifier: Apache-2.0
"""What keeps muster from being ready for the next dead host, as rows of TO DO.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from muster.installation.checks.worker import IS_PAUSED
from muster.installation.installed import Resource
from muster.reporting.documents import Heard
from muster.reporting.times import duration

READINESS_LATE_S = 1200.0
"""The worker looks every few minutes, and shares the time of a look every ten."""
LEVEL_OF_RESULT = {"trouble": "trouble", "attention": "attention", "unknown": "attention"}
"""As doctor's own exit code has it: what could not be looked at is not ok."""


def not_ready(
    heard: Heard, resource: Resource, now: float, rivals: bool, hindered: bool
) -> Iterator[tuple[str, str, str]]:
    """Level, what it is about, and what is the matter; but for what the page says in its own words.

    :param rivals: it says that something else evacuates.
    :param hindered: it says that the worker may change nothing.
    """
    if len(resource.active_on) != 1:
        return
    found = heard.shared.readiness
    said = {"quorum", "other evacuators" if rivals else ""}
    for doubt in found.doubts:
        # Whether it is paused the page knows better: a look is some seconds old.
        if doubt.check not in said and IS_PAUSED not in doubt.what:
            more = f", and {doubt.more} more" if doubt.more else ""
            where = f", on {heard.controller}" if heard.controller else ""
            level = LEVEL_OF_RESULT.get(doubt.result, "attention")
            yield level, doubt.check, f"{doubt.what}{more}. To see the remedy{where}: muster doctor"
    since = max(found.at, resource.active_since)
    late = now - since > READINESS_LATE_S and since > 0
    if late and not heard.other and not hindered:
        what = f"the worker has not looked for {duration(now - since)} whether muster is ready"
        remedy = f"See: muster doctor. Then: pcs resource restart {resource.id}"
        yield "attention", resource.id, f"{what}. {remedy}"
