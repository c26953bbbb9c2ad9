# SPDX-License-Identifier: Apache-2.0
"""What operators do to the host or its servers by hand, before muster or beside it."""

from __future__ import annotations

from tests.sim.stage import Stage


def test_sees_what_another_hand_began_while_the_servers_were_listed() -> None:
    """A13: the evacuations had been read by then, its task was taken for an old one, and it was sent once more."""
    it = Stage()

    def by_hand(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("servers_on", "before") and not it.cloud.rows:
            it.cloud.evacuate("s0", None, by="operator")

    it.on_call = by_hand
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.rows("s0") == ["done"]
    it.fair()


def test_an_operators_force_down_stays_that_came_right_before_the_claim() -> None:
    """Invariant 5: while storage leases were waited for, the services were seldom read, and the claim went by that."""
    it = Stage(delay_s=15)
    it.fence("cmp1")
    it.run_for(11.0)
    it.cloud.force_down("service-cmp1", None, by="operator")
    it.until(it.says("s0", "evacuated"))
    record = it.site.nodes["cmp1"].record
    assert record is not None
    assert record.kept
    it.fair()


def test_tries_of_another_hand_before_the_fencing_use_no_attempts_up() -> None:
    """B8: an operator had forced the host down and tried it himself, seconds before Pacemaker fenced it."""
    it = Stage(servers=2, attempts=2)
    it.cloud.rebuild.stop_compute("cmp1")
    it.cloud.force_down(it.cloud.computes["cmp1"].id, None, by="operator")
    it.cloud.odds.refuse = 1.0
    for _ in range(2):
        for server in ("s0", "s1"):
            it.cloud.evacuate(server, None, by="operator", excused=True)
        it.run_for(10.0)
    it.cloud.odds.refuse = 0.0
    assert it.rows("s0") == it.rows("s1") == ["failed", "failed"]
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    assert it.verdict("s0") == it.verdict("s1") == "evacuated"
    it.fair()
