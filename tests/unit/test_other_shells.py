# SPDX-License-Identifier: Apache-2.0
"""E14: the words of crmsh and of Pacemaker's own tools for what pcs does; tests/contract/test_other_shells.py types them."""

from __future__ import annotations

import shlex

import pytest
from lxml import etree

from muster import parameters
from muster.cli import commands
from muster.installation.fencing_topology import Level
from muster.installation.missing import Argv, Choices, missing
from muster.installation.other_shells import OPERATIONS, Shell, rephrased
from muster.installation.phrasing import phrased, spoken
from tests.installation import here, level, worker

NEW = Choices(cloud="bed", shared_storage="yes")
BARE = {"fence": "", "hold": "", "levels": "", "worker": "", "status": "", "off_remotes": ""}


def lines(shell: Shell) -> list[str]:
    steps = missing(here(**BARE), NEW)
    return [shlex.join(line) for step in steps for line in phrased(step.commands, (), shell)]


def said(shell: Shell, line: str) -> list[str]:
    return [shlex.join(argv) for argv in rephrased([tuple(shlex.split(line))], shell)]


def added(line: str) -> etree._Element:
    """What a line of cibadmin adds."""
    argv = shlex.split(line)
    assert argv[:5] == ["cibadmin", "--modify", "--allow-create", "--scope", "configuration"]
    return etree.fromstring(argv[6])


def test_the_worker_and_its_rule_are_one_change() -> None:
    for shell in (Shell.CIBADMIN, Shell.CRMSH):
        whole = added(lines(shell)[-1])
        assert [section.tag for section in whole] == ["resources", "constraints"]
        (worker,), (location,) = whole
        assert (worker.get("id"), location.get("rsc"), location.get("resource-discovery")) == (
            "muster",
            "muster",
            "never",
        )
        assert {p.get("name"): p.get("value") for p in worker.iter("nvpair")} == {
            "cloud": "bed",
            "shared_storage": "yes",
            "resource-stickiness": "1000",
        }


def test_crmsh_says_itself_what_it_can() -> None:
    assert [line.split()[:3] for line in lines(Shell.CRMSH)] == [
        ["crm", "configure", "primitive"],
        ["cibadmin", "--modify", "--allow-create"],
        ["cibadmin", "--modify", "--allow-create"],
        ["crm", "configure", "location"],
        ["cibadmin", "--modify", "--allow-create"],
    ]
    assert lines(Shell.CRMSH)[0].endswith("'pcmk_host_list=cmp1 cmp2' op monitor interval=60s timeout=20s")
    # A fence device runs as a rule, and crm deletes nothing that does, unless it is to stop it first.
    assert said(Shell.CRMSH, "pcs stonith delete x") == ["crm configure delete --force x"]


@pytest.mark.parametrize("shell", [Shell.CIBADMIN, Shell.CRMSH])
def test_a_device_is_deleted_once_no_level_names_it(shell: Shell) -> None:
    """A level that names a device which is not there fails."""
    levels = [
        Level(1, ("power-cmp1", "old"), "cmp1", id="a"),
        Level(1, ("old",), "cmp2", id="b"),
        Level(2, ("old", "power-cmp3", "muster-fence"), "cmp3", id="c"),
        Level(1, ("power-cmp4",), "cmp4", id="d"),
    ]
    first, changed, *rest = rephrased([("pcs", "stonith", "delete", "old")], shell, levels)
    assert first == ("cibadmin", "--delete-all", "--force", "--xpath", "//fencing-level[@id='b']")
    assert [dict(level.attrib) for level in added(shlex.join(changed)).iter("fencing-level")] == [
        {"id": "a", "devices": "power-cmp1"},
        {"id": "c", "devices": "power-cmp3,muster-fence"},
    ]
    assert tuple(rest) == rephrased([("pcs", "stonith", "delete", "old")], shell)


def test_nothing_but_pacemakers_own_tools_is_needed() -> None:
    assert {line.split()[0] for line in lines(Shell.CIBADMIN)} == {"cibadmin"}


@pytest.mark.parametrize("agent", OPERATIONS)
def test_the_operations_of_a_new_resource_are_those_of_the_agent(agent: str) -> None:
    if agent == "fence_muster":
        assert OPERATIONS[agent] == (("monitor", "60s", "20s"),)  # Pacemaker's and pcs's defaults: it names none
        return
    actions = etree.fromstring(parameters.agent_metadata().encode()).iter("action")
    told = {a.get("name"): (a.get("interval", "0s"), a.get("timeout")) for a in actions}
    assert OPERATIONS[agent] == tuple((name, *told[name]) for name in ("start", "stop", "monitor"))


@pytest.mark.parametrize(
    ("target", "attributes"),
    [
        ("cmp1", {"target": "cmp1"}),
        ("regexp%cmp.*", {"target-pattern": "cmp.*"}),
        ("attrib%rack=a", {"target-attribute": "rack", "target-value": "a"}),
    ],
)
def test_a_level_is_of_a_node_a_pattern_or_an_attribute(target: str, attributes: dict[str, str]) -> None:
    (line,) = said(Shell.CIBADMIN, f"pcs stonith level add 1 {target} power muster-fence")
    (found,) = added(line).iter("fencing-level")
    assert found.get("devices") == "power,muster-fence"
    assert {key: found.get(key) for key in attributes} == attributes
    assert etree.fromstring(f"<a xml:id='{found.get('id')}'/>") is not None  # as a schema's ID
    (removed,) = said(Shell.CIBADMIN, f"pcs stonith level remove 1 target {target}")
    tree = etree.fromstring(f"<topology>{etree.tostring(found).decode()}{level('other', 'x')}</topology>")
    assert tree.xpath(shlex.split(removed)[-1]) == [tree[0]]


def test_names_are_quoted_for_xml_and_for_xpath() -> None:
    (line,) = said(Shell.CIBADMIN, "pcs stonith create x fence_muster 'pcmk_host_list=a<b&\"c\"'")
    assert [p.get("value") for p in added(line).iter("nvpair")] == ['a<b&"c"']
    (line,) = said(Shell.CIBADMIN, 'pcs stonith level remove 1 target "it\'s"')
    assert shlex.split(line)[-1] == "//fencing-level[@index='1'][@target=\"it's\"]"


def test_an_empty_value_takes_a_parameter_away() -> None:
    assert said(Shell.CIBADMIN, "pcs resource meta muster resource-stickiness=5") == [
        "crm_resource --resource muster --meta --set-parameter resource-stickiness --parameter-value 5"
    ]
    (line,) = said(Shell.CIBADMIN, "pcs resource update muster hook=")
    tree = etree.fromstring(f"<resources>{worker(hook='/bin/true')}</resources>")
    assert [pair.get("value") for pair in tree.xpath(shlex.split(line)[-1])] == ["/bin/true"]


@pytest.mark.parametrize("shell", Shell)
def test_what_is_no_command_of_pcs_stays_as_it_is(shell: Shell) -> None:
    others: list[Argv] = [("crm_resource", "--refresh", "--resource", "muster", "--node", "ctl2"), ("muster", "resume")]
    assert list(phrased(others, (), shell)) == others


@pytest.mark.parametrize(
    ("pcs", "crmsh", "shell"),
    [((0, 12), True, Shell.PCS), ((0, 11), False, Shell.PCS), ((), True, Shell.CRMSH), ((), False, Shell.CIBADMIN)],
)
def test_the_words_are_those_of_what_is_there(pcs: tuple[int, ...], crmsh: bool, shell: Shell) -> None:
    assert spoken(pcs, crmsh) is shell


def test_each_shell_can_be_chosen() -> None:
    (setup,) = [command for command in commands.COMMANDS if command.name == "setup"]
    (choice,) = [argument for argument in setup.arguments if argument.names == ("--format",)]
    assert set(choice.choices or ()) == {shell.value for shell in Shell}
