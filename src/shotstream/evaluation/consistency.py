"""Consistency of subject, background and meaning, within shots and between them (the paper's section 4).

Whatever network describes the pictures, it gives vectors; here they are compared by cosine.

Axes: M moments of a shot · D numbers of a vector
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
