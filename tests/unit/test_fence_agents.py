# SPDX-License-Identifier: Apache-2.0
"""C13: every fence agent that is installed here is known, and none that leaves the host running counts as power."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree

from muster.installation.fencing_topology import AGENT, MISTAKABLE, ONE_HOST, POWER, POWERLESS, SELF_FENCING, Device

FOLDERS = (Path("/usr/sbin"), Path("/usr/lib/stonith/plugins/external"))
AGENTS = sorted(path for folder in FOLDERS for path in folder.glob("fence_*" if folder.name == "sbin" else "[a-z]*"))


def name(path: Path) -> str:
    return path.name if path.parent.name == "sbin" else f"external/{path.name}"


def metadata(path: Path) -> etree._Element:
    done = subprocess.run(
        [path, "-o", "metadata"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )
    begin = done.stdout.find(b"<?xml")
    return etree.fromstring(done.stdout[begin:] if begin >= 0 else b"<none/>", etree.XMLParser(recover=True))


def of_each(agents: Sequence[Path]) -> Iterator[tuple[str, etree._Element]]:
    with ThreadPoolExecutor(4) as pool:
        yield from zip([path.name for path in agents], pool.map(metadata, agents))


def unfences(root: etree._Element) -> bool:
    """It is to be called with ``on`` when a node joins, so what it does to a node leaves it running."""
    return any(action.get("automatic") == "1" for action in root.iterfind("actions/action[@name='on']"))


@pytest.mark.skipif(len(AGENTS) < 10, reason="needs the package fence-agents")
def test_every_installed_agent_is_known() -> None:
    assert {name(path) for path in AGENTS} - POWER - POWERLESS - SELF_FENCING - MISTAKABLE - {AGENT} == set()


@pytest.mark.slow
@pytest.mark.skipif(len(AGENTS) < 10, reason="needs the package fence-agents")
def test_no_agent_that_unfences_counts_as_power() -> None:
    """C13: by the metadata of each agent of the package fence-agents."""
    agents = [path for path in AGENTS if path.parent.name == "sbin" and path.name != "fence_ack_manual"]
    found = {name for name, root in of_each(agents) if unfences(root)}
    assert {"fence_scsi", "fence_mpath", "fence_brocade", "fence_compute"} <= found
    assert found <= POWERLESS
    assert not any(Device("d", agent, vouched=True).cuts_power for agent in found)


NAME_A_GUEST = {"fence_powerman", "fence_vmware"}
"""They do name what they fence, and do not say so where fencing.py looks for it."""


@pytest.mark.slow
@pytest.mark.skipif(len(AGENTS) < 10, reason="needs the package fence-agents")
def test_an_agent_that_looks_at_no_name_is_known_to_be_of_one_host() -> None:
    """C13: by the metadata of each agent, where a name can only be an address."""
    agents = [path for path in AGENTS if path.name in POWER and path.parent.name == "sbin"]
    path = "parameters/parameter[@name='port_as_ip']"
    found = {name for name, root in of_each(agents) if root.find(path) is not None}
    assert found - NAME_A_GUEST == ONE_HOST & {path.name for path in agents}
