# SPDX-License-Identifier: Apache-2.0
"""E13: every command of pcs that muster prints or documents is taken by the pcs of this machine, and without a warning where
one form serves all.

On a CIB file, out of reach of any cluster.  What pcs does in a running cluster only is typed as well: it has to fail for
want of one, and for nothing else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from muster.installation.checkup import examine
from muster.installation.missing import Argv, Choices, missing
from muster.installation.phrasing import phrased
from tests import installation as made
from tests.bed.typist import Typist, available
from tests.documents import ROOT, commands
from tests.installation import document, facts, here, worker
from tests.printed import OTHERS, PAGES, argvs, in_prose, in_sentences
from tests.unit.test_checkup import CLUSTER
from tests.unit.test_checkup_whole import HERE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(available()), reason=available())]

HOSTS = ("cmp1", "cmp2", "cmp3")
POWER = "fence_ipmilan ip=192.0.2.9 username=u password=p pcmk_host_check=static-list"
BARE = [
    *(f"pcs resource create {n} ocf:pacemaker:remote server={n}.example op monitor interval=10 --force" for n in HOSTS),
    *(f"pcs stonith create power-{n} {POWER} pcmk_host_list={n}" for n in HOSTS),
    "pcs resource create nova-compute ocf:pacemaker:Dummy clone",
]
"""What the README takes for granted."""
OLD = [
    "pcs resource create nova-evacuate ocf:pacemaker:Dummy",
    "pcs resource create nova-compute-checkevacuate ocf:pacemaker:Dummy",
    "pcs resource create compute-unfence-trigger ocf:pacemaker:Dummy clone",
    f"pcs stonith create fence-nova {POWER} pcmk_host_list=cmp1",
    *(f"pcs stonith level add 1 {n} power-{n} fence-nova" for n in HOSTS),
]
"""What the migration begins with."""

LIVE = re.compile(
    r"pcs (stonith (fence|confirm|history)|resource (cleanup|restart|debug-start)|status|quorum|node attr)"
)
NO_CLUSTER = re.compile(
    "not connected|[Cc]ould not connect|unable to get (cib|crm_config)|Unable to get quorum|error running crm_mon|use --\\w+ to override"
)
ASKED_OTHERWISE = re.compile("Usage:|not supported|deprecat|invalid option", re.I)
OF_THE_CLUSTER = re.compile(
    r"Warning: cluster property option '[\w-]+' is deprecated[^\n]*\n?|warning: Support for legacy name [^\n]*\n?"
)
"""Of options that are there, or are right with the Pacemaker that a case has: pcs 0.12.3 asks the one that is here."""
RULE = "Specifying a rule as multiple arguments is deprecated"
"""Which pcs 0.12 says of the form that 0.11.5 takes; documents have it, and say so."""
PREFIXES = {
    "pcs stonith fence",
    "pcs stonith confirm",
    "pcs resource delete",
    "pcs node attribute",
    "pcs cluster node add-remote",
    "pcs stonith update",
    "pcs status",
}
"""Commands that are spoken of."""
WORDS = {
    "POWER-DEVICE": "power-cmp1",
    "MUSTER-DEVICE": "muster-fence",
    "HOSTS": "cmp1",
    "ADDRESS": "192.0.2.1",
    "VALUE": "5",
    "ID": "muster",
}
"""What whoever types it replaces."""
FIRST = {
    r"level add 1 cmp1": ["pcs stonith level remove 1 target cmp1"],
    r"resource create cmp1": ["pcs cluster node delete-remote cmp1", "pcs stonith level remove 1 target cmp1"],
    r"stonith create muster-fence": [
        *(f"pcs stonith level remove 1 target {n}" for n in HOSTS),
        "pcs stonith delete muster-fence",
    ],
    r"nova-evacuate|checkevacuate": OLD[:2],
}
"""What has to be done before it can be typed in a complete installation."""


class Desk:
    """A folder with the CIB of a cluster, in which commands are typed as in that cluster."""

    live_words: dict[tuple[object, ...], str] = {}
    """Of commands for a running cluster: some ask for it for half a minute."""

    def __init__(self, typist: Typist, folder: Path) -> None:
        self.typist = typist
        self.folder = folder
        self.live = folder / "live.xml"
        self.typed = 0

    def begin(self, text: str) -> Desk:
        self.live.write_text(text)
        return self

    def type(self, line: str) -> str:
        """Why it was refused; or what was said, if it warns."""
        line = re.sub(r"/root/", f"{self.folder}/", line)
        for word, ours in WORDS.items():
            line = re.sub(rf"(?<![\w-]){word}\b", ours, line)
        argv = shlex.split(line)
        if argv[0] not in ("pcs", "cp", "rm"):
            return ""
        self.typed += argv[0] == "pcs"
        if LIVE.match(line):
            kind = (*argv[:3], len(argv))
            said = self.live_words.get(kind) or self.typist.type(*argv)[1]
            self.live_words[kind] = said
            return "" if NO_CLUSTER.search(said) and not ASKED_OTHERWISE.search(said) else f"{line}: {said}"
        if argv[0] == "pcs" and "-f" not in argv:
            argv[1:1] = ["-f", str(self.live)]
        code, said = self.typist.type(*(word for word in argv if not word.startswith("--wait=")))
        said = OF_THE_CLUSTER.sub("", said)
        return f"{line}: exit {code}: {said}" if code or ASKED_OTHERWISE.search(said) else ""

    def all(self, lines: list[str]) -> list[str]:
        return [said for said in map(self.type, lines) if said]


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typist]:
    """A warning of the rule's form is none of what a document can help, and one there is."""
    one = Typist(tmp_path_factory.mktemp("typist"))
    yield one
    one.stop()


@pytest.fixture
def desk(typist: Typist, tmp_path: Path) -> Iterator[Desk]:
    one = Desk(typist, tmp_path)
    yield one
    print(f"pcs {typist.version}: {one.typed} typed")


@pytest.fixture(scope="module")
def empty(typist: Typist) -> str:
    return typist.type("cibadmin", "--empty")[1]


@pytest.fixture(scope="module")
def bare(typist: Typist, empty: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    one = Desk(typist, tmp_path_factory.mktemp("bare")).begin(empty)
    assert one.all(BARE) == []
    return one.live.read_text()


@pytest.fixture(scope="module")
def complete(typist: Typist, bare: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    one = Desk(typist, tmp_path_factory.mktemp("complete")).begin(bare)
    assert avoidable(one.all(list(commands("README.md")))) == []
    return one.live.read_text()


def avoidable(said: list[str]) -> list[str]:
    """Without what a document cannot help: which form of a rule it is to have."""
    return [text for text in said if not (RULE in text and "exit 0" in text)]


# ------------------------------------------------------------------ documents


@pytest.mark.parametrize("page", [p for p in PAGES if list(commands(str(p.relative_to(ROOT))))], ids=lambda p: p.name)
def test_the_blocks_of_a_document_are_taken_one_after_the_other(
    page: Path, desk: Desk, bare: str, complete: str
) -> None:
    name = str(page.relative_to(ROOT))
    desk.begin(complete if page.name == "runbook.md" else bare)
    if page.name == "migrate.md":
        assert desk.all(OLD) == []
        typed = [*commands(name, "Prepare"), *commands(name, "From fence_compute and NovaEvacuate")]
        typed += [*commands(name, "Check"), *commands(name, "Go back")]
        assert sorted(typed) == sorted(commands(name))
    else:
        typed = list(commands(name))
    assert avoidable(desk.all(typed)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_in_the_prose_of_a_document_is_taken(page: Path, desk: Desk, complete: str) -> None:
    for line in in_prose(page):
        if line not in PREFIXES:
            desk.begin(complete)
            assert desk.all([*before(line)]) == []
            for file in re.findall(r"/root/(\w+\.xml)", line):
                (desk.folder / file).write_text(desk.live.read_text())
            assert avoidable(desk.all([line])) == [], page


def before(line: str) -> Iterator[str]:
    for pattern, lines in FIRST.items():
        if re.search(pattern, line):
            yield from lines


def test_who_creates_the_worker_is_told_at_once_what_its_agent_finds(desk: Desk, bare: str) -> None:
    """pcs 0.12 has the agent validate its parameters, and only warns of what it says."""
    if desk.typist.version < "0.12":
        pytest.skip("this pcs asks no agent")
    create = next(line for line in commands("README.md") if "ComputeRecovery" in line).replace(
        "/root/muster.xml", str(desk.live)
    )
    desk.begin(bare)
    code, said = desk.typist.type(*shlex.split(create.replace("shared_storage=yes", "shared_storage=perhaps")))
    assert (code, "shared_storage='perhaps': use yes or no" in said) == (0, True), said


# ---------------------------------------------------- what muster itself says


def test_each_command_in_a_sentence_of_status_and_the_others_is_taken(desk: Desk, complete: str) -> None:
    said = list(in_sentences())
    assert [(where, line) for where, line in said if "\0" in line] == []
    for where, line in said:
        if line not in PREFIXES:
            desk.begin(complete)
            assert desk.all([*before(line), line]) == [], where


def test_each_attribute_that_a_sentence_removes_is_removed(desk: Desk, complete: str) -> None:
    lines = sorted({line for _, line in in_sentences(OTHERS) if line.startswith("crm_attribute")})
    assert len(lines) >= 3
    for line in lines:
        name = re.sub(r"-N \S+", "-N cmp1", line).removesuffix(" -D")
        desk.begin(complete)
        here = ("env", f"CIB_file={desk.live}")
        for typed, found in ((f"{name} -v 1", True), (f"{name} -D", False)):
            code, said = desk.typist.type(*here, *shlex.split(typed))
            assert code == 0, f"{typed}: {said}"
            attribute = f"//nodes/node[@uname='cmp1']//nvpair[@name='{name.split()[-1]}']"
            assert bool(etree.fromstring(desk.live.read_bytes()).xpath(attribute)) is found, typed


LEVELS_OF_OLD = "".join(map(made.level, ("cmp1", "cmp2"), ("power-cmp1,old", "old")))
CASES: list[tuple[Mapping[str, object], Mapping[str, str]]] = [
    *(({}, changed) for _, _, changed, _ in CLUSTER),
    *((told, {}) for _, _, told, _ in HERE),
    ({}, {"rivals": made.resource("instanceha", "ocf:pacemaker:Dummy") + made.device("old", "fence_compute", {})}),
    ({}, {"rivals": made.device("old", "fence_compute", {}), "levels": LEVELS_OF_OLD}),
    ({"here": replace(here(), quorum=False)}, {}),
]


def test_every_command_of_doctor_and_setup_is_taken(desk: Desk, empty: str) -> None:
    version = tuple(int(part) for part in desk.typist.version.split("."))
    typed: set[str] = set()
    for told, changed in CASES:
        # In the order of the page, as somebody types them from its top to its end.
        lines = [line for check in examine(facts(told, **changed)) for f in check.findings for line in f.commands]
        typed |= try_all(desk, empty, changed, phrased(lines, version))
    for choices, changed in SETUPS:
        steps = missing(here(**changed), choices)
        typed |= try_all(desk, empty, changed, phrased([c for s in steps for c in s.commands], version))
    made_here = {" ".join(words): where for where, words in argvs() if words[1:2] not in ((), ("--version",))}
    assert {words: where for words, where in made_here.items() if not any(t.startswith(words) for t in typed)} == {}


def try_all(desk: Desk, empty: str, changed: Mapping[str, str], lines: tuple[Argv, ...]) -> set[str]:
    if lines:
        desk.begin(valid(document(**changed), empty))
        assert desk.all([shlex.join(line) for line in lines]) == [], changed
    words = [" ".join(line) for line in lines]
    return {*words, *(re.sub(r"^pcs -f \S+", "pcs", line) for line in words)}


NO_WORKER = {"worker": "", "status": "", "off_remotes": ""}
SETUPS: list[tuple[Choices, dict[str, str]]] = [
    (Choices("bed", "yes"), {"fence": "", "hold": "", "levels": "", **NO_WORKER}),
    (
        Choices("bed", "yes"),
        {"levels": made.level("cmp1", "power-cmp1") + made.level("cmp2", "power-cmp2"), **NO_WORKER},
    ),
    (Choices(), {"worker": worker({"target-role": "Stopped"}, monitor="")}),
]


def valid(root: etree._Element, empty: str) -> str:
    """As Pacemaker's schema has it: with the ids that the reader does not need; and with agents that are here."""
    whole = etree.fromstring(empty.encode())
    whole.remove(whole.find("configuration"))
    whole.remove(whole.find("status"))
    configuration = root.find("configuration")
    for rule in configuration.xpath(".//rule[not(*)]"):
        rule.getparent().remove(rule)
    for unit in configuration.iterfind("resources//primitive[@class='systemd']"):
        unit.attrib.update({"class": "ocf", "provider": "pacemaker", "type": "Dummy"})
    for number, element in enumerate(configuration.iter()):
        if element.tag not in (
            "configuration",
            "crm_config",
            "nodes",
            "resources",
            "constraints",
            "fencing-topology",
            "rsc_defaults",
            "op_defaults",
            "operations",
        ):
            element.set("id", element.get("id", f"id-{number}"))
        if element.tag == "op":
            element.set("timeout", "20s")
    whole.append(configuration)
    etree.SubElement(whole, "status")
    return etree.tostring(whole, encoding="unicode")
