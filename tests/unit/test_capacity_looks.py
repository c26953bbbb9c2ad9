# SPDX-License-Identifier: Apache-2.0
"""E24: the worker finds out how many hosts may die, at a low pace, and never in the way of an incident."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, Optional

import pytest
from rich.console import Console

from muster.agents import capacity_process
from muster.cli.status import render
from muster.cli.view import Seen, View, view
from muster.core.cluster_facts import Cluster
from muster.core.decide import Incident
from muster.core.errors import NovaUnavailable
from muster.core.findings import State
from muster.gateways.child_process import Detached, Ended
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, KnownCapacity, Shared
from muster.reporting.outlets.capacity import FIRST_S, SELDOM, CapacityLooks
from muster.wiring import lookups
from tests.fakes import FakeClock, LogLines

EVERY_S = 900.0
NOW = 1_800_000_000.0
FOUND = KnownCapacity(1.0, 2, 3, 12, {"room": 1}, 4, 49)
LINE = json.dumps({"at_least": 2, "at_most": 3, "hosts": 12, "unsaveable": {"room": 1}, "unjudged": 4, "requests": 49})


class Child:
    """A process beside the worker, which ends when it is told how."""

    def __init__(self) -> None:
        self.end: Optional[Ended] = None
        self.killed = 0

    def ended(self) -> Optional[Ended]:
        return self.end

    def kill(self) -> None:
        self.killed += 1


class Looks:
    def __init__(self) -> None:
        self.clock, self.lines = FakeClock(), LogLines()
        self.children: list[Child] = []
        self.known, self.broken = True, ""
        self.it = CapacityLooks(self._start, EVERY_S, lambda: self.known, self.clock, self.lines)  # type: ignore[arg-type]

    def _start(self) -> Child:
        if self.broken:
            raise OSError(2, self.broken)
        self.children.append(Child())
        return self.children[-1]

    def after(self, seconds: float, *states: State) -> int:
        """How many looks there were by then."""
        self.clock.pass_by(seconds)
        self.it.status("", [Incident("cmp1", "cmp1", state, "rule", "why", 100, 100) for state in states])
        return len(self.children)

    def ends(self, words: str, code: int = 0, killed: bool = False) -> KnownCapacity:
        """What is known once the last look has ended so."""
        self.children[-1].end = Ended(code, killed, words)
        self.after(0.0)
        return self.it.found


def test_looks_soon_after_the_beginning_and_then_at_its_pace() -> None:
    looks = Looks()
    assert (looks.after(FIRST_S - 1), looks.after(1.0), looks.after(EVERY_S * 2)) == (0, 1, 1)
    found = looks.ends(f"a warning\n{LINE}")
    assert found == KnownCapacity(round(looks.clock.now(), 1), 2, 3, 12, {"room": 1}, 4, 49)
    assert len(looks.children) == 2  # it had been due
    looks.ends(LINE)
    assert (looks.after(EVERY_S - 1), looks.after(1.0)) == (2, 3)


def test_the_pace_is_bounded_by_what_a_look_costs() -> None:
    """So that a large cloud costs no more than a fifth of a percent of a core."""
    looks = Looks()
    looks.after(FIRST_S)
    looks.ends(json.dumps({**json.loads(LINE), "cpu_s": 8.0}))
    assert (looks.after(8 * SELDOM - 1), looks.after(1.0)) == (1, 2)


@pytest.mark.parametrize("state", [State.FENCED, State.FORCING_DOWN, State.EVACUATING])
def test_an_incident_ends_a_look_and_begins_none(state: State) -> None:
    looks = Looks()
    looks.after(FIRST_S)
    child = looks.children[0]
    assert looks.after(1.0, state) == 1
    looks.after(1.0, state)
    assert child.killed == 1
    assert looks.after(EVERY_S, state) == 1
    child.end = Ended(137, True, "")
    assert looks.after(1.0) == 1
    assert (looks.it.found, looks.lines.lines) == (KnownCapacity(), [])
    assert looks.after(FIRST_S, State.SETTLED) == 2


def test_an_answer_is_not_taken_for_one_of_after_the_incident() -> None:
    looks = Looks()
    looks.after(FIRST_S)
    looks.children[0].end = Ended(0, False, LINE)
    looks.after(1.0, State.EVACUATING)
    assert looks.it.found == KnownCapacity()


def test_does_not_look_before_it_knows_what_incidents_there_are() -> None:
    looks = Looks()
    looks.known = False
    assert looks.after(FIRST_S * 9) == 0
    looks.known = True
    assert looks.after(0.0) == 1


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (("x\nNova: HTTP 503", 1), "Nova: HTTP 503"),
        (("", 127), "exit 127"),
        (("", 137, True), "not found out within 240 s"),
        (("no json", 0), "no json"),
        (("[1]", 0), "[1]"),
        (('{"trouble": "muster cannot say for any server: x"}', 0), "muster cannot say for any server: x"),
        (("w" * 999, 1), "w" * 300),
    ],
)
def test_what_failed_is_said_once_and_the_last_answer_keeps_its_age(end: Any, why: str) -> None:
    looks = Looks()
    looks.after(FIRST_S)
    before = looks.ends(LINE)
    for _ in range(2):
        looks.after(EVERY_S)
        found = looks.ends(*end)
        assert (found.trouble, found.at, found.at_least) == (why, before.at, 2)
    assert [line[1] for line in looks.lines.lines] == ["capacity not known"]
    looks.after(EVERY_S)
    assert looks.ends(LINE).trouble == ""


def test_what_cannot_be_started_is_tried_again() -> None:
    looks = Looks()
    looks.broken = "no nice"
    assert looks.after(FIRST_S) == 0
    assert looks.it.found.trouble == "cannot be started: no nice"
    looks.broken = ""
    assert looks.after(EVERY_S) == 1


def test_the_end_of_the_worker_ends_a_look() -> None:
    looks = Looks()
    looks.it.close()
    looks.after(FIRST_S)
    looks.it.close()
    assert looks.children[0].killed == 1


# ------------------------------------------------------------------- processes


def test_a_killed_process_takes_its_children_along() -> None:
    child = Detached(["sh", "-c", "sleep 60; echo over"], b"", 60.0)
    child.kill()
    child._process.wait(10.0)
    ended = child.ended()
    assert ended is not None
    assert ended.killed
    child.kill()  # nobody is there any more


def run_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["x", "ctl1", "muster"])
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    monkeypatch.setattr(capacity_process.gc, "disable", lambda: None)
    code = capacity_process.main()
    return code, capsys.readouterr().out.splitlines()[-1]


def test_the_process_says_what_it_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lookups, "known_capacity", lambda settings, local, instance: FOUND)
    given = json.dumps({"OCF_RESKEY_cloud": "c", "OCF_RESKEY_shared_storage": "yes"})
    code, line = run_process(monkeypatch, capsys, given)
    told = json.loads(line)
    assert (code, told["at_least"], told["requests"]) == (0, 2, 49)
    assert told["cpu_s"] > 0


@pytest.mark.parametrize(
    ("fault", "why"), [(NovaUnavailable("HTTP 503"), "HTTP 503"), (ValueError("x"), "ValueError: x")]
)
def test_the_process_says_why_it_found_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Exception, why: str
) -> None:
    def fail(*given: object) -> KnownCapacity:
        raise fault

    monkeypatch.setattr(lookups, "known_capacity", fail)
    given = json.dumps({"OCF_RESKEY_cloud": "c", "OCF_RESKEY_shared_storage": "yes"})
    assert run_process(monkeypatch, capsys, given) == (1, why)


# ---------------------------------------------------------------------- status


def shown(found: KnownCapacity, **more: Any) -> View:
    resource = Resource("muster", active_on=("ctl2",), active_since=int(NOW) - 60)
    heard = Heard(Shared(capacity=found, at=NOW), "ctl2")
    return view(Seen(NOW, Cluster(True, "ctl1", {}), resource, heard=heard, **more))


def printed(made: View) -> list[str]:
    out = Console(width=200, file=io.StringIO(), no_color=True)
    out.print(render(made, NOW))
    assert isinstance(out.file, io.StringIO)
    return [line for line in out.file.getvalue().splitlines() if line.startswith("capacity")]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (KnownCapacity(NOW - 300, 2, 2, 12), "any 2 of 12 hosts may die together, 5 min ago"),
        (
            KnownCapacity(NOW - 300, 1, 3, 12, {"room": 1, "zone": 1}, 4),
            "at least 1 and at most 3 of 12 hosts may die together; no other host takes 2 servers;"
            " muster cannot say for 4 servers, 5 min ago",
        ),
        (KnownCapacity(trouble="HTTP 503"), "not known yet: HTTP 503"),
        (KnownCapacity(NOW - 300, 0, 0, 3, trouble="x"), "the cloud cannot lose a host, 5 min ago. not known now: x"),
    ],
)
def test_the_status_has_one_line_of_it(found: KnownCapacity, line: str) -> None:
    assert printed(shown(found)) == [f"capacity: {line}"]


def test_the_status_has_none_where_nobody_looks() -> None:
    assert printed(shown(KnownCapacity())) == []
    assert printed(shown(FOUND, incidents_only=True)) == []
