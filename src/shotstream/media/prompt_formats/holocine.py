"""HoloCine's prompts (arXiv 2510.20822): one text with tags, or the arguments of its inference script as a mapping.

[global caption] Who, where, how it looks. [per shot caption] First shot. [shot cut] Second shot. [shot cut] ...

global_caption, shot_captions (or the text above as prompt), and shot_cut_frames, num_frames at 16 frames/s
"""

from __future__ import annotations

import re
from itertools import pairwise

from shotstream.core.errors import InputError
from shotstream.media.located import Located, refuse_unknown
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story

FPS, USUAL_FRAMES = 16, 241
_TAG = re.compile(r"\[(global caption|per shot caption|shot cut)\]", re.IGNORECASE)
_KEYS = ("global_caption", "shot_captions", "prompt", "shot_cut_frames", "num_frames", "seed")


def is_tagged(text: str) -> bool:
    """Does ``text`` begin as such a prompt does?"""
    return text.lstrip()[:16].lower() == "[global caption]"


def fits(data: dict[str, object]) -> bool:
    """Is the mapping ``data`` such a script's arguments?"""
    prompt = data.get("prompt")
    return "shots" not in data and ("shot_captions" in data or (isinstance(prompt, str) and is_tagged(prompt)))


def from_text(text: str, name: str, tell: Tell) -> Located:
    """The story in the tagged ``text``. Raises :class:`InputError`, one line."""
    found, shots = _tagged(text, name)
    return as_story(found, shots, name, tell)


def rewritten(found: Located, name: str, tell: Tell) -> Located:
    """The story in the mapping ``found``. Raises :class:`InputError`, one line."""
    refuse_unknown(found, _KEYS, name)
    assert isinstance(found.data, dict)
    if "prompt" in found.data:
        for key in ("global_caption", "shot_captions"):
            if key in found.data:
                raise found.fault((key,), name, f"prompt and {key} are both given; keep one of them")
        tagged, shots = _tagged(str(found.data["prompt"]), name, found.line(("prompt",)))
        story = {key: value for key, value in found.data.items() if key == "seed"} | _mapping(tagged)
        found = Located(story | {key: found.data[key] for key in _KEYS[3:5] if key in found.data}, found.lines)
    else:
        if "global_caption" not in found.data:
            raise found.fault((), name, "global_caption is missing; add it")
        captions = found.data["shot_captions"]
        if not isinstance(captions, list) or not captions:
            raise found.fault(("shot_captions",), name, "shot_captions must be a list of texts, one per shot")
        shots = [ReadShot(caption, found.line(("shot_captions", at))) for at, caption in enumerate(captions)]
    return as_story(found, _timed(found, shots, name), name, tell)


def _mapping(found: Located) -> dict[str, object]:
    assert isinstance(found.data, dict)
    return found.data


def _tagged(text: str, name: str, first_line: int = 1) -> tuple[Located, list[ReadShot]]:
    """The global caption and the shots of a tagged text that begins on ``first_line``."""
    tags = list(_TAG.finditer(text))
    ends = [tag.start() for tag in tags[1:]] + [len(text)]
    global_caption, shots = "", []
    for index, (tag, end) in enumerate(zip(tags, ends, strict=True)):
        line = first_line + text.count("\n", 0, tag.start())
        word, body = tag[1].lower(), text[tag.end() : end]
        wanted = ("global caption", "per shot caption")[index] if index < 2 else "shot cut"
        if word != wanted:
            raise InputError(
                f"{name}, line {line}: [{word}] stands where [{wanted}] should; the order is [global caption] ... "
                "[per shot caption] ... [shot cut] ..."
            )
        if index == 0:
            global_caption = body
        else:
            shots.append(ReadShot(body, line))
    if not shots:
        raise InputError(f"{name}, line {first_line}: [per shot caption] is missing; write it before the first shot")
    return Located({"global_caption": global_caption}, {(): first_line, ("global_caption",): first_line}), shots


def _timed(found: Located, shots: list[ReadShot], name: str) -> list[ReadShot]:
    """``shots`` with the lengths that ``shot_cut_frames`` and ``num_frames`` give them, if either is there."""
    assert isinstance(found.data, dict)
    if not {"shot_cut_frames", "num_frames"} & set(found.data):
        return shots
    frames = found.data.get("num_frames", USUAL_FRAMES)
    if isinstance(frames, bool) or not isinstance(frames, int) or not 1 <= frames <= 10**6:
        raise found.fault(("num_frames",), name, "num_frames must be a whole number of frames")
    even = [round(frames * at / len(shots)) for at in range(1, len(shots))]
    cuts = found.data.get("shot_cut_frames", even)
    place = ("shot_cut_frames",)
    if not isinstance(cuts, list) or any(isinstance(cut, bool) or not isinstance(cut, int) for cut in cuts):
        raise found.fault(place, name, "shot_cut_frames must be a list of frame numbers")
    if len(cuts) != len(shots) - 1:
        said = f"shot_cut_frames has {len(cuts)} cuts for {len(shots)} shots; give {len(shots) - 1}"
        raise found.fault(place, name, said)
    edges = [0, *cuts, frames]
    if any(after <= before for before, after in pairwise(edges)):
        raise found.fault(place, name, f"shot_cut_frames must rise from 1 to {frames - 1}")
    key = "shot_cut_frames" if "shot_cut_frames" in found.data else "num_frames"
    return [
        ReadShot(shot.caption, shot.line, (after - before) / FPS, found.line((key, min(at, len(cuts) - 1))))
        for at, (shot, (before, after)) in enumerate(zip(shots, pairwise(edges), strict=True))
    ]
