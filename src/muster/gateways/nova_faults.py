# SPDX-License-Identifier: Apache-2.0
"""What a failed call to Nova means for whoever made it."""

from __future__ import annotations

from typing import Optional

from keystoneauth1 import exceptions as ksa
from urllib3 import exceptions as urllib3_exceptions

from muster.errors import NovaError, NovaRefused, NovaUnavailable, NovaUncertain

LOST_ON_THE_WAY = (408, 502, 504)
"""A proxy gave up waiting: Nova may still be at work.  Any other 5xx is Nova's own end of the call."""


def refusal(status: int, words: str, request_id: Optional[str], retry_after_s: float, *, write: bool) -> NovaError:
    """The error for an HTTP status of 400 and more."""
    kind: type[NovaError]
    if status in (401, 429):
        kind = NovaUnavailable  # not let in: nothing was done
    elif status >= 500 or status == 408:
        kind = NovaUncertain if write else NovaUnavailable
    else:
        kind = NovaRefused
    return kind(f"HTTP {status}: {words}", request_id=request_id, status=status, retry_after_s=retry_after_s)


def trouble(what: str, exc: Exception) -> NovaError:
    """The error for a read that got no usable reply."""
    status = int(getattr(exc, "http_status", 0) or getattr(exc, "status_code", 0) or 0)
    request_id = getattr(exc, "request_id", None)
    return NovaUnavailable(f"{what}: {type(exc).__name__}: {exc}", request_id=request_id, status=status)


def write_trouble(exc: Exception) -> NovaError:
    """The error for a write that got no usable reply: only a connection that never came about proves that nothing
    was done; keystoneauth gives read time-outs and broken replies the same class."""
    if isinstance(exc, ksa.HttpError):
        return refusal(exc.http_status, str(exc), exc.request_id, 0.0, write=True)
    if _never_connected(exc):
        return NovaUnavailable(f"{type(exc).__name__}: {exc}")
    return NovaUncertain(f"{type(exc).__name__}: {exc}")


def _never_connected(exc: Optional[BaseException]) -> bool:
    for _ in range(10):
        if exc is None:
            return False
        if isinstance(exc, (urllib3_exceptions.NewConnectionError, urllib3_exceptions.ConnectTimeoutError)):
            return True
        reason = next((a for a in exc.args if isinstance(a, BaseException)), None) or getattr(exc, "reason", None)
        exc = reason if isinstance(reason, BaseException) else (exc.__cause__ or exc.__context__)
    return False
