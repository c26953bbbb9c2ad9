# SPDX-License-Identifier: Apache-2.0
"""E3: whatever text stands in Nova, it stays text, in one line of the log and one field of the report."""

from __future__ import annotations

import json
import shlex

import pytest

from muster import log
from tests.bed.nova.client import NovaBed
from tests.nova.steps import MakeRig, boot, expect

ACCEPTED = [
    '"; verdict=evacuated "',
    "<b onclick='x()'>&amp;</b>",
    "$(reboot) `reboot` \\n %s {0}",
    "имя 名前",
    "x" * 255,
]
PLANTED = [
    'two\nlines event="evacuate sent" server=none',
    "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "right\u202eto left\u2028separated\u0085next\x7f\x9b",
    "\U0001f680",
]
"""Nova refuses these at its API; its database may have them all the same."""


@pytest.mark.parametrize("planted", [False, True], ids=["accepted", "planted"])
def test_a_name_stays_one_word_of_one_line(bed: NovaBed, rig: MakeRig, planted: bool) -> None:
    names = PLANTED if planted else ACCEPTED
    servers = dict(zip(boot(bed, len(names)), names))
    for uuid, name in servers.items():
        if planted:
            bed.ctl("set_state", uuid=uuid, name=name)
        else:
            assert bed.api("PUT", f"/servers/{uuid}", {"server": {"name": name}}).status == 200
    it = rig()
    it.fence("cmp1")
    it.run_until(it.settled("cmp1"))
    for uuid, name in servers.items():
        expect(bed, uuid, "active")
        assert it.entry(uuid)["verdict"] == "evacuated"
        assert it.entry(uuid)["name"] == name
    lines = [(fields, log.line(event, fields)) for _, event, fields in it.log.lines]
    assert {f["name"] for f, _ in lines if "name" in f} == set(names)
    for fields, line in lines:
        assert line.isascii()
        assert line.isprintable()
        words = [word.split("=", 1) for word in shlex.split(line.replace("'", "\\'"))]
        assert all(len(word) == 2 for word in words), line
        assert {key for key, _ in words} == {"event", *(k for k, v in fields.items() if v not in (None, ""))}
    published = json.dumps(it.outlet.reports["cmp1"])
    assert published.isprintable()
    assert json.loads(published)["proofs"] == it.outlet.reports["cmp1"]["proofs"]
    assert all(text.isprintable() for text in it.cluster.published.values())


def test_what_a_proxy_says_stays_one_line(bed: NovaBed, rig: MakeRig) -> None:
    """An error page instead of an answer, in the log, the status and the report."""
    boot(bed)
    page = '<html>\r\n<h1>\x1b[31mBad "gateway"</h1>\n' + "x" * 100_000
    bed.fault(path="os-services", status=502, text=page, headers={"Content-Type": "text/html"})
    it = rig()
    it.fence("cmp1")
    it.run_until(lambda: "502" in it.outlet.reason, 20)
    assert len(it.outlet.reason) < 1000
    for _, event, fields in it.log.lines:
        assert log.line(event, fields).isprintable()
