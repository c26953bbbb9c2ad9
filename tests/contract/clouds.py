# SPDX-License-Identifier: Apache-2.0
"""The simulated and the real Nova behind the same verbs: what befalls a cloud, and the port that is to tell of it.

What is not the same, and why it may stay so:

- The simulated Nova can be made worse than the real one: answers up to 5 s old, lists without half of what they have,
  requests carried out 25 s after their sender died or gave up.
- It answers no request for a server of a silent cell.  The real one answers those that need that server's row only, if the
  cell's database is merely too slow for lists.
- It refuses every state alike with 409.  The real one says 400 to what is shelved and offloaded, which muster never sends.
- Of a first evacuation that a second one overtakes before the hypervisor is asked, the simulated one makes two that run; the
  real one fails the first ("unexpected task state").
- It enables and disables any service at once.  The real one waits for a nova-compute that it takes for alive (facts.md N21);
  muster gives up after 30 s and looks, as after any lost reply.
- Its refusals have no request id, which is for people only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Protocol

from muster.core.ports import NovaPort
from muster.gateways.nova.compute import Nova
from tests.bed.nova.client import NovaBed
from tests.sim.gateways import NovaGateway
from tests.sim.process import Process
from tests.sim.world import World

HOSTS = ("cmp1", "cmp2", "cmp3")
OTHERS = HOSTS[1:]
WITHIN_S = 30.0
SIMULATED_WITHIN_S = 300.0


class Cloud(Protocol):
    """Three hosts.  ``cmp1`` is the one that dies."""

    nova: NovaPort

    def now(self) -> float: ...
    def until(self, condition: Callable[[], object]) -> None: ...
    def boot(self, host: str = "cmp1", **metadata: str) -> str: ...
    def boot_from_a_marked_image(self) -> str: ...
    def bend(self, server: str, vm_state: str, launched: bool = True) -> None: ...
    def owner_does(self, what: str, server: str) -> None: ...
    def operator_disables(self, host: str, reason: str) -> None: ...
    def operator_enables(self, host: str) -> None: ...
    def power_off(self, host: str) -> None: ...
    def power_on(self, host: str) -> None: ...
    def rebuilds(self, end: str) -> None: ...
    def conductor(self, up: bool) -> None: ...
    def cell(self, answers: bool) -> None: ...
    def api(self, up: bool) -> None: ...
    def lose_reply(self, after: bool) -> None: ...
    def garble(self, server: str, rows: str) -> None: ...


class Idle(Process):
    """A worker that has its ports and does nothing by itself."""

    def _pass(self) -> None:
        pass


class SimulatedCloud:
    """The world of tests/sim."""

    def __init__(self) -> None:
        self._world = World(1, HOSTS, {}, 0.0)
        self._cloud = self._world.cloud
        self._world.current = Idle(self._world, "ctl1")
        self.nova: NovaPort = NovaGateway(self._world.current)

    def now(self) -> float:
        return self._world.now

    def until(self, condition: Callable[[], object]) -> None:
        end = self._world.now + SIMULATED_WITHIN_S
        while not condition():
            assert self._world.now < end, f"not within {SIMULATED_WITHIN_S} s"
            self._world.run_for(0.1)

    def boot(self, host: str = "cmp1", **metadata: str) -> str:
        return self._cloud.add_server(f"s{len(self._cloud.instances)}", host, metadata=metadata).id

    def boot_from_a_marked_image(self) -> str:
        return self._cloud.add_server(f"s{len(self._cloud.instances)}", "cmp1", image="image-1", mark="true").id

    def bend(self, server: str, vm_state: str, launched: bool = True) -> None:
        inst = self._cloud.instances[server]
        inst.vm_state, inst.launched = vm_state, launched
        self._cloud.touch(inst)

    def owner_does(self, what: str, server: str) -> None:
        getattr(self._cloud, what)(server, **({"by": "owner"} if what == "stop" else {}))

    def operator_disables(self, host: str, reason: str) -> None:
        self._cloud.disable(host, reason, by="operator")

    def operator_enables(self, host: str) -> None:
        self._cloud.force_up(f"service-{host}", unforce=False, enable=True, by="operator")

    def power_off(self, host: str) -> None:
        self._cloud.rebuild.power_cut(host)

    def power_on(self, host: str) -> None:
        self._cloud.computes[host].powered = True
        self._cloud.rebuild.start_compute(host)

    def rebuilds(self, end: str) -> None:
        odds = self._cloud.odds
        odds.fail, odds.refuse, odds.hang = (float(end == it) for it in ("fail", "refuse", "hang"))
        for row in [row for row in self._cloud.rows if row.stuck and end == "succeed"]:
            self._cloud.rebuild.release_hung(row)

    def conductor(self, up: bool) -> None:
        (self._cloud.start_conductor if up else self._cloud.stop_conductor)()

    def cell(self, answers: bool) -> None:
        self._cloud.silent_cells = set() if answers else {"cell1"}

    def api(self, up: bool) -> None:
        self._world.nova_down = not up

    def lose_reply(self, after: bool) -> None:
        lost = ["lost-after" if after else "lost-before"]
        self._world.faults.draw_write = lambda: lost.pop() if lost else ""  # type: ignore[method-assign]

    def garble(self, server: str, rows: str) -> None:
        self._cloud.garbled.add(f"{rows} {server}")


class RealCloud:
    """Nova in one process, through openstacksdk and novaclient as in production."""

    def __init__(self, bed: NovaBed, directory: Path) -> None:
        self._bed = bed
        clouds = bed.clouds_yaml(directory / "clouds.yaml")
        self.nova: NovaPort = Nova("bed", str(clouds), shared_storage=True, ceiling="2.98")

    def now(self) -> float:
        return time.time()

    def until(self, condition: Callable[[], object]) -> None:
        self._bed.wait_until(condition, WITHIN_S)

    def boot(self, host: str = "cmp1", **metadata: str) -> str:
        return self._bed.boot(host, metadata=metadata)[0]

    def boot_from_a_marked_image(self) -> str:
        return self._bed.boot("cmp1", image_properties={"os_distro": "debian"})[0]

    def bend(self, server: str, vm_state: str, launched: bool = True) -> None:
        self._bed.ctl("set_state", uuid=server, vm_state=vm_state, launched=launched)

    def owner_does(self, what: str, server: str) -> None:
        if what == "delete":
            reply = self._bed.api("DELETE", f"/servers/{server}")
        else:
            reply = self._bed.action(server, f"os-{what}")
        assert reply.status in (202, 204), reply

    def operator_disables(self, host: str, reason: str) -> None:
        assert self._bed.update_service(host, status="disabled", disabled_reason=reason).status == 200

    def operator_enables(self, host: str) -> None:
        assert self._bed.update_service(host, status="enabled").status == 200

    def power_off(self, host: str) -> None:
        self._bed.power_off(host)

    def power_on(self, host: str) -> None:
        self._bed.power_on(host)

    def rebuilds(self, end: str) -> None:
        mode = {"succeed": "ok", "refuse": "ok"}.get(end, end)
        for host in OTHERS:
            self._bed.hypervisor(
                host, spawn_mode=mode, spawn_fail_times=-1, claim_fail_times=9 * (end == "refuse"), release=mode == "ok"
            )

    def conductor(self, up: bool) -> None:
        self._bed.ctl("conductor", up=up)

    def cell(self, answers: bool) -> None:
        self._bed.ctl("silent_cell", on=not answers)

    def api(self, up: bool) -> None:
        self._bed.ctl("http", service="compute", up=up)

    def lose_reply(self, after: bool) -> None:
        for method in ("POST", "PUT"):
            self._bed.fault(method=method, path="/(servers|os-services)/", status=504, after=after, times=1)

    def garble(self, server: str, rows: str) -> None:
        """Nova itself shows what can be read: it is spoiled on the way."""
        assert isinstance(self.nova, Nova)
        login, key = self.nova.login, {"server": "servers", "evacuations": "migrations"}[rows]
        get = login.get

        def spoiled(*args: Any, **options: Any) -> Mapping[str, Any]:
            body = get(*args, **options)
            for row in body.get(key, ()):
                if server in (row["id"], row.get("instance_uuid")):
                    row["status"] = 5
            return body

        login.get = spoiled  # type: ignore[method-assign]
