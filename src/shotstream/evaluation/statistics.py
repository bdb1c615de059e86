"""Statistics: means with bootstrapped intervals, the scale from floor to ceiling, Fréchet distance, drift.

N samples · S shots · M moments · D features
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shotstream.core.config import Config

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
