# SPDX-License-Identifier: Apache-2.0
"""Random small clouds on real Nova and placement: what would become of each server, and what does.

``python -m tests.capacity.on_nova FIRST LAST [FILE]`` plays so many, one after another, and appends a line of JSON each.
"""

from __future__ import annotations

import collections
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from muster.core.nova_facts import Server
from muster.core.sequence import sequence
from muster.gateways.nova.scheduling import NovaScheduling, PlacementOffers
from muster.planning.answer import Fleet, in_use
from muster.planning.cloud import likely
from muster.planning.hosts import hosts as known_hosts
from muster.planning.inquiry import ask_terms
from muster.planning.packing import Fate, fates
from muster.planning.terms import Placing
from tests.bed.nova.client import NovaBed
from tests.rig import Rig

EIGHT = [f"cmp{n}" for n in range(1, 9)]
FLAVORS = {"s": (1, 512, 1), "m": (1, 1024, 5), "c": (4, 1024, 2), "l": (2, 2048, 10), "d": (1, 512, 40)}
OVERCOMMIT, RESERVED_MB = 4, 512
"""initial_cpu_allocation_ratio and reserved_host_memory_mb, by default."""


@dataclass
class Played:
    """One cloud: by server, what was said and what came of it."""

    seed: int
    hosts: int
    dead: list[str]
    requests: int = 0
    seconds: float = 0.0
    servers: list[dict[str, Any]] = field(default_factory=list)


def play(bed: NovaBed, directory: Path, seed: int) -> Played:
    """Make the cloud, ask, cut the power of some hosts, and see."""
    began = time.monotonic()
    dice = random.Random(seed)
    used = bed.hosts[: dice.randint(min(4, len(bed.hosts)), len(bed.hosts))]
    for host in bed.hosts[len(used) :]:
        assert bed.update_service(host, status="disabled").status == 200
    zones = _zones(bed, dice, used)
    _servers(bed, dice, used, zones)
    _sizes(bed, dice, used)
    if dice.random() < 0.2:
        assert bed.update_service(dice.choice(used), status="disabled").status == 200
    dead = _dead(bed, dice, used)
    it = Rig(bed, bed.clouds_yaml(directory / "clouds.yaml"), retry_delay_s=3, max_failed_hosts="8", in_flight="10")
    played = Played(seed, len(used), dead)
    played.servers, played.requests = _said(it, dead)
    _happens(it, dead, played)
    played.seconds = round(time.monotonic() - began, 1)
    return played


def _dead(bed: NovaBed, dice: random.Random, used: Sequence[str]) -> list[str]:
    """One to three hosts, the first of them with servers."""
    rows = bed.ctl("sql", query="select distinct host from instances where deleted=0 order by host")
    first = dice.choice([row["host"] for row in rows])
    others = [host for host in used if host != first]
    return sorted([first, *dice.sample(others, min(dice.choice((0, 0, 1, 1, 2)), len(others) - 1))])


# ------------------------------------------------------------------- the cloud


def _zones(bed: NovaBed, dice: random.Random, used: Sequence[str]) -> dict[str, str]:
    """By host its zone: none, or two of them, and some hosts in neither."""
    if dice.random() < 0.5:
        return {}
    at: dict[str, str] = {}
    for zone in ("az1", "az2"):
        made = bed.api("POST", "/os-aggregates", {"aggregate": {"name": zone, "availability_zone": zone}}, "2.41")
        ident = made.json["aggregate"]["id"]
        for host in [name for name in used if name not in at and dice.random() < 0.5]:
            assert bed.api("POST", f"/os-aggregates/{ident}/action", {"add_host": {"host": host}}).status == 200
            at[host] = zone
    return at


def _servers(bed: NovaBed, dice: random.Random, used: Sequence[str], zones: dict[str, str]) -> None:
    names = dice.sample(sorted(FLAVORS), dice.randint(1, 3))
    for name in names:
        vcpus, ram, disk = FLAVORS[name]
        flavor = {"name": name, "id": name, "ram": ram, "vcpus": vcpus, "disk": disk}
        assert bed.api("POST", "/flavors", {"flavor": flavor}).status in (200, 409)
    groups = {
        policy: _group(bed, policy)
        for policy in ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
        if dice.random() < 0.25
    }
    together = dice.choice(used)
    busy = dice.choice((2, 3, 4, 5))
    for host in used:
        grouped: set[str] = set()
        for _ in range(dice.randint(host == used[0], busy)):
            more: dict[str, Any] = {}
            if zones.get(host) and dice.random() < 0.7:
                more["availability_zone"] = zones[host]
            policy = dice.choice([*groups, "", "", ""])
            fits = policy.startswith("soft") or policy not in grouped
            if policy and fits and (policy != "affinity" or host == together):
                more["scheduler_hints"] = {"group": groups[policy]}
                if policy == "anti-affinity":
                    grouped.add(policy)
            bed.boot(host, flavor=dice.choice(names), volume=dice.random() < 0.2, **more)


def _group(bed: NovaBed, policy: str) -> str:
    made = bed.api("POST", "/os-server-groups", {"server_group": {"name": policy, "policy": policy}}, "2.64")
    return str(made.json["server_group"]["id"])


def _sizes(bed: NovaBed, dice: random.Random, used: Sequence[str]) -> None:
    """Every host becomes as large as what it has on it and room for a few more; some have none."""
    query = "select host, vcpus, memory_mb, root_gb from instances where deleted=0"
    taken = {host: [0, 0, 0] for host in used}
    for row in bed.ctl("sql", query=query):
        for at, key in enumerate(("vcpus", "memory_mb", "root_gb")):
            taken[row["host"]][at] += row[key]
    for host in used:
        vcpus, memory_mb, disk_gb = taken[host]
        for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4))):
            size = FLAVORS[dice.choice(sorted(FLAVORS))]
            vcpus, memory_mb, disk_gb = vcpus + size[0], memory_mb + size[1], disk_gb + size[2]
        # No less than a server has: what it has on its old host is claimed once more with the new, and checked.
        cpus = max(4, -(-vcpus // OVERCOMMIT))
        bed.ctl("resize", host=host, vcpus=cpus, memory_mb=memory_mb + RESERVED_MB, local_gb=max(1, disk_gb))


# ------------------------------------------------------------ said, and done


def _said(it: Rig, dead: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    policy = it.policy
    nova = NovaScheduling(policy.cloud, str(it.clouds_file), policy.shared_storage, policy.nova_api_version)
    services = nova.services()
    known = known_hosts(it.cluster.look(), services, {}, {})
    fleet = Fleet(known, nova.servers(), {}, policy, time.time())
    terms = ask_terms(nova, PlacementOffers(nova.login), services, fleet.leaving)
    placing = Placing(terms, fleet.servers, in_use(services), {})
    cloud = placing.cloud(fleet.leaving, fleet.doubtful)
    fate = fates(cloud, dead)
    turns = sequence([server for server in fleet.leaving if server.host in dead], "evacuate_priority")
    guests = {guest.id: guest for guest in cloud.of(dead)}
    dest = likely(cloud, dead, [guests[server.id] for server in turns])
    return [_row(server, fate[server.id], dest[server.id], guests[server.id].unjudged) for server in turns], (
        nova.requests_made()
    )


def _row(server: Server, fate: Fate, dest: str, why: str) -> dict[str, Any]:
    return {"id": server.id, "host": server.host, "fate": fate.value, "likely": dest, "why": why}


def _happens(it: Rig, dead: Sequence[str], played: Played) -> None:
    for host in dead:
        it.fence(host)
    ids = [row["id"] for row in played.servers]
    verdicts = {"evacuated", "parked", "held"}
    it.run_until(lambda: all(it.entry(uuid).get("verdict") in verdicts for uuid in ids), 90)
    promised = [row["id"] for row in played.servers if row["fate"] == Fate.SAVED.value]
    if any(it.entry(uuid)["verdict"] != "evacuated" for uuid in promised):
        # Two of a group that keeps its servers apart may be sent to one host at the same time: one is refused there.
        end = time.monotonic() + 20
        while time.monotonic() < end and any(it.entry(uuid)["verdict"] != "evacuated" for uuid in promised):
            it.step()
    for row in played.servers:
        entry = it.entry(row["id"])
        row.update(verdict=entry["verdict"], to=entry.get("dest", ""), tries=entry.get("tries"), reason=entry["reason"])


# -------------------------------------------------------------------- counting


def summary(clouds: Sequence[Played]) -> dict[str, Any]:
    """``broken``: promised and not evacuated.  ``wrong``: what else came otherwise than said, or than was likely."""
    rows = [(one.seed, row) for one in clouds for row in one.servers]
    counted: collections.Counter[str] = collections.Counter()
    broken, wrong = [], []
    for seed, row in rows:
        evacuated = row["verdict"] == "evacuated"
        said = {Fate.SAVED.value: True, Fate.LOST.value: False}.get(row["fate"], bool(row["likely"]))
        counted[f"{row['fate']}, {'evacuated' if evacuated else 'not'}"] += 1
        if row["fate"] == Fate.SAVED.value and not evacuated:
            broken.append((seed, row))
        elif row["fate"] != Fate.UNJUDGED.value and said is not evacuated:
            wrong.append((seed, row))
    return {"clouds": len(clouds), "servers": len(rows), "counted": dict(counted), "broken": broken, "wrong": wrong}


def _many(first: int, last: int, file: Path) -> Iterator[Played]:
    with NovaBed.start(hosts=EIGHT) as bed, tempfile.TemporaryDirectory() as place:
        for seed in range(first, last):
            bed.reset()
            played = play(bed, Path(place), seed)
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(played)) + "\n")
            yield played


def main(first: int, last: int, name: str) -> int:
    clouds = []
    for played in _many(first, last, Path(name)):
        clouds.append(played)
        print(f"{played.seed}: {len(played.servers)} servers, {played.seconds} s", flush=True)
    found = summary(clouds)
    print(json.dumps(found, indent=1))
    return int(bool(found["broken"]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ".cache/capacity.jsonl"))
