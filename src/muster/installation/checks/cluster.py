# SPDX-License-Identifier: Apache-2.0
"""The cluster's options, its fencing, and what keeps nova-compute away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muster.core.printable import counted
from muster.installation import missing
from muster.installation.checks.examination import (
    CheckResult,
    Examination,
    Result,
    attention,
    by,
    ok,
    set_option,
    trouble,
    unknown,
    unset_option,
)
from muster.installation.fencing_topology import AGENT, Device, doubt, watchdog_fences
from muster.installation.installed import Installation
from muster.installation.missing import SetupStep

OFF = ("false", "no", "off", "0", "n")


def quorum(facts: Examination) -> Iterator[CheckResult]:
    if facts.here.quorum:
        yield ok("this controller has quorum")
    else:
        what = "this controller has no quorum: what it shows of the cluster may be out of date"
        yield trouble(what, "", ("pcs", "quorum", "status"))


def fencing_is_on(facts: Examination) -> Iterator[CheckResult]:
    """Since 3.0.2 Pacemaker reads the new name and, without it, the old one; before, the old one only
    (lib/common/options.c, cluster_option_value())."""
    options, version = facts.here.options, facts.here.pacemaker
    new, old = "fencing-enabled", "stonith-enabled"
    off = [name for name in (new, old) if (options.get(name) or "true").lower() in OFF]
    read = [new, old] if not version else [new] if version >= (3, 0, 2) and options.get(new) else [old]
    # Without either it is on; what a Pacemaker does not know pcs refuses to set.
    mend = [unset_option(name) for name in off]
    if set(off) & set(read):
        yield trouble(f"{off[0]} is off: nothing proves that a host is off", "", *mend)
    elif off:
        yield attention(f"{off[0]} is off: this Pacemaker does not read it, another version would", "", *mend)
    elif facts.here.options_unclear:
        yield unknown(f"{facts.here.options_unclear}: muster cannot tell from here", "", ("pcs", "property", "config"))
    else:
        yield ok("on")


def quorum_policy(facts: Examination) -> Iterator[CheckResult]:
    policy = facts.here.options.get("no-quorum-policy") or "stop"
    # demote stops what cannot be promoted (pcmk_sched_actions.c, effective_quorum_policy()); case counts for nobody.
    if policy.lower() in ("stop", "suicide", "fence", "demote"):
        yield ok(policy)
    else:
        what = f"no-quorum-policy is {policy}: a controller that is cut off from the others could act on its own"
        yield trouble(what, "", set_option("no-quorum-policy", "stop"))


def maintenance(facts: Examination) -> Iterator[CheckResult]:
    if (facts.here.options.get("maintenance-mode") or "false").lower() in OFF:
        yield ok("no")
    else:
        what = "the whole cluster is in maintenance: Pacemaker starts nothing and watches nothing"
        yield attention(what, "after the maintenance", set_option("maintenance-mode", "false"))


def concurrent_fencing(facts: Examination) -> Iterator[CheckResult]:
    """On without being set, and deprecated, since Pacemaker 3.0.0 (configure.ac; lib/common/options.c)."""
    option = "concurrent-fencing"
    given = (facts.here.options.get(option) or "").lower()
    by_default = facts.here.pacemaker >= (3,)
    advice = "with it on, a power device that hangs cannot delay other fencings"
    if (given and given not in OFF) or (by_default and not given):
        yield ok("on")
    elif by_default:
        yield ok("off", advice, unset_option(option))
    else:
        yield ok("off" if given else "by Pacemaker's default", advice, set_option(option, "true"))


# --------------------------------------------------------------------- other tools


RIVAL_FIRST = "first end the other tool that evacuates: see other evacuators"


def rivals(facts: Examination) -> Iterator[CheckResult]:
    """Nova takes a second evacuation while the first one runs: two guests would write to one disk."""
    for rival in facts.here.rivals:
        what = missing.words(rival)
        if not rival.in_charge:
            delete = ("pcs", "stonith" if rival.fences else "resource", "delete", rival.id)
            yield attention(what, "once you are sure not to go back, here and in the deployment of the cloud", delete)
        elif any(worker.active_on for worker in facts.here.workers):
            danger = "one server may come up on two hosts, now"
            yield trouble(f"{what}, beside muster", f"{danger}: {missing.MIGRATE}", *missing.ending(rival))
        else:
            yield trouble(f"{what}, and muster does not", missing.MIGRATE)
    others = (*facts.nova.evacuators, *facts.controller.evacuators)
    for what in others:
        yield attention(what, f"make sure that it evacuates none of these hosts: {missing.MIGRATE}")
    if not facts.here.rivals and not others:
        elsewhere = "" if facts.nova.trouble else ", Keystone's catalogue and Nova's services"
        yield ok(f"none in this cluster's configuration{elsewhere}")


def _unless_rivals(here: Installation, steps: Iterable[SetupStep]) -> list[SetupStep]:
    return [SetupStep(RIVAL_FIRST)] if here.in_charge else list(steps)


# ------------------------------------------------------------------------ fencing


def levels(facts: Examination) -> Iterator[CheckResult]:
    here = facts.here
    sound = 0
    for node in here.computes:
        mine = here.levels.get(node, ())
        found = doubt(node, mine, here.devices)
        unrecorded = [level for level in mine if missing.doubt_of_level(here, node, level)]
        gone = [name for level in unrecorded for name in missing.devices_gone(here, level)]
        steps = _unless_rivals(here, missing.levels_of(here, node, {}))
        if found:
            yield by(Result.TROUBLE, found.what, steps)
        elif gone:
            what = f"a fencing level of {node} names {', '.join(gone)}, which is not there, so the level fails"
            yield by(Result.TROUBLE, what, steps)
        elif unrecorded:
            which = ", ".join(str(level.index) for level in unrecorded)
            yield by(Result.ATTENTION, f"level {which} of {node} cuts its power and records nothing", steps)
        else:
            sound += 1
    if not here.computes:
        what, _, remedy = missing.NO_COMPUTE.partition(": ")
        yield trouble(what, remedy)
    elif sound == len(here.computes):
        yield ok(f"{counted(sound, 'compute')}: a power device before {AGENT} in every level")


def fence_devices(facts: Examination) -> Iterator[CheckResult]:
    """README, misconfiguration 6; and a device in a level that does not list the level's node cannot fence it."""
    here = facts.here
    mine = missing.ours(here)
    if mine is None:
        steps = _unless_rivals(here, missing.fence_device(here))
        yield by(Result.TROUBLE, f"there is no fence device of the agent {AGENT}", steps)
    concerned = [d for d in here.devices.values() if d.agent == AGENT or d.cuts_power]
    findings = [finding for device in concerned for finding in _of_device(here, device)]
    yield from findings
    if mine and not findings:
        yield ok(f"{counted(len(concerned), 'device')}: every device has a static host list")


def _of_device(here: Installation, device: Device) -> Iterator[CheckResult]:
    used_for = [n for n, its in here.levels.items() if any(device.id in level.devices for level in its)]
    wanted = here.computes if device.agent == AGENT else tuple(used_for)
    lacking = [node for node in wanted if device.covers(node) is False]
    command = missing.host_list(device, wanted)
    mend = (command,) if command else ()
    if device.disabled:
        yield trouble(f"{device.id} is disabled", "", missing.enable_device(device.id))
    if lacking:
        yield trouble(f"{device.id} does not list {', '.join(lacking)}, so it cannot fence it", "", *mend)
    elif device.agent == AGENT and device.host_check not in ("static-list", ""):
        danger = "Pacemaker may accept this device alone as the fencing of any node"
        what = f"{device.id} has pcmk_host_check={device.host_check}: {danger}"
        yield trouble(what, "", *mend)
    elif device.asked and device.agent == AGENT:
        yield attention(SLOW.format(device.id), "", *mend)
    elif device.asked:
        # Whom else it fences, a controller maybe, no level says.
        asking = ("stonith_admin", "--list-targets", device.id)
        static = ("pcmk_host_check=static-list", "pcmk_host_list=HOSTS")
        remedy = "replace HOSTS by the hosts that the first command lists"
        yield attention(SLOW.format(device.id), remedy, asking, ("pcs", "stonith", "update", device.id, *static))


SLOW = "Pacemaker must ask {} which hosts it can fence; one late answer delays a fencing by minutes"


def controllers(facts: Examination) -> Iterator[CheckResult]:
    here = facts.here
    power = [device for device in here.devices.values() if device.cuts_power and not device.disabled]
    bare = [node for node in here.controllers if not any(device.covers(node) for device in power)]
    asked = [device.id for device in power if device.asked]
    others = [device for device in here.devices.values() if not device.disabled and any(map(device.covers, bare))]
    word = missing.word_of(here, others)
    if not bare:
        yield ok(f"{counted(len(here.controllers), 'controller')}: a power device for each")
    elif watchdog_fences(here.options):
        yield ok(f"{', '.join(bare)}: by the watchdog (sbd)")
    elif asked:
        what = f"{', '.join(bare)}: only {' and '.join(asked)} can tell whether Pacemaker could fence them"
        yield unknown(what, "to ask", *(("stonith_admin", "--list", node) for node in bare))
    elif word:
        yield attention(f"{', '.join(bare)}: only a device that may not cut power lists them", word)
    else:
        what = (
            f"{', '.join(bare)}: no power device lists them; if a controller hangs, nobody can take over what it runs"
        )
        yield trouble(what, "add them to the pcmk_host_list of a power device: pcs stonith update, or create")


def hold(facts: Examination) -> Iterator[CheckResult]:
    here = facts.here
    bare = [name for name, held in here.nova_compute.items() if not held]
    if not here.nova_compute:
        yield unknown(
            "no resource of Pacemaker runs nova-compute: muster cannot see from here what keeps it stopped",
            "if systemd runs it, every compute needs the package muster-compute with its drop-in muster-hold.conf. If a"
            " resource of another name runs it: muster setup --nova-resource ID",
        )
    for name in bare:
        what = f"{name}: nothing keeps it stopped on a host whose evacuations are open; it would destroy guests there"
        yield by(Result.TROUBLE, what, [s for s in missing.hold_rules(here) if name in s.commands[0]])
    if here.nova_compute and not bare:
        yield ok(f"{', '.join(here.nova_compute)}: stopped where muster-hold is set")


def stop_timeout(facts: Examination) -> Iterator[CheckResult]:
    """The hold stops nova-compute on a host that lives, if one has it; so do standby and every restart."""
    stops = facts.here.stops
    for name, seconds in stops.items():
        if seconds is None:
            yield unknown(f"the stop time-out of {name} cannot be read", "", ("pcs", "resource", "config", name))
        elif seconds < missing.STOP_S:
            yield attention(
                f"{name}: Pacemaker fences the host if a stop takes more than {seconds:.0f} s; nova-compute of 2026.1"
                " takes up to 180 s",
                "",
                *(
                    command
                    for step in missing.stop_timeouts(facts.here)
                    for command in step.commands
                    if name in command
                ),
            )
    if not stops:
        yield unknown("no resource of Pacemaker is known to run nova-compute")
    elif all(seconds is not None and seconds >= missing.STOP_S for seconds in stops.values()):
        yield ok(f"{', '.join(stops)}: {missing.STOP_S} s or more")
