# SPDX-License-Identifier: Apache-2.0
"""What the engine relies on of Nova's services: heartbeats, force-down and disable, and how they are lifted."""

from __future__ import annotations

from muster.core.nova_facts import EvacuationStatus
from tests.contract.clouds import OTHERS, Cloud
from tests.contract.steps import MARK, arrive, hang, last_is, lose, refusal, server, service


def test_a_healthy_service_is_up_and_enabled(cloud: Cloud) -> None:
    listed = cloud.nova.services()
    assert sorted(s.host for s in listed) == ["cmp1", *OTHERS]
    assert len({s.id for s in listed}) == 3
    for it in listed:
        assert (it.known, it.up, it.enabled, it.forced_down, it.disabled_reason) == (True, True, True, False, "")


def test_one_call_forces_down_and_disables_with_the_reason_and_one_undoes_it(cloud: Cloud) -> None:
    ident = service(cloud).id
    assert cloud.nova.force_down(ident, MARK)
    it = service(cloud)
    assert (it.up, it.enabled, it.forced_down, it.disabled_reason) == (False, False, True, MARK)
    assert cloud.nova.force_up(ident, unforce=True, enable=True)
    it = service(cloud)
    assert (it.id, it.up, it.enabled, it.forced_down, it.disabled_reason) == (ident, True, True, False, "")


def test_a_force_down_is_lifted_and_the_disable_stays_with_another_reason(cloud: Cloud) -> None:
    """D13."""
    ident = service(cloud).id
    cloud.nova.force_down(ident, MARK)
    assert cloud.nova.force_up(ident, unforce=True, enable=False, disable_reason="muster: returned")
    it = service(cloud)
    assert (it.enabled, it.forced_down, it.disabled_reason) == (False, False, "muster: returned")


def test_a_force_down_without_a_reason_leaves_the_operators_disable_alone(cloud: Cloud) -> None:
    cloud.operator_disables("cmp1", "disk swap")
    ident = service(cloud).id
    cloud.nova.force_down(ident, None)
    it = service(cloud)
    assert (it.enabled, it.forced_down, it.disabled_reason) == (False, True, "disk swap")
    cloud.nova.force_up(ident, unforce=True, enable=False)
    it = service(cloud)
    assert (it.enabled, it.forced_down, it.disabled_reason) == (False, False, "disk swap")


def test_a_force_down_may_be_repeated(cloud: Cloud) -> None:
    ident = service(cloud).id
    cloud.nova.force_down(ident, MARK)
    once = service(cloud)
    cloud.nova.force_down(ident, MARK)
    twice = service(cloud)
    assert (twice.up, twice.enabled, twice.forced_down) == (once.up, once.enabled, once.forced_down)
    assert twice.disabled_reason == MARK


def test_a_host_that_lives_is_seen_to_write_although_it_is_forced_down(cloud: Cloud) -> None:
    cloud.nova.force_down(service(cloud).id, MARK)
    before = service(cloud).updated_at
    cloud.until(lambda: service(cloud).updated_at > before)
    assert not service(cloud).up


def test_a_host_without_power_writes_nothing_more(cloud: Cloud) -> None:
    lose(cloud)
    before, neighbour = service(cloud).updated_at, service(cloud, "cmp2").updated_at
    cloud.until(lambda: service(cloud, "cmp2").updated_at > neighbour + 2.0)
    assert service(cloud).updated_at == before


def test_a_change_of_the_service_moves_the_time_of_its_heartbeat(cloud: Cloud) -> None:
    cloud.power_off("cmp1")
    before = service(cloud).updated_at
    neighbour = service(cloud, "cmp2").updated_at
    cloud.until(lambda: service(cloud, "cmp2").updated_at > max(before, neighbour) + 2.0)
    cloud.nova.force_down(service(cloud).id, MARK)
    assert service(cloud).updated_at > before


def test_a_force_down_is_lifted_only_after_the_hosts_own_nova_compute_has_finished(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    arrive(cloud, ident)
    assert refusal(lambda: cloud.nova.force_up(service(cloud).id, unforce=True, enable=True)).status == 400
    it = service(cloud)
    assert (it.forced_down, it.enabled, it.disabled_reason) == (True, False, MARK)
    cloud.power_on("cmp1")
    cloud.until(last_is(cloud, ident, EvacuationStatus.COMPLETED))
    assert service(cloud).forced_down
    assert server(cloud, ident).host in OTHERS
    cloud.nova.force_up(service(cloud).id, unforce=True, enable=True)
    cloud.until(lambda: service(cloud).up)
    assert service(cloud).enabled


def test_a_force_down_may_be_lifted_while_an_evacuation_is_under_way(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    cloud.nova.force_up(service(cloud).id, unforce=True, enable=False)
    assert not service(cloud).forced_down


def test_a_host_that_returns_too_early_calls_an_evacuation_completed_that_is_not(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    hang(cloud, ident)
    cloud.power_on("cmp1")
    cloud.until(last_is(cloud, ident, EvacuationStatus.COMPLETED))
    it = server(cloud, ident)
    assert it.host == "cmp1"
    assert it.task_state.startswith("rebuild")
