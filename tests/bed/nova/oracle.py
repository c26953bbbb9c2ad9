# SPDX-License-Identifier: Apache-2.0
"""The judge that watches from outside: what was true at the moment a request reached Nova.

It sits between the fault injection and nova-api, so it sees what Nova really gets.  It reads the databases and the
hypervisors, never what the product says of itself, and never changes anything.
"""

import datetime
import json
import re
import threading
import time

from tests.bed.nova import driver

_ACTION = re.compile(r"/servers/([^/]+)/action$")
_SERVICE = re.compile(r"/os-services/([^/]+)$")
_OPEN = "('accepted', 'pre-migrating')"


class Oracle:
    """
    :param select: (query, args) -> rows of cell1
    :param down_time: () -> seconds of silence after which a service is down
    """

    def __init__(self, app, select, down_time):
        self._app, self._select, self._down_time = app, select, down_time
        self._lock = threading.Lock()
        self.evacuations, self.unforcings = [], []

    def __call__(self, environ, start_response):
        record = self._look(environ)
        if record is None:
            return self._app(environ, start_response)

        def note(status, headers, exc_info=None):
            record["status"] = int(status.split()[0])
            return start_response(status, headers, exc_info)

        try:
            return self._app(environ, note)
        finally:
            record["answered"] = True

    def clear(self):
        with self._lock:
            self.evacuations.clear()
            self.unforcings.clear()
            driver.DOUBLE_RUNS.clear()

    # ----------------------------------------------------------------- looking
    def _look(self, environ):
        path, body = environ.get("PATH_INFO", ""), environ.get("bed.body") or b""
        action, service = _ACTION.search(path), _SERVICE.search(path)
        if environ["REQUEST_METHOD"] == "POST" and action and b'"evacuate"' in body:
            return self._look_at_evacuate(action.group(1), _json(body))
        if environ["REQUEST_METHOD"] == "PUT" and service and b'"forced_down"' in body:
            return self._look_at_unforce(service.group(1), _json(body))
        return None

    def _look_at_evacuate(self, uuid, body):
        if "evacuate" not in body or _contradicts_itself(body["evacuate"]):
            return None
        with self._lock:
            source = next(
                (row["host"] for row in self._select("select host from instances where uuid=?", (uuid,))), None
            )
            machine = driver.HYPERVISORS.get(source)
            record = {
                "time": time.time(),
                "server": uuid,
                "source": source,
                "service": self._service_state(source),
                "source_powered": machine.powered if machine else None,
                "source_shows_life": machine.shows_life if machine else None,
                "open": self.open_evacuations("instance_uuid", uuid),
                "unanswered": sum(1 for e in self.evacuations if e["server"] == uuid and not e["answered"]),
                "body": body["evacuate"],
                "status": None,
                "answered": False,
            }
            self.evacuations.append(record)
        return record

    def _look_at_unforce(self, service, body):
        if body.get("forced_down") is not False:
            return None
        host = body.get("host")
        if service != "force-down":
            host = next((r["host"] for r in self._select("select host from services where uuid=?", (service,))), None)
        record = {
            "time": time.time(),
            "host": host,
            "open": self.open_evacuations("source_compute", host),
            "status": None,
            "answered": False,
        }
        with self._lock:
            self.unforcings.append(record)
        return record

    def _service_state(self, host):
        rows = self._select(
            "select forced_down, last_seen_up, created_at from services "
            "where deleted=0 and \"binary\"='nova-compute' and host=?",
            (host,),
        )
        if not rows:
            return "unknown"
        if rows[0]["forced_down"]:
            return "forced down"
        silence = time.time() - seconds(rows[0]["last_seen_up"] or rows[0]["created_at"])
        return "silent" if silence > self._down_time() else "up"

    def open_evacuations(self, column, value):
        """Evacuations that may still bring up a guest: not terminal, and the destination has power.

        What ran on a destination that has lost its power since is dead, also when that machine has returned; a row that
        is only accepted may still wait for it in a queue.
        """
        rows = self._select(
            "select uuid, instance_uuid, source_compute, dest_compute, status, created_at, updated_at from migrations "
            f"where deleted=0 and migration_type='evacuation' and status in {_OPEN} and {column}=?",
            (value,),
        )
        return [row for row in rows if not _is_dead(row) and not self._is_dropped(row)]

    def _is_dropped(self, row):
        """Accepted, and no call for it is left that could begin: the conductor failed with it, or took an older row."""
        if row["status"] != "accepted":
            return False
        query = "select count(*) n from instance_actions where action='evacuate' and instance_uuid=?"
        called = self._select(query, (row["instance_uuid"],))[0]["n"]
        query = (
            "select count(distinct a.id) n from instance_actions a join instance_actions_events e on e.action_id=a.id "
            "where a.action='evacuate' and a.instance_uuid=? and e.finish_time is not null "
            "and (e.event='compute_rebuild_instance' or (e.event='rebuild_server' and e.result='Error'))"
        )
        return called == self._select(query, (row["instance_uuid"],))[0]["n"]

    # ----------------------------------------------------------------- judging
    def violations(self, refused=True):
        """What must never happen, one line each.  ``refused``: also what was sent although Nova refused it."""
        driver.watch("a later look")
        found = []
        for e in list(self.evacuations):
            if refused or e["status"] is None or e["status"] < 300:
                found += [(e["time"], f"{what}: {_told(e)}") for what in _faults_of_evacuation(e)]
        for u in list(self.unforcings):
            if u["open"] and (refused or u["status"] is None or u["status"] < 300):
                servers = ", ".join(m["instance_uuid"] for m in u["open"])
                found.append((u["time"], f"un-forced while an evacuation is open: host {u['host']}, servers {servers}"))
        for d in list(driver.DOUBLE_RUNS):
            hosts = " and ".join(d["hosts"])
            found.append((d["time"], f"guest on two hosts: server {d['server']} runs on {hosts} ({d['seen']})"))
        return [text for _, text in sorted(found)]


def _faults_of_evacuation(record):
    if record["source"] is None:
        return
    # A machine that lost its power and came back is no danger until something of Nova has run on it again.
    if record["source_powered"] and record["source_shows_life"]:
        yield "evacuate while source powered on"
    if record["service"] == "up":
        yield "evacuate while service not down"
    if record["open"] or record["unanswered"]:
        yield "evacuate while another evacuation is open"


def _contradicts_itself(wish):
    """Forced, but to no host: no Nova takes it, whatever is the case; it only asks whether one may."""
    return isinstance(wish, dict) and wish.get("force") is True and not wish.get("host")


def _told(record):
    text = (
        f"server {record['server']}, source {record['source']}, service {record['service']}, reply {record['status']}"
    )
    if record["open"]:
        text += ", open " + ", ".join(f"{m['status']} to {m['dest_compute']}" for m in record["open"])
    return text


def _is_dead(row):
    machine = driver.HYPERVISORS.get(row["dest_compute"])
    if machine is None:
        return False
    if not machine.powered:
        return True
    began = seconds(row["updated_at"] or row["created_at"])
    return row["status"] == "pre-migrating" and machine.powered_off_at > began


def seconds(text):
    """Unix seconds of a time in Nova's databases (UTC)."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


def _json(body):
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
