"""The measures of a suite: their table, and those that need no network: consistency, motion, cuts.

A measure is only of use if truth and its floor are told apart; which degraded truth is a floor depends on what is
measured. Films under other stories' captions, for instance, are as steady within a shot as any.

Consistency (the paper's section 5.1), of subject, background and meaning, compares vectors by cosine, whatever network
made them. Dynamic degree is the share of shots in which something moves: the paper takes VBench's, which asks RAFT for
the flow and a threshold for a verdict; here motion is read from the pictures themselves: how much the most changed
twentieth of the picture changes in a quarter of a second.

A cut is the index of the first frame of a new shot. The paper's shot cut accuracy (section 5.1, after HoloCine) is
SCA = exp(-NSD), NSD = (E_matched + E_penalty) / F_total. What the paper leaves open is defined here: every cut
that stays alone, missed or extra, costs one mean planned shot, F_total / (planned cuts + 1); E_matched is the sum
of the matched pairs' distances in frames; and the one-to-one matching is the one that makes the sum least.

Axes: M moments of a shot · D numbers of a vector
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shotstream.core.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Measure:
    """``floor``: the system that is as bad as can be; None for what has no ceiling either."""

    key: str
    title: str
    floor: str | None
    higher_is_better: bool = True


MEASURES = (
    Measure("end_to_end_fps", "frames/s", None),
    Measure("first_frame_ms", "first frame, ms", None, higher_is_better=False),
    Measure("memory_mb", "memory, MB", None, higher_is_better=False),
    Measure("intra_subject", "intra subject", "noise"),
    Measure("intra_background", "intra background", "noise"),
    Measure("inter_semantic", "inter semantic", "shuffled"),
    Measure("inter_subject", "inter subject", "shuffled"),
    Measure("inter_background", "inter background", "shuffled"),
    Measure("transition_control", "transition (SCA)", "noise"),
    Measure("text_alignment", "text alignment", "shuffled"),
    Measure("dynamic_degree", "dynamic", "still"),
    Measure("identity_recall", "identity recall", "shuffled"),
    Measure("frechet_distance", "Fréchet distance", "noise", higher_is_better=False),
    Measure("drift", "drift per shot", "fading", higher_is_better=False),
    Measure("false_cuts_per_100_seams", "false cuts / 100 seams", "noise", higher_is_better=False),
)
REFERENCE, CEILING = "truth", "autoencoder"
FLOORS = ("shuffled", "noise", "still", "fading")
TEACHER = "teacher"  # against which students are held, story by story


Vectors = NDArray[np.float64]
Described = tuple[Hashable, Vectors]  # who or where, and what one shot shows of it


class FeatureNetwork(Protocol):
    """Describes a shot."""

    @property
    def name(self) -> str: ...

    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """[M, D] from a shot uint8 [T, H, W, 3]: a vector for each of a few moments in order."""


def within(vectors: Vectors) -> float:
    """How alike the moments [M, D] of one shot are, in [-1, 1]: as in VBench (Huang et al. 2024, section 4.1.1), the
    mean over moments of the cosine to the moment before and to the first. 1 for a single moment."""
    if len(vectors) < 2:
        return 1.0
    unit = _unit(vectors)
    before = (unit[1:] * unit[:-1]).sum(1)
    first = unit[1:] @ unit[0]
    return float((before + first).mean() / 2)


def between(shots: Sequence[Vectors]) -> float | None:
    """How alike shots are: the mean cosine over all pairs of their mean vectors; None for fewer than two."""
    means = [_unit(_unit(vectors).mean(0, keepdims=True))[0] for vectors in shots]
    pairs = [float(one @ two) for one, two in combinations(means, 2)]
    return float(np.mean(pairs)) if pairs else None


def intra(described: Sequence[Described]) -> float | None:
    """Mean of :func:`within` over all that is described; None for nothing."""
    return float(np.mean([within(vectors) for _, vectors in described])) if described else None


def inter(described: Sequence[Described]) -> float | None:
    """Mean of :func:`between` over subjects (or places) that come back; each weighs as many pairs as it has."""
    pairs = [
        value
        for (one, first), (two, second) in combinations(described, 2)
        if one == two and (value := between([first, second])) is not None
    ]
    return float(np.mean(pairs)) if pairs else None


def _unit(vectors: Vectors) -> Vectors:
    """Length 1; a zero vector stays, and is like nothing."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


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


NEAR = 3  # frames; a detected cut farther than this from every planned one is false


@dataclass(frozen=True, slots=True)
class Matching:
    """``pairs`` of (planned, detected) cuts in film order; the rest of either side stays alone."""

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def distance(self) -> int:
        """E_matched, in frames."""
        return sum(abs(planned - detected) for planned, detected in self.pairs)


def match_cuts(planned: Sequence[int], detected: Sequence[int], penalty: float) -> Matching:
    """The one-to-one matching with the least sum of distances and ``penalty`` (frames) per cut that stays alone.

    Pairs never cross, so it is an edit distance between the two sorted lists.
    """
    rows, columns = sorted(planned), sorted(detected)
    best: list[list[tuple[float, Matching]]] = []
    for row in range(len(rows) + 1):
        best.append([])
        for column in range(len(columns) + 1):
            options: list[tuple[float, Matching]] = [] if row or column else [(0.0, Matching((), (), ()))]
            if row and column:
                cost, so_far = best[row - 1][column - 1]
                pair = (rows[row - 1], columns[column - 1])
                options.append(
                    (cost + abs(pair[0] - pair[1]), Matching((*so_far.pairs, pair), so_far.missed, so_far.extra))
                )
            if row:
                cost, so_far = best[row - 1][column]
                missed = (*so_far.missed, rows[row - 1])
                options.append((cost + penalty, Matching(so_far.pairs, missed, so_far.extra)))
            if column:
                cost, so_far = best[row][column - 1]
                extra = (*so_far.extra, columns[column - 1])
                options.append((cost + penalty, Matching(so_far.pairs, so_far.missed, extra)))
            best[row].append(min(options, key=lambda option: option[0]))
    return best[-1][-1][1]


def shot_cut_accuracy(planned: Sequence[int], detected: Sequence[int], frames: int) -> float:
    """SCA in (0, 1] of a film of ``frames`` frames; 1 when every planned cut is there to the frame and no other."""
    if frames < 1:
        raise ValueError(f"{frames} frames; a film has at least one")
    penalty = frames / (len(planned) + 1)
    matching = match_cuts(planned, detected, penalty)
    alone = len(matching.missed) + len(matching.extra)
    return math.exp(-(matching.distance + alone * penalty) / frames)


def false_cuts(planned: Sequence[int], detected: Sequence[int]) -> tuple[int, ...]:
    """Detected cuts that are farther than ``NEAR`` frames from every planned one."""
    return tuple(cut for cut in detected if all(abs(cut - wanted) > NEAR for wanted in planned))


def planned_cuts(lengths: Sequence[int]) -> tuple[int, ...]:
    """First frames of all shots but the first; ``lengths``: frames per shot."""
    return tuple(sum(lengths[:shot]) for shot in range(1, len(lengths)))


def block_seams(lengths: Sequence[int], geometry: Geometry) -> int:
    """How many seams between blocks lie inside the shots of ``lengths`` frames."""
    per_block = geometry.temporal * geometry.block_frames
    return sum(-(-length // per_block) - 1 for length in lengths)
