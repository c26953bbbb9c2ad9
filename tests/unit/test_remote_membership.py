# SPDX-License-Identifier: Apache-2.0
"""C23: whether a remote node is in the cluster, by what several Pacemakers write about it.

From 3.0 its ``in_ccm`` is 0 while it is up.  What it is neither said to be in nor out of, nothing may follow from.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from muster.core.cluster_facts import Node
from muster.gateways.pacemaker import cib, cib_operations, cib_writes

SEEN = etree.parse(str(Path(__file__).with_name("remote_states.xml"))).getroot()


def document(status: etree._Element) -> cib.Element:
    head = '<cib have-quorum="1"><configuration><nodes/><resources>{}</resources></configuration></cib>'
    root = etree.fromstring(head.format('<primitive id="cmp1" class="ocf" provider="pacemaker" type="remote"/>'))
    etree.SubElement(root, "status").extend([etree.fromstring(etree.tostring(state)) for state in status])
    return root


def look(root: cib.Element) -> Node:
    return cib.cluster(root, "ctl1", "muster").nodes["cmp1"]


def cases(known: str) -> pytest.MarkDecorator:
    found = [s for s in SEEN.iterfind("status") if s.get("cmp1") == known]
    return pytest.mark.parametrize("status", found, ids=[f"{s.get('pacemaker')}: {s.get('when')}" for s in found])


def may_be_recorded(root: cib.Element) -> bool:
    return bool(root.getroottree().xpath(cib_writes.nodes_where_away("cmp1", None)))


@cases("member")
def test_knows_a_remote_that_is_in_the_cluster(status: etree._Element) -> None:
    root = document(status)
    assert (look(root).member, look(root).away, may_be_recorded(root)) == (True, False, False)


@cases("away")
def test_knows_a_remote_that_is_away(status: etree._Element) -> None:
    """Also while its connection is started anew, and a success from before the fencing stands in the history."""
    root = document(status)
    assert (look(root).member, look(root).away, may_be_recorded(root)) == (False, True, True)
    for history in root.iterfind(".//lrm_resource"):  # the same, should the start have left no trace yet
        for operation in history.findall("lrm_rsc_op[@op-status='-1']"):
            history.remove(operation)
    assert (look(root).member, look(root).away) == (False, True)


@cases("unknown")
def test_of_a_remote_without_a_history_nobody_knows(status: etree._Element) -> None:
    root = document(status)
    assert (look(root).member, look(root).away, may_be_recorded(root)) == (False, False, False)


@cases("member")
def test_a_return_is_known_though_the_write_that_notes_it_was_lost(status: etree._Element) -> None:
    """facts.md P9: what was done after the fencing proves that the remote is back, whatever node_fenced says."""
    root = document(status)
    state = root.find("status/node_state[@uname='cmp1']")
    joined = [op for op in root.iter("lrm_rsc_op") if op.get("operation") in cib_operations.CONNECTED]
    if state.get("in_ccm") == "0":
        state.set("node_fenced", str(min(int(op.get("last-rc-change")) for op in joined) - 600))
        assert look(root).member


START = {"id": "cmp1_last_0", "operation": "start", "interval": "0", "op-status": "0", "rc-code": "0"}
MONITOR = {"id": "cmp1_monitor_2000", "operation": "monitor", "interval": "2000", "op-status": "0", "rc-code": "0"}
WORKED = {**MONITOR, "call-id": "8", "last-rc-change": "300"}


@pytest.mark.parametrize(
    ("last", "member"),
    [
        ({**START, "call-id": "7"}, True),  # before the monitor that stands beside it
        ({**START, "call-id": "9"}, True),
        ({**START, "call-id": "9", "rc-code": "1"}, False),
        ({**START, "call-id": "9", "op-status": "2"}, False),
        ({**START, "call-id": "-1", "op-status": "-1", "rc-code": "193"}, False),  # it was stopped before
        ({**START, "call-id": "8", "rc-code": "1", "operation": "monitor"}, False),  # of two with one call-id
        ({**START, "call-id": "9", "operation": "stop"}, False),
        ({**START, "call-id": "9", "operation": "migrate_to"}, False),
        ({**MONITOR, "id": "x", "call-id": "-1", "op-status": "-1", "rc-code": "193"}, True),
    ],
)
def test_the_last_operation_decides(last: dict[str, str], member: bool) -> None:
    history = etree.Element("lrm_resource", id="cmp1")
    etree.SubElement(history, "lrm_rsc_op", WORKED)
    etree.SubElement(history, "lrm_rsc_op", {"last-rc-change": "300", **last})
    for in_ccm, counts in (("1", True), ("true", True), ("0", False), ("false", False)):
        state = etree.Element("node_state", uname="ctl1", in_ccm=in_ccm)
        etree.SubElement(etree.SubElement(state, "lrm"), "lrm_resources").append(history)
        assert cib_operations.connected([history], 299) is (member and counts)
        assert not cib_operations.connected([history], 300)


def test_a_history_without_an_operation_says_nothing() -> None:
    state = etree.fromstring(
        '<node_state in_ccm="1"><lrm><lrm_resources><lrm_resource/></lrm_resources></lrm></node_state>'
    )
    assert not cib_operations.connected(list(state.iter("lrm_resource")), 0)


def test_of_a_member_in_ccm_tells_both() -> None:
    """Only remotes have node_fenced: a host that runs the whole of Pacemaker is away when corosync says so."""
    here, gone = Node("ctl1", remote=False, member=True), Node("ctl1", remote=False)
    assert (here.away, gone.away) == (False, True)
    assert not replace(gone, remote=True).away
    for in_ccm, out in (("0", True), ("false", True), ("1796028384", False), ("true", False)):
        root = etree.fromstring(
            f'<cib have-quorum="1"><configuration><nodes/></configuration><status><node_state uname="cmp1" in_ccm="{in_ccm}"/>'
            "</status></cib>"
        )
        assert may_be_recorded(root) is out


@pytest.mark.parametrize(
    ("remote", "in_ccm", "counts"), [("true", "0", True), ("false", "0", False), ("false", "1", True)]
)
def test_what_runs_on_a_remote_counts_whatever_in_ccm_says(remote: str, in_ccm: str, counts: bool) -> None:
    op = '<lrm_rsc_op operation="start" call-id="3" rc-code="0" op-status="0" interval="0" last-rc-change="300"/>'
    root = etree.fromstring(
        f'<cib><status><node_state uname="x" remote_node="{remote}" in_ccm="{in_ccm}"><lrm><lrm_resources>'
        f'<lrm_resource id="muster">{op}</lrm_resource></lrm_resources></lrm></node_state></status></cib>'
    )
    assert cib_operations.active(root, "muster") == ({"x": 300} if counts else {})
