# SPDX-License-Identifier: Apache-2.0
"""The demo: twelve servers on a host whose power is cut.  Exit 0 only if everything that it shows is true."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests.bed.cloud import Cloud

HOST = "cmp1"
COLOURS = {"evacuated": "green", "evacuating": "yellow", "queued": "dim", "held": "magenta", "parked": "red"}
LIMIT_S = 120.0


class Demo:
    def __init__(self, cloud: Cloud, console: Console) -> None:
        self.cloud = cloud
        self.console = console
        self.began = time.monotonic()
        self.servers: dict[str, str] = {}
        self.said: dict[str, str] = {}

    def say(self, text: str) -> None:
        self.console.print(f"[bold cyan]{time.monotonic() - self.began:6.1f} s[/]  {text}", highlight=False)

    def boot(self) -> None:
        """Twelve servers on one host: ten run, one is stopped, one is paused; two have a priority."""
        nova = self.cloud.nova
        for name, count, extra in (
            ("db", 1, {"metadata": {"evacuate_priority": "900"}}),
            ("queue", 1, {"metadata": {"evacuate_priority": "500"}}),
            ("web", 10, {}),
        ):
            for uuid in nova.boot(HOST, count=count, name=name, **extra):
                self.servers[uuid] = name
        plain = [uuid for uuid, name in self.servers.items() if name == "web"]
        self.stopped, self.paused = plain[-2], plain[-1]
        nova.action(self.stopped, "os-stop")
        nova.action(self.paused, "pause")
        wanted = {self.stopped: "stopped", self.paused: "paused"}
        nova.wait_until(lambda: all(self.nova_state(u)[1] == s for u, s in wanted.items()), 30)

    def nova_state(self, uuid: str) -> tuple[str, str]:
        """Host and vm_state straight from Nova's database: not what muster says."""
        row = self.cloud.nova.ctl("sql", query=f"select host, vm_state from instances where uuid='{uuid}'")[0]
        return row["host"], row["vm_state"]

    def watch(self, until: Any, what: str) -> None:
        """Show the incident as it moves, until the condition holds."""
        end = time.monotonic() + LIMIT_S
        if self.console.is_terminal:
            with Live(self.table(), console=self.console, refresh_per_second=4, transient=True) as live:
                while not until() and time.monotonic() < end:
                    live.update(self.table())
                    time.sleep(0.2)
        else:
            while not until() and time.monotonic() < end:
                self.lines()
                time.sleep(0.2)
            self.lines()
        if not until():
            raise SystemExit(f"FAILED: after {LIMIT_S:.0f} s this is not true yet: {what}")

    def lines(self) -> None:
        report = self.cloud.report(HOST)
        for key, text in [
            ("incident", f"{HOST}: {report.get('state')}: {report.get('reason')}" if report else ""),
            *(
                (e["id"], f"{e['name']:8} {e['verdict']:11} {e['reason']}")
                for e in sorted(report.get("proofs", ()), key=self.place)
            ),
        ]:
            state = text.split(" for ")[0]
            if text and self.said.get(key) != state:
                self.said[key] = state
                self.say(text)

    def table(self) -> Table:
        report = self.cloud.report(HOST)
        title = f"{HOST}: {report.get('state', 'fencing')}: {report.get('reason', '')}"
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in ("server", "verdict", "from", "to", "state", "seconds", "request"):
            table.add_column(column)
        for entry in sorted(report.get("proofs", ()), key=self.place):
            colour = COLOURS.get(entry["verdict"], "white")
            seconds = "" if entry["seconds_since_fencing"] is None else str(entry["seconds_since_fencing"])
            held = entry["reason"] if entry["verdict"] in ("held", "parked") else entry["request_id"]
            table.add_row(
                entry["name"],
                f"[{colour}]{entry['verdict']}[/]",
                entry["from"],
                entry["to"],
                entry["state"],
                seconds,
                held,
            )
        return table

    def place(self, entry: Any) -> int:
        """In the order in which they were to be evacuated: as booted, for the priorities come first."""
        return list(self.servers).index(entry["id"]) if entry["id"] in self.servers else len(self.servers)

    def faults(self) -> list[str]:
        """What is not as it should be, checked against Nova's database and the bed's oracle."""
        proofs = {e["id"]: e for e in self.cloud.report(HOST).get("proofs", ())}
        wrong = [f"{name} has no verdict" for uuid, name in self.servers.items() if uuid not in proofs]
        for uuid, entry in proofs.items():
            host, state = self.nova_state(uuid)
            expected = ("held", HOST, "paused") if uuid == self.paused else ("evacuated", entry["to"], "active")
            if uuid == self.stopped:
                expected = ("evacuated", entry["to"], "stopped")
            if (entry["verdict"], host, state) != expected or (uuid != self.paused and host == HOST):
                wrong.append(f"{entry['name']}: {entry['verdict']}, in Nova {state} on {host}; expected {expected}")
            if entry["verdict"] == "evacuated" and not entry["request_id"]:
                wrong.append(f"{entry['name']} has no request id")
        if len(self.cloud.nova.evacuations()) != len(self.servers) - 1:
            wrong.append(
                f"Nova received {len(self.cloud.nova.evacuations())} evacuate calls, expected {len(self.servers) - 1}"
            )
        mine = self.cloud.nova.service(HOST)
        if (mine["state"], mine["status"], mine["forced_down"]) != ("up", "enabled", False):
            wrong.append(f"{HOST} is not back in service: {mine}")
        return [*wrong, *self.cloud.nova.violations()]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="demo",
        description="Cuts the power of a host with twelve servers, and checks that each comes up elsewhere.",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the cluster and Nova running, and print commands to try"
    )
    parser.add_argument("--down", action="store_true", help="stop the cluster and Nova that --keep left running")
    options = parser.parse_args()
    keep = options.keep
    ended = Cloud.end("demo")
    if options.down:
        print("The demo is stopped." if ended else "No demo is running.")
        return 0
    console = Console(width=None if sys.stdout.isatty() else 160)
    began = time.monotonic()
    console.print("[bold]muster[/]: starting a real Nova, and Pacemaker on three controllers and three computes")
    cloud = Cloud(name="demo", keep=keep)
    try:
        demo = Demo(cloud, console)
        demo.began = began
        demo.say(
            "Pacemaker and Nova are running. Setting muster up: pcs stonith create, stonith level add, resource create"
        )
        cloud.ctl("pcs", "property", "set", "stonith-action=off")
        cloud.install()
        demo.say(f"The worker is running on {cloud.worker_node()}. Booting 12 servers on {HOST}")
        demo.boot()
        demo.say(f"[bold red]Cutting the power of {HOST}[/]")
        cloud.cluster.crash(HOST)
        demo.watch(lambda: cloud.report(HOST).get("state") in ("settled", "returning"), "every server has an outcome")
        demo.say(f"Every server has an outcome. [bold green]Powering {HOST} on again[/]")
        cloud.cluster.power(HOST, "on")
        demo.watch(lambda: cloud.record(HOST) is None, "the host is back in service")
        demo.say(f"{HOST} is back in service. This happened to its servers:")
        console.print(demo.table())
        faults = demo.faults()
        for fault in faults:
            console.print(f"[bold red]WRONG[/] {fault}", highlight=False)
        if keep:
            console.print(KEPT.replace("WORKER", str(cloud.worker_node())), highlight=False)
        console.print(
            "FAILED" if faults else "PASSED: Nova's database agrees, and no call to Nova broke a rule", style="bold"
        )
        return 1 if faults else 0
    finally:
        if not keep:
            cloud.stop()


KEPT = """
The cluster and Nova keep running. Commands to try:
  .venv/bin/python -m tests.bed.cluster exec --name demo ctl1 pcs status --full
  .venv/bin/python -m tests.bed.cluster crash --name demo cmp2
  .venv/bin/python -m tests.bed.cluster exec --name demo WORKER tail -f /run/muster/muster.out
  .venv/bin/python -m tests.bed.cluster power --name demo cmp2 on
  ./demo --down
"""

if __name__ == "__main__":
    sys.exit(main())
