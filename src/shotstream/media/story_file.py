"""Reading a story: YAML, JSON of the same shape, or the reference's layout (``shot1``, ``shot2``, ...)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from shotstream.core.errors import InputError, StorageError
from shotstream.core.story import Story, make_story, unknown_key
from shotstream.media.located import Located, Place
from shotstream.media.located_json import parse_json
from shotstream.media.located_yaml import parse_yaml

MAX_BYTES = 512 * 1024
_SHOT_KEY = re.compile(r"shot(\d{1,4})")


def read_story(source: str | Path) -> Story:
    """The story in the file ``source``; ``-`` reads standard input.

    Raises :class:`InputError` (what is in it) or :class:`StorageError` (it cannot be read), one line each.
    """
    if str(source) == "-":
        return parse_story(_decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>"), "<stdin>")
    path = Path(source)
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a story file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as fault:
        raise InputError(f"{path}: no such file; check the name") from fault
    except (OSError, ValueError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else fault
        raise StorageError(f"{str(path)!r}: cannot be read ({said})") from fault
    return parse_story(_decoded(data, str(path)), str(path))


def parse_story(text: str, name: str = "story") -> Story:
    """The story written in ``text``; ``name`` is what errors call it. Raises :class:`InputError`."""
    if not text.strip():
        raise InputError(f"{name}: is empty; a story needs global_caption and shots")
    is_json = text.lstrip().startswith("{") and not name.lower().endswith((".yaml", ".yml"))
    found = parse_json(text, name) if is_json else parse_yaml(text, name)
    if not isinstance(found.data, dict):
        raise InputError(f"{name}, line 1: a story is a mapping with the keys global_caption and shots")
    if "shots" not in found.data and any(_SHOT_KEY.fullmatch(str(key)) for key in found.data):
        found = _from_reference_layout(found, name)
    return make_story(found.data, name, found.lines)


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: larger than {MAX_BYTES // 1024} KiB; a story is a short text")
    if b"\0" in data:
        raise InputError(f"{name}: is not a text file; a story is YAML or JSON in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise InputError(f"{name}, line {line}: is not UTF-8; save the file as UTF-8") from fault


def _from_reference_layout(found: Located, name: str) -> Located:
    """Rewrite ``shot1: caption`` ... as ``shots: [{caption}]``, captions as they are, lines kept.

    ``video_path``, which the reference's data files carry beside the captions, is left out.
    """
    assert isinstance(found.data, dict)
    data: dict[str, object] = {}
    numbered: dict[int, str] = {}
    for key, value in found.data.items():
        match = _SHOT_KEY.fullmatch(key)
        if match:
            numbered[int(match[1])] = key
        elif key in Story.model_fields:
            data[key] = value
        elif key != "video_path":
            raise InputError(f"{name}, line {found.lines[(key,)]}: {unknown_key(key, Story)}")
    lines: dict[Place, int] = {
        place: line for place, line in found.lines.items() if place[:1] in ((), *((k,) for k in data))
    }
    shots = []
    for index, (number, key) in enumerate(sorted(numbered.items())):
        line = found.lines[(key,)]
        if number != index + 1:
            raise InputError(
                f"{name}, line {line}: {key} comes without shot{index + 1}; number shots from 1, without gaps"
            )
        if not isinstance(found.data[key], str):
            raise InputError(f"{name}, line {line}: {key} must be text in quotes")
        lines[("shots", index)] = line
        shots.append({"caption": found.data[key]})
    return Located({**data, "shots": shots}, lines)
