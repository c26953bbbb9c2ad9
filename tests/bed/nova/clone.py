# SPDX-License-Identifier: Apache-2.0
"""Hundreds of servers in a second: the rows of a booted one, and its guest on the hypervisor, multiplied.

Nova itself would take minutes to build them.  Each is a minute older than the one before, so that a list of what has
changed since the newest one is short, as in a cloud that has grown.  Not for servers with ports or volumes.
"""

import datetime
import uuid as uuidlib

from nova.virt import fake

from tests.bed.nova import driver, state
from tests.bed.nova.operations import operation

# Tables that speak of one server: database -> (table, column with its UUID)
TABLES = {
    "cell1": (
        ("instances", "uuid"),
        ("instance_extra", "instance_uuid"),
        ("instance_info_caches", "instance_uuid"),
        ("instance_system_metadata", "instance_uuid"),
        ("instance_metadata", "instance_uuid"),
        ("block_device_mapping", "instance_uuid"),
        ("instance_actions", "instance_uuid"),
    ),
    "api": (("instance_mappings", "instance_uuid"), ("request_specs", "instance_uuid")),
    "placement": (("consumers", "uuid"), ("allocations", "consumer_id")),
}
AGES = ("created_at", "launched_at", "updated_at")


@operation
def clone(bed, uuid, count, prefix="clone", projects=1):
    """``count`` more servers like this one; returns their UUIDs.  ``projects`` > 1 spreads them over so many."""
    new = [str(uuidlib.uuid4()) for _ in range(count)]
    owners = [uuidlib.uuid5(uuidlib.NAMESPACE_DNS, f"project-{n}").hex for n in range(projects)]
    for name, tables in TABLES.items():
        with state.change(bed.dir, name) as db:
            for table, column in tables:
                _multiply(db, table, column, uuid, new, prefix, owners if projects > 1 else None)
    _multiply_guest(bed, uuid, new)
    return new


def _multiply(db, table, column, uuid, new, prefix, owners):
    columns = [row[1] for row in db.execute(f"pragma table_info({table})") if row[1] != "id"]
    names = ",".join(f'"{c}"' for c in columns)
    originals = db.execute(f"select {names} from {table} where {column}=?", (uuid,)).fetchall()
    copies = []
    for number, copy in enumerate(new):
        for original in originals:
            record = {c: v.replace(uuid, copy) if isinstance(v, str) else v for c, v in zip(columns, original)}
            if table == "instances":
                record["display_name"] = record["hostname"] = f"{prefix}-{number + 1}"
                record |= {c: _earlier(record[c], number + 1) for c in AGES if record[c]}
            elif table == "block_device_mapping":
                record["uuid"] = str(uuidlib.uuid4())
            if owners and "project_id" in record and table != "consumers":
                record["project_id"] = owners[number % len(owners)]
            copies.append(tuple(record.values()))
    marks = ",".join("?" * len(columns))
    db.executemany(f"insert into {table} ({names}) values ({marks})", copies)


def _earlier(at, minutes):
    # With its microseconds, even none: SQLite compares words, and Nova's pages would begin with their own marker.
    then = datetime.datetime.fromisoformat(at) - datetime.timedelta(minutes=minutes)
    return then.isoformat(sep=" ", timespec="microseconds")


def _multiply_guest(bed, uuid, new):
    size = bed.select("select host, vcpus, memory_mb, root_gb from instances where uuid=?", args=(uuid,))[0]
    machine = driver.get(size["host"])
    guest = machine.instances[uuid]
    for copy in new:
        machine.instances[copy] = fake.FakeInstance(copy, guest.state, copy)
        machine.resources.claim(vcpus=size["vcpus"], mem=size["memory_mb"], disk=size["root_gb"])
