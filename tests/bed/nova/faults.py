# SPDX-License-Identifier: Apache-2.0
"""WSGI layer that writes down every request and spoils those that a rule names.

A request with the header ``X-Muster-Bed`` is the bed's own: neither spoilt nor written down.
"""

import io
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from cheroot import errors

OWN_HEADER = "X-Muster-Bed"
_OWN = "HTTP_X_MUSTER_BED"
BODY_KEPT = 4000  # characters of a compute request's body kept in the log
FAULT_NAMES = {400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest", 413: "overLimit"}
_thread = threading.local()


def is_own_request():
    """Does this thread answer a request of the bed itself?"""
    return getattr(_thread, "own", False)


@dataclass
class Rule:
    """Which requests are spoilt, and how.

    ``path``, ``query`` and ``body`` are regular expressions to search for.  The first ``skip`` matches are spared, then
    ``times`` of them are spoilt (None: all).  ``delay`` (seconds) comes first; then ``status`` with ``text`` and
    ``headers`` is answered, or the connection is dropped: ``"half"`` a reply, or ``"silent"``, without a byte.  With
    ``after`` Nova does the work first, and the rest happens to its reply.  What is answered is a proxy's: with ``own`` it
    is as Nova says it, with a request id and in its words.
    """

    service: str = "compute"
    method: str | None = None
    path: str | None = None
    query: str | None = None
    body: str | None = None
    skip: int = 0
    times: int | None = None
    after: bool = False
    own: bool = False
    delay: float = 0.0
    status: int | None = None
    text: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool | str = False
    hits: int = 0

    def __post_init__(self):
        if self.drop is True:
            self.drop = "half"
        if self.drop not in (False, "half", "silent"):
            raise ValueError(f"drop={self.drop!r}: half or silent")
        if not (self.delay or self.status or self.drop):
            raise ValueError("the rule does nothing: delay, status or drop")

    def fits(self, service, method, path, query, body):
        return (
            self.service == service
            and self.method in (None, method)
            and (self.path is None or re.search(self.path, path))
            and (self.query is None or re.search(self.query, query))
            and (self.body is None or re.search(self.body, body))
        )

    def strike(self):
        """Count one match; True if it is to be spoilt."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            if self.times <= 0:
                return False
            self.times -= 1
        self.hits += 1
        return True

    def reply(self):
        text = self.text
        if text is None:
            fault = FAULT_NAMES.get(self.status, "computeFault") if self.own else "error"
            text = json.dumps({fault: {"code": self.status, "message": "injected by the test bed"}})
        headers = {"Content-Type": "application/json", **self.headers}
        if self.own:
            headers["X-Openstack-Request-Id"] = f"req-{uuid.uuid4()}"
        return f"{self.status} Injected", list(headers.items()), text.encode()


class Rules:
    def __init__(self):
        self._rules = []
        self._lock = threading.Lock()
        self._cleared = threading.Event()

    def add(self, **rule):
        with self._lock:
            self._rules.append(Rule(**rule))
            return len(self._rules)

    def clear(self):
        """Forget the rules and let every delayed request go on."""
        with self._lock:
            self._rules.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def hits(self):
        with self._lock:
            return [rule.hits for rule in self._rules]

    def find(self, *request):
        with self._lock:
            return next((r for r in self._rules if r.fits(*request) and r.strike()), None)

    def wait(self, delay):
        self._cleared.wait(delay)


class Spoiler:
    """The WSGI layer around one service."""

    def __init__(self, name, app, log, rules):
        self._name, self._app, self._log, self._rules = name, app, log, rules

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        environ["bed.body"] = body
        _thread.own = bool(environ.get(_OWN))
        if _thread.own:
            return self._app(environ, start_response)
        entry = self._entry(environ, body)
        rule = self._rules.find(
            self._name, entry["method"], entry["path"], entry["query"], body.decode(errors="replace")
        )
        begin = time.monotonic()
        try:
            return self._answer(environ, start_response, rule, entry)
        finally:
            entry["ms"] = round((time.monotonic() - begin) * 1000, 1)
            self._log.append(entry)

    def _entry(self, environ, body) -> dict[str, Any]:
        entry = {
            "time": time.time(),
            "service": self._name,
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            "query": environ.get("QUERY_STRING", ""),
            "microversion": environ.get("HTTP_OPENSTACK_API_VERSION")
            or environ.get("HTTP_X_OPENSTACK_NOVA_API_VERSION"),
            "user_agent": environ.get("HTTP_USER_AGENT"),
            "status": None,
            "request_id": None,
        }
        if self._name == "compute" and body:
            entry["body"] = body[:BODY_KEPT].decode(errors="replace")
        return entry

    def _answer(self, environ, start_response, rule, entry):
        def note(status, headers, exc_info=None):
            entry["status"] = int(status.split()[0])
            entry["request_id"] = {k.lower(): v for k, v in headers}.get("x-openstack-request-id")
            return start_response(status, headers, exc_info)

        if rule is None:
            return self._app(environ, note)
        reply = None
        if rule.after:
            reply = self._buffered(environ, entry)
        if rule.delay:
            self._rules.wait(rule.delay)
        if rule.drop:
            return self._drop(rule, start_response, entry)
        if rule.status:
            reply = rule.reply()
            entry["injected"] = True
            entry["status"] = rule.status
        if reply is None:
            return self._app(environ, note)
        status, headers, data = reply
        start_response(status, [h for h in headers if h[0].lower() != "content-length"] + [_length(data)])
        return [data]

    def _buffered(self, environ, entry):
        """Let Nova do the work, and hold its reply."""
        kept = []

        def keep(status, headers, exc_info=None):
            kept[:] = [status, headers]
            entry["status"] = entry["real_status"] = int(status.split()[0])
            entry["request_id"] = {k.lower(): v for k, v in headers}.get("x-openstack-request-id")
            return lambda data: None

        data = b"".join(self._app(environ, keep))
        return kept[0], kept[1], data

    @staticmethod
    def _drop(rule, start_response, entry):
        entry["injected"] = True
        entry["status"] = "dropped"
        # cheroot closes the connection without a word, and without a traceback, on this exception only
        if rule.drop == "silent":
            raise errors.FatalSSLAlert
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "100000")])

        def half():
            yield b"{"
            raise errors.FatalSSLAlert

        return half()


def _length(data):
    return "Content-Length", str(len(data))
