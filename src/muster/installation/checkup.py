# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong before a host dies, as rows: a name, and what is found of the facts.  Pure.

What could not be looked at is ``unknown``, never ``ok``.  Each finding names what is wrong, the remedy and the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from muster.installation.checks import cluster, nova, worker
from muster.installation.checks.examination import CheckResult, Examination, Examined, Result

Check = Callable[[Examination], Iterator[CheckResult]]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("quorum", cluster.quorum),
    ("stonith-enabled", cluster.fencing_is_on),
    ("no-quorum-policy", cluster.quorum_policy),
    ("maintenance", cluster.maintenance),
    ("concurrent-fencing", cluster.concurrent_fencing),
    ("other evacuators", cluster.rivals),
    ("fence devices", cluster.fence_devices),  # before the levels: theirs is typed first
    ("fencing levels", cluster.levels),
    ("fencing of controllers", cluster.controllers),
    ("nova-compute is held", cluster.hold),
    ("nova-compute's stop", cluster.stop_timeout),
    ("worker", worker.runs),
    ("worker's place", worker.place),
    ("parameters", worker.parameters),
    ("shared storage", worker.shared_storage),
    ("agents", worker.agents),
    ("credentials", worker.credentials),
    ("other controllers", worker.others),
    ("Nova", nova.answers),
    ("rights in Nova", nova.rights),
    ("names in Nova", nova.names),
    ("Placement", nova.placement),
    ("heartbeats", nova.heartbeats),
    ("clocks", nova.clocks),
)


def examine(facts: Examination) -> list[Examined]:
    """Every check, in their order."""
    return [Examined(name, tuple(check(facts))) for name, check in CHECKS]


def option_faults(facts: Examination) -> list[CheckResult]:
    """Cluster options under which one controller could act on its own, or nothing proves a fencing."""
    found = (finding for check in (cluster.fencing_is_on, cluster.quorum_policy) for finding in check(facts))
    return [finding for finding in found if finding.result not in (Result.OK, Result.ATTENTION)]
