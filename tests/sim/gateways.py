# SPDX-License-Identifier: Apache-2.0
"""The engine's ports over the simulated world: every call takes time, may fail in each way, and may be the last."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Callable, Optional, TypeVar

from muster.core.cluster_facts import Cluster, Record
from muster.core.errors import (
    Answer,
    ClusterError,
    ClusterRefused,
    NovaError,
    NovaRefused,
    NovaUnavailable,
    NovaUncertain,
)
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, Server, Service
from muster.gateways.clock import Fact
from muster.gateways.nova.faults import answer_of
from muster.gateways.nova.login import READ_RETRIES, READ_TIMEOUT_S
from tests.sim.faults import PROXY_SAYS
from tests.sim.parts import Process

T = TypeVar("T")

CLUSTER_CALL_S = (0.005, 0.05)
NOVA_CALL_S = (0.01, 0.25)
LATE_S = 5.0
"""The latest that a lost call is carried out: so long before the setting says."""
STALE_S = 5.0
PAGE = 1000
EVACUATIONS = ("evacuations_from", "evacuations_of_all")
LISTS = ("servers_on", "servers_changed", *EVACUATIONS)
CELL_TIMEOUT_S = 60.0
"""nova/context.py, CELL_TIMEOUT."""
PATHS = {
    "services": "/os-services",
    "servers_on": "/servers/detail",
    "servers_changed": "/servers/detail",
    "evacuations_from": "/os-migrations",
    "evacuations_of_all": "/os-migrations",
}


class NovaGateway:
    """Nova for one worker."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._cloud = process.world.cloud
        self._nova = process.clock.nova
        self._slow: set[str] = set()

    @property
    def _late_s(self) -> float:
        return self._world.policy.late_call_s - LATE_S

    # ------------------------------------------------------------------ reads

    def services(self) -> Sequence[Service]:
        beats = {host.name: host.beat(self._world.now) for host in self._cloud.computes.values()}
        answer = self._ours(self._read("services", (), self._cloud.services))
        self._process.beats = beats
        return answer

    def servers_on(self, host: str) -> Sequence[Server]:
        return self._ours(self._read("servers_on", (host,), lambda: self._cloud.servers_on(host)))

    def servers_changed(self, since: float) -> Sequence[Server]:
        since = self._nova.theirs(since)
        return self._ours(self._read("servers_changed", (since,), lambda: self._cloud.servers_changed(since)))

    def servers_changed_without_images(self, since: float) -> Sequence[Server]:
        return [replace(server, image_properties={}) for server in self.servers_changed(since)]

    def server(self, ident: str) -> Server:
        return self._nova.translated(self._read("server", (ident,), lambda: self._cloud.server(ident)))

    def evacuations_from(self, host: str, since: float, page: int = PAGE) -> Sequence[Evacuation]:
        since = self._nova.theirs(since)
        return self._ours(
            self._read("evacuations_from", (host, since), lambda: self._cloud.evacuations_from(host, since), page)
        )

    def evacuations_of_all(self, since: float, page: int = PAGE) -> Sequence[Evacuation]:
        since = self._nova.theirs(since)
        return self._ours(
            self._read("evacuations_of_all", (since,), lambda: self._cloud.evacuations_of_all(since), page)
        )

    def _ours(self, answer: Sequence[Fact]) -> list[Fact]:
        """As the gateway to the real one does."""
        return [self._nova.translated(fact) for fact in answer]

    def action_log(self, server: str, calls_since: float = math.inf, known: Collection[str] = ()) -> ActionLog:
        since = self._nova.theirs(calls_since)
        log, calls = self._read("action_log", (server, since), lambda: self._cloud.action_log(server, since))
        new = [request for request in calls if request not in known]
        return replace(self._nova.translated(log), calls=tuple(self.trace(server, request) for request in new[-50:]))

    def trace(self, server: str, request_id: str) -> CallTrace:
        read = self._read("trace", (server, request_id), lambda: self._cloud.trace(server, request_id))
        return self._nova.translated(read)

    def claimed(self, server: str) -> Sequence[str]:
        return self._read("claimed", (server,), lambda: self._cloud.claimed(server))

    def _read(self, kind: str, args: tuple[object, ...], do: Callable[[], T], page: int = PAGE) -> T:
        process, world = self._process, self._world
        world.call(process, kind, "before")
        fault = world.faults.draw_read()
        if world.nova_down or fault == "unavailable":
            self._take(0.02)
            raise NovaUnavailable(f"{kind}: HTTP 503", status=503)
        if world.broken & {kind, f"{kind} {args[0] if args else ''}"}:
            self._take(0.02)
            raise NovaUnavailable(f"{kind}: HTTP 500", status=500)
        if fault == "by a proxy":
            self._take(0.02)
            status = world.rng.choice(PROXY_SAYS)
            raise NovaUnavailable(f"{kind}: HTTP {status}, and not in Nova's own words", others_status=status)
        if fault == "limited":
            self._limited(kind)
        if kind in EVACUATIONS and world.policy_hides_hosts and self._cloud.rows:
            self._take(0.05)
            raise NovaUnavailable(f"{kind}: an evacuation without its hosts: os-migrations:index:host")
        if fault == "timeout":
            self._take(20.0)
            raise NovaUnavailable(f"{kind}: timed out")
        if fault == "slow":
            self._take(world.rng.uniform(2.0, 18.0))
        self._wait_for_cells(kind, str(args[0]) if args else "")
        shown = world.shown.get((kind, *args))
        asked_at = process.clock.now()
        if fault == "stale" and shown and world.now - shown[0] < STALE_S and not self._cloud.silent_cells:
            at, answer = shown
        else:
            self._take(world.rng.uniform(*NOVA_CALL_S))
            at, answer = world.now, do()
            if not self._cloud.silent_cells:  # an old view is one of the database, where nothing is missing
                world.shown[(kind, *args)] = (at, answer)
            if kind in LISTS and world.faults.draw_half(world.now):
                answer = type(answer)()
                if kind == "servers_changed":  # nobody can know from it what had changed in the cell that it leaves out
                    at = process.read_at.get(kind, 0.0)
            world.asked[kind] += len(answer) // page + 1 if isinstance(answer, list) else 1
        self._nova.note_time(asked_at, process.clock.now(), self._cloud.date())
        self._take(world.rng.uniform(*NOVA_CALL_S))
        process.read_at[kind] = at
        if kind in ("evacuations_from", "trace", "server"):
            process.read_at[f"{kind} {args[0]}"] = at
        if kind == "evacuations_of_all":
            process.read_at |= {f"evacuations_from {host}": at for host in self._cloud.computes} | {
                "evacuations_from": at
            }
        process.first_read_at.setdefault(kind, at)
        world.call(process, kind, "after")
        return answer

    def _wait_for_cells(self, kind: str, what: str) -> None:
        """Nova's lists are gathered from all cells, whatever they are limited to, for as long as the slowest takes
        (nova/compute/multi_cell_list.py, nova/compute/api.py: _service_get_all_cells); one server is asked of its own."""
        cloud = self._cloud
        if kind not in PATHS:
            if cloud.hung_cells and cloud.computes[cloud.instances[what].host].cell in cloud.hung_cells:
                self._take((1 + READ_RETRIES) * READ_TIMEOUT_S)
                raise NovaUnavailable(f"{kind} {what}: timed out")
        elif not cloud.hung_cells:
            self._slow.discard(PATHS[kind])
        elif PATHS[kind] in self._slow:
            self._take(CELL_TIMEOUT_S)
        else:  # the gateway gives it longer the next time
            self._slow.add(PATHS[kind])
            self._take((1 + READ_RETRIES) * READ_TIMEOUT_S)
            raise NovaUnavailable(f"{kind}: timed out")

    # ----------------------------------------------------------------- writes

    def force_down(self, service: str, disable_reason: Optional[str]) -> str:
        what = (service, "and disable" if disable_reason is not None else "")

        def force() -> str:
            read_at = self._process.read_at.get("services", 0.0)
            self._process.hidden[service.removeprefix("service-")] = (read_at, self._world.now)
            return self._cloud.force_down(service, disable_reason)

        return self._write("force_down", force, *what)

    def force_up(self, service: str, unforce: bool, enable: bool, disable_reason: Optional[str] = None) -> str:
        name = service.removeprefix("service-")
        self._world.judge.lift_sent(self._process, name, unforce, enable)
        lift = functools.partial(self._cloud.force_up, service, unforce, enable, disable_reason)
        return self._write("force_up", lift, service, "unforce" * unforce, "enable" * enable)

    def evacuate(self, server: str, target: Optional[str]) -> str:
        excused = self._world.judge.evacuate_sent(self._process, server, target)
        inst = self._cloud.instances[server]
        inst.sent_at = self._world.now
        try:
            do = functools.partial(self._cloud.evacuate, server, target, excused=excused)
            return self._write("evacuate", do, server, target or "")
        except NovaRefused:
            inst.injected += 1
            self._world.judge.refusals.setdefault(server, []).append(self._world.now)
            raise

    def stop(self, server: str) -> str:
        return self._write("stop", lambda: self._cloud.stop(server), server)

    def reset_state(self, server: str) -> str:
        self._world.judge.reset_sent(self._process, server)
        return self._write("reset_state", lambda: self._cloud.reset_state(server), server)

    def _write(self, kind: str, do: Callable[[], str], *what: str) -> str:
        process, world = self._process, self._world
        world.call(process, kind, "before", write=True)
        world.judge.may_change(process, kind)
        world.note_call(process, kind, *what)
        world.asked[kind] += 1
        fault = world.faults.draw_write()
        self._take(world.rng.uniform(*NOVA_CALL_S), sent=do)
        if world.nova_down or fault == "unavailable":
            raise NovaUnavailable(f"{kind}: connection refused")
        if fault:
            self._fail(kind, fault, do)
        request_id = do()
        self._take(world.rng.uniform(*NOVA_CALL_S))
        world.call(process, kind, "after", write=True)
        return request_id

    def _limited(self, kind: str) -> None:
        after_s = self._world.rng.choice((0.0, 3.0, 20.0, 3600.0))
        raise NovaUnavailable(f"{kind}: HTTP 429: over limit", status=429, retry_after_s=after_s)

    def _fail(self, kind: str, fault: str, do: Callable[[], str]) -> None:
        world = self._world
        if fault == "limited":
            self._limited(kind)
        if fault == "by a proxy":
            became = world.rng.choices(("nothing", "done", "late"), (6, 1, 1))[0]
            if became == "done":
                _try(do)
            if became == "late":
                world.timeline.after(world.rng.uniform(0.3, self._late_s), lambda: _try(do))
            status = world.rng.choice(PROXY_SAYS)
            raise NovaUncertain(f"{kind}: HTTP {status}, and not in Nova's own words", others_status=status)
        if fault == "refused":
            status = world.rng.choice((400, 409, 409, 409, 403, 404))
            raise NovaRefused(f"{kind}: HTTP {status}: refused", status=status, answer=answer_of(status))
        if fault == "lost-before":
            self._take(world.rng.choice((0.1, 30.0)))
            raise NovaUncertain(f"{kind}: no reply", status=world.rng.choice((0, 504)))
        if fault == "failed":
            done = world.rng.random() < 0.5
            if done:
                _try(do)
            raise NovaUncertain(f"{kind}: HTTP 500", status=world.rng.choice((500, 503)), answer=Answer.OTHER)
        if fault == "lost-after":
            _try(do)
            self._take(world.rng.choice((0.1, 30.0)))
            raise NovaUncertain(f"{kind}: no reply", status=world.rng.choice((0, 502, 504)))
        # Some give up at once, some only after their whole time-out: it may be carried out for as long after either.
        self._take(world.rng.choice((0.1, 30.0)))
        world.timeline.after(world.rng.uniform(0.3, self._late_s), lambda: _try(do))
        raise NovaUncertain(f"{kind}: no reply", status=world.rng.choice((0, 504)))

    def _take(self, seconds: float, sent: Optional[Callable[[], str]] = None) -> None:
        """Time passes during a call.  Whoever dies then may have a request on the wire."""
        self._world.timeline.pass_by(seconds)
        if sent is not None and not self._process.alive and self._world.rng.random() < 0.6:
            self._world.timeline.after(self._world.rng.uniform(0.0, self._late_s), lambda: _try(sent))
        self._process.check()


class ClusterGateway:
    """Pacemaker for one worker, as its controller sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._site = process.world.site

    def look(self) -> Cluster:
        seen = self._call("look", lambda: self._site.seen_by(self._process.controller))
        self._process.looked, self._process.saw_paused = seen.nodes, bool(seen.paused)
        self._process.fenced_at = dict(self._site.fenced_at)
        return seen

    def quorate(self) -> bool:
        try:
            answer = self._call("quorate", lambda: self._site.quorum(self._process.controller))
        except ClusterError:
            answer = False
        self._process.knew_quorum = answer
        return answer

    def cib_changed(self) -> object:
        return self._site.revision

    def write_record(self, node: str, old: Optional[Record], record: Record) -> None:
        self._write("write_record", self._site.write_record, node, old, record)

    def swap_record(self, node: str, old: Record, new: Record) -> None:
        self._write("swap_record", self._site.swap_record, node, old, new)

    def drop_record(self, node: str, closing: Record) -> None:
        self._write("drop_record", self._site.drop_record, node, closing)

    def drop_hold(self, node: str) -> None:
        self._write("drop_hold", self._site.drop_hold, node)

    def publish(self, node: str, text: str) -> None:
        pass

    def _write(self, kind: str, do: Callable[..., None], node: str, *what: Any) -> None:
        world, process = self._world, self._process
        world.call(process, kind, "before", write=True)
        fencing = kind == "write_record" or (kind == "swap_record" and what[0].phase is what[1].phase)
        world.judge.may_change(process, kind, allowed=fencing)
        world.note_call(process, kind, node, *(record.token if record else "" for record in what))

        def carry_out() -> None:
            do(process.controller, node, *what)
            if kind == "swap_record":
                world.judge.record_swapped(process, node, what[1])

        fault = world.faults.draw_cluster_write()
        if fault == "lost-before":
            raise ClusterError(f"{kind}: timed out")
        self._call(kind, carry_out)
        if fault == "lost-after":
            raise ClusterError(f"{kind}: timed out")
        world.call(process, kind, "after", write=True)

    def _call(self, kind: str, do: Callable[[], T]) -> T:
        world = self._world
        if kind in ("look", "quorate"):
            world.call(self._process, kind, "before")
        world.timeline.pass_by(world.rng.uniform(*CLUSTER_CALL_S))
        self._process.check()
        if self._site.silent:
            world.timeline.pass_by(10.0)
            self._process.check()
            raise ClusterError(f"{kind}: timed out after 10 s")
        return do()


def _try(do: Callable[[], str]) -> None:
    try:
        do()
    except (NovaError, ClusterRefused):
        return
