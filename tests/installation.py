# SPDX-License-Identifier: Apache-2.0
"""A CIB in which muster is installed as in the README, part by part, so that a test can take one of them away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from muster.core.nova_facts import Service
from muster.gateways.nova.needs import NEEDS
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.installation import installation
from muster.installation.checks.examination import Examination
from muster.installation.installed import AgentSeen, Controller, Installation, NovaAccess, Right

OPTIONS = {"stonith-enabled": "true", "no-quorum-policy": "stop", "concurrent-fencing": "true"}
POWER = {f"power-{n}": {"pcmk_host_check": "static-list", "pcmk_host_list": n} for n in ("cmp1", "cmp2")}
CONTROLLERS = {"power-ctl": {"pcmk_host_list": "ctl1 ctl2", "pcmk_host_check": "static-list"}}
MUSTER_FENCE = {"pcmk_host_check": "static-list", "pcmk_host_list": "cmp1 cmp2"}
LEVELS = {"cmp1": "power-cmp1,muster-fence", "cmp2": "power-cmp2,muster-fence"}
NOVA_COMPUTE = (
    '<clone id="nova-compute-clone"><primitive id="nova-compute" class="systemd" type="openstack-nova-compute">'
    '<operations><op name="stop" interval="0s" timeout="200s"/></operations></primitive></clone>'
)
HOLD = '<rule score="-INFINITY"><expression attribute="muster-hold" operation="defined"/></rule>'
OFF_REMOTES = '<rule score="-INFINITY"><expression attribute="#kind" operation="eq" value="remote"/></rule>'
STARTED = '<lrm_rsc_op id="s" operation="start" call-id="9" rc-code="0" op-status="0" interval="0"/>'
PROBED = '<lrm_rsc_op id="p" operation="monitor" call-id="-1" rc-code="193" op-status="-1" interval="0"/>'
FOUND_STOPPED = '<lrm_rsc_op id="p" operation="monitor" call-id="5" rc-code="7" op-status="0" interval="0"/>'
RIGHTS = tuple(need.name for need in NEEDS)


def pairs(values: Mapping[str, str]) -> str:
    return "".join(f'<nvpair name="{name}" value="{value}"/>' for name, value in values.items())


def device(name: str, agent: str, given: Mapping[str, str], meta: str = "") -> str:
    attributes = f"<instance_attributes>{pairs(given)}</instance_attributes>{meta}"
    return f'<primitive id="{name}" class="stonith" type="{agent}">{attributes}</primitive>'


def level(target: str, devices: str, index: int = 1) -> str:
    return f'<fencing-level target="{target}" index="{index}" devices="{devices}"/>'


def location(resource: str, rule: str, given: str = "") -> str:
    return f'<rsc_location id="location-{resource}" rsc="{resource}" {given}>{rule}</rsc_location>'


def announced(node: str, version: str = "1.0", lacks: str = "") -> str:
    told = pairs({"muster-version": version, **({"muster-lacks": lacks} if lacks else {})})
    inner = f"<transient_attributes><instance_attributes>{told}</instance_attributes></transient_attributes>"
    return f'<node_state uname="{node}" in_ccm="true">{inner}</node_state>'


def worker(
    meta: Mapping[str, str] = {"resource-stickiness": "1000"},
    monitor: str = '<op name="monitor" interval="10s"/>',
    name: str = "muster",
    **parameters: str,
) -> str:
    given = {"cloud": "bed", "shared_storage": "yes", **parameters}
    return (
        f'<primitive id="{name}" class="ocf" provider="muster" type="ComputeRecovery">'
        f"<instance_attributes>{pairs(given)}</instance_attributes><meta_attributes>{pairs(meta)}</meta_attributes>"
        f"<operations>{monitor}</operations></primitive>"
    )


def resource(name: str, agent: str, meta: Mapping[str, str] = {}) -> str:
    """:param agent: as pcs takes it: class, provider if it has one, type."""
    kind, *provider, of = agent.split(":")
    given = f'provider="{provider[0]}" ' if provider else ""
    inner = f"<meta_attributes>{pairs(meta)}</meta_attributes>"
    return f'<primitive id="{name}" class="{kind}" {given}type="{of}">{inner}</primitive>'


def state(node: str, history: str, resource: str = "muster", remote: bool = False) -> str:
    inner = f'<lrm><lrm_resources><lrm_resource id="{resource}">{history}</lrm_resource></lrm_resources></lrm>'
    return f'<node_state uname="{node}" in_ccm="true" crmd="online" remote_node="{str(remote).lower()}">{inner}</node_state>'


PARTS: dict[str, str] = {
    "options": pairs(OPTIONS),
    "power": "".join(device(n, "fence_ipmilan", given) for n, given in POWER.items())
    + "".join(device(n, "fence_apc", given) for n, given in CONTROLLERS.items()),
    "fence": device("muster-fence", "fence_muster", MUSTER_FENCE),
    "levels": "".join(level(*item) for item in LEVELS.items()),
    "nova_compute": NOVA_COMPUTE,
    "hold": location("nova-compute-clone", HOLD),
    "worker": worker(),
    "off_remotes": location("muster", OFF_REMOTES, 'resource-discovery="never"'),
    "defaults": "",
    "op_defaults": "",
    "rivals": "",
    "status": state("ctl1", STARTED) + announced("ctl1") + announced("ctl2"),
    "remotes": "".join(f'<primitive id="{n}" class="ocf" provider="pacemaker" type="remote"/>' for n in LEVELS),
    "nodes": '<node id="1" uname="ctl1"/><node id="2" uname="ctl2" type="member"/><node id="cmp1" uname="cmp1" type="remote"/>',
}


def document(**changed: str) -> cib.Element:
    """The whole CIB, with other parts in the place of some."""
    p = {**PARTS, **changed}
    assert set(p) == set(PARTS)
    return cib.parse(
        f"""<cib have-quorum="1"><configuration>
        <crm_config><cluster_property_set>{p["options"]}</cluster_property_set></crm_config>
        <nodes>{p["nodes"]}</nodes>
        <resources>{p["remotes"]}{p["power"]}{p["fence"]}{p["nova_compute"]}{p["worker"]}{p["rivals"]}</resources>
        <constraints>{p["hold"]}{p["off_remotes"]}</constraints>
        <fencing-topology>{p["levels"]}</fencing-topology>
        <rsc_defaults><meta_attributes>{p["defaults"]}</meta_attributes></rsc_defaults>
        <op_defaults><meta_attributes>{p["op_defaults"]}</meta_attributes></op_defaults>
        </configuration><status>{p["status"]}</status></cib>""".encode()
    )


def here(**changed: str) -> Installation:
    return installation(document(**changed))


def facts(told: Mapping[str, Any] = {}, **changed: str) -> Examination:
    """A healthy installation; ``told``: other fields of the facts; ``changed``: other parts of the CIB."""
    seen = here(**changed)
    services = tuple(Service(id=n, host=n, up=True, updated_at=100.0) for n in LEVELS)
    rights = tuple(Right(name, True) for name in RIGHTS)
    agent = {"/usr/lib/ocf/resource.d/muster/ComputeRecovery": AgentSeen("1.0"), "/usr/sbin/fence_muster": AgentSeen()}
    whole = Examination(
        here=seen,
        controller=Controller("ctl1", True, "1.0", agent, (), "1.0"),
        nova=NovaAccess(
            offered="2.100", rights=rights, services=services, placement="", clock_ahead_s=0.3, services_at=103.0
        ),
        worker=seen.workers[0] if len(seen.workers) == 1 else None,
        shared_storage=True,
        nova_api_version="2.98",
    )
    return replace(whole, **told)
