# SPDX-License-Identifier: Apache-2.0
"""``muster register``: after pip, links the agents to where Pacemaker looks for them.  Packages need none of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from muster.agents.supervisor import RUN_DIRECTORY, running
from muster.cli import commands
from muster.core.errors import ClusterError
from muster.gateways.pacemaker import command

PLACES = {
    "ComputeRecovery": "/usr/lib/ocf/resource.d/muster/ComputeRecovery",
    "fence_muster": "/usr/sbin/fence_muster",
}
EXTRAS = {
    "bin/muster": "/usr/local/bin/muster",
    "share/man/man8/muster.8": "/usr/local/share/man/man8/muster.8",
    "share/man/man8/fence_muster.8": "/usr/local/share/man/man8/fence_muster.8",
    "share/man/man7/ocf_muster_ComputeRecovery.7": "/usr/local/share/man/man7/ocf_muster_ComputeRecovery.7",
    "share/muster/completion/muster.bash": "/usr/local/share/bash-completion/completions/muster",
    "share/muster/completion/_muster": "/usr/local/share/zsh/site-functions/_muster",
}
"""For people: the command in PATH, manual pages, completion.  Whoever has them from elsewhere keeps those."""
DOCUMENT = {"ComputeRecovery": ("meta-data",), "fence_muster": ("-o", "metadata")}
RUN_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Link:
    """:param place: where Pacemaker looks.
    :param program: the installed agent.
    """

    place: Path
    program: Path

    @property
    def made(self) -> bool:
        """It is there and leads to this installation's agent."""
        return self.place.is_symlink() and os.readlink(self.place) == str(self.program)

    @property
    def foreign(self) -> bool:
        """Something else is there: a package's file, or the link of another installation."""
        return not self.made and (self.place.is_symlink() or self.place.exists())


def run(options: argparse.Namespace) -> int:
    try:
        if options.undo and options.root == "/" and not options.dry_run and _below_a_worker(RUN_DIRECTORY):
            return commands.TROUBLE
        code = register(list(links(options.root)), options.undo, options.dry_run)
        if code == commands.OK:
            for_people(list(extras(options.root)), options.undo, options.dry_run)
        return code
    except OSError as exc:
        print(f"muster: {exc.filename}: {exc.strerror}: run this as root", file=sys.stderr)
        return commands.TROUBLE


def _below_a_worker(directory: str) -> bool:
    """Pacemaker could not stop it any more without its agent, and would fence this node."""
    names = running(directory)
    for name in names:
        print(
            f"muster: the worker of {name} runs here. Without its agent Pacemaker would fence this node. First:"
            f" pcs resource disable {name}; crm_resource --wait --timeout=60s",
            file=sys.stderr,
        )
    return bool(names)


def links(root: str) -> Iterator[Link]:
    """The agents of this installation, beside its ``muster``.

    :param root: put in front of every place.
    """
    folder = Path(sys.argv[0]).resolve().parent
    for name, place in PLACES.items():
        yield Link(Path(root, place.lstrip("/")), folder / name)


def extras(root: str) -> Iterator[Link]:
    """What of this installation is for people."""
    prefix = Path(sys.argv[0]).resolve().parent.parent
    for name, place in EXTRAS.items():
        if str(prefix / name) != place:
            yield Link(Path(root, place.lstrip("/")), prefix / name)


def for_people(wanted: list[Link], undo: bool, dry_run: bool) -> None:
    """Nothing depends on these, so what is missing or taken is no fault."""
    for link in wanted:
        if undo:
            if link.made:
                _undo(link, dry_run)
        elif link.foreign:
            print(f"left alone: {link.place} is not ours")
        elif link.program.exists():
            _make(link, dry_run)


def register(wanted: list[Link], undo: bool, dry_run: bool) -> int:
    """Make the links, or remove them; nothing else is ever touched.

    :returns: an exit code; on any fault nothing is changed.
    """
    faults = [
        f"{link.program}: no such program: is this muster installed by pip?"
        for link in wanted
        if not undo and not os.access(link.program, os.X_OK)
    ]
    faults += [fault for link in wanted if not undo and not faults for fault in _unusable(link)]
    faults += [
        f"{link.place} is there already and is not of this installation: remove it, or its package, first"
        for link in wanted
        if link.foreign and not undo
    ]
    if faults:
        print("\n".join(f"muster: {fault}" for fault in faults), file=sys.stderr)
        return commands.TROUBLE
    for link in wanted:
        _undo(link, dry_run) if undo else _make(link, dry_run)
    return commands.OK


def _unusable(link: Link) -> Iterator[str]:
    """What Pacemaker cannot run it fences a node for."""
    try:
        done = command.run_as_pacemaker((str(link.program), *DOCUMENT[link.program.name]), RUN_TIMEOUT_S)
        fault = f"exit {done.code}: {done.errors}" if done.code else ""
    except ClusterError as exc:
        fault = str(exc)
    if fault:
        yield (
            f"{link.program} does not run as {command.PACEMAKER_USER}, as Pacemaker runs it ({fault}): install muster"
            " where every user may read it and its Python, such as /opt/muster"
        )


def _make(link: Link, dry_run: bool) -> None:
    if link.made:
        print(f"linked already: {link.place}")
        return
    print(f"{'would link' if dry_run else 'linked'}: {link.place} -> {link.program}")
    if not dry_run:
        link.place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        link.place.symlink_to(link.program)


def _undo(link: Link, dry_run: bool) -> None:
    if not link.made:
        print(f"left alone: {link.place} " + ("is not ours" if link.foreign else "is not there"))
        return
    print(f"{'would remove' if dry_run else 'removed'}: {link.place}")
    if not dry_run:
        link.place.unlink()
        if link.place.parent.name == "muster" and not any(link.place.parent.iterdir()):
            link.place.parent.rmdir()
