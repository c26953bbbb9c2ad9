# SPDX-License-Identifier: Apache-2.0
"""E3: whatever comes in, a parser says what it is or refuses it in the one way that it is known for.

Texts are any that Python can hold; documents are mostly almost right, which is where parsers break.
"""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from muster.agents import fence
from muster.core.cluster_facts import Record
from muster.core.errors import ClusterError, NovaUnavailable, SettingsError
from muster.core.nova_facts import ActionLog, CallTrace, Evacuation, Server, Service
from muster.gateways.nova import parsing, scheduling
from muster.gateways.pacemaker import cib, cib_fencing, cib_writes
from muster.installation.fencing_topology import objection
from muster.settings import PREFIX, Settings, from_environment

pytestmark = pytest.mark.no_cover  # by chance is not covered

TEXTS = st.text(max_size=40)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
JSON = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def rows(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    """Rows of Nova that are right but for one or two keys, behind which there may be anything or nothing."""
    right = dict.fromkeys(keys, "x") | {
        key: "2026-01-01T00:00:00" for key in keys if key.endswith(("_at", "_time", "ated"))
    }
    wrong = st.dictionaries(st.sampled_from(keys), JSON, max_size=2)
    return st.builds(
        lambda some, gone: {k: v for k, v in (right | some).items() if k not in gone},
        wrong,
        st.sets(st.sampled_from(keys), max_size=2),
    )


@given(TEXTS | st.from_regex(r"[a-z]{1,9}:[0-9]{1,13}:[0-9]{1,13}(:kept)?", fullmatch=True))
def test_a_record_is_read_back_as_it_was_written_or_refused(token: str) -> None:
    try:
        record = Record.parse(token)
    except ValueError:
        return
    assert record.token == Record.parse(record.token).token
    assert record.first <= record.last


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: f"<cib>{t}</cib>".encode("utf-8", "replace")))
def test_bytes_are_a_cib_or_refused(document: bytes) -> None:
    with contextlib.suppress(ClusterError):
        cib.cluster(cib.parse(document), "ctl1", "muster")


ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["id", "uname", "name", "value", "in_ccm", "node_fenced", "op-status", "call-id", "rc-code", "index"]
    ),
    st.sampled_from(["", "x", "1", "-1", "true", "muster", "muster-hold", "cmp1", "fenced:1:1", "9" * 30]),
    max_size=4,
)
TAGS = st.sampled_from(
    [
        "configuration",
        "nodes",
        "node",
        "instance_attributes",
        "nvpair",
        "resources",
        "primitive",
        "status",
        "node_state",
    ]
    + ["lrm", "lrm_resources", "lrm_resource", "lrm_rsc_op", "fencing-topology", "fencing-level", "meta_attributes"]
)


def element(tag: str, attributes: dict[str, str], children: list[etree._Element]) -> etree._Element:
    it = etree.Element(tag, attributes)
    it.extend(children)
    return it


TREES = st.recursive(
    st.builds(element, TAGS, ATTRIBUTES, st.just([])),
    lambda inner: st.builds(element, TAGS, ATTRIBUTES, st.lists(inner, max_size=4)),
    max_leaves=25,
)


@settings(max_examples=300)
@given(st.lists(TREES, max_size=4))
def test_a_cib_of_any_shape_is_read(children: list[etree._Element]) -> None:
    root = cib.parse(etree.tostring(element("cib", {"have-quorum": "1"}, children)))
    with contextlib.suppress(ClusterError):
        cib.cluster(root, "ctl1", "muster")
        objection("cmp1", cib_fencing.levels(root, "cmp1"), cib_fencing.devices(root))


@given(NAMES, NAMES)
@example("cmp1", "' or '1'='1")
@example("' or '1'='1", "cmp1")
@example('it\'s "here"', "cmp1")
def test_a_name_stays_a_name_in_xml_and_in_xpath(name: str, other: str) -> None:
    """The fragment says what it was given; the XPath finds that node and no other."""
    fragment = etree.fromstring(cib_writes.record_fragment(name, name, "remote", "fenced:1:1"))
    (node,) = fragment.iterfind("node")
    assert (node.get("uname"), node.get("id")) == (name, name)
    root = element("cib", {"have-quorum": "1"}, [element("configuration", {}, [fragment])])
    try:
        where = cib_writes.record_where(name, "fenced:1:1")
    except ClusterError:
        assert "'" in name
        assert '"' in name
        return
    assert len(root.xpath(where)) == 1
    with contextlib.suppress(ClusterError):
        assert len(root.xpath(cib_writes.record_where(other, "fenced:1:1"))) == (other == name)


@given(
    st.dictionaries(
        st.sampled_from([*(PREFIX + name for name in Settings.__dataclass_fields__), "OCF_RESKEY_x", "PATH"]), TEXTS
    )
)
def test_an_environment_is_settings_or_a_list_of_faults(environment: dict[str, str]) -> None:
    try:
        from_environment(environment)
    except SettingsError as exc:
        assert exc.faults
        assert all(exc.faults)


@given(st.lists(st.sampled_from(["action=off", "plug=cmp1", "port=x", "nodename=y", "=", "#", "a=b=c"]) | TEXTS))
def test_stdin_of_a_fence_agent_is_an_action_and_a_plug(lines: list[str]) -> None:
    options = fence.read_options([], io.StringIO("\n".join(lines)))
    assert set(options) == {"action", "plug"}
    assert options["action"]


@given(rows("id", "host", "binary", "state", "status", "disabled_reason", "forced_down", "updated_at"))
def test_a_service_is_read_or_refused(row: dict[str, Any]) -> None:
    with contextlib.suppress(NovaUnavailable):
        it = parsing.service(row)
        assert isinstance(it, Service)
        assert not (it.up and row.get("state") != "up")
        assert not (it.forced_down and row.get("forced_down") is not True)


@given(
    rows(
        *("id", "name", "status", "tenant_id", "created", "updated", "image", "flavor", "metadata", "fault", "tags"),
        *("OS-EXT-SRV-ATTR:host", "OS-EXT-STS:vm_state", "OS-EXT-STS:task_state", "OS-SRV-USG:launched_at"),
    )
)
def test_a_server_is_read_or_refused(row: dict[str, Any]) -> None:
    with contextlib.suppress(NovaUnavailable):
        it = parsing.server(row)
        assert isinstance(it, Server)
        assert all(isinstance(text, str) for text in (it.id, it.host, it.vm_state, it.task_state, it.name, it.fault))
        # Unknown is not "boots from a volume", which would let it be rebuilt empty.
        assert (it.image == "") == (row.get("image") == "") or not it.known or it.image == ""
        assert not (it.known and it.unreadable)
        json.dumps([it.name, it.fault])


@given(rows("id", "instance_uuid", "source_compute", "dest_compute", "status", "created_at", "updated_at"))
def test_a_migration_is_read_or_refused(row: dict[str, Any]) -> None:
    with contextlib.suppress(NovaUnavailable):
        it = parsing.evacuation(row)
        assert isinstance(it, Evacuation)
        known = ("done", "completed", "failed", "error")
        assert it.status.open == (bool(it.unreadable) or row.get("status") not in known)
        assert it.unreadable or it.created > 0


@given(st.lists(rows("action", "request_id", "start_time"), max_size=4))
def test_an_action_log_is_read_or_refused(log: list[dict[str, Any]]) -> None:
    with contextlib.suppress(NovaUnavailable):
        assert isinstance(parsing.action_log(log), ActionLog)


@given(st.lists(rows("action", "start_time", "updated_at"), max_size=4))
def test_how_long_an_evacuation_took_is_read_or_refused(log: list[dict[str, Any]]) -> None:
    with contextlib.suppress(NovaUnavailable):
        assert isinstance(parsing.evacuation_s(log), (float, type(None)))


NUMBERS = st.integers(-5, 5) | st.floats() | JSON


@given(st.dictionaries(st.sampled_from(["vcpus", "ram", "disk", "ephemeral", "swap"]), NUMBERS), st.booleans())
def test_a_size_is_told_or_not(flavor: dict[str, Any], volume: bool) -> None:
    size = parsing.server({"id": "x", "flavor": flavor, "image": "" if volume else {"id": "x"}}).size
    assert size is None or min(size.vcpus, size.memory_mb, size.disk_gb or 0) >= 0


CLASSES = st.sampled_from(["VCPU", "MEMORY_MB", "DISK_GB", "PCPU"])
AMOUNTS = st.dictionaries(st.sampled_from(["capacity", "used"]), NUMBERS)


@given(st.fixed_dictionaries({"resources": st.dictionaries(CLASSES, AMOUNTS | JSON) | JSON}))
def test_what_is_left_is_read_or_refused(summary: Any) -> None:
    with contextlib.suppress(NovaUnavailable):
        assert min(scheduling._provider(summary, None).left.values(), default=0) >= 0


@given(
    rows("request_id", "start_time", "message"),
    st.lists(rows("event", "result", "host", "details", "start_time", "finish_time"), max_size=3) | JSON,
    st.sampled_from(["compute_rebuild_instance", "rebuild_server"]),
)
def test_the_events_of_an_action_are_read_or_refused(row: dict[str, Any], events: Any, name: str) -> None:
    if isinstance(events, list):
        events = [{**event, "event": name} if isinstance(event, dict) else event for event in events]
    with contextlib.suppress(NovaUnavailable):
        it = parsing.trace({**row, "events": events})
        assert isinstance(it, CallTrace)
        assert all(isinstance(text, str) for text in (it.request_id, it.dest, it.words))


@given(JSON)
def test_links_and_pauses_are_read_or_taken_for_none(anything: Any) -> None:
    parsing.next_marker(anything)
    with contextlib.suppress(NovaUnavailable):
        assert parsing.next_marker([{"rel": "next", "href": anything}])
    assert parsing.seconds(anything) >= 0.0
