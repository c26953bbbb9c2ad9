# SPDX-License-Identifier: Apache-2.0
"""The file of the credentials on this controller: whether others could read it.  Never looks into it."""

from __future__ import annotations

import os
import stat


def file_faults(path: str) -> list[str]:
    """What is wrong with it, each with its remedy behind the last colon."""
    try:
        seen = os.stat(path)
    except OSError as exc:
        return [f"clouds_file={path!r}: {exc.strerror}: put it on every controller"]
    faults = []
    if seen.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        faults.append(f"clouds_file={path!r}: others may read or write it: chmod 0600 {path}")
    if seen.st_uid not in (0, os.geteuid()):
        faults.append(f"clouds_file={path!r}: belongs to user {seen.st_uid}: chown root {path}")
    return faults
