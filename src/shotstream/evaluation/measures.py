"""The measures of a suite: their table, those that need no network (consistency, motion, cuts), and their statistics.

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

Statistics: means with bootstrapped intervals, the scale from floor to ceiling, Fréchet distance, drift.

Axes: M moments of a shot · S shots · N samples · D numbers of a vector
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shotstream.core.config import Config
from shotstream.core.geometry import Geometry

DRAWS = 1000
SHARE = 0.95


class Interval(Config):
    """An estimate and the range that holds ``SHARE`` of the estimates from resampled stories."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean of one value per story, stories drawn again with replacement (percentile bootstrap, Efron 1979).

    Raises :class:`ValueError` when there is none, or one is not a number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        raise ValueError(f"{numbers.size} values, {int(np.isnan(numbers).sum())} not a number; a mean needs numbers")
    picks = np.random.default_rng(seed).integers(len(numbers), size=(DRAWS, len(numbers)))
    return _interval(float(numbers.mean()), numbers[picks].mean(axis=1))


def bootstrap_of(
    stories: int, estimate: Callable[[NDArray[np.int64]], float], seed: int = 0, draws: int = 100
) -> Interval:
    """The same for an estimate that is no mean and never negative, such as a distance: ``estimate`` of the numbers of
    the stories it is made from.

    Drawn stories repeat, so distances of draws are larger than the distance of all stories. That bias, the mean of the
    draws less the estimate, is taken off the range (Efron and Tibshirani 1993, section 10.2).
    """
    rng = np.random.default_rng(seed)
    again = np.asarray([estimate(rng.integers(stories, size=stories)) for _ in range(draws)])
    value = estimate(np.arange(stories))
    return _interval(value, np.maximum(again - (again.mean() - value), 0.0))


def scaled(value: float, floor: float, ceiling: float) -> float | None:
    """(x - floor) / (ceiling - floor): 0 as bad as the floor, 1 as good as the ceiling; None where they coincide."""
    return None if math.isclose(floor, ceiling, abs_tol=1e-9) else (value - floor) / (ceiling - floor)


def bootstrap_scaled(
    values: Sequence[float], floors: Sequence[float], ceilings: Sequence[float], seed: int = 0
) -> Interval | None:
    """:func:`scaled` of three means over the same stories, which are drawn again together; None as there.

    Draws in which floor and ceiling coincide are left out. Raises :class:`ValueError` for lists of unequal lengths.
    """
    numbers = np.stack([np.asarray(column, dtype=np.float64) for column in (values, floors, ceilings)])
    picks = np.random.default_rng(seed).integers(numbers.shape[1], size=(DRAWS, numbers.shape[1]))
    whole = scaled(*(float(mean) for mean in numbers.mean(axis=1)))
    again = [scaled(*means) for means in numbers[:, picks].mean(axis=2).T.tolist()]
    return None if whole is None else _interval(whole, np.asarray([one for one in again if one is not None]))


def bootstrap_deficit(values: Sequence[float], others: Sequence[float], seed: int = 0) -> Interval | None:
    """1 - mean(values) / mean(others) over the same stories, which are drawn again together: the share by which the
    first are behind. None where the others' mean is not above zero in every draw.

    Raises :class:`ValueError` for lists of unequal lengths.
    """
    numbers = np.stack([np.asarray(column, dtype=np.float64) for column in (values, others)])
    picks = np.random.default_rng(seed).integers(numbers.shape[1], size=(DRAWS, numbers.shape[1]))
    ours, theirs = numbers[:, picks].mean(axis=2)
    whole = numbers.mean(axis=1)
    return None if min(whole[1], theirs.min()) <= 0 else _interval(float(1 - whole[0] / whole[1]), 1 - ours / theirs)


def _interval(mean: float, estimates: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(estimates, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(mean=mean, low=float(low), high=float(high))


MOST_FEATURES = 64
Features = NDArray[np.float64]


def frechet_distance(one: Features, two: Features) -> float:
    """Distance (Dowson and Landau 1982) between the Gaussians fitted to ``one`` [N1, D] and ``two`` [N2, D]:
    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). D is at most 64: with more, a suite has too few pictures to know a
    covariance.

    Raises :class:`ValueError` for more than 64 features, fewer than two samples, or values that are no numbers.
    """
    for cloud in (one, two):
        if cloud.ndim != 2 or cloud.shape[1] > MOST_FEATURES or len(cloud) < 2:
            raise ValueError(f"features are {list(cloud.shape)}; give [N >= 2, D <= {MOST_FEATURES}]")
        if not np.isfinite(cloud).all():
            raise ValueError("a feature is not a number")
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"{one.shape[1]} and {two.shape[1]} features; they must be the same")
    root = _root(_covariance(one))
    product = np.linalg.eigvalsh(root @ _covariance(two) @ root)
    between = 2 * np.sqrt(np.clip(product, 0, None)).sum()
    apart = float(np.square(one.mean(0) - two.mean(0)).sum())
    return max(0.0, apart + float(np.trace(_covariance(one)) + np.trace(_covariance(two)) - between))


def _covariance(cloud: Features) -> Features:
    return np.atleast_2d(np.cov(cloud, rowvar=False))


def _root(symmetric: Features) -> Features:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T)


_RIDGE = 1e-3  # of the mean variance; directions in which true films hardly differ must not decide alone


@dataclass(frozen=True, slots=True)
class Typical:
    """What true films look like: the mean and the whitening of their features."""

    mean: Features  # [D]
    whiten: Features  # [D, D]

    @classmethod
    def of(cls, features: Features) -> Typical:
        """Fitted to features [N, D] of true films, N > 1."""
        covariance = np.atleast_2d(np.cov(features, rowvar=False))
        values, vectors = np.linalg.eigh(covariance)
        values = np.clip(values, 0, None) + _RIDGE * max(float(values.mean()), 1e-12)
        return cls(features.mean(0), vectors / np.sqrt(values))

    def strangeness(self, features: Features) -> Features:
        """Mahalanobis distance of features [..., D] per feature, [...]; about 1 for a true film."""
        white = (features - self.mean) @ self.whiten
        return np.asarray(np.sqrt(np.square(white).mean(-1)))


def by_shot(story: Features, typical: Typical) -> Features:
    """Strangeness [S] of every shot of a story, from features [S, M, D]."""
    return np.asarray(typical.strangeness(story).mean(1))


def drift(values: Features) -> float:
    """Least-squares slope of a value per shot [S] over the shot index; 0 for a single shot."""
    if len(values) < 2:
        return 0.0
    index = np.arange(len(values)) - (len(values) - 1) / 2
    return float(index @ values / (index @ index))


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
    Measure("true_details", "true details", "shuffled"),
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
