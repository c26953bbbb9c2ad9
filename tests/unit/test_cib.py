# SPDX-License-Identifier: Apache-2.0
"""C1, C10, E3: the CIB read into facts, what is written into it, and what is no CIB."""

from __future__ import annotations

import pytest
from lxml import etree

from muster.core.cluster_facts import LATEST, Phase, Record
from muster.core.errors import ClusterError
from muster.gateways.nova.parsing import iso
from muster.gateways.pacemaker import cib, cib_operations, cib_writes


def document(nodes: str = "", status: str = "", quorum: str = "1", resources: str = "", constraints: str = "") -> bytes:
    remote = '<primitive id="cmp1" class="ocf" provider="pacemaker" type="remote"/>'
    return (
        f'<cib have-quorum="{quorum}"><configuration><nodes><node id="1" uname="ctl1"/>{nodes}</nodes>'
        f"<resources>{remote}{resources}</resources><constraints>{constraints}</constraints></configuration><status>{status}</status></cib>"
    ).encode()


def attributes(node: str, **values: str) -> str:
    pairs = "".join(f'<nvpair id="{node}-{k}" name="{k.replace("_", "-")}" value="{v}"/>' for k, v in values.items())
    return (
        f'<node id="{node}" type="remote" uname="{node}"><instance_attributes id="n-{node}">{pairs}'
        f"</instance_attributes></node>"
    )


def look(**parts: str) -> cib.Cluster:
    return cib.cluster(cib.parse(document(**parts)), "ctl1", "muster")


def test_reads_record_hold_and_fencing_of_a_remote() -> None:
    seen = look(
        nodes=attributes("cmp1", muster="fenced:100:200", muster_hold="1"),
        status='<node_state uname="cmp1" remote_node="true" in_ccm="false" node_fenced="200"/>',
    )
    node = seen.nodes["cmp1"]
    assert (node.remote, node.member, node.fenced_at, node.hold) == (True, False, 200, True)
    assert node.record == Record(Phase.FENCED, 100, 200)
    assert seen.quorum


def test_a_pause_goes_into_the_resources_own_set_and_into_none_of_its_template() -> None:
    worker = '<primitive id="muster" class="ocf" provider="muster" type="ComputeRecovery">{}</primitive>'
    template = '<template id="t"><meta_attributes id="of-t"/></template>'
    for own, ident in (("", "muster-meta_attributes"), ('<meta_attributes id="own"/>', "own")):
        root = cib.parse(document(resources=template + worker.format(own).replace(" id", ' template="t" id', 1)))
        assert f'<meta_attributes id="{ident}"><nvpair' in cib_writes.paused_fragment(root, "muster", "joe")


def test_reads_what_is_shown_of_a_host_and_what_each_controller_announces() -> None:
    def state(node: str, name: str, value: str) -> str:
        pair = f'<nvpair id="s-{node}" name="{name}" value="{value}"/>'
        inner = f"<transient_attributes><instance_attributes>{pair}</instance_attributes></transient_attributes>"
        return f'<node_state uname="{node}">{inner}</node_state>'

    status = state("cmp1", "muster-status", "blocked 0/3") + state("ctl1", "muster-version", "1.2")
    seen = look(status=status)
    assert (seen.nodes["cmp1"].shown, seen.nodes["ctl1"].shown) == ("blocked 0/3", "")
    assert cib.announced(cib.parse(document(status=status)), "muster-version") == {"ctl1": "1.2"}


@pytest.mark.parametrize(
    ("in_ccm", "member"), [("true", True), ("1795532627", True), ("false", False), ("0", False), ("", False)]
)
def test_reads_membership_of_old_and_new_pacemaker(in_ccm: str, member: bool) -> None:
    status = f'<node_state uname="cmp1" remote_node="true" in_ccm="{in_ccm}"/>'
    assert look(status=status).nodes["cmp1"].member is member


LOST = '<lrm_rsc_op operation="monitor" interval="2000" rc-code="1" op-status="4" last-rc-change="300"/>'
WORKS = '<lrm_rsc_op operation="monitor" interval="2000" rc-code="0" op-status="0" last-rc-change="{}"/>'
BACK = '<lrm_rsc_op operation="start" interval="0" rc-code="0" op-status="0" last-rc-change="400"/>'
STOP = '<lrm_rsc_op operation="stop" interval="0" rc-code="0" op-status="0" last-rc-change="301"/>'
NO_START = '<lrm_rsc_op operation="start" interval="0" rc-code="1" op-status="2" last-rc-change="500"/>'
UNDER_WAY = '<lrm_rsc_op operation="monitor" interval="2000" rc-code="193" op-status="-1" last-rc-change="600"/>'


@pytest.mark.parametrize(
    ("operations", "in_ccm", "lost"),
    [
        (LOST, "false", 300),
        (WORKS.format(100) + LOST, "false", 300),
        (LOST + NO_START + UNDER_WAY, "false", 300),
        (LOST + STOP, "false", 300),
        (LOST + BACK, "false", 0),
        (WORKS.format(100) + NO_START, "false", 0),
        (LOST, "true", 0),
        ("", "false", 0),
    ],
)
def test_knows_when_pacemaker_lost_a_remote_as_long_as_that_is_away(operations: str, in_ccm: str, lost: int) -> None:
    """As Pacemaker 2.1.5 leaves it on the controller that held the connection; it forgets it at the return."""
    history = f'<lrm><lrm_resources><lrm_resource id="cmp1">{operations}</lrm_resource></lrm_resources></lrm>'
    status = (
        f'<node_state uname="ctl1" in_ccm="true">{history}</node_state>'
        f'<node_state uname="cmp1" remote_node="true" in_ccm="{in_ccm}" node_fenced="305"/>'
    )
    nodes = look(nodes=attributes("cmp1") + attributes("cmp2"), status=status).nodes
    assert (nodes["cmp1"].lost_at, nodes["cmp2"].lost_at) == (lost, 0)


@pytest.mark.parametrize(
    ("resource", "operation", "interval", "code", "found"),
    [
        ("nova-compute", "monitor", "0", "0", 300),
        ("nova-compute:1", "monitor", "0", "0", 300),
        ("nova-compute", "monitor", "0", "7", 0),
        ("nova-compute", "monitor", "10000", "0", 0),
        ("nova-compute", "start", "0", "0", 0),
        ("nova-compute", "stop", "0", "0", 300),
        ("nova-compute", "stop", "0", "1", 0),
        ("libvirt", "monitor", "0", "0", 0),
    ],
)
def test_knows_when_what_is_kept_away_was_found_running(
    resource: str, operation: str, interval: str, code: str, found: int
) -> None:
    """C3: a probe that finds nova-compute after the fencing tells that the host was not off."""
    clone = '<clone id="nc"><primitive id="nova-compute" class="systemd"/></clone><primitive id="libvirt"/>'
    rule = (
        '<rsc_location rsc="nc"><rule><expression attribute="muster-hold" operation="defined"/></rule></rsc_location>'
    )
    given = f'operation="{operation}" interval="{interval}" rc-code="{code}"'
    op = f'<lrm_rsc_op {given} op-status="0" last-rc-change="300"/>'
    history = f'<lrm><lrm_resources><lrm_resource id="{resource}">{op}</lrm_resource></lrm_resources></lrm>'
    status = f'<node_state uname="cmp1" remote_node="true" in_ccm="true">{history}</node_state>'
    node = look(status=status, resources=clone, constraints=rule).nodes["cmp1"]
    assert node.found_running == found
    assert node.probed_running == (0 if operation == "stop" else found)
    assert look(status=status, resources=clone).nodes["cmp1"].found_running == 0


@pytest.mark.parametrize(
    ("held", "named"),
    [(("nc",), "nc"), (("nova-compute",), "nc"), (("nc", "libvirt"), ""), ((), "")],
)
def test_knows_by_name_what_to_restart(held: tuple[str, ...], named: str) -> None:
    """What a reason says is typed as it stands."""
    resources = '<clone id="nc"><primitive id="nova-compute" class="systemd"/></clone><primitive id="libvirt"/>'
    rule = (
        '<rsc_location rsc="{}"><rule><expression attribute="muster-hold" operation="defined"/></rule></rsc_location>'
    )
    seen = look(resources=resources, constraints="".join(map(rule.format, held)))
    assert (seen.resource, seen.nova_compute) == ("muster", named)


@pytest.mark.parametrize("value", ["fenced:soon", "dead:100:200", "fenced:0:200", "fenced:200:100", "fenced:100", ""])
def test_a_record_that_cannot_be_read_is_not_none(value: str) -> None:
    node = look(nodes=attributes("cmp1", muster=value)).nodes["cmp1"]
    assert (node.record, node.unreadable_record) == (None, value or "empty")


def test_two_values_are_a_doubt() -> None:
    twice = attributes("cmp1", muster="fenced:1:1").replace("</node>", "") + (
        '<instance_attributes id="x"><nvpair id="x1" name="muster" value="closed:1:1"/></instance_attributes></node>'
    )
    assert "closed:1:1 and fenced:1:1" in look(nodes=twice).nodes["cmp1"].unreadable_record


def test_quorum_is_only_what_says_so() -> None:
    assert not look(quorum="0").quorum
    assert not look(quorum="").quorum


def operation(kind: str, call: int, code: int, status: int = 0, interval: int = 0, at: int = 0) -> str:
    given = f'call-id="{call}" rc-code="{code}" op-status="{status}" interval="{interval}" last-rc-change="{at}"'
    return f'<lrm_rsc_op id="{kind}{call}" operation="{kind}" {given}/>'


@pytest.mark.parametrize(
    ("history", "active"),
    [
        (operation("monitor", 5, 7), False),
        (operation("monitor", -1, 193, -1), False),
        (operation("monitor", 5, 5, 7), False),
        (operation("monitor", 7, 5, 7, interval=10000), True),
        (operation("start", 6, 0), True),
        (operation("start", 6, 0) + operation("monitor", 7, 0), True),
        (operation("monitor", 7, 0) + operation("stop", 9, 0), False),
        (operation("monitor", 7, 0) + operation("stop", 9, 1), True),
        (operation("monitor", 5, 7) + operation("start", -1, 193, -1), True),
        (operation("stop", 9, 0) + operation("start", 10, 0), True),
        ("", False),
    ],
)
def test_knows_where_the_resource_is_active(history: str, active: bool) -> None:
    def state(node: str, member: str) -> str:
        return (
            f'<node_state uname="{node}" in_ccm="{member}"><lrm id="{node}"><lrm_resources>'
            f'<lrm_resource id="muster">{history}</lrm_resource></lrm_resources></lrm></node_state>'
        )

    assert look(status=state("ctl1", "true")).active_here is active
    assert look(status=state("ctl2", "true")).active_elsewhere == (("ctl2",) if active else ())
    assert look(status=state("ctl2", "false")).active_elsewhere == ()


@pytest.mark.parametrize(
    ("history", "since", "started"),
    [
        (operation("start", 6, 0, at=60) + operation("monitor", 7, 0, interval=10000, at=70), 60, 60),
        (operation("monitor", 5, 7, at=50) + operation("start", -1, 193, -1, at=60), 60, 0),
        (operation("monitor", 5, 0, at=50) + operation("monitor", 7, 0, interval=10000, at=70), 50, 0),
        (operation("start", 6, 0, at=60) + operation("stop", 9, 1, at=90), 60, 60),
        (operation("start", 6, 0), 0, 0),
    ],
)
def test_knows_since_when_it_is_active(history: str, since: int, started: int) -> None:
    resource = f'<lrm_resource id="muster">{history}</lrm_resource>'
    state = f'<node_state uname="ctl1" in_ccm="true"><lrm><lrm_resources>{resource}</lrm_resources></lrm></node_state>'
    seen = cib.parse(f"<cib><status>{state}</status></cib>".encode())
    assert cib_operations.active(seen, "muster") == {"ctl1": since}
    assert cib_operations.started(seen, "muster", ["ctl1"]) == started
    assert cib_operations.started(seen, "other", ["ctl1"]) == cib_operations.started(seen, "muster", ["ctl2"]) == 0


@pytest.mark.parametrize("crmd", ["online", "1700000000"])
def test_where_a_probe_is_not_back_it_is_not_known_whether_it_runs(crmd: str) -> None:
    """E16: measured after ``crm_resource --refresh``, 2.1.5 to 3.0.3: what was known is gone at once."""
    asked, told = operation("monitor", -1, 193, -1), operation("monitor", 5, 7)
    up = f'in_ccm="true" crmd="{crmd}"'
    states = {
        "ctl1": (up, f'<lrm_resource id="muster">{asked}</lrm_resource>'),
        "ctl2": (up, f'<lrm_resource id="muster">{told}</lrm_resource>'),
        "ctl3": (up, f'<lrm_resource id="other">{told}</lrm_resource>'),
        "ctl4": ('in_ccm="true" crmd="offline"', ""),
        "ctl5": ('in_ccm="false" crmd="offline"', ""),
        "cmp1": (f'remote_node="true" {up}', ""),
    }
    status = "".join(
        f'<node_state uname="{name}" {given}><lrm><lrm_resources>{inner}</lrm_resources></lrm></node_state>'
        for name, (given, inner) in states.items()
    )
    seen = cib.parse(f"<cib><status>{status}</status></cib>".encode())
    assert list(cib_operations.unasked(seen, "muster")) == ["ctl1", "ctl3"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<cib>",
        b"<status/>",
        b"Connection to the CIB manager failed",
        b'<!DOCTYPE cib [<!ENTITY a "b">]><cib>&a;</cib>',
        b'<!DOCTYPE cib [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><cib>&b;</cib>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_not_a_cib_is_an_error_and_nothing_else(text: bytes) -> None:
    with pytest.raises(ClusterError):
        cib.parse(text)


def test_writes_record_and_hold_in_one_fragment() -> None:
    nodes = etree.fromstring(cib_writes.record_fragment("cmp1.a", "cmp1.a", "remote", "fenced:1:1"))
    assert {p.get("name"): p.get("value") for p in nodes.iter("nvpair")} == {"muster": "fenced:1:1", "muster-hold": "1"}
    assert nodes.find("node").get("uname") == "cmp1.a"


@pytest.mark.parametrize(
    ("in_ccm", "away"), [("true", False), ("1795532627", False), ("false", True), ("0", True), ("", True)]
)
def test_a_record_of_a_host_that_is_away_is_written_of_no_other(in_ccm: str, away: bool) -> None:
    """C2: one that has joined meanwhile is not recorded as fenced."""
    status = f'<node_state uname="cmp1" in_ccm="{in_ccm}"/><node_state uname="cmp2" in_ccm="true"/>'
    tree = cib.parse(document(status=status)).getroottree()
    assert bool(tree.xpath(cib_writes.nodes_where_away("cmp1", None))) is away
    assert tree.xpath(cib_writes.nodes_where("cmp1", None))
    assert not tree.xpath(cib_writes.nodes_where_away("cmp1", "fenced:1:1"))


@pytest.mark.parametrize(("quorum", "written"), [("1", True), ("0", False), ("", False)])
def test_nothing_is_written_or_removed_without_quorum(quorum: str, written: bool) -> None:
    """C10: the condition stands in the write itself."""
    nodes = attributes("cmp1", muster="fenced:1:1", **{"muster-orders": "1 approve"})
    root = cib.parse(document(nodes=nodes, status='<node_state uname="cmp2" remote_node="true" node_fenced="200"/>'))
    root.set("have-quorum", quorum)
    for where in (
        cib_writes.nodes_where("cmp1", "fenced:1:1"),
        cib_writes.nodes_where_away("cmp2", None),
        cib_writes.record_where("cmp1", "fenced:1:1"),
        cib_writes.orders_nodes_where("cmp1", "fenced:1:1", "1 approve"),
        cib_writes.orders_where("cmp1", "fenced:1:1"),
    ):
        assert bool(root.getroottree().xpath(where)) is written, where


def test_a_name_cannot_break_out_of_the_xpath() -> None:
    where = cib_writes.record_where("x']|//nvpair['", "fenced:1:1")
    root = cib.parse(document(nodes=attributes("cmp1", muster="fenced:1:1")))
    assert root.getroottree().xpath(where) == []
    with pytest.raises(ClusterError):
        cib_writes.record_where("""x'"y""", "fenced:1:1")


def test_only_nodes_that_exist_have_an_id() -> None:
    root = cib.parse(document())
    assert cib.node_id(root, "cmp1") == ("cmp1", "remote")
    assert cib.node_id(root, "ctl1") == ("1", "member")
    assert cib.node_id(root, "cmp9") is None


def test_knows_what_pacemaker_has_under_way() -> None:
    pending = '<lrm_rsc_op operation="{}" op-status="-1" rc-code="193"/>'
    operations = pending.format("start") + pending.format("monitor") + LOST
    history = f'<lrm><lrm_resources><lrm_resource id="cmp1">{operations}</lrm_resource></lrm_resources></lrm>'
    document_ = cib.parse(document(status=f'<node_state uname="ctl3" in_ccm="true">{history}</node_state>'))
    assert cib_operations.under_way(document_) == ["start of cmp1 on ctl3"]


def test_a_fencing_in_a_year_that_no_calendar_has_ends_nothing() -> None:
    """E3: what is recorded of it can be read, and is dated anew."""
    status = '<node_state uname="cmp1" remote_node="true" in_ccm="false" node_fenced="999999999999"/>'
    seen = look(nodes=attributes("cmp1"), status=status).nodes["cmp1"]
    assert (seen.fenced_at, Record(Phase.CONFIRMED, seen.fenced_at, seen.fenced_at).last) == (LATEST, LATEST)
    assert iso(float(seen.fenced_at) + 60.0) == "9999-12-31T23:59:59Z"
