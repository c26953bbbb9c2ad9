# SPDX-License-Identifier: Apache-2.0
"""Real Nova for every folder that wants it, and what counts for the coverage of the core."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.bed.nova.client import BedError, NovaBed

# Every run tries the same examples, and none is too slow; others with ``pytest --hypothesis-profile explore``.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same")

UNIT = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only tests/unit says what is decided and why; what the others happen to reach is not covered by them."""
    for item in items:
        if UNIT not in item.path.parents:
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """Thousands of tests are no garbage, and thousands of short histories make little of it at a time."""
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What Nova itself was at when a test failed on it: afterwards nobody can ask any more."""
    report = yield
    bed = getattr(item, "funcargs", {}).get("bed")
    if report.failed and isinstance(bed, NovaBed):
        with contextlib.suppress(OSError, BedError):  # it may be what the test has killed
            report.sections.append(("Nova", json.dumps(bed.ctl("plight"), indent=1)))
    return report


@pytest.fixture(scope="session")
def nova() -> Iterator[NovaBed]:
    with NovaBed.start(hosts=["cmp1", "cmp2", "cmp3"]) as running:
        yield running


@pytest.fixture
def bed(nova: NovaBed) -> NovaBed:
    """An empty, healthy cloud: one Nova for all tests, wiped between them."""
    nova.reset()
    return nova
