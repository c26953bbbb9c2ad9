# SPDX-License-Identifier: Apache-2.0
"""What the checks see, and what they say.  Frozen values."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from muster.installation.installed import Controller, Installation, NovaAccess, Resource
from muster.installation.missing import Argv, SetupStep


class Result(enum.Enum):
    """In the order of gravity."""

    OK = "ok"
    UNKNOWN = "unknown"
    ATTENTION = "attention"
    TROUBLE = "trouble"

    @property
    def gravity(self) -> int:
        return list(Result).index(self)


@dataclass(frozen=True)
class CheckResult:
    """:param what: what was found, in one sentence.
    :param remedy: what to do, as far as the commands do not say it.
    :param commands: that mend it, in this order.
    """

    result: Result
    what: str
    remedy: str = ""
    commands: tuple[Argv, ...] = ()


@dataclass(frozen=True)
class Examination:
    """All that the checks depend on.

    :param worker: the resource that they are about; None if there is none or it is not clear which.
    :param settings_faults: what is wrong with its parameters; the fields after it are empty then.
    :param comfort_faults: what is wrong with those for comfort, and with what they name on this controller.
    """

    here: Installation
    controller: Controller
    nova: NovaAccess
    worker: Optional[Resource] = None
    settings_faults: tuple[str, ...] = ()
    shared_storage: Optional[bool] = None
    nova_api_version: str = ""
    report_interval_s: int = 10
    clouds_file: str = "/etc/muster/clouds.yaml"
    host_map: Mapping[str, str] = field(default_factory=dict)
    comfort_faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examined:
    """A check that was made."""

    name: str
    findings: tuple[CheckResult, ...]

    @property
    def result(self) -> Result:
        return worst(finding.result for finding in self.findings)


def worst(results: Iterable[Result]) -> Result:
    return max(results, key=lambda result: result.gravity, default=Result.UNKNOWN)


def ok(what: str, advice: str = "", *commands: Argv) -> CheckResult:
    return CheckResult(Result.OK, what, advice, commands)


def unknown(what: str, remedy: str = "", *commands: Argv) -> CheckResult:
    return CheckResult(Result.UNKNOWN, what, remedy, commands)


def attention(what: str, remedy: str = "", *commands: Argv) -> CheckResult:
    return CheckResult(Result.ATTENTION, what, remedy, commands)


def trouble(what: str, remedy: str = "", *commands: Argv) -> CheckResult:
    return CheckResult(Result.TROUBLE, what, remedy, commands)


def by(result: Result, what: str, steps: Sequence[SetupStep]) -> CheckResult:
    """What :mod:`muster.installation.missing` would do about it."""
    commands = tuple(command for step in steps for command in step.commands)
    return CheckResult(result, what, "; ".join(step.why for step in steps if not step.commands), commands)


def set_option(option: str, value: str) -> Argv:
    return "pcs", "property", "set", f"{option}={value}"


def unset_option(option: str) -> Argv:
    return "pcs", "property", "unset", option


def update_resource(name: str, pair: str) -> Argv:
    return "pcs", "resource", "update", name, pair
