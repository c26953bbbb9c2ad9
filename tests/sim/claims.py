# SPDX-License-Identifier: Apache-2.0
"""What muster says, compared with what is true: verdicts, and the reasons for leaving a server behind."""

from __future__ import annotations

from collections.abc import Iterable

from muster.core.bounds import SKEW_S
from muster.core.decide import Incident
from muster.core.findings import Finding, Verdict
from muster.core.nova_facts import Power
from muster.core.server_case import POWER_OF_STATE
from tests.sim.inventory import Instance, Row
from tests.sim.parts import Process, World

SERVER_GRACE_S = 14.0
"""Changed servers are listed every 10 s."""


class Claims:
    """:ivar violations: one line each, beginning with the invariant's number.
    :ivar refusals: when Nova has refused to evacuate a server.
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.world: World = None  # type: ignore[assignment]
        self.states: dict[str, Incident] = {}
        self.refusals: dict[str, list[float]] = {}

    def blame(self, invariant: str, what: str) -> None:
        line = f"{invariant}: {what}"
        if line not in self.violations:
            self.violations.append(line)
            self.world.say(f"VIOLATION {line}")

    def note_arrival(self, inst: Instance) -> None:
        """Called at each change of a server: remembers every moment at which `evacuated` would have been true.

        The power state is right if its owner last asked for it; or it was stopped before, and is.
        """
        for row in self.world.cloud.rows_of[inst.id]:
            arrived = row.status in ("done", "completed") and row.dest == inst.host != row.source
            # Where its action log is not given, nobody can know more than what it was, stopped or not.
            withheld = inst.id in self.world.cloud.withheld
            kept = inst.vm_state == row.was and (row.was == "stopped" or withheld)
            as_it_was = kept and inst.asked_at < row.accepted_at - SERVER_GRACE_S
            # What is asked for right before or during it nobody knows in time, and Nova itself loses it.
            under_way = row.accepted_at - SERVER_GRACE_S <= inst.asked_at <= row.arrived_at
            right = POWER_OF_STATE.get(inst.vm_state) is inst.wanted or as_it_was or under_way
            if arrived and not inst.task and right:
                inst.arrivals.add((row.source, inst.host))

    def heard(self, process: Process, incidents: Iterable[Incident]) -> None:
        """Invariant 6, and that nobody living is called gone."""
        for incident in incidents:
            self.states[incident.node] = incident
            for ident, finding in incident.findings.items():
                if finding.verdict is Verdict.EVACUATED:
                    self._check_evacuated(process, ident, finding)
                elif finding.verdict is Verdict.GONE and not self.world.cloud.instances[ident].deleted:
                    self.blame("7", f"{ident} called gone, but it is there")

    def _check_evacuated(self, process: Process, ident: str, finding: Finding) -> None:
        key = (finding.source, ident)
        if key in process.believed:
            return
        process.believed.add(key)
        inst = self.world.cloud.instances[ident]
        self.note_arrival(inst)  # a row may have been completed since, without a change of the server
        if (finding.source, finding.server.host) not in inst.arrivals:
            self.blame("6", f"{ident} called evacuated ({finding.reason}): {self.told(inst)}")

    def _compare(self, inst: Instance, finding: Finding) -> None:
        """A hold or a skip has to be true: nobody is to be left behind for a reason that does not exist."""
        if finding.verdict.open:
            self.blame("7", f"{inst.id} is {finding.verdict.value} at the release of its host")
        check = getattr(self, "_true_" + finding.rule.replace("-", "_"), None)
        if check is not None and not inst.deleted and not check(inst, finding):
            self.blame("7", f"{inst.id} {finding.verdict.value} by {finding.rule}, untrue: {self.told(inst)}")

    def told(self, inst: Instance) -> str:
        rows = ", ".join(f"{r.id} {r.status} {r.source}->{r.dest} by {r.by}" for r in self.world.cloud.rows_of[inst.id])
        return f"{inst.vm_state}/{inst.task or '-'} on {inst.host}, wanted {inst.wanted.value}, evacuations [{rows}]"

    def _true_arrived_otherwise(self, inst: Instance, finding: Finding) -> bool:
        if self.world.now - inst.asked_at < SERVER_GRACE_S or inst.id in self.world.cloud.withheld:
            return True
        return POWER_OF_STATE.get(inst.vm_state) is not inst.wanted or bool(inst.task)

    def _true_completed_but_not_moved(self, inst: Instance, finding: Finding) -> bool:
        return inst.host == finding.source

    def _true_cell_silent(self, inst: Instance, finding: Finding) -> bool:
        return self.world.cloud.silent(inst.host)

    def _true_call_vanished(self, inst: Instance, finding: Finding) -> bool:
        return not self.world.cloud.rows_of[inst.id]

    def _true_forbidden(self, inst: Instance, finding: Finding) -> bool:
        return inst.injected > 0

    def _true_owner_unknown(self, inst: Instance, finding: Finding) -> bool:
        return inst.wanted is Power.UNKNOWN or inst.id in self.world.cloud.withheld

    def _true_delete_unfinished(self, inst: Instance, finding: Finding) -> bool:
        return inst.task == "deleting"

    def _true_would_be_empty(self, inst: Instance, finding: Finding) -> bool:
        return bool(inst.image) and not self.world.policy.shared_storage

    def _true_moved_by_hand(self, inst: Instance, finding: Finding) -> bool:
        rows = self.world.cloud.rows_of[inst.id]
        just_arrived = any(r.dest == inst.host and self.world.now - r.arrived_at < SERVER_GRACE_S for r in rows)
        if just_arrived and finding.server.host not in (inst.host, finding.source):
            return True  # where it was read: another incident has brought it back to where this one had
        return inst.host != finding.source and not any(
            r.source == finding.source and r.dest == inst.host and r.status in ("done", "completed") and self._listed(r)
            for r in rows
        )

    def _listed(self, row: Row) -> bool:
        """The conductor may have taken the row of an earlier incident (facts.md N32), which is not looked for."""
        record = self.world.site.nodes[row.source].record
        return record is None or row.created >= record.first - SKEW_S

    def _true_opted_out(self, inst: Instance, finding: Finding) -> bool:
        return inst.mark == "false"

    def _true_never_launched(self, inst: Instance, finding: Finding) -> bool:
        return not inst.launched
