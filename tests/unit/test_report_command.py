# SPDX-License-Identifier: Apache-2.0
"""``muster report`` where Pacemaker does not answer: what is at hand is told, what is not is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree

from muster.cli import commands, report, site
from muster.core.errors import ClusterError
from tests import told

WHY = "Pacemaker does not answer: cibadmin timed out"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two incidents of one host; Pacemaker is silent."""

    def silent(resource: str) -> None:
        raise ClusterError(WHY)

    monkeypatch.setattr(site, "REPORT_DIRECTORY", tmp_path)
    monkeypatch.setattr(report, "Site", silent)
    for first, servers in ((told.FENCED, 3), (told.FENCED + 90_000, 1)):
        (tmp_path / f"cmp1-{first}.json").write_text(json.dumps({**told.report(servers, held=1), "fenced": first}))
    (tmp_path / "broken-1.json").write_text("{")
    (tmp_path / "odd-1.json").write_text('{"node": "odd", "fenced": "long ago"}')
    return tmp_path


def typed(capfdbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, bytes]:
    code = report.run(commands.read(["report", *words]))
    return code, capfdbinary.readouterr().out


def test_lists_what_is_at_hand_newest_first(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, out = typed(capfdbinary)
    lines = out.decode().splitlines()
    assert code == commands.OK
    assert [line.split()[0] for line in lines[1:3]] == ["cmp1-1800090000", "cmp1-1800000000"]
    assert "2 evacuated, 1 held" in lines[2]
    assert [line.startswith("not known:") and WHY in line for line in lines[3:]] == [True, True]


@pytest.mark.parametrize(
    ("wanted", "servers"), [("cmp1", 1), ("cmp1.example.org", 1), ("cmp1-1800000000", 3), ("cmp1-1800090000", 1)]
)
def test_finds_it_by_host_and_by_time(capfdbinary: pytest.CaptureFixture[bytes], wanted: str, servers: int) -> None:
    data = json.loads(typed(capfdbinary, wanted, "-o", "json")[1])
    assert len(data["servers"]) == servers
    assert WHY in data["missing"][-1]


def test_what_nobody_knows_is_an_error() -> None:
    for wanted in ("cmp2", "cmp1-1700000000", "../../etc/passwd", "", "-"):
        options = commands.read(["report", "--", wanted]) if wanted else None
        if options:
            with pytest.raises(ClusterError, match="this controller has no report"):
                report.run(options)


def test_a_page_goes_into_a_file_that_is_no_symlink(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    victim, to = folder / "victim", folder / "to.html"
    victim.write_text("mine")
    to.symlink_to(victim)
    assert typed(capfdbinary, "cmp1", "-o", "html", "--to", str(to)) == (commands.OK, b"")
    assert etree.parse(str(to)).getroot().tag == "html"
    assert victim.read_text() == "mine"
    with pytest.raises(ClusterError, match="No such file"):
        report.run(commands.read(["report", "cmp1", "-o", "json", "--to", str(folder / "no" / "x")]))


def test_a_page_of_all_incidents_there_is_none() -> None:
    with pytest.raises(ClusterError, match="Name one"):
        report.run(commands.read(["report", "-o", "html"]))


@pytest.mark.parametrize("columns", ["80", "300"])
def test_a_name_steers_no_terminal(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """E3: neither does a reason, nor a node's name."""
    evil = "\x1b[2J\x07\ud800\u202e\r\n[bold]x[/bold]"
    data = told.report(3, held=1)
    for entry in data["proofs"]:
        entry.update(name=evil, reason=evil, state=evil, to=evil)
    (folder / "cmp1-1800090000.json").write_text(json.dumps({**data, "reason": evil, "fenced": told.FENCED + 90_000}))
    monkeypatch.setenv("COLUMNS", columns)
    out = typed(capfdbinary, "cmp1")[1].decode()
    assert out.replace("\n", "").isprintable()
    assert "[bold]" in out
