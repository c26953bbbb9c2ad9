# SPDX-License-Identifier: Apache-2.0
"""The files of the credentials on this controller, and what is run as root: whether others could read or change them.
Never looks into them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

LINKS_LIMIT = 40
"""As many as the kernel follows (path_resolution(7))."""


def file_faults(path: str) -> list[str]:
    """What is wrong with it and with secure.yaml beside it, each with its remedy behind the last colon."""
    secure = os.path.join(os.path.dirname(path), "secure.yaml")  # openstacksdk reads it, too
    return _secret_faults(path) + (_secret_faults(secure) if os.path.lexists(secure) else [])


def _secret_faults(path: str) -> list[str]:
    label = f"clouds_file={path!r}"
    try:
        seen, changing = os.stat(path), changeable(path)
    except OSError as exc:
        return [f"{label}: {exc.strerror}: put it on every controller"]
    faults = []
    if seen.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        faults.append(f"{label}: others may read or write it: chmod 0600 {path}")
    if seen.st_uid not in (0, os.geteuid()):
        faults.append(f"{label}: belongs to user {seen.st_uid}: chown root {path}")
    real = os.path.realpath(path)
    return faults + [f"{label}: {what}" for name, what in changing if name != real]


def changeable(path: str) -> list[tuple[str, str]]:
    """Where others could put something else in the place of a file: each folder and each link on the way to it, and the
    file itself, with the fault and, behind the last colon, its remedy.

    :raises OSError: when the way does not end.
    """
    faults = []
    for name, it in dict(_way(os.path.abspath(path), [])).items():
        sticky = stat.S_ISDIR(it.st_mode) and it.st_mode & stat.S_ISVTX
        link = stat.S_ISLNK(it.st_mode)
        if it.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (sticky or link):
            faults.append((name, f"others may change {name}: chmod go-w {name}"))
        if it.st_uid not in (0, os.geteuid()):
            change = "chown -h" if link else "chown"
            faults.append((name, f"{name} belongs to user {it.st_uid}: {change} root {name}"))
    return faults


def _way(path: str, links: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Everything that the kernel goes through to a path, below the root."""
    here = "/"
    for part in path.split("/")[1:]:
        here = os.path.join(here, part)
        seen = os.lstat(here)
        yield here, seen
        if stat.S_ISLNK(seen.st_mode):
            links.append(here)
            if len(links) > LINKS_LIMIT:
                raise OSError(40, "Too many levels of symbolic links", path)
            yield from _way(os.path.normpath(os.path.join(os.path.dirname(here), os.readlink(here))), links)
            here = os.path.realpath(here)
