# SPDX-License-Identifier: Apache-2.0
"""D12: what was left when its host returned is remembered beyond every worker, until it is seen to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pytest

from muster.cli import commands
from muster.cli import orders as cli
from muster.cli.view import Seen, view
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import Incident
from muster.core.errors import ClusterError, ClusterRefused, NovaRefused, NovaUnavailable
from muster.core.findings import Finding, State, Verdict
from muster.core.left_behind import SERVERS_LIMIT, LeftBehind, noted
from muster.core.nova_facts import Server
from muster.core.past_incidents import Past, PastIncident, with_incident
from muster.engine import examiner
from muster.gateways.nova.rights import NovaRights
from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.cluster import Pacemaker
from muster.gateways.pacemaker.command import Result
from muster.installation.installed import Resource
from muster.reporting.outlets.left_behind import Change, ChangePast, LeftBehindNotes
from tests.fakes import FakeClock, LogLines

NOTE = LeftBehind(100, ("a", "b"))


@pytest.mark.parametrize("token", ["100 a b", "1 00000006-0f3c-4d1a-9b7e-5a1c2d3e4f50"])
def test_a_note_is_read_as_it_was_written(token: str) -> None:
    assert LeftBehind.parse(token).token == token


@pytest.mark.parametrize("token", ["", "100", "x a", "100 a;b", "100  a", "a b"])
def test_what_is_no_note_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="is no note"):
        LeftBehind.parse(token)


@pytest.mark.parametrize(
    ("old", "left", "seen_to", "new"),
    [
        (None, (), (), None),
        (None, ("b", "a"), (), LeftBehind(200, ("a", "b"))),
        (NOTE, ("a", "b"), (), NOTE),
        (NOTE, (), (), NOTE),
        (NOTE, ("a",), ("b",), LeftBehind(200, ("a",))),
        (NOTE, (), ("a", "b"), None),
        (NOTE, ("c",), ("a", "b", "d"), LeftBehind(200, ("c",))),
    ],
)
def test_of_what_is_not_known_the_note_stays(
    old: Optional[LeftBehind], left: Sequence[str], seen_to: Sequence[str], new: Optional[LeftBehind]
) -> None:
    assert noted(old, left, seen_to, 200.9) == new


def test_a_note_has_a_bound() -> None:
    made = noted(None, [f"{n:036d}" for n in range(1000)], (), 1.0)
    assert made
    assert len(made.servers) == SERVERS_LIMIT
    assert len(made.token) < 10_000


# ------------------------------------------------------------------ the worker


class Notes:
    """The notes of a cluster, and a worker that writes them."""

    def __init__(self) -> None:
        self.kept: dict[str, Optional[LeftBehind]] = {}
        self.silent = False
        self.written = 0
        self.past: Optional[Past] = None
        self.lines = LogLines()
        self.begin()

    def begin(self) -> None:
        """Another worker."""
        self.it = LeftBehindNotes(self._change, self._change_past, FakeClock(), self.lines)  # type: ignore[arg-type]

    def _change_past(self, node: str, change: ChangePast) -> None:
        self.past = change(self.past)

    def _change(self, node: str, change: Change) -> None:
        if self.silent:
            raise ClusterError("cibadmin: timed out")
        new = change(self.kept.get(node))
        self.written += new != self.kept.get(node)
        self.kept[node] = new

    def sees(self, state: State, **verdicts: Verdict) -> tuple[str, ...]:
        """What is noted after the worker has seen that."""
        findings = {s: Finding(Server(s, "cmp1", "paused"), v, "rule", "why") for s, v in verdicts.items()}
        self.it.report(Incident("cmp1", "cmp1", state, "rule", "why", 100, 100, findings), {})
        self.it.share()
        kept = self.kept.get("cmp1")
        return kept.servers if kept else ()


def test_what_waits_is_noted_as_soon_as_nothing_is_under_way() -> None:
    notes = Notes()
    assert notes.sees(State.EVACUATING, a=Verdict.HELD) == ()
    assert notes.sees(State.SETTLED, a=Verdict.HELD, b=Verdict.PARKED, c=Verdict.EVACUATED) == ("a", "b")
    assert notes.sees(State.RETURNING, a=Verdict.HELD, b=Verdict.UNKNOWN, c=Verdict.EVACUATED) == ("a", "b")
    assert notes.sees(State.RETURNING, a=Verdict.HELD, b=Verdict.EVACUATED) == ("a",)
    assert notes.past == Past((PastIncident(100, 0, ("a",)),))
    assert notes.sees(State.CLOSED, a=Verdict.GONE, b=Verdict.EVACUATED) == ()
    assert notes.past == Past((PastIncident(100, int(FakeClock().now())),))


def test_a_worker_that_begins_anew_with_nova_silent_forgets_nothing() -> None:
    notes = Notes()
    notes.sees(State.SETTLED, a=Verdict.HELD)
    notes.begin()
    assert notes.sees(State.RETURNING) == ("a",)
    assert notes.sees(State.CLOSED) == ("a",)


def test_it_is_written_once_and_again_until_it_is_written() -> None:
    notes = Notes()
    notes.silent = True
    notes.sees(State.SETTLED, a=Verdict.HELD)
    assert [line[1] for line in notes.lines.lines] == ["what is left not noted"]
    notes.silent = False
    notes.it.share()
    assert notes.kept["cmp1"] is not None
    for _ in range(3):
        notes.sees(State.SETTLED, a=Verdict.HELD)
    assert notes.written == 1


# ------------------------------------------------------------------------ CIB


DOCUMENT = """<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0" have-quorum="{quorum}">
<configuration><crm_config/><nodes><node id="cmp1" uname="cmp1" type="remote"><instance_attributes id="nodes-cmp1">
<nvpair id="nodes-cmp1-muster" name="muster" value="returning:100:100"/></instance_attributes></node></nodes><resources/>
<constraints/></configuration><status/></cib>"""


@pytest.fixture
def pacemaker(tmp_path: Path) -> Pacemaker:
    """Pacemaker's own tool, on a file."""
    if not shutil.which("cibadmin", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs Pacemaker's command line")
    (tmp_path / "cib.xml").write_text(DOCUMENT.format(quorum=1))

    def run(argv: Sequence[str], timeout_s: float) -> Result:
        environment = {**os.environ, "CIB_file": str(tmp_path / "cib.xml"), "PATH": "/usr/sbin:/usr/bin:/bin"}
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=timeout_s, check=False)
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return Pacemaker("ctl1", "muster", run)


def kept(pacemaker: Pacemaker) -> Optional[LeftBehind]:
    return cib.node_left(pacemaker.snapshot(), "cmp1").value


def test_a_note_stands_in_the_cib_beside_the_record_and_outlives_it(pacemaker: Pacemaker) -> None:
    pacemaker.change_left("cmp1", partial(noted, left=("b", "a"), seen_to=(), now=100))
    assert kept(pacemaker) == NOTE
    assert cib.cluster(pacemaker.snapshot(), "ctl1", "muster").nodes["cmp1"].left == NOTE
    pacemaker.change_left("cmp1", partial(noted, left=(), seen_to=("b",), now=120))
    assert kept(pacemaker) == LeftBehind(120, ("a",))
    pacemaker.change_left("cmp1", partial(noted, left=(), seen_to=("a",), now=130))
    assert kept(pacemaker) is None
    assert cib.node_record(pacemaker.snapshot(), "cmp1").value == Record(Phase.RETURNING, 100, 100)


def test_the_last_incidents_stand_there_too(pacemaker: Pacemaker) -> None:
    pacemaker.change_past("cmp1", partial(with_incident, first=100, closed=0, left=("b", "a")))
    pacemaker.change_past("cmp1", partial(with_incident, first=100, closed=200, left=("a",)))
    pacemaker.change_past("cmp1", partial(with_incident, first=300, closed=0, left=()))
    past = Past((PastIncident(300), PastIncident(100, 200, ("a",))))
    assert cib.cluster(pacemaker.snapshot(), "ctl1", "muster").nodes["cmp1"].past == past
    assert Past.parse(past.token) == past


@pytest.mark.parametrize("token", ["", "100", "100-", "x-1", "100-200,a;b", "100-200  1-2"])
def test_what_is_no_incident_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="is no incident"):
        Past.parse(token)


def test_few_are_kept_the_newest_first() -> None:
    past = None
    for first in (5, 1, 3, 2, 6, 4):
        past = with_incident(past, first, first + 1, [f"{n:036d}" for n in range(99)])
    assert past
    assert [it.first for it in past.incidents] == [6, 5, 4, 3, 2]
    assert len(past.token) < 10_000


def test_of_two_who_change_a_note_one_is_refused(pacemaker: Pacemaker) -> None:
    def change(old: Optional[LeftBehind]) -> LeftBehind:
        if old is None:
            pacemaker.change_left("cmp1", lambda _: NOTE)
        return LeftBehind(1, ("c",))

    with pytest.raises(ClusterRefused):
        pacemaker.change_left("cmp1", change)
    assert kept(pacemaker) == NOTE


def test_a_note_that_cannot_be_read_is_written_anew(pacemaker: Pacemaker, tmp_path: Path) -> None:
    file = tmp_path / "cib.xml"
    file.write_text(
        file.read_text().replace(
            'muster" name="muster" value="returning:100:100"', 'muster-left" name="muster-left" value="x"'
        )
    )
    assert cib.node_left(pacemaker.snapshot(), "cmp1").unreadable == "x"
    pacemaker.change_left("cmp1", lambda _: NOTE)
    assert kept(pacemaker) == NOTE


def test_nothing_is_noted_without_quorum_or_of_nobody(pacemaker: Pacemaker, tmp_path: Path) -> None:
    with pytest.raises(ClusterRefused, match="has no node"):
        pacemaker.change_left("cmp9", lambda _: NOTE)
    (tmp_path / "cib.xml").write_text(DOCUMENT.format(quorum=0))
    with pytest.raises(ClusterRefused, match="no quorum"):
        pacemaker.change_left("cmp1", lambda _: NOTE)


# ----------------------------------------------------- shown, and seen to by now


def test_every_controller_shows_it_also_without_a_worker_until_it_is_acknowledged() -> None:
    node = Node("cmp1", True, member=True, left=LeftBehind(100, tuple("abcd")))
    for resource in (Resource("muster", active_on=("ctl2",)), Resource("muster")):
        page = view(Seen(200.0, Cluster(True, "ctl1", {"cmp1": node}), resource))
        (what,) = (todo.what for todo in page.todo if todo.about == "cmp1")
        assert what.startswith("4 servers were not seen to when the host returned, and may still be down: a, b, c, ...")
        assert what.endswith("muster acknowledge cmp1")
    again = replace(node, record=Record(Phase.EVACUATING, 300, 300))
    page = view(Seen(200.0, Cluster(True, "ctl1", {"cmp1": again}), Resource("muster", active_on=("ctl2",))))
    assert not [todo for todo in page.todo if "acknowledge" in todo.what], "the incident speaks of them again"


class Site:
    def __init__(self) -> None:
        self.cluster = Cluster(True, "ctl1", {"cmp1": Node("cmp1", True, left=NOTE), "cmp2": Node("cmp2", True)})
        self.left: Optional[LeftBehind] = NOTE

    def pacemaker(self) -> Site:
        return self

    def change_left(self, node: str, change: Change) -> None:
        assert node == "cmp1"
        self.left = change(self.left)


@pytest.mark.parametrize(
    ("target", "code", "left"),
    [("cmp1", 0, None), ("A", 0, ("b",)), ("b", 0, ("a",)), ("cmp2", 2, ("a", "b")), ("x", 2, ("a", "b"))],
)
def test_acknowledges_a_host_or_a_server(
    target: str, code: int, left: Optional[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site()
    monkeypatch.setattr(cli, "Site", lambda resource: site)
    assert cli.run(commands.read(["acknowledge", target])) == code
    assert (site.left.servers if site.left else None) == left


def test_what_runs_or_is_gone_is_seen_to_and_what_cannot_be_read_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def state(vm_state: str, task: Optional[str] = None, power: int = 1) -> dict[str, Any]:
        keys = {"vm_state": vm_state, "task_state": task, "power_state": power}
        return {"server": {f"OS-EXT-STS:{key}": value for key, value in keys.items()}}

    replies: dict[str, Any] = {
        "runs": state("active"),
        "starts": state("active", "powering-on"),
        "off": state("active", power=4),
        "stopped": state("stopped"),
        "paused": state("paused", power=3),
        "gone": NovaRefused("not found", status=404),
        "forbidden": NovaRefused("forbidden", status=403),
        "odd": {"server": None},
        "silent": NovaUnavailable("timed out"),
        "after": state("active"),
    }

    def get(self: NovaRights, path: str, *_: object) -> Any:
        reply = replies[path.rpartition("/")[2]]
        if isinstance(reply, Exception):
            raise reply
        return reply

    monkeypatch.setattr(NovaRights, "_get", get)
    assert NovaRights("c", "/f", True, "2.90").running_or_gone(list(replies)) == {"runs", "gone"}


@pytest.mark.parametrize(
    ("age_s", "open_", "asked"), [(examiner.LEFT_SETTLES_S - 60, False, 0), (2000.0, False, 1), (2000.0, True, 0)]
)
def test_a_look_reads_them_once_nova_has_compared_them_with_the_hypervisor(
    age_s: float, open_: bool, asked: int
) -> None:
    """Until then a server reads active that came back with its host and is off."""
    now, site, calls = 1_800_000_000.0, Site(), list[Any]()
    record = Record(Phase.RETURNING, 1, 1) if open_ else None
    node = Node("cmp1", True, record, left=LeftBehind(int(now - age_s), ("a", "b")))
    site.left = node.left
    examiner.forget_what_runs([node], lambda some: (calls.append(some), frozenset("a"))[1], site, now)
    assert [set(some) for some in calls] == [{"a", "b"}] * asked
    assert site.left
    assert site.left.servers == (("b",) if asked else ("a", "b"))
