# SPDX-License-Identifier: Apache-2.0
"""Each test of this folder runs on everything that fills a port in: what the engine may rely on, whatever is behind it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.contract.clouds import Cloud, RealCloud, SimulatedCloud
from tests.contract.clusters import Pacemaker, PacemakerInMemory, PacemakersTools, SimulatedPacemaker


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.nova)])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Cloud:
    if request.param == "simulated":
        return SimulatedCloud()
    return RealCloud(request.getfixturevalue("bed"), tmp_path)


NO_TOOLS = pytest.mark.skipif(shutil.which("cibadmin") is None, reason="Pacemaker's tools are not installed")


WRITTEN_BY = {"2.1.5": ("true", "false"), "2.1.9": ("1796028384", "0"), "3.0": ("0", "0")}
"""``in_ccm`` of a remote that is in the cluster, and of one that is not."""


@pytest.fixture(params=["simulated", "in-memory", *(pytest.param(v, marks=NO_TOOLS) for v in WRITTEN_BY)])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pacemaker:
    if request.param == "simulated":
        return SimulatedPacemaker()
    if request.param == "in-memory":
        return PacemakerInMemory()
    return PacemakersTools(tmp_path, monkeypatch, *WRITTEN_BY[request.param])
