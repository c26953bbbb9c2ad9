# SPDX-License-Identifier: Apache-2.0
"""Carries out steps, one call at a time, each behind the guards and with its deadline announced.

Being killed between any two calls is harmless: the next look finds what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import singledispatchmethod
from typing import Optional

from muster.core import steps as todo
from muster.core.cluster_facts import Phase
from muster.core.errors import Answer, ClusterError, ClusterRefused, NovaError, NovaRefused, NovaUncertain
from muster.core.nova_facts import CallTrace
from muster.core.ports import ClockPort, ClusterPort, NovaPort
from muster.core.sight import Outcome, Sent
from muster.engine.memory import HostMemory, Memory
from muster.log import Log

TAKEN_SHOWS_S = 60.0
FINISHED_FAULT_S = 3.0
"""A 500 or 503 came from Nova's own end: what it did shows at once, but the next look may be under way already."""
BATCH_S = 2.0
"""No longer than this without looking again."""
CLUSTER_CALL_S = 15.0
WATCHED_FIRST_S = 2.0
WATCHED_ONCE_S = 15.0
"""How old the services may be for the first evacuation of a host, and for others: they are read every ten seconds."""


class Act:
    """The only one that changes anything.

    :param current: whether this process is still the worker of this controller; asked before each effect.
    :param announce: told how long the next call of Pacemaker's tools may take, so that the monitor can tell slow from
        hung; the Nova gateway does that for its own.
    """

    def __init__(
        self,
        cluster: ClusterPort,
        nova: NovaPort,
        clock: ClockPort,
        memory: Memory,
        log: Log,
        current: Callable[[], bool],
        announce: Callable[[float], None],
    ) -> None:
        self._cluster = cluster
        self._nova = nova
        self._clock = clock
        self._memory = memory
        self._log = log
        self._current = current
        self._announce = announce

    def carry_out(self, steps: Iterable[todo.Step]) -> int:
        """Do the steps in order until one fails, the guards forbid it, or it is time to look again.

        :returns: how many were done.
        """
        done = 0
        began = self._clock.monotonic()
        for step in steps:
            if self._clock.monotonic() - began > BATCH_S:
                break
            if isinstance(step, todo.Evacuate) and not self._watched_lately(step.node):
                self._memory.services.want()
                break
            try:
                if not self._allowed():
                    break
                self._do(step)
            except ClusterRefused as exc:
                self._log.warning("write refused", step=type(step).__name__, reason=str(exc))
                break
            except ClusterError as exc:
                self._log.warning("cluster silent", step=type(step).__name__, reason=str(exc))
                break
            except NovaError as exc:
                self._log.warning("nova fault", step=type(step).__name__, reason=str(exc), request_id=exc.request_id)
                if isinstance(step, (todo.Evacuate, todo.ForceDown, todo.ForceUp)):
                    self._memory.troubles.note_failed_call(step.node, exc, self._clock.monotonic())
                else:  # of one server, which has its own pauses
                    self._memory.troubles.note_fault(exc, self._clock.monotonic())
                break
            done += 1
        return done

    def _watched_lately(self, node: str) -> bool:
        """A heartbeat of a host that lives would have been seen: a list may take a minute, and nothing takes back what
        is sent after it."""
        at_most_s = WATCHED_ONCE_S if self._memory.hosts[node].sent.evacuates else WATCHED_FIRST_S
        return self._clock.now() - self._memory.services.read_by <= at_most_s

    def _allowed(self) -> bool:
        if not self._current():
            self._log.error("not the worker any more", remedy="another worker runs here; this one changes nothing")
            return False
        self._announce(CLUSTER_CALL_S)
        if not self._cluster.quorate():
            self._log.warning("no quorum", remedy="muster changes nothing from this controller until it has quorum")
            return False
        return True

    @singledispatchmethod
    def _do(self, step: object) -> None:
        raise TypeError(f"unknown step {step!r}")

    # ------------------------------------------------------------ the record

    @_do.register
    def _write_record(self, step: todo.WriteRecord) -> None:
        self._cluster.write_record(step.node, step.old, step.record)
        self._log.info("record written", node=step.node, record=step.record.token)

    @_do.register
    def _swap_record(self, step: todo.SwapRecord) -> None:
        self._cluster.swap_record(step.node, step.old, step.new)
        host = self._memory.hosts.get(step.node)
        if host is not None:
            # Only that: what else follows from the new record, the next look finds out when it sees it.
            if step.new.phase is Phase.EVACUATING:
                host.liveness.claimed()
            host.returning.record_swapped(step.new)
        self._log.info("record changed", node=step.node, old=step.old.token, new=step.new.token)

    @_do.register
    def _drop_hold(self, step: todo.DropHold) -> None:
        self._cluster.drop_hold(step.node)
        self._log.info("hold released", node=step.node)

    @_do.register
    def _stop_compute(self, step: todo.StopCompute) -> None:
        self._cluster.write_record(step.node, step.record, step.record)
        self._memory.hosts[step.node].returning.compute_stopped(self._clock.now())
        self._log.info("hold set again", node=step.node, reason="nova-compute must restart")

    @_do.register
    def _drop_record(self, step: todo.DropRecord) -> None:
        self._cluster.drop_record(step.node, step.record)
        self._log.info("incident closed", node=step.node, record=step.record.token)

    @_do.register
    def _list_again(self, step: todo.ListAgain) -> None:
        self._memory.hosts[step.node].inventory.want_list()

    @_do.register
    def _read_server(self, step: todo.ReadServer) -> None:
        for host in self._memory.hosts_of(step.server):
            host.inventory.want_server(step.server)

    # --------------------------------------------------------------- services

    @_do.register
    def _force_down(self, step: todo.ForceDown) -> None:
        self._memory.services.outdate()
        host = self._memory.hosts[step.node]
        host.liveness.force_down_sent(self._clock.now())
        try:
            request_id = self._nova.force_down(step.service, step.disable_reason)
        except NovaUncertain as exc:
            if exc.answer is Answer.LOST:
                host.liveness.force_down_lost(self._clock.now())
            raise
        self._log.info(
            "forced down", node=step.node, host=step.host, disabled=bool(step.disable_reason), request_id=request_id
        )

    @_do.register
    def _force_up(self, step: todo.ForceUp) -> None:
        # Nova may have taken long to answer, and it is not undone by a record that is newer, as a write to the CIB is.
        cluster, host = self._cluster.look(), self._memory.hosts.get(step.node)
        seen = cluster.nodes.get(step.node)
        if seen is None or host is None or seen.record != host.record:
            self._log.info("not lifted", node=step.node, reason="its record changed: perhaps it was fenced again")
            return
        if cluster.paused:
            self._log.info("not lifted", node=step.node, reason=f"paused by {cluster.paused}")
            return
        self._memory.services.outdate()
        try:
            request_id = self._nova.force_up(step.service, step.unforce, step.enable, step.disable_reason)
        except NovaRefused as exc:
            if exc.answer is Answer.UNFIT:
                host.returning.lift_refused(self._clock.now())
            raise
        self._log.info(
            "lifted",
            node=step.node,
            host=step.host,
            force_down=step.unforce,
            disable=step.enable,
            request_id=request_id,
        )

    # ---------------------------------------------------------------- servers

    @_do.register
    def _read_log(self, step: todo.ReadLog) -> None:
        at = self._clock.now()
        try:
            log = self._nova.action_log(step.server)
        except NovaError as exc:
            for host in self._memory.hosts_of(step.server):
                host.logs.note_failure(step.server, at, self._clock.now())
            if not isinstance(exc, NovaRefused):
                raise
            self._log.warning("action log refused", server=step.server, reason=str(exc), request_id=exc.request_id)
        else:
            self._memory.note_action_log(step.server, log, at)

    @_do.register
    def _read_calls(self, step: todo.ReadCalls) -> None:
        host, at = self._memory.hosts[step.node], self._clock.now()
        over = host.logs.over(step.server)
        # One that was sent from another dead host may take a row of this one's (facts.md N32).
        incidents = (host, *self._memory.hosts_of(step.server))
        since = min(it.logs.calls_since(step.server, it.since) for it in incidents)
        host.logs.calls_asked(step.server, at, host.inventory.evacuations.of(step.server), since)
        try:
            new = self._new_traces(step.server, host, over.keys(), since)
        except NovaRefused as exc:
            self._log.warning("calls not shown", server=step.server, reason=str(exc), request_id=exc.request_id)
        else:
            traces = sorted((*over.values(), *new), key=lambda trace: trace.at)
            waits = any(not (trace.over or trace.landed) for trace in traces)
            host.logs.note_calls(step.server, traces, self._claimed(step.server) if waits else ())

    def _new_traces(self, server: str, host: HostMemory, known: Collection[str], since: float) -> Sequence[CallTrace]:
        """Of the one call that is not known Nova is asked alone, if it is ours; else for the whole list, which says as
        well what its owner wants."""
        evacuations = host.inventory.evacuations.of(server)
        alone = since >= host.logs.calls_since(server, host.since)
        ours = host.sent.newest_call(server, evacuations, known) if alone else ""
        trace = self._nova.trace(server, ours) if ours else None
        if trace and trace.dest == evacuations[-1].dest:
            return [trace]
        at = self._clock.now()
        log = self._nova.action_log(server, since, known)
        self._memory.note_action_log(server, log, at)
        return log.calls

    def _claimed(self, server: str) -> tuple[str, ...]:
        """Which host it waits for, for people: nothing depends on it, and placement need not answer."""
        try:
            return tuple(self._nova.claimed(server))
        except NovaError:
            return ()

    @_do.register
    def _stop(self, step: todo.Stop) -> None:
        for host in self._memory.hosts_of(step.server):
            host.sent.stop_sent(step.server, self._clock.now())
        self._send_repeatable("stop", step.server, self._nova.stop)

    @_do.register
    def _reset(self, step: todo.Reset) -> None:
        for host in self._memory.hosts_of(step.server):
            host.sent.reset_sent(step.server, self._clock.now())
        self._send_repeatable("reset", step.server, self._nova.reset_state, name=step.name, was=step.vm_state)

    def _send_repeatable(self, what: str, server: str, call: Callable[[str], str], **fields: str) -> None:
        """Its effect is looked for, and its failure is only told."""
        self._memory.polling.want_servers()
        self._memory.polling.note_caused(self._clock.now())
        try:
            request_id = call(server)
        except (NovaRefused, NovaUncertain) as exc:
            reason = str(exc)
            self._log.warning(f"{what} failed", server=server, reason=reason, request_id=exc.request_id, **fields)
        else:
            self._log.info(f"{what} sent", server=server, request_id=request_id, **fields)

    @_do.register
    def _evacuate(self, step: todo.Evacuate) -> None:
        at = self._clock.now()
        self._memory.polling.note_caused(at)
        try:
            request_id = self._nova.evacuate(step.server, step.target)
        except NovaRefused as exc:
            self._memory.tally.evacuate_refused()
            self._remember(step, Outcome.REFUSED, at, 0.0, exc)
            if exc.answer is Answer.NOT_FOUND:
                self._memory.hosts[step.node].inventory.want_list()
            self._log.warning(
                "evacuate refused", server=step.server, name=step.name, reason=str(exc), request_id=exc.request_id
            )
        except NovaUncertain as exc:
            late_s = self._memory.hosts[step.node].liveness.late_call_s
            quiet_s = late_s if exc.answer is Answer.LOST else FINISHED_FAULT_S
            self._remember(step, Outcome.UNCERTAIN, at, quiet_s, exc)
            self._log.warning(
                "evacuate uncertain", server=step.server, name=step.name, reason=str(exc), request_id=exc.request_id
            )
            # One fault of Nova's is seldom alone: look, and pause, before the next server is sent into it.
            raise
        else:
            self._memory.tally.evacuate_taken()
            self._memory.polling.note_call(self._clock.now() - at)
            self._remember(step, Outcome.TAKEN, at, TAKEN_SHOWS_S, None, request_id)
            self._log.info(
                "evacuate sent", server=step.server, name=step.name, source=step.source, request_id=request_id
            )

    def _remember(
        self,
        step: todo.Evacuate,
        outcome: Outcome,
        at: float,
        quiet_s: float,
        exc: Optional[NovaError],
        request_id: str = "",
    ) -> None:
        sent = Sent(
            at=at,
            outcome=outcome,
            quiet_until=self._clock.now() + quiet_s,
            evacuations_before=step.evacuations_before,
            request_id=request_id or (exc.request_id if exc else "") or "",
            answer=exc.answer if exc else Answer.OTHER,
            words=str(exc) if exc else "",
        )
        self._memory.hosts[step.node].sent.evacuate_sent(step.server, sent)
