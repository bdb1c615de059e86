"""Infinity-RoPE's prompts (arXiv 2511.20649): one story per line, ``a[5s] | b[10s#] ; subtitle | subtitle``.

Every part says how long it lasts; ``#`` puts a hard cut before it. Subtitles are words burnt into its pictures.
"""

from __future__ import annotations

import re

from shotstream.core.errors import InputError
from shotstream.media.located import Located
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story

_LENGTH = re.compile(r"\[\s*(\d{1,6}(?:\.\d{1,6})?)\s*s\s*(#?)\s*\]")
_SIGN = re.compile(rf"{_LENGTH.pattern}\s*([|;]|$)")
_MAPPING = re.compile(r"[\s\-]*[\"']?\w+[\"']?\s*:|\s*[{#]")  # a story's own forms may speak of [5s] too


def fits(line: str) -> bool:
    """Does ``line`` look like such a prompt?"""
    return _SIGN.search(line) is not None and _MAPPING.match(line) is None


def rewritten(line: str, number: int, name: str, tell: Tell) -> Located:
    """The story in ``line``, which is the ``number``-th of the file. Raises :class:`InputError`, one line."""
    where = f"{name}, line {number}"
    prompts, *subtitles = line.split(";")
    if len(subtitles) > 1:
        raise InputError(f"{where}: two semicolons; only one may stand, between prompts and subtitles")
    shots: list[ReadShot] = []
    gliding: list[str] = []
    for index, part in enumerate(prompts.split("|")):
        length = re.search(rf"{_LENGTH.pattern}\s*$", part)
        if length is None:
            raise InputError(f"{where}: part {index} does not say how long it lasts; end it with [5s], or [5s#] to cut")
        if index and not length[2]:
            gliding.append(str(index))
        shots.append(ReadShot(part[: length.start()], number, float(length[1])))
    if gliding:
        tell(f"{where}: no hard cut before part {', '.join(gliding)}; here every part is a shot, and begins with one")
    if subtitles:
        tell(f"{where}: the subtitles are left out")
    return as_story(Located(None, {(): number}), shots, name, tell)
