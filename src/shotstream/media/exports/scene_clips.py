"""A film of a benchmark's script as the benchmark wants it: one clip for every prompt, named by scene and prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.files import make_folder
from shotstream.media.exports.clips import write_mp4
from shotstream.media.exports.timeline import Prompt, Read, Timeline
from shotstream.media.prompt_formats.scenes import read_script


def scene_clips(timeline: Timeline, script: Path, folder: Path) -> dict[Path, Timeline]:
    """What is to be written, by file: ``01_02.mp4`` for the second prompt of scene 1 of an ST-Bench script;
    ``NAME/001_002.mp4`` for that of EntityBench's script called NAME.

    Raises :class:`InputError` if the film is not one of ``script``.
    """
    title, wanted = read_script(script)
    pieces = list(_pieces(timeline))
    if len(pieces) != len(wanted):
        raise InputError(f"{script}: has {len(wanted)} prompts, the film {len(pieces)}; give the film of this script")
    for one, (caption, _) in zip(wanted, pieces, strict=True):
        if one.caption.strip() != caption:
            raise InputError(
                f"{script}, line {one.line}: the film shows another prompt here; give the film of this script"
            )
    digits, where = (2, folder) if title is None else (3, folder / title)
    return {
        where / f"{one.scene:0{digits}d}_{one.number:0{digits}d}.mp4": piece
        for one, (_, piece) in zip(wanted, pieces, strict=True)
    }


def write_scene_clips(clips: dict[Path, Timeline]) -> None:
    """Write every clip of :func:`scene_clips`, each whole. Raises :class:`StorageError`."""
    for path, piece in clips.items():
        make_folder(path.parent)
        write_mp4(piece, path)


def _pieces(timeline: Timeline) -> Iterator[tuple[str, Timeline]]:
    """The caption and the frames of every prompt, in order; each as a film of its own."""
    for shot in timeline.shots:
        ends = [*(prompt.frame for prompt in shot.prompts[1:]), shot.frames]
        for prompt, end in zip(shot.prompts, ends, strict=True):
            piece = replace(
                shot,
                start=0,
                frames=end - prompt.frame,
                prompts=(Prompt(frame=0, caption=prompt.caption),),
                read=partial(_read_part, shot.read, range(prompt.frame, end)),
                notes=(),
            )
            yield prompt.caption, replace(timeline, shots=(piece,))


def _read_part(read: Read, part: range, frames: Sequence[int] | None) -> np.ndarray:
    return read(part if frames is None else [part[frame] for frame in frames])
