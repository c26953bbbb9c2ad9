# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.platforms PLATFORM [LANE...]``: runs lanes of the tests on a platform, and writes docs/platforms.md.

A platform is debian12, this machine; one that tests/bed/elsewhere has; or this machine with an older Nova, of which only
the lane of real Nova is run.  Without a lane all are run, which takes an hour.  What is not run keeps the line that it has.

``python -m tests.platforms PLATFORM --reports FILE...`` runs nothing: it enters what was run already, by pytest's reports
(``--junitxml``).  A whole ``./check`` leaves them in .cache/check-*.xml.  A test that was run again counts as it ended last.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

ROOT = Path(__file__).resolve().parents[1]
NOVA = "real Nova"
UNIT = "unit and contract tests"
PAGE = ROOT / "docs/platforms.md"
HERE = "debian12"
NOVAS = {"nova31": "Nova 31 (2025.1)", "nova33": "Nova 33 (2026.1)"}
TITLES = {HERE: "Debian 12", "debian13": "Debian 13", "sid": "Debian sid", **NOVAS}
LIBRARIES = ("nova", "openstack-placement", "oslo.messaging", "sqlalchemy")
PACKAGES = ("pacemaker", "pcs", "corosync", "resource-agents", "python3")
LANES = {
    UNIT: ("-m", "not nova and not cluster", "tests/unit", "tests/contract"),
    **{
        name: (f"tests/cluster/test_{file}.py",)
        for name, file in (
            ("conformance of the agents", "conformance"),
            ("set-up by `muster setup`", "setup"),
            ("commands of the documents", "documents"),
            ("hosts that die and return", "hosts"),
            ("the worker", "worker"),
            ("faults of the cluster", "faults"),
            ("the command line", "cli"),
            ("what the agents show", "surface"),
            ("incident reports", "report"),
            ("what Kolla-Ansible leaves", "kolla"),
            ("packages", "packages"),
            ("costs", "costs"),
        )
    },
    NOVA: ("-m", "nova", "tests/nova", "tests/contract"),
    "`./demo`": (),
}


@dataclass(frozen=True)
class Result:
    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: int = 0

    @property
    def row(self) -> str:
        failed = f"{len(self.failed)}: {', '.join(f'`{name}`' for name in self.failed)}" if self.failed else "none"
        return f"{self.passed} | {failed} | {self.skipped}"


def main() -> int:
    platform = (sys.argv[1:] or [""])[0]
    lanes = sys.argv[2:] or ([NOVA] if platform in NOVAS else list(LANES))
    reports = [Path(name).read_bytes() for name in lanes[1:]] if lanes[0] == "--reports" else []
    if platform not in TITLES or (not reports and set(lanes) - set(LANES)):
        print(f"{__doc__}\nplatforms: {', '.join(TITLES)}\nlanes: {', '.join(LANES)}", file=sys.stderr)
        return 2
    failed = False
    today = time.strftime("%Y-%m-%d")
    for lane, result, day in reported(reports) if reports else ((lane, _run(platform, lane), today) for lane in lanes):
        failed |= bool(result.failed)
        PAGE.write_text(written(PAGE.read_text(), platform, _versions(platform), lane, result, day))
        print(f"{platform}: {lane}: {result.row}", flush=True)
    return int(failed)


def _run(platform: str, lane: str) -> Result:
    on = () if platform == HERE else ("--nova", platform[4:]) if platform in NOVAS else ("--on", platform)
    if not LANES[lane]:
        code = subprocess.run(["./demo", *on], cwd=ROOT, check=False).returncode
        return Result(failed=(f"exit {code}",)) if code else Result(1)
    tree = ROOT if platform == HERE or platform in NOVAS else ROOT / ".cache/roots" / platform / "srv/muster"
    report = tree / ".cache/platform.xml"
    report.unlink(missing_ok=True)
    begin = () if on else ("tests",)
    subprocess.run(
        ["./check", *on, *begin, *LANES[lane], f"--junitxml={report.relative_to(tree)}"], cwd=ROOT, check=False
    )
    return counted(report.read_bytes()) if report.exists() else Result(failed=("nothing was run",))


def reported(reports: Iterable[bytes]) -> Iterator[tuple[str, Result, str]]:
    """Lane, result and day, of each lane of which there is a test."""
    found: dict[str, dict[tuple[str, str], etree._Element]] = {}
    days: dict[str, str] = {}
    for suite in sorted(
        (suite for report in reports for suite in etree.fromstring(report).iter("testsuite")),
        key=lambda suite: str(suite.get("timestamp", "")),
    ):
        for case in suite.iter("testcase"):
            file, name = str(case.get("classname")), str(case.get("name"))
            lane = _lane(file, name)
            if lane:
                found.setdefault(lane, {})[file, name] = case
                days[lane] = str(suite.get("timestamp", ""))[:10]
    for lane in LANES:
        if lane in found:
            yield lane, _result(found[lane].values()), days[lane]


def _lane(module: str, name: str) -> str:
    """Empty for none: the simulation is the same everywhere."""
    if module.startswith("tests.nova.") or (module.startswith("tests.contract.") and "[real" in name):
        return NOVA
    if module.startswith(("tests.unit.", "tests.contract.")):
        return UNIT
    file = f"tests/cluster/{module.split('.')[2]}.py" if module.startswith("tests.cluster.") else ""
    return next((lane for lane, given in LANES.items() if file and given == (file,)), "")


def counted(report: bytes) -> Result:
    """What pytest's report says."""
    return _result(etree.fromstring(report).iter("testcase"))


def _result(those: Iterable[etree._Element]) -> Result:
    cases = list(those)
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    names = dict.fromkeys(str(case.get("name")).partition("[")[0] for case in failed)
    return Result(len(cases) - len(failed) - len(skipped), tuple(names), len(skipped))


def _versions(platform: str) -> str:
    if platform in NOVAS:
        program = "import sys; from importlib.metadata import version; [print(n, version(n)) for n in sys.argv[1:]]"
        asked = [str(ROOT / f".venv-nova-{platform[4:]}/bin/python"), "-c", program, *LIBRARIES]
        return ", ".join(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines())
    root = [] if platform == HERE else ["--root", str(ROOT / ".cache/roots" / platform)]
    shown = subprocess.run(
        ["dpkg-query", *root, "-W", "-f", "${Package} ${Version}, ", *PACKAGES],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.rstrip(", ")


def written(page: str, platform: str, versions: str, lane: str, result: Result, day: str) -> str:
    """The page with this result in the section of the platform, in the order of the lanes."""
    head, title, tail = page.partition(f"## {TITLES[platform]}\n")
    section, rest = re.fullmatch(r"(.*?)((?:^## .*)?)", tail, re.M | re.S).groups()  # type: ignore[union-attr]
    rows = dict(re.findall(r"^\| (.+?) \| (.*) \|$", section, re.M))
    rows[lane] = f"{result.row} | {day}"
    lines = [f"| {name} | {rows[name]} |" for name in LANES if name in rows]
    table = "\n".join(["| lane | passed | failed | skipped | run on |", "| --- | --- | --- | --- | --- |", *lines])
    return f"{head}{title}\n{versions}.\n\n{table}\n{chr(10) if rest else ''}{rest}"


if __name__ == "__main__":
    sys.exit(main())
