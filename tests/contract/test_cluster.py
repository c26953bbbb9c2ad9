# SPDX-License-Identifier: Apache-2.0
"""What the engine relies on of Pacemaker, on everything that stands for it in a test and on its own tools.

The tools work on a file here, one after the other.  That of many at the same moment exactly one gets through is the doing
of Pacemaker's CIB manager; that the file's quorum is the cluster's, tests/cluster shows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import pytest

from muster.core.cluster_facts import Node, Phase, Record
from muster.core.errors import ClusterError, ClusterRefused
from tests.contract.clusters import COMPUTES, Pacemaker

FENCED = Record(Phase.FENCED, 100, 200)
EVACUATING = replace(FENCED, phase=Phase.EVACUATING)
RETURNING = replace(FENCED, phase=Phase.RETURNING)
CLOSED = replace(FENCED, phase=Phase.CLOSED)


def node(cluster: Pacemaker, name: str = "cmp1") -> Node:
    return cluster.port.look().nodes[name]


def held(cluster: Pacemaker, record: Record) -> Pacemaker:
    """cmp1 has this record, and the hold."""
    cluster.port.write_record("cmp1", None, record)
    return cluster


def test_a_look_shows_the_remotes_the_quorum_and_who_looks(cluster: Pacemaker) -> None:
    seen = cluster.port.look()
    assert (seen.quorum, seen.local) == (True, "ctl1")
    assert set(COMPUTES) <= set(seen.nodes)
    for name in COMPUTES:
        it = seen.nodes[name]
        assert (it.remote, it.record, it.unreadable_record, it.hold) == (True, None, "", False)


def test_a_record_is_written_with_the_hold_and_for_that_node_only(cluster: Pacemaker) -> None:
    cluster.port.write_record("cmp1", None, FENCED)
    assert (node(cluster).record, node(cluster).hold) == (FENCED, True)
    assert (node(cluster, "cmp2").record, node(cluster, "cmp2").hold) == (None, False)


def test_no_new_record_is_written_of_a_node_that_has_joined(cluster: Pacemaker) -> None:
    cluster.join("cmp1")
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp1", None, FENCED)
    assert (node(cluster).record, node(cluster).hold) == (None, False)
    cluster.port.write_record("cmp2", None, FENCED)
    cluster.join("cmp2")
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp2", FENCED, FENCED.fenced_again(300))
    cluster.port.write_record("cmp2", FENCED, FENCED)  # nothing new: a hold that is missing is set
    assert node(cluster, "cmp2").hold


def test_a_node_that_joins_is_a_member(cluster: Pacemaker) -> None:
    """C23."""
    assert (node(cluster).member, node(cluster).away) == (False, True)
    cluster.join("cmp1")
    assert (node(cluster).member, node(cluster).away) == (True, False)
    assert node(cluster, "cmp2").away


def test_no_new_record_is_written_of_a_node_of_which_nothing_is_known(cluster: Pacemaker) -> None:
    """C23."""
    cluster.port.write_record("cmp2", None, RETURNING)
    for name in COMPUTES:
        cluster.forget(name)
        assert (node(cluster, name).member, node(cluster, name).away) == (False, False)
    for name, old, new in (("cmp1", None, FENCED), ("cmp2", RETURNING, EVACUATING)):
        with pytest.raises(ClusterRefused):
            cluster.port.write_record(name, old, new)
        assert node(cluster, name).record == old


@pytest.mark.parametrize("phase", Phase)
def test_a_record_is_read_as_it_was_written(cluster: Pacemaker, phase: Phase) -> None:
    record = Record(phase, 1_800_000_000, 1_800_000_001, kept=True)
    assert node(held(cluster, record)).record == record


def test_a_record_is_written_over_the_one_that_was_seen(cluster: Pacemaker) -> None:
    held(cluster, RETURNING).port.drop_hold("cmp1")
    again = RETURNING.fenced_again(300)
    cluster.port.write_record("cmp1", RETURNING, again)
    assert (node(cluster).record, node(cluster).hold) == (again, True)


@pytest.mark.parametrize("seen", [None, FENCED, replace(EVACUATING, last=201), replace(EVACUATING, kept=True)])
def test_a_record_is_never_written_over_another_one(cluster: Pacemaker, seen: Record) -> None:
    held(cluster, EVACUATING)
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp1", seen, RETURNING)
    with pytest.raises(ClusterRefused):
        cluster.port.swap_record("cmp1", seen or FENCED, RETURNING)
    assert node(cluster).record == EVACUATING


def test_a_fencing_that_cut_no_power_needs_an_operators_word(cluster: Pacemaker) -> None:
    """C20."""
    now = 1_800_000_000
    cluster.join("cmp2")
    cluster.fence_by_fabric("cmp1", now)
    assert "fence_scsi" in node(cluster).unproved
    assert (node(cluster).member, node(cluster).confirmed_at) == (False, 0)
    assert node(cluster).fenced_at > 0
    cluster.confirm("cmp1", now + 30)
    assert node(cluster).confirmed_at > 0
    assert (node(cluster, "cmp2").unproved, node(cluster, "cmp2").confirmed_at) == ("", 0)
    cluster.join("cmp1")
    assert node(cluster).unproved == ""


def test_a_record_that_is_gone_is_not_written_over(cluster: Pacemaker) -> None:
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp1", FENCED, EVACUATING)
    with pytest.raises(ClusterRefused):
        cluster.port.swap_record("cmp1", FENCED, EVACUATING)
    assert (node(cluster).record, node(cluster).hold) == (None, False)


def test_of_two_who_swap_one_gets_through(cluster: Pacemaker) -> None:
    held(cluster, FENCED)
    cluster.port.swap_record("cmp1", FENCED, EVACUATING)
    with pytest.raises(ClusterRefused):
        cluster.rival.swap_record("cmp1", FENCED, replace(EVACUATING, kept=True))
    assert (node(cluster).record, node(cluster).hold) == (EVACUATING, True)


def test_a_closed_record_is_removed_and_no_other(cluster: Pacemaker) -> None:
    held(cluster, RETURNING).port.drop_record("cmp1", CLOSED)
    assert node(cluster).record == RETURNING
    cluster.port.swap_record("cmp1", RETURNING, CLOSED)
    cluster.port.drop_record("cmp1", CLOSED)
    assert node(cluster).record is None
    cluster.port.drop_record("cmp1", CLOSED)


@pytest.mark.parametrize("record", [FENCED, EVACUATING, RETURNING, CLOSED], ids=lambda record: record.phase.value)
def test_the_hold_goes_only_when_the_record_lets_the_host_return(cluster: Pacemaker, record: Record) -> None:
    held(cluster, record).port.drop_hold("cmp1")
    assert node(cluster).hold == (record in (FENCED, EVACUATING))
    assert node(cluster).record == record


@pytest.mark.parametrize("value", ["gibberish", "fenced:200:100"])
def test_a_record_that_cannot_be_read_is_left_as_it_is(cluster: Pacemaker, value: str) -> None:
    cluster.scribble("cmp1", value)
    for old in (None, FENCED):
        with pytest.raises(ClusterRefused):
            cluster.port.write_record("cmp1", old, FENCED)
    with pytest.raises(ClusterRefused):
        cluster.port.swap_record("cmp1", FENCED, EVACUATING)
    cluster.port.drop_record("cmp1", CLOSED)
    cluster.port.drop_hold("cmp1")
    assert (node(cluster).record, node(cluster).unreadable_record, node(cluster).hold) == (None, value, True)


def test_a_node_that_the_cluster_does_not_have_gets_no_record(cluster: Pacemaker) -> None:
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp9", None, FENCED)
    assert "cmp9" not in cluster.port.look().nodes


def test_nothing_is_changed_without_quorum(cluster: Pacemaker) -> None:
    assert held(cluster, RETURNING).port.quorate()
    cluster.quorum(there=False)
    assert (cluster.port.quorate(), cluster.port.look().quorum) == (False, False)
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp2", None, FENCED)
    with pytest.raises(ClusterRefused):
        cluster.port.write_record("cmp1", RETURNING, FENCED)
    with pytest.raises(ClusterRefused):
        cluster.port.swap_record("cmp1", RETURNING, CLOSED)
    cluster.port.drop_hold("cmp1")
    cluster.port.drop_record("cmp1", RETURNING)
    assert (node(cluster).record, node(cluster).hold) == (RETURNING, True)
    assert node(cluster, "cmp2").record is None
    cluster.quorum(there=True)
    cluster.port.swap_record("cmp1", RETURNING, CLOSED)
    assert node(cluster).record == CLOSED


def test_a_change_of_a_record_is_noticed_without_a_look(cluster: Pacemaker) -> None:
    before = cluster.port.cib_changed()
    assert before is not None
    assert cluster.port.cib_changed() == before
    held(cluster, FENCED)
    after = cluster.port.cib_changed()
    assert after != before
    cluster.port.swap_record("cmp1", FENCED, EVACUATING)
    assert cluster.port.cib_changed() != after


def test_an_attribute_of_another_agent_is_no_change_of_a_record(cluster: Pacemaker) -> None:
    """From Pacemaker 2.1.7 each rewrites cib.xml; a worker that looked each time would cost a tenth of a core."""
    held(cluster, FENCED)
    before = cluster.port.cib_changed()
    for value in range(3):
        cluster.ping("cmp2", value)
        assert cluster.port.cib_changed() == before
    cluster.port.swap_record("cmp1", FENCED, EVACUATING)
    assert cluster.port.cib_changed() != before


def test_a_cluster_that_does_not_answer_is_no_quorum_and_no_refusal(cluster: Pacemaker) -> None:
    held(cluster, FENCED)
    cluster.silence()
    calls: list[Callable[[], object]] = [
        cluster.port.look,
        lambda: cluster.port.write_record("cmp1", FENCED, FENCED),
        lambda: cluster.port.swap_record("cmp1", FENCED, EVACUATING),
        lambda: cluster.port.drop_record("cmp1", CLOSED),
        lambda: cluster.port.drop_hold("cmp1"),
    ]
    for call in calls:
        with pytest.raises(ClusterError) as caught:
            call()
        assert not isinstance(caught.value, ClusterRefused)
    assert not cluster.port.quorate()
    cluster.port.publish("cmp1", "its loss harms nobody")
