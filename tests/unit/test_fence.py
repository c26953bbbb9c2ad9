# SPDX-License-Identifier: Apache-2.0
"""fence_muster by FenceAgentAPI: how it is called, and what it exits with."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from muster.agents import fence
from muster.core.errors import ClusterError, ClusterRefused
from muster.gateways.pacemaker.cluster import NOTHING_MATCHED, Pacemaker
from muster.gateways.pacemaker.command import Result

CIB = """<cib have-quorum="{quorum}"><configuration><nodes>{nodes}</nodes><resources>
  <primitive id="cmp1" class="ocf" provider="pacemaker" type="remote"/>
  <primitive id="pdu" class="stonith" type="fence_apc"/><primitive id="rec" class="stonith" type="fence_muster"/>
  </resources><fencing-topology><fencing-level id="l" index="1" target="cmp1" devices="pdu,rec"/></fencing-topology>
  </configuration><status/></cib>"""


class Tools:
    """Stands for cibadmin: gives the CIBs in turn, and notes the writes."""

    def __init__(self, *documents: str, codes: Sequence[int] = (0,)) -> None:
        self.documents = list(documents)
        self.codes = list(codes)
        self.writes: list[list[str]] = []

    def __call__(self, argv: Sequence[str], timeout_s: float) -> Result:
        if "--query" in argv:
            document = self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]
            return Result(0, document.encode(), "")
        self.writes.append(list(argv))
        return Result(self.codes.pop(0) if len(self.codes) > 1 else self.codes[0], b"", "")


def cib(record: str = "", quorum: int = 1) -> str:
    pair = f'<nvpair id="r" name="muster" value="{record}"/>' if record else ""
    node = f'<node id="cmp1" type="remote" uname="cmp1"><instance_attributes id="i">{pair}</instance_attributes></node>'
    return CIB.format(quorum=quorum, nodes=node if record else "")


def run(tools: Tools, action: str, plug: str = "cmp1") -> int:
    return fence.run({"action": action, "plug": plug}, Pacemaker("", runner=tools))


@pytest.mark.parametrize(
    ("stdin", "plug"),
    [
        ("action=off\nport=cmp1\nnodename=cmp1\nunknown=x\n", "cmp1"),
        ("# a comment\naction = off\nplug= cmp1 \n", "cmp1"),
        ("option=off\nnodename=cmp1\nnonsense\n", "cmp1"),
        ("action=off\nplug=a=b\n", "a=b"),
        ("action=off\nplug=rack7-3\nport=rack7-3\nnodename=cmp1\npower_agents=fence_mine\n", "cmp1"),
    ],
)
def test_reads_what_pacemaker_sends(stdin: str, plug: str) -> None:
    """C13: with a pcmk_host_map the plug is not the node's name."""
    assert fence.read_options([], io.StringIO(stdin)) == {"action": "off", "plug": plug}


@pytest.mark.parametrize("argv", [["-o", "off", "-n", "cmp1"], ["--action=off", "--plug=cmp1"], ["--port", "cmp1"]])
def test_reads_options(argv: list[str]) -> None:
    assert fence.read_options(argv, io.StringIO("action=on")) == {"action": "off", "plug": "cmp1"}


def test_an_unknown_option_exits_1_for_2_would_mean_off() -> None:
    with pytest.raises(SystemExit) as caught:
        fence.read_options(["--power"], io.StringIO())
    assert caught.value.code == 1


def test_off_records_under_quorum_in_one_guarded_write() -> None:
    tools = Tools(cib())
    assert run(tools, "off") == 0
    (write,) = tools.writes
    assert "[@have-quorum='1']" in write[write.index("--xpath") + 1]
    assert 'value="fenced:' in write[-1]
    assert 'name="muster-hold"' in write[-1]


def test_off_goes_on_with_an_open_incident() -> None:
    """C14."""
    tools = Tools(cib("evacuating:100:100"))
    assert run(tools, "off") == 0
    assert 'value="evacuating:100:' in tools.writes[0][-1]


def test_off_during_the_return_begins_a_new_incident() -> None:
    """D6."""
    tools = Tools(cib("returning:100:100"))
    assert run(tools, "off") == 0
    assert 'value="fenced:' in tools.writes[0][-1]
    assert 'value="fenced:100:' not in tools.writes[0][-1]


def test_off_is_repeated_when_the_worker_was_faster() -> None:
    tools = Tools(cib("returning:100:100"), cib(), codes=[NOTHING_MATCHED, 0])
    assert run(tools, "off") == 0
    assert len(tools.writes) == 2
    assert "not(" in tools.writes[1][tools.writes[1].index("--xpath") + 1]


def test_off_without_quorum_writes_nothing() -> None:
    """C10."""
    tools = Tools(cib(quorum=0))
    with pytest.raises(ClusterRefused, match="quorum"):
        run(tools, "off")
    assert tools.writes == []


def test_off_does_not_overwrite_what_it_cannot_read() -> None:
    tools = Tools(cib("somebody's"))
    with pytest.raises(ClusterRefused, match="crm_attribute"):
        run(tools, "off")
    assert tools.writes == []


def test_off_is_a_failure_when_the_write_fails() -> None:
    with pytest.raises(ClusterError):
        run(Tools(cib(), codes=[1]), "off")


def test_off_of_a_node_that_does_not_exist() -> None:
    with pytest.raises(ClusterRefused, match="cmp9"):
        run(Tools(cib()), "off", "cmp9")


@pytest.mark.parametrize(
    ("record", "code"), [("", fence.ON), ("fenced:1:1", fence.OFF), ("returning:1:1", fence.OFF), ("closed:1:1", 0)]
)
def test_status_is_what_is_on_record(record: str, code: int) -> None:
    assert run(Tools(cib(record)), "status") == code


def test_on_changes_nothing() -> None:
    tools = Tools(cib("fenced:1:1"))
    assert run(tools, "on") == 0
    assert tools.writes == []


def test_lists_the_computes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Tools(cib()), "list") == 0
    assert capsys.readouterr().out == "cmp1,\n"


@pytest.mark.parametrize(("action", "plug"), [("off", ""), ("nonsense", "cmp1"), ("status", "cmp9")])
def test_what_cannot_be_done_exits_1_with_a_reason(action: str, plug: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Tools(cib()), action, plug) == 1
    assert capsys.readouterr().err.startswith("fence_muster: ")
