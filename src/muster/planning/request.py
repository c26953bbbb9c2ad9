# SPDX-License-Identifier: Apache-2.0
"""What Nova's scheduler would ask Placement for, for the sake of one server.  Pure.

As nova/scheduler/utils.py, ResourceRequest.from_request_spec, does it (Nova 23 to 34), as far as the API shows what
it begins with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from muster.core.nova_facts import Server

VCPU, PCPU, MEMORY_MB, DISK_GB = "VCPU", "PCPU", "MEMORY_MB", "DISK_GB"

_SUFFIXED = re.compile(r"(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.+)")
_NOVAS_OWN = ("hw:", "os:", "pci_passthrough:", "accel:", "aggregate_instance_extra_specs:", "capabilities:")
"""Namespaces of extra specs that Nova or its filters read.  Others are its operator's own."""
_HARMLESS = frozenset(
    {
        "hw:boot_menu",
        "hw:cpu_cores",
        "hw:cpu_max_cores",
        "hw:cpu_max_sockets",
        "hw:cpu_max_threads",
        "hw:cpu_sockets",
        "hw:cpu_threads",
        "hw:hide_hypervisor_id",
        "hw:input_bus",
        "hw:serial_port_count",
        "hw:vif_multiqueue_enabled",
        "hw:watchdog_action",
    }
)
"""What no filter, no trait and no claim depends on (nova/api/validation/extra_specs/hw.py)."""
_STATE = re.compile(
    r"(num_.*|aggregates|cell_uuid|cpu_.*|current_workload|disk_.*|extra_resources|failed_builds|free_.*|host.*|hypervisor.*"
    r"|instances|io_workload|limits|metrics|nodename|numa_topology|pci_stats|ram_.*|service|stats|supported_.*|total_.*"
    r"|updated|uuid|vcpus_.*)"
)
"""Keys without a namespace that are attributes of a host for ComputeCapabilitiesFilter; any other it ignores."""
_OF_IMAGE = re.compile(
    r"hw_(cpu_policy|cpu_thread_policy|emulator_threads_policy|cpu_realtime.*|ephemeral_encryption.*|firmware_stateless"
    r"|maxphysaddr.*|mem_encryption.*|mem_page_size|numa_.*|pci_numa.*|sound_model|tpm_.*|viommu_model|virtio_packed_ring)"
    r"|os_secure_boot"
)
"""Properties of images that become traits, resources or a claim."""
_OF_HYPERVISOR = re.compile(
    r"(hw_|img_hv_)?(architecture|vm_mode|hypervisor_type|hypervisor_version_requires|requested_version|type)"
)
"""Properties of images that ImagePropertiesFilter compares with what the hypervisor supports."""


@dataclass(frozen=True)
class Ask:
    """One request of Placement; servers that are alike have the same."""

    resources: tuple[tuple[str, int], ...]
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Request:
    """:param unjudged: why nobody can say which hosts take the server; empty if they can.
    :param like_its_host: what its image asks for is not known, or nothing that Placement has: only hosts that have all
        traits of its present one surely take it.
    """

    ask: Ask
    unjudged: str = ""
    like_its_host: bool = False


def request(server: Server, images_shown: bool) -> Request:
    """:param images_shown: Nova shows the properties of images, those of volumes excepted."""
    size = server.size
    if size is None:
        return Request(Ask(()), "Nova does not show its size")
    resources = {VCPU: size.vcpus, MEMORY_MB: size.memory_mb, DISK_GB: size.disk_gb or 0}
    if server.extra_specs.get("hw:cpu_policy") == "dedicated":
        resources[PCPU] = resources.pop(VCPU)
    required: set[str] = set()
    forbidden: set[str] = set()
    odd: list[str] = []
    for key, value in sorted(server.extra_specs.items()):
        match = _SUFFIXED.fullmatch(key)
        if match and not match[2] and match[1] == "resources" and value.isdigit():
            resources[match[3]] = int(value)
        elif match and not match[2] and match[1] == "trait" and value in ("required", "forbidden"):
            (required if value == "required" else forbidden).add(match[3])
        elif match or _binds(key, value):
            odd.append(key)
    known = images_shown and bool(server.image)
    for key, value in sorted(server.image_properties.items()) if known else ():
        if key.startswith("trait:") and value == "required":
            required.add(key[len("trait:") :])
        elif _OF_IMAGE.fullmatch(key) and (key, value) != ("hw_cpu_policy", "shared"):
            odd.append(key)
    like = not known or any(_OF_HYPERVISOR.fullmatch(key) for key in server.image_properties)
    ask = Ask(tuple(sorted((k, n) for k, n in resources.items() if n)), frozenset(required), frozenset(forbidden))
    return Request(ask, _asks_for(odd), like)


def _binds(key: str, value: str) -> bool:
    if ":" not in key:
        return _STATE.fullmatch(key) is not None
    return key.startswith(_NOVAS_OWN) and key not in _HARMLESS and (key, value) != ("hw:cpu_policy", "shared")


def _asks_for(odd: Iterable[str]) -> str:
    keys = list(odd)
    return f"it asks for {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}" if keys else ""
