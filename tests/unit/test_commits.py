# SPDX-License-Identifier: Apache-2.0
"""``tests/commits``, a step of ./check: subjects of commits are short and say what they are about."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("tests/commits", "CONTRIBUTING.md")
LONG = "core: " + "x" * 67
pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git here")


@dataclass
class Repository:
    place: Path

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", self.place, *identity, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, subject: str) -> None:
        self.git("commit", "-q", "--allow-empty", "-m", subject)

    def verdict(self) -> tuple[int, str]:
        done = subprocess.run([self.place / "tests" / "commits"], capture_output=True, text=True, cwd="/")
        return done.returncode, done.stderr


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose history is older than the rule."""
    new = Repository(tmp_path_factory.mktemp("begun"))
    new.git("init", "-q", "-b", "main")
    new.commit("this subject is from before there was a rule about subjects, and much longer than it says")
    (new.place / "tests").mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, new.place / name)
    new.git("add", "-A")
    new.commit("and the commit that brings the rule is no example of it")
    return new.place


@pytest.fixture
def repository(begun: Path, tmp_path: Path) -> Repository:
    return Repository(shutil.copytree(begun, tmp_path / "tree"))


def test_what_is_older_than_the_rule_is_no_matter(repository: Repository) -> None:
    assert repository.verdict() == (0, "")


@pytest.mark.parametrize("subject", ["core: ask twice", "docs: ü" + "ü" * 65, "tests: `code`, $HOME and 'quotes' *"])
def test_lets_a_good_subject_pass(repository: Repository, subject: str) -> None:
    repository.commit(subject)
    assert repository.verdict() == (0, "")


@pytest.mark.parametrize("subject", ["ask twice", "wip: ask twice", "core:ask twice", "core ask: twice", "Core: ask"])
def test_refuses_a_subject_without_a_known_prefix(repository: Repository, subject: str) -> None:
    repository.commit(subject)
    repository.commit("core: a good one after it")
    code, said = repository.verdict()
    assert code == 1
    assert f"{subject}\n    no prefix of CONTRIBUTING.md: core, nova," in said


def test_refuses_a_subject_that_is_too_long(repository: Repository) -> None:
    repository.commit(LONG)
    code, said = repository.verdict()
    assert code == 1
    assert f"{LONG}\n    73 characters, at most 72" in said
    assert "no prefix" not in said
    repository.git("commit", "-q", "--amend", "--allow-empty", "-m", LONG[:-1])
    assert repository.verdict() == (0, "")


def test_what_is_published_is_no_matter_to_a_branch(repository: Repository) -> None:
    repository.commit("published as it is")
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert repository.verdict()[0] == 1  # on main itself, as in CI
    repository.commit("core: a branch")
    assert repository.verdict() == (0, "")
    repository.commit("and a bad one")
    assert repository.verdict()[0] == 1


def test_a_shallow_clone_is_no_failure(repository: Repository, tmp_path: Path) -> None:
    repository.commit("not good")
    repository.git("clone", "-q", "--depth", "1", repository.place.as_uri(), str(tmp_path / "shallow"))
    done = subprocess.run([tmp_path / "shallow" / "tests" / "commits"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_history_is_no_failure(repository: Repository) -> None:
    """A release as files; also within another repository, whose subjects are its own matter."""
    inner = repository.place / "vendor" / "muster"
    (inner / "tests").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, inner / name)
    repository.commit("not good")
    done = subprocess.run([inner / "tests" / "commits"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(repository.place / ".git")
    assert repository.verdict() == (0, "")
