# SPDX-License-Identifier: Apache-2.0
"""E26: which server an operator means, and what a shell offers."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest

from generators import completion
from muster.cli import commands, complete, names
from muster.cli import orders as cli
from muster.cli.names import Named, NotClear, find
from muster.core.cluster_facts import Cluster, Node, Record
from muster.core.errors import ClusterError, NovaUnavailable
from muster.core.nova_facts import Server
from muster.core.operator_orders import Orders
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, Shared, Summary, WaitingServer
from muster.wiring import connections
from tests.fakes import settings
from tests.told import FENCED, report, server_id

WEB, DB, TWIN = server_id(1), "1f3c0de1-0f3c-4d1a-9b7e-5a1c2d3e4f50", "1f3c0de2-0f3c-4d1a-9b7e-5a1c2d3e4f50"
KNOWN = [Named(WEB, "web", "cmp1"), Named(DB, "db", "cmp1"), Named(TWIN, "db", "cmp2"), Named("x", "cmp9", "cmp2")]


@pytest.mark.parametrize(
    ("wanted", "found"), [("web", WEB), (WEB, WEB), (WEB.upper(), WEB), ("00000001", WEB), ("1f3c0de2", TWIN)]
)
def test_a_server_is_called_by_its_name_its_id_or_the_beginning_of_its_id(wanted: str, found: str) -> None:
    assert find(wanted, KNOWN, "retry").id == found


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("db", f"'db' may be any of 2 servers: {DB} on cmp1, {TWIN} on cmp2. Name it by its id: muster retry {DB}"),
        ("1f3c", "any of 2 servers"),
        ("wbe", "no incident has a server or host 'wbe'. Did you mean web?"),
        ("cmp3", "Did you mean cmp9?"),
        ("0000000\x1b[2J", "no incident has a server or host"),
        ("000", "no incident has a server or host '000'"),
    ],
)
def test_what_is_not_clear_is_not_guessed(wanted: str, said: str) -> None:
    with pytest.raises(NotClear) as refused:
        find(wanted, KNOWN, "retry", ["cmp9"])
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


class Site:
    """Two dead hosts; the worker is on this controller."""

    def __init__(self) -> None:
        nodes = [
            Node(f"cmp{n}", True, Record.parse(f"evacuating:{FENCED}:{FENCED}"), hold=True, fenced_at=FENCED)
            for n in (1, 2)
        ]
        self.cluster = Cluster(
            True, "ctl1", {**{node.name: node for node in nodes}, "cmp3": Node("cmp3", True, member=True)}
        )
        self.local = "ctl1"
        self.resource = Resource("muster", active_on=("ctl1",))
        self.settings = settings()
        self.given: list[str] = []

    def pacemaker(self) -> Site:
        return self

    def heard(self) -> Heard:
        waiting = (WaitingServer("w-1", "waits"),)
        return Heard(Shared(incidents=(Summary("cmp2", "cmp2.example", waiting=waiting),)), "ctl1")

    def reports(self, node: str = "") -> list[Any]:
        from muster.reporting.documents import Report, from_json

        nodes = [node] if node else ["cmp1"]
        return [from_json(Report, {**report(3, held=1), "state": "evacuating", "node": it}) for it in nodes]

    def give_orders(self, node: str, record: Record, old: object, new: Orders) -> None:
        self.given.append(f"{node}: {new.token}")


class Nova:
    def __init__(self, state: str) -> None:
        self.state = state

    def server(self, ident: str) -> Server:
        if not self.state:
            raise NovaUnavailable("connection refused")
        return Server(ident, "cmp1", self.state, name="web")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Site:
    one = Site()
    monkeypatch.setattr(cli, "Site", lambda resource: one)
    monkeypatch.setattr(cli.time, "time", lambda: FENCED + 140.5)
    monkeypatch.setattr(connections, "nova", lambda settings: Nova("active"))
    return one


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["retry", "00000001"], f"cmp1: {FENCED} retry={WEB}@{FENCED + 140}"),
        (["skip", "00000001"], f"cmp1: {FENCED} skip={WEB}"),
        (["retry", "cmp1"], f"cmp1: {FENCED} retry={FENCED + 140}"),
        (["retry", "cmp2.example"], f"cmp2: {FENCED} retry={FENCED + 140}"),
        (["release", "cmp2"], f"cmp2: {FENCED} release"),
    ],
)
def test_an_order_is_given_by_whatever_name_is_clear(here: Site, words: list[str], given: str) -> None:
    kept = here.reports
    here.reports = lambda node="": kept(node) if node in ("", "cmp1") else []  # type: ignore[method-assign]
    observed: list[str] = []
    names_observed = names._observed
    names._observed = lambda site, nodes: iter(observed)  # type: ignore[assignment,return-value]
    try:
        assert cli.run(commands.read([*words, "--yes"])) == commands.OK
    finally:
        names._observed = names_observed
    assert here.given == [given]


def test_a_host_is_no_server_to_skip(here: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(commands.read(["skip", "cmp1", "--yes"])) == commands.TROUBLE
    assert "cmp1 is a host. To let it return with its servers: muster release cmp1" in capsys.readouterr().err
    assert cli.run(commands.read(["release", "cmp22", "--yes"])) == commands.TROUBLE
    assert (
        "'cmp22' is no host with an incident. Hosts with one: cmp1, cmp2. Did you mean cmp2?" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("paused", 1, f"nothing ordered: web is still paused: Nova cannot unpause it on a dead host. To evacuate it without its memory: openstack server set --state active --auto-approve {WEB}, then muster retry {WEB}"),
        ("active", 0, "cmp1: ordered"),
        ("error", 0, "cmp1: ordered"),
        ("", 0, "cmp1: ordered"),  # whoever cannot ask Nova may still order
    ],
)  # fmt: skip
def test_a_retry_of_what_nova_refuses_says_what_is_first(
    here: Site, state: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It used to be accepted, and nothing happened."""
    monkeypatch.setattr(connections, "nova", lambda settings: Nova(state))
    monkeypatch.setattr(cli, "_node_of_server", lambda site, *given: site.cluster.nodes["cmp1"])
    assert cli.run(commands.read(["retry", WEB, "--yes"])) == code
    assert said in capsys.readouterr().out
    assert len(here.given) == (code == 0)
    here.settings = replace(here.settings, reset_states=frozenset({"paused"}))
    if state == "paused":
        assert cli.run(commands.read(["retry", WEB, "--yes"])) == 0


# ------------------------------------------------------------------ completion


def test_a_shell_offers_what_the_cluster_has(
    here: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(complete, "Site", lambda resource: here)
    odd = [
        replace(one, node="cmp1", proofs=(*one.proofs, one.proofs[0]._replace(name="a $(rm) b")))
        for one in here.reports("cmp1")
    ]
    monkeypatch.setattr(complete, "kept_reports", lambda: (odd, []))

    def offered(kind: str) -> set[str]:
        assert complete.run([kind]) == 0
        return set(capsys.readouterr().out.split())

    assert offered("hosts") == {"cmp1", "cmp2", "cmp3"}
    assert offered("dead") == {"cmp1", "cmp2"}
    assert {WEB, "web-001.prod.example.org", "waits", "w-1"} <= offered("servers")
    assert "$(rm)" not in offered("servers-and-dead")
    assert f"cmp1-{FENCED}" in offered("incidents")
    assert offered("nonsense") == set()
    monkeypatch.setattr(
        complete, "Site", lambda resource: exec("raise ClusterError('x')", {"ClusterError": ClusterError})
    )
    assert offered("hosts") == set()


def test_bash_asks_the_cluster_when_a_key_is_pressed() -> None:
    script = (
        f'source {completion.BASH}; muster() {{ [ "$*" = "__complete servers-and-dead" ] && echo web-1 cmp1; }};'
        ' COMP_WORDS=(muster retry we); COMP_CWORD=2; _shtab_muster; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["web-1"], "")
