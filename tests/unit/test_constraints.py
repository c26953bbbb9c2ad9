# SPDX-License-Identifier: Apache-2.0
"""Both test environments are the same next year: every package that is asked for has its one version."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOVA = ROOT / "tests" / "bed" / "nova"
PINNED = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)")


def of_the_product() -> list[str]:
    """What ./check installs: the product with all its extras, and what builds it."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    return [*"\n".join(lists).split(), "setuptools"]


def of_nova() -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (NOVA / "requirements.txt").read_text().splitlines())
    return [line for line in lines if line]


def same(name: str) -> str:
    """As the index writes it."""
    return re.sub(r"[-_.]+", "-", name.partition("==")[0]).lower()


@pytest.mark.parametrize(
    ("asked", "constraints"),
    [(of_the_product(), ROOT / "tests" / "constraints.txt"), (of_nova(), NOVA / "constraints.txt")],
    ids=["product", "nova"],
)
def test_each_has_one_version_and_no_address(asked: list[str], constraints: Path) -> None:
    """``tests/bed/pin`` writes them."""
    lines = [line for line in constraints.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
    assert {same(name) for name in asked} - {same(line) for line in lines} == set()
    assert [name for name in asked if "==" in name and name not in lines] == []
