# SPDX-License-Identifier: Apache-2.0
"""What ``muster capacity`` prints."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from muster.cli import commands
from muster.cli.capacity import _level, data, each, page, sentence, together
from muster.core.nova_facts import Server
from muster.planning.answer import Capacity, Outcome, Unsaveable
from muster.planning.packing import Fate
from muster.planning.tolerance import Tolerance


def number(least: int, most: int, **more: Any) -> Tolerance:
    facts: dict[str, Any] = {"breaks": (), "doubtful": (), "singles": {}, **more}
    return Tolerance(least, most, **facts)


def printed(made: Capacity, level: int = commands.OK) -> str:
    out = Console(width=100, file=io.StringIO(), no_color=True)
    out.print(page(made, level))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("least", "most", "hosts", "words"),
    [
        (0, 0, 3, "the cloud cannot lose a host"),
        (2, 2, 12, "any 2 of 12 hosts may die together"),
        (1, 3, 12, "at least 1 and at most 3 of 12 hosts may die together"),
        (0, 0, 0, "no host that muster looks after"),
    ],
)
def test_the_number_in_words(least: int, most: int, hosts: int, words: str) -> None:
    assert sentence(number(least, most), hosts) == words


@pytest.mark.parametrize(
    ("least", "most", "wanted", "code"),
    [(2, 3, 2, commands.OK), (1, 3, 2, commands.ATTENTION), (1, 1, 2, commands.TROUBLE), (0, 0, 1, commands.TROUBLE)],
)
def test_the_exit_code_is_of_what_was_asked(least: int, most: int, wanted: int, code: int) -> None:
    assert _level(number(least, most), wanted) == code


def test_names_what_breaks_it_and_what_mends_it() -> None:
    lost = Unsaveable(Server("id-1", "cmp2", "active", name="db"), "affinity")
    singles = {"cmp1": {"a": Fate.LOST, "b": Fate.DEPENDS, "c": Fate.DEPENDS}}
    told = number(0, 1, breaks=("cmp1", "cmp2"), doubtful=("cmp1",), singles=singles)
    others = number(1, 2, breaks=("cmp3",))
    made = Capacity(told, (4, 9), others, [lost], {"x": 2}, 1, remedies=("enable spare1", "2 more hosts like cmp4"))
    text = printed(made, commands.ATTENTION)
    for words in (
        "ATTENTION  at least 0 and at most 1 of 4 hosts",
        "servers stay down if cmp1 and cmp2 die together",
        "not proved for cmp1: it depends on which hosts Nova chooses",
        "to bear 2: enable spare1, or 2 more hosts like cmp4",
        "db",
    ):
        assert words in text
    assert "cmp3 dies" in printed(Capacity(others, (4, 9)))
    assert data(made)["hosts_whose_death_costs"] == {"cmp1": {"lost": 1, "depends": 2}}
    assert data(made)["without_unsaveable"]["at_least"] == 1
    many = number(0, 10, breaks=tuple(f"h{n}" for n in range(13)))
    assert "h9 and 3 more die together" in printed(Capacity(many, (20, 0)))


def test_shows_each_server_of_hosts_that_die_together() -> None:
    server = Server("id-1", "cmp2", "active", name="db")
    made = [Outcome(server, Fate.DEPENDS, "cmp3"), Outcome(server, Fate.LOST, "", "zone")]
    out = Console(width=120, file=io.StringIO(), no_color=True)
    out.print(together(made, ["cmp1", "cmp2"], commands.TROUBLE))
    out.print(together([], ["cmp1"], commands.OK))
    assert isinstance(out.file, io.StringIO)
    for words in ("TROUBLE  if cmp1 and cmp2 died: 1 depends, 1 lost", "cmp3", "zone", "OK  if cmp1 died: no servers"):
        assert words in out.file.getvalue()
    assert each(made[0])["likely"] == "cmp3"


def test_the_page_promises_nothing_where_no_server_can_be_judged() -> None:
    made = Capacity(number(3, 3), (3, 5), unjudged={"server groups: not shown": 5})
    assert printed(made, commands.ATTENTION).splitlines() == [
        "ATTENTION  muster cannot say for any server: server groups: not shown"
    ]
