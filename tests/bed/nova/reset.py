# SPDX-License-Identifier: Apache-2.0
"""Back to an empty, healthy cloud, much faster than a new bed: servers are wiped from the databases, not deleted."""

import os

from nova import context, objects
from nova.compute import api as compute_api
from oslo_messaging._drivers import impl_fake

from tests.bed.nova import clone, cloud_ops, conf, driver, losses, state
from tests.bed.nova.operations import operation

WIPED = {
    "cell1": (
        *(table for table, _ in clone.TABLES["cell1"]),
        "instance_actions_events",
        "instance_faults",
        "migrations",
    ),
    "cell0": (*(table for table, _ in clone.TABLES["cell1"]), "instance_actions_events", "instance_faults"),
    "api": (*(table for table, _ in clone.TABLES["api"]), "build_requests"),
    "placement": tuple(table for table, _ in clone.TABLES["placement"]),
}
HEALTHY = "update services set forced_down=0, disabled=0, disabled_reason=null where deleted=0"


@operation
def reset(bed):
    """No servers, no migrations, all hosts up, no faults, passwords and microversions as at the start, clean logs."""
    for host in list(bed.computes):
        bed.kill_compute(host)
    _forget_messages()
    _heal_apis(bed)
    _wipe(bed)
    _remove_aggregates()
    for host in bed.hosts:
        machine = driver.get(host)
        machine.powered = True
        machine.reset_settings()
        machine.instances.clear()
        machine.resources = None
        machine.events.clear()
        bed.start_compute(host)
    bed.oracle.clear()
    bed.requests.clear()
    bed.log_begins = os.path.getsize(bed.settings.log_file)


def _forget_messages():
    # What was queued for a dead nova-compute would be carried out by the next one.
    for exchange in impl_fake.FakeExchangeManager._exchanges.values():
        with exchange._queues_lock:
            for queue in [*exchange._server_queues.values(), *exchange._topic_queues.values()]:
                queue.clear()


def _heal_apis(bed):
    bed.rules.clear()
    losses.LOST.clear()
    for listener in bed.http.values():
        listener.open()
    for user, (password, _) in conf.USERS.items():
        bed.identity.change_password(user, password)
    bed.identity.ttl = bed.options.token_ttl
    bed.identity.others = {}
    bed.identity.regions = ["RegionOne"]
    cloud_ops.max_microversion(bed, bed.options.max_microversion)
    for name, group in bed.overrides:
        bed.settings.clear_override(name, group)
    bed.overrides.clear()
    bed.cells.silent = set()
    bed.heartbeats.thaw(bed.hosts)
    bed.heartbeats.down_time_s = bed.options.service_down_time
    bed.start_conductor()
    bed.start_scheduler()


def _wipe(bed):
    for name, tables in WIPED.items():
        with state.change(bed.dir, name) as db:
            for table in tables:
                db.execute(f"delete from {table}")
            hosts = (*bed.hosts, "controller")
            foreign = f"host not in ({','.join('?' * len(hosts))})"
            if name == "cell1":
                db.execute(HEALTHY)
                db.execute(f"delete from services where {foreign}", hosts)
            elif name == "api":
                db.execute(f"delete from host_mappings where {foreign}", hosts)


def _remove_aggregates():
    admin, api = context.get_admin_context(), compute_api.AggregateAPI()
    for aggregate in objects.AggregateList.get_all(admin):
        for host in list(aggregate.hosts):
            api.remove_host_from_aggregate(admin, aggregate.id, host)
        api.delete_aggregate(admin, aggregate.id)
