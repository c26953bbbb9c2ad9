# SPDX-License-Identifier: Apache-2.0
"""How many hosts may die, as a file that node_exporter's textfile collector reads; see docs/metrics.md.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

REASONS = ("affinity", "anti-affinity", "room", "target_map", "zone")
"""Why no host takes a server; each has its series, so that it can go back to 0."""


def text(at: float, bounds: Mapping[str, int], unsaveable: Mapping[str, int], unjudged: int) -> bytes:
    """:param bounds: ``at_least`` and ``at_most``.
    :param unsaveable: by reason, how many servers no host takes.
    :param unjudged: how many servers nothing can be said of.
    """
    return "\n".join([*_lines(at, bounds, unsaveable, unjudged), ""]).encode()


def _lines(at: float, bounds: Mapping[str, int], unsaveable: Mapping[str, int], unjudged: int) -> Iterator[str]:
    about = "Hosts that may die together: at least so many whichever they are, at most so many."
    yield from _gauge("muster_tolerated_host_failures", about, "bound", bounds)
    about = "Servers that no host takes if their own dies alone."
    counts = {reason: unsaveable.get(reason, 0) for reason in sorted({*REASONS, *unsaveable})}
    yield from _gauge("muster_unsaveable_servers", about, "reason", counts)
    about = "Servers of which muster cannot say whether a host takes them."
    yield from _gauge("muster_unjudged_servers", about, "", {"": unjudged})
    yield from _gauge("muster_capacity_timestamp_seconds", "When this was found out.", "", {"": round(at)})


def _gauge(name: str, about: str, label: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for what, value in values.items():
        labels = f'{{{label}="{what}"}}' if label else ""
        yield f"{name}{labels} {value}"
