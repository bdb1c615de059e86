"""Reads a story: YAML or JSON, or any format of :mod:`shotstream.media.prompt_formats`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.core.story import Story, make_story
from shotstream.media.located import MAX_BYTES, Located, decoded, parse_json, parse_yaml, read_text
from shotstream.media.prompt_formats import holocine, infinity_rope, longlive, reference, scenes, shot_lines
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story, silent

_WITH_LINE = re.compile(r"(.+):(\d{1,6})")
READ = (
    "give global_caption and shots (YAML or JSON), lines such as `[0:05] It walks.` or `Shot 1: It walks.`, or prompts "
    "of HoloCine, LongLive, Infinity-RoPE, ST-Bench or EntityBench"
)
_FENCED = re.compile(r"^```[\w-]*[ \t]*\r?\n(.*?)^```[ \t]*\r?$", re.MULTILINE | re.DOTALL)
_LAYOUTS = (reference, holocine, longlive, scenes)


def read_story(source: str | Path, tell: Tell = silent) -> Story:
    """The story in the file ``source``; ``-`` reads standard input.

    A file with a story on every line is named with the line's number behind it (``prompts.jsonl:3``). ``tell`` hears,
    in sentences, what another system's prompts ask for that a story cannot say. Files that the story names are looked
    for beside it. Raises :class:`InputError` (what is
    in it) or :class:`StorageError` (it cannot be read), one line each.
    """
    if str(source) == "-":
        if sys.stdin is None:  # the command was started without one
            raise InputError("<stdin>: standard input is closed; name a story file")
        story = parse_story(decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>"), "<stdin>", tell=tell)
        return story.located(Path())
    path, line = place_of(source)
    if longlive.is_folder(path):
        found = longlive.from_folder(path, tell)
        return make_story(found.data, str(path), found.lines)
    return parse_story(read_text(path), str(path), line=line, tell=tell).located(path.parent)


def parse_story(text: str, name: str = "story", *, line: int | None = None, tell: Tell = silent) -> Story:
    """The story written in ``text``, or on its ``line``-th line; ``name`` is what errors call it.

    Raises :class:`InputError`.
    """
    text = _unfenced(text)
    if not text.strip():
        raise InputError(f"{name}: is empty; a story needs global_caption and shots")
    if _a_story_per_line(text, name):
        number, chosen = _picked(text, name, line)
        found = _from_line(chosen, number, name, tell)
    elif line is not None:
        raise InputError(f"{name}: holds one story, not one per line; leave out :{line}")
    elif holocine.is_tagged(text):
        found = holocine.from_text(text, name, tell)
    elif shot_lines.fits(text):
        found = shot_lines.from_text(text, name, tell)
    else:
        found = _from_mapping(text, name, tell)
    return make_story(found.data, name, found.lines)


def place_of(source: str | Path) -> tuple[Path, int | None]:
    """The file ``source`` names, and the line in it, if one is named."""
    named = _WITH_LINE.fullmatch(str(source))
    if named is None or os.path.exists(source):
        return Path(source), None
    return Path(named[1]), int(named[2])


def _unfenced(text: str) -> str:
    """The block of ``text`` between fences of Markdown, if there is one: chat programs answer so. Lines keep their
    numbers."""
    found = list(_FENCED.finditer(text))
    return "\n" * text.count("\n", 0, found[0].start(1)) + found[0][1] if len(found) == 1 else text


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _a_story_per_line(text: str, name: str) -> bool:
    if name.lower().endswith((".yaml", ".yml", ".json")):
        return False
    first, *others = (line.strip() for _, line in _lines(text))
    objects = first.startswith("{") and first.endswith("}") and any(line.startswith("{") for line in others[:1])
    return objects or infinity_rope.fits(first) or (name.lower().endswith(".jsonl") and first.startswith("{"))


def _picked(text: str, name: str, line: int | None) -> tuple[int, str]:
    """The line that holds the story, and its number."""
    lines = _lines(text)
    if line is None and len(lines) > 1:
        first = lines[0][0]
        raise InputError(f"{name}: holds {len(lines)} stories, one per line; name one, such as {name}:{first}")
    wanted = lines[0][0] if line is None else line
    chosen = dict(lines).get(wanted)
    if chosen is None:
        raise InputError(f"{name}: there is no story on line {wanted}; it holds {len(lines)}")
    return wanted, chosen


def _from_line(text: str, number: int, name: str, tell: Tell) -> Located:
    if text.lstrip().startswith("{"):
        return _from_mapping("\n" * (number - 1) + text, name, tell)
    return infinity_rope.rewritten(text, number, name, tell)


def _listed(found: Located, name: str, tell: Tell) -> Located:
    """A bare list of captions, or of shots, as a story."""
    assert isinstance(found.data, list)
    texts = [one.get("caption") if isinstance(one, dict) and set(one) == {"caption"} else one for one in found.data]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{name}: is a list that is no story; {READ}")
    return as_story(found, [ReadShot(text, found.line((at,))) for at, text in enumerate(texts)], name, tell)


def _from_mapping(text: str, name: str, tell: Tell) -> Located:
    is_json = text.lstrip().startswith(("{", '["', "[{")) and not name.lower().endswith((".yaml", ".yml"))
    found = parse_json(text, name) if is_json else parse_yaml(text, name)
    if isinstance(found.data, list):
        found = _listed(found, name, tell)
    if not isinstance(found.data, dict):
        raise InputError(f"{name}: is no story; {READ}")
    for layout in _LAYOUTS:
        if layout.fits(found.data):
            return layout.rewritten(found, name, tell)
    return found
