"""Dynamic degree: the share of shots in which something moves.

The paper takes VBench's, which asks RAFT for the flow and a threshold for a verdict. Here motion is read from the
pictures themselves: how much the most changed twentieth of the picture changes in a quarter of a second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BUSY = 0.95  # quantile: the twentieth of the picture that changes most
APART = 0.25  # seconds between the two pictures compared
THRESHOLD = 0.04  # of full brightness; weather and drifting clouds alone stay below it
SIZE = (64, 40)  # small enough that film grain and the codec's noise average out


def motion(frames: NDArray[np.uint8], fps: float) -> float:
    """How much the busiest part of a shot changes in a quarter of a second, in [0, 1]; uint8 [T, H, W, 3].

    A shot shorter than that is compared end to end; one of a single frame does not move.
    """
    if len(frames) < 2:
        return 0.0
    apart = min(max(1, round(APART * fps)), len(frames) - 1)
    small = np.stack(
        [np.asarray(Image.fromarray(frame).convert("L").resize(SIZE, Image.Resampling.BOX)) for frame in frames]
    )
    change = np.abs(small[apart:].astype(np.float32) - small[:-apart]) / 255
    return float(np.quantile(change.reshape(len(change), -1), BUSY, axis=1).mean())


def moves(frames: NDArray[np.uint8], fps: float) -> bool:
    """Is this shot dynamic?"""
    return motion(frames, fps) > THRESHOLD
