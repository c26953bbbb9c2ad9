# SPDX-License-Identifier: Apache-2.0
"""E14: what muster prints for crmsh and for Pacemaker's own tools does what it prints for pcs: on the same CIB file, as
muster reads it afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from muster.gateways.pacemaker import cib
from muster.gateways.pacemaker.installation import installation
from muster.installation.checkup import examine
from muster.installation.installed import Installation
from muster.installation.missing import Argv, devices_gone, missing
from muster.installation.other_shells import Shell, rephrased
from muster.installation.phrasing import phrased
from tests.bed.typist import Typist, available
from tests.contract.test_printed_commands import CASES, LIVE, SETUPS, WORDS, Desk, valid
from tests.installation import document, facts, here
from tests.printed import argvs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(available()), reason=available())]

NO_CLUSTER = re.compile(
    "Could not connect|not connected|Connection refused|Connection to cluster failed|Cannot initialize|DC|cluster is"
)
ASKED_OTHERWISE = re.compile("[Uu]nrecognized|[Uu]sage|Unknown option|No such command|syntax", re.I)
WITHOUT_A_CLUSTER = ("crm", "--force")
"""crm asks the cluster's fencer which fence agents there are; without one it has to be forced."""


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typist]:
    one = Typist(tmp_path_factory.mktemp("typist"))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def empty(typist: Typist) -> str:
    return typist.type("cibadmin", "--empty")[1]


@pytest.fixture(params=[Shell.CIBADMIN, Shell.CRMSH], ids=lambda shell: shell.value)
def shell(request: pytest.FixtureRequest) -> Shell:
    return Shell(request.param)


class Counter:
    """Types commands on a CIB file."""

    def __init__(self, typist: Typist, folder: Path) -> None:
        self.typist = typist
        self.file = folder / "live.xml"
        self.typed: set[Argv] = set()
        self.live: set[Argv] = set()

    def type(self, argv: Argv) -> str:
        """Why it was refused; empty if it was not."""
        self.typed.add(argv)
        words = (*WITHOUT_A_CLUSTER, *argv[1:]) if argv[0] == "crm" else argv
        code, said = self.typist.type("env", f"CIB_file={self.file}", *words)
        return f"{argv}: exit {code}: {said}" if code or ASKED_OTHERWISE.search(said) else ""

    def type_live(self, argv: Argv) -> str:
        """It has to fail for want of a cluster, and for nothing else."""
        kind = argv[:3]
        if kind in self.live:
            return ""
        self.live.add(kind)
        _, said = self.typist.type("timeout", "60", *argv)
        return "" if NO_CLUSTER.search(said) and not ASKED_OTHERWISE.search(said) else f"{argv}: {said}"


DEFAULTS = {("target-role", "Started"), ("is-managed", "true")}
"""crm writes what pcs leaves out."""


def read(text: str) -> Installation:
    return installation(cib.parse(text.encode()))


def levels_without_a_device(text: str) -> set[str]:
    """Those that fail."""
    here = read(text)
    return {level.id for level in here.every_level if devices_gone(here, level)}


def as_read(text: str) -> Installation:
    """Without the ids that each tool gives."""
    here = read(text)
    workers = tuple(
        replace(
            worker,
            asking=("",) * len(worker.asking),
            meta={key: value for key, value in worker.meta.items() if (key, value) not in DEFAULTS},
        )
        for worker in here.workers
    )
    levels = {node: tuple(replace(level, id="") for level in mine) for node, mine in here.levels.items()}
    return replace(here, ids=frozenset(), workers=workers, levels=levels)


def plans() -> Iterator[tuple[Mapping[str, str], tuple[Argv, ...]]]:
    """Parts of a CIB, and what doctor and setup say there, in the words of pcs."""
    for told, changed in CASES:
        lines = tuple(line for check in examine(facts(told, **changed)) for f in check.findings for line in f.commands)
        yield changed, lines
    for choices, changed in SETUPS:
        yield changed, tuple(c for s in missing(here(**changed), choices) for c in s.commands)


def filled(line: Argv) -> Argv:
    """With what whoever types it replaces."""
    pattern = rf"(?<![\w-])({'|'.join(WORDS)})\b"
    return tuple(re.sub(pattern, lambda found: WORDS[found.group(1)], word) for word in line)


def test_every_command_of_doctor_and_setup_does_what_that_of_pcs_does(
    typist: Typist, empty: str, shell: Shell, tmp_path: Path
) -> None:
    version = tuple(int(part) for part in typist.version.split("."))
    desk, other = Desk(typist, tmp_path), Counter(typist, tmp_path)
    done: set[str] = set()
    for changed, lines in plans():
        change = tuple(
            filled(line) for line in lines if line[0] in ("pcs", "cp", "rm") and not LIVE.match(" ".join(line))
        )
        whole = f"{changed}{change}"
        if not change or whole in done:
            continue
        done.add(whole)
        text = valid(document(**changed), empty)
        desk.begin(text)
        assert desk.all([" ".join(map(_quoted, line)) for line in phrased(change, version)]) == []
        wanted = as_read(desk.live.read_text())
        other.file.write_text(text)
        gone = levels_without_a_device(text)
        for line in rephrased(change, shell, read(text).every_level):
            assert other.type(line) == "", changed
            assert levels_without_a_device(other.file.read_text()) <= gone, line
        assert as_read(other.file.read_text()) == wanted, (changed, change)
    for _, lines in plans():
        live = tuple(line for line in lines if LIVE.match(" ".join(line)))
        assert [said for said in map(other.type_live, rephrased(live, shell)) if said] == []
    print(f"{shell.value}: {len(other.typed)} typed, {len(other.live)} kinds for a running cluster")


def _quoted(word: str) -> str:
    return f"'{word}'" if re.search(r"[\s#]", word) else word


def test_no_command_is_left_in_the_words_of_pcs(shell: Shell) -> None:
    told = {" ".join(line) for _, lines in plans() for line in lines if line[0] == "pcs"}
    known = {re.sub(r"^pcs -f \S+", "pcs", line) for line in told}
    made = {
        words for _, words in argvs() if words[1:2] not in ((), ("--version",)) and words[1] not in ("-f", "cluster")
    }
    assert {words for words in made if not any(line.startswith(" ".join(words)) for line in known)} == set()
    left = [line for _, lines in plans() for line in rephrased(lines, shell) if line[0] in ("pcs", "cp", "rm")]
    assert left == []
