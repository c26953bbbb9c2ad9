# SPDX-License-Identifier: Apache-2.0
"""What operators type, on the real thing: while nothing happens, in the middle, without Nova, without a worker."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from muster.cli import commands
from tests.bed.cloud import Cloud
from tests.cluster.test_worker import in_the_middle

NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
HACLIENT = ("setpriv", "--reuid=nobody", "--regid=haclient", "--clear-groups")
OTHERS = ("cmp2", "cmp3", "cmp4")
ORDERED = {"retry", "skip", "approve", "confirm", "release", "pause", "resume"}
"""Nobody is there to be asked."""


def muster(
    cloud: Cloud, *words: str, node: str = "ctl1", as_user: tuple[str, ...] = (), timeout: float = 60
) -> tuple[int, str]:
    """Exit code and everything printed."""
    yes = ("--yes",) if words[0] in ORDERED else ()
    done = cloud.cluster.exec(node, *as_user, "muster", *words, *yes, check=False, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


def status(cloud: Cloud, node: str = "ctl1") -> dict[str, Any]:
    code, text = muster(cloud, "status", "-o", "json", node=node)
    assert code in (0, 1, 2), text
    return dict(json.loads(text))


def todo(cloud: Cloud, node: str = "ctl1") -> str:
    return " | ".join(f"{t['about']}: {t['what']}" for t in status(cloud, node)["todo"])


def test_every_controller_shows_the_same_incident(cloud: Cloud) -> None:
    """Before, in the middle, and to somebody whom Pacemaker lets look."""
    content = (0, f"OK  no dead host, worker on {cloud.worker_node()}, quorum\n")
    for node in cloud.controllers:
        cloud.until(
            lambda n=node: muster(cloud, "status", "--incidents-only", node=n) == content, 30, f"{node} has heard of it"
        )
    in_the_middle(cloud)
    for host in OTHERS:
        cloud.nova.hypervisor(host, spawn_delay=20)  # it lasts for as long as it is looked at
    for node in cloud.controllers:
        cloud.until(lambda n=node: sum(status(cloud, n)["incidents"][0]["servers"].values()) == 8, 20, "it is told")
        shown = status(cloud, node)
        (incident,) = shown["incidents"]
        assert (incident["node"], incident["state"], shown["level"]) == ("cmp1", "evacuating", "attention")
        code, text = muster(cloud, "status", "cmp1", node=node)
        assert code == 1
        assert text.count("evacuated") + text.count("evacuating") + text.count("queued") >= 8
        assert "earlier worker" not in text
    code, text = muster(cloud, "status", as_user=HACLIENT)
    assert (code, "cmp1" in text) == (1, True)
    code, text = muster(cloud, "status", as_user=NOBODY)
    assert (code, "haclient" in text) == (3, True)


def test_a_chain_that_somebody_breaks_is_told_on_every_controller(cloud: Cloud) -> None:
    """E16: without anybody asking doctor, and so is its repair.  E24: and how many hosts may die, while nothing happens."""

    def told(*checks: str) -> bool:
        shown = [status(cloud, node)["readiness"] for node in cloud.controllers]
        return all(it["at"] and {doubt["check"] for doubt in it["doubts"]} == {*checks} for it in shown)

    cloud.until(lambda: told(), 150, "the worker has looked, and all is well")
    assert muster(cloud, "status")[0] == 0
    cloud.type("pcs stonith disable muster-fence")
    cloud.until(lambda: told("fence devices"), 60, "it is told")
    code, text = muster(cloud, "status", node="ctl3")
    assert (code, text.startswith("TROUBLE"), "muster-fence is disabled" in text) == (2, True, True), text
    assert muster(cloud, "status", "--incidents-only", node="ctl3")[0] == 0
    cloud.type("pcs stonith enable muster-fence")
    cloud.until(lambda: told(), 60, "it is told")
    cloud.until(lambda: all(status(cloud, n)["capacity"]["at"] for n in cloud.controllers), 90, "the capacity is known")
    found, known = json.loads(muster(cloud, "capacity", "-o", "json")[1]), status(cloud, "ctl3")["capacity"]
    assert known.items() >= {(key, found[key]) for key in ("at_least", "at_most", "hosts")}
    assert "capacity: " in muster(cloud, "status", node="ctl3")[1]


LOOKS = (
    "status --incidents-only",
    "status cmp1",
    "plan cmp2",
    "plan --all",
    "report",
    "report cmp1",
    "events",
    "doctor",
    "setup",
)
ORDERS = (
    "pause",
    "skip SERVER",
    "approve cmp1",
    "confirm cmp1",
    "release cmp1",
    "retry cmp1",
    "acknowledge cmp1",
    "resume",
)
"""Paused, so that what is released does not return before it is wanted again."""
DRILL, CAPACITY = "drill cmp1 --dry-run", "capacity --failures 1"
COMMANDS = (*LOOKS, *ORDERS, "help", "version", "watch --until-settled", "register --dry-run", DRILL, CAPACITY)
CUT_OFF = 124  # by timeout(1): watch goes on as long as anything is under way, or nobody answers
FINE, AT_WORK, TROUBLE, UNSEEN = 0, 1, 2, 3
PLIGHTS: dict[str, dict[str, tuple[int, ...]]] = {
    # exit codes, where 0 is not the one
    "calm": {"report cmp1": (UNSEEN,), **dict.fromkeys(ORDERS[1:7], (TROUBLE,))},
    "as nobody": {
        **dict.fromkeys((*LOOKS, *ORDERS), (UNSEEN,)),
        COMMANDS[-4]: (CUT_OFF,),
        DRILL: (UNSEEN,),
        CAPACITY: (UNSEEN,),
    },
    "in the middle": {LOOKS[0]: (AT_WORK,), "status cmp1": (AT_WORK,), "plan --all": (AT_WORK,)},
    # whether the next worker is there already, and what it has told
    "during a failover": {
        LOOKS[0]: (AT_WORK, TROUBLE),
        "status cmp1": (AT_WORK, TROUBLE),
        "plan cmp2": (FINE, TROUBLE),
        "plan --all": (AT_WORK, TROUBLE),
        "doctor": (FINE, AT_WORK, TROUBLE),  # one controller is away, and may be back
        "setup": (FINE, AT_WORK),
    },
    "without Nova": {
        LOOKS[0]: (AT_WORK, TROUBLE),
        "status cmp1": (AT_WORK, TROUBLE),
        "plan cmp2": (UNSEEN,),
        "plan --all": (UNSEEN,),
        "doctor": (TROUBLE,),
    },
    "without a worker": {**dict.fromkeys(LOOKS[:4], (TROUBLE,)), "doctor": (TROUBLE,), "setup": (AT_WORK,)},
}


def test_every_command_has_an_answer_in_every_plight(cloud: Cloud) -> None:
    """Within seconds, with the exit code that fits, and never by breaking down."""
    assert {line.split()[0] for line in COMMANDS} == {command.name for command in commands.COMMANDS}
    servers = cloud.nova.boot("cmp1", count=8)

    def expect(plight: str, node: str = "ctl1", as_user: tuple[str, ...] = ()) -> None:
        wrong = {}
        for line in COMMANDS:
            words = line.replace("SERVER", servers[-1]).split()
            cut = ("timeout", "2") if words[0] == "watch" else ()
            words += ["--yes"] * (words[0] in ORDERED)
            done = cloud.cluster.exec(node, *cut, *as_user, "muster", *words, check=False, timeout=15)
            said = done.stdout + done.stderr
            codes = PLIGHTS[plight].get(line, (FINE,))
            if words[0] in ("confirm", "acknowledge") and codes == (FINE,):
                codes = (TROUBLE,)  # there is no host that lives, and none that has left servers
            if words[0] == "capacity" and codes == (FINE,):
                codes = (UNSEEN,) if plight == "without Nova" else (FINE, AT_WORK, TROUBLE)  # as the cloud has room
            if words[0] == "drill" and codes == (FINE,):
                codes = (TROUBLE, UNSEEN) if plight == "without Nova" else (TROUBLE,)  # none of the servers is marked
            if words[0] == "register":
                codes = (FINE, TROUBLE)  # it is not theirs to link what a package has brought
            if words[0] == "watch" and plight not in ("calm", "as nobody"):
                codes = (*codes, CUT_OFF)
            if done.returncode not in codes or not said.strip() and line != "watch --until-settled":
                wrong[line] = (done.returncode, said)
            if "Traceback" in said or "the command failed" in said:
                wrong[line] = (done.returncode, said)
        assert not wrong, (plight, wrong)

    expect("calm")
    expect("as nobody", as_user=NOBODY)
    for host in OTHERS:
        cloud.nova.hypervisor(host, spawn_delay=20)
    cloud.change("pcs resource update muster in_flight=2")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "evacuating" in cloud.verdicts("cmp1", servers), 60, "it has begun")
    first = cloud.worker_node()
    other = next(node for node in cloud.controllers if node != first)
    expect("in the middle", node=other)
    assert first
    cloud.cluster.crash(first)
    expect("during a failover", node=other)
    cloud.until(lambda: cloud.worker_node() is not None, 90, "another worker runs")
    cloud.nova.ctl("http", service="compute", up=False)
    expect("without Nova", node=other)
    cloud.nova.ctl("http", service="compute", up=True)
    cloud.ctl("pcs", "resource", "disable", "muster", node=other)
    cloud.ctl("crm_resource", "--wait", "--timeout=60s", node=other)
    expect("without a worker", node=other)


def test_follows_the_worker_to_another_controller(cloud: Cloud) -> None:
    in_the_middle(cloud)
    first = cloud.worker_node()
    assert first
    other = next(node for node in cloud.controllers if node != first)
    cloud.cluster.crash(first)
    # As long as it may take to save them all (test_worker): the next worker first waits out what the first may have sent.
    code, text = muster(cloud, "watch", "--until-settled", "--interval", "0.5", node=other, timeout=180)
    assert code in (0, 1), text
    told = {line.split()[2] for line in text.splitlines() if "evacuated: active on" in line}
    assert len(told) == 8, text
    assert "settled: 8 evacuated" in text
    code, text = muster(cloud, "status", "cmp1", node=other)
    assert text.count("evacuated") >= 8


def test_says_what_is_the_matter_without_nova_and_without_a_worker(cloud: Cloud) -> None:
    cloud.nova.boot("cmp1", count=1)
    cloud.nova.ctl("http", service="compute", up=False)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "Nova gives no usable answer" in todo(cloud), 60, "it is told")
    began = time.monotonic()
    code, _ = muster(cloud, "status")
    assert (code, time.monotonic() - began < 3) == (2, True)
    cloud.nova.ctl("http", service="compute", up=True)
    cloud.until(lambda: cloud.settled("cmp1"), 90, "it is settled")
    cloud.type("pcs resource disable muster")
    cloud.until(lambda: "pcs resource enable muster" in todo(cloud), 60, "it is told")


def test_a_skipped_server_stays_and_the_others_go(cloud: Cloud) -> None:
    """D8."""
    servers = cloud.nova.boot("cmp1", count=3)
    cloud.change("pcs resource update muster delay_s=8")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.record("cmp1") is not None, 60, "it is fenced")
    code, text = muster(cloud, "skip", servers[1], node="ctl2")
    assert code == 0, text
    assert "no incident has a server 'nobody'" in muster(cloud, "skip", "nobody")[1]
    cloud.until(lambda: cloud.settled("cmp1"), 90, "it is settled")
    assert sorted(cloud.verdicts("cmp1", servers)) == ["evacuated", "evacuated", "skipped"]
    assert servers[1] not in {row["server"] for row in cloud.nova.evacuations()}
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
    assert "muster-orders" not in cloud.ctl("cibadmin", "--query")


def test_a_pause_stops_the_sending_and_resume_goes_on(cloud: Cloud) -> None:
    """D8."""
    servers = in_the_middle(cloud)
    assert muster(cloud, "pause", node="ctl3")[0] == 0
    assert "already paused" in muster(cloud, "pause")[1]
    cloud.after_a_full_look()
    sent = len(cloud.nova.evacuations())
    cloud.until(lambda: cloud.verdicts("cmp1", servers).count("evacuated") == sent, 60, "what was sent is proved")
    cloud.after_a_full_look()
    assert len(cloud.nova.evacuations()) == sent < len(servers)
    cloud.until(lambda: "muster resume" in todo(cloud), 20, "it is told")
    assert muster(cloud, "resume")[0] == 0
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * len(servers), 120, "all are evacuated")


def lose_for_good(cloud: Cloud) -> str:
    """A server whose one try fails, on a host that is not powered on again."""
    (server,) = cloud.nova.boot("cmp1", count=1)
    for host in OTHERS:
        cloud.nova.hypervisor(host, spawn_mode="fail")
    cloud.change("pcs resource update muster attempts=1")
    cloud.type("pcs property set stonith-action=off")
    cloud.cluster.crash("cmp1")
    return server


def test_what_was_given_up_is_tried_again_on_demand(cloud: Cloud) -> None:
    """D8: also once its host was released, as long as that is off."""
    server = lose_for_good(cloud)
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["held"], 90, "it is given up")
    cloud.until(lambda: "returning" in (cloud.record("cmp1") or ""), 60, "its host is released")
    cloud.until(lambda: f"muster retry {server}" in todo(cloud), 20, "it is told")
    for host in OTHERS:
        cloud.nova.hypervisor(host, spawn_mode="ok")
    assert muster(cloud, "retry", server, node="ctl2")[0] == 0
    cloud.until(lambda: cloud.verdicts("cmp1", [server]) == ["evacuated"], 90, "it is evacuated")
    cloud.cluster.power("cmp1", "on")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
    code, text = muster(cloud, "retry", server)
    assert (code, "no host has an incident" in text) == (2, True)


def test_a_released_host_is_taken_back_when_the_whole_cluster_was_restarted(cloud: Cloud) -> None:
    """C11, D8: Pacemaker has forgotten that it is off, cannot reach it, and fences it once more; the incident begins anew.
    Until then nobody knows, and an order is refused with what to do."""
    server = lose_for_good(cloud)
    cloud.until(lambda: "returning" in (cloud.record("cmp1") or ""), 120, "it is given up, and its host released")
    released = cloud.record("cmp1")
    for node in cloud.controllers:
        cloud.cluster.crash(node)
    for host in OTHERS:
        cloud.nova.hypervisor(host, spawn_mode="ok")
    for node in cloud.controllers:
        cloud.cluster.power(node, "on")

    def refused_or_fenced() -> bool:
        code, text = muster(cloud, "retry", server)
        if "cmp1 may be back" in text:
            assert (code, "pcs stonith confirm cmp1" in text) == (2, True)  # it may be fenced the moment after
        return cloud.record("cmp1") not in ("", None, released)

    def evacuated() -> bool:
        if cloud.verdicts("cmp1", [server]) == ["held"]:
            muster(cloud, "retry", server)  # what failed in the minute before its fencing still counts
        return cloud.verdicts("cmp1", [server]) == ["evacuated"]

    cloud.until(refused_or_fenced, 240, "it is fenced once more")
    cloud.until(evacuated, 120, "it is evacuated")
    cloud.cluster.power("cmp1", "on")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_no_order_counts_while_nobody_knows_that_the_host_is_off(cloud: Cloud) -> None:
    """C23: it is back and has not beaten yet; and somebody has made Pacemaker forget that it is back."""
    cloud.nova.boot("cmp1", count=1)
    with cloud.returning_without_compute("cmp1"):
        record = cloud.record("cmp1")
        for meanwhile in ("true", "crm_resource --refresh --resource cmp1 >/run/refresh.log 2>&1"):
            asked = cloud.cluster.exec("ctl1", "sh", "-c", f"{meanwhile} & muster retry cmp1 --yes", check=False)
            assert (asked.returncode, "evacuates nothing from it" in asked.stderr) == (2, True), asked
            cloud.after_a_full_look()
            assert cloud.record("cmp1") == record
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_a_guard_is_passed_and_a_host_is_released_on_demand(cloud: Cloud) -> None:
    for host in ("cmp1", "cmp2"):
        cloud.nova.boot(host, count=1)
    for host in ("cmp3", "cmp4"):
        cloud.nova.hypervisor(host, spawn_mode="fail")
    cloud.change("pcs resource update muster max_failed_hosts=1 attempts=20 delay_s=6")
    for host in ("cmp1", "cmp2"):
        cloud.cluster.crash(host)
    for host in ("cmp1", "cmp2"):
        cloud.until(lambda h=host: cloud.report(h).get("state") == "blocked", 60, f"{host} is blocked")
    cloud.until(lambda: "muster approve cmp1" in todo(cloud), 20, "it is told")
    assert muster(cloud, "approve", "cmp1")[0] == 0
    assert "already ordered, nothing changed" in muster(cloud, "approve", "cmp1")[1]
    cloud.until(lambda: "parked" in cloud.report("cmp1").get("servers", {}), 90, "its server was tried")
    assert cloud.report("cmp2")["state"] == "blocked"
    assert {row["source"] for row in cloud.nova.evacuations()} == {"cmp1"}
    assert muster(cloud, "release", "cmp1", node="ctl2")[0] == 0
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_a_host_that_no_device_can_switch_off_is_confirmed_by_hand(cloud: Cloud) -> None:
    """C3: its power device lies; the power is cut by hand, and what was seen before no longer counts."""
    servers = cloud.nova.boot("cmp1", count=1)
    cloud.change("pcs resource update muster delay_s=30")
    cloud.cluster.bmc_fault("cmp1", "off", "lie")
    cloud.cluster.cut("cmp1")
    cloud.until(lambda: cloud.report("cmp1").get("state") == "blocked", 60, "the incident is blocked")
    cloud.until(lambda: "muster confirm cmp1" in todo(cloud), 20, "it is told")
    cloud.ctl("stonith_admin", "--confirm", "cmp1")
    cloud.after_a_full_look()
    assert cloud.report("cmp1")["state"] == "blocked"
    cloud.cluster.crash("cmp1")
    assert muster(cloud, "confirm", "cmp1", node="ctl2")[0] == 0
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"], 120, "its server is evacuated")


@pytest.mark.parametrize(
    "command", [("pause",), ("approve", "cmp1"), ("skip", "0" * 8 + "-0000-0000-0000-" + "0" * 12)]
)
def test_who_may_not_change_pacemaker_changes_nothing(cloud: Cloud, command: tuple[str, ...]) -> None:
    """E7."""
    before = cloud.ctl("cibadmin", "--query", "--scope", "configuration")
    code, text = muster(cloud, *command, as_user=NOBODY)
    assert code in (2, 3), text
    assert cloud.ctl("cibadmin", "--query", "--scope", "configuration") == before
