# SPDX-License-Identifier: Apache-2.0
"""C8: ``muster status`` says that the worker is silent where it should have been heard of, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.cli.site import newest
from muster.cli.view import SHARED_LATE_S, Seen, view
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.installation.installed import Resource
from muster.reporting.documents import Heard, OtherFormat, Shared, from_json

NOW = 1_800_000_000.0
AGAIN_S = 60.0
LIMIT_S = AGAIN_S + SHARED_LATE_S
FENCED = int(NOW) - 4000
INCIDENT = {"node": "cmp1", "fenced": FENCED, "state": "evacuating"}
RUNNING = Resource("muster", active_on=("ctl2",), active_since=FENCED - 4000)


def seen(
    age_s: float, *, fenced: int = FENCED, resource: Resource = RUNNING, quorum: bool = True, **shared: Any
) -> Seen:
    """:param age_s: of what the worker has shared.
    :param fenced: when a host was, for the last time; 0 for none.
    """
    record = Record(Phase.EVACUATING, min(FENCED, fenced), fenced) if fenced else None
    told = {"at": NOW - age_s, "again_s": AGAIN_S, "incidents": [INCIDENT] if fenced else []}
    cluster = Cluster(quorum, "ctl1", {"cmp1": Node("cmp1", remote=True, record=record)})
    read = from_json(Shared, {**told, **shared})
    assert isinstance(read, Shared)
    return Seen(NOW, cluster, resource, heard=Heard(read, "ctl2"))


def said(it: Seen) -> list[str]:
    return [todo.what for todo in view(it).todo if todo.about == "muster" and "has reported nothing" in todo.what]


def test_says_since_when_where_and_what_to_do() -> None:
    (todo,) = (todo for todo in view(seen(250.0)).todo if todo.about == "muster")
    assert todo.level == "trouble"
    assert todo.what.startswith("the worker on ctl2 has reported nothing since 20")
    assert ", for 4 min 10 s: " in todo.what
    assert todo.what.endswith("within a minute: pcs resource restart muster")


@pytest.mark.parametrize("age_s", [0.0, AGAIN_S, LIMIT_S])
def test_one_that_is_heard_of_in_time_is_not_silent(age_s: float) -> None:
    assert said(seen(age_s)) == []
    assert len(said(seen(age_s + LIMIT_S + 1))) == 1


def test_what_has_no_news_for_long_may_take_longer() -> None:
    assert said(seen(900.0, again_s=900.0)) == []
    assert len(said(seen(900.0 + SHARED_LATE_S + 1, again_s=900.0))) == 1


def test_one_with_nothing_to_do_says_nothing_for_days() -> None:
    assert said(seen(9e5, fenced=0, again_s=0.0)) == []
    assert said(seen(3900.0, again_s=0.0)) == []


@pytest.mark.parametrize(
    "shared", [{}, {"incidents": []}, {"at": None}, {"at": "soon", "again_s": [], "incidents": []}]
)
def test_a_host_of_which_it_says_nothing_shows_it_too(shared: dict[str, Any]) -> None:
    """It hung with nothing to do, and a host has died since; or it has never shared anything."""
    given = {"again_s": 0.0, "incidents": [], **shared}
    assert len(said(seen(9000.0, fenced=int(NOW - SHARED_LATE_S) - 1, **given))) == 1
    assert said(seen(9000.0, fenced=int(NOW - SHARED_LATE_S) + 1, **given)) == []


def test_a_host_that_is_no_compute_of_ours_is_not_waited_for() -> None:
    it = seen(9000.0, again_s=0.0, incidents=[])
    node = replace(it.cluster.nodes["cmp1"], compute=False)
    assert said(replace(it, cluster=replace(it.cluster, nodes={"cmp1": node}))) == []


def test_a_host_that_was_left_out_is_not_taken_for_one_that_it_says_nothing_of() -> None:
    """Of hundreds of hosts not all fit into what is shared."""
    it = seen(5.0, incidents=[], shortened=True)
    assert said(it) == []
    assert [incident.reason for incident in view(it).incidents] == ["more waits than fits here"]
    assert len(said(seen(LIMIT_S + 1, incidents=[], shortened=True))) == 1


def test_what_died_since_was_not_left_out() -> None:
    """It had no work left, shared what fits, and hung: a host that has died since it cannot have known of."""
    given = {"again_s": 0.0, "incidents": [], "shortened": True}
    it = seen(9000.0, fenced=int(NOW - SHARED_LATE_S) - 1, **given)
    assert len(said(it)) == 1
    assert [incident.reason for incident in view(it).incidents] == ["the worker has not reported it yet"]
    assert said(seen(9000.0, fenced=int(NOW) - 9001, **given)) == []


def test_a_new_worker_is_not_taken_for_the_one_before_it() -> None:
    """What that one has shared stays in Pacemaker's memory."""
    started = replace(RUNNING, active_since=int(NOW - 100))
    assert said(seen(4000.0, resource=started)) == []
    (late,) = said(seen(4000.0, resource=replace(RUNNING, active_since=int(NOW - 130))))
    assert ", for 2 min 10 s: " in late


def test_what_the_one_before_it_has_shared_is_no_word_of_its_own() -> None:
    """On the same controller: it hung before it had shared anything, and that one had nothing to do."""

    def started(ago_s: int, found_ago_s: int = 0) -> Resource:
        return replace(RUNNING, active_since=int(NOW) - (found_ago_s or ago_s), started_at=int(NOW) - ago_s)

    idle = {"again_s": 0.0, "fenced": FENCED}
    (late,) = said(seen(4000.0, resource=started(130), **idle))
    assert ", for 2 min 10 s: " in late
    assert said(seen(4000.0, resource=started(100), **idle)) == []
    assert said(seen(4000.0, resource=started(4000), **idle)) == []
    assert said(seen(4000.0, resource=started(3997), **idle)) == [], "it shares as its start ends"
    assert said(seen(4000.0, resource=replace(RUNNING, active_since=int(NOW) - 130), **idle)) == [], "a cleanup"


def test_of_two_controllers_the_one_counts_that_has_shared_last() -> None:
    """Until Pacemaker has stopped it on one of them."""
    left, now, newer = Shared(at=NOW - 500, reason="x"), Shared(at=NOW), OtherFormat(9)
    assert newest({"ctl1": left, "ctl2": now}) == Heard(now, "ctl2")
    assert newest({"ctl2": now, "ctl1": left, "ctl3": None}) == Heard(now, "ctl2")
    assert newest({"ctl1": newer, "ctl2": left}) == Heard(left, "ctl2")
    assert newest({"ctl1": newer, "ctl2": None}) == Heard(controller="ctl1", other=newer)
    assert newest({"ctl1": None}) == newest({}) == Heard()


def test_what_cannot_be_read_is_not_called_unsaid() -> None:
    it = replace(seen(5.0), heard=Heard(controller="ctl2", other=OtherFormat(9)))
    assert [incident.reason for incident in view(it).incidents] == ["muster cannot read here what the worker reports"]


def test_nothing_is_known_of_when_it_began() -> None:
    unknown = replace(RUNNING, active_since=0)
    (text,) = said(seen(0.0, resource=unknown, at=None, again_s=0.0, incidents=[]))
    assert text.startswith("the worker on ctl2 has reported nothing: ")


@pytest.mark.parametrize(
    "it",
    [
        seen(9000.0, resource=replace(RUNNING, active_on=())),
        seen(9000.0, resource=replace(RUNNING, active_on=("ctl1", "ctl2"))),
        seen(9000.0, resource=replace(RUNNING, paused="alice")),
        seen(9000.0, quorum=False),
        seen(0.0, again_s=0.0, incidents=[], reason="Nova does not answer as it should"),
    ],
    ids=["no worker", "two workers", "paused", "no quorum", "it said why"],
)
def test_what_another_row_explains_is_not_said_twice(it: Seen) -> None:
    assert said(it) == []


def test_pacemaker_restarts_an_unmanaged_one_only_once_it_is_managed() -> None:
    (text,) = said(seen(9000.0, resource=replace(RUNNING, meta={"is-managed": "false"})))
    assert text.endswith("pcs resource manage muster")
