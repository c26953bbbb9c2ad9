# SPDX-License-Identifier: Apache-2.0
"""Whether a fencing proves that the power was cut: only a device that is known to cut it proves that.

Behind such a device in the same fencing level a call of ``off`` is proof.  Alone in a level, first in it or without any
level, Pacemaker takes the recording device for the whole fencing, and nobody cuts the power (measured: facts.md P6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

AGENT = "fence_muster"
POWER_AGENTS, ASK_HOSTS = "power_agents", "ask_hosts"
"""Parameters of muster's fence device: further agents that cut power, and whether it asks a host that is called off."""

UNPROVED = "blocked: nothing proves that it is off"
"""What crm_mon shows beside a node that Pacemaker counts as fenced, and that may run.  Pacemaker forgets it at the next
fencing, and when the node joins: as long as it stands, what has fenced it proves nothing, however that was mended."""
SAYS_UNPROVED = (UNPROVED, "on-hold: not proved to be off")
"""The same, as any version has written it: it outlives an upgrade."""

MENDED = "somebody repaired its fencing only after that"

EVACUATORS = frozenset({"fence_compute", "fence_evacuate"})
"""Fence agents that force hosts down, enable them again and evacuate, by themselves or for NovaEvacuate."""

# Of management controllers and blade centres; power switches; hypervisors, partitions and clouds that the host itself
# is a guest of; then the plugins of cluster-glue.
_POWER = """
fence_alom fence_amt_ws fence_bladecenter fence_drac fence_drac5 fence_hds_cb fence_hpblade fence_ibmblade fence_idrac
fence_ilo fence_ilo2 fence_ilo3 fence_ilo3_ssh fence_ilo4 fence_ilo4_ssh fence_ilo5 fence_ilo5_ssh fence_ilo6
fence_ilo_moonshot fence_ilo_mp fence_ilo_ssh fence_imm fence_intelmodular fence_ipmilan fence_ipmilanplus fence_ironic
fence_redfish fence_rsa fence_rsb

fence_apc fence_apc_snmp fence_cdu fence_cyberpower_ssh fence_eaton_snmp fence_eaton_ssh fence_emerson fence_eps
fence_epsr2 fence_ipdu fence_lindypdu fence_netio fence_powerman fence_raritan fence_raritan_px3 fence_shelly_gen2
fence_tripplite_snmp fence_wti

fence_aliyun fence_aws fence_azure_arm fence_ecloud fence_gce fence_hetzner_cloud fence_ibm_powervs fence_ibm_vpc
fence_kubevirt fence_ldom fence_nutanix_ahv fence_openstack fence_ovh fence_ovm fence_pve fence_vbox fence_virt
fence_vmware fence_vmware_rest fence_vmware_soap fence_vmware_vcloud fence_xenapi fence_xvm

apcmaster apcmastersnmp apcsmart baytech bladehpi cyclades ibmhmc ipmilan nw_rpc100s rps10 wti_mpc wti_nps
external/drac5 external/dracmc-telnet external/ec2 external/ibmrsa external/ibmrsa-telnet external/ipmi
external/ippower9258 external/libvirt external/nut external/rackpdu external/riloe external/vcenter external/vmware
external/xen0 external/xen0-ha
"""
POWER = frozenset(_POWER.split())
"""Agents that, called with ``off``, have something outside the host cut its power."""

MISTAKABLE = {
    "fence_amt": "in every state but S0, sleep included",
    "fence_cisco_ucs": "where its manager misses a blade or does not know its power",
    "fence_ibmz": "in every state but that of a healthy partition",
    "fence_lpar": "in every state that it does not know, Not Available included",
    "fence_rhevm": "where the reply has no status in the form of its api_version",
    "fence_skalar": "where the node of a guest is offline",
    "fence_virsh": "for every answer that it cannot read, the words of ssh and sudo included",
    "fence_zvm": "for a guest that z/VM does not know",
    "fence_zvmip": "for a guest that z/VM does not know",
    "external/hmchttp": "whatever the console answers",
}
"""What these call off that may run: they cut nobody's power then, and succeed.  By get_power_status() of fence-agents
4.12 and 4.17 (fence_virsh: its last line; fence_zvmip: "we can not check if image is defined"; fence_zvm.c:
RS_NOT_ACTIVE), and by hmchttp of cluster-glue 1.0.12, which ends with 0.  An operator who has tried each name, and
knows that such answers do not come, may say that they cut power."""

BY_SNMP = {
    "fence_apc_snmp": "1",
    "fence_emerson": "2c",
    "fence_ibmblade": "1",
    "fence_intelmodular": "2c",
    "fence_ipdu": "1",
    "fence_tripplite_snmp": "1",
}
"""Agents by which everything is off that is not on, and the SNMP that they speak unless told: from 2c on an outlet that
is not there is no error but a value.  Measured with fence-agents 4.12 and net-snmp 5.9: "Success: Already OFF"."""

_ONE_HOST = """
fence_alom fence_amt fence_amt_ws fence_drac fence_idrac fence_ilo fence_ilo2 fence_ilo3 fence_ilo3_ssh fence_ilo4
fence_ilo4_ssh fence_ilo5 fence_ilo5_ssh fence_ilo6 fence_ilo_mp fence_ilo_ssh fence_imm fence_ipmilan fence_ipmilanplus
fence_redfish fence_rsa fence_rsb

external/drac5 external/dracmc-telnet external/hmchttp external/ibmrsa external/ibmrsa-telnet external/ipmi external/nut
external/riloe
"""
ONE_HOST = frozenset(_ONE_HOST.split())
"""Agents of a controller that is one host's: which one Pacemaker names they do not look at, unless ``port_as_ip``
makes an address of it (fencing.py, _add_dependency_options(), process_input()).  Of the plugins of cluster-glue those
that do not read their second argument."""

# Some cut a host off its storage or network, and it runs on (metadata: <action name="on" automatic="1"/>); some look,
# wait or do nothing; fence_docker kills a container; fence_rcd_serial, drac3 and ribcl only reset, external/hetzner
# refuses to switch off; the last ask the host's software.
_POWERLESS = """
fence_aws_vpc_net fence_brocade fence_cisco_mds fence_ifmib fence_mpath fence_sanbox2 fence_scsi

fence_ack_manual fence_crosslink fence_docker fence_dummy fence_heuristics_ping fence_kdump fence_legacy
fence_rcd_serial drac3 external/hetzner external/kdumpcheck external/null meatware null rcd_serial rhcs ribcl

external/ssh ssh suicide
"""
POWERLESS = frozenset(_POWERLESS.split()) | EVACUATORS | {AGENT}
"""Agents whose success leaves the power on, whatever an operator calls them."""

SELF_FENCING = frozenset({"fence_sbd", "fence_watchdog", "external/sbd"})
"""The host is asked, or supposed, to reset itself: fence_sbd calls it off once the message is in its slot
(fence_sbd.py, translate_status()), Pacemaker once a time is over.  Only the host's own watchdog stands for it, so some
person has to."""


@dataclass(frozen=True)
class Device:
    """A fence device.

    :param off_action: what it is called with where ``off`` is meant (``pcmk_off_action``).
    :param reboot_action: the same for ``reboot``, which Pacemaker calls where a device is alone in its level.
    :param hosts: the nodes in ``pcmk_host_list`` and ``pcmk_host_map``.
    :param host_check: ``pcmk_host_check`` as it stands; empty for Pacemaker's default.
    :param disabled: an operator keeps it stopped.
    :param vouched: an operator says that its agent cuts power.
    :param network: it is to cut the network, and calls the host off when that is done (fence_azure_arm).
    :param forgiving: the parameter by which it calls a host off that its controller does not know; empty without it.
    :param unlisted: it calls an outlet off that is not there (:data:`BY_SNMP`).
    :param shared: the nodes that it is to fence, where it is the controller of one host and these are several.
    :param unclear: why its parameters cannot be told.
    :param power_agents: what an operator vouches for, where it is muster's own.
    :param asks_hosts: an operator lets it ask a host that is called off, where it is muster's own.
    """

    id: str
    agent: str
    off_action: str = "off"
    hosts: tuple[str, ...] = ()
    host_check: str = ""
    disabled: bool = False
    vouched: bool = False
    network: bool = False
    forgiving: str = ""
    unlisted: bool = False
    shared: tuple[str, ...] = ()
    unclear: str = ""
    power_agents: tuple[str, ...] = ()
    asks_hosts: bool = True
    reboot_action: str = "reboot"

    @property
    def cuts_power(self) -> bool:
        return not self.weakness

    @property
    def weakness(self) -> str:
        """Why its success does not prove that the power was cut; empty where it does."""
        named = f"{self.id} ({self.agent})"
        if self.agent in POWERLESS:
            return f"{named} cuts nobody's power"
        if self.unclear:
            return f"{named}: {self.unclear}"
        if self.off_action != "off":
            return f"{named} is called with {self.off_action!r} instead of off"
        if self.network:
            return f"{named} cuts the network (network-fencing), not the power"
        if self.forgiving:
            return f"{named} reports off for a host that its controller does not know ({self.forgiving})"
        if self.shared:
            return f"{named} is the controller of one host, but lists {', '.join(self.shared)}: each needs its own"
        if self.vouched:
            return ""
        if self.agent in MISTAKABLE:
            return f"{named} reports off {MISTAKABLE[self.agent]}"
        if self.unlisted:
            return f"{named} reports off for an outlet that is not there, unless snmp_version is 1"
        if self.agent in POWER:
            return ""
        if self.agent in SELF_FENCING:
            return f"{named} leaves it to the host's own watchdog"
        return f"{named} is not known to cut power"

    @property
    def weakness_alone(self) -> str:
        """:attr:`weakness` where nobody stands behind it in its level."""
        if not self.weakness and self.reboot_action not in ("reboot", "off"):
            return f"{self.id} ({self.agent}) is called with {self.reboot_action!r} instead of reboot"
        return self.weakness

    @property
    def vouchable(self) -> bool:
        """An operator's word is all that it lacks."""
        return bool(self.weakness) and not replace(self, vouched=True).weakness

    @property
    def asked(self) -> bool:
        """Whether Pacemaker has to ask the device which nodes it can fence."""
        return self.host_check not in ("static-list", "none") if self.host_check else not self.hosts

    def covers(self, node: str) -> Optional[bool]:
        """Whether Pacemaker takes it for able to fence the node; None where only the device itself knows."""
        if self.host_check == "none":
            return True
        return None if self.asked else node.casefold() in {host.casefold() for host in self.hosts}


@dataclass(frozen=True)
class Level:
    """:param target: which nodes it applies to, as ``pcs stonith level`` takes it.
    :param unclear: why it cannot be told whether Pacemaker applies it to the node in question.
    :param id: in the CIB.
    """

    index: int
    devices: tuple[str, ...]
    target: str = ""
    unclear: str = ""
    id: str = ""


class Doubt(NamedTuple):
    what: str
    remedy: str


def objection(target: str, levels: Sequence[Level], devices: Mapping[str, Device]) -> Optional[str]:
    """:func:`doubt` in one sentence."""
    found = doubt(target, levels, devices)
    return found and f"{found.what}: {found.remedy}"


def doubt(target: str, levels: Sequence[Level], devices: Mapping[str, Device]) -> Optional[Doubt]:
    """Why a record of this node's fencing would prove nothing; None when it is sound.

    :param levels: all levels that apply to the node; which one is being carried out Pacemaker does not tell.
    """
    ours = {name for name, device in devices.items() if device.agent == AGENT}
    concerned = [level for level in levels if ours & set(level.devices)]
    if not concerned:
        return Doubt(
            f"no fencing level of {target} names {AGENT}, so no power device runs before it",
            f"pcs stonith level add 1 {target} POWER-DEVICE MUSTER-DEVICE",
        )
    if all(level.unclear for level in concerned):
        # Without a level that applies Pacemaker calls each device of the node by itself.
        level = concerned[0]
        recorder = next(name for name in level.devices if name in ours)
        return Doubt(
            f"fencing level {level.index} of {level.target} may not apply to {target}: {level.unclear}",
            f"pcs stonith level add {level.index} {target} POWER-DEVICE {recorder}",
        )
    for level in concerned:
        first = next(i for i, name in enumerate(level.devices) if name in ours)
        before = level.devices[:first]
        if not any(name in devices and devices[name].cuts_power for name in before):
            recorder = level.devices[first]
            why = _why(before, devices)
            return Doubt(
                f"fencing level {level.index} of {target} is {','.join(level.devices)}: no device that cuts the power"
                f" stands before {recorder}{f' ({why})' * bool(why)}",
                f"{vouch(recorder, before, devices)}remove the level and add it again as POWER-DEVICE {recorder}",
            )
        late = [name for name in level.devices[first:] if name in devices and devices[name].cuts_power]
        if late:
            proper = " ".join([*(name for name in level.devices if name not in ours), level.devices[first]])
            return Doubt(
                f"fencing level {level.index} of {target} is {','.join(level.devices)}: {' and '.join(late)} cuts the"
                f" power only after {level.devices[first]} has recorded it",
                f"remove the level and add it again as {proper}",
            )
    return None


def leave_it_off(levels: Sequence[Level], devices: Mapping[str, Device]) -> bool:
    """Whatever these levels do to a host, it is off afterwards.  One that resets itself may be up again by then.

    A device that is not there Pacemaker cannot call; ``watchdog`` is its own.
    """
    names = {name for level in levels for name in level.devices}
    named = [devices[name] for name in names if name in devices]
    lasting = all(device.off_action == "off" and device.agent not in SELF_FENCING for device in named)
    return lasting and "watchdog" not in names


def only_refused(levels: Sequence[Level], devices: Mapping[str, Device]) -> bool:
    """Whoever of these levels cuts power stands in one that names muster's agent, and may have been refused by it."""
    ours = {name for name, device in devices.items() if device.agent == AGENT}
    recorded = {name for level in levels if ours & set(level.devices) for name in level.devices}
    return all(name in recorded for level in levels for name in level.devices)


def unproved(target: str, levels: Sequence[Level], devices: Mapping[str, Device], watchdog: bool) -> Optional[str]:
    """Why a fencing of this node by some device, whichever, would not prove that it is off; None if any would.

    :param watchdog: Pacemaker takes a node for off once its own watchdog must have fired, where no device can be had.
    """
    if watchdog:
        return "Pacemaker may have left it to the host's own watchdog (stonith-watchdog-timeout)"
    for level in levels:
        if not any(name in devices and not devices[name].weakness_alone for name in level.devices):
            return f"fencing level {level.index} of {target} has no device that cuts the power" + (
                f" ({_why(level.devices, devices)})"
            )
    if any(not level.unclear for level in levels):
        return None
    # Without a level each device that lists the node is enough; muster's own refuses then.
    alone = [d for d in devices.values() if d.agent != AGENT and not d.disabled and d.covers(target) is not False]
    weak = [device.weakness_alone for device in alone if device.weakness_alone]
    return "; ".join(weak) or (None if alone else f"no power device lists {target}")


def watchdog_fences(options: Mapping[str, str]) -> bool:
    """Whether Pacemaker takes a node that it cannot see for off once its watchdog must have fired."""
    # The first is its name since Pacemaker 3.0.2, which then ignores the second; before, it is no option at all.
    names = ("fencing-watchdog-timeout", "stonith-watchdog-timeout")
    some = any((options.get(name) or "0").strip("0smhn") for name in names)
    return options.get("have-watchdog") == "true" and some


def vouch(recorder: str, names: Iterable[str], devices: Mapping[str, Device]) -> str:
    """How an operator says that the agent of one of these devices cuts power, where a word is what is missing."""
    agents = [devices[name].agent for name in names if name in devices and devices[name].vouchable]
    if not agents:
        return ""
    known = " ".join(dict.fromkeys([*(devices[recorder].power_agents if recorder in devices else ()), *agents]))
    value = f"{POWER_AGENTS}='{known}'" if " " in known else f"{POWER_AGENTS}={known}"
    return f"if {' and '.join(agents)} does cut it, pcs stonith update {recorder} {value}; else "


def _why(names: Iterable[str], devices: Mapping[str, Device]) -> str:
    """What each of these devices lacks."""
    return "; ".join(
        devices[name].weakness_alone if name in devices else f"{name} is no fence device" for name in names
    )
