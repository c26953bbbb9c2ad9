# SPDX-License-Identifier: Apache-2.0
"""What the worker writes for commands and for other versions of itself, and how it is read back.  Pure.

Three documents, each JSON with the number of its format: the status file of this controller, what is shared with the
other ones, and the report of an incident.  Whatever in them is not what it should be reads as empty, for a command must
not fail by a file.  One of an earlier format is read in today's words; one of a later format is not read at all, and
said to be one.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional, TypeVar, Union

from muster.reporting.watched import TIME_END

FORMAT = 2
"""Raised with every change by which an older command would understand something wrong.  The first one, which documents
from before it was written have, calls an incident ``on-hold`` that is ``blocked`` now."""
FIRST_FORMAT = 1


@dataclass(frozen=True)
class OtherFormat:
    """A document of a version of muster that writes another format than this one reads.

    :param version: of that muster, where the document says it.
    """

    format: int
    version: str = ""

    def __str__(self) -> str:
        which = "a newer" if self.format > FORMAT else "an older"
        named = f" ({self.version})" if self.version else ""
        return (
            f"{which} muster{named} wrote it in format {self.format}, this one reads {FIRST_FORMAT} to {FORMAT}."
            " Install the same version on every controller"
        )


@dataclass(frozen=True)
class WaitingServer:
    """One that waits for a person, or for something else.

    :param alarm: its evacuation takes longer than ``stuck_after_s``.
    :param waits_for: the host that has to come back first.
    :param next_try: when it is tried again.
    :param dest: where its evacuation is on its way to, by Nova's name.
    """

    id: str = ""
    name: str = ""
    verdict: str = ""
    reason: str = ""
    alarm: bool = False
    waits_for: str = ""
    next_try: Optional[float] = None
    dest: str = ""


@dataclass(frozen=True)
class Summary:
    """An incident in a few lines.

    :param lost: when Pacemaker lost the host; None where it does not say.
    :param fenced: when it was first fenced.
    :param began: when Nova took the first evacuation; None before.
    :param servers: how many have which verdict.
    :param waiting: those that wait for a person first.
    """

    node: str = ""
    host: str = ""
    state: str = ""
    rule: str = ""
    reason: str = ""
    lost: Optional[int] = None
    fenced: int = 0
    began: Optional[float] = None
    servers: Mapping[str, int] = field(default_factory=dict)
    waiting: tuple[WaitingServer, ...] = ()


@dataclass(frozen=True)
class SharedEvent:
    """What goes to every controller is short: the report has the rest."""

    at: float = 0.0
    node: str = ""
    what: str = ""
    server: str = ""
    name: str = ""


@dataclass(frozen=True)
class ReportEvent:
    """An event of the one host that a report is about; what is empty of it is not written."""

    at: float = 0.0
    what: str = ""
    server: str = ""
    name: str = ""
    dest: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class Doubt:
    """A check that is not content.

    :param result: a word of doctor's: unknown, attention or trouble.
    :param what: the first of what it has found.
    :param more: how much else it has found.
    """

    check: str = ""
    result: str = ""
    what: str = ""
    more: int = 0


@dataclass(frozen=True)
class Readiness:
    """What the worker has found wrong before a host dies.

    :param at: when it looked; 0.0: it has not yet.
    :param checks: how many it made.
    """

    at: float = 0.0
    checks: int = 0
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True)
class KnownCapacity:
    """How many hosts may die together, as the worker has found out.

    :param at: when; 0.0: it has not yet, or never does.
    :param at_least: so many may die, whichever they are; ``at_most``: no more than so many.
    :param hosts: of how many.
    :param unsaveable: by reason, how many servers no host takes if their own dies alone.
    :param unjudged: how many servers nothing can be said of.
    :param requests: how many that took.
    :param trouble: why it could not be found out at the last try; all else is from the time before.
    """

    at: float = 0.0
    at_least: int = 0
    at_most: int = 0
    hosts: int = 0
    unsaveable: Mapping[str, int] = field(default_factory=dict)
    unjudged: int = 0
    requests: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class StatusFile:
    """What the monitor of this controller lives on, and people may look at.

    ``first_look`` and ``deadline`` are what :class:`Watched` reads of it.
    """

    format: int = FORMAT
    pid: int = 0
    version: str = ""
    first_look: bool = False
    reason: str = ""
    incidents: tuple[Summary, ...] = ()
    readiness: Readiness = field(default_factory=Readiness)
    capacity: KnownCapacity = field(default_factory=KnownCapacity)
    deadline: float = 0.0
    at: float = 0.0


@dataclass(frozen=True)
class Shared:
    """What every controller knows of the worker.

    :param reason: why it changes nothing; empty if nothing hinders it.
    :param at: when it was shared.
    :param again_s: within so many seconds it is shared again, news or not; 0: only with news.
    :param shortened: there is more than may be shared.
    """

    format: int = FORMAT
    pid: int = 0
    version: str = ""
    reason: str = ""
    incidents: tuple[Summary, ...] = ()
    readiness: Readiness = field(default_factory=Readiness)
    capacity: KnownCapacity = field(default_factory=KnownCapacity)
    events: tuple[SharedEvent, ...] = ()
    at: float = 0.0
    again_s: float = 0.0
    shortened: bool = False


class ServerEntry(NamedTuple):
    """What became of one server, in the report of its incident.

    There may be thousands: a tuple is made and written in a third of the time of a frozen dataclass.

    :param state: its vm_state, when its verdict was given.
    """

    id: str = ""
    name: str = ""
    project: str = ""
    verdict: str = ""
    reason: str = ""
    rule: str = ""
    source: str = ""
    dest: str = ""
    state: str = ""
    attempts: int = 0
    began: Optional[float] = None
    ended: Optional[float] = None
    seconds: Optional[float] = None
    seconds_since_fencing: Optional[float] = None
    request_id: str = ""
    next_try: Optional[float] = None


@dataclass(frozen=True)
class Report:
    """An incident with each of its servers: the file of JSON that the worker keeps.

    :param written: when; 0.0 by what is not in a file.
    """

    format: int = FORMAT
    node: str = ""
    host: str = ""
    state: str = ""
    rule: str = ""
    reason: str = ""
    lost: Optional[float] = None
    fenced: Optional[float] = None
    began: Optional[float] = None
    servers: Mapping[str, int] = field(default_factory=dict)
    proofs: tuple[ServerEntry, ...] = ()
    events: tuple[ReportEvent, ...] = ()
    written: float = 0.0

    @property
    def host_is_back(self) -> bool:
        """muster evacuates nothing from it any more."""
        return self.state == "closed" and not self.reason.startswith(RECORD_REMOVED)


RECORD_REMOVED = "the record was removed in the state"
"""How the reason of a closed incident begins whose host may not be back."""
_SPARSE = (ReportEvent,)
_KEYS = {"source": "from", "dest": "to"}
"""How a field of an entry is written where its key is no name in Python, and the one beside it."""
Document = TypeVar("Document")


@dataclass(frozen=True)
class Heard:
    """What a command has heard of the worker.

    :param controller: which has shared it; empty if nobody has.
    :param other: in its place, what this muster cannot read.
    """

    shared: Shared = field(default_factory=Shared)
    controller: str = ""
    other: Optional[OtherFormat] = None


def as_json(document: object) -> dict[str, Any]:
    """The document as it is written."""
    kind: Any = type(document)
    written = {key: _plain(getattr(document, name)) for name, key, _ in _fields(kind)}
    return {key: value for key, value in written.items() if value} if kind in _SPARSE else written


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if dataclasses.is_dataclass(value):
        return as_json(value)
    if isinstance(value, tuple):
        if value and isinstance(value[0], ServerEntry):
            return [dict(zip(_entry_keys(), entry)) for entry in value]  # all of it is plain
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def read(kind: type[Document], text: Union[str, bytes]) -> Union[Document, OtherFormat, None]:
    """:returns: None for what is no document at all."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return from_json(kind, value) if isinstance(value, dict) else None


def from_json(kind: type[Document], value: Mapping[str, Any]) -> Union[Document, OtherFormat]:
    """The document that was written so."""
    written = value.get("format", FIRST_FORMAT)
    if type(written) is not int or not FIRST_FORMAT <= written <= FORMAT:
        return OtherFormat(written if type(written) is int else 0, _text(value.get("version")))
    made: Document = _object(kind, _from_first(value) if written == FIRST_FORMAT else value)
    return made


def _from_first(value: Mapping[str, Any]) -> dict[str, Any]:
    """A document of the first format in the words of today: an older worker still runs, or has left its report."""
    incidents, events = value.get("incidents"), value.get("events")
    found = {**_unheld(value), "format": FORMAT}
    if isinstance(incidents, list):
        found["incidents"] = [_unheld(it) for it in incidents if isinstance(it, dict)]
    if isinstance(events, list):
        found["events"] = [_unheld(it) for it in events if isinstance(it, dict)]
    return found


def _unheld(value: Mapping[str, Any]) -> dict[str, Any]:
    """An incident or an event that says ``on-hold``."""
    found = dict(value)
    if value.get("state") == "on-hold":
        found["state"] = "blocked"
    if str(value.get("what")).startswith("on-hold: "):
        found["what"] = f"blocked: {value['what'][len('on-hold: ') :]}"
    return found


def _object(kind: Any, value: Mapping[str, Any]) -> Any:
    return kind(**{n: _typed(wanted, value[key]) for n, key, wanted in _fields(kind) if value.get(key) is not None})


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    """Name, key in JSON and type of each field."""
    keys = _KEYS if kind is ServerEntry else {}
    return tuple((name, keys.get(name, name), wanted) for name, wanted in typing.get_type_hints(kind).items())


@functools.cache
def _entry_keys() -> tuple[str, ...]:
    return tuple(key for _, key, _ in _fields(ServerEntry))


def _typed(wanted: Any, value: object) -> Any:
    """The value as what it should be; empty where it is not."""
    if dataclasses.is_dataclass(wanted):
        return _object(wanted, value if isinstance(value, dict) else {})
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    number: Optional[float]
    if origin is tuple:
        items = value if isinstance(value, list) else ()
        return tuple(_object(inner[0], item) for item in items if isinstance(item, dict))
    if origin is not None and origin is not Union:
        pairs = value.items() if isinstance(value, dict) else ()
        return {str(key): whole for key, count in pairs if (whole := _whole(count)) is not None}
    optional = origin is Union
    kind = inner[0] if optional else wanted
    if kind is str:
        return _text(value)
    if kind is bool:
        return value is True
    number = _whole(value) if kind is int else _number(value)
    return number if optional or number is not None else kind(0)


def _text(value: object) -> str:
    return str(value) if value else ""


def _whole(value: object) -> Optional[int]:
    number = _number(value)
    return None if number is None else int(number)


def _number(value: object) -> Optional[float]:
    """A time, a duration or a count; anything that can be none is None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and 0 <= value < TIME_END else None
