# SPDX-License-Identifier: Apache-2.0
"""What happens to a history besides faulty calls: hosts, controllers, Nova's own parts, owners and operators."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from typing import Callable

from muster.core.cluster_facts import Phase
from muster.core.errors import NovaError
from muster.core.findings import State, Verdict
from muster.core.nova_facts import Power
from tests.sim.inventory import Instance
from tests.sim.site import CONTROLLERS
from tests.sim.world import World

ODD_STATES = ("paused", "suspended", "rescued", "resized", "shelved", "shelved_offloaded", "soft-delete", "building")

Misfortune = Callable[[World, random.Random], None]


def plan(world: World, rng: random.Random, window_s: float) -> None:
    """Everything that will befall this world, put on its timeline."""
    world.window_s = window_s
    hosts = list(world.cloud.computes)
    dying = [rng.choice(hosts[:2] + hosts[:1])] + [h for h in hosts[:3] if rng.random() < 0.2]
    for n, host in enumerate(dict.fromkeys(dying)):
        at = 2.0 if n == 0 else rng.uniform(1.0, window_s * 0.7)
        world.after(at, lambda host=host: _host_dies(world, rng, host))  # type: ignore[misc]
    share = rng.choice((0.0, 0.0, 0.05, 0.2))
    world.cloud.rebuild.on_claim = lambda dest: (
        _destination_dies(world, rng, dest.name) if rng.random() < share else None
    )
    again = rng.choice((0.0, 0.0, 0.1))
    world.on_call = lambda process, kind, moment: _fenced_at_once(world, kind, moment) if rng.random() < again else None
    for what, odds in ODDS.items():
        while rng.random() < odds:
            world.after(rng.uniform(0.0, window_s), lambda what=what: what(world, rng))  # type: ignore[misc]
            odds *= 0.6
    # Of its own dice: what befalls the others stays the same.
    own = random.Random(f"refreshed {world.seed}")
    for _ in range(own.choice((0, 0, 1, 2, 4))):
        world.after(own.uniform(0.0, window_s * 1.5), lambda: _operator_refreshes(world, own))
    if own.random() < 0.1:
        world.after(own.uniform(0.0, 40.0), lambda: _source_starts_before_the_conductor(world))


# ------------------------------------------------------------------------ hosts


def _host_dies(world: World, rng: random.Random, host: str) -> None:
    kind = rng.choices(("cut", "fenced", "confirmed", "lies", "clean", "fabric"), (10, 4, 2, 2, 1, 1))[0]
    world.faults.note(f"host {kind}")
    cloud, site = world.cloud, world.site
    if kind == "clean":
        cloud.rebuild.stop_compute(host)
        for inst in cloud.instances.values():
            inst.guests.discard(host)
        site.leave(host)
        world.after(rng.uniform(20.0, 100.0), lambda: _power_on(world, host))
        return
    if kind in ("cut", "confirmed"):
        cloud.rebuild.power_cut(host)
    if kind == "confirmed":
        site.leave(host)
    if kind == "lies":
        world.liars.add(host)
        world.after(rng.uniform(90.0, 150.0), lambda: _really_off(world, host))
    if kind == "fabric":
        world.after(rng.uniform(90.0, 150.0), lambda: _off_and_confirmed(world, host))
    delay_s = {"cut": rng.uniform(0.5, 30.0), "confirmed": rng.uniform(5.0, 50.0)}.get(kind, 0.1)
    _fence(world, rng, host, delay_s, kind)
    if kind not in ("lies", "fabric") and rng.random() < 0.6:
        world.after(delay_s + rng.uniform(5.0, 120.0), lambda: _power_on(world, host))


def _fence(world: World, rng: random.Random, host: str, delay_s: float, kind: str) -> None:
    def fence() -> None:
        if not any(world.site.quorum(c) and c not in world.site.cut_off for c in CONTROLLERS):
            world.after(2.0, fence)
            return
        doubt = "fence_scsi cuts nobody's power" if kind == "fabric" else ""
        recorded, runs_on = kind not in ("confirmed", "fabric"), kind in ("lies", "fabric")
        world.site.fence(host, with_record=recorded, lies=runs_on, unproved=doubt)

    world.after(delay_s, fence)


def _really_off(world: World, host: str) -> None:
    """The operator cuts the power by hand and confirms it, to Pacemaker and to muster: so the message says."""
    world.liars.discard(host)
    world.cloud.rebuild.power_cut(host)
    world.site.fence(host, with_record=False)
    world.site.confirm(host)


def _off_and_confirmed(world: World, host: str) -> None:
    """The operator cuts the power of what a fabric device has fenced, and tells Pacemaker: so the message says."""
    world.cloud.rebuild.power_cut(host)
    world.site.confirm_to_pacemaker(host)


def _power_on(world: World, host: str) -> None:
    compute = world.cloud.computes[host]
    if world.site.nodes[host].member or host in world.liars:
        return
    compute.powered = True
    world.site.rejoin(host)


def _fenced_again(world: World, rng: random.Random) -> None:
    """Any host with an incident, back or not."""
    hosts = [n.name for n in world.site.nodes.values() if n.record and n.name not in world.liars]
    if hosts:
        world.faults.note("host fenced again")
        host = rng.choice(hosts)
        world.site.fence(host)
        if rng.random() < 0.7:
            world.after(rng.uniform(5.0, 60.0), lambda: _power_on(world, host))


def _fenced_at_once(world: World, kind: str, moment: str) -> None:
    """A fencing is recorded between a worker's look and its write."""
    dead = [n.name for n in world.site.nodes.values() if n.record and not n.member and n.name not in world.liars]
    if kind in ("swap_record", "write_record") and moment == "before" and dead and not world.calm:
        world.faults.note("host fenced again at once")
        world.site.fence(dead[0])


def _destination_dies(world: World, rng: random.Random, host: str) -> None:
    """In the middle of a rebuild, or right after it."""

    def die() -> None:
        if not world.cloud.computes[host].powered or not world.site.nodes[host].member or world.calm:
            return
        world.faults.note("destination dies")
        world.cloud.rebuild.power_cut(host)
        _fence(world, rng, host, rng.uniform(0.5, 20.0), "cut")
        if rng.random() < 0.5:
            world.after(rng.uniform(30.0, 100.0), lambda: _power_on(world, host))

    world.after(rng.uniform(0.0, 6.0), die)


# ------------------------------------------------------------------------- Nova


def _conductor_stops(world: World, rng: random.Random) -> None:
    if world.cloud.conductor_up:
        world.faults.note("conductor down")
        world.cloud.stop_conductor()
        world.after(rng.uniform(2.0, 100.0), world.cloud.start_conductor)


def _cell_blinks(world: World, rng: random.Random) -> None:
    world.faults.note("cell silent")
    cell = rng.choice(sorted({h.cell for h in world.cloud.computes.values()}))
    world.cloud.silent_cells.add(cell)
    seconds = rng.choice((rng.uniform(0.2, 3.0), rng.uniform(3.0, 40.0)))
    world.after(seconds, lambda: world.cloud.silent_cells.discard(cell))


def _cell_hangs(world: World, rng: random.Random) -> None:
    cells = sorted({h.cell for h in world.cloud.computes.values()})
    world.faults.note("cell hangs")
    cell = cells[-1]
    world.cloud.hang_cell(cell)
    world.after(rng.uniform(20.0, 300.0), lambda: world.cloud.hang_cell(cell, hangs=False))


def _reads_fail(world: World, rng: random.Random) -> None:
    """One kind, or those of one host: for a while, or until the end of the faults."""
    kind = rng.choice(
        ("servers_changed", "evacuations_of_all", "evacuations_from", "servers_on", "server", "action_log")
    )
    what = f"{kind} {rng.choice(list(world.cloud.computes))}" if kind in ("servers_on", "evacuations_from") else kind
    world.faults.note("one kind of read fails")
    world.broken.add(what)
    world.after(rng.uniform(5.0, 200.0), lambda: world.broken.discard(what))


def _row_cannot_be_read(world: World, rng: random.Random) -> None:
    """Of one server, of its evacuations, or of a service: for a while, or until the end of the faults."""
    world.faults.note("a row cannot be read")
    kind = rng.choice(("server", "evacuations", "service"))
    what = f"{kind} {rng.choice(list(world.cloud.computes if kind == 'service' else world.cloud.instances))}"
    world.cloud.garbled.add(what)
    world.after(rng.uniform(5.0, 200.0), lambda: world.cloud.garbled.discard(what))


def _nova_falls_silent(world: World, rng: random.Random) -> None:
    world.faults.note("Nova silent")
    world.nova_down = True

    def back() -> None:
        world.nova_down = False

    world.after(rng.uniform(2.0, 60.0), back)


def _policy_hides_hosts(world: World, rng: random.Random) -> None:
    """From Nova 32 a policy decides whether evacuations show their hosts (facts.md N34): until it is mended."""
    world.faults.note("policy hides hosts")
    world.policy_hides_hosts = True

    def shown() -> None:
        world.policy_hides_hosts = False

    world.after(rng.uniform(2.0, 60.0), shown)


def _no_room(world: World, rng: random.Random) -> None:
    world.faults.note("no room")
    for host in world.cloud.computes.values():
        host.full = True

    def room() -> None:
        for host in world.cloud.computes.values():
            host.full = False

    world.after(rng.uniform(5.0, 200.0), room)


def _hung_goes_on(world: World, rng: random.Random) -> None:
    for row in world.cloud.rows:
        if row.stuck.startswith("its rebuild") and world.cloud.row_alive(row) and rng.random() < 0.5:
            world.cloud.rebuild.release_hung(row)


# --------------------------------------------------------- owners and operators


def _owner_acts(world: World, rng: random.Random) -> None:
    living = [i for i in world.cloud.instances.values() if not i.deleted]
    if not living:
        return
    inst = rng.choice(living)
    action = rng.choice(("delete", "stop", "start", "start"))
    try:
        if action == "delete":
            world.cloud.delete(inst.id)
        elif action == "stop":
            world.cloud.stop(inst.id, by="owner")
            inst.wanted = Power.STOPPED
        else:
            world.cloud.start(inst.id)
            inst.wanted = Power.RUNNING
    except NovaError:
        return
    world.faults.note(f"owner {action}s")
    world.say(f"its owner asks to {action} {inst.id}")
    inst.asked_at = world.now
    world.judge.note_arrival(inst)


def _operator_evacuates(world: World, rng: random.Random) -> None:
    """By hand, a server that nothing is under way for and whose host is off."""
    cloud = world.cloud
    for inst in cloud.instances.values():
        off = not cloud.computes[inst.host].powered and not _about_to_be_sent(world, inst)
        looked = not inst.guests  # a failed rebuild may have left one, and whoever is sent to look finds it
        if (
            off
            and looked
            and not inst.deleted
            and not inst.task
            and not any(map(cloud.row_alive, cloud.rows_of[inst.id]))
        ):
            try:
                cloud.evacuate(inst.id, None, by="operator")
            except NovaError:
                continue
            world.faults.note("operator evacuates by hand")
            return


def _about_to_be_sent(world: World, inst: Instance) -> bool:
    """A call is on its way, or muster says that it comes next: nobody could take that back, and Nova takes both."""
    incident = world.current.incidents.get(inst.host) if world.current else None
    if incident and incident.state is State.FORCING_DOWN:
        return True  # "muster takes over its servers"
    finding = incident.findings.get(inst.id) if incident else None
    soon = finding and (finding.verdict in (Verdict.QUEUED, Verdict.EVACUATING) or 0.0 < finding.due < world.now + 10.0)
    return bool(soon) or world.now - inst.sent_at < 60.0


def _operator_disables(world: World, rng: random.Random) -> None:
    world.faults.note("operator disables a service")
    host = rng.choice(list(world.cloud.computes))
    world.cloud.disable(host, "disk swap", "operator")
    if rng.random() < 0.7:
        compute = world.cloud.computes[host]

        def enable() -> None:
            if compute.disabled_by == "operator":
                with contextlib.suppress(NovaError):
                    world.cloud.force_up(compute.id, unforce=False, enable=True, by="operator")
                    compute.touched_at = world.now

        world.after(rng.uniform(5.0, 60.0), enable)


def _operator_forces_down(world: World, rng: random.Random) -> None:
    """Of a host that is not an incident of muster's."""
    hosts = [n for n, node in world.site.nodes.items() if not node.record and not world.cloud.computes[n].forced_down]
    if hosts:
        compute = world.cloud.computes[rng.choice(hosts)]
        with contextlib.suppress(NovaError):
            world.cloud.force_down(compute.id, None, by="operator")
            compute.touched_at = world.now
            world.faults.note("operator forces a service down")


def _operator_starts_compute(world: World, rng: random.Random) -> None:
    """Past Pacemaker, on a machine that is back but held: facts.md N12 and N16 come from that.

    It resumes no guests, as is Nova's default: those would be the second ones that the operator started.
    """
    for name, node in world.site.nodes.items():
        compute = world.cloud.computes[name]
        if node.hold and compute.powered and not compute.running:
            world.faults.note("operator starts nova-compute past the hold")
            world.by_hand = name
            world.lived_by_hand.add(name)
            compute.lives_since = world.now
            world.cloud.rebuild.start_compute(name, resumes=False)
            world.by_hand = ""
            return


def _source_starts_before_the_conductor(world: World) -> None:
    """Past the hold, while a call from there waits in a slow conductor: its row is `completed` then (facts.md N51)."""
    world.cloud.odds.slow = 1.0

    def look(left: int) -> None:
        for row in world.cloud.rows:
            host = world.cloud.computes[row.source]
            if (
                row.call is None
                and world.cloud.row_alive(row)
                and world.site.nodes[row.source].hold
                and not host.running
            ):
                _power_on(world, row.source)
                _operator_starts_compute(world, world.rng)
                return
        if left and not world.calm:
            world.after(0.5, lambda: look(left - 1))

    look(120)


def _operator_orders(world: World, rng: random.Random) -> None:
    """About an incident; as the command line does, which needs a controller with quorum, and refuses to try again what
    would only come back with its host."""
    nodes = [n for n in world.site.nodes.values() if n.record]
    if not nodes or not any(world.site.quorum(c) and c not in world.site.cut_off for c in CONTROLLERS):
        return
    node = rng.choice(nodes)
    what = rng.choice(("skip", "skip", "retry", "retry", "retry all", "release", "approve"))
    incident = world.current.incidents.get(node.name) if world.current else None
    findings = incident.findings if incident else {}
    back = node.record and node.record.phase in (Phase.RETURNING, Phase.CLOSED) and not node.away
    if (what.startswith("retry") and back) or (what in ("skip", "retry") and not findings):
        return
    waiting = [ident for ident, f in findings.items() if f.verdict in (Verdict.HELD, Verdict.PARKED, Verdict.QUEUED)]
    server = rng.choice(waiting or sorted(findings)) if what in ("skip", "retry") else ""
    orders = node.standing_orders
    changed = {
        "skip": lambda: orders.skip(server),
        "retry": lambda: orders.retry(server, int(world.now)),
        "retry all": lambda: orders.retry("", int(world.now)),
        "release": lambda: replace(orders, released=True),
        "approve": lambda: replace(orders, approved=True),
    }[what]()
    if changed != orders:
        world.faults.note(f"operator orders {what}")
        world.site.give_orders(node.name, changed)


def _operator_refreshes(world: World, rng: random.Random) -> None:
    """``crm_resource --refresh`` of one remote, mostly of one with an incident."""
    hosts = [n.name for n in world.site.nodes.values() if n.record] or list(world.site.nodes)
    world.faults.note("operator refreshes a remote")
    world.site.forget(rng.choice(hosts), rng.uniform(0.2, 4.0))


def _operator_pauses(world: World, rng: random.Random) -> None:
    if not world.site.paused:
        world.faults.note("operator pauses muster")
        world.site.pause("alice")
        world.after(rng.uniform(1.0, 60.0), lambda: world.site.pause(""))


# ------------------------------------------------------------------ controllers


def _controller_dies(world: World, rng: random.Random) -> None:
    world.kill_controller(world.site.active or "ctl1", rng.uniform(20.0, 60.0))


def _controller_cut(world: World, rng: random.Random) -> None:
    world.cut_controller(world.site.active or "ctl1", rng.uniform(2.0, 25.0))


def _clock_steps(world: World, rng: random.Random) -> None:
    """The wall clock of one controller is set, and found to be wrong later; its worker may have begun by it meanwhile."""
    world.faults.note("controller's clock set")
    controller, before = rng.choice(CONTROLLERS), dict(world.clocks)
    world.clocks[controller] = before.get(controller, 0.0) + rng.choice((-3600.0, -40.0, -15.0, 15.0, 40.0, 3600.0))
    world.site.clocks_were_apart_s = max(world.site.clocks_were_apart_s, abs(world.clocks[controller]))
    world.say(f"the clock of {controller} is off by {world.clocks[controller]:.0f} s")
    world.after(rng.uniform(5.0, 60.0), lambda: world.clocks.update({controller: before.get(controller, 0.0)}))


def _quorum_lost(world: World, rng: random.Random) -> None:
    world.lose_quorum(rng.sample(CONTROLLERS, 2), rng.uniform(5.0, 60.0))


ODDS: dict[Misfortune, float] = {
    _fenced_again: 0.15,
    _conductor_stops: 0.15,
    _cell_blinks: 0.15,
    _cell_hangs: 0.02,
    _reads_fail: 0.1,
    _nova_falls_silent: 0.2,
    _policy_hides_hosts: 0.08,
    _no_room: 0.15,
    _hung_goes_on: 0.5,
    _owner_acts: 0.5,
    _operator_evacuates: 0.1,
    _operator_disables: 0.15,
    _operator_forces_down: 0.06,
    _operator_starts_compute: 0.06,
    _operator_orders: 0.3,
    _operator_pauses: 0.1,
    _controller_dies: 0.15,
    _controller_cut: 0.12,
    _quorum_lost: 0.08,
    _clock_steps: 0.15,
    lambda w, r: w.kill_worker(): 0.3,
    lambda w, r: w.pause_worker(r.uniform(0.5, 8.0)): 0.12,
    lambda w, r: w.twin(r.uniform(3.0, 30.0)): 0.08,
    lambda w, r: w.move_worker(): 0.15,
    lambda w, r: w.silence_cluster(r.uniform(2.0, 40.0)): 0.12,
    _row_cannot_be_read: 0.1,
}
