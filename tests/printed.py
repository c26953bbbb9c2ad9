# SPDX-License-Identifier: Apache-2.0
"""Every command that muster prints or documents, found where it is written: in the documents, and in the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from muster.cli.commands import COMMANDS
from tests.documents import ROOT

SOURCE = ROOT / "src/muster"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROSE = re.compile(r"`(pcs [^`]+)`")
TEXT_BLOCK = re.compile(r"^ *```text\n(.*?)^ *```$", re.M | re.S)
WORDS = r"cluster|constraint|node|property|quorum|resource|status|stonith"
IN_A_SENTENCE = re.compile(rf"pcs (?:{WORDS})\b(?:'[^']*'|[^.,;:()`\n']|\.(?=\w)|:(?=\w))*")
WORD = r"(?:[^\s.,;:()`|'\"]|[.:](?=\w))+"
OTHERS = re.compile(
    r"\b(?:openstack(?: --?[-\w]+ [\d.]+)?|virsh|rabbitmqctl|crm_attribute|chronyc|systemctl|journalctl"
    rf"|muster(?= (?:{'|'.join(command.name for command in COMMANDS)})\b)) (?:{WORD} )*{WORD}"
)
"""Commands of others than pcs, and of muster; with words of the sentence behind them where no sign ends them."""
NO_COMMANDS = (
    "pcs stonith confirm is not enough",
    "pcs stonith level takes it",
)
"""Sentences about a command."""

SERVER = "6f3c0de1-0f3c-4d1a-9b7e-5a1c2d3e4f50"
NAMES = {
    "FENCE": "muster-fence",
    "AGENT": "fence_muster",
    "POWER_AGENTS": "power_agents",
    "recorder": "muster-fence",
    "target": "cmp1",
    "level.target": "cmp1",
    "level.index": "1",
    "value": "power_agents=fence_mine",
    "node": "cmp1",
    "node.name": "cmp1",
    "name": "muster",
    "c.node.name": "cmp1",
    "made.host.name": "cmp1",
    "MARK": "muster_drill",
    "server.id": SERVER,
    "c.source": "cmp1",
    "c.open_from": "cmp1",
    "c.awaited_by": "cmp2",
    "command": "retry",
    "open_in[0]": "cmp1",
    "server": SERVER,
    "resource.id": "muster",
    "seen.resource.id": "muster",
    "c.resource": "muster",
    "c.nova_compute": "nova-compute-clone",
    "service.host": "cmp1",
    "guest.host": "cmp1",
    "incident.node": "cmp1",
    "c.failed": "2",
    "mapped": "cmp1:",
    "cib_xml.RECORD": "muster",
    **dict.fromkeys(("c.server.id", "case.server.id", "c.queue_unknown[0]", "ident", "turn.server.id"), SERVER),
    "queue": "compute.cmp1",
    "found[0].id": "power-cmp1",
    "SET_ACTIVE": "",
    "SET_ACTIVE.format(id=c.server.id)": "",
}
"""What stands in a sentence for a name that is known only later."""


def in_prose(page: Path) -> list[str]:
    """Between backticks, and in blocks that are not for a controller of any cluster."""
    text = page.read_text()
    lines = [line for block in TEXT_BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    inline = [" ".join(found.split()) for found in PROSE.findall(text)]
    return [*inline, *(line.strip() for line in lines if line.strip().startswith("pcs "))]


def in_sentences(kind: re.Pattern[str] = IN_A_SENTENCE) -> Iterator[tuple[str, str]]:
    """Where it stands, and a command within what muster says to operators."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        nodes = list(ast.walk(tree))
        inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        inner |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
        for node in nodes:
            if isinstance(node, (ast.JoinedStr, ast.Constant)) and id(node) not in inner:
                for found in kind.findall(_text(node).replace("{id}", SERVER)):
                    line = found.strip().rstrip("'")
                    if not line.startswith(NO_COMMANDS):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", line


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    assert isinstance(node, ast.JoinedStr)
    return "".join(_text(p) if not isinstance(p, ast.FormattedValue) else _value(p) for p in node.values)


def _value(part: ast.FormattedValue) -> str:
    return NAMES.get(ast.unparse(part.value), "\0" + ast.unparse(part.value) + "\0")


def argvs() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Where it is made, and the first words of each command that doctor and setup make word by word."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple) and node.elts and _text_or_none(node.elts[0]) == "pcs":
                words = []
                for element in node.elts:
                    word = _text_or_none(element)
                    if word is None:
                        break
                    words.append(word)
                yield f"{path.relative_to(ROOT)}:{node.lineno}", tuple(words)


def _text_or_none(node: ast.expr) -> Optional[str]:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
