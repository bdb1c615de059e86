"""Films, clips and animations, read back by PyAV and Pillow: every frame in its place, for its time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from shotstream.media.exports.animation import shown_for
from shotstream.media.exports.formats import write_export
from shotstream.media.exports.timeline import AT_ONCE, Timeline
from shotstream.media.provenance import SOURCE_TYPE
from shotstream.media.video import read_info


def decibels(found: np.ndarray, true: np.ndarray) -> float:
    error = np.mean((found.astype(float) - true.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def animation(path: Path) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as image:
        frames = [(np.asarray(one.convert("RGB")), one.info["duration"]) for one in ImageSequence.Iterator(image)]
    return [pixels for pixels, _ in frames], [milliseconds for _, milliseconds in frames]


def test_clips_are_the_shots(timeline: Timeline, tmp_path: Path) -> None:
    files = write_export(timeline, tmp_path / "clips", "clips")
    assert [path.name for path in files] == ["shot_000.mp4", "shot_002.mp4", "shot_003.mp4"]
    assert sorted(tmp_path.rglob("*.mp4")) == files
    for path, shot in zip(files, timeline.shots, strict=True):
        frames = decoded(path)
        assert frames.shape == (shot.frames, 64, 96, 3)
        assert decibels(frames, shot.read(None)) > 35
        info = read_info(path)
        assert (info.fps, [chapter.title for chapter in info.chapters]) == (16, [" ".join(shot.caption.split())])
        assert info.tags is not None and info.tags.title == f"my fox, shot {shot.index}"


def test_one_shot_and_the_whole_film(timeline: Timeline, tmp_path: Path) -> None:
    write_export(timeline, tmp_path / "film.mp4")
    write_export(timeline, tmp_path / "shot.mp4", shot=2)
    whole, one = decoded(tmp_path / "film.mp4"), decoded(tmp_path / "shot.mp4")
    assert (len(whole), len(one)) == (timeline.frames, 33)
    assert decibels(whole[9:42], one) > 35


@pytest.mark.parametrize(("suffix", "least", "step"), [("webp", 30, 1), ("gif", 28, 10)])
def test_animations_show_every_frame_for_its_time(timeline: Timeline, tmp_path: Path, suffix, least, step) -> None:
    for shot in (None, 2):
        path = tmp_path / f"{shot}.{suffix}"
        assert write_export(timeline, path, shot=shot) == [path]
        frames, shown = animation(path)
        wanted = [one for one in timeline.shots if shot in (None, one.index)]
        true = np.concatenate([one.read(None) for one in wanted])
        assert len(frames) == len(true)
        assert decibels(np.stack(frames), true) > least
        starts = np.cumsum([0, *shown])
        assert np.abs(starts - np.arange(len(true) + 1) * 1000 / 16).max() <= step / 2
        with Image.open(path) as image:
            assert image.info["loop"] == 0


def test_a_gif_keeps_its_background_still(timeline: Timeline, tmp_path: Path) -> None:
    """One palette per shot: a colour of the picture becomes the same colour in every frame."""
    write_export(timeline, tmp_path / "a.gif", shot=3)
    frames, _ = animation(tmp_path / "a.gif")
    true = next(one for one in timeline.shots if one.index == 3).read(None)
    back = [np.roll(frame, -at, axis=1).astype(int) for at, frame in enumerate(frames)]
    assert np.abs(np.stack(back) - back[0]).mean() < 2 * np.abs(frames[0].astype(int) - true[0]).mean() + 1


def test_animations_say_that_a_model_made_them(timeline: Timeline, tmp_path: Path) -> None:
    write_export(timeline, tmp_path / "a.webp", shot=0)
    write_export(timeline, tmp_path / "a.gif", shot=0)
    assert SOURCE_TYPE.encode() in (tmp_path / "a.webp").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert b"Made by a generative model" in image.info["comment"]


def test_the_same_film_is_the_same_file(timeline: Timeline, tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp", "a.mp4", "a.pdf", "a.png"):
        assert write_export(timeline, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        write_export(timeline, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first, name


@pytest.mark.parametrize("fps", [8, 16, 24, 60])
@pytest.mark.parametrize("step", [1, 10])
def test_rounded_times_never_drift(fps: int, step: int) -> None:
    starts = np.cumsum([0, *shown_for(200, fps, step)])
    assert np.abs(starts - np.arange(201) * 1000 / fps).max() <= step / 2


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_a_long_film_needs_no_more_memory_than_a_short_one(timeline: Timeline, tmp_path: Path, suffix: str) -> None:
    """Frames are read a few at a time, and none is kept."""
    shot = timeline.shots[0]
    still = shot.read(None)[0]
    asked: list[int] = []

    def read(frames: Sequence[int] | None) -> np.ndarray:
        assert frames is not None
        asked.append(len(frames))
        return np.stack([np.roll(still, frame, axis=1) for frame in frames])

    peaks = []
    for length in (64, 640):
        long = replace(timeline, shots=(replace(shot, frames=length, read=read),))
        tracemalloc.start()
        write_export(long, tmp_path / f"{length}.{suffix}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(animation(tmp_path / f"{length}.{suffix}")[0]) == length
    assert max(asked) <= AT_ONCE
    assert peaks[1] < peaks[0] + 100 * still.nbytes  # of 576 frames more


def test_a_gif_shows_what_stands_still_once(timeline: Timeline, tmp_path: Path) -> None:
    shot = timeline.shots[0]
    still = shot.read(None)[0]
    moments = [0, 0, 0, 3, 3, 5]

    def read(frames: Sequence[int] | None) -> np.ndarray:
        return np.stack([np.roll(still, moments[frame], axis=1) for frame in frames or range(6)])

    write_export(replace(timeline, shots=(replace(shot, frames=6, read=read),) * 2), tmp_path / "a.gif")
    frames, shown = animation(tmp_path / "a.gif")
    assert len(frames) == 6 and shown == [190, 120, 70, 180, 130, 60]
    assert np.abs(frames[0].astype(int) - frames[3]).max() == 0
