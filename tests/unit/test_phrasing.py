# SPDX-License-Identifier: Apache-2.0
"""E13: what is printed is what the pcs that is there takes without a warning."""

from __future__ import annotations

import pytest

from muster.core.errors import ClusterError
from muster.gateways.pacemaker.command import Result
from muster.gateways.pacemaker.pcs import version
from muster.installation.phrasing import phrased

HOLD = ("pcs", "constraint", "location", "nova-compute-clone", "rule", "score=-INFINITY", "defined", "muster-hold")
IN_FILE = ("pcs", "-f", "/root/muster.xml", "constraint", "location", "muster", "rule")
KIND = (*IN_FILE, "resource-discovery=never", "score=-INFINITY", "#kind", "eq", "remote")
OTHERS = (
    ("pcs", "constraint", "location", "muster", "avoids", "cmp1"),
    ("crm_resource", "--refresh", "--resource", "rule", "--node", "ctl2"),
)


@pytest.mark.parametrize("pcs", [(), (0, 11, 5), (0, 11, 10)])
def test_several_words_of_a_rule_are_what_every_pcs_takes(pcs: tuple[int, ...]) -> None:
    assert phrased([HOLD, KIND, *OTHERS], pcs) == (HOLD, KIND, *OTHERS)


@pytest.mark.parametrize("pcs", [(0, 12), (0, 12, 0, 2), (1, 0)])
def test_a_rule_is_one_word_for_a_pcs_that_warns_of_several(pcs: tuple[int, ...]) -> None:
    hold, kind, *others = phrased([HOLD, KIND, *OTHERS], pcs)
    assert hold == (*HOLD[:6], "defined muster-hold")
    assert kind == (*KIND[:9], "#kind eq remote")
    assert tuple(others) == OTHERS


@pytest.mark.parametrize(
    ("said", "known"),
    [(b"0.11.5\n", (0, 11, 5)), (b"0.12.0.2\n", (0, 12, 0, 2)), (b"0.13-rc1\n", (0, 13)), (b"", ()), (b"pcs\n", ())],
)
def test_asks_which_pcs_is_there(said: bytes, known: tuple[int, ...]) -> None:
    assert version(lambda argv, timeout_s: Result(0, said, "")) == known
    assert version(lambda argv, timeout_s: Result(1, said, "broken")) == ()


def test_without_pcs_its_version_is_unknown() -> None:
    def none(argv: object, timeout_s: float) -> Result:
        raise ClusterError("muster cannot run pcs: No such file or directory")

    assert version(none) == ()
