# SPDX-License-Identifier: Apache-2.0
"""E9: what doctor finds of other tools that evacuate: never two at once, and never none."""

from __future__ import annotations

import pytest

from tests.installation import device, facts, level, pairs, resource, worker
from tests.unit.examined import ATTENTION, TROUBLE, found, others

STOPPED = {"target-role": "Stopped"}
OLD_DEVICE = device("fence-nova", "fence_compute", {"record_only": "1"})
OLD_LEVELS = level("cmp1", "power-cmp1,fence-nova") + level("cmp2", "power-cmp2,muster-fence")
DISABLED = {"worker": worker({**STOPPED, "resource-stickiness": "1"}), "status": ""}


@pytest.mark.parametrize(
    ("rivals", "words"),
    [
        (OLD_DEVICE, "fence-nova (fence_compute) forces hosts down, enables them again and evacuates, beside muster"),
        (device("x", "fence_evacuate", {}), "pcs stonith delete x"),
        (resource("nova-evacuate", "ocf:openstack:NovaEvacuate"), "pcs resource disable nova-evacuate ~ crm_resource --wait --timeout=660s"),
        (resource("e", "ocf:heartbeat:NovaEvacuate"), "e (ocf:heartbeat:NovaEvacuate) evacuates, beside muster"),
        (f'<clone id="c">{resource("w", "ocf:openstack:nova-compute-wait")}</clone>', "c (ocf:openstack:nova-compute-wait)"),
        (f'<clone id="t-clone">{resource("compute-unfence-trigger", "ocf:pacemaker:Dummy")}</clone>', "disable t-clone"),
        (resource("mon", "systemd:openstack-masakari-hostmonitor"), "mon (systemd:openstack-masakari-hostmonitor) reports"),
        (resource("masakari_hostmonitor-1", "ocf:heartbeat:podman"), "which evacuates, beside muster"),
        (resource("instanceha", "ocf:heartbeat:podman"), "instanceha (ocf:heartbeat:podman) evacuates, beside muster"),
    ],
)  # fmt: skip
def test_two_evacuators_are_trouble_and_the_remedy_is_to_end_one(rivals: str, words: str) -> None:
    seen, text = found(facts(rivals=rivals), "other evacuators")
    assert seen is TROUBLE
    assert words in text
    assert "may come up on two hosts, now: never two at once; docs/migrate.md" in text


def test_what_merely_sounds_like_another_evacuator_is_none() -> None:
    harmless = resource("masakari-engine", "systemd:openstack-masakari-engine") + resource("api", "systemd:nova-api")
    assert others(facts(rivals=harmless), "") == set()


def test_before_the_switch_no_command_starts_a_second_evacuator_or_ends_the_only_one() -> None:
    given = facts(
        rivals=OLD_DEVICE + resource("ne", "ocf:openstack:NovaEvacuate"), fence="", levels=OLD_LEVELS, **DISABLED
    )
    said = {name: found(given, name) for name in ("other evacuators", "worker", "fencing levels", "fence devices")}
    assert {name: result for name, (result, _) in said.items()} == dict.fromkeys(said, TROUBLE)
    assert [name for name, (_, text) in said.items() if "pcs " in text] == []
    assert "docs/migrate.md" in said["other evacuators"][1]
    assert "fence_compute) forces hosts down, enables them again and evacuates, in the fencing levels of cmp1" in str(
        said
    )


def test_a_device_of_the_old_tool_that_is_disabled_is_in_charge_as_long_as_a_level_has_it() -> None:
    stopped = OLD_DEVICE.replace("</primitive>", f"<meta_attributes>{pairs(STOPPED)}</meta_attributes></primitive>")
    assert found(facts(rivals=stopped, levels=OLD_LEVELS), "other evacuators")[0] is TROUBLE
    seen, text = found(facts(rivals=stopped), "other evacuators")
    assert (seen, "(disabled) ~ once you are sure" in text, "pcs stonith delete fence-nova" in text) == (
        ATTENTION,
        True,
        True,
    )


def test_an_evacuator_that_is_disabled_by_its_clone_only_has_to_be_removed_one_day() -> None:
    inner = resource("compute-unfence-trigger", "ocf:pacemaker:Dummy")
    clone = f'<clone id="c"><meta_attributes>{pairs(STOPPED)}</meta_attributes>{inner}</clone>'
    given = facts(rivals=clone + resource("nova-evacuate", "ocf:openstack:NovaEvacuate", STOPPED))
    seen, text = found(given, "other evacuators")
    assert (seen, "pcs resource delete c" in text, "pcs resource delete nova-evacuate" in text) == (
        ATTENTION,
        True,
        True,
    )
    assert others(given, "other evacuators") == set()
