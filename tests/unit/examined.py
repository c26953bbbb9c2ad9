# SPDX-License-Identifier: Apache-2.0
"""What doctor finds in an installation: the worst of a check, in its own words, and who else is not content."""

from __future__ import annotations

import shlex

from muster.installation.checks.examination import Examination, Result
from muster.installation.checkup import examine
from tests.installation import facts

OK, UNKNOWN, ATTENTION, TROUBLE = Result.OK, Result.UNKNOWN, Result.ATTENTION, Result.TROUBLE
HEALTHY = facts()
FAILED = (
    '<lrm_rsc_op id="muster_last_failure_0" operation="monitor" interval="0" rc-code="5" op-status="7"'
    ' exit-reason="no agent" call-id="1"/>'
)


def found(given: Examination, check: str) -> tuple[Result, str]:
    """The worst result of a check, and all of its words and commands."""
    examined = next(e for e in examine(given) if e.name == check)
    words = [(f.what, f.remedy, *(shlex.join(command) for command in f.commands)) for f in examined.findings]
    return examined.result, " | ".join(" ~ ".join(filter(None, w)) for w in words)


def others(given: Examination, check: str) -> set[str]:
    """The other checks that are not content."""
    return {e.name for e in examine(given) if e.result is not OK} - {check}
