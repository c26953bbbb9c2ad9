# SPDX-License-Identifier: Apache-2.0
"""The RPMs and the Debian packages, installed on the nodes: the main job, an upgrade and a removal in the middle of an
incident."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.agents.supervisor import MAY_DROP, capabilities
from muster.cli import register
from tests.bed.cloud import PRODUCT, ROOT, Cloud
from tests.bed.packages import DEB, RPM, Format

SERVERS = 6
PACKAGES = ("muster", "muster-resource-agent", "fence-agents-muster")


@pytest.fixture(scope="module", params=[RPM, DEB], ids=lambda form: form.folder)
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    form: Format = request.param
    packages = form.built(tmp_path_factory.mktemp(form.folder))
    with Cloud(os.environ.get("MUSTER_BED", "") + "pack", computes=3, packages=packages, form=form) as cloud:
        cloud.install()
        yield cloud
        assert cloud.nova.violations() == []


@pytest.fixture
def cloud(packed: Cloud) -> Cloud:
    packed.reset()
    return packed


def installed(cloud: Cloud, node: str) -> int:
    """How many of muster's packages it has, beside muster-compute."""
    return len(cloud.ctl("sh", "-c", cloud.form.query, node=node).split()) - 1


def but_compute(form: Format, out: Path, release: int) -> list[Path]:
    return [package for package in form.built(out, release) if "compute" not in package.name]


OF_THE_FORMAT = re.compile("/licenses/|/lintian/|/doc/[^/]*/(changelog|copyright)|dist-info/(INSTALLER|WHEEL)$", re.I)
"""What each brings of its own; pip of Debian 13 leaves its name in the package, and what packs on sid takes WHEEL out."""


def brought(package: Path) -> set[str]:
    """Its files, with their modes; and its folders of that name, in which there may be credentials."""
    list_it = ["rpm", "-qplv", package] if package.suffix == ".rpm" else ["dpkg-deb", "--contents", package]
    found = set()
    for line in subprocess.check_output(list_it, text=True, timeout=60).splitlines():
        mode, path = line.split()[0], line.split()[-1].removeprefix(".").rstrip("/").removesuffix(".gz")
        path = re.sub("^/usr/lib/python3[.0-9]*/(dist|site)-packages/", "SITE/", path)
        if not OF_THE_FORMAT.search(path) and (mode[0] != "d" or path.endswith("/muster")):
            found.add(f"{mode} {path}")
    return found


def test_both_formats_bring_the_same_and_lintian_has_no_objection(tmp_path: Path) -> None:
    packages = [{p.name.partition("-0")[0].partition("_0")[0]: p for p in f.built(tmp_path)} for f in (RPM, DEB)]
    assert [len(one) for one in packages] == [4, 4]
    for name, rpm in packages[0].items():
        assert brought(packages[1][name]) == brought(rpm)
    checked = subprocess.run(
        ["lintian", "--allow-root", "--info", "--display-info", "--pedantic", *tmp_path.glob("*.changes")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def in_the_middle(cloud: Cloud) -> list[str]:
    servers = cloud.nova.boot("cmp1", count=SERVERS)
    for host in ("cmp2", "cmp3"):
        cloud.nova.hypervisor(host, spawn_delay=1.5)
    cloud.change("pcs resource update muster in_flight=1")
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: "evacuated" in cloud.verdicts("cmp1", servers), 60, "one is evacuated")
    return servers


def test_the_main_job_is_done_by_what_was_installed(cloud: Cloud) -> None:
    assert [installed(cloud, node) for node in cloud.controllers] == [3] * 3
    command = Path(f"/proc/{cloud.worker_pid()}/cmdline").read_text()
    interpreter, isolated, _, module, *_ = command.split("\0")
    where = f"import {module}; print({module}.__file__)"
    assert cloud.ctl(interpreter, isolated, "-c", where).startswith(f"{cloud.form.site}/muster/")
    for hidden in PRODUCT:
        assert Path(hidden).is_dir()
        assert cloud.ctl("ls", "-A", hidden, node=str(cloud.worker_node())) == ""
    assert cloud.ctl("muster", "status").startswith("OK")
    for page in ("man8/muster.8", "man8/fence_muster.8", "man7/ocf_muster_ComputeRecovery.7"):
        cloud.ctl("sh", "-c", f"ls /usr/share/man/{page}*")
    completed = ". /usr/share/bash-completion/completions/muster; complete -p muster"
    assert "muster" in cloud.ctl("bash", "-c", completed)
    if capabilities("self") & MAY_DROP:
        assert capabilities(cloud.worker_pid()) == 1 << 1 | 1 << 2, "dac_override, dac_read_search"
    servers = cloud.nova.boot("cmp1", count=2)
    cloud.cluster.crash("cmp1")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 2, 90, "both are evacuated")
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_an_upgrade_in_the_middle_harms_nothing(cloud: Cloud, tmp_path: Path) -> None:
    servers = in_the_middle(cloud)
    said = cloud.package("upgrade", but_compute(cloud.form, tmp_path, 2), on=cloud.controllers)
    assert "goes on with the version before" in said
    assert "pcs resource restart muster" in said
    cloud.type("pcs resource restart muster")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * SERVERS, 120, "all are evacuated")
    assert sorted(row["server"] for row in cloud.nova.evacuations()) == sorted(servers)
    cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")


def test_a_removal_in_the_middle_says_what_is_left(cloud: Cloud, tmp_path: Path) -> None:
    """Not below the worker: without its agent Pacemaker cannot stop it, and fences the controller."""
    again = but_compute(cloud.form, tmp_path, 3)
    servers = in_the_middle(cloud)
    active = cloud.worker_node()
    assert active
    with pytest.raises(RuntimeError, match="pcs resource disable muster; crm_resource --wait"):
        cloud.package("erase", PACKAGES[:2], on=[active])
    assert installed(cloud, active) == 3
    cloud.stop_worker()
    said = cloud.package("erase", PACKAGES, on=cloud.controllers)
    assert "removed while hosts are on record: cmp1" in said
    assert "crm_attribute -t nodes -N HOST -n muster-hold -D" in said
    assert cloud.record("cmp1")
    assert cloud.held("cmp1")
    cloud.package("install", again, on=cloud.controllers)
    cloud.type("pcs resource enable muster")
    cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * SERVERS, 120, "all are evacuated")
    assert sorted(row["server"] for row in cloud.nova.evacuations()) == sorted(servers)


def pip_installed(folder: Path) -> str:
    """``muster`` in an environment of its own, from a wheel of this tree; what it needs comes from the tests' environment."""
    system, environment = "/usr/bin/python3", folder / "environment"
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        copy = folder / "tree" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    site = environment / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    install = [
        system,
        "-m",
        "pip",
        "--python",
        environment / "bin/python",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    for argv in (
        [system, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, folder / "tree"],
        [system, "-m", "venv", "--without-pip", environment],
    ):
        subprocess.run(argv, check=True, timeout=120)
    subprocess.run([*install, *folder.glob("*.whl")], check=True, timeout=120)
    (site / "bed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return str(environment / "bin/muster")


@pytest.fixture
def opt() -> Iterator[Path]:
    """A folder that every user may read: what Pacemaker cannot run as its own user is not registered."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_what_pip_installed_and_muster_register_linked_does_the_same(cloud: Cloud, opt: Path, tmp_path: Path) -> None:
    again = cloud.form.built(tmp_path, 4)
    hidden = pip_installed(tmp_path)
    refused = cloud.cluster.exec("ctl1", hidden, "register", check=False)
    assert (refused.returncode, refused.stderr.count("does not run as hacluster")) == (2, 2)
    muster = pip_installed(opt)
    cloud.stop_worker()
    cloud.package("erase", (*PACKAGES, "muster-compute"))
    places = list(register.PLACES.values())
    try:
        for node in cloud.controllers:
            assert cloud.cluster.exec(node, "ls", *places, check=False).returncode != 0
            cloud.ctl(muster, "register", node=node)
            assert cloud.ctl("readlink", *places, node=node).count(str(opt)) == 2
        cloud.type("pcs resource enable muster")
        cloud.until(lambda: cloud.worker_node() is not None, 60, "the worker runs")
        assert str(opt) in Path(f"/proc/{cloud.worker_pid()}/cmdline").read_text()
        servers = cloud.nova.boot("cmp1", count=2)
        cloud.cluster.crash("cmp1")
        cloud.until(lambda: cloud.verdicts("cmp1", servers) == ["evacuated"] * 2, 90, "both are evacuated")
        cloud.until(lambda: cloud.back_in_service("cmp1"), 120, "the host is back in service")
        undone = cloud.cluster.exec(str(cloud.worker_node()), muster, "register", "--undo", check=False)
        assert (undone.returncode, "disable muster; crm_resource --wait" in undone.stderr) == (2, True)
    finally:
        cloud.stop_worker()
        for node in cloud.controllers:
            cloud.ctl(muster, "register", "--undo", node=node)
            assert cloud.cluster.exec(node, "ls", *places, check=False).stdout == ""
        cloud.package("install", again)


def test_nova_compute_waits_while_its_host_is_held(cloud: Cloud) -> None:
    """Where systemd runs it: what the drop-in calls before the start."""
    script = ("env", "MUSTER_HOLD_LIMIT_S=3", "MUSTER_HOLD_POLL_S=1", "/usr/libexec/muster/wait-for-release")
    free = cloud.cluster.exec("cmp2", *script, check=False)
    assert (free.returncode, free.stderr) == (0, "")
    cloud.ctl("crm_attribute", "-t", "nodes", "-N", "cmp2", "-n", "muster-hold", "-v", "1")
    held = cloud.cluster.exec("cmp2", *script, check=False)
    assert (held.returncode, held.stderr.count("nova-compute waits: cmp2 is held")) == (75, 1)
    cloud.ctl("crm_attribute", "-t", "nodes", "-N", "cmp2", "-n", "muster-hold", "-D")
    assert cloud.cluster.exec("cmp2", *script, check=False).returncode == 0
    cloud.change("pcs property set stonith-enabled=false")  # else who is cut off last may fence the host first
    for node in cloud.controllers:
        cloud.cluster.cut(node)
    unknown = cloud.cluster.exec("cmp2", *script, check=False)
    assert (unknown.returncode, "cannot find out" in unknown.stderr) == (75, True)
