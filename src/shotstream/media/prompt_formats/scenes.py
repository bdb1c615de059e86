"""Scripts of ST-Bench (StoryMem, arXiv 2512.19539) and EntityBench (arXiv 2605.15199): scenes of prompts.

story_overview, scenes: each with scene_num, video_prompts, and cut: does a prompt begin with a cut, or does it go on
where the one before it ended? Prompts that go on are changes in mid-shot here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.core.story import MAX_SECONDS
from shotstream.media.located import Located, parse_json, read_text
from shotstream.media.prompt_formats.rewriting import ReadShot, Tell, as_story

# A prompt of StoryMem is a clip of 81 frames. Behind the first of a shot, 84 frames are as many blocks.
FIRST_SECONDS, NEXT_SECONDS = 81 / 16, 84 / 16
MOST_PROMPTS = 1 + int((MAX_SECONDS - FIRST_SECONDS) / NEXT_SECONDS)  # of one shot


@dataclass(frozen=True, slots=True)
class ScenePrompt:
    """One prompt of a script: ``scene`` as the script numbers it, ``number`` in its scene, from 1."""

    scene: int
    number: int
    caption: str
    cut: bool
    line: int


def fits(data: dict[str, object]) -> bool:
    """Is the mapping ``data`` such a script?"""
    scenes = data.get("scenes")
    listed = scenes if isinstance(scenes, list) else []
    prompted = any(isinstance(scene, dict) and "video_prompts" in scene for scene in listed)
    return "shots" not in data and scenes is not None and (prompted or "story_overview" in data)


def rewritten(found: Located, name: str, tell: Tell) -> Located:
    """The story in the mapping ``found``. Raises :class:`InputError`, one line."""
    assert isinstance(found.data, dict)
    runs: list[list[ScenePrompt]] = []
    for prompt in prompts(found, name):
        if not prompt.cut and len(runs[-1]) == MOST_PROMPTS:
            tell(f"{name}, line {prompt.line}: the shot would be longer than {MAX_SECONDS:g} s; there is a cut here")
        if prompt.cut or len(runs[-1]) == MOST_PROMPTS:
            runs.append([])
        runs[-1].append(prompt)
    told = {"global_caption": found.data["story_overview"]} if "story_overview" in found.data else {}
    overview = Located(told, {(): found.line(()), ("global_caption",): found.line(("story_overview",))})
    return as_story(overview, [_shot(run) for run in runs], name, tell)


def prompts(found: Located, name: str) -> Iterator[ScenePrompt]:
    """Every prompt of the script ``found``, in order. Raises :class:`InputError`, one line."""
    assert isinstance(found.data, dict)
    scenes, first = found.data["scenes"], True
    if not isinstance(scenes, list) or not scenes:
        raise found.fault(("scenes",), name, "scenes must be a list of scenes")
    for index, scene in enumerate(scenes):
        place = ("scenes", index)
        texts, cuts = (scene.get(key) for key in ("video_prompts", "cut")) if isinstance(scene, dict) else (None, None)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise found.fault(place, name, f"scene {index + 1}: video_prompts must be a list of texts")
        read = [_cut(cut) for cut in cuts] if isinstance(cuts, list) else []
        if len(read) != len(texts) or None in read:
            raise found.fault(place, name, f"scene {index + 1}: cut must be a list of true or false, one per prompt")
        number = scene.get("scene_num", index + 1)
        if isinstance(number, bool) or not isinstance(number, int):
            raise found.fault((*place, "scene_num"), name, f"scene {index + 1}: scene_num must be a whole number")
        for at, (text, cut) in enumerate(zip(texts, read, strict=True)):
            line = found.line((*place, "video_prompts", at))
            if first and not cut:
                raise found.fault(place, name, "the first prompt of all must begin with a cut")
            first = False
            yield ScenePrompt(number, at + 1, text, bool(cut), line)


def read_script(path: Path) -> tuple[str | None, list[ScenePrompt]]:
    """The name of EntityBench's script ``path`` (None: of ST-Bench's, which have none), and its prompts.

    Raises :class:`InputError` for what is none.
    """
    found = parse_json(read_text(path), str(path))
    if not isinstance(found.data, dict) or not fits(found.data):
        raise InputError(f"{path}: no script of ST-Bench or EntityBench; give a JSON file with scenes")
    title = found.data.get("story_name")
    return title if isinstance(title, str) else None, list(prompts(found, str(path)))


def _shot(run: list[ScenePrompt]) -> ReadShot:
    moments = [FIRST_SECONDS + NEXT_SECONDS * at for at in range(len(run))]
    changes = tuple((moment, one.caption, one.line) for moment, one in zip(moments, run[1:], strict=False))
    return ReadShot(run[0].caption, run[0].line, moments[-1], changes=changes)


def _cut(given: object) -> bool | None:
    """EntityBench writes true, StoryMem's own instructions ask for "True"; None is neither."""
    if isinstance(given, str):
        given = {"true": True, "false": False}.get(given.lower())
    return given if isinstance(given, bool) else None
