# SPDX-License-Identifier: Apache-2.0
"""E9: what doctor finds in Nova and Placement, and in how they are asked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from muster.core.nova_facts import Service
from muster.installation.checks.examination import Result
from muster.installation.checks.nova import LONGEST_INTERVAL_S
from muster.installation.checkup import examine
from muster.installation.installed import Right
from muster.parameters import parameters
from tests.fakes import settings
from tests.installation import facts
from tests.unit.examined import ATTENTION, HEALTHY, TROUBLE, UNKNOWN, found

LET_RETURN = (
    Service("1", "cmp1"),
    Service("2", "cmp2", enabled=False, disabled_reason="muster: returned after the fencing at 1"),
)
NOVA = [
    ("Nova", TROUBLE, {'trouble': "GET /: ConnectFailure"}, "ConnectFailure ~ check /etc/muster/clouds.yaml"),
    ("Nova", UNKNOWN, {'asked': False, 'trouble': "it was not asked: run this as root"}, "as root"),
    ("Nova", TROUBLE, {'offered': "2.8"}, "2.11"),
    ("rights in Nova", TROUBLE, {'rights': (Right("evacuate", False, "HTTP 403: os-evacuate"),)}, "may not evacuate: HTTP 403"),
    ("rights in Nova", UNKNOWN, {'rights': (Right("evacuate", None, "no server", "boot"),)}, "whether muster's user may evacuate: no server ~ boot"),
    ("rights in Nova", ATTENTION, {'rights': (Right("see x", False, "HTTP 403", lesser=True),)}, "may not see x, which the commands plan and capacity need: HTTP 403"),
    ("rights in Nova", UNKNOWN, {'trouble': "silent"}, "did not ask"),
    ("names in Nova", TROUBLE, {'services': (Service("1", "cmp1"),)}, "pcs resource update muster host_map=cmp2:HOST"),
    ("names in Nova", TROUBLE, {'services': ()}, "no nova-compute service at all"),
    ("names in Nova", UNKNOWN, {'services': None}, "cannot list"),
    ("names in Nova", ATTENTION, {'services': LET_RETURN}, "cmp2 came back and takes no server until you enable it ~ openstack compute service set --enable cmp2 nova-compute"),
    ("other evacuators", ATTENTION, {'evacuators': ("instanceha has disabled cmp1",)}, "cmp1 ~ make sure that it evacuates"),
    ("Placement", ATTENTION, {'placement': "the catalogue has no placement"}, "no destination"),
    ("Placement", UNKNOWN, {'placement': None}, "did not ask"),
    ("clocks", ATTENTION, {'clock_ahead_s': 31.0}, "31 s ahead"),
    ("clocks", TROUBLE, {'clock_ahead_s': -61.0}, "61 s behind ~ run NTP"),
    ("clocks", UNKNOWN, {'clock_ahead_s': None}, "no date"),
    ("clocks", TROUBLE, {'services_at': 80.0}, "20 s in the future"),
    ("heartbeats", TROUBLE, {'services_at': 157.0}, "report_interval_s=60"),
    ("heartbeats", TROUBLE, {'services_at': 397.0}, "it is 300 or more ~ pcs resource update muster report_interval_s=300"),
    ("heartbeats", TROUBLE, {'services_at': 401.0}, "it is 310 or more, and muster waits 300 s at most"),
    ("heartbeats", UNKNOWN, {'services': ()}, "no nova-compute is up"),
    ("heartbeats", UNKNOWN, {'services': None, 'trouble': "silent"}, "did not ask"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "result", "changed", "words"), NOVA)
def test_names_what_is_wrong_in_nova(check: str, result: Result, changed: dict[str, Any], words: str) -> None:
    seen, text = found(facts({"nova": replace(HEALTHY.nova, **changed)}), check)
    assert (seen, words in text) == (result, True), text


def test_a_right_that_nobody_could_look_at_is_none_that_it_has() -> None:
    rights = (Right("evacuate", True), Right("stop", None, "no server to look at", "boot one"))
    findings = next(
        e for e in examine(facts({"nova": replace(HEALTHY.nova, rights=rights)})) if e.name == "rights in Nova"
    ).findings
    assert [f.result for f in findings] == [UNKNOWN]


def test_names_the_host_map_that_keeps_what_stands_there() -> None:
    nova = replace(HEALTHY.nova, services=(Service("1", "nova7"),))
    told = {"nova": nova, "host_map": {"cmp1": "nova7"}}
    assert "pcs resource update muster 'host_map=cmp1:nova7;cmp2:HOST'" in found(facts(told), "names in Nova")[1]


@pytest.mark.parametrize("at", [157.0, 397.0, 401.0, 5000.0])
def test_advises_no_interval_that_the_settings_refuse(at: float) -> None:
    _, text = found(facts({"nova": replace(HEALTHY.nova, services_at=at)}), "heartbeats")
    advised = [int(value) for value in re.findall("report_interval_s=([0-9]+)", text.partition("~")[2])]
    parsed = [settings(report_interval_s=value).report_interval_s for value in advised]
    assert parsed == advised
    assert bool(advised) == (at < 401.0)


def test_knows_the_longest_interval_that_the_settings_take() -> None:
    interval = next(p for p in parameters("ComputeRecovery") if p.name == "report_interval_s")
    assert interval.maximum == LONGEST_INTERVAL_S
