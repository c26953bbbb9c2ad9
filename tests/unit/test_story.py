# SPDX-License-Identifier: Apache-2.0
"""What is told of an incident: from the worker's report, from Nova's records, and from both."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.core.errors import Answer, NovaRefused, NovaUnavailable
from muster.core.nova_facts import CallTrace, Evacuation, EvacuationStatus, Server, Service
from muster.reporting import nova_history, times
from muster.reporting.documents import RECORD_REMOVED
from muster.reporting.history import Change, ServerStory, Story, after_return
from muster.reporting.nova_history import Records, attempts_of, from_nova, groups, with_nova
from muster.reporting.nova_records import SERVERS_LIMIT, TIME_LIMIT_S, Wanted, gather
from muster.reporting.timeline import Kind, timeline
from tests.fakes import FakeClock
from tests.told import FENCED, from_worker, report, server_id

T = float(FENCED)


def evacuation(
    number: int, at: float, status: EvacuationStatus = EvacuationStatus.DONE, dest: str = "cmp2", server: str = "a"
) -> Evacuation:
    return Evacuation(str(number), server, "cmp1", status, dest, at, at + 9)


def trace(request_id: str, at: float, words: str = "", ended: float = 8.0) -> CallTrace:
    return CallTrace(request_id, at, "cmp2", at + 1, at + ended if ended else 0.0, words)


def place(server: str, host: str = "cmp2", deleted: bool = False) -> Server:
    return Server(server, host=host, vm_state="active", name=f"name-{server}", deleted=deleted)


# ------------------------------------------------------------------- attempts


def test_each_migration_has_the_call_that_made_it() -> None:
    """Also where a call made none, and where one was never ours."""
    evacuations = [evacuation(1, T + 2.0, EvacuationStatus.FAILED), evacuation(2, T + 40.0), evacuation(3, T + 50)]
    traces = [trace("req-1", T + 1.9, "Claim refused"), trace("req-lost", T + 20), trace("req-2", T + 39.5)]
    told = [(a.request_id, a.status) for a in attempts_of(evacuations, traces)]
    assert told == [("req-1", "failed"), ("req-lost", ""), ("req-2", "done"), ("", "done")]


def test_a_row_that_was_touched_at_the_return_does_not_say_when_it_had_ended() -> None:
    (attempt,) = attempts_of([replace(evacuation(1, T), status=EvacuationStatus.COMPLETED, updated=T + 900)], [])
    assert attempt.ended is None
    (attempt,) = attempts_of([evacuation(1, T)], [])
    assert attempt.ended == T + 9


# ----------------------------------------------------------------- Nova alone


@pytest.mark.parametrize(
    ("status", "server", "traces", "verdict", "words"),
    [
        (EvacuationStatus.DONE, place("a"), [], "evacuated", "Nova shows it there"),
        (EvacuationStatus.COMPLETED, place("a", "cmp3"), [trace("r", T)], "evacuated", "now on cmp3"),
        (EvacuationStatus.COMPLETED, place("a", "", True), [trace("r", T)], "evacuated", "deleted since"),
        # facts.md N12: completed alone is no success.
        (EvacuationStatus.COMPLETED, place("a", "cmp1"), [], "unknown", "Nova does not show that it came up there"),
        (EvacuationStatus.COMPLETED, place("a", "cmp1"), [trace("r", T, ended=0.0)], "unknown", "Nova does not show"),
        (EvacuationStatus.COMPLETED, place("a", "cmp1"), [trace("r", T, "boom")], "unknown", "Nova does not show"),
        (EvacuationStatus.DONE, None, [], "unknown", "Nova does not show that it came up there"),
        (EvacuationStatus.FAILED, place("a", "cmp1"), [trace("r", T, "No room")], "unknown", "failed: No room"),
        (EvacuationStatus.PRE_MIGRATING, place("a", "cmp1"), [], "unknown", "pre-migrating"),
    ],
)
def test_says_no_more_than_novas_records_show(
    status: EvacuationStatus, server: Optional[Server], traces: list[CallTrace], verdict: str, words: str
) -> None:
    records = Records("cmp1", T, [evacuation(1, T, status)], {"a": traces}, {"a": server} if server else {})
    (told,) = from_nova("cmp1", records).servers
    assert (told.verdict, words in told.reason) == (verdict, True), told.reason


def test_what_nova_cannot_know_is_named_as_missing() -> None:
    story = from_nova("cmp1", Records("cmp1", T, [evacuation(1, T)], missing=("half of it",)))
    assert story.fenced is None
    assert "not sent (held, skipped)" in story.missing[0]
    assert story.missing[1] == "half of it"


def test_evacuations_an_hour_apart_are_two_incidents() -> None:
    found = groups(
        [
            evacuation(1, T),
            evacuation(2, T + 3000),
            evacuation(3, T + 6000),
            evacuation(4, T + 6000 + nova_history.GAP_S + 1),
        ]
    )
    assert [[m.id for m in group] for group in found] == [["1", "2", "3"], ["4"]]
    assert groups([evacuation(1, 0.0)]) == []


# -------------------------------------------------------------------- the two


def all_of(story: Story) -> frozenset[str]:
    return frozenset(server.id for server in story.servers)


def test_nova_adds_the_attempts_and_changes_no_verdict_of_the_worker() -> None:
    story = from_worker(report(3, held=1, failed_once=1), "w")
    ident = server_id(1)
    evacuations = [evacuation(1, T + 2, EvacuationStatus.FAILED, server=ident), evacuation(2, T + 32, server=ident)]
    traces = {ident: [trace("req-first", T + 1.5, "boom"), trace("req-1-" + ident, T + 31.5)]}
    told = with_nova(story, Records("cmp1", T + 60, evacuations, traces), told=all_of(story))
    assert told.counts == story.counts == {"held": 1, "evacuated": 2}
    (twice,) = [server for server in told.servers if server.id == ident]
    assert [(a.status, a.words) for a in twice.attempts] == [("failed", "boom"), ("done", "")]
    assert twice.request_ids == (f"req-0-{ident}", f"req-1-{ident}", "req-first")
    assert (twice.tries, twice.dest) == (2, "cmp2")


def test_a_report_that_another_worker_overtook_is_judged_by_nova_where_it_was_open() -> None:
    told = report(2, held=1)
    ident = server_id(1)
    told["proofs"][1].update(verdict="evacuating", to="", ended=None, seconds=None)
    records = Records("cmp1", T + 60, [evacuation(1, T, server=ident)], {}, {ident: place(ident)})
    story = from_worker(told, "w")
    assert with_nova(story, records, told=all_of(story)).counts == {"held": 1, "evacuating": 1}
    assert with_nova(story, records, told=all_of(story) - {ident}).counts == {"held": 1, "evacuated": 1}


def test_a_server_that_the_worker_never_saw_is_told_too() -> None:
    records = Records("cmp1", T, [evacuation(1, T, server="new")], {}, {"new": place("new")})
    story = from_worker(report(1), "w")
    told = with_nova(story, records, told=all_of(story))
    assert [server.name for server in told.servers if server.id == "new"] == ["name-new"]


def test_what_a_new_worker_says_again_is_told_once() -> None:
    told = report(1)
    told["events"] += [{"at": T + 500, "what": "closed: back in service"}]
    assert [change.word for change in from_worker(told, "w").changes].count("closed") == 1


# -------------------------------------------------------------------- asking


class Archive:
    """Nova's records of some servers, each slower or more silent than the last one if need be."""

    def __init__(self, clock: FakeClock, servers: int, seconds: float = 0.0, silent_after: int = 10**6) -> None:
        self.clock, self.seconds, self.silent_after, self.asked = clock, seconds, silent_after, 0
        self.evacuations = [evacuation(n, T + n, server=f"s{n}") for n in range(servers)]

    def services(self) -> list[Service]:
        return []

    def evacuations_from(self, host: str, since: float) -> list[Evacuation]:
        return self.evacuations

    def server(self, ident: str) -> Server:
        if ident == "s1":
            raise NovaRefused("HTTP 404", status=404, answer=Answer.NOT_FOUND)
        return place(ident)

    def traces(self, server: str, since: float) -> list[CallTrace]:
        self.asked += 1
        self.clock.pass_by(self.seconds)
        if self.asked > self.silent_after:
            raise NovaUnavailable("connection refused")
        return [trace(f"req-{server}", T + int(server[1:]))]


@pytest.mark.parametrize(
    ("archive", "asked", "why"),
    [
        ((3,), 3, None),
        ((SERVERS_LIMIT + 7,), SERVERS_LIMIT, "of 7 of 507 servers"),
        ((100, TIME_LIMIT_S / 10), 11, "longer than 60 s"),
        ((100, 0.0, 4), 4, "connection refused"),
    ],
)
def test_asks_within_bounds_and_says_what_is_missing(archive: tuple[int, ...], asked: int, why: Optional[str]) -> None:
    clock = FakeClock()
    records = gather(Archive(clock, *archive), clock, "cmp1", Wanted(T - 60))
    assert len(records.traces) == asked
    assert [why in missing for missing in records.missing] == [True] if why else records.missing == ()
    assert records.servers["s1"].deleted


def test_asks_only_for_what_belongs_to_the_incident() -> None:
    clock = FakeClock()
    archive = Archive(clock, 0)
    archive.evacuations = [evacuation(1, T, server="s0"), evacuation(2, T + 9000, server="s2")]

    def servers(**wanted: object) -> list[str]:
        return list(gather(archive, clock, "cmp1", Wanted(T - 60, **wanted)).traces)  # type: ignore[arg-type]

    assert servers() == ["s0", "s2"]
    assert servers(until=T + 100) == ["s0"]
    assert (servers(group=0), servers(group=-1)) == (["s0"], ["s2"])
    archive.evacuations.append(evacuation(3, 0.0, server="s3"))  # it does not say when it was
    assert (servers(group=0), servers(group=-1)) == (["s3", "s0"], ["s3", "s2"])
    archive.evacuations = archive.evacuations[-1:]
    assert servers(group=0) == ["s3"]
    timed = [evacuation(1, T, server="s0")]
    told, alone = (
        nova_history.from_nova("cmp1", Records("cmp1", T, evacuations))
        for evacuations in ([*archive.evacuations, *timed], timed)
    )
    assert told.incident == alone.incident


# ------------------------------------------------------------------- timeline


def bars(story: Story) -> dict[str, list[tuple[Kind, float, float]]]:
    line = timeline(story)
    assert line is not None
    return {bar.server.id: [(s.kind, s.begin - T, s.end - T) for s in bar.stretches] for bar in line.bars}


def test_a_bar_waits_is_scheduled_is_rebuilt_and_waits_again() -> None:
    story = from_worker(report(1, failed_once=1), "w")
    (bar,) = bars(story).values()
    kinds = [kind for kind, _, _ in bar if kind is not Kind.WAITING]
    assert kinds == [Kind.SCHEDULING, Kind.REBUILDING] * 2
    assert [(round(b, 1), round(e, 1)) for kind, b, e in bar if kind is not Kind.WAITING] == [
        (1.5, 3.0),
        (3.0, 13.5),
        (31.5, 33.0),
        (33.0, 43.5),
    ]
    assert [round(end - begin, 1) for kind, begin, end in bar if kind is Kind.WAITING] == [1.1, 0.4, 18.0]


def test_novas_own_times_are_drawn_where_they_are_known() -> None:
    story = from_worker(report(1), "w")
    ident = server_id(0)
    records = Records("cmp1", T, [evacuation(1, T + 2, server=ident)], {ident: [trace("r", T + 2)]})
    assert bars(with_nova(story, records, told=all_of(story)))[ident] == [
        (Kind.WAITING, 0.0, 2.0),
        (Kind.SCHEDULING, 2.0, 3.0),
        (Kind.REBUILDING, 3.0, 10.0),
    ]


def test_what_was_not_seen_in_parts_is_not_drawn_in_parts() -> None:
    changes = (Change(T + 1, "evacuating", "asked"), Change(T + 9, "evacuated", "on cmp2", "cmp2"))
    server = ServerStory("a", verdict="evacuated", changes=changes)
    story = Story("i", "cmp1", "cmp1", "closed", "", T, T + 99, servers=(server,))
    assert bars(story) == {"a": [(Kind.WAITING, 0.0, 1.0), (Kind.UNDER_WAY, 1.0, 9.0)]}


def test_the_line_ends_when_all_is_settled_not_when_the_host_is_repaired() -> None:
    told = report(3)
    told["events"][-1]["at"] = T + 86400 * 3
    line = timeline(from_worker(told, "w"))
    assert line is not None
    assert line.span_s < 60
    assert "settled" in line.marks[-1].label


def test_those_that_need_a_person_are_drawn_first() -> None:
    line = timeline(from_worker(report(100, held=5), "w"), bars_shown=7)
    assert line is not None
    assert (sum(bar.server.verdict == "held" for bar in line.bars), len(line.bars), line.left_out) == (5, 7, 93)


def test_without_any_time_there_is_no_line() -> None:
    assert timeline(from_worker({}, "w")) is None


@given(st.floats(min_value=0.001, max_value=1e8), st.floats(0, 1e9))
def test_marks_of_the_line_are_few_and_within_it(span: float, begin: float) -> None:
    changes = (Change(begin + span, "settled", ""),)
    line = timeline(Story("i", "n", "h", "settled", "", begin + 1, begin + span, changes))
    if line is not None:
        ticks = line.ticks()
        assert 1 <= len(ticks) <= 7
        assert ticks[-1] <= line.span_s
        assert 0 <= line.share(begin + span) <= 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (245, "4 min 5 s")]
    + [(12000, "3 h 20 min"), (187200, "2 d 4 h")],
)
def test_durations_are_read_at_once(seconds: Optional[float], said: str) -> None:
    assert times.duration(seconds) == said


@pytest.mark.parametrize("lost", [FENCED - 3.5, None, "yesterday"])
def test_the_steps_begin_with_the_loss_where_it_is_known_and_else_that_is_said(lost: object) -> None:
    story = from_worker({**report(1), "lost": lost}, "w")
    known = isinstance(lost, float)
    first = [(step.word, step.at) for step in story.steps][:2]
    assert first[known:][0] == ("fenced", FENCED)
    assert first[:known] == [("lost", lost)][:known]
    assert ["when Pacemaker lost the host" in what for what in story.missing] == ([] if known else [True])


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("paused: Nova cannot unpause it on a dead host. To evacuate it: openstack server set --state active --auto-approve a, then muster retry a", "paused: Nova cannot unpause it on a dead host. Its host is back"),
        ("3 of 3 tries failed: boom. After the repair: muster retry a", "3 of 3 tries failed: boom. Its host is back"),
        ("Nova was live-migrating it. Make sure that it does not run on the target (virsh domstate a), then openstack --os-compute-api-version 2.14 server evacuate a", "Nova was live-migrating it. Its host is back"),
        ("paused: then muster retry a", "paused. Its host is back"),
        ("resized: when the host is back: openstack server resize confirm a, or openstack server resize revert a", ""),
    ],
)  # fmt: skip
def test_once_the_host_is_back_there_is_one_remedy(reason: str, left: str) -> None:
    """E25: ``muster report`` advised a retry beside the sentence that muster refuses retries."""
    told = after_return(reason, "a")
    if left:
        assert told.startswith(left)
        assert told.endswith("no other host, then openstack server reboot --hard a")
        assert "retry" not in told and "evacuate a" not in told
    else:
        assert told == reason


def test_what_is_left_to_do_depends_on_whether_the_host_is_back() -> None:
    """E25."""
    said = {
        state: from_worker({**report(2, held=1), "state": state, "reason": reason}, "w").waiting[0].reason
        for state, reason in (("closed", "back in service"), ("settled", ""))
    }
    removed = {**report(2, held=1), "reason": f"{RECORD_REMOVED} evacuating"}
    assert ["muster retry" in text for text in said.values()] == [False, True]
    assert "muster retry" in from_worker(removed, "w").waiting[0].reason


# --------------------------------------------------------------------- outage


def story_of(*ended: float, lost: Optional[float] = T - 20, **more: object) -> Story:
    servers = tuple(
        ServerStory(f"s{n}", verdict="evacuated", state="active", began=T + 5, ended=T + at, seconds=at - 5)
        for n, at in enumerate(ended)
    )
    servers += tuple(more.pop("also", ()))  # type: ignore[call-overload]
    return Story("cmp1-1", "cmp1", "cmp1", "settled", "", T, T + 99, servers=servers, lost=lost)


def test_an_outage_begins_with_the_loss_of_the_host() -> None:
    """Not with the fencing, and not when Nova took the call: the server was down all that time."""
    story = story_of(10, 28, 13)
    assert [story.outage_s(server) for server in story.servers] == [30, 48, 33]
    assert story.headline == "3 of 3 back; longest outage 48 s, median 33 s"
    assert story_of(10, lost=None).headline == "1 of 1 back; longest outage 10 s, median 10 s (since the fencing)"


def test_what_does_not_run_has_no_outage_that_is_over() -> None:
    also = (
        ServerStory("h", verdict="held", state="paused"),
        ServerStory("k", verdict="skipped"),
        ServerStory("g", verdict="gone"),
        ServerStory("o", verdict="evacuated", state="stopped", ended=T + 900),
        ServerStory("u", verdict="evacuated", state="active"),
    )
    story = story_of(10, also=also)
    assert [story.outage_s(server) for server in story.servers[1:]] == [None] * 5
    assert story.headline == "3 of 4 back, 1 held; longest outage 30 s, median 30 s"
    assert replace(story, lost=None, fenced=None).headline == "3 of 4 back, 1 held"
