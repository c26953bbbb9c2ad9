# SPDX-License-Identifier: Apache-2.0
"""E16: the worker looks at what doctor checks, and a status is never OK when muster is not ready."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from muster.cli import status
from muster.cli.not_ready import READINESS_LATE_S
from muster.cli.plan import hindrances
from muster.cli.view import Seen, View, view
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import Incident
from muster.core.findings import State
from muster.engine import examiner
from muster.installation.checks.examination import Examined, Result, attention, ok, trouble, unknown
from muster.installation.checks.worker import IS_PAUSED
from muster.installation.checkup import CHECKS, examine
from muster.installation.installed import NovaAccess, Resource, Right
from muster.reporting.documents import Doubt, Heard, Readiness, Shared, Summary
from muster.reporting.outlets.metrics import Counted, Metrics
from muster.reporting.outlets.readiness import (
    AFTER_CHANGE_S,
    DOUBTFUL_EVERY_S,
    EVERY_S,
    ReadinessLooks,
    in_background,
    readiness,
)
from muster.reporting.outlets.status import READINESS_AGAIN_S, SHARE_EVERY_S, Status
from muster.settings import from_environment
from tests import installation as made
from tests.fakes import FakeClock, LogLines
from tests.installation import HOLD, announced, device, facts, level, location, pairs, state
from tests.unit.examined import HEALTHY

NOW = 1_800_000_000.0
OFF = '<meta_attributes><nvpair name="target-role" value="Stopped"/></meta_attributes>'
BAN = '<rsc_location id="cli-ban-muster-on-ctl2" rsc="muster" role="Started" node="ctl2" score="-INFINITY"/>'
WAYS: dict[str, tuple[str, Any]] = {
    "a power device is disabled": (
        "fence devices",
        {"power": made.PARTS["power"].replace("</instance_attributes></primitive>", f"</instance_attributes>{OFF}</primitive>", 1)},
    ),
    "muster's fence device is disabled": (
        "fence devices",
        {"fence": device("muster-fence", "fence_muster", made.MUSTER_FENCE, OFF)},
    ),
    "a fencing level is gone": ("fencing levels", {"levels": level("cmp1", "power-cmp1,muster-fence")}),
    "the rule of the worker is gone": ("worker's place", {"off_remotes": ""}),
    "the rule of nova-compute is gone": ("nova-compute is held", {"hold": ""}),
    "the password was changed": ("Nova", {"nova": NovaAccess(trouble="Keystone: HTTP 401")}),
    "a certificate has expired": ("Nova", {"nova": NovaAccess(trouble="certificate verify failed: expired")}),
    "the role was taken away": (
        "rights in Nova",
        {"nova": replace(HEALTHY.nova, rights=(Right("list services", False, "HTTP 403"),))},
    ),
    "the quorum policy was changed": ("no-quorum-policy", {"options": pairs({**made.OPTIONS, "no-quorum-policy": "ignore"})}),
    "the worker is banned from the other controller": ("worker's place", {"off_remotes": made.PARTS["off_remotes"] + BAN}),
    "controllers have two versions": ("agents", {"status": state("ctl1", made.STARTED) + announced("ctl2", "0.9")}),
    "another controller has no clouds.yaml": (
        "other controllers",
        {"status": made.PARTS["status"] + announced("ctl2", lacks="cannot start: clouds_file=x: No such file")},
    ),
    "the hook is gone": ("parameters", {"comfort_faults": ("hook='/h': No such file: put it there",)}),
    "a clock is off": ("clocks", {"nova": replace(HEALTHY.nova, clock_ahead_s=-61.0)}),
}  # fmt: skip


def broken(change: dict[str, Any]) -> list[Examined]:
    told = {key: value for key, value in change.items() if key not in made.PARTS}
    return examine(facts(told, **{key: value for key, value in change.items() if key in made.PARTS}))


def shown(found: Readiness, now: float = NOW, **more: Any) -> View:
    heard = Heard(Shared(readiness=found, at=NOW), "ctl2")
    resource = Resource("muster", active_on=("ctl2",), active_since=int(NOW) - 86400)
    return view(Seen(now, Cluster(True, "ctl1", {}), resource, heard=heard, **more))


class Looks:
    """The looks of a worker, each made at once; what each finds is told before."""

    def __init__(self, *found: Optional[list[Examined]]) -> None:
        self.clock, self.lines = FakeClock(), LogLines()
        self.finds: Callable[[], Optional[Sequence[Examined]]] = lambda: self.results.pop(0)
        self.results = list(found)
        self.epoch, self.known, self.made = 1, True, 0
        self.waiting: list[Callable[[], None]] = []
        self.at_once = True
        self.it = ReadinessLooks(
            self._look, lambda: self.epoch, lambda: self.known, self.clock, self.lines, self._begin  # type: ignore[arg-type]
        )  # fmt: skip

    def _look(self) -> Optional[Sequence[Examined]]:
        self.made += 1
        return self.finds()

    def _begin(self, work: Callable[[], None]) -> None:
        if self.at_once:
            work()
        else:
            self.waiting.append(work)

    def after(self, seconds: float, *incidents: Incident) -> int:
        """How many looks there were by then."""
        self.clock.pass_by(seconds)
        self.it.status("", list(incidents))
        return self.made


def incident(state: State) -> Incident:
    return Incident("cmp1", "cmp1", state, "rule", "why", 100, 100)


FINE = examine(HEALTHY)
BAD = [Examined("credentials", (trouble("unreadable"), trouble("and more")))]


@pytest.mark.parametrize("way", WAYS)
def test_a_status_is_not_ok_when_the_chain_is_broken(way: str, tmp_path: Path) -> None:
    """E16: by the real CIB of the installation, through what is shared, to the exit code, the page and the metrics."""
    check, change = WAYS[way]
    found = readiness(broken(change), NOW)
    assert check in {doubt.check for doubt in found.doubts}
    page = shown(found)
    assert page.level in ("attention", "trouble")
    assert check in {todo.about for todo in page.todo}
    assert status.EXIT_OF_LEVEL[page.level] > 0
    metrics = Metrics(tmp_path / "m", FakeClock(), lambda: Counted(readiness=found), LogLines())  # type: ignore[arg-type]
    metrics.status("", [])
    assert f'muster_readiness_check{{check="{check}"}}' in (tmp_path / "m").read_text()


def test_an_installation_as_the_readme_has_it_is_ready() -> None:
    found = readiness(FINE, NOW)
    assert (found.checks, found.doubts) == (len(CHECKS), ())
    assert (shown(found).level, shown(found).todo) == ("ok", ())


def test_what_nobody_could_ask_nova_is_said_once() -> None:
    found = readiness(examine(facts({"nova": NovaAccess(trouble="HTTP 401")})), NOW)
    assert [(doubt.check, doubt.what) for doubt in found.doubts] == [("Nova", "HTTP 401")]


def test_the_worst_comes_first_and_is_counted() -> None:
    examined = [
        Examined("a", (ok("fine"), attention("soon"))),
        Examined("b", (unknown("who knows"), trouble("now"), trouble("too"))),
        Examined("c", (ok("fine"),)),
        Examined("d", ()),
    ]
    found = readiness(examined, 7.04)
    assert found == Readiness(
        7.0,
        4,
        (
            Doubt("b", "trouble", "now", 2),
            Doubt("a", "attention", "soon"),
            Doubt("d", "unknown", "it has found nothing"),
        ),
    )


# ------------------------------------------------------------------------ pace


def test_looks_at_a_low_pace_and_sooner_while_something_is_wrong() -> None:
    looks = Looks(FINE, BAD, BAD, FINE, FINE)
    assert looks.after(AFTER_CHANGE_S - 1) == 0
    assert looks.after(1) == 1
    assert looks.after(EVERY_S - 1) == 1
    assert looks.after(1) == 2
    assert looks.after(DOUBTFUL_EVERY_S - 1) == 2
    assert looks.after(1) == 3
    assert looks.after(DOUBTFUL_EVERY_S) == 4
    assert looks.after(DOUBTFUL_EVERY_S) == 4
    assert looks.after(EVERY_S - DOUBTFUL_EVERY_S) == 5


def test_a_change_of_the_configuration_is_looked_at_soon() -> None:
    looks = Looks(FINE, FINE, FINE)
    looks.after(AFTER_CHANGE_S)
    looks.epoch = 2
    assert looks.after(AFTER_CHANGE_S - 1) == 1
    assert looks.after(1) == 2
    assert looks.after(AFTER_CHANGE_S) == 2


@pytest.mark.parametrize("busy", [State.FENCED, State.FORCING_DOWN, State.EVACUATING])
def test_does_not_look_while_a_host_needs_the_worker(busy: State) -> None:
    looks = Looks(FINE)
    assert looks.after(10 * EVERY_S, incident(State.SETTLED), incident(busy)) == 0
    assert looks.after(1, incident(State.SETTLED)) == 1


def test_does_not_look_while_nobody_knows_whether_a_host_is_dead() -> None:
    looks = Looks(FINE)
    looks.known = False
    assert looks.after(EVERY_S) == 0


def test_one_look_at_a_time_and_the_worker_waits_for_none() -> None:
    looks = Looks(FINE, FINE)
    looks.at_once = False
    looks.after(EVERY_S)
    looks.after(10 * EVERY_S)
    assert (len(looks.waiting), looks.made, looks.it.found.at) == (1, 0, 0.0)
    looks.waiting.pop()()
    assert looks.it.found.at == looks.clock.now()
    looks.after(EVERY_S)
    assert len(looks.waiting) == 1


def test_a_look_that_falls_into_a_new_search_for_the_worker_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """E16: after ``crm_resource --refresh`` Pacemaker does not know for a moment that the worker runs, and it does."""
    monkeypatch.setattr(examiner.host_monitors, "seen", lambda: [])
    given = {"OCF_RESKEY_cloud": "bed", "OCF_RESKEY_shared_storage": "yes"}

    def examined(status_: str) -> Optional[list[Examined]]:
        here = facts(status=status_).here
        return examiner.examine(from_environment(given), here, "ctl1", "muster", HEALTHY.nova, given)

    told = announced("ctl1") + announced("ctl2")
    searched = state("ctl1", made.PROBED) + state("ctl2", made.FOUND_STOPPED) + told
    assert examined(searched) is None
    looks = Looks(FINE, examined(searched), FINE)
    looks.after(AFTER_CHANGE_S)
    looks.after(EVERY_S)
    assert (looks.made, looks.it.found.doubts) == (2, ())
    assert looks.clock.now() - looks.it.found.at == EVERY_S, "what was not looked at has no newer age"
    assert looks.after(AFTER_CHANGE_S) == 3
    assert looks.after(AFTER_CHANGE_S) == 3
    lost = examined(state("ctl1", made.FOUND_STOPPED) + state("ctl2", made.FOUND_STOPPED) + told)
    assert lost is not None
    assert {check.name: check.result for check in lost}["worker"] is Result.TROUBLE


def test_nobody_is_told_to_start_a_worker_that_pacemaker_looks_for() -> None:
    """E16: it may run, and a second one would be started beside it."""
    page = view(Seen(NOW, Cluster(True, "ctl1", {}), Resource("muster", unasked=("ctl1", "ctl3"))))
    assert (page.level, len(page.todo)) == ("trouble", 1)
    assert page.todo[0].what == (
        "Pacemaker is finding out whether it runs on ctl1 and ctl3. If that stays, see: pcs status --full"
    )
    assert [words for _, words in hindrances(Resource("muster", unasked=("ctl1",)))] == [
        "muster would evacuate nothing: muster is not known to run anywhere: muster status"
    ]


def test_a_look_that_fails_is_not_ok_and_not_the_last() -> None:
    looks = Looks()

    def fail() -> list[Examined]:
        raise RuntimeError("boom")

    looks.finds = fail
    assert looks.after(EVERY_S) == 1
    assert [doubt.result for doubt in looks.it.found.doubts] == ["unknown"]
    looks.finds = lambda: FINE
    assert looks.after(EVERY_S) == 2
    assert looks.it.found.doubts == ()


def test_the_log_has_each_change_once() -> None:
    looks = Looks(BAD, BAD, FINE, FINE)
    for _ in range(5):
        looks.after(EVERY_S)
    assert [line[1] for line in looks.lines.lines] == ["not ready", "ready again"]


def test_a_look_is_made_beside_the_worker() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def look() -> None:
        begun.set()
        assert may_end.wait(10), "whoever begins a look waits for it"

    in_background(look)
    assert begun.wait(10)
    may_end.set()


# ---------------------------------------------------------------- shown, shared


def test_the_exit_code_is_doctors() -> None:
    for result, level_of in (("unknown", "attention"), ("attention", "attention"), ("trouble", "trouble")):
        found = Readiness(NOW, 2, (Doubt("clocks", result, "x"),))
        assert shown(found).level == level_of
        assert shown(found, incidents_only=True).level == "ok"
        assert shown(found, incidents_only=True).readiness is None


def test_one_line_has_the_result_and_its_age() -> None:
    def line(found: Readiness) -> str:
        return status._readiness(found, NOW + 130).plain

    assert line(Readiness()) == "readiness: not looked at yet"
    assert line(Readiness(NOW, 23)) == "readiness: ok (23 checks), 2 min ago"
    doubts = (Doubt("Nova", "trouble"), Doubt("agents", "attention"))
    assert line(Readiness(NOW, 23, doubts)) == "readiness: trouble (Nova, agents), 2 min ago"


def test_what_the_page_says_in_its_own_words_is_not_said_twice() -> None:
    doubts = tuple(Doubt(check, "trouble", "x") for check in ("quorum", "other evacuators", "worker", "clocks"))
    assert {todo.about for todo in shown(Readiness(NOW, 4, doubts)).todo} == {"other evacuators", "worker", "clocks"}
    assert {todo.about for todo in shown(Readiness(NOW, 4, doubts), rivals=("nova-evacuate",)).todo} == {
        "nova-evacuate",
        "worker",
        "clocks",
    }


def test_a_pause_that_is_over_is_not_told_by_an_older_look() -> None:
    """D8: whether it is paused the page reads itself."""
    doubts = (Doubt("worker", "attention", f"muster {IS_PAUSED} root: muster changes nothing"),)
    assert shown(Readiness(NOW, 4, doubts)).level == "ok"


def test_in_the_middle_of_an_incident_the_page_is_about_the_incident() -> None:
    found, record = Readiness(NOW, 4, (Doubt("clocks", "trouble", "x"),)), Record(Phase.EVACUATING, int(NOW), int(NOW))
    nodes = {"cmp1": Node("cmp1", True, record=record)}
    for state_of, about in ((State.EVACUATING, set()), (State.SETTLED, {"clocks", "cmp1"})):
        summary = Summary("cmp1", state=state_of.value, fenced=int(NOW))
        heard = Heard(Shared(readiness=found, at=NOW, incidents=(summary,)), "ctl2")
        page = view(Seen(NOW, Cluster(True, "ctl1", nodes), Resource("muster", active_on=("ctl2",)), heard=heard))
        assert {todo.about for todo in page.todo} == about
        assert page.readiness == found


def test_a_worker_that_looks_no_more_is_not_trusted() -> None:
    assert shown(Readiness(NOW, 23), NOW + READINESS_LATE_S).todo == ()
    (todo,) = shown(Readiness(NOW, 23), NOW + READINESS_LATE_S + 1).todo
    assert "the worker has not looked for 20 min" in todo.what
    assert shown(Readiness(NOW, 23), NOW + READINESS_LATE_S + 1, incidents_only=True).todo == ()


def test_the_time_of_a_look_alone_is_shared_seldom(tmp_path: Path) -> None:
    """Pacemaker logs each value on every controller."""
    clock, told = FakeClock(), [Readiness(1.0, 23)]
    texts: list[str] = []
    outlet = Status(tmp_path / "m.json", clock, LogLines(), texts.append, lambda: told[-1])  # type: ignore[arg-type]

    def shared(after_s: float, found: Optional[Readiness] = None) -> list[float]:
        clock.pass_by(after_s)
        told.append(found or told[-1])
        outlet.status("", [])
        outlet.share()
        return [json.loads(text)["readiness"]["at"] for text in texts]

    assert shared(SHARE_EVERY_S) == [1.0]
    assert shared(SHARE_EVERY_S, Readiness(2.0, 23)) == [1.0]
    assert shared(READINESS_AGAIN_S - SHARE_EVERY_S) == [1.0, 2.0]
    assert shared(2 * READINESS_AGAIN_S) == [1.0, 2.0]
    assert shared(1.0, Readiness(3.0, 23, (Doubt("Nova", "trouble", "HTTP 401"),))) == [1.0, 2.0, 3.0]
    assert shared(SHARE_EVERY_S, Readiness(4.0, 23)) == [1.0, 2.0, 3.0, 4.0]


def test_a_ban_that_leaves_a_second_controller_is_something_to_look_at() -> None:
    nodes = made.PARTS["nodes"] + '<node id="3" uname="ctl3"/>'
    power = made.PARTS["power"].replace("ctl1 ctl2", "ctl1 ctl2 ctl3")
    found = examine(facts(nodes=nodes, power=power, off_remotes=made.PARTS["off_remotes"] + BAN))
    place = next(check for check in found if check.name == "worker's place")
    assert [(f.result, f.what, f.commands) for f in place.findings] == [
        (
            Result.ATTENTION,
            "a constraint keeps muster off ctl2: it may run on ctl1 and ctl3",
            (("crm_resource", "--clear", "--resource", "muster", "--node", "ctl2"),),
        )
    ]


def test_a_worker_that_is_banned_everywhere_can_run_nowhere() -> None:
    bans = BAN + BAN.replace("ctl2", "ctl1")
    found = examine(facts(off_remotes=made.PARTS["off_remotes"] + bans, hold=location("nova-compute-clone", HOLD)))
    place = next(check for check in found if check.name == "worker's place")
    assert "it can run nowhere" in place.findings[0].what
