# SPDX-License-Identifier: Apache-2.0
"""fence_muster by FenceAgentAPI: how it is called, and what it exits with."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Sequence
from typing import NoReturn, Optional

import pytest

from muster.agents import fence
from muster.core.errors import ClusterError, ClusterRefused
from muster.gateways import remote_port
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


class Network:
    """Where a host that lives accepts connections."""

    def __init__(self, up: bool = False) -> None:
        self.up = up
        self.asked: list[tuple[str, int]] = []

    def stays_up(self, server: str, port: int) -> Optional[bool]:
        self.asked.append((server, port))
        return self.up


def run(tools: Tools, action: str, plug: str = "cmp1", network: Optional[Network] = None) -> int:
    return fence.run({"action": action, "plug": plug}, Pacemaker("", runner=tools), (network or Network()).stays_up)


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
    """C10: nor does it ask anybody."""
    tools, network = Tools(cib(quorum=0)), Network(up=True)
    with pytest.raises(ClusterRefused, match="quorum"):
        run(tools, "off", network=network)
    assert (tools.writes, network.asked) == ([], [])


def connection(document: str, **given: str) -> str:
    """With these parameters of the remote's connection."""
    pairs = "".join(f'<nvpair id="{name}" name="{name}" value="{value}"/>' for name, value in given.items())
    plain = '<primitive id="cmp1" class="ocf" provider="pacemaker" type="remote"'
    assert f"{plain}/>" in document
    return document.replace(
        f"{plain}/>", f'{plain}><instance_attributes id="a">{pairs}</instance_attributes></primitive>'
    )


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, ("cmp1", 3121)),
        ({"server": "10.0.0.7", "port": "3122"}, ("10.0.0.7", 3122)),
        ({"addr": "10.0.0.7"}, ("10.0.0.7", 3121)),
        ({"server": "cmp1.ring", "reconnect_interval": "60", "port": "x"}, ("cmp1.ring", 3121)),
    ],
)
@pytest.mark.parametrize("record", ["", "evacuating:100:100"])
def test_off_of_a_host_that_still_accepts_connections_is_refused(
    given: dict[str, str], asked: tuple[str, int], record: str
) -> None:
    """C24: its nova-compute may have been stopped before Pacemaker counts it as fenced, so nothing else would tell."""
    tools, network = Tools(connection(cib(record), **given)), Network(up=True)
    with pytest.raises(ClusterRefused, match=f"still accepted connections, at {asked[0]}, port {asked[1]}"):
        run(tools, "off", network=network)
    assert network.asked == [asked]
    (noted,) = tools.writes
    assert noted[:3] == ["attrd_updater", "--name", "muster-answered-cmp1"]


def test_the_port_is_pacemakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """C24: its default is a setting of the controllers."""
    monkeypatch.setenv("PCMK_remote_port", "3122")
    for document, port in ((cib(), 3122), (connection(cib(), port="0"), 3122), (connection(cib(), port="3123"), 3123)):
        network = Network()
        assert run(Tools(document), "off", network=network) == 0
        assert network.asked == [("cmp1", port)]


def test_a_record_takes_back_what_was_noted_before() -> None:
    """C24: on whichever controllers."""
    pair = '<nvpair id="x" name="muster-answered-cmp1" value="90"/>'
    noted = f"<transient_attributes><instance_attributes>{pair}</instance_attributes></transient_attributes>"
    states = f'<node_state uname="ctl1"/><node_state uname="ctl2">{noted}</node_state>'
    tools = Tools(cib().replace("<status/>", f"<status>{states}</status>"))
    assert run(tools, "off") == 0
    taken_back = ["attrd_updater", "--name", "muster-answered-cmp1", "--delete", "--node", "ctl2"]
    assert [write[0] for write in tools.writes] == ["cibadmin", "attrd_updater"]
    assert tools.writes[-1] == taken_back


@pytest.mark.parametrize("said", ["no", "No", "false", "0"])
def test_an_operator_may_forbid_to_ask(said: str) -> None:
    """C24: a proxy that answers for a host without power."""
    given = f'<instance_attributes id="v"><nvpair id="w" name="ask_hosts" value="{said}"/></instance_attributes>'
    document = cib().replace('type="fence_muster"/>', f'type="fence_muster">{given}</primitive>')
    network = Network(up=True)
    assert run(Tools(document), "off", network=network) == 0
    assert network.asked == []


def test_what_a_host_did_before_it_was_off_is_no_sign_of_life() -> None:
    """C24: a board that reports off a moment too early; the record has the time at which nothing answered any more."""
    clock = [100.0]

    def stays_up(server: str, port: int) -> bool:
        clock[0] += 4
        return False

    record = Pacemaker("", runner=Tools(cib())).record_fencing("cmp1", lambda: clock[0], stays_up)
    assert record is not None
    assert (record.first, record.last) == (104, 104)


def test_off_asks_the_network_once_however_often_the_write_is_repeated() -> None:
    network = Network()
    assert run(Tools(cib("returning:100:100"), cib(), codes=[NOTHING_MATCHED, 0]), "off", network=network) == 0
    assert len(network.asked) == 1


@pytest.mark.parametrize("agent", ["fence_sbd", "fence_watchdog", ""])
def test_a_host_that_resets_itself_may_be_up_again(agent: str) -> None:
    """C24: an operator vouches for its watchdog, or Pacemaker's own stands in the level; an answer proves nothing."""
    vouched = '<instance_attributes id="v"><nvpair id="w" name="power_agents" value="{}"/></instance_attributes>'
    document = cib().replace("fence_apc", agent or "fence_apc")
    document = document.replace('type="fence_muster"/>', f'type="fence_muster">{vouched.format(agent)}</primitive>')
    if not agent:
        document = document.replace('devices="pdu,rec"', 'devices="pdu,watchdog,rec"')
    network = Network(up=True)
    assert run(Tools(document), "off", network=network) == 0
    assert network.asked == []


def test_where_a_rule_decides_about_the_connection_nobody_is_asked() -> None:
    """C24: its parameters depend on the time."""
    ruled = connection(cib(), server="10.0.0.7").replace(
        '<nvpair id="server"',
        '<rule id="r1" score="1"><date_expression id="d" operation="gt"/></rule><nvpair id="server"',
    )
    network = Network(up=True)
    assert run(Tools(ruled), "off", network=network) == 0
    assert network.asked == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_port, "SWITCHED_WITHIN_S", 0.2)
    monkeypatch.setattr(remote_port, "AGAIN_S", 0.01)


def test_a_program_that_hangs_is_found_up_as_often_as_it_is_asked(quick: None) -> None:
    """C24: its kernel accepts as many connections as wait for it; one for each time that it is asked."""
    with socket.create_server(("127.0.0.1", 0), backlog=10) as server:
        port = server.getsockname()[1]
        assert [remote_port.stays_up("127.0.0.1", port) for _ in range(5)] == [True] * 5
    assert remote_port.stays_up("127.0.0.1", port) is False


def test_what_takes_connections_and_ends_them_is_up(quick: None) -> None:
    """C24: pacemaker_remoted ends those of whom it does not know."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        assert remote_port.stays_up("127.0.0.1", server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def test_whoever_is_switched_off_late_does_not_stay_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """C24: a board may report off before the power is gone."""
    monkeypatch.setattr(remote_port, "AGAIN_S", 0.0)
    server = socket.create_server(("127.0.0.1", 0))

    def power_off() -> None:
        accepted = server.accept()[0]
        server.close()
        accepted.close()

    threading.Thread(target=power_off, daemon=True).start()
    begin = time.monotonic()
    assert remote_port.stays_up("127.0.0.1", server.getsockname()[1]) is False
    assert time.monotonic() - begin < remote_port.SWITCHED_WITHIN_S


def test_where_nobody_can_be_asked_is_no_answer(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """C24: an unknown name, and a lookup without an end."""
    assert remote_port.stays_up("no such name", 3121) is None
    assert remote_port.stays_up("127.0.0.1", 70000) is not True
    monkeypatch.setattr(remote_port, "LOOK_UP_S", 0.1)
    found = threading.Event()

    def look_up(*_: object, **__: object) -> NoReturn:
        found.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    begin = time.monotonic()
    assert remote_port.stays_up("cmp1", 3121) is None
    assert time.monotonic() - begin < 30
    found.set()


def test_a_name_with_several_addresses_is_asked_at_each(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as nobody:
        nobody.bind(("127.0.0.2", 0))
        where = [nobody.getsockname(), server.getsockname()]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 0, 0, "", one) for one in where])
        assert remote_port.stays_up("cmp1", 3121)


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
