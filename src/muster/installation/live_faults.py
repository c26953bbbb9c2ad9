# SPDX-License-Identifier: Apache-2.0
"""What is wrong with cluster and Nova as they are now, in sentences, for ``validate-all`` at level 10."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Protocol

from muster.core.errors import ClusterError, NovaError
from muster.core.nova_facts import Service
from muster.installation import checkup
from muster.installation.checks.examination import Examination
from muster.installation.installed import Controller, Installation, NovaAccess


class ServicesPort(Protocol):
    """Nova, as far as this asks it.  Raises NovaError."""

    def services(self) -> Sequence[Service]: ...


def cluster_faults(look: Callable[[], Installation]) -> list[str]:
    """:param look: asks Pacemaker; it may raise ClusterError."""
    try:
        found = checkup.option_faults(Examination(look(), Controller(), NovaAccess()))
    except ClusterError as exc:
        return [f"Pacemaker: {exc}"]
    return [": ".join((finding.what, *map(shlex.join, finding.commands))) for finding in found]


def nova_faults(nova: ServicesPort) -> list[str]:
    """Whether Nova answers this user; one sentence if not."""
    try:
        if not nova.services():
            return ["Nova lists no nova-compute service: make sure that the user of clouds.yaml is an admin"]
    except NovaError as exc:
        return [f"Nova: {exc}"]
    return []
