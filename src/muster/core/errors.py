# SPDX-License-Identifier: Apache-2.0
"""The one error tree.  A class says what follows for the operator, not which library failed.

MusterError
  SettingsError        the configuration is wrong: lists every fault at once
  ClusterError         Pacemaker's tools did not answer, or not in time: nothing may follow from it
    ClusterRefused     a guarded write found another state than it was to change (no quorum, lost race)
  NovaError            Nova did not do what was asked; carries the request id when there is one
    NovaUnavailable    it certainly did nothing (connection refused, 429, 503 on a read): ask again later
    NovaUncertain      a write whose outcome is not known (time-out, broken reply, 5xx): look before any repeat
    NovaRefused        Nova itself understood and said no (4xx): its own words are for the operator
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Optional


class Answer(enum.Enum):
    """What the answer to a call that failed was, as far as it means different things to us."""

    LOST = "lost"  # none from Nova itself, or that it has waited in vain: the call may still be under way
    NOT_FOUND = "not found"  # Nova knows no such server, or no such host
    FORBIDDEN = "forbidden"  # this user may not
    UNFIT = "unfit"  # not as things are: what is asked for hangs on something that has not happened yet
    OTHER = "other"  # Nova is done with the call


class MusterError(Exception):
    """Anything that muster itself reports."""


class SettingsError(MusterError):
    """The configuration cannot be used.

    :param faults: one sentence for each fault: parameter, value, remedy.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class ClusterError(MusterError):
    """Pacemaker could not be asked or did not answer in time."""


class ClusterRefused(ClusterError):
    """A compare-and-set or a write under quorum did not match, so nothing was written."""


class NovaError(MusterError):
    """A call to Nova (or Keystone before it) failed.

    :param status: of HTTP, as Nova itself said it; 0 without a reply of its own.  For the gateway, which alone knows
        what it means: for everybody else there is ``answer``.
    :param others_status: the same from somebody else who answered in its place: a proxy, a firewall.
    """

    unsaid = Answer.LOST

    def __init__(
        self,
        message: str,
        *,
        request_id: Optional[str] = None,
        status: int = 0,
        retry_after_s: float = 0.0,
        others_status: int = 0,
        answer: Optional[Answer] = None,
    ) -> None:
        self.request_id = request_id
        self.status = status
        self.retry_after_s = retry_after_s
        self.others_status = others_status
        self.answer = answer or self.unsaid
        super().__init__(message)


class NovaUnavailable(NovaError):
    """Nothing was done; the call may be repeated later."""


class NovaUncertain(NovaError):
    """The call may or may not have been carried out, and may still be carried out later."""


class NovaRefused(NovaError):
    """Nova refused the call; repeating it unchanged is pointless until something else changes."""

    unsaid = Answer.OTHER
