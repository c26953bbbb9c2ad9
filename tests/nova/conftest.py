# SPDX-License-Identifier: Apache-2.0
"""Real Nova for the tests of this folder; whatever a test does, the oracle must have seen nothing forbidden."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from muster.gateways.nova.needs import NEEDS
from tests.bed.nova.client import ROOT, NovaBed
from tests.nova.steps import Type
from tests.rig import Rig

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.nova)


@pytest.fixture
def rig(bed: NovaBed, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes a rig with the given parameters; afterwards the invariants are checked from outside."""
    with rigs(bed, tmp_path) as make:
        yield make


@pytest.fixture
def types(bed: NovaBed, tmp_path: Path) -> Type:
    """With the client that operators have: the newest, whatever the release of Nova.  That of 2026.1 and older asks for
    Glance before it evacuates, which the bed has not."""
    environment = {
        "PATH": f"{ROOT}/.venv-nova/bin:/usr/bin",
        "OS_CLIENT_CONFIG_FILE": str(bed.clouds_yaml(tmp_path / "operators-clouds.yaml")),
        "OS_CLOUD": "bed",
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }

    def type_(command: str, terminal: bool = False) -> str:
        done = subprocess.run(
            ["script", "-qec", command, "/dev/null"] if terminal else shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=120,
            check=False,
            start_new_session=True,  # pytest's own terminal is not the operator's
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        bed.requests(clear=True)  # they are not muster's
        return done.stdout

    return type_


@contextlib.contextmanager
def rigs(bed: NovaBed, directory: Path) -> Iterator[Callable[..., Rig]]:
    """Rigs on any bed: nothing forbidden was done, and no monitor would have taken a slow worker for a hung one."""
    clouds = directory / "clouds.yaml"
    bed.clouds_yaml(clouds)
    made: list[Rig] = []

    def make(**parameters: Any) -> Rig:
        made.append(Rig(bed, clouds, **parameters))
        return made[-1]

    yield make
    assert bed.violations() == []
    assert [late for it in made for late in it.overdue] == []
    assert foreign(bed) == []


def foreign(bed: NovaBed) -> list[str]:
    """What was asked of Nova that no row of ``NEEDS`` covers, so that doctor does not ask for the right to it."""
    asked = set()
    for it in bed.requests(service="compute"):
        path = re.sub(r"^(/compute)?(/v2\.1)?", "", it["path"])
        whole = (it["method"], path, it["query"], it.get("body", ""))
        if (
            "urllib" not in (it["user_agent"] or "")
            and path not in ("", "/")
            and not any(n.covers(*whole) for n in NEEDS)
        ):
            asked.add(" ".join(whole))
    return sorted(asked)
