# SPDX-License-Identifier: Apache-2.0
"""Files that a reader finds old or new, never half: written beside and renamed, through no symlink."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from muster.log import Log


def replace(path: Path, content: bytes, mode: int) -> None:
    """:param mode: of the new file, whatever the old one's was.

    :raises OSError: then the old one is as it was.
    """
    name = path.parent / f".{path.name}.new"  # the same each time: what a killed worker has left is written over
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def complain(log: Log, exc: OSError) -> None:
    """Tell people that a file could not be written; the worker goes on without it."""
    log.warning("cannot write", file=exc.filename, reason=exc.strerror, remedy="free space, or correct the permissions")
