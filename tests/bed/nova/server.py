# SPDX-License-Identifier: Apache-2.0
"""The bed itself: Nova's services as objects of this process, started, crashed and started again."""

import gc
import logging
import os
import shutil
import sqlite3
import sys
import threading
import time
from importlib import metadata

import sqlalchemy
from nova import conf as nova_conf
from nova import config, context, exception, objects, version
from nova import service as nova_service
from nova.compute import rpcapi
from nova.db import migration
from oslo_log import log as oslo_log

from tests.bed.nova import cells, conf, control, driver, heartbeat, losses, speed, sqlite, state
from tests.bed.nova.faults import Rules, Spoiler
from tests.bed.nova.identity import AdminDoor, Identity
from tests.bed.nova.listener import Listener, reserve_ports
from tests.bed.nova.oracle import Oracle

LOG = logging.getLogger(__name__)
PORTS = ("compute", "identity", "placement", "control")
CELL1 = "11111111-1111-4111-8111-111111111111"
FLAVORS = (("m1.tiny", "1", 64, 1, 1), ("m1.small", "2", 512, 2, 5))


class FixtureHost:
    """What Nova's Neutron, Glance and Cinder fixtures want from a test case."""

    def __init__(self, settings):
        import fixtures

        self._settings, self._fixture = settings, fixtures.Fixture()
        self._fixture.setUp()
        self.addCleanup, self.useFixture = self._fixture.addCleanup, self._fixture.useFixture

    def flags(self, group=None, **values):
        for name, value in values.items():
            self._settings.set_override(name, value, group)

    def stub_out(self, old, new):
        import fixtures

        self.useFixture(fixtures.MonkeyPatch(old, new))


class Bed:
    def __init__(self, options):
        self.options = options
        self.hosts = options.hosts
        self.laps = {}
        self._begin = time.monotonic()
        self.dir = state.make_state_dir()
        self.log_begins = 0
        numbers = [options.port + i for i in range(len(PORTS))] if options.port else reserve_ports(len(PORTS))
        self._ports = dict(zip(PORTS, numbers))
        self.url = {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}
        self.requests, self.rules = [], Rules()
        self.http, self.computes = {}, {}
        self.conductor = self.scheduler = None
        self.settings, self.overrides = nova_conf.CONF, set()
        self.cells = cells.Cells()

    def _lap(self, name):
        now = time.monotonic()
        self.laps[name], self._begin = round(now - self._begin, 3), now

    # ----------------------------------------------------------------- start
    def start(self):
        self._configure()
        self._make_databases()
        self._use_fixtures()
        self._serve_identity()
        self._serve("placement", AdminDoor(self._placement_app(), self.identity))
        for name in state.DATABASES:
            sqlite.hold_open(state.database(self.dir, name))
        self._lap("placement")
        self.heartbeats = heartbeat.Heartbeats(self.options.first_report, self.options.service_down_time)
        sys.modules["nova.virt.bed"] = driver  # Nova loads drivers from nova.virt only
        driver.let_claims_fail()
        losses.install()
        self.start_conductor()
        self.start_scheduler()
        for host in self.hosts:
            self.start_compute(host)
        self._lap("services")
        self._serve_compute_api()
        self._make_flavors()
        self.http["control"] = Listener("control", control.Control(self), self._ports["control"], 8)
        self.http["control"].open()
        self._lap("api")

    def _configure(self):
        path = conf.write_nova_conf(self.dir, self.url, self.options)
        config.parse_args(["nova", "--config-file", path])
        oslo_log.setup(self.settings, "nova")
        objects.register_all()
        self._lap("configuration")

    def _make_databases(self):
        for name in state.DATABASES:
            with sqlite3.connect(state.database(self.dir, name)) as db:
                db.execute("pragma journal_mode=wal")
        versions = (version.version_string(), metadata.version("openstack-placement"), sqlalchemy.__version__)
        self._cached = state.cached_schema(self.options.schema_cache, versions)
        self._schema_is_new = not state.copy_schema(self._cached, self.dir)
        if self._schema_is_new:
            migration.db_sync(database="api")
            migration.db_sync(database="main")
        self._lap("schema")

    def _use_fixtures(self):
        from nova.tests.fixtures.cinder import CinderFixture
        from nova.tests.fixtures.glance import GlanceFixture
        from nova.tests.fixtures.neutron import NeutronFixture
        from nova.tests.fixtures.nova import ComputeNodeIdFixture

        host = FixtureHost(self.settings)
        sqlite.let_writers_take_turns()
        host.useFixture(ComputeNodeIdFixture())
        self.neutron = host.useFixture(NeutronFixture(host))
        self.glance = host.useFixture(GlanceFixture(host))
        self.cinder = host.useFixture(CinderFixture(host))
        self._lap("fixtures")

    def _serve_identity(self):
        endpoints = {
            "identity": self.url["identity"] + "/v3",
            "compute": self.url["compute"] + "/v2.1",
            "placement": self.url["placement"],
        }
        ttl = self.options.token_ttl
        self.identity = Identity(self.url["identity"], conf.USERS, conf.PROJECT, endpoints, ttl)
        self._serve("identity", self.identity)

    def _placement_app(self):
        from oslo_config import cfg
        from oslo_policy import opts as policy_opts
        from placement import conf as placement_conf
        from placement import db_api, deploy

        settings = cfg.ConfigOpts()
        placement_conf.register_opts(settings)
        policy_opts.set_defaults(settings, enforce_new_defaults=False)
        path = conf.write_placement_conf(self.dir, sync=self._schema_is_new)
        settings(["--config-file", path], project="placement")
        db_api.configure(settings)
        app = deploy.loadapp(settings)
        if self._schema_is_new:
            state.keep_schema(self._cached, self.dir)
            shutil.copyfile(state.database(self.dir, "cell1"), state.database(self.dir, "cell0"))
        self._map_cells()
        return app

    def _map_cells(self):
        admin = context.get_admin_context()
        for name, uuid, transport in (
            ("cell0", objects.CellMapping.CELL0_UUID, "none:///"),
            ("cell1", CELL1, "fake:/"),
        ):
            url = "sqlite:///" + state.database(self.dir, name)
            self.cell1 = objects.CellMapping(
                admin, uuid=uuid, name=name, transport_url=transport, database_connection=url
            )
            self.cell1.create()

    def _serve_compute_api(self):
        from keystonemiddleware import auth_token
        from nova.api import wsgi
        from nova.api.openstack import wsgi_app

        wsgi_app._setup_service(self.settings.host, "osapi_compute")
        app = wsgi.Loader().load_app("osapi_compute")
        self.token_validators = [o for o in gc.get_objects() if isinstance(o, auth_token.AuthProtocol)]
        self.oracle = Oracle(
            app, lambda query, args=(): self.select(query, args=args), lambda: self.heartbeats.down_time_s
        )
        self._serve("compute", self.oracle, 24)

    def _serve(self, name, app, threads=12):
        self.http[name] = Listener(name, Spoiler(name, app, self.requests, self.rules), self._ports[name], threads)
        self.http[name].open()

    def _make_flavors(self):
        for name, flavorid, memory_mb, vcpus, disk_gb in FLAVORS:
            self.make_flavor(name, flavorid, memory_mb, vcpus, disk_gb, {})

    @staticmethod
    def make_flavor(name, flavorid, memory_mb, vcpus, disk_gb, extra_specs):
        objects.Flavor(
            context.get_admin_context(),
            name=name,
            flavorid=flavorid,
            memory_mb=memory_mb,
            vcpus=vcpus,
            root_gb=disk_gb,
            ephemeral_gb=0,
            swap=0,
            rxtx_factor=1.0,
            is_public=True,
            disabled=False,
            vcpu_weight=0,
            extra_specs=extra_specs,
            projects=[],
        ).create()

    # -------------------------------------------------------------- services
    def _start_service(self, binary, host, **more):
        service = nova_service.Service.create(
            host=host, binary=binary, report_interval=self.options.report_interval, **more
        )
        service.start()
        return service

    @staticmethod
    def _crash(service):
        """What SIGKILL leaves of a service.  Service.stop() would be graceful, and shuts executors of the process."""
        service.tg.stop()
        for rpc in (service.rpcserver, getattr(service, "rpcserver_alt", None)):
            if rpc is not None:
                rpc.stop()

    def start_conductor(self):
        if not self.conductor:
            self.conductor = self._start_service("nova-conductor", "controller")
            self.heartbeats.conductor(True)

    def kill_conductor(self):
        if self.conductor:
            self.heartbeats.conductor(False)
            self._crash(self.conductor)
            self.conductor = None

    def start_scheduler(self):
        if not self.scheduler:
            self.scheduler = self._start_service("nova-scheduler", "controller")

    def kill_scheduler(self):
        if self.scheduler:
            self._crash(self.scheduler)
            self.scheduler = None

    def start_compute(self, host):
        machine = driver.get(host)
        if not machine.powered:
            raise RuntimeError(f"{host} is powered off")
        if host in self.computes:
            raise RuntimeError(f"nova-compute of {host} runs already")
        machine.shows_life = True
        # A second queue came with release 33: what a nova-compute that is being stopped still answers.
        second = {"topic_alt": rpcapi.RPC_TOPIC_ALT} if hasattr(rpcapi, "RPC_TOPIC_ALT") else {}
        self.computes[host] = self._start_service("nova-compute", host, **second)
        self._map_host(host)

    def _map_host(self, host):
        admin = context.get_admin_context()
        try:
            objects.HostMapping.get_by_host(admin, host)
        except exception.HostMappingNotFound:
            objects.HostMapping(admin, host=host, cell_mapping=self.cell1).create()
            node = objects.ComputeNode.get_by_service_id(admin, self.computes[host].service_ref.id)
            node.mapped = 1
            node.save()

    def kill_compute(self, host):
        driver.get(host).generation += 1
        self._crash(self.computes.pop(host))

    # ------------------------------------------------------------------ data
    def select(self, query, db="cell1", args=()):
        return state.select(self.dir, db, query, args)

    def stop(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def info(self):
        with open("/proc/self/status", encoding="ascii") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return {
            "pid": os.getpid(),
            "url": self.url,
            "dir": self.dir,
            "hosts": self.hosts,
            "computes": sorted(self.computes),
            "start_s": self.laps,
            "threads": threading.active_count(),
            "rss_mb": rss // 1024,
        }


def make(options):
    if not options.exact:
        speed.wake_rpc_servers()
        speed.skip_reshape_reads()
    return Bed(options)
