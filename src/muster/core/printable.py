# SPDX-License-Identifier: Apache-2.0
"""Text for people: that of others made harmless for whatever shows it, numbers with their nouns, and long lists."""

from __future__ import annotations

from collections.abc import Sequence


def clean(text: object) -> str:
    """Printable, on one line: what a server is called steers no terminal and breaks no document.

    Control characters, line ends, marks that turn the direction of text, lone surrogates and what is no character
    become escapes like ``\\x1b``.  All that is left may stand in XML.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 server``, ``2 servers``.

    :param plural: where an s is not enough.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def first_three(items: Sequence[str]) -> str:
    """``a, b``, and of more than three: ``a, b, c and others``."""
    return ", ".join(items[:3]) + " and others" * (len(items) > 3)


def tolerated(least: int, most: int, hosts: int) -> str:
    """How many hosts may die, in words.

    :param least: so many for sure, whichever they are; ``most``: no more than so many.
    """
    if not hosts:
        return "no host that muster looks after"
    if least == most:
        return f"any {least} of {counted(hosts, 'host')} may die together" if least else "the cloud cannot lose a host"
    return f"at least {least} and at most {most} of {counted(hosts, 'host')} may die together"
