# SPDX-License-Identifier: Apache-2.0
"""What parameters for comfort name on this controller: without it the worker does without it, and evacuates."""

from __future__ import annotations

import os
import stat

from muster.gateways import credentials


def hook_faults(path: str) -> list[str]:
    """Why the operator's program is not called here, each with its remedy: it would run as root."""
    if not path:
        return []
    try:
        seen, changing = os.stat(path), credentials.changeable(path)
    except OSError as exc:
        return [f"hook={path!r}: {exc.strerror}: put it on every controller"]
    faults = [f"hook={path!r}: {what}" for _, what in changing]
    if not stat.S_ISREG(seen.st_mode) or not seen.st_mode & stat.S_IXUSR:
        faults.append(f"hook={path!r}: is no program: chmod 0755 {path}")
    return faults


def metrics_faults(path: str) -> list[str]:
    if not path or os.path.isdir(os.path.dirname(path)):
        return []
    return [f"metrics_file={path!r}: its folder does not exist: install node_exporter, or make the folder"]
