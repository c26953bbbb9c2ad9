# SPDX-License-Identifier: Apache-2.0
"""Every command that muster prints or documents, and where it is typed for real; those of pcs are all typed by
``tests/contract/test_printed_commands.py``."""

from __future__ import annotations

import functools
import re

import pytest

from muster.cli import commands
from tests.documents import ROOT
from tests.printed import OTHERS, PAGES, in_sentences

ADVICE = "tests/nova/test_advice.py::test_"
NAMED = f"{ADVICE}what_the_documents_name_beside_it_is_taken"
FILE = "tests/contract/test_printed_commands.py::test_each_attribute_that_a_sentence_removes_is_removed"
NO_LIBVIRT = "no test: its hypervisors are libvirt's, and the bed's are Nova's fake driver"
NO_RABBIT = (
    "no test: the bed's bus is oslo.messaging's fake driver; what is left of the effect is tested by emptying that"
)
NO_SYSTEMD = "no test: no node of the bed runs systemd"
NO_MASAKARI = "no test: there is no Masakari"
TYPED = {
    "openstack --os-compute-api-version 2.14 server evacuate": (
        f"{ADVICE}what_only_a_person_knows_is_evacuated_by_hand_as_advised"
    ),
    "openstack server set --state": f"{ADVICE}what_nova_refuses_is_reset_and_evacuated_as_advised",
    "openstack server delete": f"{ADVICE}what_is_left_on_a_host_is_seen_to_as_advised",
    "openstack server unshelve": f"{ADVICE}what_is_left_on_a_host_is_seen_to_as_advised",
    "openstack server resize confirm": f"{ADVICE}what_is_left_on_a_host_is_seen_to_as_advised",
    "openstack server resize revert": f"{ADVICE}what_is_left_on_a_host_is_seen_to_as_advised",
    "openstack server event list": f"{ADVICE}whether_a_start_waits_is_seen_by_its_events",
    "openstack server event show": f"{ADVICE}whether_a_start_waits_is_seen_by_its_events",
    "openstack server reboot --hard": "tests/nova/test_return.py::test_leaves_a_resize_that_had_begun_to_its_host",
    "openstack server show": NAMED,
    "openstack server set --property": NAMED,
    "openstack server migration list": NAMED,
    "openstack compute service set --up": NAMED,
    "openstack compute service set --enable": NAMED,
    "openstack compute service list --long": NAMED,
    "openstack endpoint list --service": "no test: the bed's Keystone is a stub that lists no endpoints",
    "openstack application credential create": "no test: the bed's Keystone is a stub that knows none",
    "openstack notification": NO_MASAKARI,
    "systemctl disable --now masakari-hostmonitor": NO_MASAKARI,
    "systemctl": NO_SYSTEMD,
    "journalctl -t": NO_SYSTEMD,
    "openstack server create": "no test: flavor, image and network are of your cloud",
    "chronyc tracking": "no test: the nodes of the bed share the machine's clock",
    "crm_attribute -t nodes": FILE,
    "virsh": NO_LIBVIRT,
    "rabbitmqctl": NO_RABBIT,
}
"""By the words that a command begins with: the test that types it, or why there is none."""
SENTENCES = ("muster report why an evacuation failed", "muster doctor says when it sees more")


@functools.cache
def printed() -> set[str]:
    said = {line for _, line in in_sentences(OTHERS)}
    pages = {found for page in PAGES for found in OTHERS.findall(page.read_text().replace("`", '"'))}
    return {line for line in said | pages if line not in SENTENCES}


def test_each_command_is_typed_by_a_test_or_it_is_said_why_not() -> None:
    others = [line for line in printed() if not line.startswith("muster")]
    assert sorted(line for line in others if not line.startswith(tuple(TYPED))) == []
    assert sorted(words for words in TYPED if not any(line.startswith(words) for line in others)) == []
    assert sorted(line for _, line in in_sentences(OTHERS) if "\0" in line) == []


@pytest.mark.parametrize("test", sorted({it for it in TYPED.values() if not it.startswith("no test: ")}))
def test_what_is_said_to_type_it_is_a_test(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("line", sorted(line for line in printed() if line.startswith("muster")))
def test_each_command_of_its_own_is_one(line: str) -> None:
    """Also as it is spoken of, without what it is about."""
    _, *words = re.sub(r"[?\[\]]|(?<=00000008)-", "", line).split()
    command = next(it for it in commands.COMMANDS if it.name == words[0])
    given = {"incident": "cmp1", "target": "cmp1", "host": "cmp1"}
    wanted = [
        name for argument in command.arguments for name in argument.names if name[0] != "-" and not argument.nargs
    ]
    bare = not [word for word in words[1:] if not word.startswith("-")]
    last = [argument for argument in command.arguments if words[-1] in argument.names and not argument.flag]
    values = [(argument.choices or ("x",))[0] for argument in last]
    commands.read([*words, *values, *(given[name] for name in wanted if bare)])
