"""A timeline: the chosen takes of a film in order, with captions, and frames on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from PIL import Image

from shotstream.core.errors import InputError
from shotstream.media.h264 import VideoFormat
from shotstream.media.provenance import FilmTags
from shotstream.media.sound import Sound

AT_ONCE = 16  # frames that are read together
Read = Callable[[Sequence[int] | None], np.ndarray]  # frames by number (None: all) as uint8 [n, height, width, 3]
MAX_RATE = 120  # frames per second
MIN_HEIGHT, MAX_HEIGHT = 16, 1080  # pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """From ``frame`` (of its shot, from 0) on, a shot was made under ``caption``."""

    frame: int
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A person's marker at ``frame`` (of its shot, from 0)."""

    frame: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineShot:
    """One shot: its place in the film (``index``, from 0; first frame ``start``), and how it came about."""

    index: int
    start: int
    frames: int
    prompts: tuple[Prompt, ...]
    seed: int
    read: Read
    notes: tuple[Note, ...] = ()

    def pictures(self) -> Iterator[np.ndarray]:
        """Its frames one after the other, uint8 [height, width, 3]; a few are in memory at a time."""
        for start in range(0, self.frames, AT_ONCE):
            yield from self.read(range(start, min(start + AT_ONCE, self.frames)))

    @property
    def caption(self) -> str:
        """What the shot began as."""
        return self.prompts[0].caption

    @property
    def clip(self) -> str:
        """The name its clip gets: shots keep their numbers."""
        return f"shot_{self.index:03d}.mp4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """A film's made shots, at least one, without gaps between them. ``sound``: what is heard with it, in videos."""

    tags: FilmTags
    video: VideoFormat
    shots: tuple[TimelineShot, ...]
    sound: Sound | None = None

    @property
    def frames(self) -> int:
        return sum(shot.frames for shot in self.shots)

    def only(self, shot: int) -> Timeline:
        """Shot ``shot`` alone, from frame 0 on. Raises :class:`InputError` if it is not there or not made."""
        found = next((one for one in self.shots if one.index == shot), None)
        if found is None:
            made = ", ".join(str(one.index) for one in self.shots)
            raise InputError(f"there is no made shot {shot}; made are {made}, counted from 0")
        tags = self.tags.model_copy(update={"title": f"{self.tags.title}, shot {shot}"})
        sound = None if self.sound is None else self.sound.later(found.start / self.video.fps)
        return replace(self, tags=tags, shots=(replace(found, start=0),), sound=sound)


def retimed(timeline: Timeline, fps: int) -> Timeline:
    """``timeline`` at ``fps`` frames per second (1 to 120): of the same length and the same pictures, each shown for as
    many frames as its time takes, some longer than others. None is made in between, and the tags say so."""
    made = timeline.video.fps
    if isinstance(fps, bool) or not isinstance(fps, int) or not 1 <= fps <= MAX_RATE:
        raise InputError(f"a film can be exported at 1 to {MAX_RATE} frames/s, not {fps!r:.40}")
    if fps == made:
        return timeline
    shots = tuple(_retimed(shot, Fraction(fps, made)) for shot in timeline.shots)
    video, tags = timeline.video.model_copy(update={"fps": fps}), timeline.tags.model_copy(update={"made_fps": made})
    return replace(timeline, video=video, tags=tags, shots=tuple(shot for shot in shots if shot.frames))


def _retimed(shot: TimelineShot, rate: Fraction) -> TimelineShot:
    start, stop = (round(frame * rate) for frame in (shot.start, shot.start + shot.frames))
    shows = [
        min(shot.frames - 1, max(0, int((frame + Fraction(1, 2)) / rate) - shot.start)) for frame in range(start, stop)
    ]

    def at(frame: int) -> int:
        """When it is first shown."""
        return next((index for index, shown in enumerate(shows) if shown >= frame), len(shows) - 1)

    return replace(
        shot,
        start=start,
        frames=len(shows),
        prompts=tuple(replace(prompt, frame=at(prompt.frame)) for prompt in shot.prompts),
        notes=tuple(replace(note, frame=at(note.frame)) for note in shot.notes),
        read=lambda frames: shot.read([shows[frame] for frame in (range(len(shows)) if frames is None else frames)]),
    )


def scaled(timeline: Timeline, height: int) -> Timeline:
    """``timeline`` with frames ``height`` pixels high (even, 16 to 1080), scaled by Lanczos' filter."""
    before = timeline.video
    width = max(2, round(before.width * height / before.height / 2) * 2)
    shots = tuple(replace(shot, read=_scaled(shot.read, (width, height))) for shot in timeline.shots)
    return replace(timeline, video=VideoFormat(width=width, height=height, fps=before.fps), shots=shots)


def _scaled(read: Read, size: tuple[int, int]) -> Read:
    def read_scaled(frames: Sequence[int] | None) -> np.ndarray:
        made = read(frames)
        out = np.empty((len(made), size[1], size[0], 3), np.uint8)
        for index, frame in enumerate(made):
            out[index] = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
        return out

    return read_scaled
