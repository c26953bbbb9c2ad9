# SPDX-License-Identifier: Apache-2.0
"""The machine of the services: MariaDB, RabbitMQ and OpenStack's own, each a process (or a few) in its namespaces."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.bed.cluster.layout import BedError
from tests.bed.cluster.netns import inside
from tests.bed.cluster.node import Machine, sh
from tests.bed.openstack import conf

HERE = Path(__file__).parent
MADE = conf.ROOT / ".cache/openstack"
"""Databases and keys of an empty cloud, which every cloud begins with."""
BIN = conf.VENV / "bin"
UP_WITHIN_S = 300.0
POLL_S = 0.1
KEPT = ("etc/openstack/fernet", "etc/openstack/credential", "var/lib/glance")
API_CONFIG = {
    "OS_KEYSTONE_CONFIG_DIR": conf.ETC,
    "OS_GLANCE_CONFIG_DIR": conf.ETC,
    "OS_PLACEMENT_CONFIG_DIR": conf.ETC,
    "OS_NEUTRON_CONFIG_DIR": conf.ETC,
    "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
    "OS_NOVA_CONFIG_DIR": conf.ETC,
    "OS_NOVA_CONFIG_FILES": "api-paste.ini;nova.conf;nova-db.conf",
}
APIS = {
    "keystone": ("keystone.wsgi.api", "identity"),
    "glance": ("glance.wsgi.api", "image"),
    "placement": ("placement.wsgi.api", "placement"),
    "neutron": ("neutron.wsgi.api", "network"),
    "nova-api": ("nova.wsgi.osapi_compute", "compute"),
}
NAMES = ("mariadb", "rabbitmq", *APIS, "nova-conductor", "nova-scheduler")
NOVA = tuple(f"--config-file={conf.ETC}/{name}" for name in ("nova.conf", "nova-db.conf"))


class Services:
    def __init__(self, name: str) -> None:
        self.state = Path(f"/tmp/muster-openstack-{name}")
        self.netns = f"muster-{name}-openstack"
        self.machine = Machine("openstack", self.netns, self.state, ["/bin/true"])

    # ------------------------------------------------------------- start, stop

    def start(self) -> None:
        """From the databases that were made beforehand; what is left of an earlier one of this name is removed first.

        Its link ``uplink`` is the other end of the cable to the computes.
        """
        if not made():
            raise BedError("the cloud's databases are missing: python -m tests.bed.openstack prepare")
        self.power_on(MADE)
        self.start_all()

    def start_all(self) -> None:
        for name in ("mariadb", "rabbitmq"):
            self.start_service(name)
        self.all_answer("mariadb", "rabbitmq")
        for name in NAMES[2:]:
            self.start_service(name)
        self.all_answer(*APIS)

    def stop(self) -> None:
        """End every process of it, and remove its files."""
        self.machine.power_off()
        if Path(f"/run/netns/{self.netns}").exists():
            sh("ip", "netns", "del", self.netns)
        shutil.rmtree(self.state, ignore_errors=True)

    def power_on(self, made: Path | None) -> None:
        """The machine alone, without a service, with the databases that are given."""
        self.stop()
        upper = self.state / "upper"
        for path, text in conf.service_files().items():
            self.machine.put(path, text, 0o644)
        self.machine.put("/etc/hosts", f"127.0.0.1 localhost\n{conf.ADDRESS} openstack\n", 0o644)
        plugin = self.state / "plugin/muster_bed-1.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: muster-bed\nVersion: 1\n")
        points = "[neutron.ml2.mechanism_drivers]\ntap = tests.bed.openstack.ports:Tap\n"
        (plugin / "entry_points.txt").write_text(points)
        for path in ("var/lib/nova", "var/lib/neutron", "var/log/openstack", "var/lib/rabbitmq", "var/lib/glance"):
            (upper / path).mkdir(parents=True, exist_ok=True)
        if made:
            for path in KEPT:
                shutil.copytree(made / path, upper / path, dirs_exist_ok=True)
            shutil.copytree(made / "mysql", self.state / "mysql")
        self.machine.hide(())
        sh("ip", "netns", "add", self.netns)
        sh("ip", "-n", self.netns, "link", "add", "eth0", "type", "veth", "peer", "name", "uplink")
        sh("ip", "-n", self.netns, "addr", "add", f"{conf.ADDRESS}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            sh("ip", "-n", self.netns, "link", "set", link, "up")
        self.machine.power_on()
        self.until(
            lambda: self.run("test", "-e", "/run/crm", "-a", "-e", conf.ETC, check=False).returncode == 0,
            "its mounts are there",
        )

    # --------------------------------------------------------------- a service

    def start_service(self, name: str) -> None:
        if self.pids(name):
            return
        argv, more = self._command(name)
        environment = {"PYTHONPATH": f"{conf.ROOT}:{self.state}/plugin", **more}
        command = self.machine.command(["env", *(f"{k}={v}" for k, v in environment.items()), *argv])
        with open(self.log(name), "ab") as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")

    def stop_service(self, name: str, signum: int = signal.SIGKILL, within_s: float = 30.0) -> None:
        self.send(name, signum)
        self.until(lambda: not self.pids(name), f"{name} ends", name, within_s)

    def send(self, name: str, signum: int) -> None:
        for pid in self.pids(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    @contextlib.contextmanager
    def away(self, name: str, signum: int = signal.SIGKILL) -> Iterator[None]:
        """Without this service; afterwards it is started again and answers."""
        self.stop_service(name, signum)
        try:
            yield
        finally:
            self.start_service(name)
            self.all_answer(name)

    def pids(self, name: str) -> list[int]:
        """Its processes, as the host numbers them: those that write to its log."""
        log = str(self.log(name))
        found = []
        for pid in self.machine.pids():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/2") == log:
                    found.append(pid)
        return found

    def answers(self, name: str) -> bool:
        if name == "mariadb":
            return self.run(*self.client, "-e", "select 1", check=False).returncode == 0
        if name == "rabbitmq":
            return self._open(5672)
        if name in APIS:
            return self._open(conf.PORTS[APIS[name][1]], b"GET / HTTP/1.0\r\n\r\n")
        return bool(self.pids(name))

    def all_answer(self, *names: str) -> None:
        """:raises BedError: with the end of its log, when one does not within the time."""
        for name in names:
            self.until(lambda name=name: self.answers(name), f"{name} answers", name)

    def log(self, name: str) -> Path:
        return self.state / f"upper/var/log/openstack/{name}.log"

    def _command(self, name: str) -> tuple[Sequence[object], Mapping[str, object]]:
        if name == "mariadb":
            options = ("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=256M", "--skip-log-bin")
            where = (
                f"--datadir={self.state}/mysql",
                f"--socket={self.state}/mysql.sock",
                f"--bind-address={conf.ADDRESS}",
            )
            size = ("--innodb-log-file-size=24M", "--max-connections=1000", "--skip-name-resolve")
            return ("mariadbd", "--no-defaults", "--user=root", *where, *options, *size), {}
        if name == "rabbitmq":
            return ("/usr/lib/rabbitmq/bin/rabbitmq-server",), {
                "HOME": "/var/lib/rabbitmq",
                "RABBITMQ_CONFIG_FILE": f"{conf.ETC}/rabbitmq.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{conf.ETC}/rabbitmq-plugins",
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_LOGS": "-",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
            }
        if name in APIS:
            module, kind = APIS[name]
            # The applications read the command line as their own, so gunicorn has its options elsewhere.
            return (BIN / "gunicorn",), {
                "BED_APPLICATION": f"{module}:application",
                "BED_BIND": f"{conf.ADDRESS}:{conf.PORTS[kind]}",
                "BED_ACCESS_LOG": f"/var/log/openstack/{name}.access",
                "GUNICORN_CMD_ARGS": f"-c {conf.ETC}/gunicorn.py",
                **API_CONFIG,
            }
        return (BIN / name, *NOVA), {}

    # ------------------------------------------------------------------- tools

    @property
    def client(self) -> tuple[str, ...]:
        return ("mariadb", "--no-defaults", "-uroot", "-S", f"{self.state}/mysql.sock", "--batch")

    def sql(self, query: str, database: str = "nova_cell1") -> list[dict[str, str]]:
        """Rows of a query, all text; NULL is "NULL"."""
        lines = self.run(*self.client, database, "-e", query).stdout.splitlines()
        names = lines[0].split("\t") if lines else []
        return [dict(zip(names, line.split("\t"))) for line in lines[1:]]

    def run(self, *argv: object, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = self.machine.command([str(arg) for arg in argv])
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600, check=False)
        if check and done.returncode:
            raise BedError(
                f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
            )
        return done

    def until(
        self, condition: Callable[[], object], what: str, of: str = "nova-api", within_s: float = UP_WITHIN_S
    ) -> None:
        """:raises BedError: with the end of the log of a service, when it does not become true in time."""
        end = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > end:
                log = self.log(of).read_text(errors="replace") if self.log(of).exists() else ""
                raise BedError(f"not within {within_s:.0f} s: {what}; the log of {of} ends with:\n{log[-3000:]}")
            time.sleep(POLL_S)

    def _open(self, port: int, request: bytes = b"") -> bool:
        try:
            with inside(self.netns):
                connection = socket.create_connection((conf.ADDRESS, port), timeout=5)
            with connection:
                connection.sendall(request)
                status = connection.recv(12) if request else b"  200"
            return status.split()[1:] in ([b"200"], [b"300"]) if request else True
        except OSError:
            return False


def stamp() -> str:
    """Of what the databases depend on."""
    told = [*conf.service_files().values(), *((HERE / name).read_text() for name in ("constraints.txt", "seed.py"))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def made() -> bool:
    return (MADE / "stamp").exists() and (MADE / "stamp").read_text() == stamp()
