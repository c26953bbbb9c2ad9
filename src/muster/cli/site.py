# SPDX-License-Identifier: Apache-2.0
"""What a command finds where it is typed: the CIB, the worker's resource and settings, what the worker has shared."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Union

from muster import settings as settings_module
from muster.core.cluster_facts import Cluster
from muster.core.errors import ClusterError
from muster.gateways.pacemaker import cib, installation
from muster.gateways.pacemaker.cluster import Pacemaker, local_node
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, OtherFormat, Report, Shared, read
from muster.settings import Settings

RUN_DIRECTORY = Path("/run/muster")
REPORT_DIRECTORY = Path("/var/lib/muster")


class Site:
    """:param resource: the id that the operator named; empty for the only one.
    :raises ClusterError: when Pacemaker does not answer.
    """

    def __init__(self, resource: str) -> None:
        try:
            self.snapshot = Pacemaker("").snapshot()
        except ClusterError as exc:
            hint = "Run this on a controller, as root or as a member of the group haclient"
            raise ClusterError(f"Pacemaker does not answer: {exc}. {hint}") from exc
        self.wanted = resource

    @functools.cached_property
    def resource(self) -> Resource:
        """:raises ClusterError: when there is none, or more than one."""
        return installation.resource(self.snapshot, self.wanted)

    @functools.cached_property
    def settings(self) -> Settings:
        """:raises SettingsError: when the resource's parameters are wrong."""
        return settings_module.from_environment(self.given)

    @property
    def given(self) -> dict[str, str]:
        """The resource's parameters as the agent finds them in its environment."""
        return {settings_module.PREFIX + name: value for name, value in self.resource.parameters.items()}

    @functools.cached_property
    def local(self) -> str:
        """The name of this controller; empty if Pacemaker does not say."""
        try:
            return local_node()
        except ClusterError:
            return ""

    @functools.cached_property
    def cluster(self) -> Cluster:
        return self.pacemaker().with_words(cib.cluster(self.snapshot, self.local, self.resource.id))

    def pacemaker(self) -> Pacemaker:
        return Pacemaker(self.local, self.resource.id)

    def heard(self) -> Heard:
        """What the worker that Pacemaker runs has shared last."""
        try:
            everywhere = self.pacemaker().shared()
        except ClusterError:
            return Heard()
        return newest({on: read(Shared, everywhere.get(on, "")) for on in self.resource.active_on})

    def reports(self, node: str = "") -> list[Report]:
        """The incident reports kept on this controller, newest first; of one node, or of all."""
        return [report for report in kept_reports()[0] if node in ("", report.node, report.host)]


def newest(found: Mapping[str, Union[Shared, OtherFormat, None]]) -> Heard:
    """What was shared last; while Pacemaker takes the worker for active on two controllers, one of them has stopped.

    :param found: by controller on which it is active.
    """
    known = [Heard(said, on) for on, said in found.items() if isinstance(said, Shared)]
    others = [Heard(controller=on, other=said) for on, said in found.items() if isinstance(said, OtherFormat)]
    return max(known, key=lambda heard: heard.shared.at, default=next(iter(others), Heard()))


def kept_reports() -> tuple[list[Report], list[str]]:
    """The incident reports kept on this controller that may be read, newest first, and why others cannot be."""
    found, others = [], []
    for path in sorted(REPORT_DIRECTORY.glob("*.json")):
        try:
            report = read(Report, path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if isinstance(report, OtherFormat):
            others.append(f"{path}: {report}")
        elif report and report.node and report.fenced is not None:
            found.append(report)
    return sorted(found, key=lambda report: report.fenced or 0.0, reverse=True), others
