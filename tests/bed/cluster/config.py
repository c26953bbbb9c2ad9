# SPDX-License-Identifier: Apache-2.0
"""The configuration of a new cluster: corosync.conf, and a CIB with power device, computes, nova-compute and its rule."""

from __future__ import annotations

import subprocess

from lxml import etree

from tests.bed.cluster.layout import Layout

OPTIONS = {
    "dc-deadtime": "2s",  # Pacemaker's 20 s are the whole time of a first start
    "cluster-recheck-interval": "60s",
    "load-threshold": "0%",  # small noisy machines: else probes go one by one
    "no-quorum-policy": "stop",
}


def corosync(layout: Layout) -> str:
    nodes = "".join(
        f"    node {{\n        ring0_addr: {layout.address(n)}\n        name: {n}\n        nodeid: {i + 1}\n    }}\n"
        for i, n in enumerate(layout.controller_names)
    )
    return f"""totem {{
    version: 2
    cluster_name: {layout.name}
    transport: knet
    crypto_cipher: none
    crypto_hash: none
    token: 1000
}}
quorum {{
    provider: corosync_votequorum
}}
system {{
    sched_rr: no
}}
logging {{
    to_logfile: yes
    logfile: /var/log/corosync/corosync.log
    to_syslog: no
    to_stderr: no
    timestamp: hires
}}
nodelist {{
{nodes}}}
"""


def cib(layout: Layout) -> bytes:
    """The first CIB.  Its feature set has to be this Pacemaker's own, so it begins from ``cibadmin --empty``."""
    root = etree.fromstring(subprocess.run(["cibadmin", "--empty"], capture_output=True, check=True).stdout)
    root.set("epoch", "1")
    options = _new(root.find("configuration/crm_config"), "cluster_property_set", "cib-bootstrap-options")
    _pairs(options, "cib-bootstrap-options", OPTIONS)
    resources = root.find("configuration/resources")
    power = _primitive(resources, "power", "stonith", "", "fence_xvm")
    # A static list: with a list that each controller has to ask for, a device that answers faster than the last of them
    # leaves Pacemaker waiting for that one until the time-out of the whole fencing (2.1.5: 144 s; see README).
    hosts = " ".join(layout.nodes)
    given = {"socket": str(layout.socket), "pcmk_host_check": "static-list", "pcmk_host_list": hosts}
    _pairs(_new(power, "instance_attributes", "power-instance_attributes"), "power", given)
    _operations(power, ("monitor", "60s", "20s"))
    for node in layout.compute_names:
        remote = _primitive(resources, node, "ocf", "pacemaker", "remote")
        given = {"server": layout.address(node), "reconnect_interval": "5s"}
        _pairs(_new(remote, "instance_attributes", f"{node}-instance_attributes"), node, given)
        _operations(remote, ("start", "0s", "30s"), ("monitor", "2s", "4s"))
    if layout.computes:
        _nova_compute(layout, root, resources)
    return etree.tostring(root, pretty_print=True)


def _nova_compute(layout: Layout, root: etree._Element, resources: etree._Element) -> None:
    clone = _new(resources, "clone", "nova-compute-clone")
    agent = _primitive(clone, "nova-compute", "ocf", "bed", "NovaCompute")
    _pairs(_new(agent, "instance_attributes", "nova-compute-attributes"), "nova-compute", {"control": layout.nova})
    _operations(agent, ("start", "0s", "60s"), ("stop", "0s", "200s"), ("monitor", "10s", "20s"))
    constraints = root.find("configuration/constraints")
    for name, attribute, operation, value in (
        ("nova-compute-on-computes", "#kind", "ne", "remote"),
        ("nova-compute-held", "muster-hold", "defined", None),
    ):
        location = _new(constraints, "rsc_location", name, rsc="nova-compute-clone")
        rule = _new(location, "rule", f"{name}-rule", score="-INFINITY")
        more = {"value": value} if value else {}
        _new(rule, "expression", f"{name}-expression", attribute=attribute, operation=operation, **more)
    topology = etree.SubElement(root.find("configuration"), "fencing-topology")
    for node in layout.compute_names:
        _new(topology, "fencing-level", f"level-{node}", target=node, index="1", devices="power")


def _new(parent: etree._Element, tag: str, ident: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, tag, id=ident, **attributes)


def _primitive(parent: etree._Element, name: str, kind: str, provider: str, agent: str) -> etree._Element:
    more = {"provider": provider} if provider else {}
    return _new(parent, "primitive", name, **{"class": kind, "type": agent, **more})


def _pairs(parent: etree._Element, prefix: str, values: dict[str, str]) -> None:
    for name, value in values.items():
        _new(parent, "nvpair", f"{prefix}-{name}", name=name, value=value)


def _operations(parent: etree._Element, *rows: tuple[str, str, str]) -> None:
    operations = etree.SubElement(parent, "operations")
    for name, interval, timeout in rows:
        ident = f"{parent.get('id')}-{name}-{interval}"
        _new(operations, "op", ident, name=name, interval=interval, timeout=timeout)
