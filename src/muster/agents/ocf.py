# SPDX-License-Identifier: Apache-2.0
"""``ocf:muster:ComputeRecovery``: what Pacemaker calls.  Exit codes by OCF 1.1.

Nothing is imported before it is needed: the monitor runs every few seconds on a controller that has better to do.
"""

from __future__ import annotations

import os
import sys

from muster.agents.supervisor import RUN_DIRECTORY, Supervisor

SUCCESS, GENERIC, UNIMPLEMENTED, PERMISSION, INSTALLED, CONFIGURED, NOT_RUNNING = 0, 1, 3, 4, 5, 6, 7

START_WAIT_S = 30.0
DEEP = 10
FROM_PACEMAKER = "OCF_RESKEY_crm_feature_set"
USAGE = "usage: ComputeRecovery start|stop|monitor|validate-all|meta-data (parameters: OCF_RESKEY_* in the environment)"


def main() -> int:
    """:returns: the exit code of the action named by the first argument."""
    try:
        return run(sys.argv[1] if len(sys.argv) == 2 else "", dict(os.environ))
    except PermissionError as exc:
        return _fail(PERMISSION, f"{exc.filename or 'the worker'}: {exc.strerror}: only root may do this")
    except Exception:
        from muster.log import Log

        Log("muster").exception("agent failed")
        return _fail(GENERIC, "the agent failed. The log has the details: journalctl -t muster")


def run(action: str, environment: dict[str, str], directory: str = RUN_DIRECTORY) -> int:
    if action == "meta-data":
        return _meta_data()
    if action in ("start", "stop", "monitor"):
        supervisor = Supervisor(environment.get("OCF_RESOURCE_INSTANCE") or "muster", directory)
        if action == "monitor":
            return _monitor(supervisor, environment)
        return _stop(supervisor) if action == "stop" else _start(supervisor, environment)
    if action == "validate-all":
        return _validate_all(environment, deep=_level(environment) >= DEEP)
    if action in ("usage", "help", "--help"):
        print(USAGE)
        return SUCCESS
    print(USAGE, file=sys.stderr)
    return UNIMPLEMENTED


def _meta_data() -> int:
    from muster import parameters

    sys.stdout.write(parameters.agent_metadata())
    return SUCCESS


def _monitor(supervisor: Supervisor, environment: dict[str, str]) -> int:
    if not supervisor.pid():
        _announce(environment)
        return NOT_RUNNING
    overdue_s = supervisor.silent_for_s()
    if overdue_s:
        return _fail(GENERIC, f"the worker has been silent {overdue_s:.0f} s longer than it announced")
    if _level(environment) >= DEEP:
        _report_nova(environment)
    return SUCCESS


def _announce(environment: dict[str, str]) -> None:
    """Pacemaker's probe of a controller that joins is the one call that each of them gets.  Only Pacemaker's own."""
    if FROM_PACEMAKER in environment:
        from muster import parameters
        from muster.gateways.pacemaker.cluster import Pacemaker

        Pacemaker.announce(parameters.version())


def _report_nova(environment: dict[str, str]) -> None:
    """A silent Nova is no fault of this resource, and restarting it would mend nothing: said, not failed."""
    from muster import settings, wiring
    from muster.installation.live_faults import nova_faults
    from muster.log import Log

    for fault in nova_faults(wiring.nova(settings.from_environment(environment))):
        print(f"{_prefix()}{fault}", file=sys.stderr)
        Log("muster").warning("nova silent", reason=fault)


def _stop(supervisor: Supervisor) -> int:
    if supervisor.stop():
        return SUCCESS
    return _fail(GENERIC, "the worker cannot be killed")


def _start(supervisor: Supervisor, environment: dict[str, str]) -> int:
    code = _validate_all(environment, deep=False)
    if code:
        return code
    fault = supervisor.start(environment, START_WAIT_S)
    if fault:
        return _fail(GENERIC, fault)
    _announce(environment)  # after a failover nobody waits for it
    return SUCCESS


def _validate_all(environment: dict[str, str], deep: bool) -> int:
    """Level 0 looks at parameters and files; level 10 also asks Pacemaker and Nova."""
    from muster import settings
    from muster.core.errors import SettingsError
    from muster.gateways import credentials

    try:
        given = settings.from_environment(environment)
    except SettingsError as exc:
        return _fail(CONFIGURED, *exc.faults)
    faults = credentials.file_faults(given.clouds_file) + _hook_faults(given.hook) + _metrics_faults(given.metrics_file)
    if faults:
        return _fail(INSTALLED, *faults)
    if deep:
        from muster import wiring

        faults = wiring.live_faults(given)
        if faults:
            return _fail(GENERIC, *faults)
    return SUCCESS


def _hook_faults(path: str) -> list[str]:
    """What is wrong with the operator's program on this controller: the worker runs it as root."""
    import stat

    from muster.gateways import credentials

    if not path:
        return []
    try:
        seen, changing = os.stat(path), credentials.changeable(path)
    except OSError as exc:
        return [f"hook={path!r}: {exc.strerror}: put it on every controller"]
    faults = [f"hook={path!r}: {what}" for _, what in changing]
    if not stat.S_ISREG(seen.st_mode) or not seen.st_mode & stat.S_IXUSR:
        faults.append(f"hook={path!r}: is no program: chmod 0755 {path}")
    return faults


def _metrics_faults(path: str) -> list[str]:
    if not path or os.path.isdir(os.path.dirname(path)):
        return []
    return [f"metrics_file={path!r}: its folder does not exist: install node_exporter, or make the folder"]


def _level(environment: dict[str, str]) -> int:
    text = environment.get("OCF_CHECK_LEVEL", "0").strip()
    return int(text) if text.isdigit() else 0


def _prefix() -> str:
    return os.environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")


def _fail(code: int, *reasons: str) -> int:
    """All reasons for people; Pacemaker keeps the last line with the prefix, so they stand in one."""
    print(f"{_prefix()}{'; '.join(' '.join(reason.split()) for reason in reasons)}", file=sys.stderr)
    return code
