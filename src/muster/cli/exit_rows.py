# SPDX-License-Identifier: Apache-2.0
"""When each command ends with 0, 1, 2 and 3."""

from __future__ import annotations

Exits = tuple[str, str, str, str]

_UNSEEN = "Pacemaker does not answer, or there is no such host"
_ORDER: Exits = (
    "the order was given, or had been given before",
    "retry: nothing was ordered, because something else has to be done first",
    "it was refused, or whoever was asked said no",
    "Pacemaker does not answer",
)
EXITS: dict[str, Exits] = {
    "status": (
        "no host is dead and muster is ready; with HOST: it is not dead, or is back and left no server behind",
        "a host is dead and its servers are seen to, something waits, or muster may not be ready; with HOST: its"
        " incident is under way, or is closed and left servers that were held, parked or unknown",
        "a person is needed, or muster is not ready; with HOST: a server is held, a guard has stopped the incident, or"
        " no worker runs",
        _UNSEEN,
    ),
    "watch": (
        "as status, by the last look",
        "as status, by the last look",
        "as status, by the last look",
        "Pacemaker did not answer for 300 looks",
    ),
    "plan": (
        "every server would find room",
        "some would need a person, or muster cannot tell",
        "the host could not be evacuated, or some servers would find no room",
        "Pacemaker, Nova or Placement do not answer, or there is no such host",
    ),
    "capacity": (
        "so many hosts may die together as were asked for",
        "that is not proved, muster cannot tell for some servers, or some hosts are not counted",
        "so many may not",
        "Pacemaker, Nova or Placement do not answer",
    ),
    "report": ("it was shown", "", "", "nothing is known of the incident, or neither reports nor Nova can be read"),
    "events": ("they were shown, as far as they are known here", "", "", "Pacemaker does not answer"),
    **dict.fromkeys(("retry", "skip", "approve", "confirm", "release", "acknowledge", "pause", "resume"), _ORDER),
    "doctor": ("every check is content", "a check says attention, or cannot tell", "a check says trouble", _UNSEEN),
    "drill": (
        "everything came as foretold; with --dry-run: the drill may begin",
        "",
        "something is in the way, whoever was asked said no, or it did not come as foretold",
        "Pacemaker, Nova or Placement do not answer, or there is no such host",
    ),
    "setup": (
        "nothing is missing, or all of it was added",
        "something is missing, and its commands were printed",
        "a command failed, something is still missing, or whoever was asked said no",
        "Pacemaker does not answer",
    ),
    "register": (
        "it is done",
        "",
        "something else is in the way, or a worker runs; nothing was changed",
        "it broke down",
    ),
    **dict.fromkeys(("help", "version"), ("it was shown", "", "", "it broke down")),
}
"""Of each command: 0, 1, 2, 3.  The one table: the help, the manual page and the tests have it from here."""
