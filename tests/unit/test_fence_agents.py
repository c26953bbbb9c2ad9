# SPDX-License-Identifier: Apache-2.0
"""C13: every fence agent that is installed here is known, and none that leaves the host running counts as power."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree

from muster.installation.fencing_topology import (
    AGENT,
    BY_SNMP,
    MISTAKABLE,
    ONE_HOST,
    POWER,
    POWERLESS,
    SELF_FENCING,
    Device,
)

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
    assert {name(path) for path in AGENTS} - POWER - POWERLESS - SELF_FENCING - set(MISTAKABLE) - {AGENT} == set()


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
    agents = [path for path in AGENTS if path.name in POWER | set(MISTAKABLE) and path.parent.name == "sbin"]
    path = "parameters/parameter[@name='port_as_ip']"
    found = {name for name, root in of_each(agents) if root.find(path) is not None}
    assert found - NAME_A_GUEST == ONE_HOST & {path.name for path in agents}


def test_a_plugin_that_is_told_a_name_and_does_not_read_it_is_known_to_be_of_one_host() -> None:
    """C13: by the source of each plugin of cluster-glue; they are called with the action and the node's name."""
    plugins = {name(path): path.read_text(errors="replace") for path in AGENTS if path.parent.name != "sbin"}
    reads = {plugin for plugin, text in plugins.items() if re.search(r"\$\{?2\b|ARGV\[1\]", text)}
    cuts = POWER | set(MISTAKABLE)
    assert (set(plugins) & cuts) - reads == ONE_HOST & set(plugins)


ASK = """
import importlib.machinery, sys, types

class Reply:
    before = "bash: line 1: no such thing\\r\\n"
    def __getattr__(self, name): return lambda *args, **named: 0
    def get(self, oid, *args): return [oid, "No Such Instance currently exists at this OID"]
    def walk(self, *args): return []

class Options(dict):
    def __missing__(self, name): return "1"

path, odd = sys.argv[1:]
sys.argv[1:] = []
agent = types.ModuleType("agent")
importlib.machinery.SourceFileLoader("agent", path).exec_module(agent)
conn, options = Reply(), Options({"--action": "off", "--plug": "14"})
exec(odd)
ask = getattr(agent, "get_power_status", None) or agent.get_power_fn
print("says", ask(conn, options))
"""
ODD = {
    "fence_amt": "agent.amt_run_command = lambda *_: 'Powerstate:   S3'",
    "fence_cisco_ucs": """agent.send_command = lambda *_: ' pnDn="x" presence="equipped" operPower="unknown"'""",
    "fence_ibmz": """
books = types.SimpleNamespace(
    _get_mode_labels=lambda cpc: {"state-on": "active"}, _get_partition=lambda *which: {"status": "degraded"}
)
asked = next(vars(kind)["partition_status"] for kind in vars(agent).values() if hasattr(kind, "partition_status"))
conn = types.SimpleNamespace(partition_status=lambda *which: asked(books, *which))
options["--plug"] = "c/14"
""",
    "fence_lpar": "options['--hmc-version'], conn.before = '4', 'name=x,state=Not Available,'",
    "fence_rhevm": """
options["--api-version"] = "3"
agent.send_command = lambda *_: '<vm href="/vms/7" id="7"><status>up</status></vm>'
""",
    "fence_skalar": """
reply = types.SimpleNamespace(json=lambda: {"vm_list": {"items": [{"status": "NODE_OFFLINE"}]}})
agent.requests, agent.proto = types.SimpleNamespace(get=lambda **_: reply), ""
agent.ssl_verify = agent.cookie = None
""",
}
"""By agent, the answer of a device that does not know, in the form of its own."""


def off(path: Path) -> bool:
    """The agent, asked for the power by its own function, says off of an answer that it cannot read."""
    command = ["/usr/bin/python3", "-c", ASK, path, ODD.get(path.name, "")]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False, cwd="/"
    )
    return done.stdout.splitlines()[-1:] == ["says off"]


@pytest.mark.slow
@pytest.mark.skipif(len(AGENTS) < 10, reason="needs the package fence-agents")
def test_an_agent_that_calls_off_what_it_cannot_read_is_known() -> None:
    """C13: each that is a program of Python is given odd answers; one that says off of them cuts nobody's power then."""
    agents = [path for path in AGENTS if path.parent.name == "sbin" and b"python" in path.read_bytes()[:40]]
    with ThreadPoolExecutor(4) as pool:
        found = {path.name for path, said in zip(agents, pool.map(off, agents)) if said} - POWERLESS
    known = (set(BY_SNMP) | set(MISTAKABLE)) & {path.name for path in agents}
    assert found == known - {"fence_zvmip"}, "that one's answer comes over a socket"
