# SPDX-License-Identifier: Apache-2.0
"""What every cloud begins with, made once: databases, users and addresses of the services, an image with a guest."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path

from tests.bed.cluster.node import sh
from tests.bed.openstack import conf
from tests.bed.openstack.cloud import OpenStack
from tests.bed.openstack.services import BIN, KEPT, MADE, NAMES, NOVA, Services, made, stamp

HERE = Path(__file__).parent
USERS = {"image": "glance", "placement": "placement", "network": "neutron", "compute": "nova"}


def prepare() -> None:
    if made():
        return
    cloud = OpenStack("prepare", [])
    services = cloud.services
    try:
        services.power_on(None)
        _databases(services)
        services.start_service("keystone")
        services.all_answer("keystone")
        _catalogue(cloud)
        services.start_all()
        _furnish(cloud)
        _keep(services)
    finally:
        cloud.stop()


def _databases(services: Services) -> None:
    (services.state / "mysql").mkdir()
    options = ("--user=root", "--skip-test-db", "--auth-root-authentication-method=normal")
    services.run("mariadb-install-db", "--no-defaults", f"--datadir={services.state}/mysql", *options)
    for name in ("mariadb", "rabbitmq"):
        services.start_service(name)
    services.all_answer("mariadb")
    lines = [f"CREATE USER openstack@'%' IDENTIFIED BY '{conf.PASSWORD}';"]
    for name in conf.DATABASES:
        lines.append(f"CREATE DATABASE {name} CHARACTER SET utf8mb3; GRANT ALL ON {name}.* TO openstack@'%';")
    services.run(*services.client, stdin="\n".join(lines))
    keystone = (BIN / "keystone-manage", f"--config-file={conf.ETC}/keystone.conf")
    nova = (BIN / "nova-manage", *NOVA)
    owner = ("--keystone-user=root", "--keystone-group=root")
    urls = [f"--bootstrap-{kind}-url={conf.URLS['identity']}/v3" for kind in ("admin", "internal", "public")]
    given = (f"--bootstrap-password={conf.PASSWORD}", f"--bootstrap-region-id={conf.REGION}")
    for command in (
        (*keystone, "db_sync"),
        (*keystone, "fernet_setup", *owner),
        (*keystone, "credential_setup", *owner),
        (*keystone, "bootstrap", *given, *urls),
        (BIN / "placement-manage", f"--config-file={conf.ETC}/placement.conf", "db", "sync"),
        (BIN / "glance-manage", f"--config-file={conf.ETC}/glance-api.conf", "db_sync"),
        (BIN / "neutron-db-manage", f"--config-file={conf.ETC}/neutron.conf", "upgrade", "heads"),
        (*nova, "api_db", "sync"),
        (*nova, "cell_v2", "map_cell0", "--database_connection", conf.database("nova_cell0")),
        (*nova, "db", "sync"),
        (*nova, "cell_v2", "create_cell", "--name=cell1"),
    ):
        services.run(*command)


def _catalogue(cloud: OpenStack) -> None:
    """The services' users and addresses."""

    def make(kind: str, body: dict[str, object]) -> str:
        return str(cloud.ask("identity", "POST", f"/v3/{kind}s", {kind: body})[kind]["id"])

    project = make("project", {"name": "service", "domain_id": "default"})
    roles = {row["name"]: row["id"] for row in cloud.ask("identity", "GET", "/v3/roles")["roles"]}
    for kind, name in USERS.items():
        user = make("user", {"name": name, "password": conf.PASSWORD, "domain_id": "default"})
        for role in ("admin", "service"):
            cloud.ask("identity", "PUT", f"/v3/projects/{project}/users/{user}/roles/{roles[role]}")
        service = make("service", {"name": name, "type": kind})
        url = cloud.url[kind] + ("/v2.1" if kind == "compute" else "")
        for interface in ("public", "internal", "admin"):
            endpoint = {"service_id": service, "interface": interface, "url": url, "region_id": conf.REGION}
            make("endpoint", endpoint)


def _furnish(cloud: OpenStack) -> None:
    """The flavor, image and network of every server."""
    flavor = {"id": "guest", "name": "guest", "ram": 32, "vcpus": 1, "disk": 1}
    cloud.ask("compute", "POST", "/flavors", {"flavor": flavor})
    body = {"name": "guest", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    image = cloud.ask("image", "POST", "/v2/images", body)["id"]
    cloud.ask("image", "PUT", f"/v2/images/{image}/file", data=_guest())
    network = cloud.ask("network", "POST", "/v2.0/networks", {"network": {"name": "guest"}})["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.88.0.0/16", "enable_dhcp": False, "gateway_ip": None}
    cloud.ask("network", "POST", "/v2.0/subnets", {"subnet": subnet})


def _guest() -> bytes:
    """A disk image with the guest that counts its boots and seconds on it: 1 MiB."""
    with tempfile.TemporaryDirectory() as scratch:
        sh("as", "--32", "-o", f"{scratch}/guest.o", str(HERE / "guest.S"))
        link = ("ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary")
        sh(*link, "-o", f"{scratch}/guest", f"{scratch}/guest.o")
        return Path(scratch, "guest").read_bytes().ljust(1 << 20, b"\0")


def _keep(services: Services) -> None:
    """What there is now is what every cloud begins with."""
    for name in NAMES[2:]:
        services.stop_service(name)
    services.stop_service("mariadb", signal.SIGTERM)
    shutil.rmtree(MADE, ignore_errors=True)
    for path in KEPT:
        shutil.copytree(services.state / "upper" / path, MADE / path)
    shutil.copytree(services.state / "mysql", MADE / "mysql")
    (MADE / "stamp").write_text(stamp())
