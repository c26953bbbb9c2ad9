# SPDX-License-Identifier: Apache-2.0
"""docs/performance-scale.md shows bench/scale.json as it is, and that is good enough."""

from __future__ import annotations

import pytest

from bench import scale_page


def test_the_page_is_up_to_date() -> None:
    """``python -m bench.scale --page`` writes it."""
    text = scale_page.PAGE.read_text()
    assert scale_page.page(text, scale_page.figures()) == text
    assert scale_page.picture(scale_page.figures()) == scale_page.PICTURE.read_bytes()


@pytest.mark.parametrize("series", ["one host", "hosts together", "plan"])
def test_cost_grows_no_faster_than_the_number_of_servers(series: str) -> None:
    """1.0 is linear, 2.0 is what this is to find; what is between is the price of memory that no cache holds."""
    assert scale_page.figures()[series]["exponent"]["median"] < 1.3
