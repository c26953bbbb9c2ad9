# SPDX-License-Identifier: Apache-2.0
"""One event a line, ``key=value``, to syslog; to stderr where there is none.

Whatever is in a value, a server's name for instance, stays one word of one line: nothing in it can look like another
field, another line or a terminal's command.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import sys
import traceback
from pathlib import Path

SYSLOG = "/dev/log"
VALUE_LIMIT = 600
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+-]+")


def line(event: str, fields: dict[str, object]) -> str:
    """``event="evacuate sent" server=... name="a \\"b\\""``."""
    return " ".join(
        f"{key}={value(what)}" for key, what in {"event": event, **fields}.items() if what not in (None, "")
    )


def value(what: object) -> str:
    """A value as one printable word, quoted like JSON where it has to be."""
    text = str(what)
    if len(text) > VALUE_LIMIT:
        text = text[:VALUE_LIMIT] + "..."
    return text if _PLAIN.fullmatch(text) else json.dumps(text).replace("\x7f", "\\u007f")


class Log:
    """:param name: the program's name in front of every line.
    :param people: they read the standard error of this program, and none of these lines belongs there.
    """

    def __init__(self, name: str, people: bool = False) -> None:
        self._log = logging.getLogger(f"muster-lines.{name}" + ".people" * people)
        self._log.propagate = False
        self._log.setLevel(logging.INFO)
        if not self._log.handlers:
            silent = people and not Path(SYSLOG).exists()
            self._log.addHandler(logging.NullHandler() if silent else _outlet(name))

    def info(self, event: str, **fields: object) -> None:
        self._log.info("%s", line(event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self._log.warning("%s", line(event, fields))

    def error(self, event: str, **fields: object) -> None:
        self._log.error("%s", line(event, fields))

    def exception(self, event: str, **fields: object) -> None:
        """With the traceback of the exception that is being handled: where it was, and its type, but no values."""
        kind, exc, trace = sys.exc_info()
        frames = traceback.extract_tb(trace)
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
        self.error(event, type=kind.__name__ if kind else "", reason=exc, where=where, **fields)


def _outlet(name: str) -> logging.Handler:
    handler: logging.Handler
    if Path(SYSLOG).exists():
        handler = logging.handlers.SysLogHandler(SYSLOG, logging.handlers.SysLogHandler.LOG_DAEMON)
        handler.setFormatter(logging.Formatter(f"{name}[%(process)d]: %(levelname)s %(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(f"%(asctime)s {name}[%(process)d]: %(levelname)s %(message)s"))
    return handler
