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

        Pacemaker.announce(parameters.version(), _lacks(environment))


def _lacks(environment: dict[str, str]) -> str:
    """What the worker would lack on this controller, and whether it would start."""
    from muster import settings
    from muster.core.errors import SettingsError
    from muster.installation.installed import CANNOT_START, DOES_WITHOUT

    try:
        given = settings.from_environment(environment)
    except SettingsError:
        return ""  # so it is on every controller
    fatal, other = _file_faults(given.clouds_file, given.hook, given.metrics_file)
    kind, faults = (CANNOT_START, fatal) if fatal else (DOES_WITHOUT, other)
    return f"{kind}{'; '.join(faults)}" if faults else ""


def _file_faults(clouds_file: str, hook: str, metrics_file: str) -> tuple[list[str], list[str]]:
    """What is wrong with files on this controller: without which no worker starts, and which it can do without."""
    from muster.gateways import comforts, credentials

    other = comforts.hook_faults(hook) + comforts.metrics_faults(metrics_file)
    return credentials.file_faults(clouds_file), other


def _report_nova(environment: dict[str, str]) -> None:
    """A silent Nova is no fault of this resource, and restarting it would mend nothing: said, not failed."""
    from muster import settings
    from muster.installation.live_faults import nova_faults
    from muster.log import Log
    from muster.wiring import connections

    for fault in nova_faults(connections.nova(settings.from_environment(environment))):
        print(f"{_prefix()}{fault}", file=sys.stderr)
        Log("muster").warning("nova silent", reason=fault)


def _stop(supervisor: Supervisor) -> int:
    if supervisor.stop():
        return SUCCESS
    return _fail(GENERIC, "the worker cannot be killed")


def _start(supervisor: Supervisor, environment: dict[str, str]) -> int:
    code = _validate_all(environment, deep=False, comforts=False)
    if code:
        return code
    fault = supervisor.start(environment, START_WAIT_S)
    if fault:
        return _fail(GENERIC, fault)
    _announce(environment)  # after a failover nobody waits for it
    return SUCCESS


def _validate_all(environment: dict[str, str], deep: bool, comforts: bool = True) -> int:
    """Level 0 looks at parameters and files; level 10 also asks Pacemaker and Nova.

    :param comforts: what is only for comfort has to be right, too: whoever types it is told.  A start does without.
    """
    from muster import settings
    from muster.core.errors import SettingsError
    from muster.log import Log

    uneasy = settings.comfort_faults(environment)
    try:
        given = settings.from_environment(environment)
    except SettingsError as exc:
        return _fail(CONFIGURED, *exc.faults, *uneasy)
    fatal, other = _file_faults(given.clouds_file, given.hook, given.metrics_file)
    if comforts and uneasy:
        return _fail(CONFIGURED, *uneasy)
    if fatal or (comforts and other):
        return _fail(INSTALLED, *fatal, *other)
    for fault in (*uneasy, *other):
        Log("muster").warning("does without", reason=fault)
    if deep:
        from muster.wiring import lookups

        faults = lookups.live_faults(given)
        if faults:
            return _fail(GENERIC, *faults)
    return SUCCESS


def _level(environment: dict[str, str]) -> int:
    text = environment.get("OCF_CHECK_LEVEL", "0").strip()
    return int(text) if text.isdigit() else 0


def _prefix() -> str:
    return os.environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")


def _fail(code: int, *reasons: str) -> int:
    """All reasons for people; Pacemaker keeps the last line with the prefix, so they stand in one."""
    print(f"{_prefix()}{'; '.join(' '.join(reason.split()) for reason in reasons)}", file=sys.stderr)
    return code
