# SPDX-License-Identifier: Apache-2.0
"""Control operations on servers: boot, delete, bend their state, read their action log.

Servers are made and deleted through the real API; these requests are never spoilt and not in the request log.
"""

import hashlib
import json
import time
import urllib.request

from nova import context, objects

from tests.bed.nova.faults import OWN_HEADER
from tests.bed.nova.operations import operation

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"  # one of GlanceFixture's
VERSION = "2.74"  # the host of a new server
POLL_S = 0.02


def _call(bed, method, path, body=None, project=None):
    token, _ = bed.identity.issue("admin", project=project)
    headers = {
        "Content-Type": "application/json",
        "X-Auth-Token": token,
        "OpenStack-API-Version": "compute " + VERSION,
        OWN_HEADER: "1",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(bed.url["compute"] + "/v2.1" + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=120) as reply:
        text = reply.read()
    return json.loads(text) if text else None


def _wait(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(POLL_S)


@operation
def boot(
    bed,
    host=None,
    count=1,
    name="vm",
    metadata=None,
    extra_specs=None,
    image_properties=None,
    volume=False,
    flavor="1",
    project=None,
    networks="none",
    scheduler_hints=None,
    wait=60,
    **more,
):
    """Boot servers and wait until they are made; returns their rows.

    ``extra_specs`` and ``image_properties`` make a flavor and an image that have them; ``volume``: boot from a volume;
    ``project``: {"id", "name"}, instead of admin; ``more`` goes into the request's ``server``.
    """
    image = _image_with(bed, image_properties) if image_properties else IMAGE
    server = {
        "name": name,
        "flavorRef": _flavor_with(bed, extra_specs) if extra_specs else flavor,
        "networks": networks,
        "min_count": count,
        "max_count": count,
        "return_reservation_id": True,
        **_disk(image, volume),
        **more,
    }
    if metadata:
        server["metadata"] = metadata
    if host:
        server["host"] = host
    hints = {"os:scheduler_hints": scheduler_hints} if scheduler_hints else {}
    reservation = _call(bed, "POST", "/servers", {"server": server, **hints}, project)["reservation_id"]
    rows = []

    def made():
        rows[:] = bed.select(
            "select uuid, host, vm_state, task_state from instances where deleted=0 and reservation_id=? order by id",
            args=(reservation,),
        )
        return len(rows) >= count and all(r["vm_state"] != "building" and not r["task_state"] for r in rows)

    _wait(made, wait)
    return rows


def _disk(image, volume):
    if not volume:
        return {"imageRef": image}
    disk = {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": 1,
        "delete_on_termination": True,
    }
    return {"block_device_mapping_v2": [disk]}


def _flavor_with(bed, extra_specs):
    flavorid = "x" + hashlib.sha256(json.dumps(extra_specs, sort_keys=True).encode()).hexdigest()[:12]
    if not bed.select("select id from flavors where flavorid=?", "api", (flavorid,)):
        bed.make_flavor(flavorid, flavorid, 64, 1, 1, extra_specs)
    return flavorid


def _image_with(bed, properties):
    image = bed.glance.show(None, IMAGE)
    del image["id"]
    image["properties"] = {**image.get("properties", {}), **properties}
    return bed.glance.create(None, image)["id"]


@operation
def delete_server(bed, uuid, wait=20):
    """Delete through the API; True once it is gone.  On a dead host Nova deletes only what it can reach."""
    _call(bed, "DELETE", "/servers/" + uuid)

    def gone():
        return not bed.select("select id from instances where deleted=0 and uuid=?", args=(uuid,))

    _wait(gone, wait)
    return gone()


@operation
def set_state(bed, uuid, vm_state=None, task_state=None, host=None, launched=True, name=None):
    """Write vm_state (None: as it is), task_state and more into the database, past Nova's own checks."""
    instance = objects.Instance.get_by_uuid(context.get_admin_context(), uuid)
    if vm_state:
        instance.vm_state = vm_state
    instance.task_state = task_state
    if host:
        instance.host = host
    if not launched:
        instance.launched_at = None
    if name:
        instance.display_name = name
    instance.save()


@operation
def set_evacuations(bed, uuid, status):
    """Write the status of a server's evacuations into the database, past Nova."""
    filters = {"instance_uuid": uuid, "migration_type": "evacuation"}
    for migration in objects.MigrationList.get_by_filters(context.get_admin_context(), filters):
        migration.status = status
        migration.save()


@operation
def server_action_log(bed, uuid):
    """The action log of a server, oldest first, with the events of each action; deleted servers as well."""
    actions = bed.select(
        "select id, action, request_id, user_id, message, start_time, finish_time from instance_actions "
        "where instance_uuid=? order by id",
        args=(uuid,),
    )
    for action in actions:
        action["events"] = bed.select(
            "select event, host, result, start_time, finish_time from instance_actions_events "
            "where action_id=? order by id",
            args=(action.pop("id"),),
        )
    return actions
