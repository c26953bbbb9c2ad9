# SPDX-License-Identifier: Apache-2.0
"""E10: what setup prints: nothing in a complete installation, and else those commands that make it complete, no other."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from muster.cli import terminal
from muster.core.errors import SettingsError
from muster.installation.missing import Choices, missing
from tests import installation as made
from tests.installation import device, here, level, location, pairs, resource, worker

NONE = Choices()
NEW = Choices(cloud="bed", shared_storage="yes")
NO_WORKER = {"worker": "", "status": "", "off_remotes": ""}


def lines(choices: Choices = NONE, **changed: str) -> list[str]:
    """The commands; what only a person can do begins with #."""
    steps = missing(here(**changed), choices)
    return [line for step in steps for line in (map(shlex.join, step.commands) if step.commands else [f"# {step.why}"])]


def test_prints_nothing_for_a_complete_installation() -> None:
    assert lines() == []
    assert lines(NEW) == []


def test_prints_the_lines_of_the_readme_for_a_cluster_without_muster() -> None:
    levels = level("cmp1", "power-cmp1") + level("cmp2", "power-cmp2")
    assert lines(NEW, fence="", hold="", levels=levels, **NO_WORKER) == [
        "pcs stonith create muster-fence fence_muster pcmk_host_check=static-list 'pcmk_host_list=cmp1 cmp2'",
        "pcs stonith level remove 1 target cmp1",
        "pcs stonith level add 1 cmp1 power-cmp1 muster-fence",
        "pcs stonith level remove 1 target cmp2",
        "pcs stonith level add 1 cmp2 power-cmp2 muster-fence",
        "pcs constraint location nova-compute-clone rule score=-INFINITY defined muster-hold",
        "pcs cluster cib /root/before.xml",
        "cp /root/before.xml /root/muster.xml",
        "pcs -f /root/muster.xml resource create muster ocf:muster:ComputeRecovery cloud=bed shared_storage=yes"
        " meta resource-stickiness=1000",
        "pcs -f /root/muster.xml constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote",
        "pcs cluster cib-push /root/muster.xml diff-against=/root/before.xml",
        "rm /root/before.xml /root/muster.xml",
    ]


@pytest.mark.parametrize("choices", [Choices(), Choices(cloud="bed"), Choices(shared_storage="no")])
def test_creates_no_worker_without_being_told_of_cloud_and_storage(choices: Choices) -> None:
    with pytest.raises(SettingsError) as refused:
        lines(choices, **NO_WORKER)
    said = str(refused.value)
    assert ("--cloud" in said, "--shared-storage yes|no" in said) == (not choices.cloud, not choices.shared_storage)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"fence": device("muster-fence", "fence_muster", {"pcmk_host_list": "cmp1"})},
         ["pcs stonith update muster-fence pcmk_host_check=static-list 'pcmk_host_list=cmp1 cmp2'"]),
        ({"fence": device("muster-fence", "fence_muster", made.MUSTER_FENCE,
                          f"<meta_attributes>{pairs({'target-role': 'Stopped'})}</meta_attributes>")},
         ["pcs stonith enable muster-fence"]),
        ({"hold": ""}, ["pcs constraint location nova-compute-clone rule score=-INFINITY defined muster-hold"]),
        ({"off_remotes": ""}, ["pcs constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote"]),
        ({"off_remotes": location("muster", made.OFF_REMOTES.replace("-INFINITY", "-5"))},
         ["pcs constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote"]),
        ({"off_remotes": location("muster", made.OFF_REMOTES)},
         ["pcs constraint delete location-muster",
          "pcs constraint location muster rule resource-discovery=never score=-INFINITY '#kind' eq remote"]),
        ({"worker": worker({})}, ["pcs resource meta muster resource-stickiness=1000"]),
        ({"worker": worker(monitor="")}, ["pcs resource update muster op monitor interval=10s timeout=20s enabled=true"]),
        ({"worker": worker({"target-role": "Stopped", "resource-stickiness": "INFINITY"})}, ["pcs resource enable muster"]),
        ({"nova_compute": "", "hold": ""}, ["# no resource runs nova-compute"]),
        ({"nova_compute": made.NOVA_COMPUTE.replace("200s", "100")}, ["pcs resource update nova-compute op stop timeout=200s"]),
        ({"remotes": ""}, ["# no compute is known: computes are remote"]),
    ],
)  # fmt: skip
def test_prints_the_one_thing_that_is_missing(changed: dict[str, str], expected: list[str]) -> None:
    assert [line[: len(wanted)] for line, wanted in zip(lines(**changed), expected)] == expected
    assert len(lines(**changed)) == len(expected)


LEVELS = [
    # what is there for cmp2, what is printed
    (level("cmp2", "power-cmp2"), ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"]),
    (level("cmp2", "muster-fence,power-cmp2"), ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"]),
    (level("cmp2", "muster-fence"), ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"]),
    (level("cmp2", "gone,muster-fence"), ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"]),
    (level("cmp2", "power-cmp2,gone,muster-fence"), ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"]),
    (level("cmp2", "power-cmp2,muster-fence,gone"), ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"]),
    (level("cmp2", "power-cmp2,watchdog,muster-fence"), []),
    (level("cmp2", "power-cmp2,muster-fence", 3), []),
    (
        level("cmp2", "power-cmp2,power-ctl", 3),
        ["remove 3 target cmp2", "add 3 cmp2 power-cmp2 power-ctl muster-fence"],
    ),
    (
        level("cmp2", "power-cmp2") + level("cmp2", "power-ctl,muster-fence", 2),
        ["remove 1 target cmp2", "add 1 cmp2 power-cmp2 muster-fence"],
    ),
    ("", ["add 1 cmp2 power-cmp2 muster-fence"]),
    (
        '<fencing-level index="2" target-pattern="^cmp2$" devices="power-cmp2"/>',
        ["remove 2 target regexp%^cmp2$", "add 2 regexp%^cmp2$ power-cmp2 muster-fence"],
    ),
]


@pytest.mark.parametrize(("levels", "expected"), LEVELS)
def test_puts_the_record_behind_the_power_in_every_level(levels: str, expected: list[str]) -> None:
    cmp1 = level("cmp1", "power-cmp1,muster-fence")
    assert lines(levels=cmp1 + levels) == [shlex.join(["pcs", "stonith", "level", *line.split()]) for line in expected]


def test_what_is_no_power_device_does_not_stay_behind_one() -> None:
    """fence_kdump waits for a kernel that has no power any more."""
    kdump = made.PARTS["power"] + device("kdump", "fence_kdump", {"pcmk_host_list": "cmp2"})
    levels = level("cmp1", "power-cmp1,muster-fence") + level("cmp2", "kdump,muster-fence")
    assert lines(power=kdump, levels=levels)[1] == "pcs stonith level add 1 cmp2 power-cmp2 muster-fence"


def test_an_agent_that_is_not_known_is_asked_about_and_stays() -> None:
    """C13."""
    mine = made.PARTS["power"] + device("mine", "fence_mine", {"pcmk_host_list": "cmp2"})
    cmp1, word = level("cmp1", "power-cmp1,muster-fence"), "mine (fence_mine) is not known to cut power: if fence_mine"
    word += " does cut it, pcs stonith update muster-fence power_agents=fence_mine; else it needs a power device"
    (said,) = lines(power=mine, levels=cmp1 + level("cmp2", "mine,muster-fence"))
    assert said.startswith(f"# {word}")
    alone = mine.replace('value="cmp2"', 'value="x"', 1)
    (said,) = lines(power=alone, levels=cmp1)
    assert said.startswith(f"# cmp2: {word}")
    assert lines(power=alone, levels=cmp1, fence="")[-1].startswith(f"# cmp2: {word}")
    told = device("muster-fence", "fence_muster", {**made.MUSTER_FENCE, "power_agents": "fence_mine"})
    assert lines(power=alone, levels=cmp1, fence=told) == ["pcs stonith level add 1 cmp2 mine muster-fence"]


def test_a_device_that_is_disabled_or_takes_every_node_is_weighed_as_pacemaker_does() -> None:
    cmp1 = level("cmp1", "power-cmp1,muster-fence")
    stopped = f"<meta_attributes>{pairs({'target-role': 'Stopped'})}</meta_attributes>"
    power = device("old", "fence_apc", {"pcmk_host_list": "cmp2"}, stopped)
    power += device("any", "fence_apc", {"pcmk_host_check": "none"})
    assert lines(power=made.PARTS["power"].replace('"cmp2"', '"x"') + power, levels=cmp1) == [
        "pcs stonith level add 1 cmp2 any muster-fence"
    ]


def test_a_level_of_several_nodes_is_changed_once() -> None:
    both = '<fencing-level index="1" target-pattern="^cmp" devices="power-ctl"/>'
    assert lines(levels=both) == [
        "pcs stonith level remove 1 target 'regexp%^cmp'",
        "pcs stonith level add 1 'regexp%^cmp' power-ctl muster-fence",
    ]
    (said,) = lines(levels=both.replace("power-ctl", "muster-fence"))
    assert said == "# level 1 of regexp%^cmp is muster-fence: put a power device first; muster cannot tell which"


def test_asks_for_the_power_device_where_it_is_not_clear() -> None:
    levels = level("cmp1", "power-cmp1,muster-fence")
    none = made.PARTS["power"].replace('"cmp2"', '"other"')
    (said,) = lines(power=none, levels=levels)
    assert said.startswith("# cmp2: no power device has it in pcmk_host_list or pcmk_host_map: create one")
    two = made.PARTS["power"] + device("pdu", "fence_apc", {"pcmk_host_map": "cmp2:7"})
    assert lines(power=two, levels=levels) == [
        "# cmp2: power-cmp2, pdu can fence it; choose: muster setup --power cmp2=power-cmp2"
    ]
    chosen = Choices(power={"cmp2": "pdu"})
    assert lines(chosen, power=two, levels=levels) == ["pcs stonith level add 1 cmp2 pdu muster-fence"]


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (Choices(power={"cmp9": "power-cmp1"}), "there is no compute cmp9; there is cmp1, cmp2"),
        (
            Choices(power={"cmp1": "pdu"}),
            "no fence device pdu; those that cut power: power-cmp1, power-cmp2, power-ctl",
        ),
        (Choices(power={"cmp1": "muster-fence"}), "muster-fence (fence_muster) cuts nobody's power"),
        (Choices(nova_compute="nova"), "--nova-resource nova: there is no such resource"),
    ],
)
def test_refuses_a_choice_of_what_is_not_there(choices: Choices, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        lines(choices)
    assert words in str(refused.value)


def test_the_resource_of_nova_compute_can_be_named() -> None:
    stop = '<operations><op name="stop" interval="0" timeout="5min"/></operations>'
    odd = f'<primitive id="hypervisor" class="systemd" type="odd">{stop}</primitive>'
    assert lines(Choices(nova_compute="hypervisor"), nova_compute=odd, hold="") == [
        "pcs constraint location hypervisor rule score=-INFINITY defined muster-hold"
    ]
    assert lines(Choices(nova_compute="hypervisor"), nova_compute=odd, hold=location("hypervisor", made.HOLD)) == []


def test_names_that_are_taken_are_not_taken_again() -> None:
    taken = '<primitive id="muster" class="systemd" type="x"/><primitive id="muster-fence" class="systemd" type="y"/>'
    printed = lines(NEW, fence="", nova_compute=made.NOVA_COMPUTE + taken, levels="", **NO_WORKER)
    assert printed[0].startswith("pcs stonith create muster-fence-2 fence_muster ")
    assert printed[1] == "pcs stonith level add 1 cmp1 power-cmp1 muster-fence-2"
    assert printed[5].startswith("pcs -f /root/muster.xml resource create muster-2 ")


MEMBERS = {
    "remotes": "",
    "nodes": "".join(f'<node id="{n}" uname="{n}"/>' for n in ("ctl1", "ctl2", "cmp1", "cmp2")),
}


def test_computes_may_be_full_members_and_the_worker_is_kept_off_them_by_name() -> None:
    """Muster's device says which members are computes."""
    seen = here(**MEMBERS)
    assert (seen.controllers, seen.computes) == (("ctl1", "ctl2"), ("cmp1", "cmp2"))
    assert lines(**MEMBERS) == ["pcs constraint location muster avoids cmp1 cmp2"]
    one = '<rsc_location rsc="muster" node="cmp1" score="-INFINITY"/>'
    assert lines(**MEMBERS, off_remotes=one) == ["pcs constraint location muster avoids cmp2"]
    both = one + one.replace("cmp1", "cmp2")
    assert lines(**MEMBERS, off_remotes=both) == []
    assert lines(off_remotes=both) == []  # remotes by name are as good
    assert len(lines(**MEMBERS, off_remotes=both.replace("-INFINITY", "-100"))) == 1


def test_leaves_alone_what_the_map_of_hosts_leaves_alone() -> None:
    root = made.document(levels=level("cmp1", "power-cmp1,muster-fence"))
    alone = made.installation(root, {"cmp2"})
    assert missing(alone, Choices()) == []


@pytest.mark.parametrize("word", ["plain", "two words", "it's", "a\\b", "tab\there", "\x1b[2J", "line\nbreak", "ümlaut", "\u202eright", "$(id)", "`id`", "%^a.*$", ""])  # fmt: skip
def test_what_is_printed_is_printable_and_the_shell_reads_what_was_meant(word: str) -> None:
    line = terminal.shell(("printf", "%s", word))
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin"})
    assert done.stdout.decode() == word


def test_prints_no_command_beside_another_evacuator() -> None:
    """A level that keeps fence_compute, or a worker beside NovaEvacuate, would make two."""
    old = device("fence-nova", "fence_compute", {})
    levels = level("cmp1", "power-cmp1,fence-nova") + level("cmp2", "power-cmp2,fence-nova")
    printed = lines(NEW, rivals=old, fence="", hold="", levels=levels, **NO_WORKER)
    assert len(printed) == 1
    assert "fence-nova (fence_compute) forces hosts down" in printed[0]
    assert "in the fencing levels of cmp1, cmp2: never two at once; docs/migrate.md" in printed[0]
    stopped = resource("nova-evacuate", "ocf:openstack:NovaEvacuate", {"target-role": "Stopped"})
    assert lines(rivals=stopped) == []
