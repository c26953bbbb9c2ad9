# SPDX-License-Identifier: Apache-2.0
"""The documents as the packages lay them: what they link to is there, too."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest

from tests.unit.test_document_links import LINK, ROOT

FOLDER = "/usr/share/doc/muster/"


def laid() -> dict[str, Path]:
    """By its place, each file of the tree; for a folder None is enough."""
    found: dict[str, Path] = {}
    for line in (ROOT / "packaging/files").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        _, _, what, where = line.split()
        for source in ROOT.glob(what) if what != "-" and where.startswith(FOLDER) else ():
            files = [f for f in source.rglob("*") if f.is_file()] if source.is_dir() else [source]
            place = where + source.name if where.endswith("/") else where
            for file in files:
                found[posixpath.normpath(f"{place}/{file.relative_to(source)}")] = file
    return found


LAID = laid()
FOLDERS = {posixpath.dirname(place) for place in LAID}


@pytest.mark.parametrize("place", sorted(place for place in LAID if place.endswith(".md")))
def test_every_link_of_a_packaged_document_leads_somewhere(place: str) -> None:
    """They all lay in one folder, and the README named docs/deploy.md."""
    for target, _ in LINK.findall(LAID[place].read_text()):
        there = posixpath.normpath(posixpath.join(posixpath.dirname(place), target)) if target else place
        assert there in LAID or there in FOLDERS, target


def test_the_readme_and_the_pages_are_packaged() -> None:
    assert {FOLDER + name for name in ("README.md", "docs/deploy.md", "docs/runbook.md")} <= set(LAID)


def test_each_folder_of_documents_is_the_packages_own() -> None:
    """rpm removes what it owns, and no more."""
    owned = {line.split()[3] for line in (ROOT / "packaging/files").read_text().splitlines() if " - " in line}
    folders = {row.split()[3] for row in (ROOT / "packaging/files").read_text().splitlines() if FOLDER in row}
    assert {posixpath.dirname(it.rstrip("/")) + "/" if not it.endswith("/") else it for it in folders} <= owned


def test_the_address_of_the_fence_agent_is_a_document_that_is_there() -> None:
    """The project has no page on the web; a placeholder led to somebody else's."""
    url = (ROOT / "ocf_meta/fence_muster.xml").read_text().split("<vendor-url>")[1].split("<")[0]
    assert url.removeprefix("file://") in LAID
