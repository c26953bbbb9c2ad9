# SPDX-License-Identifier: Apache-2.0
"""Everything real for the tests of this folder: Pacemaker, Nova, muster installed by the lines of the README.

With ``MUSTER_PACKAGES=rpm`` or ``deb`` the nodes have what the packages bring; without it, this tree.

Whatever a test does, the oracle in front of Nova must have seen nothing forbidden, and no server of a dead host may be
without a verdict.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.cloud import Cloud
from tests.bed.packages import FORMATS

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the nodes get, for :class:`Cloud`; empty for this tree."""
    form = FORMATS.get(os.environ.get("MUSTER_PACKAGES", ""))
    return {"packages": form.built(tmp_path_factory.mktemp("packages")), "form": form} if form else {}


@pytest.fixture(scope="session")
def running(installed: dict[str, Any]) -> Iterator[Cloud]:
    with Cloud(os.environ.get("MUSTER_BED", "test"), computes=4, **installed) as cloud:
        cloud.install()
        yield cloud


@pytest.fixture
def cloud(running: Cloud, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    running.reset()
    yield running
    if request.session.testsfailed:
        print(running.describe())
    assert running.nova.violations() == []
