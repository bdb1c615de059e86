"""Means with bootstrapped intervals, and the scale from floor to ceiling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
    """The same for an estimate that is no mean: ``estimate`` of the numbers of the stories it is made from."""
    rng = np.random.default_rng(seed)
    again = [estimate(rng.integers(stories, size=stories)) for _ in range(draws)]
    return _interval(estimate(np.arange(stories)), np.asarray(again))


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
