# SPDX-License-Identifier: Apache-2.0
"""C13: which fencing levels make a record a proof, read from a CIB."""

from __future__ import annotations

import pytest

from muster.gateways import cib
from muster.topology import objection

DEVICES = """
  <primitive id="pdu" class="stonith" type="fence_apc"/>
  <primitive id="ipmi" class="stonith" type="fence_ipmilan"/>
  <primitive id="kdump" class="stonith" type="fence_kdump"/>
  <primitive id="odd" class="stonith" type="fence_apc">
    <instance_attributes id="o"><nvpair id="o1" name="pcmk_off_action" value="status"/></instance_attributes>
  </primitive>
  <clone id="c"><primitive id="rec" class="stonith" type="fence_muster"/></clone>
  <primitive id="rec2" class="stonith" type="fence_muster"/>
"""


def doubt(*levels: str) -> str:
    document = f"""<cib have-quorum="1"><configuration>
      <nodes><node id="cmp1" uname="cmp1" type="remote">
        <instance_attributes id="a"><nvpair id="a1" name="rack" value="r7"/></instance_attributes></node></nodes>
      <resources>{DEVICES}</resources>
      <fencing-topology>{"".join(levels)}</fencing-topology></configuration></cib>"""
    root = cib.parse(document.encode())
    return objection("cmp1", cib.levels(root, "cmp1"), cib.devices(root)) or ""


def level(devices: str, index: int = 1, by: str = 'target="cmp1"') -> str:
    return f'<fencing-level index="{index}" {by} devices="{devices}"/>'


@pytest.mark.parametrize(
    "levels",
    [
        [level("pdu,rec")],
        [level("pdu, rec")],
        [level("pdu,ipmi,rec")],
        [level("kdump,pdu,rec")],
        [level("pdu,rec,rec2")],
        [level("ipmi,rec", 1), level("pdu,rec", 2)],
        [level("kdump", 1), level("pdu,rec", 2)],
        [level("pdu,rec", by='target-pattern="cmp[0-9]+"')],
        [level("pdu,rec", by='target-attribute="rack" target-value="r7"')],
        [level("rec", by='target="cmp2"'), level("pdu,rec")],
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
        ([level("gone,rec")], "level 1 of cmp1 is gone,rec"),
        ([level("pdu,rec", 1), level("rec", 2)], "level 2 of cmp1 is rec"),
        ([level("pdu,rec"), level("rec", 2, 'target-pattern="^cmp"')], "level 2 of cmp1"),
        ([level("pdu,rec"), level("rec", 3, 'target-attribute="rack" target-value="r7"')], "level 3 of cmp1"),
        ([level("pdu,rec"), level("rec", 4, 'target-pattern="("')], "level 4 of cmp1"),
    ],
)
def test_an_objection_names_the_level_and_the_remedy(levels: list[str], word: str) -> None:
    assert word in doubt(*levels)
    assert "POWER-DEVICE" in doubt(*levels)
