# SPDX-License-Identifier: Apache-2.0
"""Everything real for the tests of this folder: Pacemaker, Nova, muster installed by the lines of the README.

With ``MUSTER_RPM=1`` the nodes have what the RPMs bring; without it, this tree.

Whatever a test does, the oracle in front of Nova must have seen nothing forbidden, and no server of a dead host may be
without a verdict.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.cloud import Cloud

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What the nodes get; empty for this tree."""
    return Cloud.built(tmp_path_factory.mktemp("rpms")) if os.environ.get("MUSTER_RPM") else []


@pytest.fixture(scope="session")
def running(rpms: list[Path]) -> Iterator[Cloud]:
    with Cloud(os.environ.get("MUSTER_BED", "test"), computes=4, rpms=rpms) as cloud:
        cloud.install()
        yield cloud


@pytest.fixture
def cloud(running: Cloud, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    running.reset()
    yield running
    if request.session.testsfailed:
        print(running.describe())
    assert running.nova.violations() == []
