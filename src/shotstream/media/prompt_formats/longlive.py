"""LongLive's prompts: ``{"prompts": [...]}`` on every line of a file (arXiv 2509.22622); LongLive 2's: a folder of
``0.json``, ``1.json``, ... with a ``caption`` each, and ``shot_durations.txt``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from shotstream.core.errors import InputError, StorageError
from shotstream.media.located import Located, parse_json, read_text, refuse_unknown
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story

MAX_SHOTS = 10_000
# A chunk of LongLive 2 is 8 latent frames, 4 pixel frames each, at the 24 frames/s of Wan2.2-TI2V-5B.
CHUNK_SECONDS = 8 * 4 / 24
_KEYS = ("prompts", "global_caption", "seed")
_NUMBERED = re.compile(r"(\d{1,5})\.json")
DURATIONS = "shot_durations.txt"


def fits(data: dict[str, object]) -> bool:
    """Is the mapping ``data`` one line of such a file?"""
    return "shots" not in data and "prompts" in data


def rewritten(found: Located, name: str, tell: Tell) -> Located:
    """The story in the mapping ``found``. Raises :class:`InputError`, one line."""
    refuse_unknown(found, _KEYS, name)
    assert isinstance(found.data, dict)
    prompts = found.data["prompts"]
    if not isinstance(prompts, list) or not prompts:
        raise found.fault(("prompts",), name, "prompts must be a list of texts, one per shot")
    if len(prompts) > 1:
        tell(f"{name}, line {found.line(())}: these prompts follow each other without a cut; here each is a shot")
    shots = [ReadShot(prompt, found.line(("prompts", at))) for at, prompt in enumerate(prompts)]
    return as_story(found, shots, name, tell)


def is_folder(path: Path) -> bool:
    """Is ``path`` a folder of LongLive 2?"""
    return os.path.isfile(path / "0.json")


def from_folder(path: Path, tell: Tell) -> Located:
    """The story in the folder ``path``. Raises :class:`InputError`, one line that names the file in it."""
    numbers = _numbers(path)
    if len(numbers) > MAX_SHOTS:
        raise InputError(f"{path}: {len(numbers)} shots; at most {MAX_SHOTS}")
    missing = next((at for at, number in enumerate(numbers) if at != number), None)
    if missing is not None:
        raise InputError(f"{path}: {numbers[missing]}.json comes without {missing}.json; number shots from 0")
    captions = [_caption(path / f"{number}.json") for number in numbers]
    lengths = _durations(path / DURATIONS, len(captions)) if (path / DURATIONS).is_file() else [None] * len(captions)
    shots = [ReadShot(caption, line, seconds) for (caption, line), seconds in zip(captions, lengths, strict=True)]
    whole = path / "global.json"  # some keep there what holds for every shot
    given = {"global_caption": _caption(whole)[0]} if whole.is_file() else {}
    return as_story(Located(given), shots, str(path), tell)


def _numbers(path: Path) -> list[int]:
    """The numbers of the shots in the folder ``path``."""
    try:
        return sorted(int(match[1]) for name in os.listdir(path) if (match := _NUMBERED.fullmatch(name)))
    except OSError as fault:
        raise StorageError(f"{path}: cannot be read ({fault.strerror})") from fault


def _caption(path: Path) -> tuple[str, int]:
    """The caption in one of the folder's files, and its line."""
    found = parse_json(read_text(path), str(path))
    caption = found.data.get("caption") if isinstance(found.data, dict) else None
    if not isinstance(caption, str) or not caption.strip():
        raise found.fault(("caption",), str(path), 'no caption; write {"caption": "what is to be seen"}')
    return caption, found.line(("caption",))


def _durations(path: Path, shots: int) -> list[float]:
    """Seconds of every shot: whole chunks, with spaces or commas between them."""
    words = read_text(path).replace(",", " ").split()
    if not all(re.fullmatch(r"\d{1,4}", word) and int(word) for word in words):
        raise InputError(f"{path}, line 1: must be whole numbers of chunks, such as 2 2 4")
    if len(words) != shots:
        raise InputError(f"{path}, line 1: {len(words)} lengths for {shots} shots; give one for each")
    return [int(word) * CHUNK_SECONDS for word in words]
