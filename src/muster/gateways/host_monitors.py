# SPDX-License-Identifier: Apache-2.0
"""Masakari's host monitor, which Pacemaker does not run: whether one runs on this controller, and what it asks.

A container's process is seen from its host only.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAM = "masakari-hostmonitor"
FILE = "/etc/masakarimonitors/masakarimonitors.conf"
"""Where it looks unless told (oslo.config, by the name of its project)."""
TRUE = ("true", "1", "on", "yes")


def seen(proc: Path = Path("/proc")) -> tuple[str, ...]:
    """What to say of it; empty where none runs.

    ``disable_ipmi_check`` is false unless set (masakarimonitors/conf/host.py); Kolla-Ansible sets it.
    """
    for process, argv in _processes(proc):
        if any(Path(word).name == PROGRAM for word in argv[:3]):
            asks = _asks(process, argv)
            how = {
                True: "",
                False: ", without asking whether they are off (disable_ipmi_check)",
                None: "; muster cannot read whether it asks if they are off",
            }[asks]
            return (f"{PROGRAM} on this controller reports dead hosts to Masakari, which evacuates{how}",)
    return ()


def _processes(proc: Path) -> Iterator[tuple[Path, list[str]]]:
    for process in proc.glob("[0-9]*"):
        try:
            yield process, (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended


def _asks(process: Path, argv: Sequence[str]) -> bool | None:
    """Whether it asks the power of a host before it reports it; None where its files cannot be read."""
    named = [after for word, after in zip(argv, argv[1:]) if word == "--config-file"]
    named += [word.partition("=")[2] for word in argv if word.startswith("--config-file=")]
    config = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        for name in named or [FILE]:
            config.read_string((process / "root" / name.lstrip("/")).read_text(errors="replace"))
    except (OSError, configparser.Error):
        return None
    return config.get("host", "disable_ipmi_check", fallback="false").strip().lower() not in TRUE
