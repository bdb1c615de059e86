"""Fréchet distance between two clouds of features: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

N samples · D features, at most 64: with more, a suite has too few pictures to know a covariance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_FEATURES = 64
Features = NDArray[np.float64]


def frechet_distance(one: Features, two: Features) -> float:
    """Distance (Dowson and Landau 1982) between the Gaussians fitted to ``one`` [N1, D] and ``two`` [N2, D].

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
