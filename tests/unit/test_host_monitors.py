# SPDX-License-Identifier: Apache-2.0
"""E15: Masakari's host monitor, which no CIB shows, is found by its process and by what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster.gateways.host_monitors import seen
from muster.installation.checkup import examine
from muster.installation.installed import Controller
from tests.installation import facts

KOLLA = (
    "python3",
    "/var/lib/kolla/venv/bin/masakari-hostmonitor",
    "--config-file",
    "/etc/masakari-monitors/masakari-monitors.conf",
)
PACKAGED = ("/usr/bin/python3", "/usr/bin/masakari-hostmonitor")
DEFAULT = "/etc/masakarimonitors/masakarimonitors.conf"


def process(proc: Path, argv: tuple[str, ...], files: dict[str, str], pid: int = 7) -> Path:
    """A /proc with this process in it, which sees these files."""
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_text("\0".join((*argv, "")))
    for name, text in files.items():
        file = proc / str(pid) / "root" / name.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return proc


@pytest.mark.parametrize(
    ("argv", "files", "words"),
    [
        (KOLLA, {KOLLA[-1]: "[DEFAULT]\ndebug = %(x)s\n[host]\ndisable_ipmi_check = true\n"}, "without asking"),
        (KOLLA, {KOLLA[-1]: "[host]\nrestrict_to_remotes = true\n"}, "which evacuates"),
        ((*KOLLA[:2], f"--config-file={DEFAULT}"), {DEFAULT: "[host]\ndisable_ipmi_check=1\n"}, "without asking"),
        (PACKAGED, {DEFAULT: "[host]\ndisable_ipmi_check = Yes\n"}, "without asking"),
        (PACKAGED, {DEFAULT: "[api]\n"}, "which evacuates"),
        (PACKAGED, {}, "muster cannot read"),
        (PACKAGED, {DEFAULT: "no section\n"}, "muster cannot read"),
    ],
)
def test_says_whether_it_asks_if_a_host_is_off(
    argv: tuple[str, ...], files: dict[str, str], words: str, tmp_path: Path
) -> None:
    (said,) = seen(process(tmp_path, argv, files))
    assert words in said
    assert ("without asking" in said, "cannot read" in said) == (
        words == "without asking",
        words == "muster cannot read",
    )


def test_nothing_else_is_taken_for_it(tmp_path: Path) -> None:
    process(tmp_path, ("vi", "-R", "x", "/usr/bin/masakari-hostmonitor"), {})
    process(tmp_path, ("/usr/bin/masakari-instancemonitor",), {}, pid=8)
    (tmp_path / "9").mkdir()
    (tmp_path / "self").mkdir()
    assert seen(tmp_path) == ()


def test_doctor_names_it_among_the_other_evacuators() -> None:
    told = facts({"controller": Controller("ctl1", evacuators=("masakari-hostmonitor on this controller reports",))})
    (check,) = [check for check in examine(told) if check.name == "other evacuators"]
    assert [(f.result.value, f.what) for f in check.findings] == [
        ("attention", "masakari-hostmonitor on this controller reports")
    ]
