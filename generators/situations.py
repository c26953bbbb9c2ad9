# SPDX-License-Identifier: Apache-2.0
"""Situations an operator may find, as ``muster status`` shows them: docs/situations.md.

What the worker would share comes from the real decision about the facts, never from words written here.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from muster.cli import status
from muster.cli.remedies import Failed
from muster.cli.view import Seen, View, view
from muster.core.cluster_facts import Cluster, Node, Phase, Record
from muster.core.decide import decide
from muster.core.left_behind import LeftBehind
from muster.core.nova_facts import Evacuation, EvacuationStatus, Power, Server, Service
from muster.core.sight import HostSight, Sight
from muster.installation.checkup import CHECKS, examine
from muster.installation.installed import NovaAccess, Resource
from muster.reporting import report
from muster.reporting.documents import Doubt, Heard, Readiness, Shared
from muster.reporting.outlets.readiness import readiness
from muster.reporting.outlets.status import SHARE_AGAIN_S
from tests.fakes import settings
from tests.installation import facts, level
from tests.unit.sights import server_sights

PAGE = Path(__file__).resolve().parents[1] / "docs" / "situations.md"
WIDTH = 110
NOW = 1_800_000_000.0
FENCED = int(NOW) - 45
RUNNING = Resource("muster", active_on=("ctl2",))
ELSEWHERE = tuple(Service(f"u{n}", f"cmp{n}", up=True) for n in (2, 3))
DOWN = Service("u1", "cmp1", False, False, f"muster: fenced at {FENCED}, evacuating", True, FENCED - 3.0)
UP = Service("u1", "cmp1", True, True, "", False, FENCED - 3.0)
IDS = [f"{n:08d}-0f3c-4d1a-9b7e-5a1c2d3e4f50" for n in range(20)]


@dataclass(frozen=True)
class Situation:
    """:param story: how it came about.
    :param answer: what the operator is to type or to do: it has to be on the screen.
    :param reported_s: how long ago the worker has shared its status.
    """

    name: str
    story: str
    answer: tuple[str, ...]
    nodes: tuple[Node, ...] = ()
    hosts: dict[str, HostSight] = field(default_factory=dict)
    resource: Resource = RUNNING
    quorum: bool = True
    failed: tuple[Failed, ...] = ()
    nova_trouble: str = ""
    policy: dict[str, object] = field(default_factory=dict)
    has_worker: bool = True
    rivals: tuple[str, ...] = ()
    under_way: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    reported_s: float = 0.0

    @property
    def now(self) -> float:
        """When the page is looked at."""
        return NOW + self.reported_s

    def view(self) -> View:
        nodes = {f"cmp{n}": Node(f"cmp{n}", remote=True, member=True) for n in (1, 2, 3)}
        nodes.update({node.name: node for node in self.nodes})
        paused = self.resource.paused
        cluster = Cluster(self.quorum, "ctl1", nodes, active_here=True, paused=paused)
        heard = Heard()
        if self.has_worker:
            sight = Sight(NOW, replace(cluster, quorum=True), self.hosts, self.nova_trouble)
            decision = decide(sight, settings(**self.policy))
            told = tuple(report.summary(incident) for incident in decision.incidents.values())
            silent = f"Nova gives no usable answer: {self.nova_trouble}" if self.nova_trouble else ""
            looked = Readiness(NOW - 130.0, len(CHECKS), self.doubts)
            shared = Shared(reason=silent, incidents=told, readiness=looked, at=NOW, again_s=SHARE_AGAIN_S)
            heard = Heard(shared, "ctl2")
        return view(Seen(self.now, cluster, self.resource, self.failed, heard, self.rivals, self.under_way))

    def screen(self, width: int = WIDTH) -> str:
        """What a pipe would get."""
        out = io.StringIO()
        Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(
            status.render(self.view(), self.now)
        )
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def dead(phase: Phase = Phase.EVACUATING, name: str = "cmp1", **facts: object) -> Node:
    hold = phase is not Phase.RETURNING
    return Node(name, remote=True, fenced_at=FENCED, hold=hold, record=Record(phase, FENCED, FENCED), **facts)  # type: ignore[arg-type]


def server(n: int, name: str, vm_state: str = "active", host: str = "cmp1", **facts: object) -> Server:
    return Server(IDS[n], host, vm_state, name=name, updated=FENCED - 500.0, **facts)  # type: ignore[arg-type]


def evacuation(n: int, status: EvacuationStatus, dest: str = "cmp2", at: float = FENCED + 5.0) -> Evacuation:
    return Evacuation(str(n), IDS[n], "cmp1", status, dest, at, at + 8)


def seen(
    *servers: Server, evacuations: tuple[Evacuation, ...] = (), service: Service = DOWN, **facts: object
) -> HostSight:
    return HostSight(
        services=(service, *ELSEWHERE),
        servers=server_sights(
            servers,
            evacuations,
            at_rest={s.id: Power.STOPPED if s.vm_state == "stopped" else Power.RUNNING for s in servers},
        ),
        first_listed_at=NOW - 20,
        listed_at=NOW - 1,
        **facts,  # type: ignore[arg-type]
    )


DONE = EvacuationStatus.DONE
ARRIVED = [server(n, f"web-{n}", host="cmp2") for n in range(4)]
ARRIVALS = tuple(evacuation(n, DONE) for n in range(4))

REFUSED = "Keystone refuses muster's user: The request you have made requires authentication. (HTTP 401)"
UNREADY = readiness(
    examine(facts({"nova": NovaAccess(trouble=REFUSED)}, levels=level("cmp1", "power-cmp1,muster-fence"))), NOW
)

SITUATIONS = (
    Situation("All is well", "Nobody died.", ()),
    Situation(
        "Nobody died, but muster is not ready",
        "The password of muster's user was changed, and a fencing level is gone: the next dead host would not be helped.",
        ("muster doctor",),
        doubts=UNREADY.doubts,
    ),
    Situation(
        "A host died and the work is under way",
        "cmp1 lost its power. Two of its servers are still on their way.",
        (),
        (dead(),),
        {
            "cmp1": seen(
                *ARRIVED,
                server(4, "db-1"),
                server(5, "db-2"),
                evacuations=(*ARRIVALS, *(evacuation(n, EvacuationStatus.PRE_MIGRATING, at=NOW - 4) for n in (4, 5))),
            )
        },
    ),
    Situation(
        "A server cannot be evacuated in its state",
        "One of the servers was paused when its host died. The others are safe, the host may return.",
        (f"openstack server set --state active --auto-approve {IDS[6]}", f"muster retry {IDS[6]}"),
        (dead(Phase.RETURNING),),
        {"cmp1": seen(*ARRIVED, server(6, "build-7", "paused"), evacuations=ARRIVALS)},
    ),
    Situation(
        "No room",
        "The cloud is full. muster tries the server again by itself; you have to make room.",
        (f"muster retry {IDS[7]}",),
        (dead(),),
        {
            "cmp1": seen(
                *ARRIVED,
                server(7, "big-db", "error", fault="No valid host was found. There are not enough hosts available."),
                evacuations=(*ARRIVALS, evacuation(7, EvacuationStatus.ERROR, "", at=NOW - 12)),
            )
        },
    ),
    Situation(
        "Every try failed",
        "The rebuild failed three times on another host; Nova's own words say why.",
        (f"muster retry {IDS[8]}",),
        (dead(),),
        {
            "cmp1": seen(
                *ARRIVED,
                server(8, "app-3", "error", fault="Cinder could not attach volume 9d1c"),
                server(9, "app-4"),
                evacuations=(
                    *ARRIVALS,
                    *(replace(evacuation(8, EvacuationStatus.FAILED), id=f"8{n}", dest="") for n in range(3)),
                    evacuation(9, EvacuationStatus.PRE_MIGRATING, at=NOW - 3),
                ),
            )
        },
    ),
    Situation(
        "A rebuild hangs",
        "cmp2 took a server twenty minutes ago and does not say anything of it. It may still come up there.",
        ("nova-compute's log on cmp2", "pcs stonith fence cmp2"),
        (dead(),),
        {
            "cmp1": seen(
                *ARRIVED,
                server(10, "mail"),
                evacuations=(*ARRIVALS, evacuation(10, EvacuationStatus.PRE_MIGRATING, at=NOW - 1200)),
            )
        },
    ),
    Situation(
        "Too many hosts at once",
        "A switch failed and Pacemaker fenced two hosts; only one may be dead at once here.",
        ("muster approve cmp1", "muster approve cmp2", "max_failed_hosts=2"),
        (dead(Phase.FENCED), dead(Phase.FENCED, "cmp2")),
        {"cmp1": seen(*ARRIVED[:0], service=UP), "cmp2": seen(service=UP)},
        policy={"max_failed_hosts": 1},
    ),
    Situation(
        "The power device lied",
        "It said that cmp1 is off; its nova-compute went on writing to Nova.",
        ("pcs stonith fence cmp1", "muster confirm cmp1"),
        (dead(),),
        {
            "cmp1": seen(
                server(11, "web"),
                evacuations=(evacuation(11, EvacuationStatus.PRE_MIGRATING, at=NOW - 8),),
                heartbeat_after_fencing=True,
            )
        },
    ),
    Situation(
        "Fencing is under way",
        "cmp1 has just died, and Pacemaker cuts its power.",
        ("its fencing is under way",),
        failed=(Failed("cmp1", "pending", lost_s=3.0),),
    ),
    Situation(
        "Fencing fails",
        "cmp1 does not answer, and neither does its power device.",
        ("make sure that the machine is off", "pcs stonith confirm cmp1", "pcs stonith history show cmp1"),
        failed=(Failed("cmp1", "failed", lost_s=95.0),),
    ),
    Situation(
        "Nova does not answer",
        "The API is down in the middle of an incident.",
        ("continues by itself",),
        (dead(),),
        {"cmp1": seen(*ARRIVED, server(12, "web-9"), evacuations=ARRIVALS)},
        nova_trouble="GET /os-services: 503 Service Unavailable",
    ),
    Situation(
        "The resource is disabled",
        "Somebody disabled muster for maintenance and forgot it; cmp1 has died since.",
        ("pcs resource enable muster",),
        (dead(Phase.FENCED),),
        resource=Resource("muster", meta={"target-role": "Stopped"}),
        has_worker=False,
    ),
    Situation(
        "The worker cannot start",
        "The password file was deleted on the controllers.",
        ("pcs resource cleanup muster", "clouds.yaml"),
        (dead(Phase.FENCED),),
        resource=Resource(
            "muster",
            failures={"ctl1": "start: clouds_file='/etc/muster/clouds.yaml': No such file or directory: put it there"},
        ),
        has_worker=False,
    ),
    Situation(
        "The worker hangs",
        "Somebody took the resource out of Pacemaker's hands for maintenance, so that nothing restarts the worker.",
        ("pcs resource manage muster",),
        (dead(),),
        {"cmp1": seen(*ARRIVED, server(15, "web-15"), evacuations=ARRIVALS)},
        resource=replace(RUNNING, meta={"is-managed": "false"}),
        reported_s=250.0,
    ),
    Situation(
        "The worker waits for Pacemaker",
        "The controller of the worker was restarted while cmp1 was off; Pacemaker is trying to reach cmp1 first.",
        ("start of cmp1 on ctl3",),
        (dead(),),
        has_worker=False,
        resource=Resource("muster"),
        under_way=("start of cmp1 on ctl3",),
    ),
    Situation(
        "It was paused",
        "A colleague paused muster during a change of the network.",
        ("muster resume",),
        (dead(),),
        {"cmp1": seen(server(13, "web-13"), server(14, "web-14"))},
        resource=replace(RUNNING, paused="alice"),
    ),
    Situation(
        "Everybody is safe, the host is still off",
        "The incident is settled; cmp1 waits in its rack.",
        ("power it on",),
        (dead(Phase.RETURNING),),
        {"cmp1": seen(*ARRIVED, evacuations=ARRIVALS)},
    ),
    Situation(
        "The host is on again, its nova-compute is not",
        "cmp1 joined the cluster an hour ago.",
        ("systemctl status '*nova*compute*'",),
        (Node("cmp1", True, member=True, record=Record(Phase.RETURNING, FENCED - 4000, FENCED - 4000)),),
        {"cmp1": seen(*ARRIVED, evacuations=ARRIVALS)},
    ),
    Situation(
        "Another tool evacuates, too",
        "NovaEvacuate was there before; nobody stopped it when muster was started.",
        ("nova-evacuate", "muster doctor"),
        rivals=("nova-evacuate",),
    ),
    Situation(
        "Not switched yet",
        "muster is prepared, and the old tool is in charge.",
        ("nova-evacuate may evacuate", "muster doctor"),
        rivals=("nova-evacuate",),
        resource=Resource("muster", meta={"target-role": "Stopped"}),
        has_worker=False,
    ),
    Situation(
        "The host is back, and some of its servers were held",
        "cmp1 was repaired before anybody had looked at the three that could not be evacuated.",
        ("muster report cmp1", "muster acknowledge cmp1"),
        (Node("cmp1", True, member=True, left=LeftBehind(int(NOW) - 600, tuple(IDS[:3]))),),
    ),
    Situation(
        "This controller is cut off",
        "The other two controllers work on without it.",
        ("pcs quorum status", "another controller"),
        (dead(Phase.FENCED),),
        quorum=False,
        has_worker=False,
        resource=Resource("muster", active_on=("ctl1",)),
    ),
)


def page() -> str:
    """The document, with times of no particular place."""
    zone = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        return "\n".join(_lines())
    finally:
        del os.environ["TZ"]
        os.environ.update({"TZ": zone} if zone is not None else {})
        time.tzset()


def _lines() -> Iterator[str]:
    yield "# What you find, and what you do"
    yield ""
    yield "`muster status`, as it looks in situations that happen. What to do stands under TO DO, with the command to type."
    yield "This page is made by `./generate` from the rules that also decide in an incident."
    for it in SITUATIONS:
        yield ""
        yield f"## {it.name}"
        yield ""
        yield it.story
        yield ""
        yield "```"
        yield f"# muster status; echo $?\n{it.screen()}\n{status.EXIT_OF_LEVEL[it.view().level]}"
        yield "```"
    yield ""


def pages() -> dict[Path, str]:
    return {PAGE: page()}
