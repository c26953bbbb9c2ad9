# SPDX-License-Identifier: Apache-2.0
"""Everything that stands for Pacemaker behind the same verbs: the simulated site, the cluster in memory, real tools."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

import pytest
from lxml import etree

from muster.core.errors import ClusterError
from muster.core.ports import ClusterPort
from muster.gateways.pacemaker import cluster, command
from muster.gateways.pacemaker.command import Result
from tests.contract.clouds import Idle
from tests.fakes import FakeCluster
from tests.sim.gateways import ClusterGateway
from tests.sim.site import CONTROLLERS
from tests.sim.world import World

COMPUTES = ("cmp1", "cmp2")
OFF_AT = 90
CONNECTION = (
    '<node_state id="1" uname="ctl1" in_ccm="1"><lrm id="1"><lrm_resources><lrm_resource id="{0}" class="ocf"'
    ' provider="pacemaker" type="remote"><lrm_rsc_op id="{0}_last_0" operation="start" call-id="7" rc-code="0"'
    ' op-status="0" interval="0" last-rc-change="{1}"/></lrm_resource></lrm_resources></lrm></node_state>'
)


class Pacemaker(Protocol):
    """Two remotes that are fenced and without a record, quorum, and two who may write: the worker and one that is not
    the worker any more."""

    port: ClusterPort
    rival: ClusterPort

    def quorum(self, there: bool) -> None: ...
    def silence(self) -> None: ...
    def join(self, node: str) -> None: ...
    def forget(self, node: str) -> None:
        """It has joined, and somebody has removed what Pacemaker knew of it: ``crm_resource --refresh``."""

    def fence_by_fabric(self, node: str, at: int) -> None:
        """Some device has fenced it, and no device of this cluster cuts power."""

    def confirm(self, node: str, at: int) -> None:
        """An operator has given Pacemaker his word that it is off."""

    def scribble(self, node: str, value: str) -> None:
        """Somebody sets the attribute ``muster`` by hand, and muster-hold with it."""

    def ping(self, node: str, value: int) -> None:
        """Another agent has set its transient attribute."""


class SimulatedPacemaker:
    def __init__(self) -> None:
        self._world = World(1, COMPUTES, {}, 0.0)
        self._world.current = Idle(self._world, CONTROLLERS[0])
        for node in COMPUTES:
            self._world.site.set_node(node, member=False, fenced_at=OFF_AT)
        self.port: ClusterPort = ClusterGateway(self._world.current)
        self.rival: ClusterPort = ClusterGateway(Idle(self._world, CONTROLLERS[0]))

    def quorum(self, there: bool) -> None:
        for other in CONTROLLERS[1:]:
            self._world.site.alive[other] = there

    def join(self, node: str) -> None:
        self._world.site.set_node(node, member=True, fenced_at=0, unproved="", confirmed_at=0)

    def forget(self, node: str) -> None:
        self._world.site.set_node(node, member=False, fenced_at=0)

    def fence_by_fabric(self, node: str, at: int) -> None:
        self._world.site.fence(node, with_record=False, lies=True, unproved="fence_scsi cuts nobody's power")

    def confirm(self, node: str, at: int) -> None:
        self._world.site.confirm_to_pacemaker(node)

    def silence(self) -> None:
        self._world.site.silent_until = self._world.now + 3600.0

    def scribble(self, node: str, value: str) -> None:
        self._world.site.set_node(node, unreadable_record=value, hold=True)

    def ping(self, node: str, value: int) -> None:
        pass  # it has only what muster looks at


class PacemakerInMemory:
    """What the tests on real Nova have beside it."""

    def __init__(self) -> None:
        self._cluster = FakeCluster.of(*COMPUTES)
        for node in COMPUTES:
            self._cluster.change(node, member=False, fenced_at=OFF_AT)
        self.port: ClusterPort = self._cluster
        self.rival: ClusterPort = self._cluster

    def quorum(self, there: bool) -> None:
        self._cluster.quorum = there

    def join(self, node: str) -> None:
        self._cluster.rejoin(node)

    def forget(self, node: str) -> None:
        self._cluster.change(node, member=False, fenced_at=0)

    def fence_by_fabric(self, node: str, at: int) -> None:
        self._cluster.fence(node, at, record=False, unproved="fence_scsi cuts nobody's power")

    def confirm(self, node: str, at: int) -> None:
        self._cluster.confirm(node, at)

    def silence(self) -> None:
        self._cluster.silent = True

    def scribble(self, node: str, value: str) -> None:
        self._cluster.change(node, unreadable_record=value, hold=True)

    def ping(self, node: str, value: int) -> None:
        pass  # it has only what muster looks at


class PacemakersTools:
    """The real cibadmin on a CIB of its own, as the cluster's would be.  What only a running cluster can say, whether
    there is quorum, is taken from that CIB.

    :param here: ``in_ccm`` of a remote that is up: true in 2.1.5, from 2.1.7 a time, 0 in 3.0.
    :param gone: that of one that is not.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, here: str, gone: str) -> None:
        self._here, self._gone = here, gone
        self._file = directory / "cib.xml"
        monkeypatch.setitem(command.ENVIRONMENT, "CIB_file", str(self._file))
        monkeypatch.setattr(cluster, "CIB_FILE", str(self._file))
        cib = etree.fromstring(subprocess.run(["cibadmin", "--empty"], capture_output=True, check=True).stdout)
        cib.set("have-quorum", "1")
        for node in COMPUTES:
            remote = {"class": "ocf", "provider": "pacemaker", "type": "remote"}
            etree.SubElement(cib.find("configuration/resources"), "primitive", id=node, **remote)
            state = {"id": node, "uname": node, "remote_node": "true", "in_ccm": gone, "node_fenced": str(OFF_AT)}
            etree.SubElement(cib.find("status"), "node_state", **state)
        etree.SubElement(
            cib.find("configuration/resources"), "primitive", id="f", type="fence_scsi", **{"class": "stonith"}
        )
        self._file.write_bytes(etree.tostring(cib))
        self._history: list[str] = []
        self.port: ClusterPort = cluster.Pacemaker("ctl1", "muster", self._run)
        self.rival: ClusterPort = cluster.Pacemaker("ctl2", "muster", self._run)

    def quorum(self, there: bool) -> None:
        cib = etree.fromstring(self._file.read_bytes())  # cibadmin of 3.0.3 changes no attribute of the root
        cib.set("have-quorum", f"{there:d}")
        self._file.write_bytes(etree.tostring(cib))

    def join(self, node: str) -> None:
        self._state(node, self._here, 0)
        self._status(CONNECTION.format(node, OFF_AT + 1))

    def forget(self, node: str) -> None:
        self.join(node)
        self._state(node, self._gone, 0)
        self._cibadmin("--delete", "--xpath", f"//lrm_resource[@id='{node}']")

    def fence_by_fabric(self, node: str, at: int) -> None:
        self._state(node, self._gone, at)
        self._fenced(node, "ctl2", at)

    def _state(self, node: str, in_ccm: str, fenced_at: int) -> None:
        given = f'in_ccm="{in_ccm}" node_fenced="{fenced_at}"'
        self._status(f'<node_state id="{node}" uname="{node}" remote_node="true" {given}/>')

    def _status(self, xml: str) -> None:
        self._cibadmin("--modify", "--allow-create", "--scope", "status", "--xml-text", xml)

    def confirm(self, node: str, at: int) -> None:
        self._fenced(node, "a human", at)

    def _fenced(self, node: str, delegate: str, at: int) -> None:
        when = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S +00:00")
        event = f'<fence_event action="off" target="{node}" status="success" delegate="{delegate}" completed="{when}"/>'
        self._history.insert(0, event)

    def silence(self) -> None:
        self._file.unlink()

    def scribble(self, node: str, value: str) -> None:
        pairs = "".join(
            f'<nvpair id="{node}-{name}" name="{name}" value="{text}"/>'
            for name, text in (("muster", value), ("muster-hold", "1"))
        )
        whole = f'<instance_attributes id="nodes-{node}">{pairs}</instance_attributes>'
        xml = f'<node id="{node}" uname="{node}" type="remote">{whole}</node>'
        self._cibadmin("--modify", "--allow-create", "--scope", "nodes", "--xml-text", xml)

    def ping(self, node: str, value: int) -> None:
        pair = f'<nvpair id="{node}-ping" name="ping" value="{value}"/>'
        attributes = f'<instance_attributes id="status-{node}">{pair}</instance_attributes>'
        transient = f'<transient_attributes id="{node}">{attributes}</transient_attributes>'
        self._status(f'<node_state id="{node}" uname="{node}">{transient}</node_state>')

    def _run(self, argv: Sequence[str], timeout_s: float) -> Result:
        if argv[0] == "stonith_admin":  # it asks the fencer, which has no history without a cluster
            return Result(0, f"<pacemaker-result>{''.join(self._history)}</pacemaker-result>".encode(), "")
        if tuple(argv) == ("corosync-quorumtool", "-s"):
            answer = command.run(("cibadmin", "--query", "--xpath", "/cib[@have-quorum='1']"), timeout_s)
            if not self._file.exists():
                return Result(1, b"", "Cannot initialize QUORUM service")
            code, word = (2, b"No") if answer.code else (0, b"Yes")
            return Result(code, b"Quorate:          " + word + b"\n", "")
        return command.run(argv, timeout_s)

    @staticmethod
    def _cibadmin(*argv: str) -> None:
        done = command.run(("cibadmin", *argv), 10.0)
        if done.code:
            raise ClusterError(done.errors)
