# SPDX-License-Identifier: Apache-2.0
"""How many hosts may die, for Prometheus: as metrics, and as a file of them for ``muster capacity``; see
docs/metrics.md.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from muster.planning.answer import Capacity
from muster.reporting.documents import KnownCapacity

REASONS = ("affinity", "anti-affinity", "room", "target_map", "zone")
"""Why no host takes a server; each has its series, so that it can go back to 0."""

Gauge = tuple[str, str, str, Mapping[str, float]]
"""Name, what it is about, label (empty for none), and value by what the label says."""


def known(made: Capacity, at: float, requests: int) -> KnownCapacity:
    """Nothing but the trouble where no server can be judged: any number would be a promise about nobody.

    :param requests: how many it took.
    """
    unjudged = sum(made.unjudged.values())
    if unjudged and unjudged == made.counted[1]:
        return KnownCapacity(
            trouble=f"muster cannot say for any server: {max(made.unjudged, key=made.unjudged.__getitem__)}"
        )
    lost = Counter(one.reason for one in made.unsaveable)
    return KnownCapacity(at, made.number.at_least, made.number.at_most, made.counted[0], lost, unjudged, requests)


def gauges(found: KnownCapacity) -> Iterator[Gauge]:
    """Only when it was found out, as long as it was not."""
    if found.at:
        about = "Hosts that may die together: at least so many whichever they are, at most so many."
        bounds = {"at_least": found.at_least, "at_most": found.at_most}
        yield "muster_tolerated_host_failures", about, "bound", bounds
        about = "Servers that no host takes if their own dies alone."
        counts = {reason: found.unsaveable.get(reason, 0) for reason in sorted({*REASONS, *found.unsaveable})}
        yield "muster_unsaveable_servers", about, "reason", counts
        about = "Servers of which muster cannot say whether a host takes them."
        yield "muster_unjudged_servers", about, "", {"": found.unjudged}
    yield "muster_capacity_timestamp_seconds", "When this was found out; 0: not yet.", "", {"": round(found.at)}


def text(found: KnownCapacity) -> bytes:
    """The file."""
    return "\n".join([*_lines(found), ""]).encode()


def _lines(found: KnownCapacity) -> Iterator[str]:
    for name, about, label, values in gauges(found):
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} gauge"
        for what, value in values.items():
            labels = f'{{{label}="{what}"}}' if label else ""
            yield f"{name}{labels} {value}"
