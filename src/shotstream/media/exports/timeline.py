"""A timeline: a film as exports see it. Its chosen takes in order, what each was made under, its pixels on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shotstream.core.errors import InputError
from shotstream.media.h264 import Picture
from shotstream.media.provenance import FilmTags

Read = Callable[[Sequence[int] | None], np.ndarray]  # frames by number (None: all) as uint8 [n, height, width, 3]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """From ``frame`` (of its shot, from 0) on, a shot was made under ``caption``."""

    frame: int
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineShot:
    """One shot: its place in the film (``index``, from 0; first frame ``start``), and how it came about."""

    index: int
    start: int
    frames: int
    prompts: tuple[Prompt, ...]
    seed: int
    read: Read

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
    """A film's made shots, at least one, without gaps between them."""

    tags: FilmTags
    picture: Picture
    shots: tuple[TimelineShot, ...]

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
        return replace(self, tags=tags, shots=(replace(found, start=0),))
