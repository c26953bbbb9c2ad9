# SPDX-License-Identifier: Apache-2.0
"""Control operations on the APIs: faults, ports, microversions, tokens, the request log, the oracle, the truth."""

import os
import signal
import sys
import threading
import traceback

from nova.api.openstack import api_version_request
from nova.api.openstack.compute import versions

from tests.bed.nova import driver
from tests.bed.nova.faults import is_own_request
from tests.bed.nova.operations import operation

COMPLAINTS = ("WARNING", "ERROR", "CRITICAL", "TRACE")
OPEN = ("accepted", "preparing", "pre-migrating", "migrating", "running")
_NEWEST = api_version_request._MAX_API_VERSION


@operation
def info(bed):
    return bed.info()


@operation
def quit(bed):
    """Stop the bed, after this reply."""
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()


# ------------------------------------------------------------------ the APIs
@operation
def fault(bed, **rule):
    """Spoil requests: see faults.Rule."""
    return bed.rules.add(**rule)


@operation
def clear_faults(bed):
    bed.rules.clear()


@operation
def fault_hits(bed):
    """How many requests each rule has spoilt, in the order they were made."""
    return bed.rules.hits()


@operation
def http(bed, service, up):
    """Close the port of compute, identity or placement (it refuses connections), or open it again."""
    if up:
        bed.http[service].open()
    else:
        bed.http[service].close()


@operation
def max_microversion(bed, version=None):
    """Offer no newer microversion than this: an older cloud, as far as a client can see.  None: all of Nova's.

    Only the API changes.  What a release did differently at the same microversion stays as in this Nova.
    """
    version = version or _NEWEST
    asked, newest = (api_version_request.APIVersionRequest(v) for v in (version, _NEWEST))
    if asked > newest:
        raise ValueError(f"this Nova has {_NEWEST} at most")
    api_version_request.max_api_version = lambda: newest if is_own_request() else asked
    versions.VERSIONS["v2.1"]["version"] = version  # the version document has a copy


# -------------------------------------------------------------------- Identity
@operation
def revoke_tokens(bed, cached=True):
    """Revoke the tokens of all users but Nova's own; ``cached``: nova-api forgets what it knows of them as well.

    Without the latter a revoked token works on for up to 300 s, as in a real cloud.
    """
    if cached:
        for validator in bed.token_validators:
            validator._token_cache = validator._token_cache_factory()
    return bed.identity.revoke_all()


@operation
def token_ttl(bed, ttl):
    """Seconds that tokens issued from now on live."""
    bed.identity.ttl = ttl


@operation
def change_password(bed, password, user="admin", revoke=True):
    """Rotate a password; ``revoke``: tokens got with the old one end, as in Keystone."""
    bed.identity.change_password(user, password)
    if revoke:
        revoke_tokens(bed)


@operation
def catalogue(bed, others, regions=("RegionOne",)):
    """What the catalogue has beside Nova's own services: service type -> url.  In tokens issued from now on.

    :param regions: each of them has all services, at the same place.
    """
    bed.identity.others, bed.identity.regions = dict(others), list(regions)


@operation
def identity(bed):
    return {"issued": bed.identity.issued, "validated": bed.identity.validated}


# --------------------------------------------------------------- what was seen
@operation
def requests(bed, clear=False, service=None, method=None, path=None):
    """The request log, oldest first; ``path``: a part of it."""
    found = [
        r
        for r in list(bed.requests)
        if service in (None, r["service"]) and method in (None, r["method"]) and (path or "") in r["path"]
    ]
    if clear:
        bed.requests.clear()
    return found


@operation
def violations(bed, refused=True):
    """What must never happen, and has: one line each.  ``refused``: also what Nova did not accept."""
    return bed.oracle.violations(refused)


@operation
def clear_violations(bed):
    bed.oracle.clear()


@operation
def evacuations(bed):
    """Every evacuate request that reached Nova, with what was true at that moment."""
    return bed.oracle.evacuations


@operation
def sql(bed, query, db="cell1", args=()):
    """A SELECT in api, cell0, cell1 or placement."""
    return bed.select(query, db, args)


@operation
def truth(bed):
    """Hypervisors, servers and migrations as they are, past every API."""
    return {
        "hypervisors": {name: h.dump() for name, h in sorted(driver.HYPERVISORS.items())},
        "double_runs": list(driver.DOUBLE_RUNS),
        "instances": bed.select(
            "select uuid, display_name, host, vm_state, task_state, power_state from instances where deleted=0"
        ),
        "migrations": bed.select(
            "select uuid, instance_uuid, source_compute, dest_compute, status, migration_type from migrations "
            "where deleted=0 order by id"
        ),
        "services": bed.select(
            'select uuid, host, "binary", forced_down, disabled, disabled_reason from services where deleted=0'
        ),
    }


@operation
def plight(bed):
    """What one looks at when Nova does not get on: complaints since the reset, what is under way, where threads are."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = {names.get(of, str(of)): traceback.extract_stack(frame) for of, frame in sys._current_frames().items()}
    with open(bed.settings.log_file, encoding="utf-8") as file:
        file.seek(bed.log_begins)
        complaints = [line.rstrip() for line in file if any(f" {level} " in line for level in COMPLAINTS)]
    return {
        "complaints": complaints[-30:],
        "open": bed.select(f"select * from migrations where status in ({','.join('?' * len(OPEN))})", args=OPEN),
        "busy": bed.select("select uuid, host, vm_state, task_state from instances where task_state is not null"),
        "threads": {
            name: [f"{os.path.basename(at.filename)}:{at.lineno} {at.name}" for at in stack]
            for name, stack in stacks.items()
            if any("/nova/" in at.filename and "/tests/" not in at.filename for at in stack)
        },
    }


@operation
def counts(bed):
    return {
        "instances": bed.select(
            "select host, vm_state, task_state, count(*) n from instances where deleted=0 group by 1,2,3"
        ),
        "migrations": bed.select(
            "select source_compute, dest_compute, status, count(*) n from migrations group by 1,2,3"
        ),
        "violations": len(bed.oracle.violations()),
    }
