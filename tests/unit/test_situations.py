# SPDX-License-Identifier: Apache-2.0
"""What ``muster status`` says where something is to be done: the remedy is on the screen, and docs/situations.md is true."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from generators import situations
from generators.situations import NOW, SITUATIONS, Situation
from muster.cli import status, watch
from muster.cli.view import Seen, Todo, view
from muster.core.cluster_facts import Cluster
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, Shared, SharedEvent


def one_line(screen: str) -> str:
    return " ".join(screen.split())


@pytest.mark.parametrize("it", SITUATIONS, ids=lambda it: it.name.replace(" ", "-"))
def test_the_screen_says_what_to_do(it: Situation) -> None:
    said = one_line(it.screen(width=400))
    assert [answer for answer in it.answer if answer not in said] == []
    assert ("TO DO" in said) == bool(it.answer)


@pytest.mark.parametrize("it", SITUATIONS, ids=lambda it: it.name.replace(" ", "-"))
def test_everything_is_on_a_narrow_screen_too(it: Situation) -> None:
    """Wrapped, never cut; and no id in two, for whoever copies a command."""
    narrow = it.screen(width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    wide = it.screen(width=400)
    heads = {"WHAT", "NOW", "SERVERS", "SERVERS:"}  # needless above what stands below its row, or in front of it
    assert set(narrow.split()) - heads == set(wide.split()) - heads
    assert [wide.count(ident) for ident in situations.IDS] == [narrow.count(ident) for ident in situations.IDS]


def test_the_exit_code_follows_the_worst() -> None:
    codes = {it.name: status.EXIT_OF_LEVEL[it.view().level] for it in SITUATIONS}
    assert codes["All is well"] == 0
    assert codes["A host died and the work is under way"] == 1
    assert {name for name, code in codes.items() if code == 2} == {
        it.name for it in SITUATIONS if any(todo.level == "trouble" for todo in it.view().todo)
    }


@pytest.mark.parametrize(("height", "shown"), [(24, 2), (50, 9)])
def test_what_waits_for_a_person_does_not_push_progress_off_the_screen(height: int, shown: int) -> None:
    it = next(one for one in SITUATIONS if one.name == "A host died and the work is under way").view()
    events = [SharedEvent(situations.NOW + n, "cmp1", f"event {n}") for n in range(8)]
    many = replace(it, todo=(Todo("trouble", situations.IDS[0], "held: " + "why " * 40),) * 20, events=tuple(events))
    out = io.StringIO()
    Console(file=out, width=80).print(watch.page(many, situations.NOW, height))
    lines = out.getvalue().splitlines()[:height]
    assert sum(line.startswith("trouble") for line in lines) == shown
    assert [
        text
        for text in ("4 of 6 back", f"and {20 - shown} more: muster status", "event 7")
        if text not in "".join(lines)
    ] == []


def test_what_is_too_much_to_be_shared_is_said() -> None:
    seen = Seen(NOW, Cluster(True, "ctl1", {}), Resource("muster", active_on=("ctl2",)))
    told = [todo.what for todo in view(replace(seen, heard=Heard(Shared(shortened=True), "ctl2"))).todo]
    assert told == ["more waits than fits here. To see all, on ctl2: muster status"]
    assert "on the worker's controller" in view(replace(seen, heard=Heard(Shared(shortened=True)))).todo[0].what
