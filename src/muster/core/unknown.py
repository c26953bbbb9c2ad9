# SPDX-License-Identifier: Apache-2.0
"""What nobody knows, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unknown:
    """Stands where a value would if it were known.  Nobody can take it for one, nor for "none".

    :param why: the reason, in words for people.
    """

    why: str

    def __str__(self) -> str:
        return self.why
