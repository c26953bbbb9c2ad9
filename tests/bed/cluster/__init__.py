# SPDX-License-Identifier: Apache-2.0
"""A real Pacemaker cluster on one machine: corosync, Pacemaker and pacemaker_remote in network namespaces.

Each node has namespaces of its own (net, mount, uts, ipc, pid) and an overlay over what it may write to; the only way
between nodes is a bridge in a namespace that nothing else is connected to.  Power off is SIGKILL of a node's PID 1.
What lies outside (the power switch, the way to Nova) is one process of the host, the machine room.
"""

from tests.bed.cluster.cluster import BedError, Cluster

__all__ = ["BedError", "Cluster"]
