# SPDX-License-Identifier: Apache-2.0
"""From Nova's JSON to facts.  Pure; a row without what it must have raises NovaUnavailable: half a reply is none.

A row of a service, a server or an evacuation that says whose it is costs only that host or server its verdict, where
something else in it cannot be read.
"""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional
from urllib.parse import parse_qs, urlsplit

from muster.core.cluster_facts import LATEST
from muster.core.errors import NovaUnavailable
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, EvacuationStatus, Power, Server, Service, Size

POWER_OF_ACTION = {
    "create": Power.RUNNING,
    "start": Power.RUNNING,
    "reboot": Power.RUNNING,
    "restore": Power.RUNNING,
    "unshelve": Power.RUNNING,
    "unpause": Power.RUNNING,
    "resume": Power.RUNNING,
    "unrescue": Power.RUNNING,
    "stop": Power.STOPPED,
    "shelve": Power.STOPPED,
}
"""What a server's owner asked for by it (nova.compute.instance_actions).  Anything else leaves power as it was."""

STARTING = ("start", "rescue")
"""Nova takes these for a host that is down, and nova-compute carries them out when it is back, without a look at where
the server is by then (Nova 23 to 34: nova/compute/api.py, start, rescue; nova/compute/manager.py, start_instance)."""


def service(row: Mapping[str, Any]) -> Service:
    """A row of GET /os-services (2.11 and later).

    :raises NovaUnavailable: without a host.
    """
    host = _text(row, "host")
    if row.get("status") == "UNKNOWN":
        return Service(id="", host=host, known=False)
    try:
        return _service(row, host)
    except NovaUnavailable as exc:
        return Service(id="", host=host, known=False, unreadable=str(exc))


def _service(row: Mapping[str, Any], host: str) -> Service:
    state, forced_down = _text(row, "state"), row.get("forced_down", False)
    if state not in ("up", "down") or not isinstance(forced_down, bool):
        raise NovaUnavailable(f"the reply has state {state!r:.50} and forced_down {forced_down!r:.50}")
    return Service(
        id=_number(row),
        host=host,
        up=state == "up",
        enabled=_text(row, "status") == "enabled",
        disabled_reason=_word(row, "disabled_reason"),
        forced_down=forced_down,
        updated_at=timestamp(row.get("updated_at")),
    )


def server(row: Mapping[str, Any]) -> Server:
    """A row of GET /servers/detail.

    :raises NovaUnavailable: without an id.
    """
    ident = _text(row, "id")
    if row.get("status") == "UNKNOWN":
        return Server(id=ident, host="", vm_state="", status="UNKNOWN", known=False)
    try:
        return _server(row)
    except NovaUnavailable as exc:
        host = row.get("OS-EXT-SRV-ATTR:host")
        return Server(ident, host if isinstance(host, str) else "", vm_state="", known=False, unreadable=str(exc))


def _server(row: Mapping[str, Any]) -> Server:
    image = row.get("image")
    fault = row.get("fault")
    flavor = row.get("flavor", {})
    if not isinstance(flavor, dict):
        raise NovaUnavailable(f"the reply has a server with flavor {flavor!r}")
    if not isinstance(image, (dict, str, type(None))):
        raise NovaUnavailable(f"the reply has a server with image {image!r}")
    return Server(
        id=_text(row, "id"),
        host=_word(row, "OS-EXT-SRV-ATTR:host"),
        vm_state=_word(row, "OS-EXT-STS:vm_state"),
        name=_word(row, "name"),
        task_state=_word(row, "OS-EXT-STS:task_state"),
        status=_word(row, "status"),
        project=_word(row, "tenant_id"),
        created=timestamp(row.get("created")),
        updated=timestamp(row.get("updated")),
        launched=row.get("OS-SRV-USG:launched_at") is not None,
        launched_at=timestamp(row.get("OS-SRV-USG:launched_at")),
        image=str(image.get("id", "")) if isinstance(image, dict) else ("" if image == "" else None),
        metadata=_strings(row, "metadata"),
        extra_specs=_strings(flavor, "extra_specs"),
        image_properties=_strings(image, "properties") if isinstance(image, dict) else {},
        tags=_list_of_words(row, "tags"),
        fault=str(fault.get("message", "")) if isinstance(fault, dict) else "",
        spawn_failed_at=_spawn_failed_at(fault) if isinstance(fault, dict) else 0.0,
        deleted=row.get("status") == "DELETED",
        size=_size(flavor, from_volume=image == ""),
        zone=_word(row, "OS-EXT-AZ:availability_zone"),
        pinned_zone=_word(row, "pinned_availability_zone") if "pinned_availability_zone" in row else None,
    )


def _size(flavor: Mapping[str, Any], from_volume: bool) -> Optional[Size]:
    """As Nova claims it in placement (resources_from_flavor): the root disk unless it is a volume, shared or not.

    None below 2.47, where a server does not say how big it is.
    """
    try:
        vcpus, memory_mb, disk_gb, ephemeral_gb = (int(flavor[key]) for key in ("vcpus", "ram", "disk", "ephemeral"))
        swap_gb = -(-int(flavor.get("swap") or 0) // 1024)
        return Size(vcpus, memory_mb, (0 if from_volume else disk_gb) + ephemeral_gb + swap_gb)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def evacuation_s(rows: Sequence[Mapping[str, Any]]) -> Optional[float]:
    """From the actions of a server (2.58 and later): how long its newest evacuation took; None if they do not say."""
    newest = max(
        (r for r in rows if r.get("action") == "evacuate"), key=lambda r: timestamp(r.get("start_time")), default={}
    )
    began, ended = timestamp(newest.get("start_time")), timestamp(newest.get("updated_at"))
    return ended - began if began and ended else None


HOSTS_HIDDEN = (
    "its evacuations come without source_compute: Nova's policy os_compute_api:os-migrations:index:host hides it from"
    " this user (Nova 32 and later; with os_compute_api:os-migrations:index:all_projects for those of other projects)"
)


def evacuation(row: Mapping[str, Any], source: str = "") -> Evacuation:
    """A row of GET /os-migrations.

    Every evacuation has its source from the beginning (nova/compute/api.py, evacuate); its destination comes later.
    Without a source the policy hides both (nova/api/openstack/compute/migrations.py, _output), and an evacuation that
    runs would read as one that has no destination yet.

    :param source: of all rows that Nova was asked for.
    :raises NovaUnavailable: where it does not say whose it is.
    """
    if not row.get("source_compute"):
        raise NovaUnavailable(HOSTS_HIDDEN)
    ident, server = _number(row), _text(row, "instance_uuid")
    try:
        return _evacuation(row, ident, server)
    except NovaUnavailable as exc:
        words = str(exc)
    created = 0.0
    with contextlib.suppress(NovaUnavailable):
        created = timestamp(row.get("created_at"))
    return Evacuation(
        ident, server, source or _text(row, "source_compute"), EvacuationStatus.OTHER, created=created, unreadable=words
    )


def _evacuation(row: Mapping[str, Any], ident: str, server: str) -> Evacuation:
    try:
        status = EvacuationStatus(_word(row, "status"))
    except ValueError:
        status = EvacuationStatus.OTHER
    created = timestamp(row.get("created_at"))
    if not created:
        raise NovaUnavailable("the reply has a row without 'created_at'")
    return Evacuation(
        id=ident,
        server=server,
        source=_text(row, "source_compute"),
        status=status,
        dest=_word(row, "dest_compute"),
        created=created,
        updated=timestamp(row.get("updated_at")) or created,
    )


def action_log(rows: Sequence[Mapping[str, Any]]) -> ActionLog:
    """From the list of instance actions in any order."""
    newest = sorted(rows, key=lambda row: timestamp(row.get("start_time")), reverse=True)
    actions = [(_word(row, "action"), row) for row in newest]
    wanted = next((POWER_OF_ACTION[action] for action, _ in actions if action in POWER_OF_ACTION), Power.UNKNOWN)
    evacuate = next((row for action, row in actions if action == "evacuate"), {})
    # The message is "Error", once one of its events has failed.
    failed = [row.get("start_time") for action, row in actions if action == "evacuate" and _word(row, "message")]
    waits = next((row for action, row in actions if action in STARTING and _not_begun(row)), {})
    return ActionLog(
        wanted,
        _word(evacuate, "request_id"),
        waits=_word(waits, "action"),
        waits_at=timestamp(waits.get("start_time")),
        failed_at=min(map(timestamp, failed), default=0.0),
    )


def _not_begun(row: Mapping[str, Any]) -> bool:
    """Nothing has happened to it since Nova took it: every event sets the time of its action (nova/db/main/api.py,
    action_event_start).  Below 2.58 that time is not shown, and it counts as not begun."""
    return timestamp(row.get("updated_at")) <= timestamp(row.get("start_time")) and _word(row, "message") == ""


def evacuate_calls(rows: Sequence[Mapping[str, Any]], since: float) -> list[str]:
    """The request ids of the evacuates since then in a list of instance actions, oldest first."""
    evacuates = [row for row in rows if row.get("action") == "evacuate"]
    calls = sorted((timestamp(row.get("start_time")), _word(row, "request_id")) for row in evacuates)
    return [request_id for at, request_id in calls if at >= since and request_id]


_FRAME = re.compile(r'File "([^"\n]*)", line [0-9]+, in ([^\s]+)')
_BEFORE_SPAWN = frozenset(
    {
        "get_allocations_for_consumer",
        "update_pci_request_with_placement_allocations",
        "rebuild_claim",
        "_claim_of_evacuation",
        "_validate_instance_group_policy",
        "_check_instance_exists",
        "_check_trusted_certs",
        "setup_networks_on_host",
        "setup_instance_network_on_host",
        "get_instance_nw_info",
        "_get_instance_block_device_info",
        "_rebuild_default_impl",
    }
)
"""Functions that a rebuild goes through on its destination before it calls the driver's ``spawn`` (Nova 23 to 34:
nova/compute/manager.py, rebuild_instance to _rebuild_default_impl, and nova/compute/resource_tracker.py)."""
_AFTER_SPAWN = frozenset(
    {
        "_wait_for_boot",
        "_register_undefined_instance_details",
        "_update_instance_after_spawn",
        "stop_instance",
        "finish_evacuation",
    }
)
_BEFORE_DOMAIN = frozenset({"get_disk_info", "_create_image", "_allocate_mdevs", "_get_guest_xml"})
"""What the driver of libvirt calls before the domain is defined (nova/virt/libvirt/driver.py, spawn)."""


def trace(row: Mapping[str, Any]) -> CallTrace:
    """The instance action of an evacuate, with its events: ``rebuild_server`` is the conductor's, scheduling included,
    ``compute_rebuild_instance`` the destination's (facts.md N13)."""
    listed = row.get("events")
    events = [event for event in listed if isinstance(event, dict)] if isinstance(listed, list) else []
    landing = next((e for e in events if e.get("event") == "compute_rebuild_instance"), {})
    scheduling = next((e for e in events if e.get("event") == "rebuild_server"), {})
    failed = next((e for e in events if e.get("result") == "Error"), {})
    words = _word(row, "message")
    if failed:
        words = _word(failed, "details") or words or "no reason given"
    ended = timestamp((landing or failed).get("finish_time"))
    text = landing.get("traceback")
    where = _frames(text)
    return CallTrace(
        request_id=_word(row, "request_id"),
        at=timestamp(row.get("start_time")),
        dest=_word(landing, "host"),
        landed=timestamp(landing.get("start_time")),
        ended=ended,
        words=words,
        failed=bool(failed) and ended > 0,
        over=ended > 0 and (bool(landing) or _never_cast(scheduling)),
        harmless=ended > 0 and landing.get("result") == "Error" and _before_spawn(text, where),
        met_guest=ended > 0 and where[-1:] == [("manager.py", "_check_instance_exists")],
    )


def _spawn_failed_at(fault: Mapping[str, Any]) -> float:
    """By the traceback in the newest fault of a server in ERROR, which Nova shows to admins (nova/compute/manager.py,
    wrap_instance_fault; nova/api/openstack/compute/views/servers.py, _get_fault).  It names no call and no host."""
    where = _frames(fault.get("details"))
    names = {name for _, name in where}
    begun = "rebuild_instance" in names and not names.isdisjoint(_AFTER_SPAWN | {"spawn"})
    if not begun or _before_spawn(fault.get("details"), where):
        return 0.0
    with contextlib.suppress(NovaUnavailable):
        return timestamp(fault.get("created"))
    return 0.0


def _frames(text: object) -> list[tuple[str, str]]:
    """Where something failed: file and function, outermost first.  Empty when Nova does not show it."""
    return [(path.rpartition("/")[2], name) for path, name in _FRAME.findall(text)] if isinstance(text, str) else []


def _never_cast(scheduling: Mapping[str, Any]) -> bool:
    """The conductor failed before it had a message for the destination: a cast that fails may have been sent."""
    names = _frames(scheduling.get("traceback"))
    return scheduling.get("result") == "Error" and bool(names) and ("rpcapi.py", "rebuild_instance") not in names


def _before_spawn(text: object, where: Sequence[tuple[str, str]]) -> bool:
    # A refused claim is raised anew where it is rolled back: its own frames are lost, that line is not.
    rolled_back = ("manager.py", "_error_out_instance_on_exception") in where
    if rolled_back and "raise error.inner_exception" in str(text):
        return True
    names = [name for _, name in where]
    if _AFTER_SPAWN.intersection(names):
        return False
    if "spawn" in names:
        return bool(_BEFORE_DOMAIN.intersection(names)) and "_create_guest_with_network" not in names
    return bool(_BEFORE_SPAWN.intersection(names))


def timestamp(text: object) -> float:
    """Nova writes UTC with or without ``Z`` and fractions; 0.0 for none.

    :raises NovaUnavailable: for a text that is no time.
    """
    if text is None or text == "":
        return 0.0
    try:
        when = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as exc:
        raise NovaUnavailable(f"the reply has {text!r} where a time belongs") from exc
    return (when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)).timestamp()


def iso(at: float) -> str:
    """Unix seconds as Nova reads them in a query."""
    return datetime.datetime.fromtimestamp(min(max(at, 0.0), LATEST), datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def seconds(text: object) -> float:
    """A Retry-After in seconds; 0.0 for none, for a date and for nonsense."""
    try:
        return max(0.0, float(str(text)))
    except ValueError:
        return 0.0


def next_marker(links: object) -> Optional[str]:
    """The marker of the next page, from ``servers_links`` or ``migrations_links``; None on the last one.

    :raises NovaUnavailable: when there is a next page, and no marker of it: a list without it would be half of one.
    """
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next":
            try:
                return parse_qs(urlsplit(str(link.get("href"))).query)["marker"][0]
            except (ValueError, LookupError) as exc:
                raise NovaUnavailable(f"the reply has {link.get('href')!r:.200} where the next page belongs") from exc
    return None


def _number(row: Mapping[str, Any]) -> str:
    """The id of what has a number, or from some microversion on a UUID."""
    value = row.get("id")
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise NovaUnavailable(f"the reply has {value!r:.50} where the number 'id' belongs")
    return str(value)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise NovaUnavailable(f"the reply has a row without {key!r}")
    return value


def _word(row: Mapping[str, Any], key: str) -> str:
    """A text, empty for none.

    :raises NovaUnavailable: for anything else.
    """
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NovaUnavailable(f"the reply has {value!r:.50} where the text {key!r} belongs")
    return value


def _list_of_words(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, (list, type(None))):
        raise NovaUnavailable(f"the reply has {value!r:.50} where the list {key!r} belongs")
    return tuple(map(str, value or ()))


def _strings(row: Mapping[str, Any], key: str) -> Mapping[str, str]:
    value = row.get(key)
    if not isinstance(value, (dict, type(None))):
        raise NovaUnavailable(f"the reply has {value!r:.50} where {key!r} belongs")
    return {str(k): str(v) for k, v in (value or {}).items()}
