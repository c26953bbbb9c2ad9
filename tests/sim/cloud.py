# SPDX-License-Identifier: Apache-2.0
"""A Nova that behaves as docs/facts.md says, in virtual time: the true state and what its API answers.

It knows nothing of muster.  What may be refused is refused as Nova does; what Nova lets through, it lets through.
"""

from __future__ import annotations

import random
from typing import Callable, Optional

from muster.core.errors import Answer, NovaRefused, NovaUnavailable, NovaUncertain
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server, Service
from muster.gateways.nova.parsing import POWER_OF_ACTION
from tests.sim.cloud_state import CloudState, Witness
from tests.sim.inventory import OPEN, Call, Compute, Instance, Row
from tests.sim.rebuild import Rebuild
from tests.sim.timeline import Timeline

GARBLED = "the reply has 5 where the text 'status' belongs"
EVACUABLE = ("active", "stopped", "error")


class Cloud(CloudState):
    """Nova's API on it."""

    def __init__(self, timeline: Timeline, rng: random.Random, judge: Witness, skew: float = 0.0) -> None:
        super().__init__(timeline, rng, judge, skew)
        self.rebuild = Rebuild(self)
        self._waiting: list[Callable[[], None]] = []

    def set_clock(self, skew: float) -> None:
        """A step; what was written before stays as it was."""
        self.services()
        self.skew = skew

    def date(self) -> float:
        """The clock of the API's host that answers."""
        return float(int(self.timeline.now + self.skew + (self.rng.choice(self.api_apart) if self.api_apart else 0.0)))

    # ------------------------------------------------------------------- reads

    def services(self) -> list[Service]:
        now = self.now
        found = []
        for host in self.computes.values():
            if self.silent(host.name):
                found.append(Service(id="", host=host.name, known=False))
                continue
            if f"service {host.name}" in self.garbled:
                found.append(Service(id="", host=host.name, known=False, unreadable=GARBLED))
                continue
            if host.stamped[0] != host.beat(now):
                host.stamped = (host.beat(now), float(int(host.beat(now) + self.skew)))
            beat = host.stamped[1]
            found.append(
                Service(
                    id=host.id,
                    host=host.name,
                    up=host.up(now),
                    enabled=host.enabled,
                    disabled_reason=host.disabled_reason,
                    forced_down=host.forced_down,
                    updated_at=max(host.changed, beat),
                )
            )
        return found

    def servers_on(self, host: str) -> list[Server]:
        found = [i for i in self.instances.values() if i.host == host and not i.deleted]
        return self._shown(found)

    def servers_changed(self, since: float) -> list[Server]:
        return self._shown([i for i in self.instances.values() if i.updated >= int(since)])

    def _shown(self, found: list[Instance]) -> list[Server]:
        if not self.silent_cells:
            return [self._row(i) for i in found]
        if self.omits_silent:
            return [self._row(i) for i in found if not self.silent(i.host)]
        hidden = {i.id for i in found if self.silent(i.host)}
        return [
            Server(id=i.id, host="", vm_state="", status="UNKNOWN", known=False) if i.id in hidden else self._row(i)
            for i in found
        ]

    def _row(self, inst: Instance) -> Server:
        if f"server {inst.id}" in self.garbled:
            return Server(inst.id, inst.host, vm_state="", known=False, unreadable=GARBLED)
        return inst.server()

    def _evacuation(self, row: Row) -> Evacuation:
        evacuation = row.evacuation()
        if f"evacuations {row.server}" in self.garbled:
            return Evacuation(
                evacuation.id,
                evacuation.server,
                evacuation.source,
                EvacuationStatus.OTHER,
                created=evacuation.created,
                unreadable=GARBLED,
            )
        return evacuation

    def server(self, ident: str) -> Server:
        inst = self.instances[ident]
        if inst.deleted:
            raise NovaRefused(f"HTTP 404: Instance {ident} could not be found", status=404, answer=Answer.NOT_FOUND)
        if self.silent(inst.host):
            return Server(id=ident, host="", vm_state="", status="UNKNOWN", known=False)
        return self._row(inst)

    def evacuations_from(self, host: str, since: float) -> list[Evacuation]:
        if self.silent(host):
            return []
        found = [
            self._evacuation(row) for row in self.rows if row.source == host and row.created >= since and self.kept(row)
        ]
        return sorted(found, key=lambda m: (m.created, m.id))

    def evacuations_of_all(self, since: float) -> list[Evacuation]:
        rows = [row for row in self.rows if row.created >= since and self.kept(row)]
        found = [self._evacuation(row) for row in rows if not self.silent(row.source)]
        return sorted(found, key=lambda m: (m.created, m.id))

    def action_log(self, ident: str, since: float) -> tuple[ActionLog, list[str]]:
        """:returns: with the request ids of its evacuates since then."""
        if ident in self.withheld:
            raise NovaUnavailable(f"the action log of {ident}: HTTP 500", status=500)
        actions = self.instances[ident].actions
        wanted = next((POWER_OF_ACTION[a] for a, _ in reversed(actions) if a in POWER_OF_ACTION), Power.UNKNOWN)
        waits, at = next((o for o in self.instances[ident].unbegun.values() if o[0] == "start"), ("", 0.0))
        evacuate = next((r for a, r in reversed(actions) if a == "evacuate"), "")
        failed_at = next((c.at for c in self.instances[ident].calls if c.failed), 0.0)
        log = ActionLog(wanted, evacuate, waits=waits, waits_at=at, failed_at=failed_at)
        return log, [call.request_id for call in self.instances[ident].calls if call.at >= since]

    def trace(self, ident: str, request_id: str) -> CallTrace:
        if ident in self.withheld:
            raise NovaUnavailable(f"the action log of {ident}: HTTP 500", status=500)
        return next(call for call in self.instances[ident].calls if call.request_id == request_id).trace()

    def claimed(self, ident: str) -> list[str]:
        """Where placement holds room for it: on its host, and on each destination that the scheduler has chosen."""
        inst = self.instances[ident]
        return sorted({inst.host, *(row.claimed for row in self.rows_of[ident] if row.claimed and row.status in OPEN)})

    # ------------------------------------------------------------------ writes

    def force_down(self, service: str, reason: Optional[str], by: str = "muster") -> str:
        host = self._host_of(service)
        host.forced_down, host.forced_by = True, host.forced_by or by
        if reason is not None:
            host.enabled, host.disabled_reason, host.disabled_by = False, reason, by
        return self._changed(host)

    def force_up(
        self, service: str, unforce: bool, enable: bool, disable_reason: Optional[str] = None, by: str = "muster"
    ) -> str:
        host = self._host_of(service)
        if unforce and any(r.source == host.name and r.status == "done" and self.kept(r) for r in self.rows):
            words = "HTTP 400: it has evacuations that are not completed"
            raise NovaRefused(words, status=400, answer=Answer.UNFIT)
        if unforce:
            host.forced_down, host.forced_by = False, ""
        if enable:
            host.enable(self.now)
            host.let_back_at = self.now if by == "operator" else host.let_back_at
        elif disable_reason is not None:
            # Whoever has enabled it meanwhile: nova/api/openstack/compute/services.py, _update_v253().
            host.enabled = False
            host.disabled_reason, host.disabled_by = disable_reason, "operator"  # from now on it is theirs to enable
        return self._changed(host)

    def disable(self, name: str, reason: str, by: str) -> None:
        host = self.computes[name]
        if (host.enabled, host.disabled_reason, host.disabled_by) == (False, reason, by):
            return  # measured: where nothing changes Nova does not move updated_at either
        host.enabled, host.disabled_reason, host.disabled_by = False, reason, by
        host.touched_at = self.now
        self._changed(host)

    def evacuate(self, ident: str, target: Optional[str], by: str = "muster", excused: bool = False) -> str:
        inst = self._known(ident)
        if target and target not in self.computes:
            raise NovaRefused(f"HTTP 404: Compute host {target} not found", status=404, answer=Answer.NOT_FOUND)
        if inst.vm_state not in EVACUABLE or not inst.launched:
            raise NovaRefused(f"HTTP 409: while it is in vm_state {inst.vm_state}", status=409)
        if self.computes[inst.host].up(self.now):
            raise NovaRefused(f"HTTP 400: Compute service of {inst.host} is still in use", status=400)
        if target == inst.host:
            raise NovaRefused("HTTP 400: the target host can't be the same one", status=400)
        self.judge.evacuation_taken(inst, by)
        request_id = self.act(inst, "evacuate")
        row = Row(str(len(self.rows) + 1), ident, inst.host, by, self.stamp(), target or "", began_at=self.now)
        row.excused, row.accepted_at, row.was = excused, self.now, inst.vm_state if not inst.task else ""
        self.rows.append(row)
        self.rows_of[ident].append(row)
        call = Call(request_id, self.stamp(), row=row)
        inst.calls.append(call)
        inst.task, inst.task_since = "rebuilding", self.now
        self.touch(inst)
        self.say(f"nova takes evacuate of {ident} from {inst.host} as migration {row.id} (by {by})")
        if self.rng.random() < self.odds.lose:
            row.stuck = "its message to the conductor was lost"
        else:
            self.to_conductor(lambda: self.rebuild.schedule(inst, call, target))
        return request_id

    def stop(self, ident: str, by: str = "muster") -> str:
        inst = self._known(ident)
        if inst.task or inst.vm_state not in ("active", "error"):
            raise NovaRefused(f"HTTP 409: Cannot 'stop' while it is in vm_state {inst.vm_state}", status=409)
        self.judge.stop_taken(inst, by)
        return self._power(inst, "stop", "powering-off", "stopped")

    def reset_state(self, ident: str) -> str:
        """Nova's database only; no action is logged."""
        inst = self._known(ident)
        inst.vm_state, inst.task, inst.state_since = "active", "", self.now
        self.touch(inst)
        self.requests += 1
        return f"req-{self.requests}"

    def start(self, ident: str) -> str:
        inst = self._known(ident)
        if inst.task or inst.vm_state != "stopped":
            raise NovaRefused("HTTP 409: Cannot 'start'", status=409)
        return self._power(inst, "start", "powering-on", "active")

    def delete(self, ident: str) -> str:
        """Down in Nova: gone at once, from the database.  Not yet known as down: it waits for the host."""
        inst = self._known(ident)
        host = self.computes[inst.host]
        request_id = self.act(inst, "delete")
        if host.running or not host.up(self.now):
            self._forget(inst)
        else:
            inst.task, inst.task_since = "deleting", self.now
            host.queue.append(lambda: self._deleted(inst))
        self.touch(inst)
        return request_id

    # ---------------------------------------------------------------- innards

    def to_conductor(self, what: Callable[[], None]) -> None:
        def deliver() -> None:
            if self.conductor_up:
                what()
            else:
                self._waiting.append(what)

        slow = self.rng.random() < self.odds.slow
        self.timeline.after(self.rng.uniform(1.0, 15.0) if slow else self.rng.uniform(0.02, 0.8), deliver)

    def stop_conductor(self) -> None:
        """Heartbeats go through it: every compute falls silent together."""
        self.conductor_up = False
        for host in self.computes.values():
            host.end_beating(self.now)

    def start_conductor(self) -> None:
        self.conductor_up, self.conductor_back_at = True, self.now
        for host in self.computes.values():
            if host.running:
                host.begin_beating(self.now + self.rng.uniform(0.0, 5.0))
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            self.to_conductor(what)

    def _power(self, inst: Instance, action: str, task: str, state: str) -> str:
        request_id = self.act(inst, action)
        inst.task, inst.task_since = task, self.now
        self.touch(inst)
        host = self.computes[inst.host]
        inst.unbegun[request_id] = action, self.stamp()

        def carry_out() -> None:
            """The driver first, and only then a look at the task; where the server is by now nobody looks."""
            inst.unbegun.pop(request_id)
            if inst.deleted:
                return
            (inst.guests.add if state == "active" else inst.guests.discard)(host.name)
            self.judge.guest_started(inst, None)
            self.judge.order_carried_out(inst, host, state)
            if inst.task != task:
                return
            inst.vm_state, inst.task = state, ""
            self.touch(inst)

        self.rebuild.cast(host, carry_out)
        return request_id

    def _deleted(self, inst: Instance) -> None:
        if not inst.deleted:
            self._forget(inst)
            self.touch(inst)

    def _forget(self, inst: Instance) -> None:
        inst.deleted, inst.vm_state, inst.task = True, "deleted", ""
        inst.guests.clear()
        if self.rows_of[inst.id]:
            self.note("evacuations deleted with their server")

    def _known(self, ident: str) -> Instance:
        inst = self.instances[ident]
        if inst.deleted:
            raise NovaRefused(f"HTTP 404: Instance {ident} could not be found", status=404, answer=Answer.NOT_FOUND)
        if self.silent(inst.host):
            raise NovaUncertain("HTTP 500: its cell does not answer", status=500, answer=Answer.OTHER)
        return inst

    def _host_of(self, service: str) -> Compute:
        host = next(h for h in self.computes.values() if h.id == service)
        if self.silent(host.name):
            raise NovaUncertain("HTTP 500: its cell does not answer", status=500, answer=Answer.OTHER)
        return host

    def _changed(self, host: Compute) -> str:
        host.changed = self.stamp()
        state = f"{'forced down' if host.forced_down else 'not forced'}, {'enabled' if host.enabled else 'disabled'}"
        self.say(f"nova changes the service of {host.name}: {state} {host.disabled_by and f'by {host.disabled_by}'}")
        self.requests += 1
        return f"req-{self.requests}"
