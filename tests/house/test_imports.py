"""Imports point inward: the table in docs/architecture.md, enforced."""

from __future__ import annotations

import re
import sys

import pytest
from sources import ARCHITECTURE, PACKAGE, imports_of, module_of, source_files

EVERYTHING = "everything"
PROTOCOLS = "codecs' protocols"


def read_table() -> dict[str, set[str]]:
    """Room to what it may import, as the document says."""
    section = ARCHITECTURE.read_text(encoding="utf-8").split("## Import table")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (.+) \|$", section, re.MULTILINE)
    return {room: {item.strip() for item in allowed.split(",")} for room, allowed in rows if room != "room"}


TABLE = read_table()


def room_of(module: str) -> str:
    """The room a module of ours is in; "" for the package itself."""
    return [*module.split("."), ""][1]


def is_allowed(room: str, name: str) -> bool:
    """May ``room`` import ``name`` (``shotstream.core.story.Story``, ``torch.nn``)?"""
    if room == "__main__":  # the command itself
        return name in ("__future__.annotations", "shotstream.cli.main.run")
    top, target = name.split(".")[0], room_of(name)
    allowed = TABLE[room]
    if top != "shotstream":
        third_party_is_fine = "standard library" not in allowed
        library = top.removesuffix("_core")
        return third_party_is_fine or top in sys.stdlib_module_names or library in allowed
    if name == "shotstream.__version__" or target == room:
        return True
    if target == "api" and room == "pipeline":
        return True
    if target in ("cli", "api"):
        return room == "cli"
    if PROTOCOLS in allowed and name.startswith("shotstream.codecs.protocols"):
        return True
    return EVERYTHING in allowed or target in allowed


def test_every_room_is_in_the_table() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert rooms | {"api", "pipeline"} == set(TABLE)


def test_imports_point_inward() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}, line {line}: {room} may not import {name}"
        for path in source_files()
        if (room := room_of(module_of(path)))
        for line, name in imports_of(path)
        if not is_allowed(room, name)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("room", "name", "good"),
    [
        ("core", "torch.nn", True),
        ("core", "pydantic_core.ErrorDetails", True),
        ("core", "yaml", False),
        ("core", "shotstream.media.mp4", False),
        ("media", "av", True),
        ("sampling", "shotstream.codecs.protocols.VideoCodec", True),
        ("sampling", "shotstream.codecs.text_encoder", False),
        ("training", "shotstream.codecs.text_encoder", True),
        ("film", "shotstream.models.transformer", False),
        ("tools", "shotstream.api.load", False),
        ("api", "shotstream.cli.main", False),
        ("cli", "shotstream.api.load", True),
        ("pipeline", "shotstream.api.load", True),
        ("pipeline", "shotstream.cli.main", False),
        ("__main__", "shotstream.api.load", False),
        ("serving", "shotstream.film.report", True),
    ],
)
def test_the_rule_itself(room: str, name: str, good: bool) -> None:
    assert is_allowed(room, name) == good
