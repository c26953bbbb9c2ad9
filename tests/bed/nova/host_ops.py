# SPDX-License-Identifier: Apache-2.0
"""Control operations on machines and on Nova's services: power, crashes, heartbeats, and what the hypervisors do."""

import threading
import time

from nova import context, objects
from oslo_messaging._drivers import impl_fake

from tests.bed.nova import driver
from tests.bed.nova.operations import operation


def _known(bed, host):
    if host not in bed.hosts:
        raise ValueError(f"no host {host}: {', '.join(bed.hosts)}")
    return driver.get(host)


@operation
def kill_compute(bed, host):
    """nova-compute dies; the machine and its guests go on."""
    _known(bed, host)
    bed.kill_compute(host)


@operation
def start_compute(bed, host):
    """Start nova-compute; returns the seconds it took, the clean-up after evacuations included."""
    _known(bed, host)
    begin = time.monotonic()
    bed.start_compute(host)
    return round(time.monotonic() - begin, 3)


@operation
def terminate_compute(bed, host):
    """nova-compute is told to stop (SIGTERM) in the middle of a task; until ``end_task`` it waits for that.

    Returns whether this release waits: 34 for what it has in work, 33 for a time, older ones for nothing.
    """
    _known(bed, host)
    service = bed.computes[host]
    manager = service.manager
    manager.cleanup_host = lambda: None  # it shuts down the executors, which are those of the whole process
    if hasattr(manager, "_record_task_start"):
        config(bed, "manager_shutdown_timeout", 160)  # Nova's default
        task = manager._record_task_start("build_and_run_instance")
        manager.bed_end = lambda: manager._record_task_end(task)
    elif hasattr(manager, "graceful_shutdown"):
        slept = threading.Event()
        manager.graceful_shutdown = slept.wait  # it sleeps manager_shutdown_timeout
        manager.bed_end = slept.set
    else:
        return False
    threading.Thread(target=service.stop, daemon=True).start()
    return True


@operation
def end_task(bed, host):
    """The task is over, and with it the nova-compute that was told to stop."""
    service = bed.computes[host]
    service.manager.bed_end()
    service.tg.wait()
    bed.kill_compute(host)


@operation
def power_off(bed, host):
    """The machine loses its power: nova-compute and every guest are gone."""
    machine = _known(bed, host)
    if host in bed.computes:
        bed.kill_compute(host)
    machine.power_off()


@operation
def power_on(bed, host, start=True, guests=False):
    """The power returns; ``start``: and nova-compute; ``guests``: and the guests, by themselves."""
    _known(bed, host).power_on(guests)
    return start_compute(bed, host) if start else None


@operation
def remove_guest(bed, host, uuid):
    """An operator destroys and undefines a guest that Nova does not know to be there."""
    machine = _known(bed, host)
    machine.instances.pop(uuid)
    machine.note("removed by hand", uuid)


@operation
def purge_queue(bed, host):
    """What waits for the nova-compute of a host is dropped, as ``rabbitmqctl purge_queue compute.HOST`` does."""
    _known(bed, host)
    for exchange in impl_fake.FakeExchangeManager._exchanges.values():
        with exchange._queues_lock:
            for (_, server), queue in exchange._server_queues.items():
                if server == host:
                    queue.clear()


@operation
def hypervisor(bed, host, release=False, **settings):
    """Change settings of a hypervisor (see driver.Hypervisor); ``release``: what hangs goes on."""
    machine = _known(bed, host)
    for name, value in settings.items():
        if name not in machine.SETTINGS:
            raise ValueError(f"{name}: not one of {machine.SETTINGS}")
        setattr(machine, name, value)
    if release:
        machine.release_all()
    return machine.dump()


@operation
def resize(bed, host, vcpus, memory_mb, local_gb):
    """The machine has so much from now on, until the next reset; Nova and placement know at once."""
    _known(bed, host)
    manager = bed.computes[host].manager
    for found in (manager.driver, manager.driver.resources):
        found.vcpus, found.memory_mb, found.local_gb = vcpus, memory_mb, local_gb
    manager.update_available_resource(context.get_admin_context())


@operation
def events(bed, host):
    """What the hypervisor did, in order."""
    return _known(bed, host).events


@operation
def conductor(bed, up):
    """Without a conductor no nova-compute reports either: all look down together."""
    if up:
        bed.start_conductor()
    else:
        bed.kill_conductor()


@operation
def scheduler(bed, up):
    if up:
        bed.start_scheduler()
    else:
        bed.kill_scheduler()


@operation
def freeze_heartbeats(bed, on=True, host=None):
    """Services live but do not report: of one host, or of all compute hosts."""
    hosts = [host] if host else bed.hosts
    for name in hosts:
        _known(bed, name)
    if on:
        bed.heartbeats.freeze(hosts)
    else:
        bed.heartbeats.thaw(hosts)


@operation
def add_service(bed, host, binary="nova-compute"):
    """One more row in the list of services, of a host that is none of the bed's; gone at the next reset."""
    admin = context.get_admin_context()
    service = objects.Service(admin, host=host, binary=binary, topic=binary.replace("nova-", ""), report_count=1)
    service.create()
    if binary == "nova-compute":
        objects.HostMapping(admin, host=host, cell_mapping=bed.cell1).create()
    return service.uuid


@operation
def silent_cell(bed, on=True):
    """The database of cell1 does not answer the API's questions: lists leave out what it has, services are UNKNOWN from
    2.69 on and left out below, a request for one server fails with 500.  Nova's other services still reach it."""
    bed.cells.silent = {bed.cell1.uuid} if on else set()


@operation
def config(bed, name, value, group=None):
    """Override a setting of nova.conf while Nova runs, until the next reset; service_down_time may be a fraction."""
    if name == "service_down_time":
        bed.heartbeats.down_time_s = value
    else:
        bed.settings.set_override(name, value, group)
        bed.overrides.add((name, group))


@operation
def periodic(bed, host, task="update_available_resource"):
    """Run one periodic task of a nova-compute now."""
    getattr(bed.computes[host].manager, task)(context.get_admin_context())
