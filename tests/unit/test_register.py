# SPDX-License-Identifier: Apache-2.0
"""``muster register`` makes its links and takes them away, and touches nothing else."""

from __future__ import annotations

import os
from configparser import ConfigParser
from pathlib import Path

import pytest

from muster.cli.register import EXTRAS, PLACES, Link, for_people, register
from muster.gateways.pacemaker import command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    monkeypatch.setattr(command, "PACEMAKER_USER", "nobody-of-that-name")  # pytest's folders are closed to others
    made = []
    for name, place in PLACES.items():
        program = tmp_path / "venv" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        made.append(Link(tmp_path / "root" / place.lstrip("/"), program))
    return made


def there(tmp_path: Path) -> list[str]:
    return sorted(str(p.relative_to(tmp_path / "root")) for p in (tmp_path / "root").rglob("*") if not p.is_dir())


def test_makes_the_links_once_and_takes_them_away(wanted: list[Link], tmp_path: Path) -> None:
    for _ in range(2):
        assert register(wanted, undo=False, dry_run=False) == 0
    assert there(tmp_path) == ["usr/lib/ocf/resource.d/muster/ComputeRecovery", "usr/sbin/fence_muster"]
    assert all(link.place.resolve() == link.program for link in wanted)
    assert register(wanted, undo=True, dry_run=False) == 0
    assert there(tmp_path) == []
    assert not (tmp_path / "root/usr/lib/ocf/resource.d/muster").exists()


def test_a_rehearsal_changes_nothing(wanted: list[Link], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(wanted, undo=False, dry_run=True) == 0
    assert capsys.readouterr().out.count("would link") == 2
    assert there(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_is_not_ours_stays(
    wanted: list[Link], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = wanted[1].place
    place.parent.mkdir(parents=True)
    if kind == "file":
        place.write_text("of a package")
    else:
        place.symlink_to(wanted[0].program if kind == "link" else tmp_path / "gone")
    assert register(wanted, undo=False, dry_run=False) == 2
    assert "is not of this installation" in capsys.readouterr().err
    assert there(tmp_path) == ["usr/sbin/fence_muster"]  # not even the other link was made
    assert register(wanted, undo=True, dry_run=False) == 0
    assert there(tmp_path) == ["usr/sbin/fence_muster"]


def test_says_so_when_there_is_no_agent(wanted: list[Link], capsys: pytest.CaptureFixture[str]) -> None:
    wanted[0].program.unlink()
    assert register(wanted, undo=False, dry_run=False) == 2
    assert "no such program" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_refuses_what_pacemaker_may_not_run(
    wanted: list[Link], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A virtual environment below a folder that only its owner may enter; a program that cannot run."""
    monkeypatch.setattr(command, "PACEMAKER_USER", "nobody")
    tmp_path.chmod(0o700)
    assert register(wanted, undo=False, dry_run=False) == 2
    told = capsys.readouterr().err
    assert told.count("does not run as nobody") == 2
    assert "Permission denied" in told
    assert there(tmp_path) == []
    monkeypatch.setattr(command, "PACEMAKER_USER", "nobody-of-that-name")
    wanted[0].program.write_text("#!/bin/sh\necho no module named muster >&2\nexit 1\n")
    assert register(wanted, undo=False, dry_run=False) == 2
    assert "(exit 1: no module named muster)" in capsys.readouterr().err
    assert there(tmp_path) == []


def test_an_agent_is_asked_as_pacemaker_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert command.run_as_pacemaker(("/usr/bin/env",), 5.0).output == b""


@pytest.fixture
def people(tmp_path: Path) -> list[Link]:
    made = []
    for name, place in EXTRAS.items():
        program = tmp_path / "venv" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("x")
        made.append(Link(tmp_path / "root" / place.lstrip("/"), program))
    return made


def test_after_pip_the_command_its_pages_and_its_completion_are_found(people: list[Link], tmp_path: Path) -> None:
    for _ in range(2):
        for_people(people, undo=False, dry_run=False)
    assert {f"/{place}" for place in there(tmp_path)} == set(EXTRAS.values())
    for_people(people, undo=True, dry_run=False)
    assert there(tmp_path) == []


def test_what_people_have_from_elsewhere_stays(
    people: list[Link], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people[0].place.parent.mkdir(parents=True)
    people[0].place.write_text("of a package")
    people[1].program.unlink()
    for_people(people, undo=False, dry_run=False)
    assert people[0].place.read_text() == "of a package"
    assert not people[1].made
    assert "is not ours" in capsys.readouterr().out
    for_people(people, undo=True, dry_run=False)
    assert there(tmp_path) == ["usr/local/bin/muster"]


def test_pip_installs_each_of_them() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    files = setup["options.data_files"]
    installed = {f"{folder}/{Path(line).name}" for folder in files for line in files[folder].split()}
    assert set(EXTRAS) - {"bin/muster"} == installed
    assert [line for folder in files for line in files[folder].split() if not (ROOT / line).exists()] == []
