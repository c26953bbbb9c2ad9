# SPDX-License-Identifier: Apache-2.0
"""D8: what operators have said: written and read again, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.cli import commands
from muster.cli import orders as cli
from muster.core.cluster_facts import Cluster as Seen
from muster.core.cluster_facts import Node, Phase, Record
from muster.core.decide import Decision, decide
from muster.core.findings import State, Verdict
from muster.core.nova_facts import ActionLog, Evacuation, EvacuationStatus, Power, Server, Service
from muster.core.operator_orders import SERVERS_LIMIT, Orders
from muster.core.sight import HostSight, Sight
from muster.core.steps import Evacuate, ListAgain, SwapRecord, WriteRecord
from muster.reporting.documents import Heard, Report, ServerEntry, Shared, Summary
from tests.fakes import settings
from tests.unit.sights import server_sights

NOW = 1_800_000_000.0
FENCED = int(NOW) - 100
DOWN = Service("u1", "cmp1", False, False, "muster: x", True, FENCED - 3.0)
SPARE = Service("u2", "cmp2", up=True)
IDS = st.uuids().map(str)
TIMES = st.integers(1, 10**12 - 1)
ORDERS = st.builds(
    Orders,
    first=TIMES,
    approved=st.booleans(),
    released=st.booleans(),
    queue_emptied=st.integers(0, 10**12 - 1),
    skipped=st.frozensets(IDS, max_size=5),
    retried=st.dictionaries(IDS, TIMES, max_size=5),
    all_retried=st.integers(0, 10**12 - 1),
)


@given(ORDERS)
def test_what_is_written_is_read_again(orders: Orders) -> None:
    """Whatever has been ordered after what: the next order is written over exactly this value."""
    assert Orders.parse(orders.token) == orders


@given(st.text())
def test_anything_else_is_refused_by_name(text: str) -> None:
    try:
        Orders.parse(text)
    except ValueError as exc:
        assert str(exc)


@pytest.mark.parametrize(
    "token",
    ["", "x", "100 approve approve=1", "100 skip=", "100 skip=a/b", "100 retry=a", "100 retry=@7", "100  approve"]
    + ["0100", "100 release approve", "100 skip=b skip=a", "100 retry=0", "100 approve approve"],
)
def test_half_an_order_is_none(token: str) -> None:
    with pytest.raises(ValueError, match=r"order|server id"):
        Orders.parse(token)


def test_the_last_word_counts() -> None:
    """To try again takes back that a server is skipped and that the host is released; and so the other way round."""
    orders = replace(Orders(100).skip("a").skip("b"), released=True, queue_emptied=6).retry("a", 7)
    assert (orders.skipped, orders.released, orders.queue_emptied, dict(orders.retried)) == (
        {"b"},
        False,
        0,
        {"a": 7},
    )
    assert replace(orders, released=True).token == "100 release skip=b retry=a@7"
    assert replace(orders, released=True, queue_emptied=8).token == "100 release queue-emptied=8 skip=b retry=a@7"
    assert (orders.skip("a").skipped, dict(orders.skip("a").retried)) == ({"a", "b"}, {})


def test_a_host_that_is_released_after_a_retry_is_released() -> None:
    orders = replace(Orders(FENCED).retry("a", int(NOW) - 5), released=True)
    it = decision(Orders.parse(orders.token), server("a"))
    assert verdict(it, "a") is Verdict.HELD
    assert [step.new.phase for step in it.steps if isinstance(step, SwapRecord)] == [Phase.RETURNING]


def test_no_more_servers_than_the_cib_can_bear() -> None:
    full = Orders(100, skipped=frozenset(f"s-{n}" for n in range(SERVERS_LIMIT)))
    with pytest.raises(ValueError, match="by tag"):
        full.skip("one-more")


# ------------------------------------------------------------------------------------------------- what follows from it


def server(ident: str, **facts: Any) -> Server:
    return Server(ident, "cmp1", facts.pop("vm_state", "active"), name=ident, updated=NOW - 900, **facts)


def failed(ident: str, number: int) -> Evacuation:
    return Evacuation(
        f"{ident}-{number}", ident, "cmp1", EvacuationStatus.FAILED, "", FENCED + number, FENCED + number + 1.0
    )


def decision(
    orders: Orders | None,
    *servers: Server,
    evacuations: tuple[Evacuation, ...] = (),
    phase: Phase = Phase.EVACUATING,
    service: Service = DOWN,
    paused: str = "",
    policy: dict[str, object] | None = None,
    also: tuple[Node, ...] = (),
    rejoined: bool = False,
    **facts: Any,
) -> Decision:
    node = Node(
        "cmp1",
        True,
        record=Record(phase, FENCED, FENCED),
        hold=phase is not Phase.RETURNING,
        fenced_at=FENCED,
        orders=orders,
    )
    nodes = {n.name: n for n in (replace(node, **facts), Node("cmp2", True, member=True), *also)}
    host = HostSight(
        services=(service, SPARE),
        servers=server_sights(servers, evacuations, log={s.id: ActionLog(Power.RUNNING) for s in servers}),
        first_listed_at=NOW - 9,
        listed_at=NOW - 1,
        has_rejoined=rejoined,
    )
    sight = Sight(NOW, Seen(True, "ctl1", nodes, paused=paused), {"cmp1": host})
    return decide(sight, settings(**(policy or {})))


def sent(it: Decision) -> list[str]:
    return [step.server for step in it.steps if isinstance(step, Evacuate)]


def verdict(it: Decision, ident: str) -> Verdict:
    return it.incidents["cmp1"].findings[ident].verdict


def test_leaves_what_is_to_be_skipped() -> None:
    it = decision(Orders(FENCED).skip("a"), server("a"), server("b"))
    assert (sent(it), verdict(it, "a")) == (["b"], Verdict.SKIPPED)


def test_orders_of_an_earlier_incident_mean_nothing() -> None:
    assert sent(decision(Orders(FENCED - 500).skip("a"), server("a"))) == ["a"]


def test_does_not_call_back_what_is_under_way() -> None:
    evacuation = Evacuation("1", "a", "cmp1", EvacuationStatus.PRE_MIGRATING, "cmp2", NOW - 5, NOW - 5)
    for orders in (Orders(FENCED).skip("a"), Orders(FENCED, released=True)):
        it = decision(orders, server("a"), evacuations=(evacuation,))
        assert (verdict(it, "a"), it.incidents["cmp1"].state) == (Verdict.EVACUATING, State.EVACUATING)


def test_tries_again_what_was_given_up() -> None:
    evacuations = tuple(failed("a", n) for n in (1, 2, 3))
    assert verdict(decision(None, server("a"), evacuations=evacuations), "a") is Verdict.HELD
    it = decision(Orders(FENCED).retry("a", FENCED + 20), server("a"), evacuations=evacuations)
    assert sent(it) == ["a"]
    again = (*evacuations, *(failed("a", n) for n in (30, 31, 32)))
    assert verdict(decision(Orders(FENCED).retry("", FENCED + 20), server("a"), evacuations=again), "a") is Verdict.HELD


def test_lets_a_host_return_with_what_is_not_under_way() -> None:
    it = decision(Orders(FENCED, released=True), server("a"), server("b"), evacuations=(failed("b", 1),))
    assert [verdict(it, s) for s in "ab"] == [Verdict.HELD, Verdict.HELD]
    released = [step for step in it.steps if isinstance(step, SwapRecord)]
    assert [step.new.phase for step in released] == [Phase.RETURNING]


def test_an_approved_host_begins_and_the_others_wait() -> None:
    up = replace(DOWN, up=True, enabled=True, disabled_reason="", forced_down=False)
    other = Node("cmp3", True, record=Record(Phase.FENCED, FENCED, FENCED), hold=True, fenced_at=FENCED)
    given = {"phase": Phase.FENCED, "service": up, "policy": {"max_failed_hosts": 1}, "also": (other,)}
    assert decision(None, **given).incidents["cmp1"].state is State.BLOCKED  # type: ignore[arg-type]
    it = decision(Orders(FENCED, approved=True), **given)  # type: ignore[arg-type]
    assert [step.new.phase for step in it.steps if isinstance(step, SwapRecord)] == [Phase.EVACUATING]


def test_orders_that_cannot_be_read_stop_the_incident() -> None:
    it = decision(None, server("a"), unreadable_orders="skip=?")
    assert (it.steps, it.incidents["cmp1"].state) == ((), State.BLOCKED)
    assert "crm_attribute" in it.incidents["cmp1"].reason


def test_a_retry_takes_a_released_host_back_while_it_is_off() -> None:
    orders = Orders(FENCED).retry("a", int(NOW) - 5)
    it = decision(orders, server("a"), phase=Phase.RETURNING)
    written = [step for step in it.steps if isinstance(step, WriteRecord)]
    assert [step.record.phase for step in written] == [Phase.EVACUATING]
    assert it.incidents["cmp1"].state is State.EVACUATING
    for member in (True, False):  # not known to be back, and not counted as fenced any more: C23
        joined = decision(orders, server("a"), phase=Phase.RETURNING, member=member, fenced_at=0)
        assert not any(isinstance(step, WriteRecord) for step in joined.steps)


def test_a_retry_takes_no_full_member_back_that_may_have_been_there_since() -> None:
    """D16: it came back, its nova-compute ran, and it was lost again without a fencing: two guests."""
    orders = Orders(FENCED).retry("a", int(NOW) - 5)
    it = decision(orders, server("a"), phase=Phase.RETURNING, remote=False)
    assert not any(isinstance(step, WriteRecord) for step in it.steps)
    rejoined = decision(orders, server("a"), phase=Phase.RETURNING, rejoined=True)
    assert not any(isinstance(step, WriteRecord) for step in rejoined.steps)


def test_nothing_is_changed_while_it_is_paused() -> None:
    it = decision(None, server("a"), paused="alice")
    assert (it.steps, it.paused, it.hindrance) == ((), "alice", "")
    assert verdict(it, "a") is Verdict.QUEUED
    settled = decision(None, server("a", deleted=True), paused="alice")
    assert not any(isinstance(step, SwapRecord) for step in settled.steps)


def test_fencings_are_recorded_and_lists_are_read_while_it_is_paused() -> None:
    it = decision(None, server("a"), paused="alice", record=None, hold=False)
    assert [type(step) for step in it.steps] == [WriteRecord]
    lives = decision(None, server("a"), paused="alice", found_running=FENCED + 90)
    assert [step.new.lives for step in lives.steps if isinstance(step, SwapRecord)] == [True]
    assert not any(isinstance(step, ListAgain) for step in it.steps)


AWAY = {"fenced_at": FENCED}


class _Site:
    """What :mod:`muster.cli.orders` needs of a cluster."""

    def __init__(self, node: Node) -> None:
        self.cluster = Seen(True, "ctl1", {"cmp1": node})
        self.written: list[tuple[str, object, Record]] = []
        self.given: list[str] = []

    def pacemaker(self) -> _Site:
        return self

    def heard(self) -> Heard:
        return Heard()

    def write_record(self, node: str, old: Record, new: Record) -> None:
        self.written.append((node, old, new))

    def give_orders(self, node: str, record: Record, old: object, new: Orders) -> None:
        self.given.append(new.token)


@pytest.mark.parametrize(
    ("record", "known", "refused"),
    [
        ("evacuating:100:100:kept:lives", AWAY, ""),
        ("fenced:100:100", AWAY, ""),
        ("evacuating:100:100:lives", {"member": True}, "is in the cluster"),
        ("evacuating:100:100:lives", {}, "pcs stonith confirm cmp1"),
        ("returning:100:100", AWAY, "nothing to confirm"),
        ("", AWAY, "nothing to confirm"),
    ],
)
def test_an_operator_confirms_that_a_host_is_off(
    record: str,
    known: dict[str, Any],
    refused: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = Record.parse(record) if record else None
    site = _Site(Node("cmp1", True, old, hold=True, **known))
    monkeypatch.setattr(cli, "Site", lambda resource: site)
    code = cli.run(commands.read(["confirm", "cmp1", "--yes"]))
    assert code == (commands.TROUBLE if refused else commands.OK)
    assert refused in capsys.readouterr().err
    assert len(site.written) == (0 if refused else 1)
    for _, before, after in site.written:
        assert before == old
        assert (after.first, after.lives) == (100, False)
        assert after.last > 100
    monkeypatch.setattr(cli.terminal, "confirmed", lambda question, yes: False)
    assert cli.run(commands.read(["confirm", "cmp1"])) == commands.TROUBLE
    assert len(site.written) == (0 if refused else 1)


@pytest.mark.parametrize(
    ("before", "options", "given"),
    [
        ("", [], ["100 release"]),
        ("", ["--queue-emptied"], ["100 release queue-emptied=140"]),
        ("100 release", [], []),
        ("100 release", ["--queue-emptied"], ["100 release queue-emptied=140"]),
        ("100 release queue-emptied=120", [], []),
        ("100 release queue-emptied=120", ["--queue-emptied"], ["100 release queue-emptied=140"]),
    ],
)
def test_a_host_that_was_released_may_still_have_something_in_its_queue(
    before: str, options: list[str], given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10: who released it before anybody knew of a start that waits has not answered for that; and can, afterwards."""
    orders = Orders.parse(before) if before else None
    site = _Site(Node("cmp1", True, Record.parse("evacuating:100:100"), hold=True, orders=orders, fenced_at=100))
    monkeypatch.setattr(cli, "Site", lambda resource: site)
    monkeypatch.setattr(cli.time, "time", lambda: 140.5)
    asked: list[str] = []
    monkeypatch.setattr(cli.terminal, "confirmed", lambda question, yes: not asked.append(question))
    assert cli.run(commands.read(["release", "cmp1", *options])) == commands.OK
    assert site.given == given
    assert ("queue" in asked[0]) == bool(options)


def test_an_order_of_the_future_does_not_make_tries_endless() -> None:
    """Given on a controller whose clock is an hour ahead: no failed try counted, and each was followed by the next."""
    evacuations = tuple(failed("a", n) for n in range(3))
    assert (
        verdict(decision(Orders(FENCED, all_retried=int(NOW) + 3), server("a"), evacuations=evacuations), "a")
        is Verdict.QUEUED
    )
    assert (
        verdict(decision(Orders(FENCED, all_retried=int(NOW) + 60), server("a"), evacuations=evacuations), "a")
        is Verdict.HELD
    )


SERVER_ID = "11111111-2222-3333-4444-555555555555"


class _TwoSites(_Site):
    """A server that has left one dead host for another one, which died, too; both reports are on this controller."""

    def __init__(self, reports: dict[str, float], ended: str = "") -> None:
        super().__init__(Node("cmp1", True))
        record = Record.parse("evacuating:100:100")
        self.cluster = Seen(True, "ctl1", {name: Node(name, True, record, hold=True) for name in ("cmp4", "cmp6")})
        self.kept = [
            Report(
                node=node,
                host=node,
                fenced=first,
                proofs=(ServerEntry(id=SERVER_ID, verdict="evacuated" if node == ended else "held"),),
            )
            for node, first in reports.items()
        ]
        self.to: list[str] = []

    def reports(self) -> list[Report]:
        return self.kept

    def heard(self) -> Heard:
        return Heard(Shared(incidents=(Summary(node="cmp6", host="six.example.org"),)))

    def give_orders(self, node: str, record: Record, old: object, new: Orders) -> None:
        super().give_orders(node, record, old, new)
        self.to.append(node)


@pytest.mark.parametrize("command", ["skip", "retry"])
@pytest.mark.parametrize(
    ("reports", "ended", "named", "to", "refused"),
    [
        ({"cmp4": 100.0, "cmp6": 100.0}, "", "", "", f" {SERVER_ID} --host cmp4"),
        ({"cmp4": 100.0, "cmp6": 100.0}, "", " cmp6", "cmp6", ""),
        ({"cmp4": 100.0, "cmp6": 100.0}, "", "six.example.org", "cmp6", ""),
        ({"cmp4": 100.0, "cmp6": 100.0}, "cmp4", "", "cmp6", ""),
        ({"cmp4": 50.0, "cmp6": 100.0}, "", "", "cmp6", ""),
        ({"cmp4": 100.0}, "", "", "cmp4", ""),
        ({"cmp4": 100.0}, "", "cmp6", "", "is not in the incident of cmp6, but in that of cmp4"),
        ({"cmp4": 100.0}, "", "cmp9", "", "'cmp9' is no host with an incident. Hosts with one: cmp4, cmp6"),
    ],
    ids=["both", "one of both", "by its name in Nova", "it has left one", "one is of before", "one", "another", "none"],
)
def test_an_order_about_a_server_is_for_one_incident(
    command: str,
    reports: dict[str, float],
    ended: str,
    named: str,
    to: str,
    refused: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """B44, D8: the first one by name got the order, whichever was meant."""
    site = _TwoSites(reports, ended)
    monkeypatch.setattr(cli, "Site", lambda resource: site)
    monkeypatch.setattr(cli, "_first", lambda site, server: "")  # Nova takes it as it is
    options = ["--host", named] if named else []
    code = cli.run(commands.read([command, SERVER_ID, *options, "--yes"]))
    assert (code, site.to) == ((commands.OK, [to]) if to else (commands.TROUBLE, []))
    assert refused in capsys.readouterr().err


def test_a_host_is_named_for_a_server_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    site = _TwoSites({})
    monkeypatch.setattr(cli, "Site", lambda resource: site)
    assert cli.run(commands.read(["retry", "cmp4", "--host", "cmp6", "--yes"])) == commands.TROUBLE
    assert "'cmp4' is no server id" in capsys.readouterr().err
    assert site.to == []
