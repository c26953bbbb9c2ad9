# SPDX-License-Identifier: Apache-2.0
"""What proof costs: muster against a bare loop of evacuate calls, alternately, on the same real Nova.

    .venv/bin/python -m bench.evacuate [--servers 100] [--rounds 2]

The bare loop sends its calls one after another and then polls Nova's database (no API requests) until all servers run
elsewhere.  muster does its whole work: force-down, sequence, proof.  Ratios are of one run; both share two noisy cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bed.nova.client import NovaBed
from tests.rig import Rig


def boot(bed: NovaBed, count: int) -> None:
    (uuid,) = bed.boot("cmp1", count=1)
    if count > 1:
        bed.ctl("clone", uuid=uuid, count=count - 1)


def left(bed: NovaBed) -> int:
    query = "select count(*) n from instances where deleted=0 and (host='cmp1' or task_state is not null)"
    return int(bed.ctl("sql", query=query)[0]["n"])


def bare(count: int) -> tuple[float, float]:
    """Seconds from the first call until all run elsewhere, and requests per server."""
    with NovaBed.start(hosts=["cmp1", "cmp2", "cmp3"]) as bed:
        boot(bed, count)
        bed.ctl("power_off", host="cmp1")
        servers = [r["uuid"] for r in bed.ctl("sql", query="select uuid from instances where deleted=0")]
        bed.ctl("requests", clear=True)
        bed.update_service("cmp1", forced_down=True, status="disabled")
        began = time.monotonic()
        for uuid in servers:
            bed.evacuate(uuid)
        while left(bed):
            time.sleep(0.1)
        return time.monotonic() - began, len(bed.requests(service="compute")) / count


def muster(count: int) -> tuple[float, float]:
    """Seconds from the record until every server is proved, and requests per server."""
    with NovaBed.start(hosts=["cmp1", "cmp2", "cmp3"]) as bed, tempfile.TemporaryDirectory() as tmp:
        clouds = Path(tmp) / "clouds.yaml"
        bed.clouds_yaml(clouds)
        boot(bed, count)
        rig = Rig(bed, clouds, in_flight=count)
        rig.log.echo = None
        rig.step()
        bed.ctl("requests", clear=True)
        began = time.monotonic()
        rig.fence("cmp1")
        rig.run_until(lambda: sum(len(h.proofs) for h in rig.memory.hosts.values()) == count, 600)
        took = time.monotonic() - began
        rig.run_until(rig.settled("cmp1"), 60)
        assert bed.violations() == [], bed.violations()
        return took, len(bed.requests(service="compute")) / count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    rows = []
    for number in range(args.rounds):
        for name, run in (("bare", bare), ("muster", muster)):
            seconds, requests = run(args.servers)
            rows.append({"round": number, "what": name, "seconds": round(seconds, 1), "requests": round(requests, 2)})
            print(json.dumps(rows[-1]), flush=True)
    mean = {
        name: statistics.mean(float(str(r["seconds"])) for r in rows if r["what"] == name)
        for name in ("bare", "muster")
    }
    print(json.dumps({"ratio": round(mean["muster"] / mean["bare"], 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
