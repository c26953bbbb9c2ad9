# SPDX-License-Identifier: Apache-2.0
"""C20, C22: which nodes of a CIB are computes, and which of Pacemaker's fencings of them prove nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Optional

import pytest

from muster.agents import fence
from muster.cli import status
from muster.cli.remedies import Failed
from muster.cli.view import Seen, view
from muster.core.cluster_facts import Cluster, Node, Record
from muster.core.decide import computes, decide
from muster.core.errors import ClusterRefused
from muster.core.past_incidents import Past, PastIncident
from muster.core.sight import Sight
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.cluster import Pacemaker
from muster.gateways.pacemaker.command import Result
from muster.installation.fencing_topology import MENDED, UNPROVED
from muster.installation.installed import Resource
from muster.reporting import report
from muster.reporting.documents import Heard
from tests.fakes import settings

REMOTES = "".join(
    f'<primitive id="{n}" class="ocf" provider="pacemaker" type="remote"/>' for n in ("cmp1", "cmp2", "db1")
)
GUEST = """<primitive id="vm" class="ocf" provider="heartbeat" type="VirtualDomain"><meta_attributes id="vm-m">
  <nvpair id="vm-r" name="remote-node" value="guest1"/></meta_attributes></primitive>"""
POWER = '<primitive id="pdu" class="stonith" type="fence_apc"/>'
LEVELS = '<fencing-level id="l" index="1" target-pattern="." devices="pdu,rec"/>'
FENCED_AT = 1_796_000_000


def recorder(**given: str) -> str:
    pairs = "".join(f'<nvpair id="r-{name}" name="{name}" value="{value}"/>' for name, value in given.items())
    attributes = f'<instance_attributes id="r-a">{pairs}</instance_attributes>'
    return f'<primitive id="rec" class="stonith" type="fence_muster">{attributes}</primitive>'


def worker(host_map: str) -> str:
    pair = f'<nvpair id="w-h" name="host_map" value="{host_map}"/>'
    attributes = f'<instance_attributes id="w-a">{pair}</instance_attributes>'
    return f'<primitive id="muster" class="ocf" provider="muster" type="ComputeRecovery">{attributes}</primitive>'


def document(resources: str, status: str = "", options: str = "", levels: str = LEVELS, quorum: int = 1) -> bytes:
    bundle = '<node_state id="b" uname="galera-bundle-0" remote_node="true" in_ccm="true"/>'
    return f"""<cib have-quorum="{quorum}"><configuration><crm_config>{options}</crm_config>
      <nodes><node id="1" uname="ctl1"/><node id="2" uname="member1"/></nodes>
      <resources>{REMOTES}{GUEST}{POWER}{resources}</resources><fencing-topology>{levels}</fencing-topology>
      </configuration><status>{bundle}{status}</status></cib>""".encode()


def seen(resources: str, **parts: str) -> dict[str, Node]:
    return dict(cib.cluster(cib.parse(document(resources, **parts)), "ctl1", "muster").nodes)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ("", {"cmp1", "cmp2", "db1"}),
        (recorder(), {"cmp1", "cmp2", "db1"}),
        (recorder(pcmk_host_list="CMP1 cmp2 nobody"), {"cmp1", "cmp2"}),
        (recorder(pcmk_host_map="cmp1:7;member1:8"), {"cmp1", "member1"}),
        (recorder(pcmk_host_list="cmp1", pcmk_host_check="none"), {"cmp1", "cmp2", "db1"}),
        (recorder(pcmk_host_list="cmp1", pcmk_host_check="dynamic-list"), {"cmp1", "cmp2", "db1"}),
        (recorder() + worker("db1:;cmp1:nova1"), {"cmp1", "cmp2"}),
        (recorder(pcmk_host_list="guest1 cmp1"), {"guest1", "cmp1"}),
        (recorder() + worker("db1:") + worker("").replace("muster", "other", 1), {"cmp1", "cmp2", "db1"}),
    ],
)
def test_a_compute_is_listed_by_musters_device_or_a_remote_of_its_own(resources: str, expected: set[str]) -> None:
    nodes = seen(resources)
    assert {"galera-bundle-0", "guest1"} < nodes.keys()
    assert {name for name, node in nodes.items() if node.compute} == expected


def test_a_percentage_is_of_the_computes() -> None:
    nodes = seen(recorder(pcmk_host_list="cmp1 cmp2"))
    assert computes(Cluster(True, "ctl1", nodes), settings()) == 2
    assert computes(Cluster(True, "ctl1", nodes), settings(host_map="cmp2:")) == 1


class Tools:
    """cibadmin and stonith_admin."""

    def __init__(self, cib: bytes, history: Optional[str] = None) -> None:
        self.cib, self.history = cib, history
        self.calls: list[str] = []

    def __call__(self, argv: Sequence[str], timeout_s: float) -> Result:
        self.calls.append(" ".join(argv))
        if argv[0] == "stonith_admin":
            return Result(0 if self.history is not None else 1, f"<r>{self.history}</r>".encode(), "no fencer")
        return Result(0, self.cib, "")


def nothing_answers(server: str, port: int) -> bool:
    return False


def record(tools: Tools, node: str, now: int) -> Optional[Record]:
    return Pacemaker("", runner=tools).record_fencing(node, lambda: now, nothing_answers)


def test_the_fence_agent_records_nothing_of_what_is_no_compute() -> None:
    """C22: a bundle's node that a level by pattern reaches, too; but what it is asked for has to be proved all the same."""
    tools = Tools(document(recorder(pcmk_host_list="cmp1 cmp2")))
    for name in ("db1", "guest1", "galera-bundle-0"):
        assert fence.run({"action": "off", "plug": name}, Pacemaker("", runner=tools), nothing_answers) == 0
    assert {call.split()[1] for call in tools.calls} == {"--query"}
    for name in ("cmp1", "member1"):
        assert fence.run({"action": "off", "plug": name}, Pacemaker("", runner=tools), nothing_answers) == 0
        assert f'uname="{name}"' in tools.calls[-1]
    alone = Tools(document(recorder(pcmk_host_list="cmp1"), levels=LEVELS.replace("pdu,rec", "rec")))
    with pytest.raises(Exception, match="no device that cuts the power"):
        fence.run({"action": "off", "plug": "db1"}, Pacemaker("", runner=alone), nothing_answers)


def test_a_refusal_stands_until_the_fencing_that_it_was_part_of_is_over() -> None:
    """C13: seen on a real cluster: the device was mended between its call and that of the agent, and the record was
    written with the power on."""
    alone = Tools(document(recorder(), levels=LEVELS.replace("pdu,rec", "rec")))
    with pytest.raises(ClusterRefused, match="no device that cuts the power"):
        record(alone, "cmp1", FENCED_AT)
    assert alone.calls[-1] == f"attrd_updater --name muster-refused-cmp1 --update {FENCED_AT}"
    pair = f'<nvpair id="x" name="muster-refused-cmp1" value="{FENCED_AT}"/>'
    noted = f"<transient_attributes><instance_attributes>{pair}</instance_attributes></transient_attributes>"
    mended = document(recorder(), status=f'<node_state uname="ctl2">{noted}</node_state>')
    for now in (FENCED_AT - 59, FENCED_AT + 3, FENCED_AT + 59):
        tools = Tools(mended)
        with pytest.raises(ClusterRefused, match=r"refused cmp1 [0-9]+ s ago.*pcs stonith fence cmp1"):
            record(tools, "cmp1", now)
        assert len(tools.calls) == 1  # this one does not count as a refusal
    assert record(Tools(mended), "cmp1", FENCED_AT + 60) is not None
    assert record(Tools(mended), "cmp2", FENCED_AT + 3) is not None


# ----------------------------------------------------------- Pacemaker's own word


FENCED = f'<node_state id="cmp1" uname="cmp1" remote_node="true" in_ccm="false" node_fenced="{FENCED_AT}"/>'
WATCHDOG = """<cluster_property_set id="o"><nvpair id="o1" name="have-watchdog" value="true"/>
  <nvpair id="o2" name="stonith-watchdog-timeout" value="10"/></cluster_property_set>"""
SCSI = '<primitive id="scsi" class="stonith" type="fence_scsi"/>'
FABRIC = '<fencing-level id="l2" index="2" target="cmp1" devices="scsi"/>'


@pytest.mark.parametrize(
    ("resources", "parts", "word"),
    [
        (recorder(), {}, ""),
        (recorder() + SCSI, {"levels": LEVELS + FABRIC}, "level 2 of cmp1 has no device that cuts the power (scsi"),
        (SCSI, {"levels": ""}, "scsi (fence_scsi) cuts nobody's power"),
        ("", {"options": WATCHDOG}, "the host's own watchdog"),
        (recorder(power_agents="fence_watchdog"), {"options": WATCHDOG}, ""),
        (
            "",
            {"options": WATCHDOG.replace("<nvpair", "<rule id='r'/><nvpair", 1)},
            "a rule decides about its cluster_pr",
        ),
    ],
)
def test_knows_when_a_fencing_by_some_device_proves_nothing(resources: str, parts: dict[str, str], word: str) -> None:
    node = seen(resources, status=FENCED, **parts)["cmp1"]
    assert word in node.unproved
    assert bool(node.unproved) is bool(word)
    assert seen(resources, **parts)["cmp1"].unproved == ""
    back = FENCED.replace('in_ccm="false"', 'in_ccm="true"')
    assert seen(resources, status=back, **parts)["cmp1"].unproved == ""


@pytest.mark.parametrize("says", ["blocked: nothing proves that it is off", "on-hold: not proved to be off"])
def test_that_nothing_proved_it_off_outlives_an_upgrade(says: str) -> None:
    """C20: whoever follows doctor's advice must not evacuate a host that runs on."""
    pair = f'<nvpair id="x" name="muster-status" value="{says}"/>'
    noted = f"<transient_attributes><instance_attributes>{pair}</instance_attributes></transient_attributes>"
    status = FENCED.replace("/>", f">{noted}</node_state>")
    assert "repaired its fencing only after that" in seen(recorder(), status=status)["cmp1"].unproved


def test_what_fences_it_may_have_been_mended_since() -> None:
    """C20."""
    fabric, mended = (
        document(recorder() + SCSI, status=FENCED, levels=LEVELS + FABRIC),
        document(recorder(), status=FENCED),
    )
    tools = Tools(fabric, event("ctl2", AT))
    pacemaker = Pacemaker("ctl1", "muster", tools)
    assert "level 2 of cmp1" in pacemaker.look().nodes["cmp1"].unproved
    tools.cib = mended  # before anything that is shown has come into the CIB
    assert pacemaker.look().nodes["cmp1"].unproved == MENDED
    tools.history = event("a human", AT)
    assert pacemaker.look().nodes["cmp1"].confirmed_at == SECONDS
    tools.cib = mended.replace(str(FENCED_AT).encode(), str(FENCED_AT + 300).encode())  # fenced anew
    assert pacemaker.look().nodes["cmp1"].unproved == ""
    node = Node("cmp1", True, fenced_at=FENCED_AT, unproved="scsi")
    incident = decide(Sight(FENCED_AT + 5.0, Cluster(True, "ctl1", {"cmp1": node})), settings()).incidents["cmp1"]
    assert report.line(incident) == UNPROVED


def event(delegate: str, completed: str, status: str = "success", action: str = "off") -> str:
    return f'<fence_event action="{action}" status="{status}" delegate="{delegate}" completed="{completed}"/>'


AT, EARLIER = "2026-11-30 01:20:00 +00:00", "2026-11-29 23:20:00Z"
SECONDS = 1_796_001_600


@pytest.mark.parametrize(
    ("history", "confirmed_at"),
    [
        (event("a human", AT), SECONDS),
        (event("a human", "2026-11-30 02:20:00.123456 +01:00"), SECONDS),
        (event("ctl1", "", "failed") + event("ctl2", AT, action="on") + event("a human", AT), SECONDS),
        (event("ctl1", AT) + event("a human", EARLIER), 0),
        (event("a human", EARLIER), 0),
        (event("a human", "yesterday"), 0),
        (event("a human", AT, "pending"), 0),
        ("", 0),
        ("<", 0),
        (None, 0),
    ],
)
def test_an_operators_word_is_in_pacemakers_history(history: Optional[str], confirmed_at: int) -> None:
    """C20: asked only where the word of a device is not enough."""
    fabric = document(recorder() + SCSI, status=FENCED, levels=LEVELS + FABRIC)
    tools = Tools(fabric, history)
    pacemaker = Pacemaker("ctl1", "muster", tools)
    assert pacemaker.look().nodes["cmp1"].confirmed_at == confirmed_at
    assert tools.calls[-1] == "stonith_admin --history cmp1 -V --output-as=xml"
    assert pacemaker.last_fencing("cmp1") == {None: "", "": "", "<": ""}.get(history, pacemaker.last_fencing("cmp1"))
    sound = Tools(document(recorder(), status=FENCED), history)
    assert Pacemaker("ctl1", "muster", sound).look().nodes["cmp1"].confirmed_at == 0
    assert not any("stonith_admin" in call for call in sound.calls)


# ----------------------------------------------------------------- the hold rule


RULE = '<rule id="r" score="-INFINITY"><expression id="e" attribute="muster-hold" operation="defined"/></rule>'
CLONES = """<clone id="nova-compute-clone"><primitive id="nova-compute" class="systemd" type="openstack-nova-compute"/>
  </clone><clone id="libvirtd-clone"><primitive id="libvirtd" class="systemd" type="libvirtd"/></clone>"""
PROBED = """<node_state id="cmp1" uname="cmp1" remote_node="true" in_ccm="true"><lrm id="cmp1"><lrm_resources>
  <lrm_resource id="{}" class="systemd"><lrm_rsc_op operation="monitor" interval="0" rc-code="0" op-status="0"
  last-rc-change="2000"/></lrm_resource></lrm_resources></lrm></node_state>"""
TAG = '<tags><tag id="computes"><obj_ref id="nova-compute-clone"/></tag></tags>'


@pytest.mark.parametrize(
    ("constraint", "held"),
    [
        (f'<rsc_location id="l" rsc="nova-compute-clone">{RULE}</rsc_location>', True),
        (f'<rsc_location id="l" rsc="computes">{RULE}</rsc_location>', True),
        (f'<rsc_location id="l" rsc-pattern="^nova-compute">{RULE}</rsc_location>', True),
        (f'<rsc_location id="l" rsc-pattern="!^libvirtd">{RULE}</rsc_location>', True),
        (
            f'<rsc_location id="l"><resource_set id="s"><resource_ref id="nova-compute-clone"/></resource_set>{RULE}</rsc_location>',
            True,
        ),
        (
            f'<rsc_location id="l"><resource_set id="s"><resource_ref id="computes"/></resource_set>{RULE}</rsc_location>',
            True,
        ),
        (
            f'<rsc_location id="l" rsc="nova-compute-clone"><rule id-ref="r"/></rsc_location>'
            f'<rsc_location id="l2" rsc="other">{RULE}</rsc_location>',
            True,
        ),
        # A pattern is held against what stands outermost; one that does not compile makes Pacemaker ignore it all.
        (f'<rsc_location id="l" rsc-pattern="^nova-compute$">{RULE}</rsc_location>', False),
        (f'<rsc_location id="l" rsc-pattern="!(">{RULE}</rsc_location>', False),
        (f'<rsc_location id="l" rsc-pattern="^NOVA">{RULE}</rsc_location>', False),
        (f'<rsc_location id="l" rsc="nova-compute-clone"><lifetime>{RULE}</lifetime></rsc_location>', False),
    ],
)
def test_what_the_hold_keeps_away_is_what_its_rule_names(constraint: str, held: bool) -> None:
    """C3: a libvirtd that is found running is no nova-compute."""
    for name, expected in (("nova-compute", 2000 if held else 0), ("libvirtd", 0)):
        text = document(CLONES, status=PROBED.format(name)).replace(
            b"</resources>", f"</resources><constraints>{constraint}</constraints>{TAG}".encode()
        )
        cluster = cib.cluster(cib.parse(text), "ctl1", "muster")
        if name == "libvirtd" and "!^libvirtd" in constraint:
            expected = 0
        assert cluster.nodes["cmp1"].found_running == expected


# ------------------------------------------------------------------ what status says


def shown(resources: str, unclean: Sequence[str] = (), given: str = "", **parts: str) -> list[str]:
    root = cib.parse(document(resources, **parts))
    site = SimpleNamespace(snapshot=root, cluster=cib.cluster(root, "ctl1", "muster"))
    resource = Resource("muster", parameters={"host_map": given}, active_on=("ctl1",))
    refusals = status.refusals(site, unclean)  # type: ignore[arg-type]
    failed = [Failed(name, refusal=refusals.get(name, "")) for name in unclean]
    told = (Heard(), (), (), cib.unlisted(root), status.stayed_on(site))  # type: ignore[arg-type]
    seen = Seen(0.0, site.cluster, resource, failed, *told)
    return [f"{todo.about} {todo.what}" for todo in view(seen).todo]


def test_status_says_why_the_fence_agent_refuses() -> None:
    """C13: the agent says it into the log of whichever controller fences."""
    alone = LEVELS.replace("pdu,rec", "scsi,rec")
    (said,) = shown(recorder() + SCSI, ["cmp1"], levels=alone)
    assert "fence_muster refuses it: fencing level 1 of cmp1 is scsi,rec: no device that cuts the power" in said
    assert "scsi (fence_scsi) cuts nobody's power" in said
    assert said.endswith("would write to the same disks. Only then: pcs stonith confirm cmp1")
    (sound,) = shown(recorder(), ["cmp1"])
    assert "pcs stonith history show cmp1" in sound
    # Of a controller it refuses nothing: it is not called for one.
    (other,) = shown(recorder(), ["ctl1"])
    assert "pcs stonith history show ctl1" in other


def answered(at: float) -> str:
    """What a controller's fence agent has noted."""
    pair = f'<nvpair id="x" name="muster-answered-cmp1" value="{int(at)}"/>'
    noted = f"<transient_attributes><instance_attributes>{pair}</instance_attributes></transient_attributes>"
    return f'<node_state uname="ctl2">{noted}</node_state>'


LIE = "a power device called cmp1 off, but cmp1 or another machine at its address still accepted connections"


def test_status_tells_of_a_power_device_that_lies() -> None:
    """C24: whether Pacemaker counts the host as failed or an operator has fenced it."""
    now = time.time()
    (failed,) = shown(recorder(), ["cmp1"], status=answered(now - 4000))
    assert f"fence_muster refuses it: {LIE}, 1 h 6 min ago. Repair the power device or its wiring, then: pcs" in failed
    (said,) = shown(recorder(), status=answered(now - 20))
    assert said.startswith(f"cmp1 {LIE}, at ")
    assert said.endswith("take the note back: attrd_updater --name muster-answered-cmp1 --delete --node ctl2")
    assert shown(recorder(), status=answered(now - 3601)) == []
    assert shown(recorder(), status=answered(now - 20).replace("cmp1", "db9")) == []


def test_status_says_no_more_that_a_host_was_up_once_it_was_fenced_or_confirmed() -> None:
    """C24: its record is gone when it is back."""
    now = time.time()
    fenced = FENCED.replace(str(FENCED_AT), str(int(now) - 10))
    assert not any(LIE in line for line in shown(recorder(), status=answered(now - 20) + fenced))
    root = cib.parse(document(recorder(), status=answered(now - 20)))
    node = Node("cmp1", True, past=Past((PastIncident(int(now) - 10, int(now)),)))
    site = SimpleNamespace(snapshot=root, cluster=Cluster(True, "ctl1", {"cmp1": node}))
    assert status.stayed_on(site) == {}  # type: ignore[arg-type]
    site.cluster.nodes["cmp1"] = replace(node, past=None)
    assert set(status.stayed_on(site)) == {"cmp1"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "proved"), [("", False), ("pdu", False), ("pdu2", True), ("pdu,rec", False), ("pdu2,rec", False)]
)
def test_a_level_without_the_agent_does_not_outvote_what_it_has_found(second: str, proved: bool) -> None:
    """C24: the device that lied is called once more, and Pacemaker takes its word."""
    level = f'<fencing-level id="l2" index="2" target="cmp1" devices="{second}"/>' if second else ""
    pdu2 = '<primitive id="pdu2" class="stonith" type="fence_apc"/>'
    parts = {"levels": LEVELS + level, "status": FENCED + answered(FENCED_AT - 3)}
    node = seen(recorder() + pdu2, **parts)["cmp1"]
    assert node.unproved == ("" if proved else LIE)
    before = seen(recorder() + pdu2, **{**parts, "status": FENCED + answered(FENCED_AT - 700)})["cmp1"]
    assert before.unproved == ""


def test_status_asks_about_a_fenced_remote_that_nobody_lists() -> None:
    """C22: it may be a compute that was forgotten."""
    fenced = FENCED.replace("cmp1", "db1")
    (said,) = shown(recorder(pcmk_host_list="cmp1 cmp2"), status=fenced)
    assert said.startswith("db1 was fenced, but muster evacuates nothing from it")
    assert said.endswith("pcs resource update muster host_map=db1:")
    (more,) = shown(recorder(pcmk_host_list="cmp1 cmp2"), status=fenced, given="cmp1:nova1")
    assert more.endswith("host_map='cmp1:nova1;db1:'")
    assert shown(recorder(pcmk_host_list="cmp1 cmp2") + worker("db1:"), status=fenced) == []
    bundle = FENCED.replace("cmp1", "galera-bundle-0")
    assert shown(recorder(pcmk_host_list="cmp1 cmp2"), status=bundle) == []
