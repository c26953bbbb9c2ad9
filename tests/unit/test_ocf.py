# SPDX-License-Identifier: Apache-2.0
"""E1: the resource agent's exit codes and words, by OCF; nothing is started on bad input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from muster.agents import ocf
from muster.agents.supervisor import Supervisor
from muster.gateways.pacemaker import command
from muster.parameters import parameters, version
from tests.fakes import LogLines


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    path = tmp_path / "clouds.yaml"
    path.write_text("clouds: {}\n")
    path.chmod(0o600)
    return path


def environment(clouds: Path, **more: str) -> dict[str, str]:
    given = {"cloud": "bed", "shared_storage": "yes", "clouds_file": str(clouds), **more}
    return {f"OCF_RESKEY_{name}": value for name, value in given.items()}


def test_good_parameters_are_valid(clouds: Path) -> None:
    assert ocf.run("validate-all", environment(clouds)) == ocf.SUCCESS


def test_parameters_are_validated_without_nova_and_without_what_talks_to_it(clouds: Path) -> None:
    """E13: pcs 0.12 has them validated whenever a resource is made or changed, and waits for it."""
    clouds.write_text("clouds: {bed: {auth: {auth_url: 'http://192.0.2.1:5000/v3'}}}\n")
    program = (
        "import socket, sys; from muster.agents import ocf\n"
        "socket.socket.connect = lambda *_: sys.exit('it asks somebody')\n"
        "sys.argv[1:] = ['validate-all']; code = ocf.main()\n"
        "print(code, *(name for name in ('openstack', 'novaclient', 'keystoneauth1') if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment(clouds)}, capture_output=True
    )
    assert (done.stdout.decode(), done.stderr.decode()) == (f"{ocf.SUCCESS}\n", "")


@pytest.mark.parametrize("action", ["validate-all", "start"])
def test_all_faults_in_one_line_and_nothing_is_started(
    clouds: Path, tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    wrong = environment(clouds, in_flight="x", evacuate="x")
    assert ocf.run(action, wrong, str(run)) == ocf.CONFIGURED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ocf-exit-reason:")
    assert "in_flight" in line
    assert "evacuate" in line
    assert not run.exists()


def test_credentials_that_others_may_read_are_refused(clouds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clouds.chmod(0o644)
    assert ocf.run("validate-all", environment(clouds)) == ocf.INSTALLED
    assert f"chmod 0600 {clouds}" in capsys.readouterr().err


def test_missing_credentials_are_named(clouds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clouds.unlink()
    assert ocf.run("validate-all", environment(clouds)) == ocf.INSTALLED
    assert "put it on every controller" in capsys.readouterr().err


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    path = tmp_path / "hook"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_of_the_operators_own_is_valid(clouds: Path, hook: Path) -> None:
    assert ocf.run("validate-all", environment(clouds, hook=str(hook))) == ocf.SUCCESS


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda hook: hook.unlink(), "put it on every controller"),
        (lambda hook: hook.chmod(0o644), "chmod 0755"),
        (lambda hook: hook.chmod(0o775), "chmod go-w"),
        (lambda hook: hook.chmod(0o757), "chmod go-w"),
        (lambda hook: hook.parent.chmod(0o777), "chmod go-w"),
        (lambda hook: (hook.unlink(), hook.mkdir()), "is no program"),
    ],
)
def test_a_program_that_others_may_change_is_refused(
    clouds: Path, hook: Path, spoil: Callable[[Path], object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(hook)
    assert ocf.run("validate-all", environment(clouds, hook=str(hook))) == ocf.INSTALLED
    assert said in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_program_of_another_user_is_refused(clouds: Path, hook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chown(hook, 12345, 0)
    assert ocf.run("validate-all", environment(clouds, hook=str(hook))) == ocf.INSTALLED
    assert f"chown root {hook}" in capsys.readouterr().err


START = [
    ("hook", "/no/such/hook", "No such file or directory"),
    ("hook", "relative", "use an absolute path"),
    ("metrics_file", "/no/such/folder/m.prom", "its folder does not exist"),
    ("metrics_file", "relative", "use an absolute path"),
    ("stuck_after_s", "x", "use a whole number"),
    ("capacity_every_s", "3601", "use a whole number"),
]


@pytest.mark.parametrize(("name", "value", "said"), START)
def test_what_is_only_for_comfort_keeps_no_worker_from_starting(
    clouds: Path, name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E17: whoever types it is told; a start does without, and says so."""
    begun: list[dict[str, str]] = []
    lines = LogLines()
    monkeypatch.setattr("muster.log.Log", lambda name: lines)
    monkeypatch.setattr(Supervisor, "start", lambda self, given, within_s: begun.append(given) or "")
    given = environment(clouds, **{name: value})
    assert ocf.run("start", given) == ocf.SUCCESS
    assert begun == [given]
    ((_, event, fields),) = lines.lines
    assert (event, said in fields["reason"]) == ("does without", True)
    assert ocf.run("validate-all", given) in (ocf.CONFIGURED, ocf.INSTALLED)


def test_every_parameter_for_comfort_has_a_test_and_all_others_keep_the_worker_from_starting(clouds: Path) -> None:
    """E17: a wrong guess of theirs would do what the operator forbade."""
    assert {p.name for p in parameters("ComputeRecovery") if p.comfort} == {name for name, _, _ in START}
    wrong = {"integer": "x", "boolean": "x", "choice": "x", "hosts": "x", "pairs": "x", "marks": "x", "words": "x",
             "version": "x", "path": "x", "name": "\n."}  # fmt: skip
    for parameter in parameters("ComputeRecovery"):
        if not parameter.comfort:
            given = environment(clouds, **{parameter.name: f"x{wrong[parameter.kind]}"})
            assert ocf.run("start", given, "/nowhere") == ocf.CONFIGURED, parameter.name


def test_metrics_need_a_folder(clouds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ocf.run("validate-all", environment(clouds, metrics_file=str(tmp_path / "m.prom"))) == ocf.SUCCESS
    assert ocf.run("validate-all", environment(clouds, metrics_file=str(tmp_path / "no" / "m.prom"))) == ocf.INSTALLED
    assert "its folder does not exist" in capsys.readouterr().err


def test_stop_and_monitor_need_no_configuration(tmp_path: Path) -> None:
    assert ocf.run("monitor", {}, str(tmp_path)) == ocf.NOT_RUNNING
    assert ocf.run("stop", {}, str(tmp_path)) == ocf.SUCCESS
    assert ocf.run("stop", {"OCF_RESKEY_cloud": "\n"}, str(tmp_path / "nowhere")) == ocf.SUCCESS


@pytest.mark.parametrize(("given", "told"), [({"OCF_RESKEY_crm_feature_set": "3.16"}, True), ({}, False)])
def test_a_probe_of_pacemakers_tells_the_version(
    given: dict[str, str], told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    (tmp_path / "attrd_updater").write_text(f'#!/bin/sh\necho "$@" >>{said}\n')
    (tmp_path / "attrd_updater").chmod(0o755)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ocf.run("monitor", given, str(tmp_path)) == ocf.NOT_RUNNING
    expected = f"--name muster-version --update {version()}\n--name muster-lacks --delete\n"
    assert (said.read_text() if said.exists() else "") == expected * told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"clouds_file": "/no/clouds.yaml"}, "cannot start: clouds_file='/no/clouds.yaml': No such file or directory"),
        ({"hook": "/no/hook"}, "does without: hook='/no/hook': No such file or directory"),
        ({"in_flight": "x"}, ""),
    ],
)
def test_a_probe_of_pacemakers_tells_what_is_missing_there(
    wrong: dict[str, str], said: str, clouds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E16: a controller that could not take over."""
    told = tmp_path / "said"
    (tmp_path / "attrd_updater").write_text(f'#!/bin/sh\necho "$@" >>{told}\n')
    (tmp_path / "attrd_updater").chmod(0o755)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{tmp_path}:/usr/bin:/bin")
    given = {**environment(clouds), **{f"OCF_RESKEY_{name}": value for name, value in wrong.items()}}
    assert ocf.run("monitor", {**given, "OCF_RESKEY_crm_feature_set": "3.16"}, str(tmp_path / "run")) == ocf.NOT_RUNNING
    change = f"--update {said}" if said else "--delete"
    assert told.read_text().splitlines()[1].startswith(f"--name muster-lacks {change}")


def test_a_cluster_that_takes_no_version_fails_no_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", str(tmp_path))
    assert ocf.run("monitor", {"OCF_RESKEY_crm_feature_set": "3.16"}, str(tmp_path)) == ocf.NOT_RUNNING


@pytest.mark.parametrize("action", ["", "promote", "reload", "x"])
def test_an_action_it_does_not_have_is_unimplemented(action: str) -> None:
    assert ocf.run(action, {}) == ocf.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("argv", "forbidden"),
    [
        (["muster.agents.ocf", "meta-data"], ["openstack", "novaclient", "keystoneauth1"]),
        (
            ["muster.agents.ocf", "monitor"],
            ["openstack", "novaclient", "keystoneauth1", "lxml", "subprocess", "logging", "dataclasses"],
        ),
        (["muster.agents.fence", "-o", "metadata"], ["openstack", "novaclient", "keystoneauth1"]),
        (["muster.agents.fence", "-o", "on", "-n", "x"], ["openstack", "novaclient", "keystoneauth1"]),
    ],
)
def test_imports_only_what_it_needs(argv: list[str], forbidden: list[str]) -> None:
    """Seen from a process of its own."""
    code = (
        f"import sys, importlib; sys.argv = {['x', *argv[1:]]!r};"
        f" importlib.import_module({argv[0]!r}).main();"
        f" print([m for m in {forbidden!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["hook", "folder"])
def test_a_program_behind_a_link_that_others_may_change_is_refused(
    clouds: Path, hook: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """E8: what is in a foreign folder may lead elsewhere tomorrow."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "hook").symlink_to(hook)
    (foreign / "folder").symlink_to(hook.parent)
    way = str(foreign / name) if name == "hook" else str(foreign / name / "hook")
    assert ocf.run("validate-all", environment(clouds, hook=way)) == ocf.SUCCESS
    foreign.chmod(0o777)
    assert ocf.run("validate-all", environment(clouds, hook=way)) == ocf.INSTALLED
    assert f"others may change {foreign}: chmod go-w {foreign}" in capsys.readouterr().err


def test_links_that_lead_nowhere_are_told(clouds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert ocf.run("validate-all", environment(clouds, hook=str(tmp_path / "a"))) == ocf.INSTALLED
    assert "Too many levels of symbolic links" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_link_of_another_user_is_refused_where_everybody_may_make_one(
    clouds: Path, hook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """E8: in a folder like /tmp."""
    everybodys = tmp_path / "tmp"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    link = everybodys / "hook"
    link.symlink_to(hook)
    assert ocf.run("validate-all", environment(clouds, hook=str(link))) == ocf.SUCCESS
    os.chown(link, 12345, 0, follow_symlinks=False)
    assert ocf.run("validate-all", environment(clouds, hook=str(link))) == ocf.INSTALLED
    assert f"chown -h root {link}" in capsys.readouterr().err


def test_credentials_that_others_may_read_or_replace_are_refused(
    clouds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """E8: also those that openstacksdk takes from secure.yaml."""
    secure = clouds.parent / "secure.yaml"
    secure.write_text("clouds: {}\n")
    secure.chmod(0o600)
    assert ocf.run("validate-all", environment(clouds)) == ocf.SUCCESS
    secure.chmod(0o644)
    assert ocf.run("validate-all", environment(clouds)) == ocf.INSTALLED
    assert f"others may read or write it: chmod 0600 {secure}" in capsys.readouterr().err
    secure.unlink()
    clouds.parent.chmod(0o777)
    assert ocf.run("validate-all", environment(clouds)) == ocf.INSTALLED
    assert f"others may change {clouds.parent}: chmod go-w {clouds.parent}" in capsys.readouterr().err
