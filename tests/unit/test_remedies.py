# SPDX-License-Identifier: Apache-2.0
"""E25: what an operator is told to do is what helps, in the sequence in which it helps, and no more than that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from generators.situations import ARRIVALS, ARRIVED, NOW, Situation, dead, evacuation, seen, server
from muster.cli import status, watch
from muster.cli.remedies import Failed, of_failed, of_server, of_settled
from muster.cli.view import Shown
from muster.core.cluster_facts import Phase
from muster.core.nova_facts import EvacuationStatus
from muster.installation.installed import Resource
from muster.reporting.documents import WaitingServer
from muster.reporting.report import REASON_LIMIT, short

RUNNING = Resource("muster", active_on=("ctl2",))
CONFIRM = "pcs stonith confirm cmp1"
SERVER = "6f3c0de1-0f3c-4d1a-9b7e-5a1c2d3e4f50"


@pytest.mark.parametrize(
    ("failed", "under_way"),
    [
        (Failed("cmp1", "pending", 120.0, 3.0), True),
        (Failed("cmp1", "pending", 120.0), True),
        (Failed("cmp1", "", 120.0, 3.0), True),
        (Failed("cmp1", "pending", 120.0, 121.0), False),
        (Failed("cmp1", "failed", 120.0, 3.0), False),
        (Failed("cmp1", "pending", 120.0, 3.0, "it stands alone in its level"), False),
        (Failed("cmp1"), False),
    ],
)
def test_a_confirmation_is_advised_only_after_the_fencing_and_after_a_look_at_the_machine(
    failed: Failed, under_way: bool
) -> None:
    todo = of_failed(failed)
    assert todo.level == ("attention" if under_way else "trouble")
    assert (CONFIRM in todo.what) is not under_way
    assert ("its fencing is under way" in todo.what) is under_way
    if not under_way:
        assert todo.what.index("make sure that the machine is off") < todo.what.index(CONFIRM)
        assert todo.what.endswith(CONFIRM)
    assert ("Pacemaker lost it 3 s ago" in todo.what) is (failed.lost_s == 3.0)


def test_no_headline_says_that_all_is_well_beside_a_host_that_failed() -> None:
    it = Situation("", "", (), failed=(Failed("cmp1", "pending", lost_s=3.0),))
    assert it.screen().splitlines()[0] == "ATTENTION  1 failed host not fenced yet, worker on ctl2, quorum"
    both = replace(it, nodes=(dead(name="cmp2"),), hosts={"cmp2": seen()})
    assert "1 dead host, 1 failed host not fenced yet" in both.screen()


@pytest.mark.parametrize(
    ("held", "resource", "said", "unsaid"),
    [
        (0, RUNNING, "every server is settled. Repair the host and power it on; it returns to service once it has joined the cluster", ""),
        (1, RUNNING, "decide about the held server first", "every server is settled"),
        (2, RUNNING, "decide about the 2 held servers first", "every server is settled"),
        (0, Resource("muster", meta={"target-role": "Stopped"}), "start the worker, which returns it to service: pcs resource enable muster", "by itself"),
        (1, Resource("muster", meta={"target-role": "Stopped"}), "decide about the held server first", "by itself"),
        (0, Resource("muster"), "A worker has to run before you power it on", "by itself"),
        (0, replace(RUNNING, paused="alice"), "end the pause, or it does not return to service: muster resume", "by itself"),
    ],
)  # fmt: skip
def test_nobody_is_told_to_power_a_host_on_before_what_has_to_come_first(
    held: int, resource: Resource, said: str, unsaid: str
) -> None:
    what = of_settled("cmp1", held, resource).what
    assert said in what
    assert not unsaid or unsaid not in what
    assert not held or what.startswith("decide about")


def test_what_muster_reads_by_itself_is_nothing_to_do() -> None:
    """A server whose action log is being read waits for nobody."""
    hosts = {"cmp1": seen(*ARRIVED[1:], replace(server(0, "web-0", host="cmp2"), task_state=""), evacuations=ARRIVALS)}
    hosts["cmp1"] = replace(
        hosts["cmp1"], servers={k: replace(v, reread=True) for k, v in hosts["cmp1"].servers.items()}
    )
    view = Situation("", "", (), (dead(),), hosts).view()
    assert view.incidents[0].servers == {"unknown": 4}
    assert view.todo == ()


def test_a_silent_cell_is_named_and_what_comes_next() -> None:
    hosts = {"cmp1": seen(replace(server(0, "web-0"), known=False))}
    (todo,) = Situation("", "", (), (dead(),), hosts).view().todo
    assert todo.what == "its Nova cell does not answer. muster continues by itself when this is over"


def test_a_host_to_be_fenced_is_called_as_pacemaker_calls_it() -> None:
    hung = evacuation(10, EvacuationStatus.PRE_MIGRATING, "cmp2.example.org", at=NOW - 1200)
    view = Situation("", "", (), (dead(),), {"cmp1": seen(server(10, "mail"), evacuations=(hung,))}).view()
    assert view.todo[0].what.endswith("If cmp2 is dead, fence it; muster then continues: pcs stonith fence cmp2")
    unknown = of_server(WaitingServer("x", alarm=True, dest="far"), "", NOW)
    assert unknown and "pcs stonith fence" not in unknown.what


def test_each_host_is_named_where_more_waits_than_fits() -> None:
    it = Situation("", "", (), (dead(Phase.RETURNING), dead(name="cmp2")), {"cmp1": seen(), "cmp2": seen()})
    assert "HOST" not in " ".join(todo.what for todo in it.view().todo)


# ------------------------------------------------------------------- progress


def bar(at: float = NOW, **servers: int) -> str:
    return watch.progress(Shown("cmp1", state="evacuating", began=NOW - 30, servers=servers), at).plain


def test_progress_counts_what_is_proved() -> None:
    """Held ones used to count as done: 6/6 beside two servers that were down."""
    assert bar(evacuated=4, held=2).endswith("] 4 of 6 back, 2 held, nothing under way")
    assert bar(evacuated=4, evacuating=2, skipped=3, gone=1).startswith(
        "cmp1 [################--------] 4 of 6 back, 8 a"
    )


def test_every_window_shows_the_same_rate() -> None:
    it = Situation("", "", (), (dead(),), {"cmp1": seen(*ARRIVED, server(4, "db-1"), evacuations=ARRIVALS)}).view()
    shown = []
    for later in (0.0, 1.4):
        with Console(width=100).capture() as captured:
            pass
        console = Console(width=100, highlight=False)
        with console.capture() as captured:
            console.print(watch.page(it, NOW + later))
        shown.append(captured.get().splitlines()[1])
    assert shown[0] == shown[1]
    assert "a minute, done in about" in shown[0]


# ---------------------------------------------------------------- long reasons


@pytest.mark.parametrize("length", [10, REASON_LIMIT, 3000])
def test_what_is_too_long_says_where_the_whole_is_and_keeps_its_command(length: int) -> None:
    reason = f"3 of 3 tries failed: {'Cinder is out of order ' * (length // 20 + 1)}. After the repair: muster retry {SERVER}"
    told = short(reason, REASON_LIMIT, "muster status cmp1 shows all")
    assert len(told) <= REASON_LIMIT
    assert told.startswith("3 of 3 tries failed: Cinder")
    assert told.endswith(f"After the repair: muster retry {SERVER}")
    assert ("muster status cmp1 shows all" in told) == (len(reason) > REASON_LIMIT)


def test_the_exit_code_of_a_fencing_under_way_is_attention() -> None:
    view: Any = Situation("", "", (), failed=(Failed("cmp1", "pending", lost_s=3.0),)).view()
    assert (view.level, status.EXIT_OF_LEVEL[view.level], view.failed) == ("attention", 1, ("cmp1",))
