# SPDX-License-Identifier: Apache-2.0
"""muster's rights in Nova: packaging/nova-policy.yaml, and their table and the access rules in docs/deploy.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from muster.gateways.nova.needs import ADMIN, NEEDS, NOT_FOR_ADMINS_ALONE, RICHER, SINCE, access_rules

ROOT = Path(__file__).resolve().parents[1]
POLICY = ROOT / "packaging" / "nova-policy.yaml"
PAGE = ROOT / "docs" / "deploy.md"
MARKS = re.compile(r"(<!-- rights -->\n).*?(<!-- /rights -->)", re.S)
RULES = re.compile(r"(<!-- access rules -->\n).*?(<!-- /access rules -->)", re.S)
HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# For /etc/nova/policy.d/: what a user with the role "muster" needs, beside admins.  A test runs an incident with it.
# Neutron has to show it other projects' ports, too: see docs/deploy.md.  ./generate writes this file.
"""


def purposes() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """What for, the policies, and when they are needed, unless always."""
    for need in NEEDS:
        yield need.name, need.policies, need.only
    for policy, purpose in RICHER.items():
        yield purpose, (policy,), ""


def policy_file() -> str:
    lines = []
    for purpose, policies, only in purposes():
        if policies:
            lines.append(f"# To {purpose}{f', only {only}' if only else ''}.")
        for policy in policies:
            since = f"  # from {SINCE[policy]} on" if policy in SINCE else ""
            rule = f"{NOT_FOR_ADMINS_ALONE.get(policy, ADMIN)} or role:muster"
            lines.append(f'"os_compute_api:{policy}": "{rule}"{since}')
    return HEAD + "\n".join(lines) + "\n"


def table() -> str:
    lines = ["| to | policy |", "| --- | --- |"]
    for purpose, policies, only in purposes():
        named = (f"`{policy}`{f' (from {SINCE[policy]} on)' if policy in SINCE else ''}" for policy in policies)
        by = ", ".join(named) or "only the role `admin`, whatever the policy says"
        lines.append(f"| {purpose}{f', only {only}' if only else ''} | {by} |")
    return "\n".join(lines) + "\n"


def rules() -> str:
    lines = [f"  {json.dumps(rule)}" for rule in access_rules()]
    return "```json\n[\n" + ",\n".join(lines) + "\n]\n```\n"


def pages() -> dict[Path, str]:
    return {
        POLICY: policy_file(),
        PAGE: RULES.sub(
            lambda at: at[1] + rules() + at[2], MARKS.sub(lambda at: at[1] + table() + at[2], PAGE.read_text())
        ),
    }
