# SPDX-License-Identifier: Apache-2.0
"""C13: which fencing levels make a record a proof, read from a CIB."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Optional

import pytest

from muster.gateways.pacemaker import cib, cib_fencing, posix
from muster.installation.fencing_topology import (
    BY_SNMP,
    MISTAKABLE,
    ONE_HOST,
    POWER,
    POWERLESS,
    SELF_FENCING,
    Device,
    Level,
    objection,
    unproved,
    vouch,
)

DEVICES = """
  <primitive id="pdu" class="stonith" type="fence_apc"/>
  <primitive id="ipmi" class="stonith" type="fence_ipmilan"/>
  <primitive id="kdump" class="stonith" type="fence_kdump"/>
  <primitive id="odd" class="stonith" type="fence_apc">
    <instance_attributes id="o"><nvpair id="o1" name="pcmk_off_action" value="status"/></instance_attributes>
  </primitive>
  <primitive id="mine" class="stonith" type="fence_mine"/>
  <clone id="c"><primitive id="rec" class="stonith" type="fence_muster"/></clone>
  <primitive id="rec2" class="stonith" type="fence_muster"/>
"""


def read(levels: Iterable[str], devices: str = "", more: str = "") -> cib.Element:
    document = f"""<cib have-quorum="1"><configuration>
      <nodes><node id="cmp1" uname="cmp1" type="remote">
        <instance_attributes id="a"><nvpair id="a1" name="rack" value="r7"/></instance_attributes></node></nodes>
      <resources><primitive id="cmp2" class="ocf" provider="pacemaker" type="remote"/>{DEVICES}{devices}</resources>{more}
      <fencing-topology>{"".join(levels)}</fencing-topology></configuration></cib>"""
    return cib.parse(document.encode())


def doubt(*levels: str, devices: str = "", more: str = "") -> str:
    root = read(levels, devices, more)
    return objection("cmp1", cib_fencing.levels(root, "cmp1"), cib_fencing.devices(root)) or ""


def level(devices: str, index: int = 1, by: str = 'target="cmp1"') -> str:
    return f'<fencing-level index="{index}" {by} devices="{devices}"/>'


def power(inner: str, agent: str = "fence_ipmilan", more: str = "") -> str:
    """A power device "new"."""
    return f'<primitive id="new" class="stonith" type="{agent}" {more}>{inner}</primitive>'


def given(name: str, value: str, ident: str = "n", more: str = "") -> str:
    pair = f'<nvpair id="{ident}-{name}" name="{name}" value="{value}"/>'
    return f'<instance_attributes id="{ident}" {more}>{pair}</instance_attributes>'


@pytest.mark.parametrize(
    "levels",
    [
        [level("pdu,rec")],
        [level("pdu,ipmi,rec")],
        [level("kdump,pdu,rec")],
        [level("pdu,rec,rec2")],
        [level("ipmi,rec", 1), level("pdu,rec", 2)],
        [level("kdump", 1), level("pdu,rec", 2)],
        [level("pdu,rec", by='target-pattern="cmp[0-9]+"')],
        [level("pdu,rec", by='target-pattern="^cmp[[:digit:]]$"')],
        [level("pdu,rec", by='target-attribute="rack" target-value="r7"')],
        [level("rec", by='target="cmp2"'), level("pdu,rec")],
        # Pacemaker ignores levels like these: indices that it does not know, patterns that it cannot compile or that
        # do not match as it reads them.
        [level("pdu,rec"), level("rec", 10)],
        [level("pdu,rec"), level("rec", 4, 'target-pattern="("')],
        [level("pdu,rec"), level("rec", 4, 'target-pattern="^CMP"')],
    ],
)
def test_sound_behind_a_power_device_in_every_level_that_names_it(levels: list[str]) -> None:
    assert doubt(*levels) == ""


@pytest.mark.parametrize(
    ("levels", "word"),
    [
        ([], "no fencing level of cmp1"),
        ([level("pdu")], "no fencing level of cmp1"),
        ([level("pdu,rec", by='target="cmp2"')], "no fencing level of cmp1"),
        ([level("rec")], "level 1 of cmp1 is rec"),
        ([level("rec,pdu")], "stands before rec"),
        ([level("rec2,pdu,rec")], "stands before rec2"),
        ([level("kdump,rec")], "level 1 of cmp1 is kdump,rec"),
        ([level("odd,rec")], "level 1 of cmp1 is odd,rec"),
        ([level("gone,rec")], "gone is no fence device"),
        ([level("pdu,rec", 1), level("rec", 2)], "level 2 of cmp1 is rec"),
        ([level("pdu,rec"), level("rec", 2, 'target-pattern="^cmp"')], "level 2 of cmp1"),
        ([level("pdu,rec"), level("rec", 3, 'target-attribute="rack" target-value="r7"')], "level 3 of cmp1"),
        ([level("pdu, rec")], "no fencing level of cmp1"),
        ([level("pdu,rec", by='rack="r7"')], "no fencing level of cmp1"),
        # Seen on a real cluster: Pacemaker had no level for the node, and the record was written with the power on.
        ([level("pdu,rec", by='target-pattern="^cmp\\d$"')], "no fencing level of cmp1"),
        ([level("pdu,rec", by='target-pattern="^CMP[0-9]$"')], "no fencing level of cmp1"),
        ([level("pdu,rec", by='target-pattern="("')], "no fencing level of cmp1"),
        *([([level("pdu,rec", index)], "no fencing level of cmp1") for index in (0, 10, 99)]),
    ],
)
def test_an_objection_names_the_level_and_the_remedy(levels: list[str], word: str) -> None:
    assert word in doubt(*levels)
    assert "POWER-DEVICE" in doubt(*levels)


def test_whoever_cuts_power_stands_before_the_recorder() -> None:
    """C13: of two power supplies the second is cut when the host is on record as off."""
    said = doubt(level("pdu,rec,ipmi"))
    assert "level 1 of cmp1 is pdu,rec,ipmi: ipmi cuts the power only after rec has recorded it" in said
    assert said.endswith("remove the level and add it again as pdu ipmi rec")


@pytest.mark.parametrize(
    ("device", "word"),
    [
        (power("", "fence_scsi"), "new (fence_scsi) cuts nobody's power"),
        (power("", "external/ssh"), "cuts nobody's power"),
        (power(given("action", "status")), "new (fence_ipmilan) is called with 'status' instead of off"),
        (power(given("action", "OFF")), "is called with 'OFF'"),
        (power(given("pcmk_off_action", "")), "is called with ''"),
        (power(given("network-fencing", "1"), "fence_azure_arm"), "cuts the network"),
        (power(given("network_fencing", "0"), "fence_azure_arm"), "cuts the network"),
        (
            power(given("missing_as_off", "1"), "fence_virsh"),
            "reports off for a host that its controller does not know",
        ),
        (
            power(given("missing-as-off", "0"), "fence_cisco_ucs"),
            "reports off for a host that its controller does not know",
        ),
        (power(given("vmware_type", "server1"), "fence_vmware"), "does not know (vmware_type=server1)"),
        (power("", "fence_zvmip"), "new (fence_zvmip) reports off for a guest that z/VM does not know"),
        (power("", "fence_virsh"), "new (fence_virsh) reports off for every answer that it cannot read"),
        (power("", "fence_lpar"), "reports off in every state that it does not know"),
        (power("", "external/hmchttp"), "reports off whatever the console answers"),
        (power("", "fence_emerson"), "reports off for an outlet that is not there, unless snmp_version is 1"),
        (power(given("snmp_version", "3"), "fence_apc_snmp"), "new (fence_apc_snmp) reports off for an outlet"),
        (power(given("snmp-version", "2c"), "fence_ipdu"), "new (fence_ipdu) reports off for an outlet"),
        (power("", "drac3"), "new (drac3) cuts nobody's power"),
        (power(given("pcmk_host_list", "cmp1 cmp2"), "external/ipmi"), "(external/ipmi) is the controller of one host"),
        (power(given("pcmk_host_list", "cmp1 CMP2")), "is the controller of one host, but lists cmp1, cmp2: each"),
        (power(given("pcmk_host_map", "cmp1:1;cmp2:2"), "fence_redfish"), "but lists cmp1, cmp2"),
        (power(given("pcmk_host_check", "none"), "fence_ilo5_ssh"), "but lists cmp1, cmp2"),
        (power(given("pcmk_host_check", "status"), "fence_idrac"), "but lists cmp1, cmp2"),
        (power("", "fence_sbd"), "the host's own watchdog"),
        (
            power(given("lanplus", "1").replace("<nvpair", "<rule id='r' score='1'/><nvpair")),
            "new (fence_ipmilan): a rule decides about its instance_attributes n",
        ),
        # Of several sets that with the higher score wins, of equal ones the later.
        (
            power(given("pcmk_off_action", "off", "n", 'score="1"') + given("pcmk_off_action", "on", "m", 'score="2"')),
            "on",
        ),
        (power(given("pcmk_off_action", "off", "n", "score='-INFINITY'") + given("pcmk_off_action", "on", "m")), "on"),
        (power(given("pcmk_off_action", "off") + given("pcmk_off_action", "on", "m")), "'on'"),
        (
            power("<instance_attributes id-ref='s'/>") + power(given("action", "on", "s")).replace('"new"', '"z"'),
            "'on'",
        ),
        (
            power("<instance_attributes id='q'><nvpair id-ref='s-action'/></instance_attributes>")
            + power(given("action", "on", "s")).replace('"new"', '"z"'),
            "'on'",
        ),
        ("<template id='t' class='stonith' type='fence_kdump'/><primitive id='new' template='t'/>", "cuts nobody's"),
        (
            f"<template id='t' class='stonith' type='fence_apc'>{given('action', 'on', 't1')}</template>"
            "<primitive id='new' template='t'/>",
            "'on'",
        ),
        (f"<group id='g'>{given('action', 'on')}{power('')}</group>", "'on'"),
    ],
)
def test_only_what_is_known_to_cut_power_counts(device: str, word: str) -> None:
    assert word in doubt(level("new,rec"), devices=device)


def test_one_hosts_controller_without_a_list_is_asked_of_every_node_whose_levels_name_it() -> None:
    """Pacemaker asks it for its status, which it has for any node."""
    both = [level("new,rec"), level("new,rec", by='target="cmp2"')]
    assert "is the controller of one host, but lists cmp1, cmp2: each" in doubt(*both, devices=power(""))
    assert doubt(*both, devices=power("", "fence_apc")) == ""
    assert doubt(both[0], devices=power("")) == ""


@pytest.mark.parametrize(
    "device",
    [
        power(given("action", "off")),
        power(given("action", "reboot")),
        power(given("action", "")),
        power(given("action", "status") + given("pcmk_off_action", "off", "m")),
        power(given("pcmk_off_action", "on", "n", 'score="x"') + given("pcmk_off_action", "off", "m", 'score="5"')),
        power(given("action", "#default", "n", 'score="2"')),
        power("<instance_attributes id-ref='nowhere'/>"),
        power("<instance_attributes id='q'><nvpair id-ref='nowhere'/></instance_attributes>"),
        "<template id='t' class='stonith' type='fence_apc'/><primitive id='new' template='t'/>",
        f"<template id='t' class='stonith' type='fence_apc'>{given('action', 'on', 't1')}</template>"
        f"<primitive id='new' template='t'>{given('pcmk_off_action', 'off')}</primitive>",
        power("", "external/ipmi"),
        power(given("pcmk_host_list", "cmp1 cmp1.example.org gone")),
        power(given("pcmk_host_list", "cmp1 cmp2") + given("port_as_ip", "1", "p")),
        power(given("pcmk_host_map", "cmp1:10.0.0.1;cmp2:10.0.0.2") + given("port-as-ip", "1", "p")),
        power(given("pcmk_host_list", "cmp1 cmp2"), "fence_apc"),
        power(given("vmware_type", "esx"), "fence_vmware"),
    ],
)
def test_reads_a_devices_parameters_as_pacemaker_does(device: str) -> None:
    assert doubt(level("new,rec"), devices=device) == ""


def test_an_operator_may_vouch_for_an_agent_but_not_for_one_that_leaves_the_power_on() -> None:
    said = doubt(level("mine,rec"))
    assert "mine (fence_mine) is not known to cut power" in said
    assert "if fence_mine does cut it, pcs stonith update rec power_agents=fence_mine; else remove the level" in said
    assert doubt(level("mine,rec2"), devices=recorder("fence_mine")) == ""
    assert (
        doubt(level("sbd,rec"), devices=recorder("fence_x fence_sbd") + power("", "fence_sbd").replace("new", "sbd"))
        == ""
    )
    zvm = power("", "fence_zvm").replace("new", "zvm")
    assert "if fence_zvm does cut it, pcs stonith update rec power_agents" in doubt(level("zvm,rec"), devices=zvm)
    assert doubt(level("zvm,rec"), devices=recorder("fence_zvm") + zvm) == ""
    assert "cuts nobody's power" in doubt(level("kdump,rec"), devices=recorder("fence_kdump"))
    more = doubt(level("mine,rec3"), devices=recorder("fence_x,fence_y"))
    assert "pcs stonith update rec3 power_agents='fence_x fence_y fence_mine'" in more


def recorder(agents: str) -> str:
    return f'<primitive id="rec3" class="stonith" type="fence_muster">{given("power_agents", agents, "v")}</primitive>'


def test_a_pattern_that_cannot_be_judged_here_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posix, "_library", lambda: None)
    by = 'target-pattern="^cmp"'
    said = doubt(level("pdu,rec", by=by))
    assert (
        "level 1 of regexp%^cmp may not apply to cmp1: whether its pattern matches 'cmp1' cannot be told here" in said
    )
    assert "pcs stonith level add 1 cmp1 POWER-DEVICE rec" in said
    assert doubt(level("pdu,rec", by=by), level("pdu,rec", 2)) == ""
    assert "level 1" in doubt(level("rec", by=by), level("pdu,rec", 2))


def test_letters_whose_meaning_depends_on_the_locale_are_not_judged() -> None:
    assert posix.matches("^cmp", "cmp\u00e4") is None
    assert posix.matches("\u00e4", "cmp1") is None
    assert posix.matches("p1", "cmp1") is True


# ----------------------------------------------------------- Pacemaker's own word


PDU, IPMI = Device("pdu", "fence_apc", hosts=("cmp1",)), Device("ipmi", "fence_ipmilan", hosts=("cmp2",))
ASKED = Device("asked", "fence_apc", hosts=("cmp1",), reboot_action="status")
SCSI, REC = Device("scsi", "fence_scsi", host_check="none"), Device("rec", "fence_muster", hosts=("cmp1",))
OLD = Device("old", "fence_scsi", host_check="none", disabled=True)


@pytest.mark.parametrize(
    ("levels", "devices", "watchdog", "word"),
    [
        ([Level(1, ("pdu",))], [PDU], False, None),
        ([Level(1, ("pdu", "rec")), Level(2, ("scsi", "pdu"))], [PDU, SCSI, REC], False, None),
        ([Level(1, ("pdu", "rec")), Level(2, ("scsi",))], [PDU, SCSI, REC], False, "level 2 of cmp1 has no device"),
        ([Level(1, ("gone",))], [PDU], False, "gone is no fence device"),
        ([], [PDU, IPMI, REC, OLD], False, None),
        ([], [PDU, SCSI], False, "scsi (fence_scsi) cuts nobody's power"),
        ([], [IPMI, REC], False, "no power device lists cmp1"),
        ([Level(1, ("pdu",), unclear="?")], [PDU], False, None),
        ([Level(1, ("pdu",), unclear="?")], [PDU, SCSI], False, "scsi (fence_scsi)"),
        ([Level(1, ("pdu",))], [PDU], True, "watchdog"),
        ([Level(1, ("asked",))], [ASKED], False, "asked (fence_apc) is called with 'status' instead of reboot"),
        ([], [ASKED], False, "instead of reboot"),
        ([Level(1, ("pdu",))], [replace(PDU, reboot_action="off")], False, None),
    ],
)
def test_a_fencing_by_some_device_proves_something_only_if_any_of_them_cuts_power(
    levels: list[Level], devices: list[Device], watchdog: bool, word: Optional[str]
) -> None:
    """C20."""
    said = unproved("cmp1", levels, {device.id: device for device in devices}, watchdog)
    assert said is None if word is None else said and word in said


def test_no_agent_is_of_two_kinds() -> None:
    assert not POWER & POWERLESS
    assert not (POWER | POWERLESS) & SELF_FENCING
    assert not (POWER | POWERLESS | SELF_FENCING) & set(MISTAKABLE)
    assert set(BY_SNMP) < POWER
    assert not ONE_HOST - POWER - set(MISTAKABLE)


@pytest.mark.parametrize(
    "device",
    [
        Device("d", "fence_mine", off_action="status"),
        Device("d", "fence_mine", network=True),
        Device("d", "fence_mine", shared=("cmp1", "cmp2")),
        Device("d", "fence_mine", unclear="a rule decides about it", vouched=True),
        Device("d", "fence_mine", off_action="on", vouched=True),
    ],
)
def test_a_word_is_asked_for_only_where_it_is_all_that_is_missing(device: Device) -> None:
    assert device.weakness
    assert not device.vouchable
    assert vouch("rec", ["d"], {"d": device}) == ""
