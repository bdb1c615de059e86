"""Scripts with a line per shot, timed or numbered.

    A red fox in a snowy forest.          A red fox in a snowy forest.
    [0:00] It walks to the left.          Shot 1: It walks to the left.
    [0:05] It sleeps.                     Shot 2 (3 s): It sleeps.

A time is when the shot begins; ``0:05-0:08`` also says when it ends. Subtitle files (SRT, WebVTT) are such scripts too,
and so are lists (``1. It walks.``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from shotstream.core.errors import InputError
from shotstream.media.located import Located
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story

_CLOCK = r"(?:\d{1,2}:)?\d{1,3}:\d{2}(?:[.,]\d{1,3})?|\d{1,5}(?:[.,]\d{1,3})?\s*s(?:ec(?:onds?)?)?"
_SPAN = rf"({_CLOCK})\s*(?:(?:-->|->|-|–|—|to)\s*({_CLOCK}))?"
_END = r"[:.\-–—]?\**"  # of what stands before a caption; asterisks are Markdown's
_TIMED = re.compile(rf"\s*\**[\[(]?\s*{_SPAN}\s*(?:[\])]\s*{_END}|[:\-–—|]\**|(?=\s)|$)\s*(.*)", re.IGNORECASE)
_NUMBERED = re.compile(
    rf"\s*[\[(#*]*\s*(?:shot|scene|clip)\s*#?\d{{1,4}}\s*(?:[\[(]\s*{_SPAN}\s*[\])]\s*{_END}|[\])*]+\s*{_END}"
    r"|[:.\-–—]\**|$)\s*(.*)",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\s*(\d{1,3})[.)]\s+(\S.*)")
_COUNT = re.compile(r"\s*\d{1,6}\s*")  # a line of an SRT file that only counts
_OWN = re.compile(r"\s*[\"']?(?:global_caption|shots)[\"']?\s*:|\s*[{\[]?\s*\"")  # a story's own forms
_CUE = re.compile(rf"\s*(?:{_CLOCK})\s*-->\s*(?:{_CLOCK})")
_NO_CUE = ("WEBVTT", "NOTE", "STYLE", "REGION")  # how blocks of WebVTT begin that say nothing of a picture
_STYLED = re.compile(r"</?[a-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}", re.IGNORECASE)  # tags within the words of subtitles


@dataclass(slots=True)
class _Part:
    line: int
    begins: float | None = None
    ends: float | None = None
    lasts: float | None = None
    words: list[str] = field(default_factory=list)


def fits(text: str) -> bool:
    """Does ``text`` look like such a script?"""
    lines = [line for line in text.split("\n") if line.strip()]
    if any(_OWN.match(line) for line in lines):
        return False
    listed = [found[1] for line in lines[:50] if (found := _LISTED.fullmatch(line))]
    return listed[:2] == ["1", "2"] or any(_NUMBERED.fullmatch(line) or _TIMED.fullmatch(line) for line in lines[:50])


def from_text(text: str, name: str, tell: Tell) -> Located:
    """The story in ``text``. Raises :class:`InputError`, one line."""
    before: list[str] = []
    parts: list[_Part] = []
    for number, line in enumerate(_lines(text), 1):
        found = _begun(line, number, len(parts) + 1)
        if found is not None:
            parts.append(found)
        elif line.strip() and not (_COUNT.fullmatch(line) and (not parts or parts[-1].begins is not None)):
            (parts[-1].words if parts else before).append(line.strip())
    shots = [_shot(parts, index, name) for index in range(len(parts))]
    told = " ".join(before)
    data: dict[str, object] = {"global_caption": told} if told else {}
    return as_story(Located(data, {(): 1}), shots, name, tell)


def _lines(text: str) -> list[str]:
    """The lines of ``text``; of subtitles, only their times and their words, all else blank."""
    lines = text.replace("\r", "").split("\n")
    cues = [at for at, line in enumerate(lines) if _CUE.match(line)]
    if not cues:
        return lines
    kept, silent = [], False
    for at, line in enumerate(lines):
        begins = at == 0 or not lines[at - 1].strip()
        silent = line.startswith(_NO_CUE) if begins else silent
        found = _CUE.match(line)
        title = begins and at + 1 in cues  # a number or a name above the times
        kept.append("" if silent or title else found[0] if found else _STYLED.sub("", line))
    return kept


def _begun(line: str, number: int, shot: int) -> _Part | None:
    """The shot that ``line`` begins, if it begins one; of a list, number ``shot``."""
    listed = _LISTED.fullmatch(line)
    if listed is not None and int(listed[1]) == shot:
        return _Part(number, words=_words(listed[2]))
    timed = _TIMED.fullmatch(line)
    if timed is not None:
        return _Part(number, _seconds(timed[1]), _seconds(timed[2]), words=_words(timed[3]))
    numbered = _NUMBERED.fullmatch(line)
    if numbered is None:
        return None
    begins, ends = _seconds(numbered[1]), _seconds(numbered[2])
    if ends is None:
        return _Part(number, lasts=begins, words=_words(numbered[3]))
    return _Part(number, begins, ends, words=_words(numbered[3]))


def _words(text: str) -> list[str]:
    return [text.strip()] if text.strip() else []


def _shot(parts: list[_Part], index: int, name: str) -> ReadShot:
    part = parts[index]
    caption = " ".join(part.words)
    if not caption:
        raise InputError(f"{name}, line {part.line}: shot {index} has no words; write what is to be seen")
    end = part.ends if part.ends is not None or index + 1 == len(parts) else parts[index + 1].begins
    if part.begins is None or end is None:
        return ReadShot(caption, part.line, part.lasts)
    if end <= part.begins:
        raise InputError(f"{name}, line {part.line}: shot {index} ends before it begins; times must ascend")
    return ReadShot(caption, part.line, round(end - part.begins, 3))


def _seconds(clock: str | None) -> float | None:
    """Seconds of ``1:02:03.5``, ``2:03`` or ``3.5 s``."""
    if clock is None:
        return None
    clock = clock.replace(",", ".").lower()
    if ":" not in clock:
        return float(re.sub(r"[^\d.]", "", clock.split("s")[0]))
    seconds = 0.0
    for piece in clock.split(":"):
        seconds = 60 * seconds + float(piece)
    return seconds
