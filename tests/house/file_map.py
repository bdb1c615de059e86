"""The file map of docs/architecture.md: every source file with the first line of its docstring.

Run this file (``make map``) to write it.
"""

from __future__ import annotations

import ast
import re

from sources import ARCHITECTURE, PACKAGE, source_files, tree_of

BEGIN, END = "<!-- file map: begin -->", "<!-- file map: end -->"


def make_map() -> str:
    """The map as the sources have it now: a list per folder."""
    lines: list[str] = []
    folder = None
    for path in sorted(source_files(), key=lambda path: (path.parent.parts, path.name)):
        here = path.parent.relative_to(PACKAGE).as_posix()
        if here != folder:
            folder = here
            lines += ["", f"**`{'shotstream' if here == '.' else here}/`**", ""]
        doc = ast.get_docstring(tree_of(path))
        assert doc, f"{path.relative_to(PACKAGE)}: begin the file with a line that says what it is for"
        purpose = " ".join(doc.split("\n\n")[0].split()).rstrip(".")
        purpose = re.sub(r"(?::\w+:)?`+([^`]+)`+", r"`\1`", purpose)
        lines.append(f"- `{path.name}`: {purpose[0].upper() if purpose[0].islower() else purpose[0]}{purpose[1:]}")
    return "\n".join([*lines, ""])


def written_map() -> str:
    """The map as the document has it."""
    return ARCHITECTURE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].removeprefix("\n")


def write_map() -> None:
    """Put the map into the document."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    new = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{make_map()}\n{END}", text, flags=re.DOTALL)
    ARCHITECTURE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    write_map()
