# SPDX-License-Identifier: Apache-2.0
"""The resource, its parameters, and what of muster is installed on this controller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from muster.core.printable import counted
from muster.installation import missing
from muster.installation.checks.cluster import RIVAL_FIRST
from muster.installation.checks.examination import (
    CheckResult,
    Examination,
    attention,
    ok,
    trouble,
    unknown,
    update_resource,
)
from muster.installation.installed import CANNOT_START, Resource
from muster.installation.missing import Argv

IS_PAUSED = "is paused by"


def runs(facts: Examination) -> Iterator[CheckResult]:
    workers = facts.here.workers
    if not workers:
        remedy = "to see how to create one: muster setup --cloud NAME --shared-storage yes|no"
        yield trouble("no resource of the agent ocf:muster:ComputeRecovery: nobody evacuates a host", remedy)
    elif len(workers) > 1:
        names = ", ".join(worker.id for worker in workers)
        remedy = "keep one; for each other one: pcs resource delete ID"
        yield trouble(f"{names}: more than one worker on the same hosts", remedy)
    for worker in workers:
        yield from _of_worker(facts, worker)


def _of_worker(facts: Examination, worker: Resource) -> Iterator[CheckResult]:
    name = worker.id
    failures = "; ".join(f"on {node}: {reason}" for node, reason in sorted(worker.failures.items()))
    if worker.disabled and facts.here.in_charge:
        yield trouble(f"{name} is disabled: muster does not evacuate", RIVAL_FIRST)
    elif worker.disabled:
        yield trouble(f"{name} is disabled: muster evacuates no host", "", ("pcs", "resource", "enable", name))
    elif worker.sought:
        what = f"Pacemaker is finding out whether {name} runs on {' and '.join(worker.unasked)}"
        yield unknown(what, "look again in some seconds. If that stays, see why", ("pcs", "status", "--full"))
    elif worker.unmanaged:
        say = attention if worker.active_on else trouble
        yield say(f"{name} is unmanaged: Pacemaker does not start it", "", ("pcs", "resource", "manage", name))
    elif len(worker.active_on) > 1:
        what = f"{name} runs on {' and '.join(worker.active_on)} at once, so muster changes nothing"
        yield trouble(what, "see why", ("pcs", "status", "--full"))
    elif not worker.active_on:
        why = f" ({failures})" if failures else ""
        remedy = "repair that, then" if failures else "see why"
        command = ("pcs", "resource", "cleanup", name) if failures else ("pcs", "resource", "debug-start", name)
        yield trouble(f"{name} runs on no controller{why}", remedy, command)
    elif failures:
        what = f"{name} runs on {worker.active_on[0]} and has failed ({failures})"
        yield attention(what, "repair that, then", ("pcs", "resource", "cleanup", name))
    elif not worker.paused:
        yield ok(f"{name} runs on {worker.active_on[0]}")
    if worker.paused:
        yield attention(f"{name} {IS_PAUSED} {worker.paused}: muster changes nothing", "", ("muster", "resume"))


def place(facts: Examination) -> Iterator[CheckResult]:
    """What of the README's rules and options the resource lacks."""
    workers = facts.here.workers
    for worker in workers:
        away = missing.off_computes(facts.here, worker)
        if away:
            yield trouble(f"{worker.id} may be started on a compute, where it dies with the host", "", *away)
        if worker.asking:
            what = f"after a stop Pacemaker cannot restart {worker.id} while a compute is off"
            yield attention(f"{what}; add to its rule: resource-discovery=never", "", *missing.ask_no_remote(worker))
        if not worker.sticks:
            what = f"{worker.id} has no stickiness: Pacemaker may move it during an incident"
            yield attention(what, "", missing.stick(worker.id))
        if not worker.monitored:
            what = f"{worker.id} has no recurring monitor: a worker that hangs is never replaced"
            yield trouble(what, "", missing.monitor(worker.id))
        banned = [node for node in facts.here.controllers if node in worker.avoids]
        left = [node for node in facts.here.controllers if node not in worker.avoids]
        if banned:
            say = attention if len(left) > 1 else trouble
            what = f"a constraint keeps {worker.id} off {' and '.join(banned)}"
            yield say(f"{what}: {_who_is_left(left)}", CLEAR, *(_clear(worker.id, node) for node in banned))
        if not away and not banned and not worker.asking and worker.sticks and worker.monitored:
            yield ok(f"{worker.id} stays on its controller, off computes, and is monitored")
    if not workers:
        yield unknown("there is no resource")


CLEAR = "this ends a ban or a move; a constraint of another kind: pcs constraint location config"


def _clear(name: str, node: str) -> Argv:
    return "crm_resource", "--clear", "--resource", name, "--node", node


def _who_is_left(controllers: Sequence[str]) -> str:
    if len(controllers) > 1:
        return f"it may run on {' and '.join(controllers)}"
    return f"nobody takes over if {controllers[0]} fails" if controllers else "it can run nowhere"


def parameters(facts: Examination) -> Iterator[CheckResult]:
    if facts.worker is None:
        yield unknown("there is no resource, or more than one: muster reads no parameters")
        return
    name = facts.worker.id
    for fault in facts.settings_faults:
        parameter = fault.partition("=")[0].partition(":")[0]
        yield trouble(fault, "replace VALUE by the right value", update_resource(name, f"{parameter}=VALUE"))
    for fault in facts.comfort_faults:
        what, _, remedy = fault.rpartition(": ")
        yield attention(f"{what}; the worker does without", remedy)
    if not facts.settings_faults and not facts.comfort_faults:
        yield ok("valid")


def shared_storage(facts: Examination) -> Iterator[CheckResult]:
    if facts.shared_storage is None:
        yield unknown("muster cannot read the parameters")
    elif facts.shared_storage:
        yield ok(
            "yes",
            "muster cannot check this. If the disks are local, servers come back empty. Make sure that"
            " /var/lib/nova/instances is one file system on all computes, or that images_type is rbd",
        )
    else:
        yield ok("no", "muster holds servers that boot from an image, and evacuates those that boot from a volume")


# ---------------------------------------------------------------- this controller


def agents(facts: Examination) -> Iterator[CheckResult]:
    """On the other controllers it is Pacemaker's last word: what its probe found, or an installation told it since."""
    me = facts.controller
    faults = 0
    for path, agent in me.agents.items():
        if agent.fault:
            faults += 1
            yield trouble(f"{path}: {agent.fault}", "install muster's agents on every controller")
        elif agent.version and agent.version != me.version:
            faults += 1
            yield trouble(
                f"{path} is of version {agent.version}, this command of {me.version}", "install one version everywhere"
            )
    if me.worker_version not in ("", me.version):
        faults += 1
        where = facts.worker.active_on[0] if facts.worker and facts.worker.active_on else "its controller"
        what = f"the worker on {where} is of version {me.worker_version}, this controller has {me.version}"
        remedy = "install one version everywhere, then restart (safe during an incident)"
        yield attention(what, remedy, ("pcs", "resource", "restart", facts.worker.id if facts.worker else "muster"))
    others = _other_controllers(facts)
    for node in others:
        seen = facts.here.versions.get(node)
        name = facts.worker.id if facts.worker else "muster"
        look_again = ("crm_resource", "--refresh", "--resource", name, "--node", node)
        if seen is None:
            faults += 1
            what = f"version on {node} not known: it is away, or Pacemaker has not found the agent there yet"
            yield unknown(what, f"on {node}: muster doctor. Then let Pacemaker look again", look_again)
        elif seen != me.version:
            faults += 1
            what = f"{node} has version {seen}, this controller {me.version}"
            remedy = "install one version on every controller. Without the packages, then let Pacemaker look again"
            yield attention(what, remedy, look_again)
    if not faults:
        yield ok(f"{me.version} on {counted(len(others) + 1, 'controller')}")


def _other_controllers(facts: Examination) -> list[str]:
    return [node for node in facts.here.controllers if node != facts.controller.name]


def others(facts: Examination) -> Iterator[CheckResult]:
    """What only the other controllers can see of themselves; Pacemaker's last word, as for :func:`agents`."""
    # A compute that Pacemaker has probed for the worker need not have what that needs.
    lacks = {node: facts.here.lacks[node] for node in _other_controllers(facts) if node in facts.here.lacks}
    name = facts.worker.id if facts.worker else "muster"
    for node, what in lacks.items():
        say = trouble if what.startswith(CANNOT_START) else attention
        look_again = ("crm_resource", "--refresh", "--resource", name, "--node", node)
        yield say(f"on {node} the worker {what}", f"repair that on {node}, then let Pacemaker look again", look_again)
    if not lacks:
        yield ok("nothing that they have told is missing")


def credentials(facts: Examination) -> Iterator[CheckResult]:
    faults = facts.controller.credentials
    if faults is None:
        yield unknown("the parameters do not say which file it is")
    elif faults and not facts.controller.root:
        yield unknown("only root may look at it", "run this as root")
    elif faults:
        for fault in faults:
            what, _, remedy = fault.rpartition(": ")
            yield trouble(what, remedy)
    else:
        yield ok(f"{facts.clouds_file}: for root only")
