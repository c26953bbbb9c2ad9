# SPDX-License-Identifier: Apache-2.0
"""What happens in the cluster while Nova takes its time to answer."""

from __future__ import annotations

from tests.sim.stage import Stage


def test_lifts_nothing_of_a_host_that_was_fenced_while_nova_was_slow() -> None:
    """D5: it acted on what it had seen of the cluster before, and took its own change for a sign of life."""
    it = Stage(delay_s=15)
    it.fence("cmp1")
    it.until(it.settled("cmp1"))
    it.power_on("cmp1")

    def fence(process: object, kind: str, moment: str) -> None:
        if (kind, moment) == ("services", "after") and it.rows("s0") == ["completed"]:
            it.on_call = lambda process, kind, moment: None
            it.timeline.pass_by(8.0)
            it.fence("cmp1")

    it.on_call = fence
    it.until(lambda: not it.cloud.computes["cmp1"].powered)
    it.run_for(5.0)
    assert it.asked["force_up"] == 0
    it.until(it.settled("cmp1"))
    it.fair()


def test_reads_the_services_once_more_before_it_claims_after_a_long_list() -> None:
    """The heartbeats while the servers were listed were hidden by the force-down that followed."""
    it = Stage()
    it.until(lambda: 5.0 < it.now - it.cloud.computes["cmp1"].beat(it.now) < 6.0)
    it.nova_down = True
    it.fence("cmp1", lies=True)
    it.run_for(6.0)
    it.on_call = lambda process, kind, moment: kind == "servers_on" and moment == "after" and it.timeline.pass_by(8.0)
    it.nova_down = False
    it.until(lambda: it.state() == "blocked", 30.0)
    it.run_for(60.0)
    assert it.state() == "blocked"
    assert it.rows("s0") == []
    it.fair()


def test_waits_for_heartbeats_again_when_it_has_to_force_a_host_down_again() -> None:
    """C3: an operator's changes hid the heartbeats of a host that lived, while a call took half a minute."""
    it = Stage(servers=2)

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("evacuate", "after"):
            it.on_call = lambda process, kind, when: None
            it.cloud.disable("cmp1", "disk swap", "operator")
            it.run_for(20.0)
            it.cloud.force_up("service-cmp1", unforce=False, enable=True, by="operator")
            it.run_for(10.0)

    it.on_call = slow
    it.fence("cmp1", lies=True)
    it.run_for(90.0)
    assert it.state() == "blocked"
    assert len(it.cloud.rows) == 1
    it.fair()


def test_sees_the_heartbeat_that_was_written_while_nova_took_its_time() -> None:
    """C3: the first look after the force-down took longer than a heartbeat, and what it showed was taken as it was."""
    it = Stage()

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("services", "before") and it.cloud.computes["cmp1"].forced_down:
            it.on_call = lambda process, kind, when: None
            it.run_for(15.0)

    it.on_call = slow
    it.fence("cmp1", lies=True)
    it.run_for(60.0)
    assert it.state() == "blocked"
    assert it.rows("s0") == []
    it.fair()


def test_records_no_fencing_of_a_host_that_has_joined_meanwhile() -> None:
    """C2: Nova took half a minute to answer, and Pacemaker's word was from before: the hold stopped a healthy host."""
    it = Stage(hosts=4)
    it.no_room(True)
    it.fence("cmp1")
    it.until(it.says("s0", "parked"))

    def slow(process: object, kind: str, when: str) -> None:
        if (kind, when) == ("evacuations_from", "before"):
            it.on_call = lambda process, kind, when: None
            it.run_for(20.0)

    it.fence("cmp2", with_record=False)
    it.power_on("cmp2")
    it.site.set_node("cmp2", member=False, fenced_at=int(it.now))
    it.after(10.0, lambda: it.site.rejoin("cmp2"))
    it.on_call = slow
    it.run_for(60.0)
    assert it.site.nodes["cmp2"].record is None
    assert it.cloud.computes["cmp2"].running
    it.fair()
