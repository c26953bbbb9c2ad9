# SPDX-License-Identifier: Apache-2.0
"""E3: the page of an incident is one well-formed document that needs nothing else, whatever its servers are called."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from muster.core.printable import clean
from muster.reporting.history import Story
from muster.reporting.html_page import page
from tests.told import from_worker, report

HOSTILE = st.text(max_size=40) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</style><script>x</script>",
        "</title></head><body onload=x>",
        '" onmouseover="x',
        "]]>",
        "<!--",
        "-->",
        "&amp;&#x0;&lt;",
        "\x1b[2J\x1b]0;owned\x07",
        "\x00\x01\x7f\x85\u2028\u202e",
        "\ud800\udfff\ufffe\uffff",
        "a\nb\tc\rd",
        "javascript:x",
        "x" * 5000,
    ]
)
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)


def story(**told: Any) -> Story:
    return from_worker({**report(4, held=1, failed_once=1), **told}, "the worker's report")


def shape(root: etree._Element) -> list[tuple[str, tuple[str, ...]]]:
    """Every element with the names of its attributes: what a name may never add to."""
    return [(etree.QName(e).localname, tuple(sorted(map(str, e.attrib)))) for e in root.iter(etree.Element)]


@given(st.lists(HOSTILE, min_size=8, max_size=8))
def test_whatever_a_name_is_it_stays_text(names: list[str]) -> None:
    """The same elements and attributes as with harmless names; read as XML and as HTML."""

    def with_names(words: list[str]) -> Story:
        told = report(4, held=1, failed_once=1)
        for entry in told["proofs"]:
            entry.update(name=words[0], reason=words[1], state=words[2], project=words[3], to=words[4])
        told.update(node=words[5], reason=words[6], host="h" + words[7])
        for event in told["events"]:
            if not event.get("server"):
                event["what"] = event["what"].partition(": ")[0] + ": " + words[1]
        return from_worker(json.loads(json.dumps(told)), words[2])

    made = page(with_names([name or "x" for name in names]))
    root = etree.fromstring(made, PARSER)
    assert shape(root) == shape(etree.fromstring(page(with_names([f"w{n}" for n in range(8)])), PARSER))
    assert [e.tag for e in lxml.html.document_fromstring(made).iter("script", "iframe", "img", "a", "link")] == []
    first = json.loads(json.dumps(names[0] or "x"))  # two surrogates may be one character then
    assert clean(first) in "".join(root.itertext()).replace("\n", "")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", made)


@given(
    st.dictionaries(
        st.sampled_from(["node", "host", "state", "reason", "fenced", "proofs", "events", "written"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["id", "name", "verdict", "at", "what", "server", "began", "ended", "attempts"]),
                    inner,
                    max_size=6,
                )
            ),
            max_leaves=12,
        ),
    )
)
def test_a_report_of_any_shape_becomes_a_page(told: dict[str, Any]) -> None:
    etree.fromstring(page(from_worker(told, "a file")), PARSER)


def test_needs_nothing_from_elsewhere() -> None:
    """No script, no address but SVG's own name."""
    text = page(story()).decode()
    assert "<script" not in text
    assert re.findall(r"(?:https?:|url\(|@import|src=|href=)[^\s\"']*", text) == ["http://www.w3.org/2000/svg"]
    assert "default-src 'none'" in text


@pytest.mark.parametrize("servers", [0, 1, 12, 32, 33, 500])
def test_draws_what_can_be_read_and_says_what_is_not_drawn(servers: int) -> None:
    text = page(from_worker(report(servers, held=min(2, servers)), "w")).decode()
    root = etree.fromstring(text.encode(), PARSER)
    bars = root.findall(".//{*}svg/{*}svg")
    assert len(bars) == min(servers, 32)
    left = servers - len(bars)
    assert (f"{left} of {servers} servers: it shows" in text) == (left > 0)
    rows = [row for row in root.iter("tr") if row.find("td[@data-label='verdict']") is not None]
    assert len(rows) == servers


def test_whoever_must_act_is_told_what_to_type() -> None:
    """With the server's own id where the command has to have it; once its host is back, one remedy and no other."""
    text = "".join(etree.fromstring(page(story()), PARSER).itertext())
    (held,) = story().waiting
    assert f"openstack server reboot --hard {held.id}" in text
    assert [word for word in ("muster retry", "set --state", "reboot --hard ID") if word in text] == []
    text = "".join(
        etree.fromstring(page(from_worker({**report(4, held=1), "state": "settled"}, "w")), PARSER).itertext()
    )
    assert f"openstack server set --state active --auto-approve {held.id}, then muster retry {held.id}" in text
    assert "active ID" not in text


def test_says_what_is_not_known() -> None:
    text = page(replace(story(), missing=("the phase of the moon",))).decode()
    assert "<li>the phase of the moon</li>" in text


def test_is_small_enough_to_be_mailed() -> None:
    assert len(page(from_worker(report(500), "w"))) < 500_000
