# SPDX-License-Identifier: Apache-2.0
"""``agents/ComputeRecovery`` where everything else is broken: a probe or a stop that fails has the node fenced."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

AGENT = Path(__file__).resolve().parents[2] / "agents" / "ComputeRecovery"
FROM_PACEMAKER = {"OCF_RESKEY_crm_feature_set": "3.16.2", "OCF_RESOURCE_INSTANCE": "muster-of-a-test"}


def answer(tmp_path: Path, action: str, muster: str) -> int:
    """The exit code of the agent over a package of this text."""
    (tmp_path / "muster").mkdir()
    (tmp_path / "muster" / "__init__.py").write_text(muster)
    text = f"import sys; sys.argv = ['x', {action!r}]; sys.path[0:0] = [{str(tmp_path)!r}]; exec(open({str(AGENT)!r}).read())"
    argv = [sys.executable, "-I", "-S", "-c", text]
    return subprocess.run(argv, env=FROM_PACEMAKER, capture_output=True, timeout=5, check=False).returncode


@pytest.mark.parametrize("muster", ["raise ImportError", "no Python", "import time; time.sleep(15)"])
def test_a_probe_is_answered_at_once_whatever_is_broken(tmp_path: Path, muster: str) -> None:
    """C21."""
    began = time.monotonic()
    assert answer(tmp_path, "monitor", muster) == 7
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("muster", ["raise ImportError", "no Python"])
def test_a_stop_where_nothing_runs_succeeds_whatever_is_broken(tmp_path: Path, muster: str) -> None:
    assert answer(tmp_path, "stop", muster) == 0


def test_a_start_that_cannot_run_fails(tmp_path: Path) -> None:
    assert answer(tmp_path, "start", "raise ImportError") == 1
