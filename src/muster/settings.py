# SPDX-License-Identifier: Apache-2.0
"""The settings: one frozen value, read from the agent's environment by the catalogue of parameters.

All faults are found at once; each names parameter, value and remedy.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from muster import parameters
from muster.core.errors import SettingsError
from muster.core.policy import FailedHosts, Policy
from muster.parameters import Parameter

AGENT = "ComputeRecovery"
PREFIX = "OCF_RESKEY_"
_TRUE = frozenset({"yes", "true", "on", "1", "y", "t", "ja"})
_FALSE = frozenset({"no", "false", "off", "0", "n", "f", "nein"})


@dataclass(frozen=True)
class Settings(Policy):
    """Every parameter: the policy, and what gateways and outlets need."""

    cloud: str
    clouds_file: str
    capacity_every_s: int
    nova_api_version: str
    hook: str
    metrics_file: str


def from_environment(environment: Mapping[str, str]) -> Settings:
    """A parameter for comfort whose value is wrong counts as not given: :func:`comfort_faults` names it.

    :raises SettingsError: with every other fault.  What is not a parameter (``CRM_meta_*`` ...) is ignored.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for parameter in parameters.parameters(AGENT):
        value, fault = _value(parameter, environment)
        if fault and parameter.comfort:
            value, fault = _value(parameter, {})
        values.update({} if fault else {field_of(parameter.name): value})
        faults += [fault] if fault else []
    faults += _doubts(values)
    if faults:
        raise SettingsError(faults)
    return Settings(**values)


def field_of(parameter: str) -> str:
    """The name of its field: what is a word of Python's own has an underscore behind it."""
    return f"{parameter}_" if keyword.iskeyword(parameter) else parameter


def comfort_faults(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with those parameters that no decision depends on."""
    comforts = (parameter for parameter in parameters.parameters(AGENT) if parameter.comfort)
    return [fault for _, fault in (_value(parameter, environment) for parameter in comforts) if fault]


def _value(parameter: Parameter, environment: Mapping[str, str]) -> tuple[Any, str]:
    """The value, and what is wrong with it."""
    given = environment.get(PREFIX + parameter.name, "").strip() or (parameter.default or "").strip()
    try:
        return _read(parameter, given), ""
    except ValueError as exc:
        return None, f"{parameter.name}={given!r}: {exc}" if given else f"{parameter.name}: {exc}"


def _doubts(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with values together."""
    taken: dict[str, list[str]] = {}
    for node, host in values.get("host_map", {}).items():
        if host:
            taken.setdefault(host, []).append(node)
    faults = [
        f"host_map: {host!r} stands behind {' and '.join(nodes)}: one host belongs to one node"
        for host, nodes in taken.items()
        if len(nodes) > 1
    ]
    faults += [
        f"target_map: {source!r} is its own spare: name another host"
        for source, target in values.get("target_map", {}).items()
        if source == target
    ]
    return faults


def _read(parameter: Parameter, text: str) -> Any:
    if not text and parameter.required:
        hint = "yes or no" if parameter.kind == "boolean" else parameter.shortdesc
        raise ValueError(f"is required: {hint}")
    return _KINDS[parameter.kind](parameter, text)


def _integer(parameter: Parameter, text: str) -> int:
    low, high = parameter.minimum, parameter.maximum
    assert low is not None and high is not None
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text) or not low <= int(text) <= high:
        unit = f" {parameter.unit}" if parameter.unit else ""
        raise ValueError(f"use a whole number from {low} to {high}{unit}")
    return int(text)


def _boolean(parameter: Parameter, text: str) -> bool:
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("use yes or no")


def _choice(parameter: Parameter, text: str) -> str:
    if text not in parameter.values:
        raise ValueError(f"use {' or '.join(parameter.values)}")
    return text


def _hosts(parameter: Parameter, text: str) -> FailedHosts:
    found = re.fullmatch(r"([0-9]{1,6})(%?)", text)
    if not found or not 1 <= int(found[1]) <= (100 if found[2] else 10**6):
        raise ValueError("use a number of hosts from 1, or a percentage from 1% to 100%")
    return FailedHosts(int(found[1]), bool(found[2]))


def _pairs(parameter: Parameter, text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for entry in filter(None, re.split(r"[;,\s]+", text)):
        pair = re.fullmatch(r"([\w.-]+)[:=]([\w.-]*)", entry, re.ASCII)
        if not pair:
            raise ValueError(f'{entry!r} is no pair: use "name1:name2;name3:name4"')
        if pair[1] in found:
            raise ValueError(f"{pair[1]!r} stands there twice: keep one")
        if not pair[2] and parameter.name == "target_map":
            raise ValueError(f"{pair[1]!r} has no spare: name one, or leave it out")
        found[pair[1]] = pair[2]
    return MappingProxyType(found)


def _marks(parameter: Parameter, text: str) -> tuple[tuple[str, str], ...]:
    if text == "none":  # an empty value would mean the default
        return ()
    marks = []
    for entry in filter(None, map(str.strip, text.split(";"))):
        key, separator, pattern = (part.strip() for part in entry.partition("="))
        if not (key and separator and pattern and entry.isprintable()):
            raise ValueError(f'{entry!r} is no mark: use "key=pattern;key=pattern"')
        marks.append((key, pattern))
    return tuple(marks)


def _words(parameter: Parameter, text: str) -> frozenset[str]:
    given = frozenset(filter(None, re.split(r"[;,\s]+", text)))
    if not given <= set(parameter.values):
        raise ValueError(f"use some of {', '.join(parameter.values)}, or nothing")
    return given


def _version(parameter: Parameter, text: str) -> str:
    if not re.fullmatch(r"2\.[0-9]{1,3}", text) or int(text[2:]) < 11:
        raise ValueError("use a microversion of Nova from 2.11, for instance 2.79")
    return text


def _path(parameter: Parameter, text: str) -> str:
    if not text and parameter.default == "":
        return ""
    if not text.startswith("/"):
        raise ValueError("use an absolute path")
    return text


def _name(parameter: Parameter, text: str) -> str:
    if not text or len(text) > 255 or not text.isprintable():
        raise ValueError("use a name of 1 to 255 printable characters")
    return text


_KINDS: Mapping[str, Callable[[Parameter, str], Any]] = {
    "integer": _integer,
    "boolean": _boolean,
    "choice": _choice,
    "hosts": _hosts,
    "pairs": _pairs,
    "marks": _marks,
    "words": _words,
    "version": _version,
    "path": _path,
    "name": _name,
}
