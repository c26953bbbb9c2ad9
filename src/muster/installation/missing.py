# SPDX-License-Identifier: Apache-2.0
"""What a cluster lacks to be as the README has it, as commands of ``pcs``: those of it, and no other.  Pure.

In words that pcs 0.11.5 takes; see :mod:`muster.installation.phrasing`.

Nothing that is there is changed beyond need: a level keeps its power devices, a device its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from muster.core.errors import SettingsError
from muster.core.unknown import Unknown
from muster.installation.fencing_topology import AGENT, Device, Level, doubt, vouch
from muster.installation.installed import STICKINESS, Installation, Resource, Rival

Argv = tuple[str, ...]

FENCE, WORKER = "muster-fence", "muster"
"""What is created is called so, unless something else is."""
OLD_CIB, NEW_CIB = "/root/before.xml", "/root/muster.xml"
"""Where only root may go: the CIB has the passwords of the fence devices."""


@dataclass(frozen=True)
class SetupStep:
    """One thing that is missing.

    :param why: for whoever reads the commands.
    :param commands: that add it, in this order; none if a person has to do something else first.
    """

    why: str
    commands: tuple[Argv, ...] = ()


@dataclass(frozen=True)
class Choices:
    """What a person has to say because nothing in the cluster does.

    :param nova_compute: the resource that runs nova-compute, if it cannot be recognised.
    :param power: by node, the device that cuts its power, where more than one could or none says so.
    """

    cloud: str = ""
    shared_storage: str = ""
    nova_compute: str = ""
    power: Mapping[str, str] = field(default_factory=dict)


def missing(here: Installation, choices: Choices) -> list[SetupStep]:
    """Every step from what is here to what is in the README, in the order in which they can be typed.

    Beside another tool that evacuates there is only one: a person ends that.  No step of ours is safe before.

    :raises SettingsError: when a choice that cannot be made for anybody is missing, or names what is not there.
    """
    if here.in_charge:
        told = "; muster prints the commands once that is gone"
        return [SetupStep(f"{words(rival)}: {MIGRATE}{told}") for rival in here.in_charge]
    faults = [*_faults(here, choices)]
    if faults:
        raise SettingsError(faults)
    steps = [*fence_device(here)]
    for level in levels(here, choices.power):
        if level not in steps:  # one level may stand for several nodes
            steps.append(level)
    return [*steps, *stop_timeouts(here), *hold_rules(here, choices.nova_compute), *worker(here, choices)]


MIGRATE = "never two at once; docs/migrate.md has the steps to muster, in order"


def words(rival: Rival) -> str:
    """What it is and does, and how it stands."""
    where = f", in the fencing levels of {', '.join(rival.levels)}" if rival.levels else ""
    return f"{rival.id} ({rival.agent}) {rival.does}{where}{' (disabled)' * rival.disabled}"


def ending(rival: Rival) -> tuple[Argv, ...]:
    """What takes it out of charge.  To stop a resource waits for what it has in work; pcs deletes a device from the
    levels, too."""
    if rival.fences:
        return (("pcs", "stonith", "delete", rival.id),)
    return ("pcs", "resource", "disable", rival.id), ("crm_resource", "--wait", "--timeout=660s")


def _faults(here: Installation, choices: Choices) -> Iterator[str]:
    if not here.workers and not choices.cloud:
        yield "--cloud NAME is missing: the cloud of /etc/muster/clouds.yaml whose hosts these are"
    if not here.workers and not choices.shared_storage:
        yield (
            "--shared-storage yes|no is missing: say whether every compute reaches the servers' disks. There is no"
            " default, because with a wrong yes servers come back empty"
        )
    if choices.nova_compute and choices.nova_compute not in here.ids:
        yield f"--nova-resource {choices.nova_compute}: there is no such resource"
    for node, device in choices.power.items():
        if node not in here.computes:
            yield f"--power {node}={device}: there is no compute {node}; there is {', '.join(here.computes) or 'none'}"
        elif device not in here.devices:
            known = ", ".join(d.id for d in here.devices.values() if d.cuts_power) or "none"
            yield f"--power {node}={device}: there is no fence device {device}; those that cut power: {known}"
        elif not here.devices[device].cuts_power:
            yield f"--power {node}={device}: {here.devices[device].weakness}"


# -------------------------------------------------------------------- fencing


NO_COMPUTE = (
    "no compute is known: computes are remote nodes (pcs cluster node add-remote), and members that muster's fence"
    f" device lists: pcs stonith create {FENCE} {AGENT} pcmk_host_check=static-list pcmk_host_list=HOSTS"
)


def fence_device(here: Installation) -> Iterator[SetupStep]:
    """The device that records, for every compute, by a static list."""
    mine = ours(here)
    if not here.computes:
        yield SetupStep(NO_COMPUTE)
    elif mine is None:
        static = ("pcmk_host_check=static-list", f"pcmk_host_list={' '.join(here.computes)}")
        create = ("pcs", "stonith", "create", _free(here, FENCE), AGENT, *static)
        yield SetupStep("the device that records a fencing", (create,))
    else:
        change = host_list(mine, here.computes)
        if change:
            yield SetupStep(f"list every compute in {mine.id}, as a static list", (change,))
        if mine.disabled:
            yield SetupStep(f"enable {mine.id}", (enable_device(mine.id),))


def ours(here: Installation) -> Optional[Device]:
    found = [device for device in here.devices.values() if device.agent == AGENT]
    return found[0] if found else None


def host_list(device: Device, nodes: Sequence[str]) -> Optional[Argv]:
    """The command that has a device fence these nodes, too, by a static list; None if it does."""
    lacking = [node for node in nodes if node.casefold() not in {host.casefold() for host in device.hosts}]
    if not lacking and device.host_check in ("static-list", ""):
        return None
    hosts = " ".join([*device.hosts, *lacking])
    return "pcs", "stonith", "update", device.id, "pcmk_host_check=static-list", f"pcmk_host_list={hosts}"


def enable_device(name: str) -> Argv:
    return "pcs", "stonith", "enable", name


def levels(here: Installation, power: Mapping[str, str]) -> Iterator[SetupStep]:
    for node in here.computes:
        yield from levels_of(here, node, power)


def levels_of(here: Installation, node: str, power: Mapping[str, str]) -> Iterator[SetupStep]:
    """In every fencing level of the node that has a power device, the recording device behind it."""
    mine = ours(here)
    name = mine.id if mine else _free(here, FENCE)
    recorders = _recorders(here)
    known = here.levels.get(node, ())
    wrong = [level for level in known if doubt_of_level(here, node, level)]
    for level in wrong:
        yield _mended(here, node, level, name, power)
    if wrong or any(recorders & set(level.devices) for level in known):
        return
    cutting = power_device(here, node, power)
    if isinstance(cutting, Unknown):
        yield SetupStep(cutting.why)
    else:
        index = max((level.index for level in known), default=0) + 1
        yield SetupStep(f"first power, then record, for {node}", (_add_level(index, node, (cutting.id, name)),))


def _mended(here: Installation, node: str, level: Level, name: str, power: Mapping[str, str]) -> SetupStep:
    """The level again, with the recording device behind its power devices."""
    before = tuple(d for d in level.devices if d in here.devices and d not in _recorders(here))
    if not _cuts_power(here, before):
        word = word_of(here, [here.devices[d] for d in before if not here.devices[d].disabled])
        if word:
            return SetupStep(word)
        if level.target != node:
            what = ",".join(level.devices)
            return SetupStep(
                f"level {level.index} of {level.target} is {what}: put a power device first; muster cannot tell which"
            )
        cutting = power_device(here, node, power)
        if isinstance(cutting, Unknown):
            return SetupStep(cutting.why)
        before = (cutting.id,)  # what is no power device may well fail once the power is cut
    remove = ("pcs", "stonith", "level", "remove", str(level.index), "target", level.target)
    why = f"first power, then record, in level {level.index} of {level.target}"
    return SetupStep(why, (remove, _add_level(level.index, level.target, (*before, name))))


def doubt_of_level(here: Installation, node: str, level: Level) -> bool:
    """Whether a fencing by this level would cut the power and leave no record, or the other way round, or fail."""
    names = {device.agent for device in map(here.devices.get, level.devices) if device}
    if AGENT in names:
        return doubt(node, [level], here.devices) is not None or bool(devices_gone(here, level))
    return _cuts_power(here, level.devices)


def devices_gone(here: Installation, level: Level) -> list[str]:
    """Pacemaker finds nobody to carry them out, and the level fails (fenced_remote.c, stonith_choose_peer).  One it has
    without the CIB (STONITH_WATCHDOG_ID)."""
    return [name for name in level.devices if name not in here.devices and name != "watchdog"]


def power_device(here: Installation, node: str, power: Mapping[str, str]) -> Device | Unknown:
    """What cuts the power of a node: as chosen, or the only device that lists it; else what a person has to do."""
    if node in power:
        return here.devices[power[node]]
    found = [d for d in here.devices.values() if d.cuts_power and not d.disabled and d.covers(node)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(device.id for device in found)
        return Unknown(f"{node}: {names} can fence it; choose: muster setup --power {node}={found[0].id}")
    word = word_of(here, [d for d in here.devices.values() if not d.disabled and d.covers(node)])
    if word:
        return Unknown(f"{node}: {word}")
    return Unknown(
        f"{node}: no power device has it in pcmk_host_list or pcmk_host_map: create one (IPMI, Redfish, PDU), or name"
        f" the one that cuts its power: muster setup --power {node}=DEVICE"
    )


def word_of(here: Installation, devices: Sequence[Device]) -> str:
    """That an operator may say that the agent of one of these devices cuts power; empty where that is not the case."""
    weak = next((device for device in devices if device.vouchable), None)
    if weak is None:
        return ""
    mine = ours(here)
    name = mine.id if mine else _free(here, FENCE)
    return f"{weak.weakness}: {vouch(name, [weak.id], here.devices)}it needs a power device (IPMI, Redfish, PDU)"


def _recorders(here: Installation) -> set[str]:
    return {device.id for device in here.devices.values() if device.agent == AGENT}


def _cuts_power(here: Installation, names: Sequence[str]) -> bool:
    return any(device.cuts_power for device in map(here.devices.get, names) if device)


def _add_level(index: int, target: str, devices: Sequence[str]) -> Argv:
    return "pcs", "stonith", "level", "add", str(index), target, *devices  # newer pcs takes no commas


# --------------------------------------------------------------- nova-compute


STOP_S = 200
"""Nova 33 (2026.1): on SIGTERM nova-compute sleeps 160 s (manager_shutdown_timeout), also with nothing to finish, and
ends after 180 s at the latest (nova/compute/manager.py, graceful_shutdown(); nova/conf/base.py).  34 waits only for
what it has in work."""


def stop_timeouts(here: Installation) -> Iterator[SetupStep]:
    """A stop that takes longer than Pacemaker allows is a failed one, and Pacemaker fences the host for it."""
    for name, seconds in here.stops.items():
        if seconds is not None and seconds < STOP_S:
            command = ("pcs", "resource", "update", name, "op", "stop", f"timeout={STOP_S}s")
            yield SetupStep(f"give {name} the time that nova-compute may need to stop", (command,))


def hold_rules(here: Installation, chosen: str = "") -> Iterator[SetupStep]:
    """nova-compute is kept away where muster-hold is set."""
    found = {chosen: here.nova_compute.get(chosen, False)} if chosen else here.nova_compute
    if not found:
        yield SetupStep(
            "no resource runs nova-compute. If one does, name it: --nova-resource ID. If systemd does, every compute"
            " needs the drop-in of the package muster-compute (muster-hold.conf) instead of a rule"
        )
    for name, held in found.items():
        if not held:
            rule = ("rule", "score=-INFINITY", "defined", "muster-hold")
            yield SetupStep(f"keep {name} stopped on a host whose evacuations are open", (_location(name, *rule),))


def worker(here: Installation, choices: Choices) -> Iterator[SetupStep]:
    """The resource on a controller, where it stays."""
    if not here.workers:
        name = _free(here, WORKER)
        made = (_create(name, choices), *off_computes(here, Resource(name)))
        yield SetupStep(
            "the worker and the rule that keeps it off computes, in one change: Pacemaker probes no compute then",
            _at_once(made),
        )
    for resource in here.workers:
        yield from _worker(here, resource)


def _worker(here: Installation, resource: Resource) -> Iterator[SetupStep]:
    away = off_computes(here, resource)
    if away:
        yield SetupStep(f"keep {resource.id} off computes", away)
    if resource.asking:
        yield SetupStep(f"let Pacemaker start {resource.id} while a compute is off", ask_no_remote(resource))
    if not resource.sticks:
        yield SetupStep(f"keep {resource.id} on its controller", (stick(resource.id),))
    if not resource.monitored:
        yield SetupStep(f"let Pacemaker notice a worker of {resource.id} that hangs", (monitor(resource.id),))
    if resource.disabled:
        yield SetupStep(f"start {resource.id}", (_enable(resource.id),))


def _create(name: str, choices: Choices) -> Argv:
    given = (f"cloud={choices.cloud}", f"shared_storage={choices.shared_storage}")
    meta = ("meta", f"{STICKINESS}=1000")
    return "pcs", "resource", "create", name, "ocf:muster:ComputeRecovery", *given, *meta


def _at_once(made: Sequence[Argv]) -> tuple[Argv, ...]:
    """In one change of the CIB: Pacemaker probes a new resource on every node that no rule keeps it from, and fences
    one where the probe fails and the stop that follows does, too."""
    in_file = [("pcs", "-f", NEW_CIB, *argv[1:]) for argv in made]
    push = ("pcs", "cluster", "cib-push", NEW_CIB, f"diff-against={OLD_CIB}")
    return ("pcs", "cluster", "cib", OLD_CIB), ("cp", OLD_CIB, NEW_CIB), *in_file, push, ("rm", OLD_CIB, NEW_CIB)


def stick(name: str) -> Argv:
    return "pcs", "resource", "meta", name, f"{STICKINESS}=1000"


def monitor(name: str) -> Argv:
    # Not "op add": that is refused where there is a monitor that does not recur, or is disabled.
    return "pcs", "resource", "update", name, "op", "monitor", "interval=10s", "timeout=20s", "enabled=true"


def off_computes(here: Installation, resource: Resource) -> tuple[Argv, ...]:
    """What keeps the worker away from the computes that it may still be started on: remotes by kind, others by name."""
    lacking = [node for node in here.computes if node not in resource.avoids]
    members = [node for node in lacking if node not in here.remotes]
    rule = (_off_remotes(resource.id),) if len(lacking) > len(members) and not resource.off_remotes else ()
    return (*rule, *((_location(resource.id, "avoids", *members),) if members else ()))


def ask_no_remote(resource: Resource) -> tuple[Argv, ...]:
    """The rule anew, with what it lacks."""
    return (*(("pcs", "constraint", "delete", name) for name in resource.asking), _off_remotes(resource.id))


def _off_remotes(name: str) -> Argv:
    # With a probe there Pacemaker starts the worker only once it has reached, or given up, a remote that is off.
    return _location(name, "rule", "resource-discovery=never", "score=-INFINITY", "#kind", "eq", "remote")


def _enable(name: str) -> Argv:
    return "pcs", "resource", "enable", name


def _location(name: str, *rule: str) -> Argv:
    return "pcs", "constraint", "location", name, *rule


def _free(here: Installation, name: str) -> str:
    """The name, or with a number if something else has it."""
    taken = here.ids
    return next(n for n in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
