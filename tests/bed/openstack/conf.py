# SPDX-License-Identifier: Apache-2.0
"""What each service of the cloud is told.  Every cloud has a network of its own, so all have the same address and ports."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv-openstack"
ADDRESS = "10.77.0.5"
PASSWORD = "bedpw"
REGION = "RegionOne"
ETC = "/etc/openstack"
PORTS = {"identity": 5000, "image": 9292, "placement": 8778, "network": 9696, "compute": 8774}
URLS = {kind: f"http://{ADDRESS}:{port}" for kind, port in PORTS.items()}
DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova_cell0", "nova_cell1")
AMQP = f"rabbit://guest:guest@{ADDRESS}:5672/"


def database(name: str) -> str:
    return f"mysql+pymysql://openstack:{PASSWORD}@{ADDRESS}/{name}"


def _user(section: str, name: str) -> str:
    """How a service says who it is."""
    return f"""
[{section}]
auth_type = password
auth_url = {URLS["identity"]}/v3
www_authenticate_uri = {URLS["identity"]}/v3
username = {name}
password = {PASSWORD}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = {REGION}
"""


_NOVA = f"""[DEFAULT]
state_path = /var/lib/nova
transport_url = {AMQP}
report_interval = 3
service_down_time = 20
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
default_availability_zone = nova
[conductor]
workers = 1
[scheduler]
workers = 1
[filter_scheduler]
shuffle_best_same_weighed_hosts = true
[oslo_concurrency]
lock_path = /var/lib/nova
[vnc]
enabled = false
[glance]
endpoint_override = {URLS["image"]}
[api]
auth_strategy = keystone
[service_user]
send_service_user_token = true
{_user("service_user", "nova").partition("]")[2]}
{_user("placement", "placement")}
{_user("neutron", "neutron")}
"""
_PRIVSEP = f"{VENV}/bin/privsep-helper --config-file /etc/nova/nova.conf"


def compute_files(instances: Path) -> dict[str, str]:
    """On each compute; ``instances`` is the storage that they share.  It must see no database."""
    return {
        "/etc/nova/nova.conf": f"""{_NOVA}
[DEFAULT]
compute_driver = libvirt.LibvirtDriver
instances_path = {instances}
force_raw_images = true
cpu_allocation_ratio = 64
disk_allocation_ratio = 64
[libvirt]
virt_type = qemu
cpu_mode = none
images_type = raw
inject_partition = -2
hw_machine_type = x86_64=pc
[workarounds]
disable_rootwrap = true
[nova_sys_admin]
helper_command = {_PRIVSEP}
[privsep_osbrick]
helper_command = {_PRIVSEP}
""",
        "/etc/libvirt/qemu.conf": """user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
""",
    }


def service_files() -> dict[str, str]:
    """On the machine of the services."""
    return {f"{ETC}/{name}": text for name, text in _services().items()}


def _services() -> dict[str, str]:
    tokens = _user("keystone_authtoken", "{0}")
    return {
        "keystone.conf": f"""[database]
connection = {database("keystone")}
[fernet_tokens]
key_repository = {ETC}/fernet
[fernet_receipts]
key_repository = {ETC}/fernet
[credential]
key_repository = {ETC}/credential
[token]
provider = fernet
""",
        "glance-api.conf": f"""[DEFAULT]
enabled_backends = file:file
enabled_import_methods = []
worker_self_reference_url = {URLS["image"]}
[database]
connection = {database("glance")}
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = /var/lib/glance/images
[os_glance_staging_store]
filesystem_store_datadir = /var/lib/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = /var/lib/glance/tasks
[paste_deploy]
flavor = keystone
config_file = {VENV}/etc/glance/glance-api-paste.ini
{tokens.format("glance")}
""",
        "placement.conf": f"""[placement_database]
connection = {database("placement")}
[api]
auth_strategy = keystone
{tokens.format("placement")}
""",
        "neutron.conf": f"""[DEFAULT]
state_path = /var/lib/neutron
core_plugin = ml2
service_plugins =
auth_strategy = keystone
transport_url = {AMQP}
dhcp_agent_notification = false
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
api_paste_config = {VENV}/etc/neutron/api-paste.ini
[database]
connection = {database("neutron")}
[oslo_concurrency]
lock_path = /var/lib/neutron
[quotas]
quota_port = -1
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = tap
extension_drivers = port_security
{tokens.format("neutron")}
""",
        "api-paste.ini": (VENV / "etc/nova/api-paste.ini").read_text(),
        "nova.conf": f"""{_NOVA}
[quota]
driver = nova.quota.NoopQuotaDriver
{tokens.format("nova")}
service_token_roles = service
service_token_roles_required = true
""",
        "nova-db.conf": f"""[database]
connection = {database("nova_cell1")}
[api_database]
connection = {database("nova_api")}
""",
        "rabbitmq.conf": f"listeners.tcp.1 = {ADDRESS}:5672\nloopback_users = none\nlog.console = true\nlog.console.level = warning\n",
        "rabbitmq-plugins": "[].\n",
        # keepalive: after gunicorn's own 2 s a client that pauses loses its connection.  Nova asks Neutron for the ports of
        # many servers in one long line.  "M" are milliseconds.
        "gunicorn.py": """import os
wsgi_app = os.environ["BED_APPLICATION"]
bind = os.environ["BED_BIND"]
worker_class = "gthread"
workers = 1
threads = 8
timeout = 120
keepalive = 75
graceful_timeout = 3
control_socket_disable = True
limit_request_line = 0
accesslog = os.environ["BED_ACCESS_LOG"]
access_log_format = '%(t)s %(s)s %(M)s %(m)s %(U)s?%(q)s "%(a)s"'
""",
    }
