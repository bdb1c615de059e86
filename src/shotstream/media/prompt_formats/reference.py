"""The reference's layout: ``global_caption``, ``shot1``, ``shot2``, ... in one mapping."""

from __future__ import annotations

import re

from shotstream.core.story import Story
from shotstream.media.located import Located, refuse_unknown
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story

_SHOT_KEY = re.compile(r"shot(\d{1,4})")
_NEAR = re.compile(r"shot[ _-]?(\d{1,4})", re.IGNORECASE)
_BESIDE = "video_path"  # the reference's data files carry it beside the captions


def fits(data: dict[str, object]) -> bool:
    """Is the mapping ``data`` in this layout?"""
    return "shots" not in data and any(_NEAR.fullmatch(key) for key in data)


def rewritten(found: Located, name: str, tell: Tell) -> Located:
    """``found`` as a story, captions as they are. Raises :class:`InputError`, one line."""
    assert isinstance(found.data, dict)
    for key in found.data:
        if (match := _NEAR.fullmatch(key)) and not _SHOT_KEY.fullmatch(key):
            raise found.fault((key,), name, f"unknown key {key!r}; did you mean 'shot{match[1]}'?")
    numbered = {int(match[1]): key for key in found.data if (match := _SHOT_KEY.fullmatch(key))}
    refuse_unknown(found, [*Story.model_fields, *numbered.values(), _BESIDE], name)
    shots: list[ReadShot] = []
    for index, (number, key) in enumerate(sorted(numbered.items())):
        if number != index + 1:
            said = f"{key} comes without shot{index + 1}; number shots from 1, without gaps"
            raise found.fault((key,), name, said)
        if not isinstance(found.data[key], str):
            raise found.fault((key,), name, f"{key} must be text in quotes")
        shots.append(ReadShot(found.data[key], found.line((key,))))
    if "global_caption" not in found.data:
        raise found.fault((), name, "global_caption is missing; add it")
    return as_story(found, shots, name, tell)
