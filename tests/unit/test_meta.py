# SPDX-License-Identifier: Apache-2.0
"""The agents' documents are what Pacemaker, pcs and ocf-tester read; parameters stand in them once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from generators import readme
from muster import parameters

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {
    "agent": ["/usr/share/resource-agents/metadata.rng", "/usr/share/pcs/data/ocf-1.1.rng"],
    "fence": ["/usr/share/cluster/relaxng/metadata.rng", "/usr/share/pcs/data/ocf-1.0.rng"],
}
DTD = "/usr/share/resource-agents/ra-api-1.dtd"
DOCUMENTS = {"agent": parameters.agent_metadata, "fence": parameters.fence_metadata}


@pytest.mark.cluster
@pytest.mark.parametrize(("name", "schema"), [(name, schema) for name, paths in SCHEMAS.items() for schema in paths])
def test_is_valid_by_every_schema(name: str, schema: str, tmp_path: Path) -> None:
    document = tmp_path / "metadata.xml"
    document.write_text(DOCUMENTS[name]())
    argv = ["xmllint", "--noout", "--nonet", "--path", "/usr/share/resource-agents", "--relaxng", schema, str(document)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.cluster
def test_is_valid_by_the_dtd(tmp_path: Path) -> None:
    document = tmp_path / "metadata.xml"
    document.write_text(parameters.agent_metadata())
    argv = ["xmllint", "--noout", "--nonet", "--dtdvalid", DTD, str(document)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_knows_its_own_version_and_nothing_of_its_own_namespace() -> None:
    text = parameters.agent_metadata()
    assert f'version="{parameters.version()}"' in text
    assert parameters.OWN not in text
    assert "XInclude" not in text
    assert parameters.OWN not in parameters.fence_metadata()


def test_every_parameter_is_in_the_agents_document() -> None:
    root = etree.fromstring(parameters.agent_metadata().encode())
    assert [p.get("name") for p in root.iterfind("parameters/parameter")] == list(parameters.names("ComputeRecovery"))


def test_the_fence_document_has_an_option_for_each_parameter() -> None:
    root = etree.fromstring(parameters.fence_metadata().encode())
    options = {p.get("name"): p.find("getopt").get("mixed") for p in root.iterfind("parameters/parameter")}
    assert options == {
        "action": "-o, --action=[action]",
        "port": "-n, --plug=[plug]",
        "plug": "-n, --plug=[plug]",
        "power_agents": "-p, --power_agents=[power_agents]",
        "ask_hosts": "-k, --ask_hosts=[ask_hosts]",
    }
    # Automatic unfencing would starve the fencing of other nodes.
    assert root.find("actions/action[@name='on']").get("automatic") == "0"


def test_the_readme_has_the_table_of_the_parameters() -> None:
    assert readme.table() in (ROOT / "README.md").read_text()
