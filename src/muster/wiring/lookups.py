# SPDX-License-Identifier: Apache-2.0
"""What commands and agents ask of cluster and Nova at once.  Changes nothing."""

from __future__ import annotations

from muster.core.cluster_facts import Cluster
from muster.core.decide import Decision
from muster.engine import observer
from muster.gateways.clock import Clock
from muster.gateways.nova.scheduling import PlacementOffers
from muster.gateways.pacemaker import cib, cib_fencing
from muster.gateways.pacemaker.cluster import Pacemaker, local_node
from muster.gateways.pacemaker.installation import installation
from muster.installation.fencing_topology import objection
from muster.installation.live_faults import cluster_faults, nova_faults
from muster.planning.answer import capacity
from muster.planning.inquiry import Inquiry, inquire
from muster.planning.plan import Survey
from muster.planning.survey import take_survey
from muster.reporting import capacity_file
from muster.reporting.documents import KnownCapacity
from muster.settings import Settings
from muster.wiring.connections import nova, scheduling


def inquiry(settings: Settings, cluster: Cluster, snapshot: cib.Element) -> Inquiry:
    """What decides how many hosts may die.

    :raises NovaError: when Nova does not answer, or Placement does not show what hosts have.
    """
    nova = scheduling(settings)
    unproved = doubts(snapshot, cluster)
    return inquire(nova, PlacementOffers(nova.login), cluster, unproved, settings, Clock().now())


def survey(settings: Settings, cluster: Cluster, snapshot: cib.Element, host: str = "") -> Survey:
    """What a plan depends on.

    :param host: the one whose servers are wanted; empty for all.
    :raises ClusterError: when there is no such host.
    :raises NovaError: when Nova does not answer.
    """
    nova = scheduling(settings)
    unproved = doubts(snapshot, cluster)
    return take_survey(nova, PlacementOffers(nova.login), Clock(), cluster, settings, unproved, host)


def doubts(snapshot: cib.Element, cluster: Cluster) -> dict[str, str]:
    """By node, why a record of its fencing would prove nothing."""
    devices = cib_fencing.devices(snapshot)
    found = {node: objection(node, cib_fencing.levels(snapshot, node), devices) for node in cluster.nodes}
    return {node: doubt for node, doubt in found.items() if doubt}


def known_capacity(settings: Settings, local: str, instance: str) -> KnownCapacity:
    """:raises ClusterError: when Pacemaker does not answer.
    :raises NovaError: as :func:`inquiry`.
    """
    pacemaker = Pacemaker(local, instance)
    snapshot = pacemaker.snapshot()
    asked = inquiry(settings, pacemaker.with_words(cib.cluster(snapshot, local, instance)), snapshot)
    made = capacity(asked.fleet, asked.known, asked.terms, settings)
    return capacity_file.known(made, Clock().now(), asked.requests)


def observe(settings: Settings, cluster: Pacemaker) -> Decision:
    """:raises ClusterError: when Pacemaker does not answer; Nova's silence is part of the decision."""
    clock = Clock()
    return observer.observe(cluster, nova(settings, clock=clock), clock, settings)


def live_faults(settings: Settings) -> list[str]:
    """What is wrong with cluster and Nova as they are now."""
    found = cluster_faults(lambda: installation(Pacemaker(local_node()).snapshot()))
    return found + nova_faults(nova(settings))
