# SPDX-License-Identifier: Apache-2.0
"""What a cluster consists of, and where its things lie: names, addresses, files.  Shared by all who touch it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REMOTED = ROOT / ".cache/pacemaker-remote/usr/sbin/pacemaker-remoted"
NETWORK = "10.77.0"  # inside namespaces without a way out, so every cluster may use the same


class BedError(Exception):
    """The bed could not do what it was asked."""


@dataclass(frozen=True)
class Layout:
    """:param agents: ``{"sbin": {name: program}, "ocf": {provider: {name: program}}}``, linked into every node.
    :param files: absolute path in every controller to text; ``compute_files`` in every compute.
    :param programs: what a compute starts as it gets power, beside pacemaker_remote.
    :param beside: other network namespaces on the same switch, each by its link ``uplink``.
    :param ports: of the host's 127.0.0.1, to be reached at 127.0.0.1 in every node.
    :param nova: control URL of the Nova bed whose computes these are; empty without.
    :param hidden: directories of the host that are empty in every node.
    """

    name: str
    controllers: int
    computes: int
    agents: dict[str, dict[str, object]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    nova: str = ""
    hidden: tuple[str, ...] = ()
    compute_files: dict[str, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        return Path(f"/tmp/muster-bed-{self.name}")

    @property
    def socket(self) -> Path:
        """Of the machine room: a socket in the file system reaches across network namespaces."""
        return self.state / "room.sock"

    @property
    def controller_names(self) -> list[str]:
        return [f"ctl{i + 1}" for i in range(self.controllers)]

    @property
    def compute_names(self) -> list[str]:
        return [f"cmp{i + 1}" for i in range(self.computes)]

    @property
    def nodes(self) -> list[str]:
        return self.controller_names + self.compute_names

    @property
    def switch(self) -> str:
        """The network namespace with the bridge."""
        return f"muster-{self.name}-switch"

    def netns(self, node: str) -> str:
        return f"muster-{self.name}-{node}"

    def address(self, node: str) -> str:
        base = 10 if node.startswith("ctl") else 20
        return f"{NETWORK}.{base + int(node[3:])}"

    def folder(self, node: str) -> Path:
        return self.state / "nodes" / node

    def upper(self, node: str, path: str) -> Path:
        """Where a file that the node wrote (or will find) lies on the host."""
        return self.folder(node) / "upper" / path.lstrip("/")

    def save(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "layout.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, name: str) -> Layout:
        path = Path(f"/tmp/muster-bed-{name}/layout.json")
        if not path.exists():
            raise BedError(f"no cluster {name!r}: {path} is missing")
        data = json.loads(path.read_text())
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})
