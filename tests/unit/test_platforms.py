# SPDX-License-Identifier: Apache-2.0
"""What is written of the tests of a platform is what pytest's report says, and touches no other platform."""

from __future__ import annotations

from tests.platforms import LANES, NOVA, TITLES, UNIT, Result, counted, reported, written

REPORT = b"""<testsuites><testsuite><testcase name="a"/><testcase name="b[x]"><failure/></testcase>
<testcase name="b[y]"><error/></testcase><testcase name="c"><skipped/></testcase></testsuite></testsuites>"""


def test_counts_what_passed_failed_and_was_skipped() -> None:
    assert counted(REPORT) == Result(1, ("b",), 1)
    assert (counted(REPORT).row, Result(3).row) == ("1 | 1: `b` | 1", "3 | none | 0")


def test_a_result_replaces_the_one_of_its_lane_and_keeps_the_order() -> None:
    page = "# P\n\n## Debian 12\n\nx 1.\n\n| unit | 1 |\n\n## Debian 13\n\n## Debian sid\n"
    first, last = list(LANES)[0], list(LANES)[-1]
    for lane, result in ((last, Result(1)), (first, Result(8)), (first, Result(9, ("t",)))):
        page = written(page, "debian13", "pacemaker 3", lane, result, "2026-01-02")
    assert page.count("pacemaker 3.") == 1
    assert page.index(f"| {first} | 9 | 1: `t` | 0 | 2026-01-02 |") < page.index(
        f"| {last} | 1 | none | 0 | 2026-01-02 |"
    )
    assert "| 8 |" not in page
    assert page.startswith("# P\n\n## Debian 12\n\nx 1.\n\n| unit | 1 |\n\n## Debian 13\n")
    assert page.endswith("\n\n## Debian sid\n")
    assert [f"## {title}\n" in page for title in TITLES.values()] == [True] * 3 + [False] * 2


def report(day: str, *cases: str) -> bytes:
    return f"<testsuites><testsuite timestamp='{day}T10:00:00'>{''.join(cases)}</testsuite></testsuites>".encode()


def case(module: str, name: str, inside: str = "") -> str:
    return f"<testcase classname='tests.{module}' name='{name}'>{inside}</testcase>"


def test_what_was_run_is_entered_by_lanes_and_a_test_that_was_run_again_as_it_ended_last() -> None:
    again = report("2026-01-03", case("cluster.test_hosts", "b"))
    first = report(
        "2026-01-02",
        case("unit.test_act", "x"),
        case("contract.test_nova_servers", "x[simulated]"),
        case("contract.test_nova_servers", "x[real]"),
        case("nova.test_text", "x", "<failure/>"),
        case("sim.test_beats", "x"),
        case("cluster.test_hosts", "a", "<skipped/>"),
        case("cluster.test_hosts", "b", "<failure/>"),
    )
    assert list(reported([again, first])) == [
        (UNIT, Result(2), "2026-01-02"),
        ("hosts that die and return", Result(1, (), 1), "2026-01-03"),
        (NOVA, Result(1, ("x",)), "2026-01-02"),
    ]
