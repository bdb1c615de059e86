"""Rules of the house that a linter does not know."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from statistics import median

import pytest
from sources import PACKAGE, source_files, tree_of

LONGEST_FILE, MEDIAN_FILE, LONGEST_FUNCTION = 400, 200, 60


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_are_small() -> None:
    sizes = {path: lines_of(path) for path in source_files()}
    assert not {path: size for path, size in sizes.items() if size > LONGEST_FILE}
    assert median(sizes.values()) < MEDIAN_FILE


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_house_rules(path: Path) -> None:
    tree, text = tree_of(path), path.read_text(encoding="utf-8")
    assert ast.get_docstring(tree), "begin the file with a line that says what it is for"
    assert "from __future__ import annotations" in text
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert not re.search(r"[\"'`\s](/work|/tmp|/home|/root)/", text), "a path of one machine"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"line {node.lineno}: {node.name} has {length} lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            assert len(node.args) < 3, f"line {node.lineno}: getattr with a default hides a missing setting"
