"""Measures of the package's structure: sizes, rooms, import circles, and how many files a contribution touches.

``python tests/house/measures.py [REV]`` prints them for the working tree, or for a revision and the working tree side
by side.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
SMALL_MODULE = 60  # lines; below this, a module that only one other imports should be part of that one

# One contribution of every kind that CONTRIBUTING describes, by how the sources name it (comments and docstrings left
# out). The fewer files name it, the fewer a similar contribution touches.
CONTRIBUTIONS = {
    "euler sampler": r"(?i)(?<![a-z])euler(?!ian|_states|_timesteps)",
    "causal-init stage": r"(?i)causal-init|CausalInit|stages\.causal_init",
    "Wan family": r"(?i)(?<![a-z])wan(?![a-z])",
    "WebVTT export": r"(?i)(?<![a-z])vtt(?![a-z])",
    "identity_recall measure": r"identity_recall",
}


@dataclass(frozen=True)
class Module:
    """One Python file of the package."""

    name: str
    lines: int
    functions: tuple[int, ...]  # lines of each
    imports: frozenset[str]  # modules of the package, wherever in the file the import stands
    words: str  # identifiers and strings, without docstrings and comments, one a line


def modules(package: Path) -> dict[str, Module]:
    """Every file of the package that is not empty, by its module's name."""
    paths = {name_of(path, package): path for path in sorted(package.rglob("*.py")) if path.stat().st_size}
    return {name: read_module(name, path, set(paths)) for name, path in paths.items()}


def name_of(path: Path, package: Path) -> str:
    """``shotstream.core.story`` for core/story.py."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_module(name: str, path: Path, names: set[str]) -> Module:
    """``names``: those of all modules of the package."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Module(
        name=name,
        lines=len(text.splitlines()),
        functions=tuple((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions),
        imports=frozenset(imported(tree, names)) - {name},
        words="\n".join(words(tree)),
    )


def imported(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """The modules among ``names`` that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in names else node.module for name in inner if {name, node.module} & names)


def words(tree: ast.Module) -> Iterator[str]:
    """Identifiers, imported names and strings of a file; no docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.arg(arg=word) | ast.keyword(arg=str(word)):
                yield word
            case ast.ClassDef(name=word) | ast.FunctionDef(name=word) | ast.alias(name=word):
                yield word
            case ast.ImportFrom(module=str(word)):
                yield word
            case ast.Constant(value=str(word)) if id(node) not in docstrings:
                yield word


def circles(imports: dict[str, frozenset[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or by way of others."""
    reached = {name: reachable(name, imports) for name in imports}
    groups = {tuple(sorted(other for other in reached[name] if name in reached[other])) for name in imports}
    return sorted(list(group) for group in groups if len(group) > 1)


def reachable(start: str, imports: dict[str, frozenset[str]]) -> set[str]:
    """Every module that importing ``start`` leads to."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports.get(waiting.pop(), frozenset()) - found
        found |= new
        waiting += new
    return found


def recipes() -> dict[str, int]:
    """How many files of the package each recipe of CONTRIBUTING.md writes; another test runs these recipes."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("\n### ")[1:]
    written = {text.split("\n")[0]: set(re.findall(r"(?:Add to|New file) `(src/[^`]+)`", text)) for text in page}
    return {title: len(files) for title, files in written.items() if files}


def measure(package: Path) -> dict[str, str]:
    """What is measured, as it is printed."""
    found = modules(package)
    imports = {module.name: module.imports for module in found.values()}
    importers = Counter(name for names in imports.values() for name in names)
    sizes = [module.lines for module in found.values()]
    functions = [length for module in found.values() for length in module.functions]
    longest = max(found.values(), key=lambda module: module.lines)
    single = [name for name, module in found.items() if importers[name] == 1 and module.lines < SMALL_MODULE]
    rounds = circles(imports)
    rooms = Counter()
    for module in found.values():
        rooms[[*module.name.split("."), "", ""][1]] += module.lines
    figures = {
        "files": f"{len(sizes)}",
        "lines": f"{sum(sizes)}",
        "median file, lines": f"{median(sizes):.0f}",
        "longest file, lines": f"{longest.lines} ({longest.name.removeprefix('shotstream.')})",
        "median function, lines": f"{median(functions):.0f}",
        f"modules with one importer, under {SMALL_MODULE} lines": f"{len(single)}",
        "import circles": f"{len(rounds)}",
    }
    scripts = {path.name: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.js"))}
    for contribution, pattern in CONTRIBUTIONS.items():
        texts = [module.words for module in found.values()] + list(scripts.values())
        figures[f"files that name the {contribution}"] = f"{sum(bool(re.search(pattern, text)) for text in texts)}"
    figures |= {f"lines in {room or 'the package itself'}": f"{lines}" for room, lines in sorted(rooms.items())}
    return figures


def measure_revision(revision: str) -> dict[str, str]:
    """The same for a revision of this repository."""
    command = ["git", "-C", str(ROOT), "archive", revision, "src/shotstream"]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
        return measure(Path(folder) / "src" / "shotstream")


def table(columns: dict[str, dict[str, str]]) -> str:
    """A Markdown table with a column for each."""
    rows = dict.fromkeys(name for figures in columns.values() for name in figures)
    lines = [["measure", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(figures.get(name, "–") for figures in columns.values())] for name in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main(revisions: list[str]) -> None:
    columns = {revision: measure_revision(revision) for revision in revisions}
    now = measure(ROOT / "src" / "shotstream")
    now |= {f"files written by the recipe {title!r}": f"{count}" for title, count in recipes().items()}
    print(table({**columns, "now": now}))


if __name__ == "__main__":
    main(sys.argv[1:])
