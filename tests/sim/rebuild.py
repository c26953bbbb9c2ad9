# SPDX-License-Identifier: Apache-2.0
"""How an evacuation goes on inside Nova after it was taken, and what a compute does when it starts or dies."""

from __future__ import annotations

from typing import Callable, Optional

from tests.sim.cloud_state import CloudState
from tests.sim.inventory import FIRST_BEAT_S, OPEN, Call, Compute, Instance, Row

ENDLESS = "its destination has written it, and never ends it"


class Rebuild:
    """Conductor, scheduler and the destination's nova-compute."""

    def __init__(self, cloud: CloudState) -> None:
        self._cloud = cloud
        self.on_claim: Callable[[Compute], None] = lambda dest: None
        self.on_cast: Callable[[Compute], None] = lambda dest: None

    def cast(self, host: Compute, what: Callable[[], None]) -> None:
        """A message: carried out soon, or when nova-compute runs again (facts.md N19)."""

        def deliver() -> None:
            if host.running and not host.stopping:
                what()
            else:
                host.queue.append(what)

        self._cloud.timeline.after(self._cloud.rng.uniform(0.02, 0.4), deliver)

    # ------------------------------------------------------------- evacuation

    def schedule(self, inst: Instance, call: Call, target: Optional[str]) -> None:
        """For whichever of its evacuations is `accepted` first (facts.md N32), or for none (facts.md N51)."""
        cloud = self._cloud
        row = next((r for r in cloud.rows_of[inst.id] if r.status == "accepted"), None)
        if inst.deleted:
            call.end(cloud.stamp(), "InstanceNotFound", harmless=True)
            self._end(row, "error")
            return
        if cloud.rng.random() < cloud.odds.conductor:
            call.end(cloud.stamp(), "MessagingTimeout", harmless=True)
            cloud.say(
                f"the conductor fails with {inst.id}, whose evacuations stay {[r.status for r in cloud.rows_of[inst.id]]}"
            )
            return
        source = (row or self._written_for(call)).source
        fitting = [h for h in cloud.computes.values() if self._fits(h, inst, source, target)]
        if not fitting:
            inst.vm_state, inst.task, inst.fault = "error", "", "No valid host was found."
            call.end(cloud.stamp(), inst.fault, harmless=True)
            self._end(row, "error")
            cloud.touch(inst)
            cloud.say(f"no valid host for {inst.id}")
            return
        dest = cloud.rng.choice(fitting)
        if row:
            row.claimed = dest.name
        self.on_cast(dest)
        self.cast(dest, lambda: self._claim(inst, row, dest, call))

    def _fits(self, host: Compute, inst: Instance, source: str, target: Optional[str]) -> bool:
        cloud = self._cloud
        return (
            host.name not in (source, inst.host)
            and target in (None, host.name)
            and host.enabled
            and cloud.now >= host.barred_until
            and not host.full
            and host.up(cloud.now)
            and host.cell == cloud.computes[source].cell
        )

    @staticmethod
    def _written_for(call: Call) -> Row:
        assert call.row is not None
        return call.row

    def _end(self, row: Optional[Row], status: str) -> None:
        """Who was given a row says what has become of it."""
        if row and not row.endless:
            self._cloud.set_row(row, status)

    def _own_row(self, inst: Instance, dest: Compute, call: Call) -> Row:
        """The destination writes one where it was given none."""
        cloud, asked = self._cloud, self._written_for(call)
        row = Row(str(len(cloud.rows) + 1), inst.id, asked.source, asked.by, cloud.stamp(), endless=True)
        row.claimed = row.dest = dest.name
        row.life, row.began_at, row.accepted_at, row.was = dest.life, cloud.now, cloud.now, asked.was
        row.excused, row.crossed, row.let_go = asked.excused, asked.crossed, asked.let_go
        cloud.rows.append(row)
        cloud.rows_of[inst.id].append(row)
        cloud.note("evacuation without an accepted row")
        cloud.say(f"no evacuation of {inst.id} is accepted: {dest.name} writes migration {row.id}")
        return row

    def _claim(self, inst: Instance, given: Optional[Row], dest: Compute, call: Call) -> None:
        cloud = self._cloud
        call.dest, call.landed = dest.name, cloud.stamp()
        if inst.deleted:
            call.end(cloud.stamp(), "InstanceNotFound", harmless=True)
            self._end(given, "error")
            return
        row = given or self._own_row(inst, dest, call)
        if row.endless:
            row.stuck = ENDLESS
            cloud.set_row(row, "pre-migrating")
        if cloud.rng.random() < cloud.odds.refuse:
            inst.task = ""
            row.dest = dest.name
            call.end(cloud.stamp(), "Insufficient compute resources", harmless=True)
            self._end(row, "failed")
            cloud.touch(inst)
            cloud.say(f"{dest.name} refuses the claim of {inst.id}: migration {row.id} {row.status}")
            return
        row.dest, row.life, row.began_at, row.call = dest.name, dest.life, cloud.now, call
        if dest.name in inst.guests:
            call.met_guest = True
            self._fail(inst, row, dest, f"Instance {inst.id} already exists.", harmless=True)
            return
        cloud.set_row(row, "pre-migrating")
        inst.task = "rebuild_spawning"
        cloud.touch(inst)
        self.on_claim(dest)
        if cloud.rng.random() < cloud.odds.hang:
            row.stuck = "its rebuild hangs"
            return
        cloud.timeline.after(cloud.rng.uniform(0.2, 8.0), lambda: self.spawned(inst, row, dest))

    def _fail(self, inst: Instance, row: Row, dest: Compute, words: str, harmless: bool) -> None:
        cloud = self._cloud
        inst.vm_state, inst.task, inst.fault = "error", "", words
        inst.spawn_failed_at = cloud.stamp() if cloud.shows_tracebacks and not harmless else 0.0
        if row.call:
            row.call.end(cloud.stamp(), words, harmless)
        self._end(row, "failed")
        cloud.touch(inst)
        cloud.say(f"rebuild of {inst.id} fails on {dest.name}: migration {row.id} {row.status}")

    def spawned(self, inst: Instance, row: Row, dest: Compute) -> None:
        cloud = self._cloud
        if row.life != dest.life:
            return
        if inst.deleted:
            self._end(row, "failed")
            return
        if cloud.rng.random() < cloud.odds.fail:
            # What failed in the driver may have left a guest for all that anybody can read; what failed before has not.
            self._fail(inst, row, dest, "Build of instance aborted", harmless=cloud.rng.random() < 0.7)
            return
        was_stopped = inst.vm_state == "stopped"
        inst.guests.add(dest.name)
        inst.launched_at = cloud.stamp()
        cloud.judge.guest_started(inst, row)
        if cloud.rng.random() < cloud.odds.fail_late:
            self._fail(inst, row, dest, "MessagingTimeout", harmless=False)
            return
        inst.vm_state, inst.task, inst.fault = "active", "powering-off" if was_stopped else "", ""
        cloud.touch(inst)
        late = cloud.rng.random() < 0.1
        delay_s = cloud.rng.uniform(1.0, 11.0) if late else cloud.rng.uniform(0.0, 0.5)
        cloud.timeline.after(delay_s, lambda: self._finish(inst, row, dest, was_stopped))

    def _finish(self, inst: Instance, row: Row, dest: Compute, was_stopped: bool) -> None:
        cloud = self._cloud
        if row.life != dest.life or inst.deleted:
            return
        if was_stopped:
            inst.vm_state = "stopped"
            inst.guests.discard(dest.name)
        inst.task, inst.host, row.arrived_at = "", dest.name, cloud.now
        if row.call:
            row.call.end(cloud.stamp())
        if row.status in OPEN:
            self._end(row, "done")
        cloud.touch(inst)
        cloud.say(f"{inst.id} has arrived on {dest.name}: migration {row.id} {row.status}")

    def release_hung(self, row: Row) -> None:
        """What hung goes on."""
        cloud = self._cloud
        row.stuck = ENDLESS if row.endless else ""
        inst, dest = cloud.instances[row.server], cloud.computes[row.dest]
        if row.status in OPEN:
            self.spawned(inst, row, dest)

    # ------------------------------------------------------------------ hosts

    def power_cut(self, name: str) -> None:
        cloud = self._cloud
        host = cloud.computes[name]
        host.end_beating(cloud.now)
        host.powered = host.running = False
        host.lives_since = 0.0
        host.life += 1
        for inst in cloud.instances.values():
            inst.guests.discard(name)
        cloud.say(f"the power of {name} is cut")

    def stop_compute(self, name: str) -> None:
        host = self._cloud.computes[name]
        host.end_beating(self._cloud.now)
        host.running = False

    def start_compute(self, name: str, resumes: bool = True) -> None:
        """What nova-compute does at its start: it destroys what was evacuated, then goes on with the rest.

        :param resumes: the guests, too (resume_guests_state_on_host_boot).
        """
        cloud = self._cloud
        host = cloud.computes[name]
        if host.running or not host.powered:
            return
        cloud.judge.compute_starts(host)
        # One row for each server, whatever others of it there are (nova-compute, _destroy_evacuated_instances: a dict by
        # instance; facts.md N33): an older one that is open stays so, one that is done waits for the next start.
        left = [row for row in cloud.rows if row.source == name and row.status in (*OPEN, "done") and cloud.kept(row)]
        last = {row.server: row for row in left}
        for row in last.values():
            cloud.set_row(row, "completed")
        if len(left) > len(last):
            cloud.note("row stays at its source's start")
        destroyed = set(last)
        if cloud.conductor_up:
            host.begin_beating(cloud.now + FIRST_BEAT_S)
        host.running, host.stopping, host.started_at, host.barred_until = True, False, cloud.now, 0.0
        for inst in cloud.instances.values() if resumes else ():
            if inst.host == name and not inst.deleted and inst.vm_state == "active" and inst.id not in destroyed:
                inst.guests.add(name)
                cloud.judge.guest_started(inst, None)
        waiting, host.queue = host.queue, []
        for what in waiting:
            what()
        cloud.say(f"nova-compute of {name} starts")
