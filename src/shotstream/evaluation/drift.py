"""Drift: do the pictures become less and less like true films as a story goes on?

S shots · M moments · D features
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
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
