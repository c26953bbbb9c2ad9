# SPDX-License-Identifier: Apache-2.0
"""What muster's user finds in Nova: rights, names, versions, clocks."""

from __future__ import annotations

from collections.abc import Iterator

from muster.core.host_case import RETURNED
from muster.core.naming import service_of
from muster.core.printable import counted
from muster.core.unknown import Unknown
from muster.installation.checks.examination import (
    CheckResult,
    Examination,
    Result,
    attention,
    ok,
    trouble,
    unknown,
    update_resource,
)

CLOCKS_ATTENTION_S, CLOCKS_TROUBLE_S = 30.0, 60.0
LATE_BEAT_S = 5.0
LONGEST_INTERVAL_S = 300
"""The most that the settings take for ``report_interval_s`` (ocf_meta)."""
OLDEST_MICROVERSION = (2, 11)  # forced_down
SILENT_CELLS_MICROVERSION = (2, 69)  # below it a cell that does not answer looks empty
NOT_ASKED = "muster did not ask Nova"


def answers(facts: Examination) -> Iterator[CheckResult]:
    nova = facts.nova
    if nova.trouble:
        if nova.asked:
            yield trouble(
                nova.trouble, f"check {facts.clouds_file}, and whether this controller reaches Keystone and Nova"
            )
        else:
            yield unknown(nova.trouble)
        return
    offered, allowed = _version(nova.offered), _version(facts.nova_api_version)
    if offered < OLDEST_MICROVERSION:
        yield trouble(f"Nova offers {nova.offered}; muster needs 2.11 to force a host down", "upgrade Nova")
    elif allowed < SILENT_CELLS_MICROVERSION <= offered and facts.worker:
        what = f"Nova offers {nova.offered}, but nova_api_version={facts.nova_api_version}: a silent cell looks empty"
        yield attention(what, "", update_resource(facts.worker.id, "nova_api_version="))
    elif offered < SILENT_CELLS_MICROVERSION:
        yield ok(f"Nova answers and offers {nova.offered}", "below 2.69 Nova shows a silent cell as empty")
    else:
        yield ok(f"Nova answers and offers {nova.offered}")


def rights(facts: Examination) -> Iterator[CheckResult]:
    if facts.nova.trouble:
        yield unknown(NOT_ASKED)
        return
    told = [right for right in facts.nova.rights if not right.moot]
    for right in told:
        if right.may is False:
            remedy = right.remedy or "give the user of clouds.yaml the role admin, or change Nova's policy"
            found, which = (attention, ", which the commands plan and capacity need") if right.lesser else (trouble, "")
            yield found(f"muster's user may not {right.name}{which}: {right.words}", remedy)
        elif right.may is None:
            yield unknown(f"not known whether muster's user may {right.name}: {right.words}", right.remedy)
    if all(right.may for right in told):
        untold = "".join(f"; not known whether it may {r.name}: {r.words}" for r in facts.nova.rights if r.moot)
        yield ok(f"muster's user may {', '.join(right.name for right in told)}{untold}")


def names(facts: Examination) -> Iterator[CheckResult]:
    services = facts.nova.services
    if services is None:
        yield unknown(NOT_ASKED if facts.nova.trouble else "muster cannot list the services")
        return
    taken: dict[str, str] = {}
    for node in facts.here.computes:
        found = service_of(node, (*facts.here.controllers, *facts.here.computes), services, facts.host_map)
        if isinstance(found, Unknown):
            entries = [*(f"{n}:{h}" for n, h in facts.host_map.items() if n != node), f"{node}:HOST"]
            commands = (update_resource(facts.worker.id, f"host_map={';'.join(entries)}"),) if facts.worker else ()
            remedy = f"replace HOST by Nova's name of the host, or leave it empty to ignore {node}"
            yield trouble(found.why, remedy, *commands)
        else:
            taken[node] = found.host
    if len(taken) == len(facts.here.computes):
        other = [f"{node} is {host}" for node, host in taken.items() if node != host]
        yield ok(f"{counted(len(taken), 'compute')}: each has its nova-compute" + "".join(f", {o}" for o in other))
    kept = [s.host for s in services if not s.enabled and s.disabled_reason.startswith(RETURNED)]
    if kept:
        what = (
            f"return=disabled: {', '.join(kept)} came back and take{'s' * (len(kept) == 1)} no server until you enable"
        )
        enabling = [("openstack", "compute", "service", "set", "--enable", host, "nova-compute") for host in kept]
        yield attention(f"{what} {'it' if len(kept) == 1 else 'them'}", "", *enabling)


def placement(facts: Examination) -> Iterator[CheckResult]:
    if facts.nova.placement is None:
        yield unknown(NOT_ASKED if facts.nova.trouble else "muster did not ask Placement")
    elif facts.nova.placement:
        what = f"{facts.nova.placement}: without Placement Nova finds no destination"
        yield attention(what, "see Keystone's catalogue: openstack endpoint list --service placement")
    else:
        yield ok("Placement answers")


def heartbeats(facts: Examination) -> Iterator[CheckResult]:
    """They are spread over the interval: the oldest of hosts that are up is nearly that old.  One may be dead."""
    given, at = facts.report_interval_s, facts.nova.services_at
    ages = sorted(at - s.updated_at for s in facts.nova.services or () if s.up and s.enabled and s.updated_at)
    seen = ages[: -1 if len(ages) > 2 else None]
    if not seen:
        yield unknown(NOT_ASKED if facts.nova.trouble else "no nova-compute is up")
    elif seen[-1] > given + LATE_BEAT_S and facts.worker:
        least = -(-int(seen[-1]) // 10) * 10
        what = f"one is {seen[-1]:.0f} s old, report_interval_s={given}: muster would notice a host that lives too late"
        remedy = f"see report_interval in nova.conf of the computes; it is {least} or more"
        if least > LONGEST_INTERVAL_S:
            bound = f"muster waits {LONGEST_INTERVAL_S} s at most: shorten it (Nova's default is 10 s)"
            yield trouble(what, f"{remedy}, and {bound}")
        else:
            yield trouble(what, remedy, update_resource(facts.worker.id, f"report_interval_s={least}"))
    else:
        yield ok(f"none is older than {max(seen[-1], 0.0):.0f} s, report_interval_s={given}")


def clocks(facts: Examination) -> Iterator[CheckResult]:
    """By the header Date of a reply, so it is the API's host that is compared, not the one of Nova's database."""
    ahead_s = facts.nova.clock_ahead_s
    if ahead_s is None:
        yield unknown(NOT_ASKED if facts.nova.trouble else "the reply has no date")
        return
    off_s = abs(ahead_s)
    what = f"the API's host is {off_s:.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    if off_s > CLOCKS_ATTENTION_S:
        result = Result.TROUBLE if off_s > CLOCKS_TROUBLE_S else Result.ATTENTION
        yield CheckResult(
            result,
            what,
            "run NTP on the controllers, the hosts of nova-api and nova-conductor, and Nova's database",
            (("chronyc", "tracking"),),
        )
    else:
        yield ok("they agree" if off_s < 2 else what)
    newest = max((s.updated_at for s in facts.nova.services or ()), default=0.0)
    if newest > facts.nova.services_at + LATE_BEAT_S:
        early = (
            f"a heartbeat is {newest - facts.nova.services_at:.0f} s in the future: a nova-conductor's clock is ahead"
        )
        yield trouble(early, "run NTP on the hosts of nova-conductor", ("chronyc", "tracking"))


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
