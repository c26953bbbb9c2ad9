# SPDX-License-Identifier: Apache-2.0
"""The runbook has every TO DO that the code can print, and none that it cannot."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.printed import ROOT, SOURCE, _text

TODOS = ("cli/view.py", "cli/remedies.py", "cli/not_ready.py")
PAGE = (ROOT / "docs/runbook.md").read_text().split("\n## Every TO DO\n")[1].split("\n## ")[0]
CELLS = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
SYMPTOMS = [symptom for cell in CELLS for symptom in re.findall("`([^`]+)`", cell)]
PARTS = (
    "If Pacemaker does not restart the worker",
    "Pacemaker restarts no resource that is unmanaged",
    "Repair that, then pcs resource cleanup",
    "Before you power it on",
    "If no device can cut its power",
    "See: pcs stonith history show",
    "Pacemaker lost it \0since\0 ago, and its",
    "it has failed, and its",
    "the \0counted(held, 'held server')",
    "the worker has not reported it yet",
    "Repair the host",
    ", and \0doubt.more",
    "See: muster doctor. Then",
    "\0what\0. \0remedy\0",
    " in \0max(0",
    ": pcs stonith fence",
    "\0counted(held, 'server')\0 \0'were'",
    " since \0clock(heard)",
    "no worker is running",
    ": muster evacuates nothing before that.",
    "worker on \0",
)
"""What stands within a line, or beside a host under NOW, and is no TO DO of its own."""


def strings(node: ast.AST) -> Iterator[str]:
    nodes = list(ast.walk(node))
    inner = {id(part) for it in nodes if isinstance(it, ast.JoinedStr) for part in it.values}
    inner |= {id(it.value) for it in nodes if isinstance(it, ast.Expr)}  # docstrings
    for it in nodes:
        if isinstance(it, (ast.JoinedStr, ast.Constant)) and id(it) not in inner:
            yield _text(it)


def lines() -> dict[str, list[str]]:
    """By its place, the texts of which one at least has to be in the runbook."""
    found = {}
    for name in TODOS:
        for text in strings(ast.parse((SOURCE / name).read_text())):
            if len(text.split()) >= 4 and not any(part in text for part in PARTS):
                found[f"{name}: {text}"] = [text]
    for name, verdict in (("core/host_rules.py", "State.BLOCKED"), ("core/server_rules.py", "Verdict.HELD")):
        for node in ast.walk(ast.parse((SOURCE / name).read_text())):
            rule = isinstance(node, ast.Call) and ast.unparse(node.func) in ("HostRule", "ServerRule")
            if rule and ast.unparse(node.args[2]) == verdict:  # type: ignore[attr-defined]
                found[f"{name}: {ast.unparse(node.args[0])}"] = list(strings(node.args[3]))  # type: ignore[attr-defined]
    return found


LINES = lines()
OTHERS = {  # what the rows put together of other texts
    "core/server_rules.py: 'state-refused'": [
        "Nova cannot unpause it on a dead host",
        "its memory is on the dead host",
    ],
    "core/server_rules.py: 'owner-unknown'": ["muster cannot tell whether its owner wants it running"],
}


def says(symptom: str, text: str) -> bool:
    return re.search(".*".join(map(re.escape, symptom.split("..."))), text, re.S) is not None


@pytest.mark.parametrize("place", sorted(LINES), ids=lambda place: re.sub("[^a-z0-9]+", "-", place.lower())[:60])
def test_each_todo_of_the_code_is_in_the_runbook(place: str) -> None:
    texts = [*LINES[place], *OTHERS.get(place, [])]
    assert [symptom for symptom in SYMPTOMS if any(says(symptom, text) for text in texts)], texts


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_each_todo_of_the_runbook_is_in_the_code(symptom: str) -> None:
    sources = (
        SOURCE / name
        for name in (*TODOS, "gateways/pacemaker/cib_fencing.py", "core/host_rules.py", "core/server_rules.py")
    )
    assert any(says(symptom, text) for path in sources for text in strings(ast.parse(path.read_text()))), symptom
