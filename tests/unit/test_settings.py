# SPDX-License-Identifier: Apache-2.0
"""E1, E2: settings are right or refused, all faults at once."""

from __future__ import annotations

import dataclasses

import pytest

from muster import parameters
from muster.core.errors import SettingsError
from muster.core.policy import FailedHosts
from muster.settings import AGENT, Settings, comfort_faults, field_of, from_environment
from tests.fakes import settings


def faults(**values: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        from_environment({f"OCF_RESKEY_{name}": value for name, value in values.items()})
    return caught.value.faults


def test_fields_and_parameters_are_the_same_names() -> None:
    assert {f.name for f in dataclasses.fields(Settings)} == {field_of(p.name) for p in parameters.parameters(AGENT)}


def test_only_what_has_no_default_is_required() -> None:
    assert [p.name for p in parameters.parameters(AGENT) if p.required] == ["cloud", "shared_storage"]
    given = from_environment({"OCF_RESKEY_cloud": "c", "OCF_RESKEY_shared_storage": "no"})
    assert given.clouds_file == "/etc/muster/clouds.yaml"
    assert given.in_flight == 10


def test_names_every_fault_at_once_with_value_and_remedy() -> None:
    found = faults(
        in_flight="0",
        per_destination="many",
        attempts="99",
        max_failed_hosts="0%",
        evacuate="some",
        clouds_file="clouds.yaml",
        host_map="cmp1",
        target_map="cmp1:cmp1",
        delay_s="-1",
        nova_api_version="3.0",
        shared_storage="perhaps",
        reset_states="paused resized",
        left_to_others="octavia",
    )
    assert len(found) == 14
    text = "\n".join(found)
    for said in (
        "cloud: is required",
        "shared_storage='perhaps': use yes or no",
        "in_flight='0': use a whole number from 1 to 200",
        "per_destination='many': use a whole number from 0 to 200",
        "attempts='99'",
        "max_failed_hosts='0%': use a number of hosts",
        "evacuate='some': use all or tagged",
        "clouds_file='clouds.yaml': use an absolute path",
        "host_map='cmp1': 'cmp1' is no pair",
        "target_map: 'cmp1' is its own spare",
        "delay_s='-1': use a whole number from 0 to 3600 s",
        "nova_api_version='3.0'",
        "reset_states='paused resized': use some of paused, suspended, rescued",
        "left_to_others='octavia': 'octavia' is no mark",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("text", "meant"),
    [(t, True) for t in ("yes", "YES", "true", "True", "TRUE", "1", "on", "ON", "y", "ja", " yes ")]
    + [(t, False) for t in ("no", "NO", "false", "False", "0", "off", "n")],
)
def test_reads_booleans_in_every_spelling(text: str, meant: bool) -> None:
    assert settings(shared_storage=text).shared_storage is meant


@pytest.mark.parametrize("text", ["", "2", "maybe", "not", "yes no", "-1"])
def test_a_boolean_that_is_none_is_refused(text: str) -> None:
    assert "shared_storage" in "".join(faults(cloud="c", shared_storage=text))


def test_unknown_keys_are_ignored() -> None:
    environment = {
        "OCF_RESKEY_cloud": "c",
        "OCF_RESKEY_shared_storage": "yes",
        "OCF_RESKEY_CRM_meta_timeout": "20000",
        "OCF_RESKEY_crm_feature_set": "3.16.1",
        "OCF_RESKEY_nodename": "cmp1",
        "in_flight": "3",
    }
    assert from_environment(environment).in_flight == 10


@pytest.mark.parametrize(("text", "total", "hosts"), [("3", 100, 3), ("50%", 9, 4), ("10%", 3, 1), ("100%", 7, 7)])
def test_reads_a_limit_as_number_or_share(text: str, total: int, hosts: int) -> None:
    assert settings(max_failed_hosts=text).max_failed_hosts.hosts(total) == hosts


@pytest.mark.parametrize("name", ["hook", "metrics_file"])
def test_a_path_that_is_not_needed_may_be_empty_but_not_relative(name: str) -> None:
    assert getattr(settings(), name) == ""
    assert getattr(settings(**{name: "/etc/x"}), name) == "/etc/x"
    given = {"OCF_RESKEY_cloud": "c", "OCF_RESKEY_shared_storage": "yes", f"OCF_RESKEY_{name}": "etc/x"}
    assert "use an absolute path" in "".join(comfort_faults(given))
    assert getattr(from_environment(given), name) == ""


def test_what_decides_is_never_guessed_and_what_is_for_comfort_is() -> None:
    """E17."""
    given = {"OCF_RESKEY_cloud": "c", "OCF_RESKEY_shared_storage": "yes", "OCF_RESKEY_stuck_after_s": "x"}
    assert from_environment(given).stuck_after_s == 900
    assert comfort_faults(given) == ["stuck_after_s='x': use a whole number from 60 to 86400 s"]
    assert len(faults(cloud="c", shared_storage="yes", stuck_after_s="x", in_flight="x")) == 1


def test_reads_maps() -> None:
    given = settings(host_map="a:a.example;b=b.example, c:", max_failed_hosts="5")
    assert dict(given.host_map) == {"a": "a.example", "b": "b.example", "c": ""}
    assert given.max_failed_hosts == FailedHosts(5)


def test_reads_marks_and_sets_of_words() -> None:
    given = settings(left_to_others="name = amphora-*; keeper=a b", reset_states="paused, rescued")
    assert given.left_to_others == (("name", "amphora-*"), ("keeper", "a b"))
    assert given.reset_states == {"paused", "rescued"}
    assert settings().reset_states == frozenset()


@pytest.mark.parametrize("text", ["a:x;b:x", "a:x;a:y", "a:x y", "a;b", "a:b:c", "<a>:b"])
def test_a_map_that_leaves_a_doubt_is_refused(text: str) -> None:
    assert "host_map" in "".join(faults(cloud="c", shared_storage="yes", host_map=text))
