# SPDX-License-Identifier: Apache-2.0
"""Committed text that is made from something else is what ``./generate`` would make of it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from generators import generate

FOLDER = Path(generate.__file__).parent


@pytest.mark.parametrize("generator", generate.GENERATORS, ids=lambda it: it.__name__.rpartition(".")[2])
def test_its_files_are_up_to_date(generator: ModuleType) -> None:
    """``./generate`` writes them."""
    assert [generate.difference(*it) for it in generate.outdated(generator.pages()).items()] == []


def test_no_generator_is_left_out() -> None:
    there = {path.stem for path in FOLDER.glob("*.py") if "\ndef pages() -> " in path.read_text()}
    assert there == {it.__name__.rpartition(".")[2] for it in generate.GENERATORS}


def test_no_file_has_two_generators() -> None:
    files = [path for it in generate.GENERATORS for path in it.pages()]
    assert len(set(files)) == len(files)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One file as it has to be, one that is not, and one that is missing."""
    pages = {tmp_path / "good": "a\n", tmp_path / "stale": "same\nnew\n", tmp_path / "missing": "m\n"}
    (tmp_path / "good").write_text("a\n")
    (tmp_path / "stale").write_text("same\nold\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "GENERATORS", (SimpleNamespace(pages=lambda: pages),))
    return tmp_path


def test_check_shows_what_is_out_of_date_and_writes_nothing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 1
    out, err = capsys.readouterr()
    assert "--- stale\n+++ stale, generated\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n" in out
    assert err.splitlines() == ["out of date: stale", "out of date: missing", "To write them: ./generate"]
    assert (files / "stale").read_text() == "same\nold\n"
    assert not (files / "missing").exists()


def test_writes_only_what_is_out_of_date(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (files / "good").stat().st_mtime_ns
    assert generate.main([]) == 0
    assert capsys.readouterr().err.splitlines() == ["written: stale", "written: missing"]
    assert {path.name: path.read_text() for path in files.iterdir()} == {
        "good": "a\n",
        "stale": "same\nnew\n",
        "missing": "m\n",
    }
    assert (files / "good").stat().st_mtime_ns == before
    assert generate.main(["--check"]) == 0
