# SPDX-License-Identifier: Apache-2.0
"""What bench/scale.json has, and docs/performance-scale.md shows, is good enough."""

from __future__ import annotations

import pytest

from bench import figures


@pytest.mark.parametrize("series", ["one host", "hosts together", "plan"])
def test_cost_grows_no_faster_than_the_number_of_servers(series: str) -> None:
    """1.0 is linear, 2.0 is what this is to find; what is between is the price of memory that no cache holds."""
    assert figures.read(figures.SCALE)[series]["exponent"]["median"] < 1.3
