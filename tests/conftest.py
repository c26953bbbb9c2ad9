# SPDX-License-Identifier: Apache-2.0
"""What counts for the coverage of the core: the tests of tests/unit, which say what is decided and why."""

from __future__ import annotations

from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if UNIT not in item.path.parents:
            item.add_marker(pytest.mark.no_cover)
