# SPDX-License-Identifier: Apache-2.0
"""A real cluster around a real cloud with real guests: ``./check real``.

Whatever a test does, no disk may ever have two guests: that is looked at from outside, all the time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.openstack.oracle import Watch
from tests.bed.real import RealCloud

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def whole() -> Iterator[RealCloud]:
    with RealCloud(os.environ.get("MUSTER_BED", "real")) as cloud:
        cloud.install()
        yield cloud


@pytest.fixture
def watch(whole: RealCloud) -> Iterator[Watch]:
    with Watch(whole.cluster.nodes) as watch:
        yield watch
    assert watch.violations == []
    assert watch.looks


@pytest.fixture
def cloud(whole: RealCloud, watch: Watch, request: pytest.FixtureRequest) -> Iterator[RealCloud]:
    whole.reset()
    yield whole
    if request.session.testsfailed:
        print(whole.describe())
