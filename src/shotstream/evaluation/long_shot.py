"""Measures drift: what becomes of a shot that goes on far beyond the longest one the model was trained for.

The first shots of held-out stories are filmed without a cut. Windows of ``WINDOW`` frames are read by the recognisers;
drift is the share by which the last falls short of the first: in what the captions state, in how like the subject and
the place are to those of the first frames, and in contrast, which fading or burning pictures lose or gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.data.world.spec import WorldStory
from shotstream.evaluation.judge import Recognisers, recognised, stated
from shotstream.evaluation.measures import Interval, bootstrap, bootstrap_deficit
from shotstream.evaluation.run import ShotMaker
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotRequest

WINDOW = 100  # frames
Window = dict[str, float]


class Drift(Config):
    """One measure over shots: of the first window, of the last, how far the last falls short of the first (None where
    the first is 0), and the mean of every window in order."""

    first: Interval
    last: Interval
    drift: Interval | None
    windows: tuple[float, ...]


def score_long_shots(
    maker: ShotMaker, recognisers: Recognisers, stories: Sequence[WorldStory], frames: int, tell: Callable[[int], None]
) -> dict[str, Drift]:
    """Drift of shots of at least ``frames`` frames, by measure; ``tell``: how many shots are done.

    Raises :class:`InputError` for fewer frames than two windows.
    """
    if frames < 2 * WINDOW:
        raise InputError(f"--frames {frames}: the first {WINDOW} frames are held against the last; give {2 * WINDOW}")
    shots = []
    for done, story in enumerate(stories, start=1):
        shots.append(_windows(recognisers, story, _filmed(maker, story, frames), maker.geometry.fps))
        tell(done)
    return {name: _drift([[window[name] for window in shot] for shot in shots]) for name in shots[0][0]}


def _filmed(maker: ShotMaker, story: WorldStory, frames: int) -> NDArray[np.uint8]:
    """``frames`` frames [T, H, W, 3] of the story's first shot."""
    geometry = maker.geometry
    blocks = next(count for count in range(1, frames + 1) if geometry.shot_frames(count) >= frames)
    prompt = maker.prompt(story.global_caption, story.shots[0].caption, 0)
    request = ShotRequest(prompt=prompt, blocks=blocks, noise=NamedNoise(story.seed, shot=0))
    made = maker.make(request, maker.choose_context((), prompt))
    return np.concatenate([block.frames for block in made])[:frames]


def _windows(recognisers: Recognisers, story: WorldStory, frames: NDArray[np.uint8], fps: float) -> list[Window]:
    """Every whole window of a shot, and its last frames."""
    starts = [*range(0, len(frames) - 2 * WINDOW + 1, WINDOW), len(frames) - WINDOW]
    pieces = [frames[start : start + WINDOW] for start in starts]
    begins = recognisers.read(pieces[0][: WINDOW // 2], fps)
    # The first window is held against itself: what follows the half to which all are compared.
    readings = [recognisers.read(one, fps) for one in (pieces[0][WINDOW // 2 :], *pieces[1:])]
    said = stated(story, 0)
    found = []
    for piece, reading in zip(pieces, readings, strict=True):
        right = recognised(story, 0, reading)
        found.append(
            {
                "text_alignment": float(np.mean([right[name] for name in said])) if said else 0.0,
                "subject": _alike(begins.identity[:, 0], reading.identity[:, 0]),
                "background": _alike(begins.place, reading.place),
                "contrast": float(piece.std()),
            }
        )
    return found


def _alike(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Cosine of the mean vectors of [M, D] and [M, D]."""
    a, b = one.mean(0), two.mean(0)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def _drift(shots: Sequence[Sequence[float]]) -> Drift:
    """Of one value per shot and window."""
    first, last = [shot[0] for shot in shots], [shot[-1] for shot in shots]
    return Drift(
        first=bootstrap(first),
        last=bootstrap(last),
        drift=bootstrap_deficit(last, first),
        windows=tuple(float(np.mean(window)) for window in zip(*shots, strict=True)),
    )
