# SPDX-License-Identifier: Apache-2.0
"""``muster drill``: what it refuses before it cuts any power, and what it says afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from muster.cli import commands, drill
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import ClusterError
from muster.gateways.pacemaker import cib, cib_operations
from muster.gateways.pacemaker.cluster import Pacemaker
from muster.gateways.pacemaker.command import Result as Ended
from muster.installation.checks.examination import Examined, attention, ok, trouble, unknown
from muster.reporting.documents import Shared, Summary
from muster.reporting.drill import Before, conditions, links, surprises
from muster.reporting.history import Change, ServerStory, Story
from tests.unit.test_plan import NAMES, NOW, cluster, made, server, service, survey

MARKED = {"muster_drill": "true"}
FIRST = int(NOW)


def before(*servers: Any, **changes: Any) -> Before:
    on_it = servers or (server("a", metadata=MARKED), server("b", metadata=MARKED))
    facts = {key: changes.pop(key) for key in ("services", "cluster", "left", "doubts") if key in changes}
    plan = made(survey(*on_it, **facts))
    examined = [Examined("quorum", (ok("3 of 3"),)), Examined("clocks", (attention("1 s apart"),))]
    return replace(Before(examined, (), plan, facts.get("cluster", cluster())), **changes)


def objections(it: Before) -> dict[str, tuple[str, ...]]:
    return {one.name: one.objections for one in conditions(it) if one.objections}


def nodes(**changes: Any) -> Any:
    """The cluster with another cmp1."""
    others = [Node(name, remote=True, member=True) for name in NAMES[1:]]
    return cluster(replace(Node("cmp1", remote=True, member=True), **changes), *others)


def test_begins_where_nothing_is_in_the_way() -> None:
    assert objections(before()) == {}
    assert [one.fine for one in conditions(before())] == [
        "2 checks, no trouble",
        "no host has failed",
        "muster runs and is not paused",
        "cmp1 is in the cluster, and its nova-compute is up",
        "Pacemaker runs nothing on the host that must move",
        "2 servers, each with muster_drill=true",
        "2 servers would be evacuated, in 1 wave",
    ]


DEAD = Node("cmp2", remote=True, record=Record(Phase.EVACUATING, FIRST, FIRST))
REFUSED = {
    "doctor finds trouble": (
        before(examined=[Examined("quorum", (trouble("1 of 3"),))]),
        {"doctor": ("quorum: 1 of 3. See: muster doctor",)},
    ),
    "doctor cannot tell": (
        before(examined=[Examined("clocks", (ok("ctl1"), unknown("ctl2 is silent")))]),
        {"doctor": ("clocks: ctl2 is silent. See: muster doctor",)},
    ),
    "a host is dead": (
        before(cluster=cluster(*(DEAD if node.name == "cmp2" else node for node in nodes().nodes.values()))),
        {"incidents": ("cmp2 has an incident: muster status cmp2",)},
    ),
    "a host has failed": (
        before(unclean=("cmp3",)),
        {"incidents": ("cmp3 has failed, and Pacemaker has not fenced it yet: pcs status",)},
    ),
    "muster is paused": (before(hindrances=("alice has paused muster",)), {"worker": ("alice has paused muster",)}),
    "a record would prove nothing": (
        before(doubts={"cmp1": "no level fences it"}),
        {"host": ("no level fences it",)},
    ),
    "it is a controller": (
        before(cluster=nodes(remote=False)),
        {"host": ("cmp1 is a member of the cluster itself: a drill fences only compute hosts",)},
    ),
    "it is away": (before(cluster=nodes(member=False)), {"host": ("cmp1 is not in the cluster: pcs status",)}),
    "nova-compute is down": (
        before(services=[service("cmp1", up=False), *map(service, NAMES[1:])]),
        {"host": ("its nova-compute is down: openstack compute service list --long",)},
    ),
    "nova-compute is disabled": (
        before(services=[service("cmp1", enabled=False), *map(service, NAMES[1:])]),
        {"host": ("its nova-compute is disabled: openstack compute service list --long",)},
    ),
    "something else runs there": (
        before(alone=("vip",)),
        {"other resources": ("vip runs there, and Pacemaker would stop it: pcs status",)},
    ),
    "a server is not marked": (
        before(server("a", metadata=MARKED), server("b", name="shop")),
        {
            "servers": (
                "shop is not marked for drills. If it may be stopped and started:"
                " openstack server set --property muster_drill=true b",
            )
        },
    ),
    "a server is marked with a no": (
        before(server("b", metadata={"muster_drill": "false"})),
        {
            "servers": (
                "b is not marked for drills. If it may be stopped and started:"
                " openstack server set --property muster_drill=true b",
            )
        },
    ),
    "there is no room": (
        before(left={}),
        {
            "plan": (
                "a would not be evacuated for certain: no host has room",
                "b would not be evacuated for certain: no host has room",
            )
        },
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refuses_what_a_careful_operator_would(why: str) -> None:
    """E27."""
    it, expected = REFUSED[why]
    found = objections(it)
    if why == "there is no room":
        assert list(found) == ["plan"]
        assert [line.partition(" would")[0] for line in found["plan"]] == ["a", "b"]
    else:
        assert found == expected


def test_refuses_a_host_without_servers() -> None:
    it = before()
    assert objections(replace(it, plan=replace(it.plan, turns=()))) == {
        "servers": ("there is no server on cmp1, so the drill would show nothing",)
    }


def test_names_a_few_servers_and_counts_the_others() -> None:
    many = [server(f"s{n}") for n in range(8)]
    found = objections(before(*many, left={}))
    assert [len(found["servers"]), len(found["plan"])] == [6, 6]
    assert found["servers"][-1] == "3 more are not marked: muster plan cmp1"
    assert found["plan"][-1] == "3 more would not be: muster plan cmp1"


# -------------------------------------------------------------------- afterwards


def story(**changes: Any) -> Story:
    proved = [
        ServerStory(
            ident,
            ident,
            verdict="evacuated",
            began=NOW + 12,
            ended=NOW + at,
            changes=(Change(NOW + at, "evacuated", ""),),
        )
        for ident, at in (("a", 20.0), ("b", 24.0))
    ]
    steps = [("forcing-down", 11.0), ("evacuating", 12.0), ("settled", 25.0), ("returning", 26.0), ("closed", 60.0)]
    told = Story(
        "cmp1-1800000000",
        "cmp1",
        "cmp1",
        "closed",
        "back in service",
        NOW + 10,
        NOW + 60,
        changes=tuple(Change(NOW + at, word, "") for word, at in steps),
        servers=tuple(proved),
        lost=NOW + 3,
    )
    return replace(told, **changes)


def test_times_each_link_of_the_chain() -> None:
    assert [(link.name, link.at and link.at - NOW) for link in links(story(), NOW)] == [
        ("drill asked for the fencing", 0.0),
        ("Pacemaker lost the host", 3.0),
        ("fenced and recorded", 10.0),
        ("muster took over", 11.0),
        ("first evacuation taken by Nova", 12.0),
        ("last server proved", 24.0),
        ("host let return", 26.0),
        ("host back in the cluster", 60.0),
    ]
    bare = links(story(changes=(), servers=(), lost=None, fenced=None), NOW)
    assert [link.at for link in bare] == [NOW, *[None] * 7]


def test_names_every_difference_from_the_plan() -> None:
    plan = before().plan
    assert surprises(plan, story()) == []
    held = replace(story().servers[0], verdict="held", reason="no room")
    stranger = ServerStory("x", "new")
    told = story(servers=(held, stranger), state="blocked", reason="HOST LIVES")
    assert surprises(plan, told) == [
        "a: held, no room",
        "b: the report does not know it",
        "new: it was not on the host before",
        "cmp1: blocked, HOST LIVES",
    ]


# ------------------------------------------------------------------- the command


class Cluster:
    """Pacemaker, whose record of cmp1 comes and goes; it notes every fencing that it is asked for."""

    def __init__(self, records: Iterator[Optional[Record]], trouble: str = "") -> None:
        self.records, self.trouble, self.fenced = records, trouble, []  # type: ignore[var-annotated]

    def look(self) -> Any:
        return SimpleNamespace(nodes={"cmp1": Node("cmp1", remote=True, record=next(self.records))})

    def fence(self, node: str, timeout_s: float) -> None:
        self.fenced.append(node)
        if self.trouble:
            raise ClusterError(self.trouble)


RECORD = Record(Phase.EVACUATING, FIRST, FIRST)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command's world: ready for a drill, and an incident that comes to its end."""
    seen = iter([None, RECORD, replace(RECORD, phase=Phase.RETURNING), None])
    told = SimpleNamespace(shared=Shared(incidents=(Summary(node="cmp1", state="evacuating", reason="2 queued"),)))
    world = SimpleNamespace(cluster=Cluster(seen), wanted="", before=before(), story=story(), told=told)
    world.pacemaker, world.heard = lambda: world.cluster, lambda: world.told
    monkeypatch.setattr(drill, "Site", lambda resource: world)
    monkeypatch.setattr(drill, "look", lambda site, host: world.before)
    monkeypatch.setattr(drill, "Incidents", lambda site: SimpleNamespace(tell=lambda name: world.story))
    monkeypatch.setattr(drill, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(drill, "REPORT_DIRECTORY", tmp_path)
    return world


def typed(*words: str) -> int:
    return drill.run(commands.read(["drill", *words]))


def test_fences_watches_and_keeps_the_report(site: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("cmp1", "--yes") == commands.OK
    assert site.cluster.fenced == ["cmp1"]
    out = capsys.readouterr().out
    assert "cmp1: evacuating, 2 queued" in out
    assert out.index("asking Pacemaker to fence it") < out.index("last server proved") < out.index("as foretold")
    kept = (tmp_path / "drill-cmp1.txt").read_text()
    assert "first evacuation taken by Nova" in kept
    assert "it came as: 2 evacuated; the last one 14 s after the fencing" in kept


def test_is_no_success_where_anything_came_otherwise(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    site.story = story(servers=story().servers[:1])
    assert typed("cmp1", "--yes") == commands.TROUBLE
    assert "not as foretold:\n  b: the report does not know it" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--dry-run",), ("--dry-run", "--yes"), ()])
def test_cuts_no_power_unasked(site: Any, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """E27."""
    if words:
        assert typed("cmp1", *words) == commands.OK
        assert "dry run: muster changed nothing. To fence the host: muster drill cmp1" in capsys.readouterr().out
    else:
        with pytest.raises(commands.UsageError, match="Cut the power of cmp1 now"):
            typed("cmp1")
    assert site.cluster.fenced == []


def test_cuts_no_power_where_anything_is_in_the_way(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    site.before = before(unclean=("cmp3",))
    assert typed("cmp1", "--yes") == commands.TROUBLE
    assert site.cluster.fenced == []
    assert "no drill on cmp1: muster changed nothing" in capsys.readouterr().out


def test_goes_on_after_a_fencing_that_failed_late(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The power-on part of a fencing may fail: the host is off and recorded all the same."""
    site.cluster.trouble = "stonith_admin --reboot: exit 124: Timer expired"
    assert typed("cmp1", "--yes") == commands.OK
    assert "Pacemaker reports: stonith_admin --reboot: exit 124: Timer expired" in capsys.readouterr().out


def test_says_where_to_look_when_nothing_was_recorded(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(
        drill, "time", SimpleNamespace(monotonic=lambda: next(now), time=lambda: NOW, sleep=lambda s: None)
    )
    site.cluster = Cluster(iter([None] * 1000), "no device")
    assert typed("cmp1", "--yes", "--within", "60") == commands.TROUBLE
    out = capsys.readouterr().out
    assert (
        "nothing recorded a fencing of cmp1: muster did nothing. To see why: muster status, and pcs stonith history show cmp1"
        in out
    )


@pytest.mark.parametrize("within", ["0", "59", "soon", "nan", "1e9"])
def test_refuses_a_time_that_makes_no_sense(site: Any, within: str) -> None:
    with pytest.raises(commands.UsageError, match="use seconds from 60 to 86400"):
        typed("cmp1", "--yes", "--within", within)
    assert site.cluster.fenced == []


# -------------------------------------------------------------------- pacemaker


def test_asks_pacemaker_for_the_fencing_that_an_operator_would_type() -> None:
    calls = []

    def ended(code: int) -> Any:
        return lambda argv, timeout_s: (calls.append((list(argv), timeout_s)), Ended(code, b"", "no device"))[1]

    Pacemaker("ctl1", runner=ended(0)).fence("cmp1", 600.0)
    assert calls == [(["stonith_admin", "--reboot", "cmp1", "--timeout", "600"], 610.0)]
    with pytest.raises(ClusterError, match="no device"):
        Pacemaker("ctl1", runner=ended(1)).fence("cmp1", 600.0)


def test_knows_what_runs_on_one_host_alone() -> None:
    def history(name: str, rc: int) -> str:
        return f'<lrm_resource id="{name}"><lrm_rsc_op operation="{"monitor" if rc else "start"}" call-id="5" rc-code="{rc}" op-status="0" interval="0"/></lrm_resource>'

    here = "".join(history(name, rc) for name, rc in (("vip", 0), ("nova:0", 0), ("compute", 0), ("gone", 7)))
    seen = cib.parse(
        "<cib><configuration><resources><clone id='c'><primitive id='compute'/></clone><clone id='d'><group id='g'>"
        "<primitive id='nova'/></group></clone><primitive id='vip'/><primitive id='gone'/></resources></configuration>"
        f"<status><node_state uname='cmp1' remote_node='true'><lrm><lrm_resources>{here}</lrm_resources></lrm></node_state>"
        f"<node_state uname='cmp2' remote_node='true'><lrm><lrm_resources>{history('other', 0)}</lrm_resources></lrm>"
        "</node_state></status></cib>".encode()
    )
    assert cib_operations.alone_on(seen, "cmp1") == ["vip"]
