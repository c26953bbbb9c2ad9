# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what docs/migrate.md moves away from: they do to Nova and to the attribute ``evacuate`` what is read there.

Debian 12 has no NovaEvacuate, and its fence_compute needs ``inspect.getargspec``, which its Python 3.11 no longer has.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.bed.cloud import Cloud

HERE = Path(__file__).parent
PLACES = {
    "fence_compute.py": "/usr/sbin/fence_compute",
    "nova_evacuate.py": "/usr/lib/ocf/resource.d/openstack/NovaEvacuate",
}


def install(cloud: Cloud) -> None:
    """Put both where Pacemaker looks, on every controller, and configure them as TripleO does, but for automatic unfencing."""
    for name, place in PLACES.items():
        program = shlex.join([sys.executable, "-I", str(HERE / name)])
        start = f'#!/bin/sh\nOS_CLIENT_CONFIG_FILE=/etc/muster/clouds.yaml exec {program} "$@"\n'
        for node in cloud.controllers:
            put = f"mkdir -p $(dirname {place}) && cat >{place} && chmod 755 {place}"
            cloud.cluster.exec(node, "sh", "-c", put, stdin=start)
    hosts = " ".join(cloud.hosts)
    cloud.type(f"pcs stonith create fence-nova fence_compute pcmk_host_check=static-list pcmk_host_list='{hosts}'")
    for host in cloud.hosts:
        cloud.type(f"pcs stonith level add 1 {host} power fence-nova")
    cloud.type("pcs resource create nova-evacuate ocf:openstack:NovaEvacuate op monitor interval=2 timeout=600")
    cloud.type("pcs constraint location nova-evacuate rule score=-INFINITY '#kind' eq remote")
    cloud.type("pcs resource create compute-unfence-trigger ocf:pacemaker:Dummy clone")
    cloud.type("pcs constraint location compute-unfence-trigger-clone rule score=-INFINITY '#kind' ne remote")
    cloud.calm("the old tools are installed")
