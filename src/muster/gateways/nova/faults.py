# SPDX-License-Identifier: Apache-2.0
"""What a failed call to Nova means for whoever made it.

Only Nova's own words count: a request id, which its middleware gives to every reply before anything else is looked at
(compute_req_id stands first in nova's api-paste.ini), and the error body of an API of OpenStack
(nova/api/openstack/wsgi.py, Fault).  Whatever else answers, an ingress, a firewall, a load balancer, says nothing about
a server: a read is to be asked again, and nobody knows what became of a write that went through its hands.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Optional, Protocol
from urllib.parse import urlsplit

from keystoneauth1 import exceptions as ksa
from urllib3 import exceptions as urllib3_exceptions

from muster.core.errors import Answer, NovaError, NovaRefused, NovaUnavailable, NovaUncertain
from muster.gateways.nova.parsing import seconds

REQUEST_IDS = ("x-openstack-request-id", "x-compute-request-id")

NOT_LET_IN = (401, 406, 413, 429)
"""Nova says these before it looks at the call: no token, a microversion that it has not, over a limit."""
NOT_IMPLEMENTED = 501
"""Of the 5xx the only one that is a refusal."""
_ANSWERS = {
    0: Answer.LOST,
    400: Answer.UNFIT,
    403: Answer.FORBIDDEN,
    404: Answer.NOT_FOUND,
    408: Answer.LOST,
    502: Answer.LOST,
    504: Answer.LOST,
}
"""By Nova's own status: with 0 there is none, with 502 and 504 what stands before it has given up waiting."""


class Reply(Protocol):
    """What counts of a reply of requests."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> str: ...
    @property
    def elapsed(self) -> datetime.timedelta: ...


def answer_of(status: int) -> Answer:
    """:param status: as Nova itself said it; 0 without a reply of its own."""
    return _ANSWERS.get(status, Answer.OTHER)


def timed_out(exc: NovaError) -> bool:
    """Nothing came in time; asked for less, or given longer, it may answer."""
    return isinstance(exc.__cause__, ksa.ConnectTimeout)


def broke(exc: NovaError) -> bool:
    """The connection did not come about or did not last, or the time was out."""
    return isinstance(exc.__cause__, (ksa.ConnectFailure, ksa.ConnectTimeout))


class Redirect(ksa.ClientException):  # type: ignore[misc]
    """Somebody sends us elsewhere, with the token: nobody goes."""


def request_id(reply: Reply) -> str:
    """Empty for a reply that is not an API's of OpenStack."""
    return next((reply.headers[name] for name in REQUEST_IDS if reply.headers.get(name)), "")


def refusal(reply: Reply, what: str, *, write: bool) -> NovaError:
    """The error for a reply that is no success.  Its status is 0 where it is not Nova's own."""
    status, ident, said = reply.status_code, request_id(reply), _said(reply.text)
    unknown: type[NovaError] = NovaUncertain if write else NovaUnavailable
    kind = unknown
    if ident and status == 401:
        kind = NovaUnavailable  # keystonemiddleware's, which says it in words of its own
    elif ident and said:
        if status in NOT_LET_IN:
            kind = NovaUnavailable
        elif (400 <= status < 500 and status != 408) or status == NOT_IMPLEMENTED:
            kind = NovaRefused
    own = bool(ident) and (bool(said) or status == 401 or status >= 500)
    words = said if own and said else reply.text[:300]
    whose = "" if own else ", not from Nova but from something in front of it"
    return kind(
        f"HTTP {status}{whose}: {what}: {words}",
        request_id=ident or None,
        status=status if own else 0,
        retry_after_s=seconds(reply.headers.get("Retry-After")),
        others_status=0 if own else status,
        answer=answer_of(status if own else 0),
    )


def _said(text: str) -> str:
    """An error as Nova, Keystone and placement word it; empty for anything else.

    ``{"itemNotFound": {"code": 404, "message": ...}}``, or ``{"errors": [{"status": 404, "detail": ...}]}``.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict) or len(body) != 1:
        return ""
    (said,) = body.values()
    if isinstance(said, list) and said:
        said = said[0]
    if not isinstance(said, dict):
        return ""
    return " ".join(str(said.get("message") or said.get("detail") or "").split())[:300]


def elsewhere(asked: str, location: str) -> bool:
    """A redirect leads to another place than the one that was asked.  Nova itself adds the slash behind ``/v2.1``
    (nova/api/openstack/compute/routes.py, ROUTE_LIST)."""
    try:
        asked_, to = urlsplit(asked), urlsplit(location)
    except ValueError:
        return True  # half an address, like http://[
    here = not to.netloc or (to.scheme, to.netloc) == (asked_.scheme, asked_.netloc)
    return not (here and to.path == asked_.path + "/")


def trouble(what: str, exc: Exception) -> NovaError:
    """The error for a read that got no usable reply."""
    status = int(getattr(exc, "http_status", 0) or getattr(exc, "status_code", 0) or 0)
    ident = getattr(exc, "request_id", None)
    words = str(exc) if isinstance(exc, Redirect) else f"{type(exc).__name__}: {exc}"
    return NovaUnavailable(f"{what}: {words}", request_id=ident, status=status, answer=answer_of(status))


def write_trouble(exc: Exception) -> NovaError:
    """The error for a write that got no usable reply: only a connection that never came about proves that nothing
    was done; keystoneauth gives read time-outs and broken replies the same class.

    A status that it raises is Keystone's, never Nova's, which are returned: it says nothing about the server, and 401
    that nobody was let in.
    """
    if isinstance(exc, ksa.Unauthorized) or _never_connected(exc):
        status = int(getattr(exc, "http_status", 0) or 0)
        return NovaUnavailable(f"{type(exc).__name__}: {exc}", status=status, answer=answer_of(status))
    return NovaUncertain(str(exc) if isinstance(exc, Redirect) else f"{type(exc).__name__}: {exc}")


def _never_connected(exc: Optional[BaseException]) -> bool:
    for _ in range(10):
        if exc is None:
            return False
        if isinstance(exc, (urllib3_exceptions.NewConnectionError, urllib3_exceptions.ConnectTimeoutError)):
            return True
        reason = next((a for a in exc.args if isinstance(a, BaseException)), None) or getattr(exc, "reason", None)
        exc = reason if isinstance(reason, BaseException) else (exc.__cause__ or exc.__context__)
    return False
