"""The frames of a clip's shots as training sees them: resampled, cut and resized.

Axes: T pixel frames, H, W pixels
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shotstream.core.context_budget import pickable_frames
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.data.clip_manifest import Clip, trained_frames


@dataclass(frozen=True, slots=True)
class ShotFrames:
    """What training sees of a shot of ``frames`` frames.

    ``video``: uint8 [T, H, W, 3], what is learned: strided and cut. ``pickable``: uint8 [P, H, W, 3], the frames of the
    whole shot that may condition later ones, those :func:`pickable_frames` names.
    """

    video: NDArray[np.uint8]
    frames: int
    pickable: NDArray[np.uint8]


def shots_of(clip: Clip, geometry: Geometry) -> Iterator[ShotFrames]:
    """Every shot in order; the video is decoded once. Raises :class:`InputError`.

    A shot is a range of frames; within it, the frames learned are as far apart in time as a player shows them.
    """
    from shotstream.media.display import fitted  # PyAV, which stories of the world do without
    from shotstream.media.video import iterate_frames, read_times

    times, ranges = np.asarray(read_times(clip.video)), clip.ranges
    if len(times) < ranges[-1][1]:
        raise _too_short(clip, sum(last <= len(times) for _, last in ranges))
    chosen = [_chosen(times[first:last], first, geometry) for first, last in ranges]
    picks = [
        [first + pick for pick in pickable_frames(last - first, geometry.context_frames)] for first, last in ranges
    ]
    shot, video, pickable = 0, [], []
    for number, picture in enumerate(iterate_frames(clip.video)):
        shown, picked = chosen[shot].count(number), number in picks[shot]
        if shown or picked:
            fit = fitted(picture, geometry.width, geometry.height)
            video += [fit] * shown
            pickable += [fit] * picked
        if number == max(chosen[shot][-1], picks[shot][-1]):
            first, last = ranges[shot]
            yield ShotFrames(np.stack(video), last - first, np.stack(pickable))
            shot, video, pickable = shot + 1, [], []
            if shot == len(ranges):
                return
    raise _too_short(clip, shot)


def _chosen(times: NDArray[np.float64], first: int, geometry: Geometry) -> list[int]:
    """The frames of a shot that training sees: those shown nearest to moments that are equally far apart.

    ``times`` [n] in seconds of the shot's frames, which are numbered from ``first``.
    """
    stride, frames = trained_frames(len(times), geometry)
    apart = (times[-1] - times[0]) / max(1, len(times) - 1)
    wanted = times[0] + apart * stride * np.arange(frames)
    return [first + int(np.abs(times - moment).argmin()) for moment in wanted]


def _too_short(clip: Clip, shot: int) -> InputError:
    return InputError(f"{clip.place}: {clip.video} ends before shot {shot + 1} does; run shotstream data check")
