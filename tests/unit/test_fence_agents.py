# SPDX-License-Identifier: Apache-2.0
"""C13: every fence agent that is installed here is known, and none that leaves the host running counts as power."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree

from muster.topology import AGENT, POWER, POWERLESS, SELF_FENCING, Device

FOLDERS = (Path("/usr/sbin"), Path("/usr/lib/stonith/plugins/external"))
AGENTS = sorted(path for folder in FOLDERS for path in folder.glob("fence_*" if folder.name == "sbin" else "[a-z]*"))


def name(path: Path) -> str:
    return path.name if path.parent.name == "sbin" else f"external/{path.name}"


def unfences(path: Path) -> bool:
    """It is to be called with ``on`` when a node joins, so what it does to a node leaves it running."""
    done = subprocess.run(
        [path, "-o", "metadata"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )
    begin = done.stdout.find(b"<?xml")
    if begin < 0:
        return False
    root = etree.fromstring(done.stdout[begin:], etree.XMLParser(recover=True))
    return any(action.get("automatic") == "1" for action in root.iterfind("actions/action[@name='on']"))


@pytest.mark.skipif(len(AGENTS) < 10, reason="needs the package fence-agents")
def test_every_installed_agent_is_known() -> None:
    assert {name(path) for path in AGENTS} - POWER - POWERLESS - SELF_FENCING - {AGENT} == set()


@pytest.mark.slow
@pytest.mark.skipif(len(AGENTS) < 10, reason="needs the package fence-agents")
def test_no_agent_that_unfences_counts_as_power() -> None:
    """C13: by the metadata of each agent of the package fence-agents."""
    agents = [path for path in AGENTS if path.parent.name == "sbin" and path.name != "fence_ack_manual"]
    with ThreadPoolExecutor(4) as pool:
        found = {path.name for path, says in zip(agents, pool.map(unfences, agents)) if says}
    assert {"fence_scsi", "fence_mpath", "fence_brocade", "fence_compute"} <= found
    assert found <= POWERLESS
    assert not any(Device("d", agent, vouched=True).cuts_power for agent in found)
