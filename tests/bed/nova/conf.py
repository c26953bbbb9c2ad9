# SPDX-License-Identifier: Apache-2.0
"""The text of nova.conf and placement.conf, and the few constants that both the configuration and Identity know."""

import os
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

PROJECT = {"id": "6f70656e737461636b20342065766572", "name": "admin"}
USERS = {
    "admin": ("adminpw", ["admin", "manager", "member", "reader"]),
    "nova": ("novapw", ["admin", "service"]),
    "demo": ("demopw", ["member", "reader"]),
    "muster": ("musterpw", ["muster"]),
}

NOVA = """
[DEFAULT]
host = controller
my_ip = 127.0.0.1
state_path = {state_dir}/state
transport_url = fake:/
compute_driver = bed.BedDriver
log_file = {state_dir}/nova.log
debug = {debug}
use_stderr = false
report_interval = 1
service_down_time = 60
periodic_enable = {periodic}
rpc_response_timeout = {rpc_timeout}
vif_plugging_timeout = 0
vif_plugging_is_fatal = false
manager_shutdown_timeout = 0
allow_resize_to_same_host = true
[api]
auth_strategy = keystone
[wsgi]
api_paste_config = {paste}
[database]
connection = sqlite:///{state_dir}/cell1.sqlite
sqlite_synchronous = false
max_pool_size = 50
[api_database]
connection = sqlite:///{state_dir}/api.sqlite
sqlite_synchronous = false
max_pool_size = 50
[oslo_messaging_notifications]
driver = noop
[oslo_concurrency]
lock_path = {state_dir}/locks
[cache]
enabled = false
[oslo_policy]
policy_dirs = {policy}
[key_manager]
backend = nova.keymgr.conf_key_mgr.ConfKeyManager
[scheduler]
workers = 1
[filter_scheduler]
build_failure_weight_multiplier = 0.0
[keystone_authtoken]
www_authenticate_uri = {identity}/v3
auth_url = {identity}/v3
auth_type = password
username = nova
password = {nova_password}
user_domain_id = default
project_name = {project}
project_domain_id = default
service_token_roles_required = true
token_cache_time = {token_cache_time}
[placement]
auth_type = admin_token
endpoint = {placement}
token = admin
[service_user]
send_service_user_token = false
[quota]
instances = -1
cores = -1
ram = -1
server_groups = -1
"""

PLACEMENT = """
[placement_database]
connection = sqlite:///{state_dir}/placement.sqlite
sync_on_startup = {sync}
sqlite_synchronous = false
max_pool_size = 50
[api]
auth_strategy = noauth2
"""


def write_nova_conf(state_dir, url, options):
    """Write nova.conf; returns its path."""
    for name in ("state", "locks"):
        os.makedirs(os.path.join(state_dir, name), exist_ok=True)
    text = NOVA.format(
        state_dir=state_dir,
        policy=_policy(state_dir),
        paste=os.path.join(sys.prefix, "etc", "nova", "api-paste.ini"),
        identity=url["identity"],
        placement=url["placement"],
        project=PROJECT["name"],
        nova_password=USERS["nova"][0],
        debug=options.debug,
        periodic=options.periodic,
        rpc_timeout=options.rpc_timeout,
        token_cache_time=options.token_cache_time,
    )
    return _write(state_dir, "nova.conf", text)


def write_placement_conf(state_dir, sync):
    """Write placement.conf; returns its path.  ``sync``: make the schema at start."""
    return _write(state_dir, "placement.conf", PLACEMENT.format(state_dir=state_dir, sync=sync))


def _policy(state_dir):
    """A directory with the policy that muster's documents recommend for a role of its own."""
    folder = os.path.join(state_dir, "policy.d")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(ROOT, "packaging", "nova-policy.yaml"), folder)
    return folder


def _write(state_dir, name, text):
    path = os.path.join(state_dir, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path
