# SPDX-License-Identifier: Apache-2.0
"""E9: what doctor finds: nothing in an installation as the README has it, and one check for every mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.installation.checks.examination import Examined, Result
from muster.installation.checkup import CHECKS, examine, option_faults
from muster.installation.installed import AgentSeen, NovaAccess
from tests import installation as made
from tests.installation import facts, level, pairs
from tests.unit.examined import ATTENTION, HEALTHY, OK, TROUBLE, UNKNOWN, found, others


def test_finds_nothing_in_an_installation_as_the_readme_has_it() -> None:
    assert {e.name: [f.what for f in e.findings] for e in examine(HEALTHY) if e.result is not OK} == {}


def test_every_check_finds_something_at_all_times() -> None:
    nothing = facts(
        {"nova": NovaAccess(asked=False, trouble="not asked"), "worker": None}, **dict.fromkeys(made.PARTS, "")
    )
    for given in (HEALTHY, nothing):
        assert [e.name for e in examine(given) if not e.findings] == []
    assert {e.name for e in examine(nothing) if e.result is OK} <= {
        "stonith-enabled", "no-quorum-policy", "maintenance", "concurrent-fencing", "agents",
        "shared storage", "fencing of controllers", "credentials", "quorum", "other evacuators", "other controllers",
    }  # fmt: skip


HERE = [
    ("parameters", TROUBLE, {'settings_faults': ("in_flight='x': use a whole number",)}, "pcs resource update muster in_flight=VALUE"),
    ("parameters", TROUBLE, {'settings_faults': ("host_map: 'a' stands twice",)}, "host_map=VALUE"),
    ("parameters", ATTENTION, {'comfort_faults': ("hook='/x': No such file: put it there",)}, "hook='/x': No such file; the worker does without ~ put it there"),
    ("shared storage", UNKNOWN, {'shared_storage': None}, "cannot read"),
    ("credentials", UNKNOWN, {'controller': replace(HEALTHY.controller, credentials=None)}, "which file"),
    ("credentials", TROUBLE, {'controller': replace(HEALTHY.controller, credentials=("x: chmod 0600 x",))}, "x ~ chmod 0600 x"),
    ("credentials", UNKNOWN, {'controller': replace(HEALTHY.controller, credentials=("x: y",), root=False)}, "run this as root"),
    ("agents", TROUBLE, {'controller': replace(HEALTHY.controller, agents={"/a": AgentSeen(fault="No such file")})}, "/a: No such file"),
    ("agents", TROUBLE, {'controller': replace(HEALTHY.controller, agents={"/a": AgentSeen("0.9")})}, "/a is of version 0.9"),
    ("agents", ATTENTION, {'controller': replace(HEALTHY.controller, worker_version="0.9")}, "pcs resource restart muster"),
    ("Nova", ATTENTION, {'nova_api_version': "2.60"}, "a silent cell looks empty ~ pcs resource update muster nova_api_version="),
]  # fmt: skip


@pytest.mark.parametrize(("check", "result", "told", "words"), HERE)
def test_names_what_is_wrong_on_this_controller(check: str, result: Result, told: dict[str, Any], words: str) -> None:
    seen, text = found(facts(told), check)
    assert (seen, words in text) == (result, True), text


def test_what_another_controller_lacks_is_found_from_here() -> None:
    """E17: Pacemaker could not start the worker there, or the worker would do without something."""
    for said, result in (("cannot start: no file", TROUBLE), ("does without: hook", ATTENTION)):
        status = made.PARTS["status"] + made.announced("ctl2", lacks=said) + made.announced("ctl1", lacks=said)
        seen, text = found(facts(status=status), "other controllers")
        assert (seen, text.count("on ctl2 the worker")) == (result, 1)
        assert f"on ctl2 the worker {said}" in text
        assert "crm_resource --refresh --resource muster --node ctl2" in text


def test_what_a_compute_lacks_is_no_fault() -> None:
    """E17: Pacemaker has probed it for the worker, as it does without the rule that keeps the worker off computes."""
    status = made.PARTS["status"] + made.announced("cmp1", lacks="cannot start: no file")
    assert found(facts(status=status), "other controllers")[0] == OK


def test_one_mistake_is_found_by_one_check() -> None:
    """Nobody reads four findings of one cause."""
    assert others(facts(hold=""), "nova-compute is held") == set()
    assert others(facts(levels=level("cmp1", "power-cmp1,muster-fence")), "fencing levels") == set()
    assert others(facts(off_remotes=""), "worker's place") == set()


def test_a_check_that_says_nothing_is_not_content() -> None:
    assert Examined("nothing", ()).result is UNKNOWN


def test_advice_is_no_finding() -> None:
    given = facts(options=pairs({}))
    seen, text = found(given, "concurrent-fencing")
    assert (seen, "pcs property set concurrent-fencing=true" in text) == (OK, True)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "on"),
        ({"concurrent-fencing": "true"}, "on"),
        (
            {"concurrent-fencing": "false"},
            "off ~ with it on, a power device that hangs cannot delay other fencings"
            " ~ pcs property unset concurrent-fencing",
        ),
    ],
)
def test_nobody_is_told_to_set_what_pacemaker_3_has_by_default_and_deprecates(given: dict[str, str], text: str) -> None:
    assert found(facts(options=pairs({"dc-version": "3.0.0", **given})), "concurrent-fencing") == (OK, text)


def test_the_agent_refuses_the_options_that_doctor_finds() -> None:
    assert option_faults(HEALTHY) == []
    wrong = facts(options=pairs({"stonith-enabled": "no", "no-quorum-policy": "ignore"}))
    assert [f.commands for f in option_faults(wrong)] == [
        (("pcs", "property", "unset", "stonith-enabled"),),
        (("pcs", "property", "set", "no-quorum-policy=stop"),),
    ]


def test_the_agent_starts_where_only_another_pacemaker_would_not_fence() -> None:
    assert option_faults(facts(options=pairs({"fencing-enabled": "no", "dc-version": "2.1.5"}))) == []


def test_no_two_checks_have_one_name() -> None:
    assert len({name for name, _ in CHECKS}) == len(CHECKS)
