# SPDX-License-Identifier: Apache-2.0
"""``NovaBed``: start the bed, drive it, stop it.  Standard library only, any Python from 3.9.

The server lives in a virtual environment of its own (requirements.txt): ``$MUSTER_BED_PYTHON``, else
``.venv-nova/bin/python`` at the root of the repository.  It ends when the process that started it does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[3]
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
CONTROL_TIMEOUT_S = 600.0
API_TIMEOUT_S = 120.0
POLL_S = 0.02
USER, PASSWORD, PROJECT = "admin", "adminpw", "admin"
_OWN = {"X-Muster-Bed": "1"}

T = TypeVar("T")


class BedError(Exception):
    """The bed does not start, or refuses an operation."""


def interpreter() -> Path:
    """The Python that has Nova."""
    return Path(os.environ.get("MUSTER_BED_PYTHON") or ROOT / ".venv-nova" / "bin" / "python")


def control(url: str, op: str, **arguments: Any) -> Any:
    """One operation on the control port."""
    request = urllib.request.Request(url, json.dumps({**arguments, "op": op}).encode())
    try:
        with urllib.request.urlopen(request, timeout=CONTROL_TIMEOUT_S) as reply:
            return json.load(reply)["result"]
    except urllib.error.HTTPError as exc:
        out = json.load(exc)
        raise BedError(f"{op}: {out['error']}\n{out['traceback']}") from exc


class Reply:
    """An answer of the API: ``status``, ``headers``, ``text``, ``json``."""

    def __init__(self, status: int, headers: Any, text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"<{self.status} {self.text[:200]}>"


class Api:
    """What somebody with all rights asks of a cloud; ``url`` has compute and identity."""

    url: dict[str, str]
    password = PASSWORD
    _token: str | None = None

    def api(
        self, method: str, path: str, json: Any = None, microversion: str | None = None, token: str | None = None
    ) -> Reply:
        """An authenticated request to nova-api, ``path`` below /v2.1; any status is an answer."""
        reply = self._request(method, path, json, microversion, token or self._own_token())
        if reply.status == 401 and token is None:
            self._token = None
            reply = self._request(method, path, json, microversion, self._own_token())
        return reply

    def action(self, uuid: str, name: str, argument: Any = None, microversion: str = "2.94") -> Reply:
        """POST /servers/{uuid}/action, e.g. ``action(uuid, "os-stop")``."""
        return self.api("POST", f"/servers/{uuid}/action", {name: argument}, microversion)

    def evacuate(self, uuid: str, microversion: str = "2.94", **body: Any) -> Reply:
        return self.action(uuid, "evacuate", body, microversion)

    def service(self, host: str) -> dict[str, Any]:
        """nova-compute of a host, as the API tells it."""
        rows = self.api("GET", f"/os-services?binary=nova-compute&host={host}", microversion="2.53").json["services"]
        if len(rows) != 1:
            raise BedError(f"{len(rows)} services of {host}")
        return dict(rows[0])

    def update_service(self, host: str, **change: Any) -> Reply:
        """PUT os-services, e.g. ``update_service("cmp1", forced_down=True)``."""
        return self.api("PUT", f"/os-services/{self.service(host)['id']}", change, "2.53")

    def _own_token(self) -> str:
        if self._token is None:
            user = {"name": USER, "password": self.password, "domain": {"id": "default"}}
            scope = {"project": {"name": PROJECT, "domain": {"id": "default"}}}
            auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
            request = urllib.request.Request(
                self.url["identity"] + "/v3/auth/tokens",
                json.dumps(auth).encode(),
                {"Content-Type": "application/json", **_OWN},
            )
            reply = self._open(request)
            if reply.status >= 300:
                raise BedError(f"no token: {reply}")
            self._token = str(reply.headers["X-Subject-Token"])
        return self._token

    def _request(self, method: str, path: str, body: Any, microversion: str | None, token: str) -> Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "X-Auth-Token": token}
        if microversion:
            headers["OpenStack-API-Version"] = f"compute {microversion}"
            headers["X-OpenStack-Nova-API-Version"] = microversion  # all that 2.26 and older read
        data = None if body is None else json.dumps(body).encode()
        return self._open(urllib.request.Request(self.url["compute"] + "/v2.1" + path, data, headers, method=method))

    def _open(self, request: urllib.request.Request) -> Reply:
        try:
            with urllib.request.urlopen(request, timeout=API_TIMEOUT_S) as reply:
                return Reply(reply.status, reply.headers, reply.read().decode())
        except urllib.error.HTTPError as exc:
            return Reply(exc.code, exc.headers, exc.read().decode(errors="replace"))

    def clouds_yaml(self, path: str | os.PathLike[str], **overrides: Any) -> Path:
        """Write a clouds.yaml with the cloud ``bed``, mode 0600.  Overrides go into ``auth`` where they belong there."""
        auth = {
            "auth_url": self.url["identity"] + "/v3",
            "username": USER,
            "password": self.password,
            "project_name": PROJECT,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        cloud: dict[str, Any] = {"region_name": "RegionOne", "auth": auth}
        for name, value in overrides.items():
            (auth if name in auth else cloud)[name] = value
        target = Path(path)
        fresh = target.with_name(target.name + ".new")
        fresh.touch(mode=0o600)
        fresh.chmod(0o600)
        fresh.write_text(json.dumps({"clouds": {"bed": cloud}}, indent=2) + "\n")  # JSON is YAML
        fresh.replace(target)
        return target


class NovaBed(Api):
    """A running bed.  ``url`` has compute, identity, placement and control; ``hosts`` the names of the compute hosts."""

    def __init__(self, info: dict[str, Any], process: subprocess.Popen[bytes] | None, scratch: str | None) -> None:
        self.info = info
        self.url: dict[str, str] = info["url"]
        self.hosts: list[str] = info["hosts"]
        self.pid: int = info["pid"]
        self._process, self._scratch = process, scratch

    @classmethod
    def start(
        cls,
        hosts: Sequence[str] | None = None,
        *,
        keep: bool = False,
        timeout_s: float = START_TIMEOUT_S,
        **options: Any,
    ) -> NovaBed:
        """Start a bed and wait until it answers.

        :param keep: it outlives this process (until ``stop()`` or the operation ``quit``).
        :param options: those of ``python -m tests.bed.nova``, with underscores: ``service_down_time=1.5, exact=True``.
        """
        python = interpreter()
        if not python.exists():
            raise BedError(
                f"no {python}: python3.11 -m venv .venv-nova && .venv-nova/bin/pip install -r {_REQUIREMENTS}"
            )
        scratch = tempfile.mkdtemp(prefix="muster-bed-client-")
        ready, log = os.path.join(scratch, "ready.json"), os.path.join(scratch, "server.log")
        argv = [str(python), "-m", "tests.bed.nova", "--ready-file", ready, *_arguments(hosts, options)]
        if not keep:
            argv.append("--die-with-stdin")
        with open(log, "wb") as out:
            process = subprocess.Popen(
                argv,
                cwd=ROOT,
                stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the bed
            )
        try:
            info = _wait_until_ready(process, ready, timeout_s)
        except BaseException as exc:
            _end(process)
            tail = Path(log).read_text(errors="replace")[-3000:]
            shutil.rmtree(scratch, ignore_errors=True)
            if isinstance(exc, BedError):
                raise BedError(f"{exc}; its log ends with:\n{tail}") from None
            raise
        return cls(info, process, scratch)

    @classmethod
    def attach(cls, control_url: str) -> NovaBed:
        """A bed that somebody else has started; ``stop()`` asks it to quit."""
        return cls(control(control_url, "info"), None, None)

    def stop(self) -> None:
        if self._process:
            _end(self._process)
        else:
            self.ctl("quit")
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def __enter__(self) -> NovaBed:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -------------------------------------------------------------- operations
    def ctl(self, op: str, **arguments: Any) -> Any:
        """Any operation of the control port: see ``*_ops.py``."""
        return control(self.url["control"], op, **arguments)

    def reset(self) -> None:
        """An empty, healthy cloud again."""
        self.ctl("reset")

    def boot(self, host: str | None = None, count: int = 1, **options: Any) -> list[str]:
        """UUIDs of new ACTIVE servers; options of ``server_ops.boot``."""
        rows = self.ctl("boot", host=host, count=count, **options)
        if len(rows) != count or any(row["vm_state"] != "active" for row in rows):
            raise BedError(f"not all servers became active: {rows}")
        return [row["uuid"] for row in rows]

    def power_off(self, host: str) -> None:
        self.ctl("power_off", host=host)

    def power_on(self, host: str, start: bool = True, guests: bool = False) -> None:
        self.ctl("power_on", host=host, start=start, guests=guests)

    def hypervisor(self, host: str, **settings: Any) -> dict[str, Any]:
        return dict(self.ctl("hypervisor", host=host, **settings))

    def fault(self, **rule: Any) -> None:
        """Spoil requests: see ``faults.Rule``."""
        self.ctl("fault", **rule)

    def clear_faults(self) -> None:
        self.ctl("clear_faults")

    def max_microversion(self, version: str | None) -> None:
        self.ctl("max_microversion", version=version)

    def truth(self) -> dict[str, Any]:
        return dict(self.ctl("truth"))

    def server(self, uuid: str) -> dict[str, Any] | None:
        """The row of a server that is not deleted."""
        return next((row for row in self.truth()["instances"] if row["uuid"] == uuid), None)

    def running_on(self, uuid: str) -> list[str]:
        """Hosts whose hypervisor runs the guest."""
        return [name for name, machine in self.truth()["hypervisors"].items() if uuid in machine["running"]]

    def migrations(self, uuid: str) -> list[dict[str, Any]]:
        return [row for row in self.truth()["migrations"] if row["instance_uuid"] == uuid]

    def violations(self, refused: bool = True) -> list[str]:
        return list(self.ctl("violations", refused=refused))

    def evacuations(self) -> list[dict[str, Any]]:
        return list(self.ctl("evacuations"))

    def requests(self, clear: bool = False, **filters: Any) -> list[dict[str, Any]]:
        return list(self.ctl("requests", clear=clear, **filters))

    def wait_until(self, predicate: Callable[[], T], timeout_s: float = 20.0, what: str = "") -> T:
        """The first true value of ``predicate``; AssertionError when none comes."""
        end = time.monotonic() + timeout_s
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout_s} s: {what or predicate}")
            time.sleep(POLL_S)


_REQUIREMENTS = "tests/bed/nova/requirements.txt"


def _arguments(hosts: Sequence[str] | None, options: dict[str, Any]) -> list[str]:
    given = dict(options, **({"hosts": ",".join(hosts)} if hosts else {}))
    argv = []
    for name, value in given.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            argv.append(flag)
        elif value not in (None, False):
            argv.append(f"{flag}={value}")
    return argv


def _wait_until_ready(process: subprocess.Popen[bytes], ready: str, timeout_s: float) -> dict[str, Any]:
    end = time.monotonic() + timeout_s
    while not os.path.exists(ready):
        if process.poll() is not None:
            raise BedError(f"the bed ended with {process.returncode}")
        if time.monotonic() > end:
            raise BedError(f"the bed is not ready after {timeout_s} s")
        time.sleep(POLL_S)
    with open(ready, encoding="utf-8") as file:
        return dict(json.load(file))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)
    if process.stdin:
        process.stdin.close()
