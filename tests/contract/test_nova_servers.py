# SPDX-License-Identifier: Apache-2.0
"""What the engine relies on of Nova's servers: their lists, their logs, and the power that their owners want."""

from __future__ import annotations

from dataclasses import replace

from muster.core.nova_facts import Power
from tests.contract.clouds import OTHERS, Cloud
from tests.contract.steps import MARK, arrive, at_rest, ids, lose, refusal, server, service


def test_a_server_by_itself_is_as_the_list_shows_it(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert cloud.nova.server(ident) == server(cloud, ident)


def test_a_deleted_server_is_not_found_by_itself(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.owner_does("delete", ident)
    cloud.until(lambda: server(cloud, ident).deleted)
    assert refusal(lambda: cloud.nova.server(ident)).status == 404


def test_a_server_is_listed_on_its_host_with_what_its_owner_gave_it(cloud: Cloud) -> None:
    ident, other = cloud.boot("cmp1", evacuate_priority="900"), cloud.boot("cmp2")
    (it,) = cloud.nova.servers_on("cmp1")
    assert (it.id, it.host, it.vm_state, it.task_state) == (ident, "cmp1", "active", "")
    assert (it.known, it.launched, it.deleted, it.metadata) == (True, True, False, {"evacuate_priority": "900"})
    assert 0 < it.created <= it.updated <= cloud.now() + 1
    assert ids(cloud.nova.servers_on("cmp2")) == {other}
    assert ids(cloud.nova.servers_on("cmp3")) == set()


def test_what_has_changed_since_is_listed_by_novas_clock_in_whole_seconds(cloud: Cloud) -> None:
    ident = cloud.boot()
    changed = server(cloud, ident).updated
    assert ident in ids(cloud.nova.servers_changed(changed))
    assert ident not in ids(cloud.nova.servers_changed(changed + 1))


def test_the_list_of_what_has_changed_without_images_lacks_their_marks_and_nothing_else(cloud: Cloud) -> None:
    marked, plain = cloud.boot_from_a_marked_image(), cloud.boot(evacuate_priority="900")
    whole = {s.id: s for s in cloud.nova.servers_changed(0.0)}
    listed = {s.id: s for s in cloud.nova.servers_changed_without_images(0.0)}
    assert set(whole) == {marked, plain}
    assert whole[marked].image_properties
    assert listed == {ident: replace(it, image_properties={}) for ident, it in whole.items()}


def test_what_has_left_is_on_the_list_of_what_has_changed_only(cloud: Cloud) -> None:
    ident, other = cloud.boot(), cloud.boot()
    before = min(server(cloud, ident).updated, server(cloud, other).updated)
    lose(cloud)
    cloud.nova.evacuate(ident, None)
    dest = arrive(cloud, ident).dest
    assert ids(cloud.nova.servers_on("cmp1")) == {other}
    assert ids(cloud.nova.servers_on(dest)) == {ident}
    assert {s.id: s.host for s in cloud.nova.servers_changed(before)}[ident] == dest


def test_a_server_deleted_while_its_host_is_down_is_gone_at_once(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.owner_does("delete", ident)
    cloud.until(lambda: server(cloud, ident).deleted)
    assert ids(cloud.nova.servers_on("cmp1")) == set()
    assert refusal(lambda: cloud.nova.evacuate(ident, None)).status == 404


def test_a_server_deleted_before_its_host_is_known_to_be_down_waits_for_it(cloud: Cloud) -> None:
    ident = cloud.boot()
    cloud.power_off("cmp1")
    cloud.owner_does("delete", ident)
    cloud.nova.force_down(service(cloud).id, MARK)
    (it,) = cloud.nova.servers_on("cmp1")
    assert (it.id, it.vm_state, it.task_state, it.deleted) == (ident, "active", "deleting", False)


def test_the_log_knows_what_the_owner_last_asked_for(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert cloud.nova.action_log(ident).wanted is Power.RUNNING
    assert cloud.nova.action_log(ident).request_id == ""
    cloud.owner_does("stop", ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    assert cloud.nova.action_log(ident).wanted is Power.STOPPED
    cloud.owner_does("start", ident)
    cloud.until(at_rest(cloud, ident, "active"))
    assert cloud.nova.action_log(ident).wanted is Power.RUNNING


def test_what_the_owner_asks_of_a_dead_host_is_in_the_log_and_nowhere_else(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    cloud.owner_does("stop", ident)
    it = server(cloud, ident)
    assert (it.vm_state, it.task_state) == ("active", "powering-off")
    assert cloud.nova.action_log(ident).wanted is Power.STOPPED


def test_the_log_knows_the_newest_evacuate(cloud: Cloud) -> None:
    ident = cloud.boot()
    lose(cloud)
    for host in OTHERS:
        cloud.operator_disables(host, "full")
    asked = []
    for _ in range(2):
        asked.append(cloud.nova.evacuate(ident, None))
        cloud.until(at_rest(cloud, ident, "error"))
    log = cloud.nova.action_log(ident)
    assert asked[0] != asked[1]
    assert (log.request_id, log.wanted) == (asked[1], Power.RUNNING)


def test_a_stop_shuts_down_what_runs_and_is_in_the_log(cloud: Cloud) -> None:
    ident = cloud.boot()
    assert cloud.nova.stop(ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    assert cloud.nova.action_log(ident).wanted is Power.STOPPED
    assert refusal(lambda: cloud.nova.stop(ident)).status == 409


def test_a_reset_makes_it_active_in_novas_books_and_asks_nobody(cloud: Cloud) -> None:
    ident = cloud.boot()
    cloud.owner_does("stop", ident)
    cloud.until(at_rest(cloud, ident, "stopped"))
    lose(cloud)
    cloud.bend(ident, "paused")
    assert cloud.nova.reset_state(ident)
    assert at_rest(cloud, ident, "active")()
    assert cloud.nova.action_log(ident).wanted is Power.STOPPED
    cloud.nova.evacuate(ident, None)
    arrive(cloud, ident, "active")
