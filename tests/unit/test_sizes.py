# SPDX-License-Identifier: Apache-2.0
"""Nothing of the product has grown beyond what one reader keeps in mind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src/muster"
RULE_TABLES = {"core/host_rules.py", "core/server_rules.py"}
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def too_large(module: str, text: str) -> list[str]:
    """What stands above a limit, each in one line."""
    found = []
    if text.count("\n") > 400 and module not in RULE_TABLES:
        found.append(f"{text.count(chr(10))} lines, at most 400")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno
            if node.end_lineno - node.lineno >= 40:
                found.append(f"{node.name}: {node.end_lineno - node.lineno + 1} lines, at most 40")
        elif isinstance(node, ast.ClassDef):
            fields = set(_fields(node))
            if len(fields) > 15:
                found.append(f"{node.name}: {len(fields)} fields that change, at most 15: {', '.join(sorted(fields))}")
    return found


def _fields(found: ast.ClassDef) -> Iterator[str]:
    """What a value of this class has and may set; nothing of a class whose values are frozen."""
    if any("frozen=True" in ast.unparse(decorator) for decorator in found.decorator_list):
        return
    made = any("dataclass" in ast.unparse(decorator) for decorator in found.decorator_list)
    for node in ast.walk(found):
        if made and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


@pytest.mark.parametrize("module", MODULES)
def test_no_module_function_or_class_has_grown_too_large(module: str) -> None:
    assert not too_large(module, (PACKAGE / module).read_text())


def test_the_package_opens_on_a_dozen_entries() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if path.name not in ("__init__.py", "__pycache__")]
    assert len(entries) <= 12, sorted(entries)


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 401,
        "def f():\n" + "    g()\n" * 40,
        "class C:\n    def __init__(self):\n" + "".join(f"        self.x{n} = 0\n" for n in range(16)),
        "@dataclass\nclass C:\n" + "".join(f"    x{n}: int = 0\n" for n in range(16)),
    ],
    ids=["module", "function", "class", "dataclass"],
)
def test_what_is_too_large_is_found(text: str) -> None:
    assert too_large("x.py", text)


def test_a_value_that_never_changes_may_have_many_fields() -> None:
    assert not too_large("x.py", "@dataclass(frozen=True)\nclass C:\n" + "".join(f"    x{n}: int\n" for n in range(16)))
