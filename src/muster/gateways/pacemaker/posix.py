# SPDX-License-Identifier: Apache-2.0
"""POSIX extended regular expressions, by the C library that Pacemaker asks, too: Python's are others."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, Optional

EXTENDED, NO_SUBMATCHES = 1, 8
"""REG_EXTENDED and REG_NOSUB of glibc and musl."""
ROOM = 512
"""For a regex_t: 64 bytes in glibc, less in musl."""


def matches(pattern: str, text: str) -> Optional[bool]:
    """As Pacemaker's fencer and scheduler do: unanchored, case-sensitive; what does not compile matches nothing
    (daemons/fenced/fenced_remote.c, topology_matches(); lib/pacemaker/pcmk_sched_location.c, unpack_simple_location()).

    :returns: None where it cannot be told: no such C library, or letters whose meaning depends on the locale.
    """
    found = matching(pattern, [text])
    return found if found is None else bool(found)


def matching(pattern: str, texts: Sequence[str], inverted: bool = False) -> Optional[list[str]]:
    """Those that match, or those that do not; without a pattern that compiles, none."""
    library = _library()
    if library is None or not all(text.isascii() and "\0" not in text for text in (pattern, *texts)):
        return None
    compiled = ctypes.create_string_buffer(ROOM)
    if library.regcomp(compiled, pattern.encode(), EXTENDED | NO_SUBMATCHES):
        return []
    try:
        return [t for t in texts if (library.regexec(compiled, t.encode(), 0, None, 0) != 0) is inverted]
    finally:
        library.regfree(compiled)


@functools.cache
def _library() -> Optional[Any]:
    library = ctypes.CDLL(None)
    return library if all(hasattr(library, name) for name in ("regcomp", "regexec", "regfree")) else None
